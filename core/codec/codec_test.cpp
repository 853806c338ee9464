/// The codec against its specification in codec.h: exact bytes first, then what random values and broken bytes show.
#include "core/codec/codec.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <compare>
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include "core/codec/value.h"
#include "core/codec/value_testing.h"

namespace odb {
namespace {

using testing::below, testing::damaged, testing::from_hex, testing::one_of, testing::Random, testing::random_float,
    testing::random_int;
using Doubles = std::numeric_limits<double>;

constexpr uint64_t kSeed = 20240601;
constexpr int64_t kInt64Min = INT64_MIN;
constexpr int64_t kInt64Max = INT64_MAX;

std::string byte_hex(size_t byte) { return hex_of(std::string(1, static_cast<char>(byte))); }

std::string repeat(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

Value text(BytesView utf8) { return Text{std::string(utf8)}; }
Value blob(BytesView bytes) { return Blob{Bytes(bytes)}; }
Value reference(uint32_t type, int64_t object) { return Reference{TypeId{type}, ObjectId{object}}; }

Bytes in_v(const Value& value) { return encode(value, Mode::kValue); }
Bytes in_k(const Value& value) { return encode(value, Mode::kKey); }

/// Equal bit for bit: -0.0 is not 0.0, and there is one NaN.
bool is_same(const Value& a, const Value& b) {
  const double *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
  if (!x || !y) return a == b;
  return (std::isnan(*x) && std::isnan(*y)) || std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(*y);
}

/// The value has exactly these bytes, and they are read as this value.
void check_bytes(const Value& value, Mode mode, std::string_view expected) {
  BOOST_TEST_CONTEXT(show(value)) {
    BOOST_TEST(hex_of(encode(value, mode)) == expected);
    Result<Value> decoded = decode(from_hex(expected), mode);
    BOOST_REQUIRE(decoded.is_ok());
    BOOST_TEST(is_same(decoded.value(), value));
  }
}

void check_bytes(const Value& value, std::string_view expected) {
  check_bytes(value, Mode::kValue, expected);
  check_bytes(value, Mode::kKey, expected);
}

bool is_refused(BytesView bytes, Mode mode) {
  Result<Value> decoded = decode(bytes, mode);
  return !decoded.is_ok() && decoded.status().code() == Code::kProtocol;
}

void check_refused(std::string_view hex) {
  BOOST_TEST_CONTEXT(hex) {
    BOOST_TEST(is_refused(from_hex(hex), Mode::kValue));
    BOOST_TEST(is_refused(from_hex(hex), Mode::kKey));
  }
}

/// UTF-8 as the standard tells it, without a look at what is allowed: surrogates are written like any other point.
std::string utf8(char32_t point) {
  auto tail = [point](int shift) { return static_cast<char>(0x80 | (point >> shift & 0x3f)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xc0 | point >> 6), tail(0)};
  if (point < 0x10000) return {static_cast<char>(0xe0 | point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | point >> 18), tail(12), tail(6), tail(0)};
}

std::string utf8(const std::u32string& points) {
  std::string out;
  for (char32_t point : points) out += utf8(point);
  return out;
}

std::u32string random_points(Random& random) {
  static const std::u32string edges = {0,     1,      'a',    'b',    0x7f,    0x80,    0x7ff,
                                       0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
  std::u32string out;
  for (size_t n = below(random, 5); n > 0; --n) out.push_back(one_of(random, edges));
  return out;
}

Bytes random_bytes(Random& random) {
  static const Bytes edges("\x00\x01\x02\x7f\x80\xfe\xff", 7);
  Bytes out;
  for (size_t n = below(random, 5); n > 0; --n) out.push_back(one_of(random, edges));
  return out;
}

Value random_reference(Random& random) {
  static const std::vector<uint32_t> types = {1, 2, 255, 256, 65536, INT32_MAX};
  static const std::vector<int64_t> objects = {0, 1, 2, 255, 256, 65535, 65536, kInt64Max};
  return reference(one_of(random, types), one_of(random, objects));
}

enum Kind { kNones, kBools, kInts, kFloats, kStrs, kBlobs, kReferences, kKinds };

Value random_value(Random& random, Kind kind) {
  switch (kind) {
    case kBools: return below(random, 2) == 1;
    case kInts: return random_int(random);
    case kFloats: return random_float(random);
    case kStrs: return text(utf8(random_points(random)));
    case kBlobs: return blob(random_bytes(random));
    case kReferences: return random_reference(random);
    default: return std::monostate{};
  }
}

Value random_value(Random& random) { return random_value(random, static_cast<Kind>(below(random, kKinds))); }

/// How values of one kind sort: NaN last and equal to itself, -0.0 as 0.0, text by code point, all else as C++ has it.
std::weak_ordering order(const Value& a, const Value& b) {
  if (const double* x = std::get_if<double>(&a)) {
    double y = std::get<double>(b);
    if (std::isnan(*x) || std::isnan(y)) return std::isnan(*x) <=> std::isnan(y);
    return *x < y ? std::weak_ordering::less : *x > y ? std::weak_ordering::greater : std::weak_ordering::equivalent;
  }
  if (a == b) return std::weak_ordering::equivalent;
  return a < b ? std::weak_ordering::less : std::weak_ordering::greater;
}

/// At least one value of every kind and of every length class.
const std::vector<Value>& examples() {
  static const std::vector<Value> all = {std::monostate{},
                                         false,
                                         true,
                                         int64_t{0},
                                         int64_t{5},
                                         int64_t{-1},
                                         int64_t{-300},
                                         kInt64Max,
                                         kInt64Min,
                                         0.0,
                                         -2.5,
                                         Doubles::quiet_NaN(),
                                         text(""),
                                         text("abc"),
                                         text(BytesView("a\0b", 3)),
                                         text(std::string(300, 'x')),
                                         blob(""),
                                         blob(BytesView("\0\xff\0", 3)),
                                         blob(Bytes(20000, '\0')),
                                         reference(1, 0),
                                         reference(INT32_MAX, kInt64Max)};
  return all;
}

BOOST_AUTO_TEST_SUITE(codec)

// ---- exact bytes

BOOST_AUTO_TEST_CASE(none_and_the_bools_are_one_byte) {
  check_bytes(std::monostate{}, "02");
  check_bytes(false, "04");
  check_bytes(true, "05");
}

BOOST_AUTO_TEST_CASE(an_int_is_its_length_and_sign_and_then_its_fewest_bytes) {
  check_bytes(int64_t{0}, "80");
  check_bytes(int64_t{5}, "8105");
  check_bytes(int64_t{128}, "8180");
  check_bytes(int64_t{300}, "82012c");
  check_bytes(int64_t{-1}, "7f");
  check_bytes(int64_t{-2}, "7efe");
  check_bytes(int64_t{-129}, "7e7f");
  check_bytes(int64_t{-300}, "7dfed4");
  check_bytes(kInt64Max, "887fffffffffffffff");
  check_bytes(kInt64Min, "778000000000000000");
}

BOOST_AUTO_TEST_CASE(an_int_grows_by_a_byte_at_every_power_of_256) {
  for (size_t n = 1; n < 8; ++n) {
    auto edge = int64_t{1} << (8 * n);
    check_bytes(edge - 1, byte_hex(0x80 + n) + repeat("ff", n));
    check_bytes(edge, byte_hex(0x81 + n) + "01" + repeat("00", n));
    check_bytes(-edge, byte_hex(0x7f - n) + repeat("00", n));
    check_bytes(-edge - 1, byte_hex(0x7e - n) + "fe" + repeat("ff", n));
  }
}

BOOST_AUTO_TEST_CASE(a_float_is_its_ieee_bits_turned_so_that_they_sort) {
  check_bytes(0.0, "908000000000000000");
  check_bytes(1.0, "90bff0000000000000");
  check_bytes(-1.0, "90400fffffffffffff");
  check_bytes(Doubles::denorm_min(), "908000000000000001");
  check_bytes(-Doubles::denorm_min(), "907ffffffffffffffe");
  check_bytes(Doubles::max(), "90ffefffffffffffff");
  check_bytes(Doubles::lowest(), "900010000000000000");
  check_bytes(Doubles::infinity(), "90fff0000000000000");
  check_bytes(-Doubles::infinity(), "90000fffffffffffff");
  check_bytes(Doubles::quiet_NaN(), "90ffffffffffffffff");
}

BOOST_AUTO_TEST_CASE(negative_zero_is_stored_but_is_no_key) {
  check_bytes(-0.0, Mode::kValue, "907fffffffffffffff");
  BOOST_TEST(hex_of(in_k(-0.0)) == hex_of(in_k(0.0)));
  BOOST_TEST(is_refused(from_hex("907fffffffffffffff"), Mode::kKey));
}

BOOST_AUTO_TEST_CASE(every_nan_is_the_same_nan) {
  for (uint64_t bits : {0x7ff0000000000001, 0x7ff8000000000000, 0x7fffffffffffffff})
    for (uint64_t sign : {uint64_t{0}, uint64_t{1} << 63}) {
      auto nan = std::bit_cast<double>(bits | sign);
      BOOST_TEST(hex_of(in_v(nan)) == "90ffffffffffffffff");
      BOOST_TEST(hex_of(in_k(nan)) == "90ffffffffffffffff");
    }
  for (auto other :
       {"90fff0000000000001", "90fff8000000000000", "90fffffffffffffffe", "900000000000000000", "90000ffffffffffffe"})
    check_refused(other);
}

BOOST_AUTO_TEST_CASE(a_stored_str_is_its_length_and_utf8) {
  check_bytes(text(""), Mode::kValue, "2000");
  check_bytes(text("abc"), Mode::kValue, "2003616263");
  check_bytes(text(BytesView("a\0b", 3)), Mode::kValue, "2003610062");
  check_bytes(text("\u00e9\u20ac\U0001f600"), Mode::kValue, "2009c3a9e282acf09f9880");
  check_bytes(text(std::string(127, 'x')), Mode::kValue, "207f" + repeat("78", 127));
  check_bytes(text(std::string(128, 'x')), Mode::kValue, "208001" + repeat("78", 128));
}

BOOST_AUTO_TEST_CASE(a_str_in_a_key_is_escaped_and_ended) {
  check_bytes(text(""), Mode::kKey, "200001");
  check_bytes(text("abc"), Mode::kKey, "206162630001");
  check_bytes(text(BytesView("a\0b", 3)), Mode::kKey, "206100ff620001");
  check_bytes(text(BytesView("\0\0", 2)), Mode::kKey, "2000ff00ff0001");
  check_bytes(text("\1\u00e9\U0001f600"), Mode::kKey, "2001c3a9f09f98800001");
}

BOOST_AUTO_TEST_CASE(bytes_are_like_a_str_but_hold_anything) {
  check_bytes(blob(""), Mode::kValue, "2400");
  check_bytes(blob(BytesView("\xff\0\x80", 3)), Mode::kValue, "2403ff0080");
  check_bytes(blob(""), Mode::kKey, "240001");
  check_bytes(blob(BytesView("\xff\0\x80", 3)), Mode::kKey, "24ff00ff800001");
  check_bytes(blob("\xed\xa0\x80"), Mode::kValue, "2403eda080");
}

BOOST_AUTO_TEST_CASE(a_reference_is_its_type_and_its_object) {
  check_bytes(reference(3, 17), "6081038111");
  check_bytes(reference(1, 0), "60810180");
  check_bytes(reference(INT32_MAX, kInt64Max), "60847fffffff887fffffffffffffff");
}

// ---- what is refused

BOOST_AUTO_TEST_CASE(no_bytes_are_no_value) { check_refused(""); }

BOOST_AUTO_TEST_CASE(a_kind_that_is_not_in_the_grammar_is_refused) {
  for (size_t head = 0; head < 256; ++head) {
    static const Bytes known = from_hex("0204052024303234 36383a3c4044485058 60686c90");
    bool is_int = head >= 0x77 && head <= 0x88;
    if (is_int || known.find(static_cast<char>(head)) != Bytes::npos) continue;
    std::string kind = byte_hex(head);
    for (auto rest : {"", "00", "0001", "81058105", "8000000000000000"}) check_refused(kind + rest);
  }
}

BOOST_AUTO_TEST_CASE(an_int_in_more_bytes_than_it_needs_is_refused) {
  for (auto padded : {"8100", "820000", "820005", "8200ff", "8300ffff", "8800ffffffffffffff"}) check_refused(padded);
  for (auto padded : {"7eff", "7dffff", "7dff00", "7dfffe", "7cff0000", "77ff00000000000000"}) check_refused(padded);
}

BOOST_AUTO_TEST_CASE(an_int_beyond_64_bits_is_refused) {
  check_refused("89010000000000000000");
  check_refused("7600000000000000000000");
  check_refused("777fffffffffffffff");
  check_refused("770000000000000000");
}

BOOST_AUTO_TEST_CASE(a_reference_needs_a_type_and_no_negative_object) {
  check_refused("608081 11");            // type 0
  check_refused("607f8111");             // type -1
  check_refused("6084800000008111");     // type 2^31
  check_refused("60850100000003 8111");  // type 2^32 + 3
  check_refused("6081037f");             // object -1
  check_refused("60810390");             // a float where an int is due
}

/// What no code point looks like, as hex between blanks.
constexpr auto kBrokenUtf8 =
    "80 bf c3 e282 f09f98 "                       // a tail without a lead, a lead without its tail
    "c080 c1bf e08080 e09fbf f0808080 f08fbfbf "  // longer than needed
    "eda080 edafbf edb080 edbfbf eda080edb080 "   // surrogates, alone and in pairs
    "f4908080 f5808080 f8888080 fe ff "           // beyond U+10FFFF
    "c341 e28241 e24182 f09f9841 f0419880";       // a tail that is none

BOOST_AUTO_TEST_CASE(a_str_is_utf8_without_surrogates) {
  std::istringstream all(kBrokenUtf8);
  for (std::string broken; all >> broken;)
    for (auto before : {"", "61", "6162636465666768", "61626364656667"})
      for (auto after : {"", "6162636465666768"}) {
        std::string hex = before + broken + after;
        std::string size = byte_hex(hex.size() / 2);
        BOOST_TEST_CONTEXT(hex) {
          BOOST_TEST(!is_valid_utf8(from_hex(hex)));
          BOOST_TEST(is_refused(from_hex("20" + size + hex), Mode::kValue));
          BOOST_TEST(is_refused(from_hex("20" + hex + "0001"), Mode::kKey));
          BOOST_TEST(!is_refused(from_hex("24" + size + hex), Mode::kValue));
          BOOST_TEST(!is_refused(from_hex("24" + hex + "0001"), Mode::kKey));
        }
      }
}

BOOST_AUTO_TEST_CASE(what_lies_behind_a_text_does_not_complete_its_last_character) {
  for (std::string_view whole : {"\u00e9", "\u20ac", "\U0001f600", "abcdefgh\u20ac"}) {
    BOOST_TEST(is_valid_utf8(whole));
    for (size_t missing = 1; missing < whole.size() && missing < 4; ++missing) {
      BytesView cut = whole.substr(0, whole.size() - missing);
      BOOST_TEST(is_valid_utf8(cut) == (cut == "abcdefgh"), whole << " without " << missing);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_code_point_but_the_surrogates_is_valid) {
  size_t wrong = 0;
  for (char32_t point = 0; point < 0x110000; ++point)
    wrong += is_valid_utf8(utf8(point)) == (point >= 0xd800 && point < 0xe000);
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(nothing_of_three_bytes_is_valid_but_what_has_code_points) {
  constexpr size_t kOne = 0x80, kTwo = 0x800 - 0x80,
                   kThree = 0x10000 - 0x800 - 0x800;  // points by length, surrogates left out
  size_t valid = 0;
  for (uint32_t n = 0; n < 1u << 24; ++n) {
    char bytes[3] = {static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(n >> 16)};
    valid += is_valid_utf8({bytes, 3});
  }
  BOOST_TEST(valid == kOne * kOne * kOne + 2 * kOne * kTwo + kThree);
}

BOOST_AUTO_TEST_CASE(a_length_larger_than_what_is_left_is_refused_before_anything_is_allocated) {
  for (std::string kind : {"20", "24"})
    for (auto length : {"04", "7f", "8080808010", "ffffffff7f", "80808080808080808001", "ffffffffffffffffff01"})
      BOOST_TEST(is_refused(from_hex(kind + length + "616263"), Mode::kValue), kind + length);
}

BOOST_AUTO_TEST_CASE(a_length_in_more_bytes_than_it_needs_is_refused) {
  for (std::string kind : {"20", "24"})
    for (auto length : {"8000", "808000", "80808080808080808000", "80808080808080808080", "8080808080808080808000"})
      BOOST_TEST(is_refused(from_hex(kind + length), Mode::kValue), kind + length);
  BOOST_TEST(is_refused(from_hex("24830061 6263"), Mode::kValue));
}

BOOST_AUTO_TEST_CASE(an_escape_that_is_none_is_refused_in_a_key) {
  for (std::string kind : {"20", "24"})
    for (auto rest : {"", "61", "00", "6100", "6100ff", "610002", "610000", "6100fe0001", "61000001"})
      BOOST_TEST(is_refused(from_hex(kind + rest), Mode::kKey), kind + rest);
}

BOOST_AUTO_TEST_CASE(a_value_cut_short_anywhere_is_refused) {
  for (const Value& value : examples())
    for (Mode mode : {Mode::kValue, Mode::kKey}) {
      Bytes whole = encode(value, mode);
      for (size_t size = 0; size < whole.size(); ++size)
        BOOST_REQUIRE_MESSAGE(is_refused(BytesView(whole).substr(0, size), mode),
                              show(value) << " cut to " << size << " bytes");
    }
}

BOOST_AUTO_TEST_CASE(bytes_behind_a_value_are_refused) {
  for (const Value& value : examples())
    for (Mode mode : {Mode::kValue, Mode::kKey})
      for (int more = 0; more < 256; ++more)
        BOOST_REQUIRE_MESSAGE(is_refused(encode(value, mode) + static_cast<char>(more), mode), show(value)
                                                                                                   << " and " << more);
}

// ---- random values and random damage

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded) {
  Random random(kSeed);
  for (int i = 0; i < 50'000; ++i) {
    Value value = random_value(random);
    Result<Value> stored = decode(in_v(value), Mode::kValue);
    Result<Value> key = decode(in_k(value), Mode::kKey);
    BOOST_REQUIRE_MESSAGE(stored.is_ok() && is_same(stored.value(), value),
                          "seed " << kSeed << ": " << hex_of(in_v(value)));
    BOOST_REQUIRE_MESSAGE(key.is_ok() && in_k(key.value()) == in_k(value),
                          "seed " << kSeed << ": " << hex_of(in_k(value)));
  }
}

BOOST_AUTO_TEST_CASE(damaged_bytes_are_refused_or_are_another_value_that_has_them) {
  Random random(kSeed);
  for (Mode mode : {Mode::kValue, Mode::kKey}) {
    int refused = 0, accepted = 0;
    for (int i = 0; i < 50'000; ++i) {
      Bytes bytes = damaged(encode(random_value(random), mode), random);
      if (below(random, 4) == 0 && !bytes.empty()) bytes = damaged(bytes, random);
      Result<Value> decoded = decode(bytes, mode);
      (decoded.is_ok() ? accepted : refused) += 1;
      if (decoded.is_ok())
        BOOST_REQUIRE_MESSAGE(encode(decoded.value(), mode) == bytes, "seed " << kSeed << ": " << hex_of(bytes));
    }
    BOOST_TEST(refused > 5'000);
    BOOST_TEST(accepted > 5'000);
  }
}

BOOST_AUTO_TEST_CASE(keys_sort_as_their_values_do_and_are_equal_when_those_are) {
  Random random(kSeed);
  for (int kind = 0; kind < kKinds; ++kind) {
    int equal = 0;
    for (int i = 0; i < 20'000; ++i) {
      Value a = random_value(random, static_cast<Kind>(kind)), b = random_value(random, static_cast<Kind>(kind));
      std::weak_ordering expected = order(a, b);
      equal += expected == 0;
      BOOST_REQUIRE_MESSAGE((in_k(a) <=> in_k(b)) == expected,
                            "seed " << kSeed << ": " << show(a) << " against " << show(b));
    }
    BOOST_TEST(equal > 50);
  }
}

BOOST_AUTO_TEST_CASE(strs_sort_by_code_point) {
  Random random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    std::u32string a = random_points(random), b = random_points(random);
    BOOST_REQUIRE_MESSAGE((in_k(text(utf8(a))) <=> in_k(text(utf8(b)))) == (a <=> b),
                          "seed " << kSeed << ", pair " << i);
  }
}

BOOST_AUTO_TEST_CASE(values_of_different_kinds_have_different_keys) {
  Random random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    Value a = random_value(random), b = random_value(random);
    if (a.index() != b.index())
      BOOST_REQUIRE_MESSAGE(in_k(a) != in_k(b), "seed " << kSeed << ": " << show(a) << " against " << show(b));
  }
}

BOOST_AUTO_TEST_CASE(one_and_true_and_one_point_zero_are_three_keys) {
  BOOST_TEST(in_k(int64_t{1}) != in_k(true));
  BOOST_TEST(in_k(int64_t{1}) != in_k(1.0));
  BOOST_TEST(in_k(true) != in_k(1.0));
  BOOST_TEST(in_k(text("a")) != in_k(blob("a")));
}

BOOST_AUTO_TEST_CASE(keys_one_behind_the_other_sort_by_column) {
  Random random(kSeed);
  int decided_late = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes key_a, key_b;
    std::weak_ordering expected = std::weak_ordering::equivalent;
    for (size_t column = 0, columns = 1 + below(random, 3); column < columns; ++column) {
      auto kind = static_cast<Kind>(below(random, kKinds));
      Value a = random_value(random, kind), b = below(random, 2) ? a : random_value(random, kind);
      key_a += in_k(a);
      key_b += in_k(b);
      bool was_equal = expected == 0;
      if (was_equal) expected = order(a, b);
      decided_late += was_equal && column > 0 && expected != 0;
    }
    BOOST_REQUIRE_MESSAGE((key_a <=> key_b) == expected,
                          "seed " << kSeed << ": " << hex_of(key_a) << " against " << hex_of(key_b));
  }
  BOOST_TEST(decided_late > 1'000);
}

BOOST_AUTO_TEST_CASE(no_key_is_the_beginning_of_another_one) {
  Random random(kSeed);
  for (int i = 0; i < 50'000; ++i) {
    auto kind = static_cast<Kind>(below(random, kKinds));
    Bytes a = in_k(random_value(random, kind)), b = in_k(random_value(random, kind));
    BOOST_REQUIRE_MESSAGE(a == b || !b.starts_with(a), "seed " << kSeed << ": " << hex_of(a) << " and " << hex_of(b));
  }
}

BOOST_AUTO_TEST_CASE(the_key_of_a_stored_value_is_the_key_of_the_value) {
  Random random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    Value value = random_value(random);
    Bytes key = "before";
    append_key(key, in_v(value));
    BOOST_REQUIRE_MESSAGE(key == "before" + in_k(value), "seed " << kSeed << ": " << show(value));
  }
  for (const Value& value : examples()) {
    Bytes key;
    append_key(key, in_v(value));
    BOOST_TEST(hex_of(key) == hex_of(in_k(value)));
  }
}

// ---- the reader

BOOST_AUTO_TEST_CASE(a_varint_is_its_seven_bit_groups_from_below) {
  const std::vector<std::pair<uint64_t, std::string>> exact = {{0, "00"},
                                                               {1, "01"},
                                                               {127, "7f"},
                                                               {128, "8001"},
                                                               {300, "ac02"},
                                                               {16383, "ff7f"},
                                                               {16384, "808001"},
                                                               {UINT32_MAX, "ffffffff0f"},
                                                               {uint64_t{1} << 63, "80808080808080808001"},
                                                               {UINT64_MAX, "ffffffffffffffffff01"}};
  for (const auto& [value, hex] : exact) {
    Bytes out;
    put_varint(out, value);
    BOOST_TEST(hex_of(out) == hex);
    Reader in(out);
    BOOST_TEST(in.varint() == value);
    BOOST_TEST(in.is_ok());
    BOOST_TEST(in.at_end());
  }
}

BOOST_AUTO_TEST_CASE(a_varint_that_is_padded_or_cut_or_over_64_bits_is_refused) {
  for (auto hex :
       {"", "80", "ff", "8000", "ff00", "808000", "80808080808080808000", "ffffffffffffffffff02",
        "ffffffffffffffffff7f", "8080808080808080808001", "ffffffffffffffffff8101", "ffffffffffffffffffff01"}) {
    Bytes bytes = from_hex(hex);
    Reader in(bytes);
    BOOST_TEST(in.varint() == 0u, hex);
    BOOST_TEST(!in.is_ok(), hex);
  }
}

BOOST_AUTO_TEST_CASE(a_count_is_refused_when_so_many_cannot_follow) {
  auto is_counted = [](std::string_view hex, size_t bytes_each) {
    Bytes bytes = from_hex(hex);
    Reader in(bytes);
    in.count(bytes_each);
    return in.is_ok();
  };
  BOOST_TEST(is_counted("03aabbcc", 1));
  BOOST_TEST(!is_counted("04aabbcc", 1));
  BOOST_TEST(is_counted("01aabbcc", 2));
  BOOST_TEST(!is_counted("02aabbcc", 2));
  BOOST_TEST(is_counted("00", 8));
  BOOST_TEST(!is_counted("ffffffffffffffffff01aa", 2));  // 2n wraps to a small number
  BOOST_TEST(!is_counted("80808080808080808001aa", 2));  // 2n wraps to 0
}

BOOST_AUTO_TEST_CASE(a_reader_gives_value_after_value_as_slices_of_its_bytes) {
  Bytes all;
  for (const Value& value : examples()) all += in_v(value);
  Reader in(all);
  size_t at = 0;
  for (const Value& value : examples()) {
    BytesView slice = in.value();
    BOOST_REQUIRE(in.is_ok());
    BOOST_TEST(slice.data() == all.data() + at);
    BOOST_TEST(hex_of(slice) == hex_of(in_v(value)));
    at += slice.size();
  }
  BOOST_TEST(in.at_end());
  BOOST_TEST(in.value().empty());
  BOOST_TEST(!in.is_ok());
}

BOOST_AUTO_TEST_CASE(a_reader_gives_no_part_of_a_value_that_is_refused) {
  for (auto hex : {"8100", "2001ff", "2005616263", "90fff8000000000000", "608080", "01"}) {
    Bytes bytes = from_hex(hex);
    Reader in(bytes);
    BOOST_TEST(in.value().empty(), hex);
    BOOST_TEST(!in.is_ok(), hex);
  }
}

BOOST_AUTO_TEST_CASE(a_reader_accepts_the_values_that_decode_accepts) {
  Random random(kSeed);
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes = damaged(in_v(random_value(random)), random);
    Reader in(bytes);
    bool is_whole = in.value().size() == bytes.size() && in.is_ok();
    accepted += is_whole;
    BOOST_REQUIRE_MESSAGE(is_whole == decode(bytes, Mode::kValue).is_ok(), "seed " << kSeed << ": " << hex_of(bytes));
  }
  BOOST_TEST(accepted > 5'000);
}

BOOST_AUTO_TEST_CASE(a_reader_and_decode_agree_on_how_deep_a_value_is) {
  for (std::string leaf : {"02", "6c00", "4000", "4800", "4400", "6801617402", "810520"}) {
    for (int depth = limits::kValueDepthMax - 2; depth <= limits::kValueDepthMax + 1; ++depth) {
      Bytes bytes;
      for (int i = 0; i < depth; ++i) bytes += from_hex("4001");
      bytes += from_hex(leaf);
      Reader in(bytes);
      bool is_whole = in.value().size() == bytes.size() && in.is_ok();
      BOOST_TEST(is_whole == decode(bytes, Mode::kValue).is_ok(), leaf << " in " << depth);
    }
  }
}

BOOST_AUTO_TEST_CASE(after_its_first_error_a_reader_gives_nothing_more) {
  Bytes bytes = from_hex("80008105820102900000");
  Reader in(bytes);
  in.varint();
  BOOST_TEST(!in.is_ok());
  BOOST_TEST(in.at_end());
  BOOST_TEST(in.remaining() == 0u);
  BOOST_TEST(in.byte() == 0);
  BOOST_TEST(in.peek() == 0);
  BOOST_TEST(in.varint() == 0u);
  BOOST_TEST(in.count(1) == 0u);
  BOOST_TEST(in.take(0).empty());
  BOOST_TEST(in.take(3).empty());
  BOOST_TEST(in.text().empty());
  BOOST_TEST(in.integer() == 0);
  BOOST_TEST(in.float_after_kind() == 0.0);
  BOOST_TEST(in.value().empty());
  BOOST_TEST(!in.is_ok());
}

BOOST_AUTO_TEST_CASE(a_reader_of_nothing_is_at_its_end) {
  Reader in{BytesView()};
  BOOST_TEST(in.at_end());
  BOOST_TEST(in.is_ok());
  BOOST_TEST(in.take(0).empty());
  BOOST_TEST(in.is_ok());
  BOOST_TEST(in.take(1).empty());
  BOOST_TEST(!in.is_ok());
}

BOOST_AUTO_TEST_CASE(people_are_shown_values_as_they_would_write_them) {
  BOOST_TEST(show(std::monostate{}) == "None");
  BOOST_TEST(show(true) == "True");
  BOOST_TEST(show(int64_t{-5}) == "-5");
  BOOST_TEST(show(text("abc")) == "'abc'");
  BOOST_TEST(show(blob("abc")) == "<3 bytes>");
  BOOST_TEST(show(reference(3, 17)) == "<reference 3:17>");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
