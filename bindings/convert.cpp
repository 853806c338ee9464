#include "bindings/convert.h"

#include <cmath>
#include <cstring>

#include "bindings/connection.h"
#include "bindings/errors.h"
#include "bindings/object_type.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

enum class Fit : uint8_t { kTaken, kNot, kFailed };  // kFailed: with an exception set

/// Never a class that a program wrote: those are heap types, and asking them for a number would run their code.
bool is_numpy_scalar(PyObject* value) {
  const PyTypeObject* type = Py_TYPE(value);
  return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0 && std::strncmp(type->tp_name, "numpy.", 6) == 0;
}

bool is_numpy_bool(PyObject* value) {
  const char* name = Py_TYPE(value)->tp_name;
  return is_numpy_scalar(value) && (std::strcmp(name, "numpy.bool") == 0 || std::strcmp(name, "numpy.bool_") == 0);
}

Fit put_integer(PyObject* value, const std::string& where, Bytes& out) {
  int overflow = 0;
  long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow != 0) {
    PyErr_Format(error_class("ValueRangeError"), "%s: %R does not fit into 64 bits with a sign", where.c_str(), value);
    return Fit::kFailed;
  }
  if (number == -1 && PyErr_Occurred()) return Fit::kFailed;
  put_int(out, number);
  return Fit::kTaken;
}

Fit encode_int(PyObject* value, const std::string& where, Bytes& out) {
  if (PyLong_Check(value)) return put_integer(value, where, out);
  if (is_numpy_bool(value)) {
    int truth = PyObject_IsTrue(value);
    if (truth < 0) return Fit::kFailed;
    put_int(out, truth);
    return Fit::kTaken;
  }
  if (!is_numpy_scalar(value) || !PyIndex_Check(value)) return Fit::kNot;
  PyObject* index = PyNumber_Index(value);
  if (index == nullptr) {  // an array, say: it has the slot, and refuses
    PyErr_Clear();
    return Fit::kNot;
  }
  Fit fit = put_integer(index, where, out);
  Py_DECREF(index);
  return fit;
}

Fit encode_float(PyObject* value, Bytes& out) {
  bool is_number = PyFloat_Check(value) || PyLong_Check(value) || is_numpy_bool(value) ||
                   (is_numpy_scalar(value) && Py_TYPE(value)->tp_as_number != nullptr &&
                    Py_TYPE(value)->tp_as_number->nb_float != nullptr && !PySequence_Check(value));
  if (!is_number) return Fit::kNot;
  double number = PyLong_Check(value) ? PyLong_AsDouble(value) : PyFloat_AsDouble(value);  // not a subclass's __float__
  if (number == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) return Fit::kFailed;
    PyErr_Clear();
    return Fit::kNot;
  }
  put_float(out, number, Mode::kValue);
  return Fit::kTaken;
}

Fit encode_str(PyObject* value, const std::string& where, Bytes& out) {
  if (!PyUnicode_Check(value)) return Fit::kNot;
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
  if (utf8 == nullptr) {
    PyErr_Clear();
    PyErr_Format(error_class("TextError"), "%s: a str with lone surrogates cannot be stored", where.c_str());
    return Fit::kFailed;
  }
  put_str(out, {utf8, static_cast<size_t>(size)}, Mode::kValue);
  return Fit::kTaken;
}

Fit encode_reference(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where,
                     Bytes& out) {
  if (Py_TYPE(value) != type.target->type) return Fit::kNot;
  TypeId number = connection == nullptr ? TypeId{0} : connection->number_of(*type.target);
  if (number == TypeId{0}) {
    PyErr_Format(error_class("SchemaError"), "%s: %s is not known to this connection; call addSchema for its schema",
                 where.c_str(), type.target->qualified_name().c_str());
    return Fit::kFailed;
  }
  put_reference(out, number, identity_of(value));
  return Fit::kTaken;
}

/// Whether the value's own type is this arm's, so that nothing is converted.
bool is_exact(PyObject* value, const FieldType& type) {
  switch (type.kind) {
    case Kind::kNone: return value == Py_None;
    case Kind::kBool: return PyBool_Check(value);
    case Kind::kInt: return PyLong_Check(value) && !PyBool_Check(value);
    case Kind::kFloat: return PyFloat_Check(value);
    case Kind::kStr: return PyUnicode_Check(value);
    case Kind::kBytes: return PyBytes_Check(value);
    case Kind::kReference: return Py_TYPE(value) == type.target->type;
    case Kind::kOneOf: return false;
  }
  return false;
}

Fit encode(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where, Bytes& out) {
  switch (type.kind) {
    case Kind::kNone:
      if (value != Py_None) return Fit::kNot;
      put_none(out);
      return Fit::kTaken;
    case Kind::kBool: {
      if (!PyBool_Check(value) && !is_numpy_bool(value)) return Fit::kNot;
      int truth = PyObject_IsTrue(value);
      if (truth < 0) return Fit::kFailed;
      put_bool(out, truth == 1);
      return Fit::kTaken;
    }
    case Kind::kInt: return encode_int(value, where, out);
    case Kind::kFloat: return encode_float(value, out);
    case Kind::kStr: return encode_str(value, where, out);
    case Kind::kBytes:
      if (!PyBytes_Check(value)) return Fit::kNot;
      put_bytes(out, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))}, Mode::kValue);
      return Fit::kTaken;
    case Kind::kReference: return encode_reference(value, type, connection, where, out);
    case Kind::kOneOf: {
      for (bool is_exact_only : {true, false}) {
        for (const FieldType& arm : type.arms) {
          if (is_exact_only && !is_exact(value, arm)) continue;
          Fit fit = encode(value, arm, connection, where, out);
          if (fit != Fit::kNot) return fit;
        }
      }
      return Fit::kNot;
    }
  }
  return Fit::kNot;
}

/// The Python type that the field names for a type's number on this connection.
DatabaseType* target_of(const FieldType& type, TypeId number, const Connection& connection) {
  if (type.target != nullptr) return connection.number_of(*type.target) == number ? type.target : nullptr;
  for (const FieldType& arm : type.arms) {
    if (DatabaseType* target = target_of(arm, number, connection)) return target;
  }
  return nullptr;
}

PyObject* decode_reference(Reader& in, const FieldType& field_type, const Connection& connection) {
  auto number = TypeId{static_cast<uint32_t>(in.integer())};
  ObjectId object{in.integer()};
  DatabaseType* type = target_of(field_type, number, connection);
  if (type == nullptr) {
    set_error("SchemaError", "a reference to a type that this connection does not know; call addSchema for its schema");
    return nullptr;
  }
  return new_handle(*type, object);
}

}  // namespace

std::string FieldType::text() const {
  if (kind == Kind::kReference) return "ref(" + target->qualified_name() + ")";
  if (kind != Kind::kOneOf) return TypeDescriptor::scalar(kind).text();
  std::string text = "oneof(";
  for (const FieldType& arm : arms) text += (&arm == &arms.front() ? "" : ",") + arm.text();
  return text + ")";
}

std::string describe(const FieldType& type) {
  if (type.kind == Kind::kNone) return "None";
  if (type.kind == Kind::kReference) return type.target->qualified_name();
  if (type.kind != Kind::kOneOf) return type.text();
  std::string text;
  for (const FieldType& arm : type.arms) text += (&arm == &type.arms.front() ? "" : " or ") + describe(arm);
  return text;
}

bool parse_field_type(PyObject* spec, FieldType& type) {
  if (PyTuple_Check(spec)) {
    type.kind = Kind::kOneOf;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(spec); ++i) {
      if (!parse_field_type(PyTuple_GET_ITEM(spec, i), type.arms.emplace_back())) return false;
    }
    return true;
  }
  if (PyType_Check(spec)) {
    type.kind = Kind::kReference;
    type.target = find_database_type(reinterpret_cast<PyTypeObject*>(spec));
    if (type.target != nullptr) return true;
  }
  if (PyUnicode_Check(spec)) {
    const char* name = PyUnicode_AsUTF8(spec);
    if (name == nullptr) return false;
    Result<TypeDescriptor> parsed = TypeDescriptor::parse(name);
    if (parsed.is_ok()) {
      type.kind = parsed.value().kind();
      return true;
    }
  }
  PyErr_Format(PyExc_TypeError, "%R does not describe a field's type", spec);
  return false;
}

bool encode_value(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where,
                  Bytes& out) {
  size_t start = out.size();
  Fit fit = encode(value, type, connection, where, out);
  if (fit == Fit::kTaken) return true;
  out.resize(start);
  if (fit == Fit::kNot) {
    PyErr_Format(error_class("ValueTypeError"), "%s: %s was given, and the field takes %s", where.c_str(),
                 Py_TYPE(value)->tp_name, describe(type).c_str());
  }
  return false;
}

PyObject* decode_value(BytesView value, const FieldType& type, const Connection& connection) {
  auto head = static_cast<uint8_t>(value.front());
  Reader in(value);
  if (head >= kind::kIntMin && head <= kind::kIntMax) return PyLong_FromLongLong(in.integer());
  in.byte();
  switch (head) {
    case kind::kNone: Py_RETURN_NONE;
    case kind::kFalse: Py_RETURN_FALSE;
    case kind::kTrue: Py_RETURN_TRUE;
    case kind::kFloat: return PyFloat_FromDouble(in.float_after_kind());
    case kind::kStr: {
      BytesView text = in.text();
      return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    }
    case kind::kBytes: {
      BytesView bytes = in.text();
      return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    }
    case kind::kReference: return decode_reference(in, type, connection);
    default: break;
  }
  set_error("InternalError", "a stored value of unknown kind " + std::to_string(head));
  return nullptr;
}

}  // namespace odb
