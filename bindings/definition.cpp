#include "bindings/definition.h"

#include "bindings/codecs.h"
#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/field.h"
#include "bindings/guarded.h"
#include "bindings/object_type.h"
#include "bindings/view.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

/// make_type(schema, name) -> an empty database type
PyObject* make_type(PyObject*, PyObject* args) {
  const char *schema, *name;
  if (!PyArg_ParseTuple(args, "ss", &schema, &name)) return nullptr;
  if (!is_valid_schema_name(schema) || !is_valid_name(name)) {
    set_error("SchemaError", std::string(schema) + "." + name + " is no name that a type can have");
    return nullptr;
  }
  DatabaseType* made = new_database_type(schema, name);
  return made == nullptr ? nullptr : Py_NewRef(reinterpret_cast<PyObject*>(made->type));
}

bool check_name(PyObject* name, const DatabaseType& info) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(name, &size);
  if (utf8 == nullptr) return false;
  if (is_valid_name({utf8, static_cast<size_t>(size)})) return true;
  PyErr_Format(error_class("SchemaError"), "%s: no field or index can be named %R", info.qualified_name().c_str(),
               name);
  return false;
}

bool parse_field(PyObject* item, DatabaseType& info) {
  PyObject *name, *spec, *default_value;
  if (!PyArg_ParseTuple(item, "UOO", &name, &spec, &default_value) || !check_name(name, info)) return false;
  FieldSpec field{};
  field.name = Py_NewRef(name);
  PyUnicode_InternInPlace(&field.name);
  field.where = info.qualified_name() + "." + PyUnicode_AsUTF8(name);
  field.type = std::make_unique<FieldType>();
  if (!parse_field_type(spec, *field.type, field.where)) return false;
  Result<TypeDescriptor> descriptor = TypeDescriptor::parse(field.type->text());  // what every server refuses
  if (!descriptor.is_ok()) {
    set_error("SchemaError", field.where + ": " + descriptor.status().message());
    return false;
  }
  bool has_default = PyTuple_Check(default_value);  // (value,), or None
  if (has_default) {
    field.default_value = Py_NewRef(PyTuple_GET_ITEM(default_value, 0));
    Bytes checked;
    if (!encode_value(field.default_value, *field.type, nullptr, field.where + " (default)", checked)) return false;
  }
  info.fields.push_back(std::move(field));
  return true;
}

bool parse_index(PyObject* item, DatabaseType& info) {
  PyObject *name, *fields;
  int is_unique;
  if (!PyArg_ParseTuple(item, "UO!p", &name, &PyTuple_Type, &fields, &is_unique) || !check_name(name, info))
    return false;
  IndexSpec index{Py_NewRef(name), info.qualified_name() + "." + PyUnicode_AsUTF8(name), {}, is_unique == 1};
  PyUnicode_InternInPlace(&index.name);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
    size_t position = position_of(info, PyTuple_GET_ITEM(fields, i));
    if (position == info.fields.size()) {
      PyErr_Format(PyExc_ValueError, "index over an unknown field");  // schema.py has checked
      return false;
    }
    index.fields.push_back(position);
    info.fields[position].is_indexed = true;
  }
  info.indexes.push_back(std::move(index));
  return true;
}

/// What every server refuses is said here, where the definition stands. False with an exception set.
bool check_definition(const DatabaseType& info) {
  std::string fault;
  if (info.fields.size() > limits::kFieldsPerTypeMax)
    fault = info.qualified_name() + " has more than " + std::to_string(limits::kFieldsPerTypeMax) + " fields";
  if (info.indexes.size() > limits::kIndexesPerTypeMax)
    fault = info.qualified_name() + " has more than " + std::to_string(limits::kIndexesPerTypeMax) + " indexes";
  for (const IndexSpec& index : info.indexes) {
    if (index.fields.size() > limits::kFieldsPerIndexMax)
      fault = index.where + " is an index over more than " + std::to_string(limits::kFieldsPerIndexMax) + " fields";
  }
  if (!fault.empty()) set_error("SchemaError", fault);
  return fault.empty();
}

template <class Parse>
bool parse_each(PyObject* items, DatabaseType& info, Parse&& parse) {
  PyObject* sequence = PySequence_Fast(items, "a sequence is expected");
  if (sequence == nullptr) return false;
  bool is_ok = true;
  for (Py_ssize_t i = 0; is_ok && i < PySequence_Fast_GET_SIZE(sequence); ++i)
    is_ok = parse(PySequence_Fast_GET_ITEM(sequence, i), info);
  Py_DECREF(sequence);
  return is_ok;
}

/// define_type(type, fields: [(name, spec, (default,) or None)], indexes: [(name, (field, ...), is_unique)], init, on_delete)
/// Gives the type its fields and indexes, all or nothing; the caller has checked names and sets the other members.
PyObject* define_type(PyObject*, PyObject* args) {
  PyObject *type, *fields, *indexes, *init, *on_delete;
  if (!PyArg_ParseTuple(args, "O!OOOO", &PyType_Type, &type, &fields, &indexes, &init, &on_delete)) return nullptr;
  DatabaseType* info = find_database_type(reinterpret_cast<PyTypeObject*>(type));
  if (info == nullptr || info->is_defined) {
    PyErr_Format(error_class("SchemaError"), "%R is not a database type that waits for its definition", type);
    return nullptr;
  }
  if (!parse_each(fields, *info, parse_field) || !parse_each(indexes, *info, parse_index) || !check_definition(*info)) {
    info->fields.clear();
    info->indexes.clear();
    return nullptr;
  }
  for (size_t i = 0; i < info->fields.size(); ++i) {
    PyObject* field = new_field(*info, i);
    bool is_set = field != nullptr && PyObject_SetAttr(type, info->fields[i].name, field) == 0;
    Py_XDECREF(field);
    if (!is_set) return nullptr;
  }
  if (init != Py_None) info->init = Py_NewRef(init);
  if (on_delete != Py_None) info->on_delete = Py_NewRef(on_delete);
  for (const FieldSpec& field : info->fields) know_records(*field.type);
  info->is_defined = true;
  Py_RETURN_NONE;
}

PyObject* is_schema_name(PyObject*, PyObject* name) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  PyErr_Clear();
  return PyBool_FromLong(utf8 != nullptr && is_valid_schema_name({utf8, static_cast<size_t>(size)}));
}

PyObject* is_database_type(PyObject*, PyObject* type) {
  bool is_one = PyType_Check(type) && find_database_type(reinterpret_cast<PyTypeObject*>(type)) != nullptr;
  return PyBool_FromLong(is_one);
}

/// index_value(spec, value) -> the bytes of the value in an index. References get their numbers from the connection of
/// the current view.
PyObject* index_value(PyObject*, PyObject* args) {
  PyObject *spec, *value;
  if (!PyArg_ParseTuple(args, "OO", &spec, &value)) return nullptr;
  FieldType type;
  PyView* view = current_view();
  const char* where = "indexValueFor";
  if (!parse_field_type(spec, type, where)) return nullptr;
  std::optional<Kept> kept;
  if (view != nullptr) kept.emplace(view);
  Bytes encoded, key;
  Encoded found;
  if (!encode_value(value, type, view == nullptr ? nullptr : view->connection, where, encoded, &found)) return nullptr;
  if (found.has_pickle) return set_pickled_key_error(where), nullptr;
  append_key(key, encoded);
  return PyBytes_FromStringAndSize(key.data(), static_cast<Py_ssize_t>(key.size()));
}

PyMethodDef functions[] = {
    {"make_type", guarded_method<make_type>(), METH_VARARGS, "make_type(schema, name)\n--\n\nAn empty database type."},
    {"define_type", guarded_method<define_type>(), METH_VARARGS,
     "define_type(type, fields, indexes, init, on_delete)\n--\n\nGive a database type its fields and indexes."},
    {"is_schema_name", is_schema_name, METH_O, "is_schema_name(x)\n--\n\nWhether x is a str that can name a schema."},
    {"is_database_type", is_database_type, METH_O, "is_database_type(x)\n--\n\nWhether x is a type of a schema."},
    {"index_value", guarded_method<index_value>(), METH_VARARGS,
     "index_value(spec, value)\n--\n\nThe bytes of a value in an index."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_definition_functions(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace odb
