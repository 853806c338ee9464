/// Values that hold values: what Reader::value, append_key and compare_values do with all kinds. The three walk V forms; none allocates,
/// but for the bytes of the key. Recursion is as deep as the values are, at most kValueDepthMax.
#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

bool is_int(uint8_t head) { return head >= kind::kIntMin && head <= kind::kIntMax; }

/// How many bytes follow an int's head.
size_t int_size(uint8_t head) { return head < kind::kIntZero ? 0x7f - head : head - 0x80; }

/// How many bytes follow the head of a kind that has always as many, and whose K form is its V form.
size_t fixed_size(uint8_t head) {
  switch (head) {
    case kind::kDate: return 4;
    case kind::kDatetimeNaive:
    case kind::kTime:
    case kind::kTimedelta: return 8;
    case kind::kUuid: return 16;
    default: return 0;
  }
}

int order_of(BytesView a, BytesView b) { return a.compare(b); }

/// Steps over an int without looking at it.
BytesView int_bytes(Reader& in) {
  const char* start = in.position();
  in.take(int_size(in.byte()));
  return {start, static_cast<size_t>(in.position() - start)};
}

/// The part of a Decimal behind its kind that is its K form; the reader stands behind the whole Decimal then.
BytesView decimal_key(Reader& in) {
  const char* start = in.position();
  uint8_t sign = in.byte();
  if (sign == 0x02) {
    in.byte();
    int_bytes(in);
    return {start, 1};
  }
  int_bytes(in);
  uint8_t end = sign == 0x01 ? 0xff : 0x00;
  while (in.remaining() > 0 && in.byte() != end) {}
  auto size = static_cast<size_t>(in.position() - start);
  in.varint();
  return {start, size};
}

void append_key_from(Bytes& out, Reader& in, int depth_left);

void append_items(Bytes& out, Reader& in, size_t values_each, int depth_left) {
  for (size_t n = in.count(values_each); n > 0; --n) {
    out.push_back('\1');
    for (size_t i = 0; i < values_each; ++i) append_key_from(out, in, depth_left - 1);
  }
  out.push_back('\0');
}

void append_fields(Bytes& out, Reader& in, int depth_left) {
  uint8_t mark = in.byte();
  for (; mark == mark::kLess || mark == mark::kGreater; mark = in.byte()) {
    out.push_back(static_cast<char>(mark));
    append_key_from(out, in, depth_left - 1);
  }
  for (; mark == mark::kEqual; mark = in.byte()) in.value();
  out.push_back(static_cast<char>(mark::kEqual));
}

/// Appends the K form of the value that is next.
void append_key_from(Bytes& out, Reader& in, int depth_left) {
  ODB_CHECK(depth_left >= 0);
  uint8_t head = in.peek();
  if (is_int(head)) {
    out.append(int_bytes(in));
    return;
  }
  out.push_back(static_cast<char>(in.byte()));
  switch (head) {
    case kind::kNone:
    case kind::kFalse:
    case kind::kTrue: break;
    case kind::kStr:
    case kind::kBytes:
    case kind::kPickle: put_escaped(out, in.text()); break;
    case kind::kFloat:
      out.pop_back();
      put_float(out, in.float_after_kind(), Mode::kKey);
      break;
    case kind::kDatetimeAware:
      out.append(in.take(8));
      int_bytes(in);
      break;
    case kind::kDecimal: out.append(decimal_key(in)); break;
    case kind::kTuple:
    case kind::kSet: append_items(out, in, 1, depth_left); break;
    case kind::kDict: append_items(out, in, 2, depth_left); break;
    case kind::kReference:
      out.append(int_bytes(in));
      out.append(int_bytes(in));
      break;
    case kind::kAlternative: out.append(int_bytes(in)); [[fallthrough]];
    case kind::kRecord:
      out.append(int_bytes(in));
      append_fields(out, in, depth_left);
      break;
    case kind::kCodec:
      put_escaped(out, in.text());
      append_key_from(out, in, depth_left - 1);
      break;
    default: {
      size_t size = fixed_size(head);
      if (size == 0) in.fail();
      out.append(in.take(size));
    }
  }
}

int compare_next(Reader& a, Reader& b, int depth_left);

int compare_items(Reader& a, Reader& b, size_t values_each, int depth_left) {
  size_t in_a = a.count(values_each), in_b = b.count(values_each);
  for (size_t n = std::min(in_a, in_b) * values_each; n > 0; --n)
    if (int order = compare_next(a, b, depth_left - 1)) return order;
  return in_a < in_b ? -1 : in_a > in_b;
}

int compare_fields(Reader& a, Reader& b, int depth_left) {
  for (;;) {
    uint8_t mark_a = a.byte(), mark_b = b.byte();
    uint8_t rest_a = mark_a == mark::kEnd ? mark::kEqual : mark_a,
            rest_b = mark_b == mark::kEnd ? mark::kEqual : mark_b;
    if (rest_a != rest_b) return rest_a < rest_b ? -1 : 1;
    if (rest_a == mark::kEqual) {  // as keys both are at their end
      for (; mark_a == mark::kEqual; mark_a = a.byte()) a.value();
      for (; mark_b == mark::kEqual; mark_b = b.byte()) b.value();
      return 0;
    }
    if (int order = compare_next(a, b, depth_left - 1)) return order;
  }
}

/// Compares the two values that are next; when they are equal, both readers stand behind them.
int compare_next(Reader& a, Reader& b, int depth_left) {
  ODB_CHECK(depth_left >= 0);
  uint8_t head = a.peek();
  if (head != b.peek()) return head < b.peek() ? -1 : 1;
  if (is_int(head)) return order_of(int_bytes(a), int_bytes(b));
  a.byte();
  b.byte();
  switch (head) {
    case kind::kNone:
    case kind::kFalse:
    case kind::kTrue: return 0;
    case kind::kStr:
    case kind::kBytes:
    case kind::kPickle: return order_of(a.text(), b.text());
    case kind::kFloat: {
      constexpr uint64_t kNegativeZero = ~uint64_t{0} >> 1;  // just below 0.0
      uint64_t x = a.big_endian(8), y = b.big_endian(8);
      x += x == kNegativeZero;
      y += y == kNegativeZero;
      return x < y ? -1 : x > y;
    }
    case kind::kDatetimeAware: {
      if (int order = order_of(a.take(8), b.take(8))) return order;
      int_bytes(a);
      int_bytes(b);
      return 0;
    }
    case kind::kDecimal: return order_of(decimal_key(a), decimal_key(b));
    case kind::kTuple:
    case kind::kSet: return compare_items(a, b, 1, depth_left);
    case kind::kDict: return compare_items(a, b, 2, depth_left);
    case kind::kReference:
      if (int order = order_of(int_bytes(a), int_bytes(b))) return order;
      return order_of(int_bytes(a), int_bytes(b));
    case kind::kAlternative:
      if (int order = order_of(int_bytes(a), int_bytes(b))) return order;
      [[fallthrough]];
    case kind::kRecord:
      if (int order = order_of(int_bytes(a), int_bytes(b))) return order;
      return compare_fields(a, b, depth_left);
    case kind::kCodec:
      if (int order = order_of(a.text(), b.text())) return order;
      return compare_next(a, b, depth_left - 1);
    default: return order_of(a.take(fixed_size(head)), b.take(fixed_size(head)));
  }
}

bool has_pickle(Reader& in) {
  uint8_t head = in.peek();
  switch (head) {
    case kind::kPickle: return true;
    case kind::kTuple:
    case kind::kSet:
    case kind::kDict: {
      in.byte();
      for (size_t n = in.count(1) * (head == kind::kDict ? 2 : 1); n > 0; --n)
        if (has_pickle(in)) return true;
      return false;
    }
    case kind::kAlternative:
    case kind::kRecord:
      in.byte();
      int_bytes(in);
      if (head == kind::kAlternative) int_bytes(in);
      while (in.byte() != mark::kEnd)
        if (has_pickle(in)) return true;
      return false;
    case kind::kCodec:
      in.byte();
      in.text();
      return has_pickle(in);
    default: in.value(); return false;
  }
}

}  // namespace

void put_tuple_head(Bytes& out, size_t items) {
  out.push_back(static_cast<char>(kind::kTuple));
  put_varint(out, items);
}

void put_set_head(Bytes& out, size_t items) {
  out.push_back(static_cast<char>(kind::kSet));
  put_varint(out, items);
}

void put_dict_head(Bytes& out, size_t items) {
  out.push_back(static_cast<char>(kind::kDict));
  put_varint(out, items);
}

void put_record_value_head(Bytes& out, uint32_t tag) {
  out.push_back(static_cast<char>(kind::kRecord));
  put_int(out, tag);
}

void put_alternative_head(Bytes& out, uint32_t tag, uint32_t arm) {
  out.push_back(static_cast<char>(kind::kAlternative));
  put_int(out, tag);
  put_int(out, arm);
}

void put_codec_head(Bytes& out, BytesView name) {
  out.push_back(static_cast<char>(kind::kCodec));
  put_varint(out, name.size());
  out.append(name);
}

void put_pickle(Bytes& out, BytesView bytes) {
  out.push_back(static_cast<char>(kind::kPickle));
  put_varint(out, bytes.size());
  out.append(bytes);
}

size_t put_set(Bytes& out, std::span<BytesView> items) {
  std::ranges::stable_sort(items, [](BytesView a, BytesView b) { return compare_values(a, b) < 0; });
  auto same = std::ranges::unique(items, [](BytesView a, BytesView b) { return compare_values(a, b) == 0; });
  auto different = items.first(items.size() - same.size());
  put_set_head(out, different.size());
  for (BytesView item : different) out.append(item);
  return different.size();
}

bool put_dict(Bytes& out, std::span<std::pair<BytesView, BytesView>> items) {
  std::ranges::sort(items, [](const auto& a, const auto& b) { return compare_values(a.first, b.first) < 0; });
  auto is_same = [](const auto& a, const auto& b) { return compare_values(a.first, b.first) == 0; };
  if (std::ranges::adjacent_find(items, is_same) != items.end()) return false;
  put_dict_head(out, items.size());
  for (const auto& [key, value] : items) out.append(key).append(value);
  return true;
}

void put_fields(Bytes& out, std::span<const FieldPart> fields) {
  ODB_CHECK(fields.size() <= limits::kFieldsPerTypeMax, fields.size());
  size_t stored = fields.size();
  auto is_default = [](const FieldPart& field) { return field.value == field.default_value; };
  while (stored > 0 && is_default(fields[stored - 1])) --stored;
  // A mark follows from what comes behind it, so they are found from the end, and written from the front.
  std::array<uint8_t, limits::kFieldsPerTypeMax> marks;
  uint8_t rest = mark::kEqual;
  for (size_t i = stored; i-- > 0;) {
    const FieldPart& field = fields[i];
    bool is_required = field.default_value.empty();
    int order = is_required ? 1 : is_default(field) ? 0 : compare_values(field.value, field.default_value);
    if (order != 0) rest = order < 0 ? mark::kLess : mark::kGreater;
    marks[i] = rest;
  }
  for (size_t i = 0; i < stored; ++i) {
    out.push_back(static_cast<char>(marks[i]));
    out.append(fields[i].value);
  }
  out.push_back(static_cast<char>(mark::kEnd));
}

bool is_aware_datetime(int64_t us, int64_t offset_us) {
  if (offset_us <= -kDayUs || offset_us >= kDayUs) return false;
  return us >= kDatetimeMinUs - offset_us && us <= kDatetimeMaxUs - offset_us;
}

uint32_t record_tag(std::string_view name) {
  if (name.empty()) return 0;
  auto tag = static_cast<uint32_t>(hash_bytes(name));
  return tag == 0 ? 1 : tag;
}

uint32_t Reader::tag() {
  int64_t value = integer();
  if (value < 0 || value > UINT32_MAX) fail();
  return is_ok_ ? static_cast<uint32_t>(value) : 0;
}

uint32_t Reader::arm() {
  int64_t value = integer();
  if (value < 0 || value >= static_cast<int64_t>(limits::kFieldsPerTypeMax)) fail();
  return is_ok_ ? static_cast<uint32_t>(value) : 0;
}

BytesView Reader::value() {
  const char* start = position();
  pass_value(limits::kValueDepthMax);
  return is_ok_ ? BytesView(start, static_cast<size_t>(position() - start)) : BytesView();
}

/// Steps over one value, which may hold values `depth_left` deep, or fails.
void Reader::pass_value(int depth_left) {
  uint8_t head = peek();
  if (is_int(head)) {
    if (is_large_integer()) {
      unsigned_integer();
    } else {
      integer();
    }
    return;
  }
  byte();
  switch (head) {
    case kind::kNone:
    case kind::kFalse:
    case kind::kTrue: break;
    case kind::kStr:
      if (!is_valid_utf8(text())) fail();
      break;
    case kind::kBytes:
    case kind::kPickle: text(); break;
    case kind::kFloat: float_after_kind(); break;
    case kind::kReference: {
      int64_t type = integer();
      int64_t object = integer();
      if (type < 1 || type > INT32_MAX || object < 0) fail();
      break;
    }
    case kind::kDatetimeAware: {
      int64_t us = biased(8);
      int64_t offset_us = integer();
      if (!is_aware_datetime(us, offset_us)) fail();
      break;
    }
    case kind::kDatetimeNaive: {
      int64_t us = biased(8);
      if (us < kDatetimeMinUs || us > kDatetimeMaxUs) fail();
      break;
    }
    case kind::kDate: {
      int64_t days = biased(4);
      if (days < kDateMin || days > kDateMax) fail();
      break;
    }
    case kind::kTime:
      if (big_endian(8) >= static_cast<uint64_t>(kDayUs)) fail();
      break;
    case kind::kTimedelta: take(8); break;
    case kind::kDecimal: decimal_after_kind(nullptr); break;
    case kind::kUuid: take(16); break;
    case kind::kTuple: pass_items(depth_left - 1); break;
    case kind::kSet: pass_ascending(1, depth_left - 1); break;
    case kind::kDict: pass_ascending(2, depth_left - 1); break;
    case kind::kRecord:
      tag();
      pass_fields(depth_left - 1);
      break;
    case kind::kAlternative:
      tag();
      arm();
      pass_fields(depth_left - 1);
      break;
    case kind::kCodec:
      if (!is_valid_utf8(text())) fail();
      if (depth_left == 0) return fail();
      pass_value(depth_left - 1);
      break;
    default: fail();
  }
}

void Reader::pass_items(int depth_left) {
  if (depth_left < 0) return fail();
  for (size_t n = count(1); n > 0 && is_ok_; --n) pass_value(depth_left);
}

void Reader::pass_ascending(size_t values_each, int depth_left) {
  if (depth_left < 0) return fail();
  BytesView before;
  for (size_t n = count(values_each); n > 0 && is_ok_; --n) {
    const char* start = position();
    pass_value(depth_left);
    if (!is_ok_) return;
    BytesView key(start, static_cast<size_t>(position() - start));
    if (!before.empty() && compare_values(before, key) >= 0) return fail();
    before = key;
    if (values_each == 2) pass_value(depth_left);
  }
}

void Reader::pass_fields(int depth_left) {
  if (depth_left < 0) return fail();
  uint8_t before = mark::kGreater;
  for (size_t n = 0; is_ok_; ++n) {
    uint8_t mark = byte();
    if (mark == mark::kEnd) return;  // also of a reader that has failed
    bool is_behind_equal = before == mark::kEqual && mark != mark::kEqual;
    if (mark > mark::kGreater || is_behind_equal || n == limits::kFieldsPerTypeMax) return fail();
    pass_value(depth_left);
    before = mark;
  }
}

void append_key(Bytes& out, BytesView value) {
  Reader in(value);
  append_key_from(out, in, limits::kValueDepthMax);
  ODB_CHECK(in.is_ok());
}

int compare_values(BytesView a, BytesView b) {
  Reader in_a(a), in_b(b);
  return compare_next(in_a, in_b, limits::kValueDepthMax);
}

bool contains_pickle(BytesView value) {
  Reader in(value);
  return has_pickle(in);
}

}  // namespace odb
