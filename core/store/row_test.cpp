/// Rows: what is put in comes out, in narrow and wide layout, also when one is merged into the other.
#include "core/store/row.h"

#include <boost/test/unit_test.hpp>
#include <memory>

#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct Free {
  void operator()(Row* row) const { Row::destroy(row); }
};
using RowPointer = std::unique_ptr<Row, Free>;

/// number -> value; "" is absent.
using Values = std::vector<Bytes>;

RowPointer row_of(const Values& values) {
  std::vector<FieldValue> fields;
  for (const Bytes& value : values) fields.push_back({FieldId{static_cast<uint32_t>(fields.size())}, value});
  return RowPointer(Row::of(Step{7}, fields));
}

RowPointer merged(const Row& before, const std::map<uint32_t, Bytes>& changes) {
  std::vector<FieldValue> fields;
  for (const auto& [field, value] : changes) fields.push_back({FieldId{field}, value});
  return RowPointer(Row::merge(Step{8}, before, fields));
}

Values values_of(const Row& row) {
  Values values;
  for (uint32_t i = 0; i < row.field_count; ++i) values.emplace_back(row.value(FieldId{i}));
  return values;
}

BOOST_AUTO_TEST_SUITE(row)

BOOST_AUTO_TEST_CASE(a_row_gives_back_the_values_it_was_made_of) {
  RowPointer row = row_of({int_value(5), str_value("five"), int_value(0)});
  BOOST_TEST(row->value(FieldId{0}) == int_value(5));
  BOOST_TEST(row->value(FieldId{1}) == str_value("five"));
  BOOST_TEST(row->value(FieldId{2}) == int_value(0));
  BOOST_TEST(row->step.value == 7u);
  BOOST_TEST(!row->is_tombstone);
}

BOOST_AUTO_TEST_CASE(absent_fields_and_fields_added_later_have_no_bytes) {
  RowPointer row = row_of({Bytes(), int_value(1), Bytes()});
  for (uint32_t field : {0u, 2u, 3u, 4000u}) BOOST_TEST(row->value(FieldId{field}).empty());
  BOOST_TEST(row->value(FieldId{1}) == int_value(1));
}

BOOST_AUTO_TEST_CASE(a_row_without_fields_and_a_tombstone_are_different_things) {
  RowPointer empty = row_of({}), tombstone(Row::tombstone(Step{3}));
  BOOST_TEST(!empty->is_tombstone);
  BOOST_TEST(bool{tombstone->is_tombstone});
  BOOST_TEST(empty->value(FieldId{0}).empty());
  BOOST_TEST(tombstone->value(FieldId{0}).empty());
}

BOOST_AUTO_TEST_CASE(an_int_and_a_short_str_take_40_bytes) {
  RowPointer row = row_of({int_value(70'000), str_value("sixty")});
  BOOST_TEST(row->bytes() == 39u);
}

BOOST_AUTO_TEST_CASE(offsets_become_wide_exactly_where_16_bits_end) {
  for (size_t size : {65534u, 65535u, 65536u, 65537u}) {
    RowPointer row = row_of({Bytes(size - 1, 'x'), Bytes(1, 'y'), Bytes()});
    BOOST_TEST(bool{row->is_wide} == (size > 65535), size);
    BOOST_TEST(row->value(FieldId{0}).size() == size - 1);
    BOOST_TEST(row->value(FieldId{1}) == "y");
    BOOST_TEST(row->value(FieldId{2}).empty());
  }
}

BOOST_AUTO_TEST_CASE(merging_replaces_what_changed_and_leaves_a_gap_absent) {
  RowPointer before = row_of({int_value(1), int_value(2)});
  RowPointer after = merged(*before, {{1, int_value(20)}, {4, int_value(50)}});
  BOOST_TEST(values_of(*after) == (Values{int_value(1), int_value(20), "", "", int_value(50)}),
             boost::test_tools::per_element());
  BOOST_TEST(after->step.value == 8u);
}

BOOST_AUTO_TEST_CASE(merging_crosses_the_border_between_narrow_and_wide_both_ways) {
  RowPointer narrow = row_of({int_value(1), str_value("a"), int_value(3)});
  RowPointer wide = merged(*narrow, {{1, Bytes(70'000, 'b')}});
  BOOST_TEST(bool{wide->is_wide});
  BOOST_TEST(wide->value(FieldId{2}) == int_value(3));
  RowPointer again = merged(*wide, {{1, str_value("c")}});
  BOOST_TEST(!again->is_wide);
  BOOST_TEST(values_of(*again) == (Values{int_value(1), str_value("c"), int_value(3)}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(random_rows_agree_with_a_vector_through_many_merges) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      auto random_bytes = [&] {
        return Bytes(static_cast<size_t>(below(random, below(random, 20) == 0 ? 40'000 : 9)), 'v');
      };
      Values model(static_cast<size_t>(below(random, 12)));
      for (Bytes& value : model) value = random_bytes();
      RowPointer row = row_of(model);
      for (int i = 0; i < 50; ++i) {
        std::map<uint32_t, Bytes> changes;
        for (int64_t n = 1 + below(random, 4); n > 0; --n)
          changes[static_cast<uint32_t>(below(random, 16))] = random_bytes() + "x";
        for (const auto& [field, value] : changes) {
          model.resize(std::max<size_t>(model.size(), field + 1));
          model[field] = value;
        }
        row = merged(*row, changes);
        BOOST_TEST_REQUIRE(values_of(*row) == model, boost::test_tools::per_element());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_travels_as_a_record_and_becomes_the_same_row) {
  RowPointer row = row_of({int_value(1), Bytes(), str_value("three")});
  Bytes bytes;
  put_row_record(bytes, Op::kWhole, kItem, ObjectId{9}, *row);
  RecordReader reader(bytes);
  Record record;
  BOOST_TEST_REQUIRE(reader.next(record));
  BOOST_TEST((record.op == Op::kWhole && record.type == kItem && record.object == ObjectId{9}));
  RowPointer again(Row::of(Step{1}, record.fields));
  BOOST_TEST(values_of(*again) == values_of(*row), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
