/// Any bytes as the payload of every message and as a stream of frames: refused, or what was read has these bytes (P1).
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/protocol/frame.h"

namespace {

using namespace odb;

void check_payload(BytesView payload) {
  for_each_message([&]<class Message>() {
    Result<Message> message = decode_message<Message>(payload);
    if (!message.is_ok()) return;
    Bytes frame;
    put_frame(frame, message.value());
    ODB_CHECK(BytesView(frame).substr(kFrameHeadBytes) == payload, Message::kName);  // P1
  });
}

/// What a reader may take; messages of several frames are small here, so that the fuzzer gets to them.
struct Limits {
  size_t frame_bytes_max, message_bytes_max;
};

/// The messages of a stream that arrives in two parts, each in the frames that it must have come in.
Bytes reframed(BytesView first, BytesView second, Limits limits, bool& is_broken) {
  Bytes out;
  FrameReader reader(limits.frame_bytes_max, limits.message_bytes_max);
  for (BytesView part : {first, second}) {
    reader.feed(part);
    while (std::optional<Frame> frame = reader.next()) {
      bool is_in_parts = frame->payload.size() + kFrameHeadBytes > limits.frame_bytes_max;
      ODB_CHECK(!is_in_parts || frame->payload.size() <= limits.message_bytes_max);
      size_t start = out.size();
      out.append(kFrameHeadBytes, '\0');
      put_frame_head(out.data() + start, frame->payload.size(), frame->kind, 0);
      out.append(frame->payload);
      if (is_in_parts) split_frame(out, start, limits.frame_bytes_max);
    }
  }
  is_broken = !reader.status().is_ok();
  return out;
}

void check_stream(BytesView stream, Limits limits) {
  bool is_broken, is_broken_in_parts;
  Bytes frames = reframed(stream, {}, limits, is_broken);
  ODB_CHECK(stream.starts_with(frames));
  size_t middle = stream.size() / 2;
  ODB_CHECK(reframed(stream.substr(0, middle), stream.substr(middle), limits, is_broken_in_parts) == frames);
  ODB_CHECK(is_broken == is_broken_in_parts);
}

/// Any payload travels whole, however small the frames are.
void check_cutting(BytesView payload) {
  constexpr size_t kFrame = 16;
  Bytes frames;
  put_frame(frames, Auth{Bytes(payload)}, kFrame);
  FrameReader reader(kFrame, payload.size() + 16);
  reader.feed(frames);
  std::optional<Frame> frame = reader.next();
  ODB_CHECK(frame && decode_message<Auth>(frame->payload).value().payload == payload);
  ODB_CHECK(reader.buffered_bytes() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  check_payload(input);
  check_stream(input, {limits::kUnauthenticatedFrameBytesMax, 0});
  check_stream(input, {16, 40});
  check_cutting(input);
  return 0;
}
