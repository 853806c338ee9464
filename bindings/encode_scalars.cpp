// Scalars, literals, Enum members and references: code of the program runs for none of them, but for a tzinfo's offset.

#include <cmath>
#include <cstring>
#include <limits>

#include "bindings/connection.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/object_type.h"
#include "bindings/times.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

using Kind = FieldKind;

struct Range {
  int64_t least, most;
};

Range range_of(Kind kind) {
  switch (kind) {
    case Kind::kInt8: return {INT8_MIN, INT8_MAX};
    case Kind::kInt16: return {INT16_MIN, INT16_MAX};
    case Kind::kInt32: return {INT32_MIN, INT32_MAX};
    case Kind::kUint8: return {0, UINT8_MAX};
    case Kind::kUint16: return {0, UINT16_MAX};
    case Kind::kUint32: return {0, UINT32_MAX};
    case Kind::kUint64: return {0, INT64_MAX};
    default: return {INT64_MIN, INT64_MAX};
  }
}

}  // namespace

/// Never a class that a program wrote: those are heap types, and asking them for a number would run their code.
bool is_numpy_scalar(PyObject* value) {
  const PyTypeObject* type = Py_TYPE(value);
  return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0 && std::strncmp(type->tp_name, "numpy.", 6) == 0;
}

bool is_numpy_bool(PyObject* value) {
  const char* name = Py_TYPE(value)->tp_name;
  return is_numpy_scalar(value) && (std::strcmp(name, "numpy.bool") == 0 || std::strcmp(name, "numpy.bool_") == 0);
}

Fit Encoder::encode_bool(PyObject* value, const FieldType& type) {
  bool is_own = PyBool_Check(value);
  if (!is_own && (is_exact_ || !is_numpy_bool(value))) return not_a(value, type);
  int truth = is_own ? value == Py_True : PyObject_IsTrue(value);
  if (truth < 0) return Fit::kFailed;
  put_bool(out_, truth == 1);
  return Fit::kTaken;
}

Fit Encoder::put_int_in_range(PyObject* number, const FieldType& type) {
  int overflow = 0;
  long long read = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (read == -1 && overflow == 0 && PyErr_Occurred()) return Fit::kFailed;
  Range range = range_of(type.kind);
  if (overflow == 0 && read >= range.least && read <= range.most) {
    put_int(out_, read);
    return Fit::kTaken;
  }
  if (overflow > 0 && type.kind == Kind::kUint64) {
    unsigned long long large = PyLong_AsUnsignedLongLong(number);
    if (!PyErr_Occurred()) {
      put_unsigned(out_, large);
      return Fit::kTaken;
    }
    PyErr_Clear();
  }
  is_out_of_range_ = true;
  std::string most = type.kind == Kind::kUint64 ? std::to_string(UINT64_MAX) : std::to_string(range.most);
  Ref digits = Ref::steal(PyLong_Type.tp_repr(number));  // a subclass may have one of its own
  const char* utf8 = digits ? PyUnicode_AsUTF8(digits.get()) : nullptr;
  std::string shown = utf8 == nullptr ? "an int of so many digits" : utf8;
  PyErr_Clear();
  if (type.kind == Kind::kInt) return wrong("ValueRangeError", shown + " does not fit into 64 bits with a sign");
  return wrong("ValueRangeError",
               shown + " does not fit into " + describe(type) + ": " + std::to_string(range.least) + " to " + most);
}

Fit Encoder::encode_int(PyObject* value, const FieldType& type) {
  if (PyLong_Check(value) && !(is_exact_ && PyBool_Check(value))) return put_int_in_range(value, type);
  if (is_exact_) return Fit::kNot;
  if (is_numpy_bool(value)) {
    int truth = PyObject_IsTrue(value);
    if (truth < 0) return Fit::kFailed;
    put_int(out_, truth);
    return Fit::kTaken;
  }
  if (!is_numpy_scalar(value) || !PyIndex_Check(value)) return not_a(value, type);
  Ref index = Ref::steal(PyNumber_Index(value));
  if (!index) {  // an array, say: it has the slot, and refuses
    PyErr_Clear();
    return not_a(value, type);
  }
  return put_int_in_range(index.get(), type);
}

Fit Encoder::encode_float(PyObject* value, const FieldType& type) {
  double number;
  if (PyFloat_Check(value)) {
    number = PyFloat_AS_DOUBLE(value);  // not a subclass's __float__
  } else if (is_exact_) {
    return Fit::kNot;
  } else if (PyLong_Check(value)) {
    number = PyLong_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return wrong("ValueRangeError", "an int too large for a float was given");
    }
  } else if (is_numpy_bool(value) || (is_numpy_scalar(value) && Py_TYPE(value)->tp_as_number != nullptr &&
                                      Py_TYPE(value)->tp_as_number->nb_float != nullptr && !PySequence_Check(value))) {
    number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return not_a(value, type);
    }
  } else {
    return not_a(value, type);
  }
  if (type.kind == Kind::kFloat32) {
    bool was_finite = std::isfinite(number);
    number = static_cast<float>(number);
    if (was_finite && !std::isfinite(number))
      return wrong("ValueRangeError", "a float too large for float32 was given");
  }
  put_float(out_, number, Mode::kValue);
  return Fit::kTaken;
}

Fit Encoder::encode_str(PyObject* value, const FieldType& type) {
  if (!PyUnicode_Check(value)) return not_a(value, type);
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
  if (utf8 == nullptr) {
    PyErr_Clear();
    return wrong("TextError", "a str with lone surrogates cannot be stored");
  }
  put_str(out_, {utf8, static_cast<size_t>(size)}, Mode::kValue);
  return Fit::kTaken;
}

Fit Encoder::encode_bytes(PyObject* value, const FieldType& type) {
  if (!PyBytes_Check(value)) return not_a(value, type);
  put_bytes(out_, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))}, Mode::kValue);
  return Fit::kTaken;
}

/// What its kind converts the value to, when that is this very value: neither True nor 1.0 is 1.
Fit Encoder::encode_literal(PyObject* value, const FieldType& type) {
  PyObject* own = type.value.get();
  bool is_kind = own == Py_None         ? value == Py_None
                 : PyBool_Check(own)    ? PyBool_Check(value)
                 : PyLong_Check(own)    ? PyLong_Check(value) && !PyBool_Check(value)
                 : PyFloat_Check(own)   ? PyFloat_Check(value)
                 : PyUnicode_Check(own) ? PyUnicode_Check(value)
                                        : PyBytes_Check(value);
  if (!is_kind) return not_a(value, type);
  size_t start = out_.size();
  if (PyLong_Check(own) && !PyBool_Check(own)) {
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) put_int(out_, number);
  } else if (PyUnicode_Check(own)) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (utf8 == nullptr) PyErr_Clear();
    if (utf8 != nullptr) put_str(out_, {utf8, static_cast<size_t>(size)}, Mode::kValue);
  } else if (!append_scalar(value, where_, out_)) {
    return Fit::kFailed;
  }
  if (BytesView(out_).substr(start) == type.stored) return Fit::kTaken;
  out_.resize(start);
  return not_a(value, type);
}

Fit Encoder::encode_enum(PyObject* value, const FieldType& type) {
  const EnumMember* member = type.member_of(value);
  if (member == nullptr) return not_a(value, type);
  out_ += member->stored;
  return Fit::kTaken;
}

Fit Encoder::encode_times(PyObject* value, const FieldType& type) {
  std::string fault;
  Fit fit = encode_standard(value, type.kind, out_, fault);
  if (fit != Fit::kNot) return fit;
  return fault.empty() ? not_a(value, type) : wrong("ValueRangeError", fault);
}

Fit Encoder::encode_reference(PyObject* value, const FieldType& type) {
  if (Py_TYPE(value) != type.target->type) return not_a(value, type);
  return put_reference_to(value, *type.target);
}

Fit Encoder::put_reference_to(PyObject* handle, const DatabaseType& target) {
  bool has_numbers = is_local_ || connection_ != nullptr;
  TypeId number = has_numbers ? number_of_type(target, connection_) : TypeId{0};
  if (!has_numbers) {
    set_error("SchemaError", path() +
                                 ": an object has no number here: a default cannot refer to one, nor can a key that is "
                                 "made outside of a view");
    return Fit::kFailed;
  }
  if (number == TypeId{0}) {
    set_error("SchemaError", path() + ": " + target.qualified_name() +
                                 " is not known to this connection; call addSchema for its schema");
    return Fit::kFailed;
  }
  put_reference(out_, number, identity_of(handle));
  return Fit::kTaken;
}

}  // namespace odb
