#include <algorithm>
#include <ranges>
#include <utility>

#include "bindings/connection.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/object_type.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

using Kind = FieldKind;

constexpr int kLevelsMax = 4 * limits::kValueDepthMax;  // a container may have a oneof and a forward around it
/// Arms that may fail in one value, and as many again as a union has for each of its bytes: types whose arms look alike at every
/// level would else be tried for ever.
constexpr size_t kAttemptsMax = 10'000'000;

/// Whether a oneof has arms that would each iterate over a value.
bool takes_iterables(const FieldType& type) {
  return std::ranges::any_of(type.parts, [](const auto& arm) { return arm->kind >= Kind::kTupleOf; });
}

/// Of exactly None, a bool, int, float, str or bytes; else kAgain.
Kind plain_kind_of(PyObject* value) {
  if (value == Py_None) return Kind::kNone;
  if (PyLong_CheckExact(value)) return Kind::kInt;
  if (PyUnicode_CheckExact(value)) return Kind::kStr;
  if (PyFloat_CheckExact(value)) return Kind::kFloat;
  if (PyBool_Check(value)) return Kind::kBool;
  return PyBytes_CheckExact(value) ? Kind::kBytes : Kind::kAgain;
}

PyObject* translate = nullptr;  // as below

/// What becomes of a value that is another library's; none, perhaps with an exception set: it is nobody's.
Ref translated_value(PyObject* value) {
  if (translate == nullptr || PyErr_Occurred()) return {};
  Ref found = Ref::steal(run_python([value] { return PyObject_CallOneArg(translate, value); }));
  return found.get() == value ? Ref() : std::move(found);
}

}  // namespace

PyObject* translate_values_with(PyObject*, PyObject* function) {
  Py_XSETREF(translate, Py_NewRef(function));
  Py_RETURN_NONE;
}

bool put_plain(PyObject* value, const FieldType& type, Bytes& out) {
  Kind kind = plain_kind_of(value);
  bool is_taken = kind == type.kind || (type.plain_arms != 0 && kind != Kind::kAgain &&
                                        (type.plain_arms >> static_cast<unsigned>(kind) & 1) != 0);
  if (!is_taken || kind == Kind::kAgain) return false;
  switch (kind) {
    case Kind::kNone: put_none(out); return true;
    case Kind::kBool: put_bool(out, value == Py_True); return true;
    case Kind::kFloat: put_float(out, PyFloat_AS_DOUBLE(value), Mode::kValue); return true;
    case Kind::kBytes:
      put_bytes(out, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))}, Mode::kValue);
      return true;
    case Kind::kStr:
      if (!PyUnicode_IS_COMPACT_ASCII(value)) return false;
      put_str(out, {static_cast<const char*>(PyUnicode_DATA(value)), static_cast<size_t>(PyUnicode_GET_LENGTH(value))},
              Mode::kValue);
      return true;
    default: {
      int overflow = 0;
      long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
      if (overflow == 0) put_int(out, number);
      return overflow == 0;
    }
  }
}

bool Encoder::encode_whole(PyObject* value, const FieldType& type) {
  start_ = out_.size();
  Fit fit = encode(value, type);
  Ref translated = fit == Fit::kNot ? translated_value(value) : Ref();
  if (translated) {
    out_.resize(start_);
    failure_depth_ = -1;
    failure_error_ = nullptr;
    is_out_of_range_ = false;
    fit = encode(translated.get(), type);
  }
  if (fit == Fit::kTaken) return true;
  out_.resize(start_);
  if (fit == Fit::kNot && !PyErr_Occurred())
    set_error(failure_error_ == nullptr ? "ValueTypeError" : failure_error_, failure_);
  return false;
}

Fit Encoder::encode(PyObject* value, const FieldType& type) {
  if (++level_ > kLevelsMax) [[unlikely]] {
    --level_;
    set_error("ValueTypeError", where_ + ": the value nests too deep, or its type does");
    return Fit::kFailed;
  }
  Fit fit = encode_kind(value, type);
  --level_;
  return fit;
}

Fit Encoder::encode_kind(PyObject* value, const FieldType& type) {
  switch (type.kind) {
    case Kind::kNone:
      if (value != Py_None) return not_a(value, type);
      put_none(out_);
      return Fit::kTaken;
    case Kind::kBool: return encode_bool(value, type);
    case Kind::kInt:
    case Kind::kInt8:
    case Kind::kInt16:
    case Kind::kInt32:
    case Kind::kUint8:
    case Kind::kUint16:
    case Kind::kUint32:
    case Kind::kUint64: return encode_int(value, type);
    case Kind::kFloat:
    case Kind::kFloat32: return encode_float(value, type);
    case Kind::kStr: return encode_str(value, type);
    case Kind::kBytes: return encode_bytes(value, type);
    case Kind::kDatetime:
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimedelta:
    case Kind::kDecimal:
    case Kind::kUuid: return encode_times(value, type);
    case Kind::kObject: return encode_object(value, type);
    case Kind::kReference: return encode_reference(value, type);
    case Kind::kOneOf: return encode_one_of(value, type);
    case Kind::kLiteral: return encode_literal(value, type);
    case Kind::kTupleOf: return encode_tuple_of(value, type);
    case Kind::kSetOf: return encode_set_of(value, type);
    case Kind::kDictOf: return encode_dict_of(value, type);
    case Kind::kTuple: return encode_tuple(value, type);
    case Kind::kEnum: return encode_enum(value, type);
    case Kind::kRecord: return encode_record(value, type);
    case Kind::kAlternative: return encode_alternative(value, type);
    case Kind::kForward: return encode(value, *type.parts[0]);
    case Kind::kAgain: return encode(value, *type.again);
  }
  return Fit::kNot;
}

Fit Encoder::encode_one_of(PyObject* value, const FieldType& type) {
  if (put_plain(value, type, out_)) return Fit::kTaken;
  size_t start = out_.size();
  bool was_exact = is_exact_;
  int quiet = std::exchange(quiet_, std::max(quiet_, depth_));
  is_exact_ = true;
  bool was_out_of_range = std::exchange(is_out_of_range_, false);
  Fit fit = encode_first_arm(value, type, start);
  Ref copy;                                                   // an iterator can be asked once only: not by every arm
  if (fit == Fit::kNot && !was_exact && !is_out_of_range_) {  // a large int does not become a float that is about it
    is_exact_ = false;
    if (takes_iterables(type) && copy_foreign(value, copy) == Fit::kFailed) fit = Fit::kFailed;
    if (fit == Fit::kNot) fit = encode_first_arm(copy ? copy.get() : value, type, start);
  }
  is_exact_ = was_exact;
  quiet_ = quiet;
  is_out_of_range_ = was_out_of_range || (is_out_of_range_ && fit == Fit::kNot);
  if (fit == Fit::kTaken && failure_error_ != nullptr) {  // of an arm that did not fit: no failure
    failure_depth_ = -1;
    failure_error_ = nullptr;
  }
  return fit == Fit::kNot ? not_a(value, type) : fit;
}

size_t Encoder::attempts_max() const { return kAttemptsMax + 2 * limits::kUnionArmsMax * (out_.size() - start_); }

Fit Encoder::encode_first_arm(PyObject* value, const FieldType& type, size_t start) {
  for (const auto& arm : type.parts) {
    Fit fit = encode(value, *arm);
    if (fit != Fit::kNot) return fit;
    out_.resize(start);
    if (arm->kind == Kind::kLiteral || ++attempts_ <= attempts_max()) [[likely]]  // of literals there may be hundreds
      continue;
    set_error("ValueTypeError", path() + ": too many arms of " + describe(type) + " look alike at every level");
    return Fit::kFailed;
  }
  return Fit::kNot;
}

// ---- what is said when it fails

std::string Encoder::path() const {
  std::vector<const Step*> steps;
  for (const Step* step = path_; step != nullptr; step = step->before) steps.push_back(step);
  std::string out = where_;
  for (const Step* step : steps | std::views::reverse) {
    if (step->name != nullptr) {
      out += std::string(".") + PyUnicode_AsUTF8(step->name);
    } else if (step->key == nullptr) {
      out += step->index < 0 ? " (an item)" : "[" + std::to_string(step->index) + "]";
    } else if (step->index < 0) {
      out += " (a key)";
    } else {
      out += "[" + shown_value(step->key) + "]";
    }
  }
  return out;
}

Fit Encoder::not_a(PyObject* value, const FieldType& type) {
  if (!is_told()) return Fit::kNot;
  failure_depth_ = depth_;
  failure_error_ = "ValueTypeError";
  std::string given = Py_TYPE(value)->tp_name;
  if (type.kind == Kind::kLiteral || (type.kind == Kind::kOneOf && type.parts[0]->kind == Kind::kLiteral))
    given = shown_value(value);
  failure_ = path() + ": " + given + " was given, and the field takes " + describe(type);
  return Fit::kNot;
}

Fit Encoder::wrong(const char* error, const std::string& what) {
  bool is_told_anyway = is_out_of_range_;  // also where nothing is converted: nothing will be, after this
  if ((is_exact_ && !is_told_anyway) || depth_ < failure_depth_ ||
      (depth_ == failure_depth_ && failure_error_ != nullptr))
    return Fit::kNot;
  failure_depth_ = depth_;
  failure_error_ = error;
  failure_ = path() + ": " + what;
  return Fit::kNot;
}

bool Encoder::Nested::is_ok() const {
  if (encoder_.nesting_ <= limits::kValueDepthMax) [[likely]]
    return true;
  set_error("ValueTypeError", encoder_.where_ + ": a value nests at most " + std::to_string(limits::kValueDepthMax) +
                                  " deep; does this one hold itself?");
  return false;
}

bool Encoder::refuse_too_large() {
  set_error("TransactionTooLargeError", where_ + ": a value may take " + std::to_string(limits::kValueBytesMax >> 20) +
                                            " MiB, and this one takes more");
  return true;
}

std::string shown_value(PyObject* value) {
  bool is_own = value == Py_None || PyBool_Check(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
                PyUnicode_CheckExact(value) || PyBytes_CheckExact(value);
  if (!is_own) return Py_TYPE(value)->tp_name;  // a class of the program may raise, or do anything
  Ref shown = Ref::steal(PyObject_ASCII(value));
  const char* utf8 = shown ? PyUnicode_AsUTF8(shown.get()) : nullptr;
  if (utf8 == nullptr) {
    PyErr_Clear();
    return Py_TYPE(value)->tp_name;
  }
  std::string out = utf8;
  return out.size() <= limits::kShownBytesMax ? out : out.substr(0, limits::kShownBytesMax) + "...";
}

// ---- the doors

bool encode_value(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where,
                  Bytes& out, Encoded* found) {
  if (put_plain(value, type, out)) return true;
  Encoder encoder(connection, false, where, out);
  bool is_ok = encoder.encode_whole(value, type);
  if (found != nullptr) found->has_pickle = encoder.has_pickle();
  return is_ok;
}

bool append_scalar(PyObject* value, const std::string& where, Bytes& out) {
  static FieldType types[] = {scalar_type(Kind::kNone),  scalar_type(Kind::kBool), scalar_type(Kind::kInt),
                              scalar_type(Kind::kFloat), scalar_type(Kind::kStr),  scalar_type(Kind::kBytes)};
  Encoder encoder(nullptr, false, where, out);
  for (const FieldType& type : types) {
    bool is_it = type.kind == Kind::kNone    ? value == Py_None
                 : type.kind == Kind::kBool  ? PyBool_Check(value)
                 : type.kind == Kind::kInt   ? PyLong_Check(value)
                 : type.kind == Kind::kFloat ? PyFloat_Check(value)
                 : type.kind == Kind::kStr   ? PyUnicode_Check(value)
                                             : PyBytes_Check(value);
    if (is_it) return encoder.encode_whole(value, type);
  }
  set_error("SchemaError",
            where + ": " + Py_TYPE(value)->tp_name + " is given, and it can be None, a bool, int, float, str or bytes");
  return false;
}

TypeId number_of_type(const DatabaseType& type, const Connection* connection) {
  return connection != nullptr ? connection->number_of(type) : TypeId{static_cast<uint32_t>(type.slot + 1)};
}

}  // namespace odb
