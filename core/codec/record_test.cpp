/// Records against the grammar in record.h: exact bytes, what is refused, and what damage does.
#include "core/codec/record.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "core/base/limits.h"
#include "core/codec/value.h"
#include "core/codec/value_testing.h"

namespace odb {
namespace {

using testing::from_hex, testing::Random;

constexpr uint64_t kSeed = 20240602;

/// The bytes of a record, from nothing but its parts.
Bytes rebuilt(const Record& record) {
  Bytes out;
  put_record_head(out, record.op, record.type, record.object);
  if (record.op == Op::kDelete) return out;
  put_varint(out, record.fields.size());
  for (const FieldValue& field : record.fields) {
    if (record.op == Op::kUpdate) put_varint(out, field.field.value);
    if (field.value.empty()) put_absent(out);
    out.append(field.value);
  }
  return out;
}

/// For people: "update 3:17 0=6 2='b'", several joined by "; ", and at the end "!" when the bytes are refused.
std::string told(BytesView bytes) {
  static const char* const kNames[] = {"", "create", "update", "delete", "whole"};
  std::string out;
  RecordReader in(bytes);
  for (Record record; in.next(record);) {
    if (!out.empty()) out += "; ";
    out += kNames[static_cast<size_t>(record.op)];
    out += " " + std::to_string(record.type.value) + ":" + std::to_string(record.object.value);
    for (const FieldValue& field : record.fields) {
      out += " " + std::to_string(field.field.value) + "=";
      out += field.value.empty() ? "absent" : show(decode(field.value, Mode::kValue).value());
    }
  }
  return in.is_ok() ? out : out + "!";
}

std::string told_hex(std::string_view hex) { return told(from_hex(hex)); }

Bytes random_value(Random& random) {
  Bytes out;
  switch (random() % 6) {
    case 0: put_none(out); break;
    case 1: put_bool(out, random() % 2); break;
    case 2: put_int(out, static_cast<int64_t>(random() >> (random() % 64))); break;
    case 3: put_float(out, static_cast<double>(random()), Mode::kValue); break;
    case 4: put_str(out, std::string(random() % 4, 'x'), Mode::kValue); break;
    default:
      put_reference(out, TypeId{1 + static_cast<uint32_t>(random() % 1000)},
                    ObjectId{static_cast<int64_t>(random() % 1000)});
  }
  return out;
}

Bytes random_record(Random& random) {
  Bytes out;
  auto op = static_cast<Op>(1 + random() % 4);
  put_record_head(out, op, TypeId{1 + static_cast<uint32_t>(random() % 300)},
                  ObjectId{1 + static_cast<int64_t>(random() >> (2 + random() % 62))});
  if (op == Op::kDelete) return out;
  size_t fields = random() % 4 + (op == Op::kUpdate);
  put_varint(out, fields);
  for (uint64_t field = 0, i = 0; i < fields; ++i, ++field) {
    if (op == Op::kUpdate) put_varint(out, field += random() % 200);
    if (op != Op::kUpdate && random() % 3 == 0) {
      put_absent(out);
    } else {
      out += random_value(random);
    }
  }
  return out;
}

BOOST_AUTO_TEST_SUITE(record)

BOOST_AUTO_TEST_CASE(a_record_tells_what_happened_to_one_object) {
  BOOST_TEST(told_hex("01038111 03 8105 00 200161") == "create 3:17 0=5 1=absent 2='a'");
  BOOST_TEST(told_hex("02038111 02 008106 02200162") == "update 3:17 0=6 2='b'");
  BOOST_TEST(told_hex("03038111") == "delete 3:17");
  BOOST_TEST(told_hex("04038111 02 02 05") == "whole 3:17 0=None 1=True");
  BOOST_TEST(told_hex("01038111 00") == "create 3:17");
  BOOST_TEST(told_hex("04038111 00") == "whole 3:17");
}

BOOST_AUTO_TEST_CASE(a_head_is_written_as_it_is_read) {
  Bytes out;
  put_record_head(out, Op::kDelete, TypeId{300}, ObjectId{65536});
  BOOST_TEST(hex_of(out) == "03ac0283010000");
  out.clear();
  put_record_head(out, Op::kDelete, TypeId{INT32_MAX}, ObjectId{limits::kIdentityMax});
  BOOST_TEST(hex_of(out) == "03ffffffff07883fffffffffffffff");
  BOOST_TEST(told(out) == "delete 2147483647:4611686018427387903");
}

BOOST_AUTO_TEST_CASE(records_are_read_one_after_the_other_as_slices) {
  Bytes all = from_hex("01038111018105 03038112 0403811300");
  RecordReader in(all);
  size_t at = 0;
  for (Record record; in.next(record);) {
    BOOST_TEST(record.bytes.data() == all.data() + at);
    at += record.bytes.size();
  }
  BOOST_TEST(in.is_ok());
  BOOST_TEST(at == all.size());
  BOOST_TEST(told(all) == "create 3:17 0=5; delete 3:18; whole 3:19");
}

BOOST_AUTO_TEST_CASE(a_record_that_is_used_again_forgets_the_one_before) {
  Bytes all = from_hex("0103811103810581068107 03038112");
  RecordReader in(all);
  Record record;
  BOOST_REQUIRE(in.next(record));
  BOOST_TEST(record.fields.size() == 3u);
  BOOST_REQUIRE(in.next(record));
  BOOST_TEST(record.fields.empty());
  BOOST_TEST(record.bytes.size() == 4u);
}

BOOST_AUTO_TEST_CASE(no_bytes_are_no_records_and_no_error) { BOOST_TEST(told("") == ""); }

BOOST_AUTO_TEST_CASE(an_op_that_is_not_in_the_grammar_is_refused) {
  for (int op = 0; op < 256; ++op) {
    if (op >= 1 && op <= 4) continue;
    BOOST_TEST(told(static_cast<char>(op) + from_hex("03811100")) == "!", "op " << op);
    BOOST_TEST(told(static_cast<char>(op) + from_hex("038111")) == "!", "op " << op);
  }
}

BOOST_AUTO_TEST_CASE(a_record_needs_a_type_and_an_object) {
  BOOST_TEST(told_hex("03008111") == "!");                // type 0
  BOOST_TEST(told_hex("03808080800881 11") == "!");       // type 2^31
  BOOST_TEST(told_hex("038380808010 8111") == "!");       // type 2^32 + 3
  BOOST_TEST(told_hex("0383008111") == "!");              // type 3, padded
  BOOST_TEST(told_hex("030380") == "!");                  // object 0
  BOOST_TEST(told_hex("03037f") == "!");                  // object -1
  BOOST_TEST(told_hex("0303884000000000000000") == "!");  // object 2^62
  BOOST_TEST(told_hex("0303820011") == "!");              // object 17, padded
  BOOST_TEST(told_hex("0303200111") == "!");              // a str where the object is due
}

BOOST_AUTO_TEST_CASE(an_update_says_something_and_every_field_once_in_order) {
  BOOST_TEST(told_hex("02038111 00") == "!");
  BOOST_TEST(told_hex("02038111 02 018105 018106") == "!");
  BOOST_TEST(told_hex("02038111 02 028105 018106") == "!");
  BOOST_TEST(told_hex("02038111 02 018105 008106") == "!");
  BOOST_TEST(told_hex("02038111 01 81008105") == "!");  // field 1, padded
}

BOOST_AUTO_TEST_CASE(an_update_cannot_take_a_value_away) { BOOST_TEST(told_hex("02038111 01 0000") == "!"); }

BOOST_AUTO_TEST_CASE(a_value_that_is_not_canonical_is_refused) {
  for (auto op : {"01", "04"})
    for (auto value : {"8100", "01", "20ff", "2001ff", "90fff8000000000000", "608003"})
      BOOST_TEST(told_hex(std::string(op) + "038111 01" + value) == "!", value);
  BOOST_TEST(told_hex("02038111 01 008100") == "!");
}

BOOST_AUTO_TEST_CASE(more_fields_than_bytes_left_are_refused_before_anything_is_allocated) {
  auto check = [](std::string_view hex) {
    Bytes bytes = from_hex(hex);
    RecordReader in(bytes);
    Record record;
    BOOST_TEST(!in.next(record), hex);
    BOOST_TEST(!in.is_ok(), hex);
    BOOST_TEST(record.fields.capacity() == 0u, hex);
  };
  for (std::string op : {"01", "02", "04"})
    for (auto count : {"04", "ff1f", "ffffffff0f", "ffffffffffffffffff01"}) check(op + "038111" + count + "000202");
  check("02 038111 02 000202");  // two pairs need four bytes
}

BOOST_AUTO_TEST_CASE(a_type_has_4096_fields_at_most) {
  auto create = [](size_t fields) {
    Bytes out = from_hex("01038111");
    put_varint(out, fields);
    return out + Bytes(fields, static_cast<char>(kind::kAbsent));
  };
  auto update = [](size_t field) {
    Bytes out = from_hex("0203811101");
    put_varint(out, field);
    put_none(out);
    return out;
  };
  BOOST_TEST(limits::kFieldsPerTypeMax == 4096u);
  BOOST_TEST(told(create(4096)).ends_with(" 4095=absent"));
  BOOST_TEST(told(create(4097)) == "!");
  BOOST_TEST(told(update(4095)) == "update 3:17 4095=None");
  BOOST_TEST(told(update(4096)) == "!");
  BOOST_TEST(told(update(uint64_t{1} << 32)) == "!");  // 0 in 32 bits
  BOOST_TEST(told(update(UINT64_MAX)) == "!");
}

BOOST_AUTO_TEST_CASE(a_record_cut_short_anywhere_is_refused) {
  for (auto hex : {"01038111 03 8105 00 200161", "02038111 02 008106 02200162", "03038111",
                   "04038111 02 6081038111 908000000000000000"}) {
    Bytes whole = from_hex(hex);
    for (size_t size = 1; size < whole.size(); ++size)
      BOOST_TEST(told(BytesView(whole).substr(0, size)) == "!", hex << " cut to " << size << " bytes");
  }
}

BOOST_AUTO_TEST_CASE(a_broken_record_ends_the_reading_but_those_before_it_count) {
  Bytes bytes = from_hex("03038111 ff 03038112");
  RecordReader in(bytes);
  Record record;
  BOOST_TEST(in.next(record));
  BOOST_TEST(!in.next(record));
  BOOST_TEST(!in.next(record));
  BOOST_TEST(!in.is_ok());
  BOOST_TEST(told(bytes) == "delete 3:17!");
}

BOOST_AUTO_TEST_CASE(a_record_is_rebuilt_from_its_parts) {
  Random random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = random_record(random);
    RecordReader in(bytes);
    Record record;
    BOOST_REQUIRE_MESSAGE(in.next(record), "seed " << kSeed << ": " << hex_of(bytes));
    BOOST_REQUIRE_MESSAGE(rebuilt(record) == bytes && record.bytes == bytes, "seed " << kSeed << ": " << hex_of(bytes));
  }
}

BOOST_AUTO_TEST_CASE(damaged_records_are_refused_or_are_others_that_have_these_bytes) {
  Random random(kSeed);
  int refused = 0, accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes = random_record(random) + random_record(random);
    size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8))); break;
      case 1: bytes[at] = static_cast<char>(random()); break;
      case 2: bytes.insert(at, 1, static_cast<char>(random())); break;
      default: bytes.erase(at, 1);
    }
    Bytes again;
    RecordReader in(bytes);
    for (Record record; in.next(record);) again += rebuilt(record);
    (in.is_ok() ? accepted : refused) += 1;
    BOOST_REQUIRE_MESSAGE(bytes.starts_with(again), "seed " << kSeed << ": " << hex_of(bytes));
    if (in.is_ok()) BOOST_REQUIRE_MESSAGE(again == bytes, "seed " << kSeed << ": " << hex_of(bytes));
  }
  BOOST_TEST(refused > 5'000);
  BOOST_TEST(accepted > 5'000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
