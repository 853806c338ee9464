/// Database types: one heap type for each class that a schema defines, with a descriptor for each field (D36).
///
/// A handle is (type, identity) and nothing else: 24 bytes, not tracked by the garbage collector. Reading `obj.x` goes
/// through the field's descriptor to the current view. Types are made as empty stubs, so that they can be named before
/// they are defined, and get their members from schema.py.
/// The GIL guards everything here; database types live for ever.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/field_type.h"
#include "core/base/ids.h"
#include "core/types/definition.h"

namespace odb {

/// An instance.
struct Handle {
  PyObject_HEAD int64_t identity;
};

struct FieldSpec {
  PyObject* name;     // interned
  std::string where;  // "schema.Type.field"
  std::unique_ptr<FieldType> type;
  PyObject* default_value;  // nullptr: the type's own
  bool is_indexed;          // by any index

  bool is_required() const { return default_value == nullptr && !type->has_default(); }
};

struct IndexSpec {
  PyObject* name;  // interned
  std::string where;
  std::vector<size_t> fields;  // positions
  bool is_unique;              // D15
};

struct DatabaseType {
  PyTypeObject* type;
  size_t slot;  // dense number of this type in the process
  std::string schema;
  std::string name;
  std::string shown_name;  // "schema.Type"; tp_name points into it: Python 3.10 copies no name of a spec
  bool is_defined = false;
  bool is_lazy_by_default = false;
  std::vector<FieldSpec> fields;
  std::vector<IndexSpec> indexes;
  PyObject* init = nullptr;       // the class's own __init__
  PyObject* on_delete = nullptr;  // its __del__: called by delete(), not by the collector

  std::string qualified_name() const { return schema + "." + name; }
};

/// The database type behind a Python type; nullptr when it is none.
DatabaseType* find_database_type(PyTypeObject* type);
/// The one with this dense number in the process; nullptr when there is none.
DatabaseType* database_type_in_slot(size_t slot);
/// A stub: named, and without members; nullptr with an exception set. It lives for ever.
DatabaseType* new_database_type(const std::string& schema, const std::string& name);
/// The position of the field that a keyword names, or fields.size().
size_t position_of(const DatabaseType& type, PyObject* keyword);
PyObject* new_handle(DatabaseType& type, ObjectId identity);
inline ObjectId identity_of(PyObject* handle) { return ObjectId{reinterpret_cast<Handle*>(handle)->identity}; }

/// Adds Object and the metaclass. False with an exception set.
bool add_object_types(PyObject* module);

}  // namespace odb
