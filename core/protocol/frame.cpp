#include "core/protocol/frame.h"

namespace odb {

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

std::optional<Frame> FrameReader::next() {
  BytesView rest = BytesView(buffer_).substr(consumed_);
  if (!status_.is_ok() || rest.size() < 4) return std::nullopt;
  size_t length = 0;
  for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(rest[i]);
  if (length + 4 > frame_bytes_max_ || length < 2) {
    status_ = protocol_error("frame of " + std::to_string(length) + " bytes; allowed here are 2 to " +
                             std::to_string(frame_bytes_max_ - 4));
    return std::nullopt;
  }
  if (rest.size() < length + 4) return std::nullopt;
  if (rest[5] != 0) {
    status_ = protocol_error("frame flags " + std::to_string(static_cast<uint8_t>(rest[5])) + " are not known here");
    return std::nullopt;
  }
  consumed_ += length + 4;
  return Frame{static_cast<MessageKind>(rest[4]), rest.substr(kFrameHeadBytes, length - 2)};
}

}  // namespace odb
