/// Every message: what is encoded is decoded, and nothing but canonical bytes is taken (P1).
#include "core/protocol/messages.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "core/protocol/protocol_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

constexpr uint64_t kSeeds = 40;

/// Calls f(message, its payload) for random contents of every message type.
void for_random_messages(auto&& f) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for_each_message([&]<class Message>() {
      BOOST_TEST_CONTEXT(Message::kName << ", seed " << seed) {
        Random random(seed);
        RandomFields fields(random);
        Message message;
        message.each(fields);
        f(message, payload_of(message), random);
      }
    });
  }
}

BOOST_AUTO_TEST_SUITE(messages)

BOOST_AUTO_TEST_CASE(every_kind_and_name_is_there_once) {
  std::set<MessageKind> kinds;
  std::set<std::string> names;
  int count = 0;
  for_each_message([&]<class Message>() { ++count, kinds.insert(Message::kKind), names.insert(Message::kName); });
  BOOST_TEST(count == 26);
  BOOST_TEST(kinds.size() == 26u);
  BOOST_TEST(names.size() == 26u);
}

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded) {
  for_random_messages([]<class Message>(const Message&, const Bytes& payload, Random&) {
    Result<Message> decoded = decode_message<Message>(payload);
    BOOST_TEST_REQUIRE(decoded.is_ok());
    BOOST_TEST_REQUIRE(payload_of(decoded.value()) == payload);
  });
}

BOOST_AUTO_TEST_CASE(a_message_that_is_cut_short_or_goes_on_is_refused) {
  for_random_messages([]<class Message>(const Message&, const Bytes& payload, Random&) {
    for (size_t size = 0; size < payload.size(); ++size)
      BOOST_TEST_REQUIRE(!decode_message<Message>(BytesView(payload).substr(0, size)).is_ok(), size);
    BOOST_TEST_REQUIRE((decode_message<Message>(payload + '\0').status().code() == Code::kProtocol));
  });
}

BOOST_AUTO_TEST_CASE(damaged_bytes_are_refused_or_encode_to_themselves) {  // P1
  for_random_messages([]<class Message>(const Message&, Bytes payload, Random& random) {
    for (int i = 0; i < 20 && !payload.empty(); ++i) {
      payload[random() % payload.size()] = static_cast<char>(random());
      Result<Message> decoded = decode_message<Message>(payload);
      if (decoded.is_ok()) BOOST_TEST_REQUIRE(payload_of(decoded.value()) == payload);
    }
  });
}

BOOST_AUTO_TEST_CASE(numbers_and_choices_out_of_range_are_refused) {
  BOOST_TEST(!decode_message<Subscribe>(Bytes("\1\1\2", 3)).is_ok());                    // scope 2
  BOOST_TEST(!decode_message<Subscribe>(Bytes("\1\xff\xff\xff\xff\x1f\1", 7)).is_ok());  // a type of 33 bits
  BOOST_TEST(!decode_message<CommitEnd>(Bytes("\1\1\2", 3)).is_ok());                    // a bool of 2
  BOOST_TEST(!decode_message<ServerGoodbye>(Bytes("\0\0", 2)).is_ok());                  // farewell 0
  BOOST_TEST(!decode_message<Flush>(Bytes("\x81\0", 2)).is_ok());                        // a varint with padding
  BOOST_TEST(!decode_message<IdentityBlock>(Bytes("\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 10)).is_ok());  // 2^63
}

BOOST_AUTO_TEST_CASE(a_count_without_its_items_allocates_nothing) {  // P3
  Bytes payload("\1\1", 2);
  put_varint(payload, uint64_t{1} << 60);
  BOOST_TEST(!decode_message<SchemaMapping>(payload).is_ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
