/// Cutting a stream of bytes into frames.
#include "core/protocol/frame.h"

#include <boost/test/unit_test.hpp>

#include "core/protocol/protocol_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

BOOST_AUTO_TEST_SUITE(frame)

BOOST_AUTO_TEST_CASE(a_frame_is_its_length_its_kind_no_flags_and_a_payload) {
  BOOST_TEST(framed(Flush{RequestId{5}}) == Bytes("\0\0\0\3\x08\0\5", 7));
  BOOST_TEST(framed(Heartbeat{}) == Bytes("\0\0\0\2\x0a\0", 6));
  BOOST_TEST(frame_of(MessageKind::kFlush, "\5") == framed(Flush{RequestId{5}}));
}

BOOST_AUTO_TEST_CASE(a_stream_gives_the_same_frames_wherever_it_is_cut) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      Bytes stream;
      std::vector<Bytes> payloads;
      for (int i = 0; i < 50; ++i) {
        payloads.emplace_back(static_cast<size_t>(below(random, below(random, 5) == 0 ? 5000 : 10)),
                              static_cast<char>(i));
        stream += frame_of(static_cast<MessageKind>(i), payloads.back());
      }
      FrameReader reader(10'000);
      size_t fed = 0, count = 0;
      while (fed < stream.size()) {
        size_t size =
            std::min(stream.size() - fed, static_cast<size_t>(below(random, below(random, 3) == 0 ? 9000 : 4)));
        reader.feed(BytesView(stream).substr(fed, size));
        fed += size;
        while (auto frame = reader.next()) {
          BOOST_TEST_REQUIRE(static_cast<size_t>(frame->kind) == count);
          BOOST_TEST_REQUIRE(frame->payload == payloads[count++]);
        }
        BOOST_TEST_REQUIRE(reader.status().is_ok());
      }
      BOOST_TEST(count == payloads.size());
      BOOST_TEST(reader.buffered_bytes() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_length_over_the_limit_is_refused_before_its_payload_comes) {  // P3
  for (size_t payload : {94u, 95u}) {
    FrameReader reader(100);
    reader.feed(frame_of(MessageKind::kAuth, Bytes(payload, 'x')).substr(0, 4));
    BOOST_TEST(!reader.next().has_value());
    BOOST_TEST(reader.status().is_ok() == (payload == 94));
  }
}

BOOST_AUTO_TEST_CASE(a_length_without_room_for_kind_and_flags_is_refused) {
  for (char length : {'\0', '\1'}) {
    FrameReader reader(100);
    reader.feed(Bytes("\0\0\0", 3) + length + "\1\1");
    BOOST_TEST(!reader.next().has_value());
    BOOST_TEST((reader.status().code() == Code::kProtocol));
  }
}

BOOST_AUTO_TEST_CASE(every_flag_is_refused_and_the_stream_stays_broken) {
  for (int bit = 0; bit < 8; ++bit) {
    FrameReader reader(100);
    reader.feed(frame_of(MessageKind::kHeartbeat, "", static_cast<char>(1 << bit)));
    BOOST_TEST(!reader.next().has_value());
    reader.feed(framed(Heartbeat{}));
    BOOST_TEST(!reader.next().has_value());
    BOOST_TEST(!reader.status().is_ok());
  }
}

BOOST_AUTO_TEST_CASE(a_raised_limit_holds_for_the_next_frame) {
  FrameReader reader(100);
  reader.feed(framed(Heartbeat{}) + frame_of(MessageKind::kAuth, Bytes(500, 'x')));
  BOOST_TEST(reader.next().has_value());
  reader.set_limit(1000);
  BOOST_TEST(reader.next().has_value());
  BOOST_TEST(reader.status().is_ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
