/// Frames: u32 length of the rest (big-endian), u8 message kind, u8 flags, payload.
///
/// Bit 0 of the flags means that the message goes on in the next frame; it is refused until something needs it, as
/// every other bit is. A length is checked against the limit before a byte of the frame is kept (P3).
#pragma once

#include <optional>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/protocol/message_codec.h"

namespace odb {

inline constexpr size_t kFrameHeadBytes = 6;

struct Frame {
  MessageKind kind;
  BytesView payload;  ///< valid until the next call of the reader
};

/// Appends a message as one frame.
template <class Message>
void put_frame(Bytes& out, const Message& message) {
  size_t start = out.size();
  out.append("\0\0\0\0", 4);
  out.push_back(static_cast<char>(Message::kKind));
  out.push_back(0);
  MessageEncoder encoder(out);
  const_cast<Message&>(message).each(encoder);  // `each` serves both directions; encoding only reads
  size_t length = out.size() - start - 4;
  for (size_t i = 0; i < 4; ++i) out[start + i] = static_cast<char>(length >> (8 * (3 - i)));
}

/// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  explicit FrameReader(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}
  void set_limit(size_t frame_bytes_max) { frame_bytes_max_ = frame_bytes_max; }

  void feed(BytesView bytes);
  /// The next whole frame; none when more bytes are needed or when the stream is broken (status()).
  std::optional<Frame> next();
  const Status& status() const { return status_; }
  size_t buffered_bytes() const { return buffer_.size() - consumed_; }

 private:
  size_t frame_bytes_max_;
  Bytes buffer_;
  size_t consumed_ = 0;
  Status status_;
};

}  // namespace odb
