#include "core/codec/codec.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/check.h"

namespace odb {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

int bytes_needed(uint64_t magnitude) { return (std::bit_width(magnitude) + 7) / 8; }

void put_big_endian(Bytes& out, uint64_t value, int size) {
  char buffer[8];
  for (int i = 0; i < size; ++i) buffer[i] = static_cast<char>(value >> (8 * (size - 1 - i)));
  out.append(buffer, static_cast<size_t>(size));
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

void put_escaped(Bytes& out, BytesView text) {
  for (char c : text) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
  }
  out.append("\0\1", 2);
}

void put_text(Bytes& out, uint8_t kind, BytesView text, Mode mode) {
  out.push_back(static_cast<char>(kind));
  if (mode == Mode::kKey) return put_escaped(out, text);
  put_varint(out, text.size());
  out.append(text);
}

/// The text behind an escaped run, or a failed reader.
Bytes take_escaped(Reader& in) {
  Bytes text;
  while (in.is_ok()) {
    uint8_t c = in.byte();
    if (c != 0) {
      text.push_back(static_cast<char>(c));
      continue;
    }
    uint8_t next = in.byte();
    if (next == 0x01 && in.is_ok()) return text;
    if (next != 0xff) in.fail();
    text.push_back('\0');
  }
  return text;
}

}  // namespace

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
  out.push_back(static_cast<char>(value < 0 ? 0x7f - size : 0x80 + size));
  put_big_endian(out, static_cast<uint64_t>(value), size);
}

void put_float(Bytes& out, double value, Mode mode) {
  out.push_back(static_cast<char>(kind::kFloat));
  put_big_endian(out, ordered_bits(value, mode), 8);
}

void put_str(Bytes& out, BytesView utf8, Mode mode) { put_text(out, kind::kStr, utf8, mode); }

void put_bytes(Bytes& out, BytesView bytes, Mode mode) { put_text(out, kind::kBytes, bytes, mode); }

void put_reference(Bytes& out, TypeId type, ObjectId object) {
  out.push_back(static_cast<char>(kind::kReference));
  put_int(out, type.value);
  put_int(out, object.value);
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

uint8_t Reader::byte() {
  if (at_ == end_) {
    fail();
    return 0;
  }
  return *at_++;
}

uint64_t Reader::varint() {
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

BytesView Reader::take(size_t size) {
  if (size > remaining()) {
    fail();
    return {};
  }
  BytesView bytes(position(), size);
  at_ += size;
  return bytes;
}

BytesView Reader::text() {
  uint64_t size = varint();
  if (size > remaining()) {
    fail();
    return {};
  }
  return take(static_cast<size_t>(size));
}

int64_t Reader::integer() {
  uint8_t head = byte();
  if (head < kind::kIntMin || head > kind::kIntMax) {
    fail();
    return 0;
  }
  bool is_negative = head < kind::kIntZero;
  int size = is_negative ? 0x7f - head : head - 0x80;
  BytesView digits = take(static_cast<size_t>(size));
  uint64_t bits = is_negative ? ~uint64_t{0} : 0;
  for (char c : digits) bits = bits << 8 | static_cast<uint8_t>(c);
  auto value = static_cast<int64_t>(bits);
  bool has_sign = (value < 0) == is_negative;
  if (!is_ok_ || !has_sign || bytes_needed(static_cast<uint64_t>(is_negative ? ~value : value)) != size) {
    fail();
    return 0;
  }
  return value;
}

double Reader::float_after_kind() {
  uint64_t bits = 0;
  for (char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
  double value = from_ordered_bits(bits);
  if (!is_ok_ || ordered_bits(value, Mode::kValue) != bits) {  // a NaN other than ours
    fail();
    return 0;
  }
  return value;
}

BytesView Reader::value() {
  const char* start = position();
  uint8_t head = peek();
  if (head >= kind::kIntMin && head <= kind::kIntMax) {
    integer();
  } else {
    byte();
    switch (head) {
      case kind::kNone:
      case kind::kFalse:
      case kind::kTrue: break;
      case kind::kStr:
        if (!is_valid_utf8(text())) fail();
        break;
      case kind::kBytes: text(); break;
      case kind::kFloat: float_after_kind(); break;
      case kind::kReference: {
        int64_t type = integer();
        int64_t object = integer();
        if (type < 1 || type > INT32_MAX || object < 0) fail();
        break;
      }
      default: fail();
    }
  }
  return is_ok_ ? BytesView(start, static_cast<size_t>(position() - start)) : BytesView();
}

void append_key(Bytes& out, BytesView value) {
  Reader in(value);
  switch (in.peek()) {
    case kind::kStr:
    case kind::kBytes:
      out.push_back(static_cast<char>(in.byte()));
      put_escaped(out, in.text());
      break;
    case kind::kFloat:
      in.byte();
      put_float(out, in.float_after_kind(), Mode::kKey);
      break;
    default: out.append(value);
  }
  ODB_CHECK(in.is_ok());
}

Bytes encode(const Value& value, Mode mode) {
  Bytes out;
  struct {
    Bytes& out;
    Mode mode;
    void operator()(std::monostate) { put_none(out); }
    void operator()(bool v) { put_bool(out, v); }
    void operator()(int64_t v) { put_int(out, v); }
    void operator()(double v) { put_float(out, v, mode); }
    void operator()(const Text& v) { put_str(out, v.utf8, mode); }
    void operator()(const Blob& v) { put_bytes(out, v.bytes, mode); }
    void operator()(const Reference& v) { put_reference(out, v.type, v.object); }
  } put{out, mode};
  std::visit(put, value);
  return out;
}

Result<Value> decode(BytesView bytes, Mode mode) {
  Reader in(bytes);
  Value value;
  uint8_t head = in.peek();
  if (head >= kind::kIntMin && head <= kind::kIntMax) {
    value = in.integer();
  } else {
    in.byte();
    switch (head) {
      case kind::kNone: break;
      case kind::kFalse: value = false; break;
      case kind::kTrue: value = true; break;
      case kind::kStr:
      case kind::kBytes: {
        Bytes text = mode == Mode::kKey ? take_escaped(in) : Bytes(in.text());
        if (head == kind::kBytes) {
          value = Blob{std::move(text)};
        } else if (is_valid_utf8(text)) {
          value = Text{std::move(text)};
        } else {
          in.fail();
        }
        break;
      }
      case kind::kFloat: {
        double number = in.float_after_kind();
        bool is_negative_zero = number == 0.0 && std::signbit(number);
        if (mode == Mode::kKey && is_negative_zero) in.fail();
        value = number;
        break;
      }
      case kind::kReference: {
        int64_t type = in.integer();
        int64_t object = in.integer();
        if (type < 1 || type > INT32_MAX || object < 0) in.fail();
        value = Reference{TypeId{static_cast<uint32_t>(type)}, ObjectId{object}};
        break;
      }
      default: in.fail();
    }
  }
  if (!in.is_ok()) return protocol_error("not a canonical value");
  if (!in.at_end()) return protocol_error("bytes behind a value");
  return value;
}

std::string show(const Value& value) {
  struct {
    std::string operator()(std::monostate) { return "None"; }
    std::string operator()(bool v) { return v ? "True" : "False"; }
    std::string operator()(int64_t v) { return std::to_string(v); }
    std::string operator()(double v) { return std::to_string(v); }
    std::string operator()(const Text& v) { return "'" + v.utf8 + "'"; }
    std::string operator()(const Blob& v) { return "<" + std::to_string(v.bytes.size()) + " bytes>"; }
    std::string operator()(const Reference& v) {
      return "<reference " + std::to_string(v.type.value) + ":" + std::to_string(v.object.value) + ">";
    }
  } shown;
  return std::visit(shown, value);
}

}  // namespace odb
