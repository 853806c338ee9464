/// Reads: what is recorded travels, once, and nothing but canonical bytes is taken.
#include "core/view/read_set.h"

#include <boost/test/unit_test.hpp>

#include "core/base/limits.h"
#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

Bytes encoded(const ReadSet& reads, size_t part_bytes = SIZE_MAX) {
  std::vector<Bytes> parts;
  reads.encode(parts, part_bytes);
  return joined(parts);
}

BOOST_AUTO_TEST_SUITE(read_set)

BOOST_AUTO_TEST_CASE(a_fresh_set_is_empty_and_has_no_parts) {
  ReadSet reads;
  std::vector<Bytes> parts;
  reads.encode(parts, 100);
  BOOST_TEST(reads.is_empty());
  BOOST_TEST(parts.empty());
}

BOOST_AUTO_TEST_CASE(what_is_recorded_arrives_once) {
  ReadSet reads;
  for (int i = 0; i < 3; ++i) {
    reads.add_existence(kItem, ObjectId{7});
    reads.add_field(kItem, ObjectId{7}, FieldId{2});
    reads.add_field(kItem, ObjectId{8}, FieldId{0});
    reads.add_index_key(kItem, kByShelf, "k");
    reads.add_type(TypeId{3});
  }
  Bytes bytes = encoded(reads);
  BOOST_TEST((told_reads(bytes) == Told{"1:7 exists", "1:7.2", "1:8.0", "key 1.0", "type 3"}));
  ReadsReader reader(bytes);
  int entries = 0;
  for (Read read; reader.next(read);) ++entries;
  BOOST_TEST(entries == 4);
}

BOOST_AUTO_TEST_CASE(marks_beyond_the_mask_travel_in_ascending_order_with_the_others) {
  ReadSet reads;
  for (uint32_t field : {4095u, 62u, 63u, 64u, 0u, 1000u}) reads.add_field(kItem, ObjectId{7}, FieldId{field});
  reads.add_field(kItem, ObjectId{8}, FieldId{70});
  BOOST_TEST(
      (told_reads(encoded(reads)) == Told{"1:7.0", "1:7.62", "1:7.63", "1:7.64", "1:7.1000", "1:7.4095", "1:8.70"}));
}

BOOST_AUTO_TEST_CASE(the_largest_identity_can_be_read) {
  ReadSet reads;
  reads.add_field(kItem, ObjectId{INT64_MAX}, FieldId{100});
  BOOST_TEST((told_reads(encoded(reads)) == Told{"1:9223372036854775807.100"}));
}

BOOST_AUTO_TEST_CASE(parts_are_cut_between_entries) {
  ReadSet reads;
  Told expected;
  for (int64_t object = 1; object <= 500; ++object) {
    reads.add_field(kItem, ObjectId{object}, kShelf);
    expected.insert("1:" + std::to_string(object) + ".1");
  }
  std::vector<Bytes> parts;
  reads.encode(parts, 100);
  Told found;
  for (const Bytes& part : parts) {
    BOOST_TEST(part.size() < 120u);
    Told told = told_reads(part);
    found.insert(told.begin(), told.end());
  }
  BOOST_TEST((found == expected));
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_reads_are_refused) {
  auto object_entry = [](std::vector<uint64_t> marks, int64_t object = 7) {
    Bytes out("\1\1", 2);
    put_int(out, object);
    put_varint(out, marks.size());
    for (uint64_t mark : marks) put_varint(out, mark);
    return out;
  };
  BOOST_TEST(!told_reads(object_entry({0, 3})).contains("!"));
  Bytes unknown_kind("\4\1", 2), type_zero("\3\0", 2), far_index("\2\1\x80\2\0", 5), cut("\2\1\1\5ab", 6);
  for (const Bytes& wrong : {object_entry({}), object_entry({3, 3}), object_entry({3, 1}), object_entry({4097}),
                             object_entry({1}, 0), object_entry({1}, -5), unknown_kind, type_zero, far_index, cut})
    BOOST_TEST(told_reads(wrong).contains("!"));
}

BOOST_AUTO_TEST_CASE(every_prefix_of_good_reads_is_shorter_or_refused) {
  ReadSet reads;
  reads.add_field(kItem, ObjectId{700}, FieldId{2});
  reads.add_index_key(kItem, kByShelf, "key");
  reads.add_type(TypeId{300});
  Bytes bytes = encoded(reads);
  Told whole = told_reads(bytes);
  for (size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST((told_reads(BytesView(bytes).substr(0, size)) != whole), size);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
