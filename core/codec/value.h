/// A value out of its bytes, for messages, tests and tools. The read path does not use it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "core/codec/codec.h"

namespace odb {

struct Reference {
  TypeId type;
  ObjectId object;
  friend auto operator<=>(const Reference&, const Reference&) = default;
};
struct Text {
  std::string utf8;
  friend auto operator<=>(const Text&, const Text&) = default;
};
struct Blob {
  Bytes bytes;
  friend auto operator<=>(const Blob&, const Blob&) = default;
};
/// An int of 2^63 or more.
struct LargeInt {
  uint64_t value;
  friend auto operator<=>(const LargeInt&, const LargeInt&) = default;
};
struct Datetime {
  int64_t us;
  std::optional<int64_t> offset_us;  ///< none: naive
  friend auto operator<=>(const Datetime&, const Datetime&) = default;
};
struct Date {
  int32_t days;
  friend auto operator<=>(const Date&, const Date&) = default;
};
struct TimeOfDay {
  int64_t us;
  friend auto operator<=>(const TimeOfDay&, const TimeOfDay&) = default;
};
struct Timedelta {
  int64_t us;
  friend auto operator<=>(const Timedelta&, const Timedelta&) = default;
};
struct Decimal {
  bool is_negative;
  std::string digits;
  int64_t exponent;
  friend auto operator<=>(const Decimal&, const Decimal&) = default;
};
struct Uuid {
  std::array<char, 16> bytes;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};
struct Composite;

using Value = std::variant<std::monostate, bool, int64_t, double, Text, Blob, Reference, LargeInt, Datetime, Date,
                           TimeOfDay, Timedelta, Decimal, Uuid, Composite>;

/// What holds values, and a pickle. Which members mean something depends on the kind.
struct Composite {
  uint8_t kind = kind::kTuple;
  std::vector<Value> values;   ///< items; key and value by turns; fields that are stored; the one of a codec
  std::vector<uint8_t> marks;  ///< record, Alternative: of the values
  uint32_t tag = 0;            ///< record, Alternative
  uint32_t arm = 0;            ///< Alternative
  Bytes text;                  ///< name of a codec; a pickle
  friend bool operator==(const Composite& a, const Composite& b);
  friend std::partial_ordering operator<=>(const Composite& a, const Composite& b);
};

/// REQUIRES: as the put_ functions. Sets and dicts are put as they stand.
Bytes encode(const Value& value, Mode mode);
/// The value, when the bytes are exactly one canonical value; a protocol error otherwise.
Result<Value> decode(BytesView bytes, Mode mode);
/// For people: 5, 'abc', None, (1, 2), <reference 3:17>.
std::string show(const Value& value);

}  // namespace odb
