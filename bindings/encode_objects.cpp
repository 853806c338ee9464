// Values of object fields (D33): what they are, they are by their own class.

#include "bindings/codecs.h"
#include "bindings/connection.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/frozen_dict.h"
#include "bindings/gil.h"
#include "bindings/object_type.h"
#include "bindings/times.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

using Kind = FieldKind;

const FieldType& scalar_of(Kind kind) {
  static const FieldType kTypes[] = {scalar_type(Kind::kNone),  scalar_type(Kind::kBool), scalar_type(Kind::kInt),
                                     scalar_type(Kind::kFloat), scalar_type(Kind::kStr),  scalar_type(Kind::kBytes)};
  return kTypes[static_cast<size_t>(kind)];
}

bool is_enum_member(PyObject* value) {
  PyObject* base = member_of("enum", "Enum");
  int is_one = base == nullptr ? -1 : PyObject_TypeCheck(value, reinterpret_cast<PyTypeObject*>(base));
  if (is_one < 0) PyErr_Clear();
  return is_one == 1;
}

}  // namespace

Fit Encoder::encode_object(PyObject* value, const FieldType& type) {
  if (value == Py_None) return encode_kind(value, scalar_of(Kind::kNone));
  if (PyBool_Check(value)) return encode_bool(value, scalar_of(Kind::kBool));
  if (PyLong_CheckExact(value)) return encode_int(value, scalar_of(Kind::kInt));
  if (PyFloat_CheckExact(value)) return encode_float(value, scalar_of(Kind::kFloat));
  if (PyUnicode_CheckExact(value)) return encode_str(value, scalar_of(Kind::kStr));
  if (PyBytes_CheckExact(value)) return encode_bytes(value, scalar_of(Kind::kBytes));
  if (PyTuple_CheckExact(value) || PyList_CheckExact(value)) return encode_tuple_of(value, type);
  if (PyDict_CheckExact(value) || is_frozen_dict(value)) return encode_dict_of(value, type);
  if (PyAnySet_CheckExact(value)) return encode_set_of(value, type);
  return encode_by_class(value, type);
}

Fit Encoder::encode_by_class(PyObject* value, const FieldType& type) {
  if (codec_of(Py_TYPE(value)) != nullptr) return put_codec(value, type);
  if (const FieldType* record = record_of_class(Py_TYPE(value))) {
    const FieldType* meant = record_of_tag(record->tag, record->kind == Kind::kRecord);
    if (meant != nullptr && meant->groups[0].cls.get() == record->groups[0].cls.get()) return encode(value, *meant);
    return wrong("ValueTypeError",
                 std::string(Py_TYPE(value)->tp_name) + " was given, and there are several records of its " +
                     "name, which is all that an object field stores of a class: rename one, or call " +
                     "register_record for the one that is meant");
  }
  if (const DatabaseType* target = find_database_type(Py_TYPE(value))) return put_reference_to(value, *target);
  if (Kind kind = standard_kind_of(value); kind != Kind::kNone) {
    std::string fault;
    Fit fit = encode_standard(value, kind, out_, fault);
    return fit == Fit::kNot ? wrong("ValueRangeError", fault) : fit;
  }
  if (is_numpy_scalar(value)) {
    if (is_numpy_bool(value)) return encode_bool(value, scalar_of(Kind::kBool));
    return encode_kind(value, scalar_of(PyIndex_Check(value) ? Kind::kInt : Kind::kFloat));
  }
  std::string name = Py_TYPE(value)->tp_name;
  if (is_enum_member(value))
    return wrong("ValueTypeError", name + " was given, and an object field holds no Enum members: make the field a " +
                                       name + ", or store its value");
  if (connection_ != nullptr && connection_->allow_pickle) return put_pickle_of(value);
  return wrong("ValueTypeError", name + " was given, and an object field cannot hold it: register_record(" + name +
                                     ") or register_codec(" + name + ", ...) makes it known, and connect(..., " +
                                     "allow_pickle=True) pickles whatever is not");
}

Fit Encoder::put_codec(PyObject* value, const FieldType& type) {
  const Codec& codec = *codec_of(Py_TYPE(value));
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  Ref made = Ref::steal(run_python([&] { return PyObject_CallOneArg(codec.encode.get(), value); }));
  if (!made) return failed_in("encode of the codec '" + codec.name + "'");
  put_codec_head(out_, codec.name);
  return encode(made.get(), type);
}

/// Names the field to whoever gets what code of the program raised.
Fit Encoder::failed_in(const std::string& whose) {
  set_codec_error(path() + ": " + whose);
  return Fit::kFailed;
}

Fit Encoder::put_pickle_of(PyObject* value) {
  PyObject* dumps = member_of("pickle", "dumps");
  if (dumps == nullptr) return Fit::kFailed;
  Ref held = Ref::borrow(dumps);
  Ref made = Ref::steal(run_python([&] { return PyObject_CallOneArg(held.get(), value); }));
  if (!made) return failed_in("pickle.dumps");
  if (!PyBytes_Check(made.get())) return not_a(value, scalar_of(Kind::kBytes));
  put_pickle(out_, {PyBytes_AS_STRING(made.get()), static_cast<size_t>(PyBytes_GET_SIZE(made.get()))});
  has_pickle_ = true;
  return Fit::kTaken;
}

}  // namespace odb
