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

// ---- messages in several frames

constexpr size_t kSmallFrame = 16;  // ten bytes of payload

Bytes small_framed(const Auth& auth) {
  Bytes out;
  put_frame(out, auth, kSmallFrame);
  return out;
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_into_a_frame_goes_on_in_the_next_one) {
  BOOST_TEST(small_framed(Auth{"123456789"}) == frame_of(MessageKind::kAuth,
                                                         "\x09"
                                                         "123456789"));
  BOOST_TEST(small_framed(Auth{"1234567890"}) == frame_of(MessageKind::kAuth,
                                                          "\x0a"
                                                          "123456789",
                                                          kContinues) +
                                                     frame_of(MessageKind::kAuth, "0"));
  BOOST_TEST(small_framed(Auth{"1234567890123456789"}) == frame_of(MessageKind::kAuth,
                                                                   "\x13"
                                                                   "123456789",
                                                                   kContinues) +
                                                              frame_of(MessageKind::kAuth, "0123456789"));
}

BOOST_AUTO_TEST_CASE(a_message_in_several_frames_is_whole_again_wherever_the_stream_is_cut) {
  for (size_t size = 0; size < 60; ++size) {
    Auth auth{Bytes(size, 'x')};
    Bytes stream = framed(Heartbeat{}) + small_framed(auth) + framed(Flush{RequestId{5}});
    for (size_t step = 1; step <= stream.size(); ++step) {
      FrameReader reader(kSmallFrame, 100);
      std::vector<Bytes> payloads;
      for (size_t at = 0; at < stream.size(); at += step) {
        reader.feed(BytesView(stream).substr(at, step));
        while (auto frame = reader.next()) payloads.emplace_back(frame->payload);
      }
      BOOST_TEST_REQUIRE(reader.status().is_ok());
      BOOST_TEST_REQUIRE((payloads == std::vector<Bytes>{"", payload_of(auth), "\5"}));
      BOOST_TEST_REQUIRE(reader.buffered_bytes() == 0u);
    }
  }
}

/// What a reader that takes messages of up to 25 bytes says of a stream; empty: nothing against it.
std::string complaint(const Bytes& stream) {
  FrameReader reader(kSmallFrame, 25);
  reader.feed(stream);
  while (reader.next()) {}
  return reader.status().message();
}

BOOST_AUTO_TEST_CASE(a_message_has_one_way_to_be_cut) {  // P1
  auto first = [](size_t size) { return frame_of(MessageKind::kAuth, Bytes(size, 'x'), kContinues); };
  auto last = [](size_t size) { return frame_of(MessageKind::kAuth, Bytes(size, 'x')); };
  BOOST_TEST(complaint(first(10) + last(1)) == "");
  BOOST_TEST(complaint(first(9) + last(1)) == "frame of 11 bytes that is neither full nor the last of its message");
  BOOST_TEST(complaint(first(10) + last(0)) == "empty frame at the end of a message");
}

BOOST_AUTO_TEST_CASE(a_message_is_not_interleaved_and_does_not_change_its_kind) {
  Bytes first = frame_of(MessageKind::kAuth, Bytes(10, 'x'), kContinues);
  BOOST_TEST(complaint(first + framed(Heartbeat{})) == "frame of kind 10 inside of a message of kind 2");
  BOOST_TEST(complaint(first + frame_of(MessageKind::kFlush, Bytes(10, 'x'), kContinues)) ==
             "frame of kind 8 inside of a message of kind 2");
}

BOOST_AUTO_TEST_CASE(a_message_over_its_limit_is_refused_at_the_head_that_goes_too_far) {  // P3
  Bytes full = frame_of(MessageKind::kAuth, Bytes(10, 'x'), kContinues);
  BOOST_TEST(complaint(full + full + frame_of(MessageKind::kAuth, "12345")) == "");
  BOOST_TEST(complaint(full + full + frame_of(MessageKind::kAuth, "123456").substr(0, 6)) ==
             "message of more than 25 bytes");
  BOOST_TEST(complaint(full + full + full.substr(0, 6)) == "message of more than 25 bytes");
}

BOOST_AUTO_TEST_CASE(who_allows_no_message_over_a_frame_refuses_its_first_one) {
  FrameReader reader(kSmallFrame);
  reader.feed(frame_of(MessageKind::kAuth, Bytes(10, 'x'), kContinues).substr(0, 6));
  BOOST_TEST(!reader.next().has_value());
  BOOST_TEST((reader.status().code() == Code::kProtocol));
}

BOOST_AUTO_TEST_CASE(other_flags_are_refused_where_messages_may_go_on) {
  for (int flags = 2; flags < 256; ++flags)
    BOOST_TEST(complaint(frame_of(MessageKind::kAuth, Bytes(10, 'x'), static_cast<char>(flags))) != "", flags);
}

BOOST_AUTO_TEST_CASE(a_raised_limit_holds_for_the_next_frame) {
  FrameReader reader(100);
  reader.feed(framed(Heartbeat{}) + frame_of(MessageKind::kAuth, Bytes(500, 'x')));
  BOOST_TEST(reader.next().has_value());
  reader.set_limits(1000);
  BOOST_TEST(reader.next().has_value());
  BOOST_TEST(reader.status().is_ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
