/// Values as canonical bytes (D38). docs/internals/types.md has the reasons.
///
///   value   = 02                                   None
///           | 04 | 05                              False, True
///           | 77..88 byte*n                        int: 80+n for x >= 0, 7f-n for x < 0 (bytes of ~x complemented);
///                                                  n big-endian bytes, n minimal; up to 2^64-1 and down to -2^63
///           | 90 byte*8                            float: IEEE big-endian, order-preserving sign flip
///           | 20 text | 24 text                    str (valid UTF-8, no surrogates), bytes
///           | 30 byte*8 int                        aware datetime: microseconds since 1970 UTC; then the UTC offset, in microseconds
///           | 32 byte*8                            naive datetime: likewise, as if it were UTC
///           | 34 byte*4                            date: days since 1970-01-01
///           | 36 byte*8                            time: microseconds since midnight, not biased
///           | 38 byte*8                            timedelta: microseconds
///           | 3a (01 | 03) int (digits)* end zeros Decimal: negative, positive: adjusted exponent, digits without the zeros
///                                                  behind them, how many zeros those are (varint)
///           | 3a 02 (00 | 01) int                  Decimal zero: is it negative, exponent
///           | 3c byte*16                           UUID
///           | 40 varint:n value*n                  tuple
///           | 44 varint:n (value value)*n          dict, keys strictly ascending
///           | 48 varint:n value*n                  set, strictly ascending
///           | 50 int:tag fields                    record; tag: record_tag of its name
///           | 58 int:tag int:arm fields            Alternative; arm: its position
///           | 60 int int                           reference: catalogue number of the type, object identity (unset: 0)
///           | 68 text value                        value of a registered codec: its name, what the codec made of the value
///           | 6c text                              pickle
///   fields  = (mark value)* 00                     mark: how the rest of the record, from here on, compares with the defaults:
///                                                  01 less, 02 equal, 03 greater; behind 02 only 02
///   text    = varint byte*                         in V mode (stored values)
///           | (byte except 00 | 00 ff)* 00 01      in K mode (index keys): byte order = order of the values
///   varint  = unsigned LEB128, minimal
///
/// Signed numbers of fixed width are big-endian and biased by half their range. Two digits of a Decimal are a byte from 01
/// (00) to 64 (99), end is 00; in a negative Decimal exponent, digits and end are complemented (int: that of ~exponent).
///
/// A value has the same bytes in every field type that can hold it. K differs from V in text, and where V knows more than
/// equality asks for: K has no -0.0, no UTC offset, no zeros behind a Decimal's digits and no sign or exponent of zero. Nor
/// has it counts: tuple 40 (01 K)* 00, set 48 (01 K)* 00, dict 44 (01 K K)* 00, record 50 tag rest, Alternative 58 tag arm rest,
/// rest = ((01 | 03) K)* 02, up to the first mark 02 or the end. So byte order of K is value order.
/// Containers nest at most kValueDepthMax deep. P1: decoding and encoding again gives the same bytes; anything else is refused.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/limits.h"

namespace odb {

enum class Mode : uint8_t { kValue, kKey };

namespace kind {
inline constexpr uint8_t kAbsent = 0x00;  // not a value: in a record, "no value stored, the default holds"
inline constexpr uint8_t kNone = 0x02;
inline constexpr uint8_t kFalse = 0x04;
inline constexpr uint8_t kTrue = 0x05;
inline constexpr uint8_t kStr = 0x20;
inline constexpr uint8_t kBytes = 0x24;
inline constexpr uint8_t kDatetimeAware = 0x30;
inline constexpr uint8_t kDatetimeNaive = 0x32;
inline constexpr uint8_t kDate = 0x34;
inline constexpr uint8_t kTime = 0x36;
inline constexpr uint8_t kTimedelta = 0x38;
inline constexpr uint8_t kDecimal = 0x3a;
inline constexpr uint8_t kUuid = 0x3c;
inline constexpr uint8_t kTuple = 0x40;
inline constexpr uint8_t kDict = 0x44;
inline constexpr uint8_t kSet = 0x48;
inline constexpr uint8_t kRecord = 0x50;
inline constexpr uint8_t kAlternative = 0x58;
inline constexpr uint8_t kReference = 0x60;
inline constexpr uint8_t kCodec = 0x68;
inline constexpr uint8_t kPickle = 0x6c;
inline constexpr uint8_t kIntMin = 0x77;
inline constexpr uint8_t kIntZero = 0x80;
inline constexpr uint8_t kIntMax = 0x88;
inline constexpr uint8_t kFloat = 0x90;
}  // namespace kind

/// How the rest of a record, from a field on, compares with the defaults.
namespace mark {
inline constexpr uint8_t kEnd = 0x00;
inline constexpr uint8_t kLess = 0x01;
inline constexpr uint8_t kEqual = 0x02;  ///< as a key, though not in its bytes: -0.0, Decimal('1.00')
inline constexpr uint8_t kGreater = 0x03;
}  // namespace mark

/// What Python's datetime and date can hold, years 1 to 9999.
inline constexpr int64_t kDatetimeMinUs = -62'135'596'800'000'000;
inline constexpr int64_t kDatetimeMaxUs = 253'402'300'799'999'999;
inline constexpr int64_t kDayUs = 86'400'000'000;
inline constexpr int32_t kDateMin = -719'162;
inline constexpr int32_t kDateMax = 2'932'896;

void put_varint(Bytes& out, uint64_t value);
/// A text of the K form, without a kind.
void put_escaped(Bytes& out, BytesView text);
void put_none(Bytes& out);
void put_bool(Bytes& out, bool value);
void put_int(Bytes& out, int64_t value);
/// An int that may be over 2^63 - 1.
void put_unsigned(Bytes& out, uint64_t value);
void put_float(Bytes& out, double value, Mode mode);
/// REQUIRES: utf8 is valid UTF-8 without surrogates (is_valid_utf8).
void put_str(Bytes& out, BytesView utf8, Mode mode);
void put_bytes(Bytes& out, BytesView bytes, Mode mode);
void put_reference(Bytes& out, TypeId type, ObjectId object);

// The rest in V mode; append_key makes the K form of any value.

/// REQUIRES: is_aware_datetime(us, offset_us).
void put_datetime_aware(Bytes& out, int64_t us, int64_t offset_us);
/// REQUIRES: kDatetimeMinUs <= us <= kDatetimeMaxUs.
void put_datetime_naive(Bytes& out, int64_t us);
/// REQUIRES: kDateMin <= days <= kDateMax.
void put_date(Bytes& out, int32_t days);
/// REQUIRES: 0 <= us < kDayUs.
void put_time(Bytes& out, int64_t us);
void put_timedelta(Bytes& out, int64_t us);
/// REQUIRES: 16 bytes.
void put_uuid(Bytes& out, BytesView bytes);
/// A finite Decimal: digits (ASCII, one or more; zeros in front are dropped) times 10^exponent. False, and nothing is put,
/// when there are more than kDecimalDigitsMax digits, or the exponent of the first one is over kDecimalExponentMax either way.
[[nodiscard]] bool put_decimal(Bytes& out, bool is_negative, BytesView digits, int64_t exponent);

/// Heads: what follows is the caller's to put. Items of a set and keys of a dict ascend strictly (compare_values);
/// put_set and put_dict see to it.
void put_tuple_head(Bytes& out, size_t items);
void put_set_head(Bytes& out, size_t items);
void put_dict_head(Bytes& out, size_t items);
void put_record_value_head(Bytes& out, uint32_t tag);
/// REQUIRES: arm < kFieldsPerTypeMax.
void put_alternative_head(Bytes& out, uint32_t tag, uint32_t arm);
/// REQUIRES: name is valid UTF-8. One value follows.
void put_codec_head(Bytes& out, BytesView name);
void put_pickle(Bytes& out, BytesView bytes);

// The items of these two are left sorted. They may be in `out` itself, where there is room for the whole value as well.

/// A set of these values, in any order; of equal ones the first is kept. Gives how many it has.
size_t put_set(Bytes& out, std::span<BytesView> items);
/// A dict of these keys and values, in any order. False, and nothing is put, when two keys are equal.
[[nodiscard]] bool put_dict(Bytes& out, std::span<std::pair<BytesView, BytesView>> items);

struct FieldPart {
  BytesView value;
  BytesView default_value;  ///< empty: the field has none, it is required
};
/// Fields of a record or an Alternative behind its head: marks, those values that have to be stored, and the end.
/// REQUIRES: at most kFieldsPerTypeMax fields.
void put_fields(Bytes& out, std::span<const FieldPart> fields);

/// What stands for the name of a record or an Alternative in its values: 32 bits of a hash, and 0 for no name alone.
uint32_t record_tag(std::string_view name);

bool is_valid_utf8(BytesView text);
/// Whether an offset from UTC is less than a day, and local time (us + offset_us) in the years 1 to 9999.
bool is_aware_datetime(int64_t us, int64_t offset_us);

/// A Decimal that was read, in place.
struct DecimalParts {
  bool is_negative = false;
  int64_t exponent = 0;
  size_t size = 0;
  char ascii[limits::kDecimalDigitsMax];
  BytesView digits() const { return {ascii, size}; }
};

/// Bounded reading. Errors are sticky: after the first one every read gives a zero value and is_ok() is false,
/// so a decoder reads straight on and asks once. Never reads past the end, never allocates.
class Reader {
 public:
  explicit Reader(BytesView bytes) : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  bool is_ok() const { return is_ok_; }
  bool at_end() const { return at_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return reinterpret_cast<const char*>(at_); }
  void fail() {
    is_ok_ = false;
    at_ = end_;
  }

  uint8_t byte() {
    if (at_ == end_) {
      fail();
      return 0;
    }
    return *at_++;
  }
  uint8_t peek() const { return at_ == end_ ? 0 : *at_; }
  uint64_t varint() { return at_ != end_ && *at_ < 0x80 ? *at_++ : long_varint(); }
  /// A varint that counts things of at least `bytes_each` bytes still to come: larger ones are refused (P3).
  size_t count(size_t bytes_each);
  BytesView take(size_t size) {
    if (size > remaining()) {
      fail();
      return {};
    }
    BytesView bytes(position(), size);
    at_ += size;
    return bytes;
  }
  /// varint length, then that many bytes.
  BytesView text() {
    uint64_t size = varint();
    if (size > remaining()) {
      fail();
      return {};
    }
    return take(static_cast<size_t>(size));
  }
  /// An int value, kind byte included.
  int64_t integer();
  /// Whether an int value is next that integer() cannot give: 2^63 or more.
  bool is_large_integer() const { return remaining() > 1 && at_[0] == kind::kIntMax && at_[1] >= 0x80; }
  /// An int value that is not negative, kind byte included.
  uint64_t unsigned_integer();
  double float_after_kind();
  /// `size` big-endian bytes, 8 at most, and the same with the bias taken off.
  uint64_t big_endian(size_t size);
  int64_t biased(size_t size);
  /// In V or K form; `parts` may be null.
  void decimal_after_kind(DecimalParts* parts, Mode mode = Mode::kValue);
  /// The tag of a record or an Alternative.
  uint32_t tag();
  /// The arm of an Alternative.
  uint32_t arm();
  /// One whole value in V mode, validated; gives its bytes.
  BytesView value();

 private:
  uint64_t long_varint();
  void pass_value(int depth_left);
  void pass_items(int depth_left);
  void pass_ascending(size_t values_each, int depth_left);
  void pass_fields(int depth_left);

  const uint8_t* at_;
  const uint8_t* end_;
  bool is_ok_ = true;
};

/// Appends the K form of a value given in V form. REQUIRES: `value` came through Reader::value or the put_ functions.
/// A pickle has one too (its bytes), so that nothing breaks on it; but equal objects may have different pickles.
void append_key(Bytes& out, BytesView value);

/// The order of the K forms of two values given in V form, below, at or above 0. Allocates nothing. REQUIRES: as append_key.
int compare_values(BytesView a, BytesView b);

/// Whether a value is a pickle, or holds one somewhere. REQUIRES: as append_key.
bool contains_pickle(BytesView value);

}  // namespace odb
