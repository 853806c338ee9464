#include <algorithm>
#include <cstring>

#include "bindings/connection.h"
#include "bindings/decoder.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/object_type.h"
#include "bindings/times.h"
#include "core/base/limits.h"

namespace odb {
namespace {

using Kind = FieldKind;

constexpr int kLevelsMax = 4 * limits::kValueDepthMax;  // as in encode.cpp
constexpr size_t kAttemptsMax = 10'000'000;

bool is_int(uint8_t head) { return head >= kind::kIntMin && head <= kind::kIntMax; }

/// Whether a value's first byte is one of a plain scalar's, and which: of those whose arms a oneof keeps as bits.
Kind plain_kind(uint8_t head) {
  if (is_int(head)) return Kind::kInt;
  switch (head) {
    case kind::kNone: return Kind::kNone;
    case kind::kFalse:
    case kind::kTrue: return Kind::kBool;
    case kind::kFloat: return Kind::kFloat;
    case kind::kStr: return Kind::kStr;
    case kind::kBytes: return Kind::kBytes;
    default: return Kind::kAgain;
  }
}

bool is_ascii(BytesView text) {
  const char *at = text.data(), *end = at + text.size();
  uint64_t seen = 0;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    seen |= word;
  }
  for (; at < end; ++at) seen |= static_cast<uint8_t>(*at);
  return (seen & 0x8080808080808080ULL) == 0;
}

}  // namespace

PyObject* new_str(BytesView utf8) {
  auto size = static_cast<Py_ssize_t>(utf8.size());
  if (size < 2 || !is_ascii(utf8)) return PyUnicode_DecodeUTF8(utf8.data(), size, nullptr);  // has one-letter texts
  PyObject* made = PyUnicode_New(size, 0x7f);
  if (made != nullptr) std::memcpy(PyUnicode_DATA(made), utf8.data(), utf8.size());
  return made;
}

namespace {

/// REQUIRES: plain_kind of its first byte is `kind`, and it is no int above 2^63.
PyObject* decode_plain(Reader& in, Kind kind) {
  if (kind == Kind::kInt) return PyLong_FromLongLong(in.integer());
  uint8_t head = in.byte();
  switch (kind) {
    case Kind::kNone: Py_RETURN_NONE;
    case Kind::kBool: return PyBool_FromLong(head == kind::kTrue);
    case Kind::kFloat: return PyFloat_FromDouble(in.float_after_kind());
    case Kind::kStr: return new_str(in.text());
    default: {
      BytesView bytes = in.text();
      return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    }
  }
}

bool is_in_range(int64_t number, Kind kind) {
  switch (kind) {
    case Kind::kInt8: return number >= INT8_MIN && number <= INT8_MAX;
    case Kind::kInt16: return number >= INT16_MIN && number <= INT16_MAX;
    case Kind::kInt32: return number >= INT32_MIN && number <= INT32_MAX;
    case Kind::kUint8: return number >= 0 && number <= UINT8_MAX;
    case Kind::kUint16: return number >= 0 && number <= UINT16_MAX;
    case Kind::kUint32: return number >= 0 && number <= UINT32_MAX;
    case Kind::kUint64: return number >= 0;
    default: return true;
  }
}

/// For people.
std::string kind_shown(uint8_t head) {
  if (is_int(head)) return "an int";
  switch (head) {
    case kind::kNone: return "None";
    case kind::kFalse:
    case kind::kTrue: return "a bool";
    case kind::kFloat: return "a float";
    case kind::kStr: return "a str";
    case kind::kBytes: return "bytes";
    case kind::kDatetimeAware: return "a datetime with a UTC offset";
    case kind::kDatetimeNaive: return "a datetime without a UTC offset";
    case kind::kDate: return "a date";
    case kind::kTime: return "a time";
    case kind::kTimedelta: return "a timedelta";
    case kind::kDecimal: return "a Decimal";
    case kind::kUuid: return "a UUID";
    case kind::kTuple: return "a tuple";
    case kind::kDict: return "a dict";
    case kind::kSet: return "a set";
    case kind::kRecord: return "a record";
    case kind::kAlternative: return "an Alternative";
    case kind::kReference: return "a reference";
    case kind::kCodec: return "a value of a codec";
    case kind::kPickle: return "a pickle";
    default: return "of an unknown kind";
  }
}

}  // namespace

PyObject* Decoder::decode(Reader& in, const FieldType& type) {
  Kind plain = plain_kind(in.peek());
  if (plain == type.kind && plain != Kind::kAgain && !in.is_large_integer()) return decode_plain(in, plain);
  if (level_ >= kLevelsMax) return nullptr;
  ++level_;
  PyObject* read = decode_kind(in, type);
  --level_;
  return read;
}

PyObject* Decoder::decode_kind(Reader& in, const FieldType& type) {
  uint8_t head = in.peek();
  switch (type.kind) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kFloat:
    case Kind::kStr:
    case Kind::kBytes: return plain_kind(head) == type.kind ? decode_plain(in, type.kind) : nullptr;
    case Kind::kFloat32: return head == kind::kFloat ? decode_plain(in, Kind::kFloat) : nullptr;
    case Kind::kInt:
    case Kind::kInt8:
    case Kind::kInt16:
    case Kind::kInt32:
    case Kind::kUint8:
    case Kind::kUint16:
    case Kind::kUint32:
    case Kind::kUint64: return is_int(head) ? decode_int(in, type) : nullptr;
    case Kind::kDatetime:
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimedelta:
    case Kind::kDecimal:
    case Kind::kUuid:
      if (standard_kind_of_head(head) != type.kind) return nullptr;
      in.byte();
      return decode_standard(in, head);
    case Kind::kObject: return decode_object(in, type);
    case Kind::kReference: return head == kind::kReference ? decode_reference(in, type) : nullptr;
    case Kind::kOneOf: return decode_one_of(in, type);
    case Kind::kLiteral: return decode_literal(in, type);
    case Kind::kEnum: return decode_enum(in, type);
    case Kind::kTupleOf:
    case Kind::kTuple: return head == kind::kTuple ? decode_tuple(in, type) : nullptr;
    case Kind::kSetOf: return head == kind::kSet ? decode_set(in, type) : nullptr;
    case Kind::kDictOf: return head == kind::kDict ? decode_dict(in, type) : nullptr;
    case Kind::kRecord: return head == kind::kRecord ? decode_record(in, type) : nullptr;
    case Kind::kAlternative: return head == kind::kAlternative ? decode_alternative(in, type) : nullptr;
    case Kind::kForward: return decode(in, *type.parts[0]);
    case Kind::kAgain: return decode(in, *type.again);
  }
  return nullptr;
}

PyObject* Decoder::decode_int(Reader& in, const FieldType& type) {
  if (in.is_large_integer())
    return type.kind == Kind::kUint64 ? PyLong_FromUnsignedLongLong(in.unsigned_integer()) : nullptr;
  int64_t number = in.integer();
  return is_in_range(number, type.kind) ? PyLong_FromLongLong(number) : nullptr;
}

PyObject* Decoder::decode_one_of(Reader& in, const FieldType& type) {
  Kind plain = plain_kind(in.peek());
  if (plain != Kind::kAgain && (type.plain_arms >> static_cast<unsigned>(plain) & 1) != 0 && !in.is_large_integer())
    return decode_plain(in, plain);
  if (attempts_ == 0) attempts_max_ = kAttemptsMax + limits::kUnionArmsMax * in.remaining();
  for (const auto& arm : type.parts) {
    Reader from_here = in;
    if (PyObject* read = decode(from_here, *arm)) {
      in = from_here;
      return read;
    }
    if (PyErr_Occurred()) return nullptr;
    if (arm->kind != Kind::kLiteral && ++attempts_ > attempts_max_) break;
  }
  return nullptr;
}

PyObject* Decoder::decode_literal(Reader& in, const FieldType& type) {
  if (!starts_with(in, type.stored)) return nullptr;
  in.take(type.stored.size());
  return type.value.share();
}

PyObject* Decoder::decode_enum(Reader& in, const FieldType& type) {
  const EnumMember* member = type.member_stored_as({in.position(), in.remaining()});
  if (member == nullptr) return nullptr;
  in.take(member->stored.size());
  return member->member.share();
}

PyObject* Decoder::decode_reference(Reader& in, const FieldType& type) {
  in.byte();
  auto number = TypeId{static_cast<uint32_t>(in.integer())};
  ObjectId object{in.integer()};
  return number_of_type(*type.target, connection_) == number ? new_handle(*type.target, object) : nullptr;
}

PyObject* Decoder::failed_at(const std::string& step) {
  raised_->at.insert(0, step);
  return nullptr;
}

PyObject* Decoder::failed_in(const std::string& whose) {
  raised_ = std::make_unique<Raised>(whose);
  return nullptr;
}

void Decoder::tell(const std::string& where) const {
  if (raised_ != nullptr && PyErr_Occurred()) set_codec_error(where + raised_->at + ": " + raised_->by);
}

PyObject* decode_value(BytesView value, const FieldType& type, const Connection& connection, const std::string& where,
                       bool* is_shared) {
  Reader in(value);
  Kind plain = plain_kind(in.peek());
  bool is_plain = plain == type.kind || (type.kind == Kind::kOneOf && plain != Kind::kAgain &&
                                         (type.plain_arms >> static_cast<unsigned>(plain) & 1) != 0);
  if (is_plain && !in.is_large_integer()) [[likely]]
    return decode_plain(in, plain);
  Decoder decoder(&connection);
  PyObject* read = decoder.decode(in, type);
  if (is_shared != nullptr) *is_shared = decoder.is_shared();
  if (read == nullptr) decoder.tell(where);
  if (read == nullptr && !PyErr_Occurred()) {
    bool has_arms = type.kind == Kind::kRecord || type.kind == Kind::kAlternative || type.kind >= Kind::kTupleOf;
    set_error("SchemaMismatchError",
              where + ": the stored value is " + kind_shown(static_cast<uint8_t>(value.front())) +
                  (has_arms ? " that does not fit" : "") + ", and the definition in this program takes " +
                  describe(type) + (decoder.fault().empty() ? "" : ": " + decoder.fault()));
  }
  return read;
}

PyObject* convert_value(PyObject* value, const FieldType& type, const std::string& where) {
  Scratch scratch;
  if (!put_plain(value, type, scratch.bytes)) {
    Encoder encoder(nullptr, true, where, scratch.bytes);
    if (!encoder.encode_whole(value, type)) return nullptr;
  }
  Reader in(scratch.bytes);
  Decoder decoder(nullptr);
  PyObject* read = decoder.decode(in, type);
  if (read == nullptr) decoder.tell(where);
  if (read == nullptr && !PyErr_Occurred())
    set_error("InternalError", where + ": a value that was written and cannot be read: " + decoder.fault());
  return read;
}

}  // namespace odb
