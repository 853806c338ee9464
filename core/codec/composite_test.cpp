/// Values of all kinds: exact bytes, what is refused, and what random ones show of V forms, K forms and their order.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "core/codec/value_testing.h"

namespace odb {
namespace {

using namespace testing;

constexpr uint64_t kSeed = 20240605;
constexpr int kDepth = 4;

Bytes in_v(const Value& value) { return encode(value, Mode::kValue); }
Bytes in_k(const Value& value) { return encode(value, Mode::kKey); }

Bytes key_of(BytesView value) {
  Bytes key;
  append_key(key, value);
  return key;
}

int sign(int order) { return (order > 0) - (order < 0); }

Bytes as_int(int64_t value) {
  Bytes out;
  put_int(out, value);
  return out;
}

/// The bytes are one value, read alike by everybody who reads, and this is its key.
void check_bytes(std::string_view v_hex, std::string_view k_hex, const std::string& shown) {
  Bytes bytes = from_hex(v_hex);
  BOOST_TEST_CONTEXT(shown) {
    Reader in(bytes);
    BOOST_TEST(hex_of(in.value()) == hex_of(bytes));
    BOOST_TEST(hex_of(key_of(bytes)) == hex_of(from_hex(k_hex)));
    for (Mode mode : {Mode::kValue, Mode::kKey}) {
      Bytes expected = from_hex(mode == Mode::kValue ? v_hex : k_hex);
      Result<Value> decoded = decode(expected, mode);
      BOOST_REQUIRE(decoded.is_ok());
      BOOST_TEST(hex_of(encode(decoded.value(), mode)) == hex_of(expected));
      if (mode == Mode::kValue) BOOST_TEST(show(decoded.value()) == shown);
    }
  }
}

void check_bytes(std::string_view hex, const std::string& shown) { check_bytes(hex, hex, shown); }

bool is_value(BytesView bytes) {
  Reader in(bytes);
  in.value();
  bool is_read = in.is_ok() && in.at_end();
  BOOST_TEST(is_read == decode(bytes, Mode::kValue).is_ok());
  return is_read;
}

void check_refused(std::string_view hex) { BOOST_TEST(!is_value(from_hex(hex)), hex); }

Bytes decimal(std::string_view digits, int64_t exponent, bool is_negative = false) {
  Bytes out;
  BOOST_TEST(put_decimal(out, is_negative, digits, exponent));
  return out;
}

BOOST_AUTO_TEST_SUITE(composite)

// ---- exact bytes

BOOST_AUTO_TEST_CASE(times_are_biased_microseconds_and_days) {
  check_bytes("30 8000000000000000 80", "30 8000000000000000", "1970-01-01 00:00:00+00:00");
  check_bytes("30 8000000000000000 85 01ad274800", "30 8000000000000000", "1970-01-01 02:00:00+02:00");
  check_bytes("32 8000000000000001", "1970-01-01 00:00:00.000001");
  check_bytes("32 7fffffffffffffff", "1969-12-31 23:59:59.999999");
  check_bytes("34 80000000", "1970-01-01");
  check_bytes("36 0000000000000001", "00:00:00.000001");
  check_bytes("38 7fffffffffffffff", "-1 us");
  check_bytes("3c 00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff");
}

BOOST_AUTO_TEST_CASE(a_decimal_is_its_exponent_and_pairs_of_digits) {
  check_bytes("3a 03 8101 10 00 00", "3a 03 8101 10 00", "1.5");
  check_bytes("3a 03 8101 10 00 01", "3a 03 8101 10 00", "1.50");
  check_bytes("3a 01 7efe ef ff 00", "3a 01 7efe ef ff", "-1.5");
  check_bytes("3a 03 8103 0b 00 02", "3a 03 8103 0b 00", "100");
  check_bytes("3a 02 00 80", "3a 02", "0");
  check_bytes("3a 02 01 7efe", "3a 02", "-0.00");
  BOOST_TEST(hex_of(decimal("0015", -1)) == hex_of(from_hex("3a03 8101 1000 00")));
}

BOOST_AUTO_TEST_CASE(containers_are_counted_when_stored_and_ended_in_keys) {
  check_bytes("40 00", "40 00", "()");
  check_bytes("40 02 8101 8102", "40 01 8101 01 8102 00", "(1, 2)");
  check_bytes("48 02 8101 8102", "48 01 8101 01 8102 00", "{1, 2}");
  check_bytes("44 01 200161 02", "44 01 20610001 02 00", "{'a': None}");
  check_bytes("50 80 00", "50 80 02", "<record 0: >");
  check_bytes("50 8107 03 8101 01 80 00", "50 8107 03 8101 01 80 02", "<record 7: 1, 0>");
  check_bytes("50 8107 03 8101 02 907fffffffffffffff 00", "50 8107 03 8101 02", "<record 7: 1, -0.0>");
  check_bytes("58 8107 8101 03 05 00", "58 8107 8101 03 05 02", "<alternative 7.1: True>");
  check_bytes("68 0161 4000", "68 610001 4000", "<a: ()>");
  check_bytes("6c 0100", "6c 00ff0001", "<pickle of 1 bytes>");
  check_bytes("88 ffffffffffffffff", "18446744073709551615");
}

BOOST_AUTO_TEST_CASE(what_is_put_is_what_is_read) {
  Bytes out;
  put_datetime_aware(out, -1, -3'600'000'000);
  put_datetime_naive(out, kDatetimeMaxUs);
  put_date(out, kDateMin);
  put_time(out, kDayUs - 1);
  put_timedelta(out, INT64_MIN);
  put_uuid(out, "0123456789abcdef");
  put_unsigned(out, UINT64_MAX);
  put_record_value_head(out, UINT32_MAX);
  put_fields(out, {});
  put_alternative_head(out, 5, 4095);
  put_fields(out, {});
  put_codec_head(out, "name");
  put_pickle(out, "abc");
  std::string shown;
  for (Reader in(out); !in.at_end();) shown += show(decode(in.value(), Mode::kValue).value()) + "\n";
  BOOST_TEST(
      shown ==
      "1969-12-31 22:59:59.999999-01:00\n9999-12-31 23:59:59.999999\n0001-01-01\n23:59:59.999999\n"
      "-9223372036854775808 us\n30313233-3435-3637-3839-616263646566\n18446744073709551615\n<record 4294967295: >\n"
      "<alternative 5.4095: >\n<name: <pickle of 3 bytes>>\n");
}

BOOST_AUTO_TEST_CASE(a_decimal_is_read_as_it_was_put) {
  Random random(kSeed);
  for (int i = 0; i < 2'000; ++i) {
    std::string digits(1 + below(random, below(random, 2) ? 6 : limits::kDecimalDigitsMax), '0');
    for (char& c : digits) c = static_cast<char>('0' + (below(random, 3) ? below(random, 10) : 0));
    if (digits.size() > 1 && digits[0] == '0') digits[0] = '1';
    int64_t exponent = static_cast<int64_t>(below(random, 200)) - 100;
    Bytes bytes = decimal(digits, exponent, i % 2);
    Reader in(BytesView(bytes).substr(1));
    DecimalParts parts;
    in.decimal_after_kind(&parts);
    BOOST_REQUIRE(in.is_ok() && in.at_end());
    BOOST_REQUIRE(parts.digits() == digits && parts.exponent == exponent && parts.is_negative == (i % 2 == 1));
  }
}

BOOST_AUTO_TEST_CASE(a_decimal_has_limits) {
  Bytes out;
  std::string most(limits::kDecimalDigitsMax, '9');
  BOOST_TEST(put_decimal(out, false, most, 0));
  BOOST_TEST(put_decimal(out, true, "1", limits::kDecimalExponentMax - 1));
  BOOST_TEST(put_decimal(out, true, most, limits::kDecimalExponentMax - static_cast<int64_t>(most.size())));
  BOOST_TEST(put_decimal(out, false, "1", -limits::kDecimalExponentMax - 1));
  BOOST_TEST(put_decimal(out, true, "0", -limits::kDecimalExponentMax));
  for (Reader in(out); !in.at_end();) BOOST_REQUIRE(!in.value().empty());
  size_t size = out.size();
  BOOST_TEST(!put_decimal(out, false, most + "9", 0));
  BOOST_TEST(!put_decimal(out, false, "1", limits::kDecimalExponentMax));
  BOOST_TEST(!put_decimal(out, false, "1", -limits::kDecimalExponentMax - 2));
  BOOST_TEST(!put_decimal(out, false, "0", limits::kDecimalExponentMax + 1));
  BOOST_TEST(!put_decimal(out, false, "1", INT64_MIN));
  BOOST_TEST(!put_decimal(out, false, most, INT64_MAX));
  BOOST_TEST(out.size() == size);
}

// ---- what is refused

BOOST_AUTO_TEST_CASE(times_that_python_does_not_have_are_refused) {
  check_refused("30 8000000000000000");                // no offset
  check_refused("30 8000000000000000 85 141dd76000");  // a day
  check_refused("30 8000000000000000 7a ebe228a000");  // less than minus a day
  check_refused("30 ffffffffffffffff 80");
  check_refused("30 0000000000000000 77 8000000000000000");
  check_refused("32 0000000000000000");
  check_refused("32 ffffffffffffffff");
  check_refused("34 00000000");
  check_refused("34 ffffffff");
  check_refused("36 000000141dd76000");
  check_refused("36 8000000000000000");
  check_refused("3c 001122");
}

BOOST_AUTO_TEST_CASE(a_decimal_in_another_form_is_refused) {
  check_refused("3a 03 8101 00 00");            // no digits
  check_refused("3a 03 8101 01 00 00");         // 00 first
  check_refused("3a 03 8101 02 00 00");         // 01 first
  check_refused("3a 03 8101 10 01 00 00");      // 00 last
  check_refused("3a 03 8101 65 00 00");         // no pair of digits
  check_refused("3a 03 8101 10 00 cf8700");     // 1000 zeros and more
  check_refused("3a 03 8101 10 00 8000");       // padded
  check_refused("3a 01 7efe ef 00 00");         // not complemented
  check_refused("3a 03 84 7fffffff 10 00 00");  // a large exponent
  check_refused("3a 02 02 80");
  check_refused("3a 02 00 84 7fffffff");
  check_refused("3a 00 8101 10 00 00");
  check_refused("3a 04 8101 10 00 00");
}

BOOST_AUTO_TEST_CASE(sets_and_keys_ascend_strictly) {
  check_refused("48 02 8102 8101");
  check_refused("48 02 8101 8101");
  check_refused("48 02 907fffffffffffffff 908000000000000000");  // -0.0 and 0.0
  check_refused("48 02 3a03 8101 1000 00 3a03 8101 1000 01");    // 1.5 and 1.50
  check_refused("44 02 8102 02 8101 02");
  check_refused("44 02 8101 02 8101 04");
  BOOST_TEST(is_value(from_hex("44 02 8101 8102 8102 8101")));
  check_refused("48 03 8101 8102");
  check_refused("44 01 8101");
  check_refused("40 ffffffffffffffffff01 80");
  check_refused("40 8100 80");
}

BOOST_AUTO_TEST_CASE(marks_of_a_record_are_1_to_3_and_only_2_behind_2) {
  check_refused("50 80 04 80 00");
  check_refused("50 80 02 80 03 80 00");
  check_refused("50 80 02 80 01 80 00");
  check_refused("50 80 03 80");
  check_refused("50 80 03 00");
  check_refused("50 7f 00");            // tag -1
  check_refused("50 850100000000 00");  // tag over 32 bits
  check_refused("58 80 821000 00");     // arm 4096
  check_refused("58 80 7f 00");
  BOOST_TEST(is_value(from_hex("50 80 02 80 02 80 00")));
  Bytes many = from_hex("50 80");
  for (size_t i = 0; i < limits::kFieldsPerTypeMax; ++i) many += from_hex("0380");
  BOOST_TEST(is_value(many + '\0'));
  BOOST_TEST(!is_value(many + from_hex("038000")));
}

BOOST_AUTO_TEST_CASE(values_nest_to_a_depth_and_no_deeper) {
  for (auto open : {"4001", "4801", "440180", "508003", "58808003", "680161"}) {
    bool has_end = std::string_view(open).starts_with("5");
    for (int depth : {limits::kValueDepthMax, limits::kValueDepthMax + 1, 100'000}) {
      Bytes deep;
      for (int i = 0; i < depth; ++i) deep += from_hex(open);
      deep += from_hex("80");
      if (has_end) deep += Bytes(static_cast<size_t>(depth), '\0');
      BOOST_TEST(is_value(deep) == (depth == limits::kValueDepthMax), open << " " << depth);
      if (depth > limits::kValueDepthMax) continue;
      BOOST_TEST(compare_values(deep, deep) == 0);
      BOOST_TEST(decode(key_of(deep), Mode::kKey).is_ok());
      BOOST_TEST(!contains_pickle(deep));
    }
  }
}

// ---- random values

BOOST_AUTO_TEST_CASE(values_of_all_kinds_are_read_as_they_were_written) {
  Random random(kSeed);
  for (int i = 0; i < 50'000; ++i) {
    Value value = random_value(random, kDepth);
    Bytes stored = in_v(value), key = in_k(value);
    Reader in(stored);
    BOOST_REQUIRE_MESSAGE(in.value().size() == stored.size(), "seed " << kSeed << ": " << hex_of(stored));
    Result<Value> from_stored = decode(stored, Mode::kValue), from_key = decode(key, Mode::kKey);
    BOOST_REQUIRE_MESSAGE(from_stored.is_ok() && in_v(from_stored.value()) == stored,
                          "seed " << kSeed << ": " << hex_of(stored));
    BOOST_REQUIRE_MESSAGE(from_key.is_ok() && in_k(from_key.value()) == key, "seed " << kSeed << ": " << hex_of(key));
    BOOST_REQUIRE_MESSAGE(order_of(from_stored.value(), value) == 0, "seed " << kSeed << ": " << show(value));
    BOOST_REQUIRE_MESSAGE(key_of(stored) == key, "seed " << kSeed << ": " << hex_of(stored));
  }
}

BOOST_AUTO_TEST_CASE(keys_of_all_kinds_sort_as_their_values_do) {
  Random random(kSeed);
  int equal = 0, equal_though_not_in_bytes = 0;
  for (int i = 0; i < 150'000; ++i) {
    Value a = random_value(random, kDepth), b = below(random, 5) ? nearby(a, random) : random_value(random, kDepth);
    Bytes v_a = in_v(a), v_b = in_v(b), k_a = in_k(a), k_b = in_k(b);
    int order = order_of(a, b);
    equal += order == 0;
    equal_though_not_in_bytes += order == 0 && v_a != v_b;
    BOOST_REQUIRE_MESSAGE(sign(k_a.compare(k_b)) == order, "seed " << kSeed << ": " << show(a) << " against " << show(b)
                                                                   << ", " << hex_of(k_a) << ", " << hex_of(k_b));
    BOOST_REQUIRE_MESSAGE(sign(compare_values(v_a, v_b)) == order,
                          "seed " << kSeed << ": " << show(a) << " against " << show(b));
    BOOST_REQUIRE_MESSAGE(order == 0 || !k_b.starts_with(k_a),
                          "seed " << kSeed << ": " << hex_of(k_a) << ", " << hex_of(k_b));
  }
  BOOST_TEST(equal > 10'000);
  BOOST_TEST(equal_though_not_in_bytes > 1'000);
}

BOOST_AUTO_TEST_CASE(damaged_values_are_refused_or_are_others) {
  Random random(kSeed);
  for (Mode mode : {Mode::kValue, Mode::kKey}) {
    int refused = 0, accepted = 0;
    for (int i = 0; i < 100'000; ++i) {
      Bytes bytes = damaged(encode(random_value(random, kDepth), mode), random);
      if (below(random, 4) == 0 && !bytes.empty()) bytes = damaged(bytes, random);
      Result<Value> decoded = decode(bytes, mode);
      (decoded.is_ok() ? accepted : refused) += 1;
      if (decoded.is_ok())
        BOOST_REQUIRE_MESSAGE(encode(decoded.value(), mode) == bytes, "seed " << kSeed << ": " << hex_of(bytes));
      if (mode == Mode::kKey) continue;
      Reader in(bytes);
      bool is_whole = in.value().size() == bytes.size() && in.is_ok();
      BOOST_REQUIRE_MESSAGE(is_whole == decoded.is_ok(), "seed " << kSeed << ": " << hex_of(bytes));
      if (is_whole)
        BOOST_REQUIRE_MESSAGE(key_of(bytes) == in_k(decoded.value()), "seed " << kSeed << ": " << hex_of(bytes));
    }
    BOOST_TEST(refused > 10'000);
    BOOST_TEST(accepted > 10'000);
  }
}

BOOST_AUTO_TEST_CASE(a_pickle_is_found_wherever_it_is) {
  Random random(kSeed);
  auto holds_pickle = [](const auto& self, const Value& value) -> bool {
    const Composite* v = std::get_if<Composite>(&value);
    return v && (v->kind == kind::kPickle ||
                 std::ranges::any_of(v->values, [&](const Value& part) { return self(self, part); }));
  };
  int found = 0;
  for (int i = 0; i < 10'000; ++i) {
    Value value = random_value(random, kDepth);
    found += contains_pickle(in_v(value));
    BOOST_REQUIRE_MESSAGE(contains_pickle(in_v(value)) == holds_pickle(holds_pickle, value), show(value));
  }
  BOOST_TEST(found > 100);
}

// ---- what helps to put

BOOST_AUTO_TEST_CASE(a_set_is_put_in_order_and_without_equal_ones) {
  const std::vector<Bytes> items = {as_int(3), decimal("15", -1), as_int(1), decimal("150", -2), as_int(3)};
  std::vector<BytesView> views(items.begin(), items.end());
  Bytes out;
  BOOST_TEST(put_set(out, views) == 3);
  BOOST_TEST(show(decode(out, Mode::kValue).value()) == "{1.5, 1, 3}");
}

BOOST_AUTO_TEST_CASE(a_dict_is_put_in_order_unless_two_keys_are_equal) {
  const std::vector<Bytes> items = {as_int(3), as_int(-1), as_int(7)};
  std::vector<std::pair<BytesView, BytesView>> pairs = {
      {items[0], items[1]}, {items[1], items[2]}, {items[2], items[0]}};
  Bytes out;
  BOOST_TEST(put_dict(out, pairs));
  BOOST_TEST(show(decode(out, Mode::kValue).value()) == "{-1: 7, 3: -1, 7: 3}");
  pairs.emplace_back(items[0], items[2]);
  BOOST_TEST(!put_dict(out, pairs));
  BOOST_TEST(is_value(out));
}

BOOST_AUTO_TEST_CASE(what_is_put_in_order_may_stand_in_front_of_it) {
  Bytes items = as_int(700) + as_int(3) + as_int(-1) + as_int(3), out = items;
  out.reserve(2 * items.size() + 16);
  BytesView all(out.data(), items.size());
  std::vector<BytesView> views = {all.substr(0, 3), all.substr(3, 2), all.substr(5, 1), all.substr(6, 2)};
  BOOST_TEST(put_set(out, views) == 3);
  BOOST_TEST(show(decode(out.substr(items.size()), Mode::kValue).value()) == "{-1, 3, 700}");
  out.resize(items.size());
  std::vector<std::pair<BytesView, BytesView>> pairs = {{views[2], views[0]}, {views[0], views[1]}};
  BOOST_TEST(put_dict(out, pairs));
  BOOST_TEST(out.substr(0, items.size()) == items);
}

BOOST_AUTO_TEST_CASE(a_tag_is_32_bits_of_a_name_and_0_without_one) {
  BOOST_TEST(record_tag("") == 0u);
  BOOST_TEST(record_tag("Line") == static_cast<uint32_t>(hash_bytes("Line")));
  BOOST_TEST(record_tag("Line") != record_tag("Order"));
}

/// A definition of a record, its later fields appended one after the other: each has a default, the first has none.
struct Definition {
  std::vector<Bytes> defaults;

  Bytes record(const std::vector<Bytes>& values) const {
    std::vector<FieldPart> parts;
    for (size_t i = 0; i < defaults.size(); ++i) parts.push_back({values[i], defaults[i]});
    Bytes out;
    put_record_value_head(out, record_tag("R"));
    put_fields(out, parts);
    return out;
  }
};

BOOST_AUTO_TEST_CASE(a_record_that_was_extended_has_the_same_bytes_and_the_same_place) {
  Random random(kSeed);
  int ties = 0, less = 0;
  for (int i = 0; i < 30'000; ++i) {
    Definition whole;
    if (below(random, 2)) whole.defaults.push_back({});
    for (size_t n = below(random, 5); n > 0; --n) whole.defaults.push_back(in_v(random_value(random, 1)));
    size_t old_fields = below(random, whole.defaults.size() + 1);
    bool is_required_left_out = old_fields == 0 && !whole.defaults.empty() && whole.defaults[0].empty();
    if (is_required_left_out) old_fields = 1;
    Definition old{{whole.defaults.begin(), whole.defaults.begin() + static_cast<ptrdiff_t>(old_fields)}};

    auto random_fields = [&](size_t known) {
      std::vector<Bytes> values;
      for (size_t f = 0; f < whole.defaults.size(); ++f) {
        bool is_default = f >= known || (!whole.defaults[f].empty() && below(random, 2));
        Bytes near = whole.defaults[f].empty() ? as_int(5) : whole.defaults[f];
        values.push_back(is_default ? near : in_v(nearby(decode(near, Mode::kValue).value(), random)));
      }
      return values;
    };
    std::vector<Bytes> a = random_fields(old_fields), b = random_fields(whole.defaults.size());
    Bytes of_old = old.record(a), of_whole = whole.record(a), other = whole.record(b);
    BOOST_REQUIRE_MESSAGE(is_value(of_whole), "seed " << kSeed << ": " << hex_of(of_whole));
    BOOST_REQUIRE_MESSAGE(of_old == of_whole, "seed " << kSeed << ": " << hex_of(of_old) << ", " << hex_of(of_whole));

    int expected = 0;  // all fields compared one after the other, stored or not
    for (size_t f = 0; f < a.size() && expected == 0; ++f) expected = sign(key_of(a[f]).compare(key_of(b[f])));
    ties += expected == 0;
    less += expected < 0;
    BOOST_REQUIRE_MESSAGE(sign(compare_values(of_old, other)) == expected,
                          "seed " << kSeed << ": " << hex_of(of_old) << ", " << hex_of(other));
    BOOST_REQUIRE_MESSAGE(sign(key_of(of_old).compare(key_of(other))) == expected,
                          "seed " << kSeed << ": " << hex_of(of_old) << ", " << hex_of(other));
  }
  BOOST_TEST(ties > 1'000);
  BOOST_TEST(less > 1'000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
