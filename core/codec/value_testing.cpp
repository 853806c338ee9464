#include "core/codec/value_testing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace odb::testing {
using Doubles = std::numeric_limits<double>;

int64_t random_int(Random& random) {
  if (below(random, 4) == 0) return static_cast<int64_t>(random());
  uint64_t edge = below(random, 9) == 8 ? uint64_t{1} << 63 : uint64_t{1} << (8 * below(random, 8));
  uint64_t near = edge + below(random, 5) - 2;
  return static_cast<int64_t>(below(random, 2) ? near : ~near);
}

double random_float(Random& random) {
  static const std::vector<double> edges = {0.0,
                                            -0.0,
                                            1.0,
                                            -1.0,
                                            1.5,
                                            -1.5,
                                            Doubles::infinity(),
                                            -Doubles::infinity(),
                                            Doubles::quiet_NaN(),
                                            Doubles::max(),
                                            Doubles::lowest(),
                                            Doubles::min(),
                                            Doubles::denorm_min(),
                                            -Doubles::denorm_min()};
  return below(random, 2) ? one_of(random, edges) : std::bit_cast<double>(static_cast<uint64_t>(random()));
}

namespace {

template <class T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a;
}

std::string random_text(Random& random) {
  static const std::vector<std::string> points = {std::string(1, '\0'), "\x01", "a", "b", "\x7f", "\u0080", "\u20ac",
                                                  "\U0010ffff"};
  std::string out;
  for (size_t n = below(random, 4); n > 0; --n) out += one_of(random, points);
  return out;
}

Bytes random_bytes(Random& random) {
  static const Bytes edges("\x00\x01\x02\x7f\x80\xfe\xff", 7);
  Bytes out;
  for (size_t n = below(random, 4); n > 0; --n) out.push_back(one_of(random, edges));
  return out;
}

Datetime random_datetime(Random& random) {
  static const std::vector<int64_t> moments = {kDatetimeMinUs,        kDatetimeMinUs + 1, -1, 0, 1,
                                               1'700'000'000'000'000, kDatetimeMaxUs};
  static const std::vector<int64_t> offsets = {0, 3'600'000'000, -3'600'000'000, 1, kDayUs - 1, -kDayUs + 1};
  Datetime read{one_of(random, moments), std::nullopt};
  if (below(random, 2) == 0) return read;
  int64_t local = read.us;
  read.offset_us = one_of(random, offsets);
  read.us = local - *read.offset_us;
  return read;
}

Decimal random_decimal(Random& random) {
  static const std::vector<std::string> digits = {"0",   "1",    "10",   "100", "2",   "15",
                                                  "150", "9999", "1000", "12",  "1201"};
  if (below(random, 8) == 0) {
    std::string many;
    for (size_t n = 1 + below(random, limits::kDecimalDigitsMax); n > 0; --n)
      many.push_back(static_cast<char>('0' + below(random, 10)));
    many[0] = '7';
    return {below(random, 2) == 1, many, static_cast<int64_t>(below(random, 20'000)) - 10'000};
  }
  return {below(random, 2) == 1, one_of(random, digits), static_cast<int64_t>(below(random, 7)) - 3};
}

void make_ascending(Composite& v) {
  size_t each = v.kind == kind::kDict ? 2 : 1;
  std::vector<std::pair<Value, Value>> items;
  for (size_t i = 0; i + each <= v.values.size(); i += each) items.emplace_back(v.values[i], v.values[i + each - 1]);
  std::ranges::sort(items, [](const auto& a, const auto& b) { return order_of(a.first, b.first) < 0; });
  auto same = std::ranges::unique(items, [](const auto& a, const auto& b) { return order_of(a.first, b.first) == 0; });
  items.erase(same.begin(), same.end());
  v.values.clear();
  for (auto& [key, value] : items) {
    v.values.push_back(key);
    if (each == 2) v.values.push_back(value);
  }
}

void make_marks(Composite& v, Random& random) {
  for (size_t i = 0; i < v.values.size(); ++i)
    v.marks.push_back(i > 0 && v.marks.back() == mark::kEqual ? mark::kEqual
                                                              : static_cast<uint8_t>(1 + below(random, 3)));
}

Value random_composite(Random& random, int depth) {
  static const std::vector<uint8_t> kinds = {kind::kTuple,       kind::kTuple,  kind::kDict,
                                             kind::kSet,         kind::kRecord, kind::kRecord,
                                             kind::kAlternative, kind::kCodec,  kind::kPickle};
  Composite made;
  made.kind = one_of(random, kinds);
  size_t n = made.kind == kind::kPickle  ? 0
             : made.kind == kind::kCodec ? 1
                                         : below(random, 4) * (made.kind == kind::kDict ? 2 : 1);
  for (; n > 0; --n) made.values.push_back(random_value(random, depth - 1));
  bool has_fields = made.kind == kind::kRecord || made.kind == kind::kAlternative;
  if (has_fields) {
    made.tag = static_cast<uint32_t>(below(random, 3) ? 7 + below(random, 2) : random());
    make_marks(made, random);
  }
  if (made.kind == kind::kAlternative) made.arm = static_cast<uint32_t>(below(random, 3));
  if (made.kind == kind::kCodec) made.text = random_text(random);
  if (made.kind == kind::kPickle) made.text = random_bytes(random);
  if (made.kind == kind::kSet || made.kind == kind::kDict) make_ascending(made);
  return made;
}

/// The first byte of the kind, or of the first of its family: they sort as their kinds' bytes do.
uint8_t family_of(const Value& v) {
  struct {
    uint8_t operator()(std::monostate) { return kind::kNone; }
    uint8_t operator()(bool) { return kind::kFalse; }
    uint8_t operator()(int64_t) { return kind::kIntMin; }
    uint8_t operator()(double) { return kind::kFloat; }
    uint8_t operator()(const Text&) { return kind::kStr; }
    uint8_t operator()(const Blob&) { return kind::kBytes; }
    uint8_t operator()(const Reference&) { return kind::kReference; }
    uint8_t operator()(const LargeInt&) { return kind::kIntMin; }
    uint8_t operator()(const Datetime& d) { return d.offset_us ? kind::kDatetimeAware : kind::kDatetimeNaive; }
    uint8_t operator()(const Date&) { return kind::kDate; }
    uint8_t operator()(const TimeOfDay&) { return kind::kTime; }
    uint8_t operator()(const Timedelta&) { return kind::kTimedelta; }
    uint8_t operator()(const Decimal&) { return kind::kDecimal; }
    uint8_t operator()(const Uuid&) { return kind::kUuid; }
    uint8_t operator()(const Composite& c) { return c.kind; }
  } family;
  return std::visit(family, v);
}

int order_of_ints(const Value& a, const Value& b) {
  const auto *large_a = std::get_if<LargeInt>(&a), *large_b = std::get_if<LargeInt>(&b);
  if (large_a && large_b) return three_way(large_a->value, large_b->value);
  if (large_a || large_b) return large_a ? 1 : -1;
  return three_way(std::get<int64_t>(a), std::get<int64_t>(b));
}

int order_of_floats(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) - std::isnan(b);
  return three_way(a, b);
}

/// Schoolbook: both written out to as many places, then compared as whole numbers.
int order_of_decimals(const Decimal& a, const Decimal& b) {
  auto whole = [least = std::min(a.exponent, b.exponent)](const Decimal& d) {
    std::string digits = d.digits + std::string(static_cast<size_t>(d.exponent - least), '0');
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    return digits;
  };
  std::string x = whole(a), y = whole(b);
  if (x.empty() && y.empty()) return 0;
  bool is_x_negative = a.is_negative && !x.empty(), is_y_negative = b.is_negative && !y.empty();
  if (is_x_negative != is_y_negative) return is_x_negative ? -1 : 1;
  int magnitude = x.size() != y.size() ? three_way(x.size(), y.size()) : three_way(x, y);
  return is_x_negative ? -magnitude : magnitude;
}

int order_of_composites(const Composite& a, const Composite& b) {
  if (int order = three_way(a.text, b.text)) return order;
  if (int order = three_way(a.tag, b.tag)) return order;
  if (int order = three_way(a.arm, b.arm)) return order;
  auto mark_at = [](const Composite& c, size_t i) { return i < c.marks.size() ? c.marks[i] : mark::kEqual; };
  bool has_fields = a.kind == kind::kRecord || a.kind == kind::kAlternative;
  for (size_t i = 0; i < a.values.size() || i < b.values.size(); ++i) {
    if (has_fields) {
      if (int order = three_way(mark_at(a, i), mark_at(b, i))) return order;
      if (mark_at(a, i) == mark::kEqual) return 0;
    } else if (i >= a.values.size() || i >= b.values.size()) {
      return i < b.values.size() ? -1 : 1;
    }
    if (int order = order_of(a.values[i], b.values[i])) return order;
  }
  return 0;
}

}  // namespace

Bytes from_hex(std::string_view digits) {
  Bytes out;
  for (size_t i = 0; i + 1 < digits.size(); ++i)
    if (digits[i] != ' ') out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i++, 2)), nullptr, 16)));
  return out;
}

Value random_value(Random& random, int depth) {
  static const std::vector<uint32_t> types = {1, 2, 255, 256, INT32_MAX};
  static const std::vector<int64_t> objects = {0, 1, 255, 256, INT64_MAX};
  static const std::vector<int32_t> days = {kDateMin, -1, 0, 1, kDateMax};
  static const std::vector<int64_t> times = {0, 1, 255, 256, kDayUs - 1};
  static const std::vector<uint64_t> large = {uint64_t{1} << 63, (uint64_t{1} << 63) + 1, UINT64_MAX};
  switch (below(random, depth > 0 ? 22 : 14)) {
    case 0: return std::monostate{};
    case 1: return below(random, 2) == 1;
    case 2: return random_int(random);
    case 3: return random_float(random);
    case 4: return Text{random_text(random)};
    case 5: return Blob{random_bytes(random)};
    case 6: return Reference{TypeId{one_of(random, types)}, ObjectId{one_of(random, objects)}};
    case 7: return LargeInt{one_of(random, large)};
    case 8: return random_datetime(random);
    case 9: return Date{one_of(random, days)};
    case 10: return TimeOfDay{one_of(random, times)};
    case 11: return Timedelta{random_int(random)};
    case 12: return random_decimal(random);
    case 13: {
      Uuid made{};
      made.bytes[below(random, 16)] = static_cast<char>(random());
      return made;
    }
    default: return random_composite(random, depth);
  }
}

Value nearby(const Value& value, Random& random) {
  const Composite* old = std::get_if<Composite>(&value);
  if (!old || old->values.empty() || below(random, 8) == 0) {
    for (int tries = 0; tries < 20; ++tries) {  // of the same kind, if there is one soon
      Value made = random_value(random, old ? 1 : 0);
      if (family_of(made) == family_of(value)) return made;
    }
    return value;
  }
  Composite made = *old;
  size_t at = below(random, made.values.size());
  bool may_grow = made.kind == kind::kTuple || made.kind == kind::kSet;
  if (may_grow && below(random, 3) == 0) {
    made.values.erase(made.values.begin() + static_cast<ptrdiff_t>(at));
  } else {
    made.values[at] = nearby(made.values[at], random);
  }
  if (made.kind == kind::kSet || made.kind == kind::kDict) make_ascending(made);
  if (!made.marks.empty() && below(random, 3) == 0) {
    made.marks.clear();
    make_marks(made, random);
  }
  return made;
}

Bytes damaged(Bytes bytes, Random& random) {
  size_t at = below(random, bytes.size());
  switch (below(random, 5)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8))); break;
    case 1: bytes[at] = static_cast<char>(random()); break;
    case 2: bytes.insert(at, 1, static_cast<char>(random())); break;
    case 3: bytes.erase(at, 1); break;
    default: bytes.resize(at);
  }
  return bytes;
}

int order_of(const Value& a, const Value& b) {
  uint8_t family = family_of(a);
  if (int order = three_way(family, family_of(b))) return order;
  switch (family) {
    case kind::kIntMin: return order_of_ints(a, b);
    case kind::kFloat: return order_of_floats(std::get<double>(a), std::get<double>(b));
    case kind::kDecimal: return order_of_decimals(std::get<Decimal>(a), std::get<Decimal>(b));
    case kind::kDatetimeAware: return three_way(std::get<Datetime>(a).us, std::get<Datetime>(b).us);
    case kind::kUuid:
    case kind::kStr:
    case kind::kBytes: {
      auto bytes_of = [](const Value& v) {
        if (const auto* uuid = std::get_if<Uuid>(&v)) return Bytes(uuid->bytes.data(), 16);
        return std::holds_alternative<Text>(v) ? std::get<Text>(v).utf8 : std::get<Blob>(v).bytes;
      };
      return three_way(bytes_of(a), bytes_of(b));
    }
    default:
      if (const auto* composite = std::get_if<Composite>(&a))
        return order_of_composites(*composite, std::get<Composite>(b));
      return three_way(a, b);
  }
}

}  // namespace odb::testing
