/// The descriptor of one field: on the class it is itself, on a handle it reads and writes the field (D36).
#pragma once

#include <Python.h>

#include "bindings/current.h"

namespace odb {

/// A descriptor; nullptr with an exception set.
PyObject* new_field(DatabaseType& owner, size_t position);
/// Writes a field of an object in the view's transaction; false with an exception set.
bool write_field(PyView& view, const BoundType& bound, PyObject* handle, size_t position, PyObject* value);
/// Whether the transaction is within the limits that the server keeps too; false with an exception set.
bool check_size(const Transaction& transaction);

/// False with an exception set.
bool make_field_type();

}  // namespace odb
