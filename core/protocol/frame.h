/// Frames: u32 length of the rest (big-endian), u8 message kind, u8 flags, payload.
///
/// Bit 0 of the flags means that the message goes on in the next frame, which is of the same kind. Every frame but the
/// last is full, and the last one is not empty, so that a message has one encoding only (P1):
///
///   a payload of 25 bytes where a frame may have 16:   [len kind 1 | 10 bytes] [len kind 1 | 10 bytes] [len kind 0 | 5]
///
/// Only the server sends such messages, to clients that it has welcomed: whoever gives no limit for messages refuses
/// the bit, and every other one is refused in any case. Lengths are checked against both limits before a byte of the
/// frame is kept (P3).
#pragma once

#include <optional>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/protocol/message_codec.h"

namespace odb {

inline constexpr size_t kFrameHeadBytes = 6;
inline constexpr uint8_t kContinues = 1;  // flag

/// A message whose payload is whole, be it out of one frame or of several.
struct Frame {
  MessageKind kind;
  BytesView payload;  ///< valid until the next call of the reader
};

inline void put_frame_head(char* at, size_t payload_bytes, MessageKind kind, uint8_t flags) {
  size_t length = payload_bytes + 2;
  for (size_t i = 0; i < 4; ++i) at[i] = static_cast<char>(length >> (8 * (3 - i)));
  at[4] = static_cast<char>(kind);
  at[5] = static_cast<char>(flags);
}

/// Makes several frames of the one that begins at `start` and is longer than a frame may be.
void split_frame(Bytes& out, size_t start, size_t frame_bytes_max);

/// Appends a message: as one frame, or as several when it does not fit into one.
template <class Message>
void put_frame(Bytes& out, const Message& message, size_t frame_bytes_max = limits::kFrameBytesMax) {
  size_t start = out.size();
  out.append(kFrameHeadBytes, '\0');
  MessageEncoder encoder(out);
  const_cast<Message&>(message).each(encoder);  // `each` serves both directions; encoding only reads
  put_frame_head(out.data() + start, out.size() - start - kFrameHeadBytes, Message::kKind, 0);
  if (out.size() - start > frame_bytes_max) [[unlikely]]
    split_frame(out, start, frame_bytes_max);
}

/// Cuts a stream of bytes into messages.
class FrameReader {
 public:
  /// `message_bytes_max`: of the payload of a message that comes in several frames; 0: none may.
  explicit FrameReader(size_t frame_bytes_max, size_t message_bytes_max = 0) {
    set_limits(frame_bytes_max, message_bytes_max);
  }
  void set_limits(size_t frame_bytes_max, size_t message_bytes_max = 0) {
    frame_bytes_max_ = frame_bytes_max;
    message_bytes_max_ = message_bytes_max;
  }

  void feed(BytesView bytes);
  /// The next whole message; none when more bytes are needed or when the stream is broken (status()).
  std::optional<Frame> next();
  const Status& status() const { return status_; }
  size_t buffered_bytes() const { return buffer_.size() - consumed_ + (is_continued_ ? message_.size() : 0); }

 private:
  bool refuse(std::string why);
  bool is_head_allowed(size_t length, MessageKind kind, uint8_t flags);

  size_t frame_bytes_max_ = 0;
  size_t message_bytes_max_ = 0;
  Bytes buffer_;
  size_t consumed_ = 0;
  bool is_continued_ = false;  // frames of `kind_` have come and are in message_, the last one has not
  MessageKind kind_{};
  Bytes message_;
  Status status_;
};

}  // namespace odb
