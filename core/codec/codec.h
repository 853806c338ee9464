/// Values as canonical bytes (D38).
///
///   value   = 02                                   None
///           | 04 | 05                              False, True
///           | 77..88 byte*n                        int: 80+n for x >= 0, 7f-n for x < 0 (bytes of ~x complemented);
///                                                  n big-endian bytes, n minimal
///           | 90 byte*8                            float: IEEE big-endian, order-preserving sign flip
///           | 20 text | 24 text                    str (valid UTF-8, no surrogates), bytes
///           | 60 int int                           reference: catalogue number of the type, object identity (unset: 0)
///   text    = varint byte*                         in V mode (stored values)
///           | (byte except 00 | 00 ff)* 00 01      in K mode (index keys): byte order = order of the values
///   varint  = unsigned LEB128, minimal
///
/// A value has the same bytes in every field type that can hold it. K differs from V in text, and in float: K has
/// no -0.0. P1: decoding and encoding again gives the same bytes; anything else is refused.
#pragma once

#include <cstdint>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"

namespace odb {

enum class Mode : uint8_t { kValue, kKey };

namespace kind {
inline constexpr uint8_t kAbsent = 0x00;  // not a value: in a record, "no value stored, the default holds"
inline constexpr uint8_t kNone = 0x02;
inline constexpr uint8_t kFalse = 0x04;
inline constexpr uint8_t kTrue = 0x05;
inline constexpr uint8_t kStr = 0x20;
inline constexpr uint8_t kBytes = 0x24;
inline constexpr uint8_t kReference = 0x60;
inline constexpr uint8_t kIntMin = 0x77;
inline constexpr uint8_t kIntZero = 0x80;
inline constexpr uint8_t kIntMax = 0x88;
inline constexpr uint8_t kFloat = 0x90;
}  // namespace kind

void put_varint(Bytes& out, uint64_t value);
void put_none(Bytes& out);
void put_bool(Bytes& out, bool value);
void put_int(Bytes& out, int64_t value);
void put_float(Bytes& out, double value, Mode mode);
/// REQUIRES: utf8 is valid UTF-8 without surrogates (is_valid_utf8).
void put_str(Bytes& out, BytesView utf8, Mode mode);
void put_bytes(Bytes& out, BytesView bytes, Mode mode);
void put_reference(Bytes& out, TypeId type, ObjectId object);

bool is_valid_utf8(BytesView text);

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

  uint8_t byte();
  uint8_t peek() const { return at_ == end_ ? 0 : *at_; }
  uint64_t varint();
  /// A varint that counts things of at least `bytes_each` bytes still to come: larger ones are refused (P3).
  size_t count(size_t bytes_each);
  BytesView take(size_t size);
  /// varint length, then that many bytes.
  BytesView text();
  /// An int value, kind byte included.
  int64_t integer();
  double float_after_kind();
  /// One whole value in V mode, validated; gives its bytes.
  BytesView value();

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  bool is_ok_ = true;
};

/// Appends the K form of a value given in V form. REQUIRES: `value` came through Reader::value or the put_ functions.
void append_key(Bytes& out, BytesView value);

/// A value out of the bytes, for messages, tests and tools. The read path does not use it.
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
using Value = std::variant<std::monostate, bool, int64_t, double, Text, Blob, Reference>;

Bytes encode(const Value& value, Mode mode);
/// The value, when the bytes are exactly one canonical value; a protocol error otherwise.
Result<Value> decode(BytesView bytes, Mode mode);
/// For people: 5, 'abc', None, <reference 3:17>.
std::string show(const Value& value);

}  // namespace odb
