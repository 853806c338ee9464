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

/// The frames of a stream that arrives in two parts, each with the head that it must have had.
Bytes reframed(BytesView first, BytesView second, bool& is_broken) {
  Bytes out;
  FrameReader reader(limits::kUnauthenticatedFrameBytesMax);
  for (BytesView part : {first, second}) {
    reader.feed(part);
    while (std::optional<Frame> frame = reader.next()) {
      size_t length = frame->payload.size() + 2;
      ODB_CHECK(length + 4 <= limits::kUnauthenticatedFrameBytesMax);
      for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(length >> shift));
      out.push_back(static_cast<char>(frame->kind));
      out.push_back(0);
      out.append(frame->payload);
    }
  }
  is_broken = !reader.status().is_ok();
  return out;
}

void check_stream(BytesView stream) {
  bool is_broken, is_broken_in_parts;
  Bytes frames = reframed(stream, {}, is_broken);
  ODB_CHECK(stream.starts_with(frames));
  size_t middle = stream.size() / 2;
  ODB_CHECK(reframed(stream.substr(0, middle), stream.substr(middle), is_broken_in_parts) == frames);
  ODB_CHECK(is_broken == is_broken_in_parts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  check_payload(input);
  check_stream(input);
  return 0;
}
