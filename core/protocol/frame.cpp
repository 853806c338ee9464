#include "core/protocol/frame.h"

#include <cstring>

namespace odb {

/// From the last frame to the first, so that each part of the payload moves once.
void split_frame(Bytes& out, size_t start, size_t frame_bytes_max) {
  size_t full = frame_bytes_max - kFrameHeadBytes;
  size_t payload = out.size() - start - kFrameHeadBytes;
  auto kind = static_cast<MessageKind>(out[start + 4]);
  size_t count = (payload + full - 1) / full;
  out.resize(out.size() + (count - 1) * kFrameHeadBytes);
  char* first = out.data() + start;
  for (size_t i = count; i-- > 0;) {
    bool is_last = i + 1 == count;
    size_t size = is_last ? payload - i * full : full;
    char* frame = first + i * frame_bytes_max;
    std::memmove(frame + kFrameHeadBytes, first + kFrameHeadBytes + i * full, size);
    put_frame_head(frame, size, kind, is_last ? 0 : kContinues);
  }
}

void FrameReader::feed(BytesView bytes) {
  if (!status_.is_ok()) return;
  if (consumed_ == buffer_.size()) {
    if (buffer_.capacity() > limits::kCommitPartBytes) buffer_ = {};  // after something large, small again
    buffer_.clear();
    consumed_ = 0;
  } else if (consumed_ > buffer_.size() / 2) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  buffer_.append(bytes);
}

bool FrameReader::refuse(std::string why) {
  status_ = protocol_error(std::move(why));
  return false;
}

/// P3: before anything of the frame is kept.
bool FrameReader::is_head_allowed(size_t length, MessageKind kind, uint8_t flags) {
  if (flags > (message_bytes_max_ > 0 ? kContinues : 0))
    return refuse("frame flags " + std::to_string(flags) + " are not known here");
  if (is_continued_ && kind != kind_)
    return refuse("frame of kind " + std::to_string(static_cast<int>(kind)) + " inside of a message of kind " +
                  std::to_string(static_cast<int>(kind_)));
  if (flags == kContinues && length + 4 != frame_bytes_max_)
    return refuse("frame of " + std::to_string(length) + " bytes that is neither full nor the last of its message");
  if (is_continued_ && length == 2) return refuse("empty frame at the end of a message");
  bool is_in_parts = is_continued_ || flags == kContinues;
  if (is_in_parts && (is_continued_ ? message_.size() : 0) + length - 2 > message_bytes_max_)
    return refuse("message of more than " + std::to_string(message_bytes_max_) + " bytes");
  return true;
}

std::optional<Frame> FrameReader::next() {
  if (!is_continued_ && !message_.empty()) message_ = {};  // it was handed out before
  while (true) {
    BytesView rest = BytesView(buffer_).substr(consumed_);
    if (!status_.is_ok() || rest.size() < 4) return std::nullopt;
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(rest[i]);
    if (length + 4 > frame_bytes_max_ || length < 2) {
      refuse("frame of " + std::to_string(length) + " bytes; allowed here are 2 to " +
             std::to_string(frame_bytes_max_ - 4));
      return std::nullopt;
    }
    if (rest.size() < kFrameHeadBytes) return std::nullopt;
    auto kind = static_cast<MessageKind>(rest[4]);
    auto flags = static_cast<uint8_t>(rest[5]);
    if (!is_head_allowed(length, kind, flags) || rest.size() < length + 4) return std::nullopt;
    consumed_ += length + 4;
    BytesView payload = rest.substr(kFrameHeadBytes, length - 2);
    if (!is_continued_ && flags == 0) [[likely]]
      return Frame{kind, payload};
    is_continued_ = flags == kContinues;
    kind_ = kind;
    message_.append(payload);
    if (!is_continued_) return Frame{kind, message_};
    feed({});  // makes room at once: what was copied is not kept twice
  }
}

}  // namespace odb
