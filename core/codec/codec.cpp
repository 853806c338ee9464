#include "core/codec/codec.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/check.h"

namespace odb {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

int bytes_needed(uint64_t magnitude) { return (std::bit_width(magnitude) + 7) / 8; }

/// Its own inverse.
uint64_t as_big_endian(uint64_t value) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

/// A kind and the last `size` bytes of a number, put at once: most of the time goes into growing the string.
void put_number(Bytes& out, int kind, uint64_t value, int size) {
  char buffer[9] = {static_cast<char>(kind)};
  uint64_t bytes = size == 0 ? 0 : as_big_endian(value << (64 - 8 * size));
  std::memcpy(buffer + 1, &bytes, 8);
  out.append(buffer, 1 + static_cast<size_t>(size));
}

/// Negative floats are complemented, others get the sign bit set: then byte order is numeric order, NaN last.
uint64_t ordered_bits(double value, Mode mode) {
  if (std::isnan(value)) return ~uint64_t{0};
  uint64_t bits = std::bit_cast<uint64_t>(value);
  if (mode == Mode::kKey && bits == kSignBit) bits = 0;
  return (bits & kSignBit) ? ~bits : bits | kSignBit;
}

double from_ordered_bits(uint64_t bits) {
  if (bits == ~uint64_t{0}) return std::nan("");
  return std::bit_cast<double>((bits & kSignBit) ? bits & ~kSignBit : ~bits);
}

void put_biased(Bytes& out, uint8_t kind, int64_t value) {
  put_number(out, kind, static_cast<uint64_t>(value) ^ kSignBit, 8);
}

void put_text(Bytes& out, uint8_t kind, BytesView text, Mode mode) {
  if (mode == Mode::kValue && text.size() < 0x80) {  // most are as short
    char head[2] = {static_cast<char>(kind), static_cast<char>(text.size())};
    out.append(head, 2).append(text);
    return;
  }
  out.push_back(static_cast<char>(kind));
  if (mode == Mode::kKey) return put_escaped(out, text);
  put_varint(out, text.size());
  out.append(text);
}

}  // namespace

void put_escaped(Bytes& out, BytesView text) {
  for (char c : text) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
  }
  out.append("\0\1", 2);
}

void put_varint(Bytes& out, uint64_t value) {
  char buffer[10];
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) buffer[size++] = static_cast<char>(value | 0x80);
  buffer[size++] = static_cast<char>(value);
  out.append(buffer, size);
}

void put_none(Bytes& out) { out.push_back(static_cast<char>(kind::kNone)); }

void put_bool(Bytes& out, bool value) { out.push_back(static_cast<char>(value ? kind::kTrue : kind::kFalse)); }

void put_int(Bytes& out, int64_t value) {
  uint64_t magnitude = static_cast<uint64_t>(value < 0 ? ~value : value);
  int size = bytes_needed(magnitude);
  put_number(out, value < 0 ? 0x7f - size : 0x80 + size, static_cast<uint64_t>(value), size);
}

void put_unsigned(Bytes& out, uint64_t value) {
  int size = bytes_needed(value);
  put_number(out, kind::kIntZero + size, value, size);
}

void put_float(Bytes& out, double value, Mode mode) { put_number(out, kind::kFloat, ordered_bits(value, mode), 8); }

void put_str(Bytes& out, BytesView utf8, Mode mode) { put_text(out, kind::kStr, utf8, mode); }

void put_bytes(Bytes& out, BytesView bytes, Mode mode) { put_text(out, kind::kBytes, bytes, mode); }

void put_reference(Bytes& out, TypeId type, ObjectId object) {
  out.push_back(static_cast<char>(kind::kReference));
  put_int(out, type.value);
  put_int(out, object.value);
}

void put_datetime_aware(Bytes& out, int64_t us, int64_t offset_us) {
  put_biased(out, kind::kDatetimeAware, us);
  put_int(out, offset_us);
}

void put_datetime_naive(Bytes& out, int64_t us) { put_biased(out, kind::kDatetimeNaive, us); }

void put_date(Bytes& out, int32_t days) { put_number(out, kind::kDate, static_cast<uint32_t>(days) ^ 0x80000000u, 4); }

void put_time(Bytes& out, int64_t us) { put_number(out, kind::kTime, static_cast<uint64_t>(us), 8); }

void put_timedelta(Bytes& out, int64_t us) { put_biased(out, kind::kTimedelta, us); }

void put_uuid(Bytes& out, BytesView bytes) {
  ODB_CHECK(bytes.size() == 16, bytes.size());
  out.push_back(static_cast<char>(kind::kUuid));
  out.append(bytes);
}

bool is_valid_utf8(BytesView text) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* end = p + text.size();
  while (p < end) {
    if (end - p >= 8) {  // most text is ASCII: eight bytes at a time
      uint64_t word;
      std::memcpy(&word, p, 8);
      if ((word & 0x8080808080808080ULL) == 0) {
        p += 8;
        continue;
      }
    }
    uint8_t lead = *p++;
    if (lead < 0x80) continue;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || end - p < more) return false;
    uint32_t point = lead & (0x3f >> more);
    for (int i = 0; i < more; ++i) {
      if ((p[i] & 0xc0) != 0x80) return false;
      point = point << 6 | (p[i] & 0x3f);
    }
    p += more;
    if (more == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return false;
    if (more == 3 && (point < 0x10000 || point > 0x10ffff)) return false;
  }
  return true;
}

uint64_t Reader::long_varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t b = byte();
    uint64_t part = b & 0x7f;
    bool is_overflow = shift == 63 && part > 1;
    bool is_padded = shift > 0 && b == 0;
    if (!is_ok_ || is_overflow || is_padded) break;
    value |= part << shift;
    if (b < 0x80) return value;
  }
  fail();
  return 0;
}

size_t Reader::count(size_t bytes_each) {
  uint64_t n = varint();
  if (n > remaining() / bytes_each) {
    fail();
    return 0;
  }
  return static_cast<size_t>(n);
}

int64_t Reader::integer() {
  uint8_t head = byte();
  if (head < kind::kIntMin || head > kind::kIntMax) {
    fail();
    return 0;
  }
  bool is_negative = head < kind::kIntZero;
  int size = is_negative ? 0x7f - head : head - 0x80;
  uint64_t bits = is_negative ? ~uint64_t{0} : 0;
  if (size > 0 && remaining() >= 8) {  // all at once, and those that are too many out again
    uint64_t word;
    std::memcpy(&word, at_, 8);
    at_ += size;
    bits = (size == 8 ? 0 : bits << (8 * size)) | as_big_endian(word) >> (64 - 8 * size);
  } else {
    for (char c : take(static_cast<size_t>(size))) bits = bits << 8 | static_cast<uint8_t>(c);
  }
  auto value = static_cast<int64_t>(bits);
  bool has_sign = (value < 0) == is_negative;
  if (!is_ok_ || !has_sign || bytes_needed(static_cast<uint64_t>(is_negative ? ~value : value)) != size) {
    fail();
    return 0;
  }
  return value;
}

uint64_t Reader::unsigned_integer() {
  if (!is_large_integer()) {
    int64_t value = integer();
    if (value < 0) fail();
    return is_ok_ ? static_cast<uint64_t>(value) : 0;
  }
  byte();
  return big_endian(8);
}

uint64_t Reader::big_endian(size_t size) {
  BytesView taken = take(size);
  if (taken.empty()) return 0;
  uint64_t bits = 0;
  std::memcpy(&bits, taken.data(), taken.size());
  return as_big_endian(bits) >> (64 - 8 * taken.size());
}

int64_t Reader::biased(size_t size) {
  uint64_t bits = big_endian(size);
  if (!is_ok_) return 0;
  return static_cast<int64_t>(bits - (uint64_t{1} << (8 * size - 1)));
}

double Reader::float_after_kind() {
  uint64_t bits = big_endian(8);
  double value = from_ordered_bits(bits);
  if (!is_ok_ || ordered_bits(value, Mode::kValue) != bits) {  // a NaN other than ours
    fail();
    return 0;
  }
  return value;
}

}  // namespace odb
