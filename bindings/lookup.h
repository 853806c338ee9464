/// T.lookupAll, lookupAny, lookupOne, lookupUnique: class methods of every database type; and the queries of a view.
#pragma once

#include <Python.h>

#include "bindings/object_type.h"

namespace odb {

/// The index that a keyword names; nullptr with an exception set.
const IndexSpec* find_index(const DatabaseType& type, PyObject* keyword);
/// Appends the V values of an index's fields: of a value, or of a tuple of values for a composite one. False with an
/// exception set.
bool append_index_values(const DatabaseType& type, const IndexSpec& index, const Connection& connection,
                         PyObject* value, Bytes& values);

PyObject* lookup_all(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_any(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_one(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_unique(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);

// Methods of a view: v.get(T, **index) and so on. Their answers are complete, or NotSubscribedError (D20).
PyObject* query_get(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_find(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_all(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_first(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_last(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_count(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* query_covers(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords);

}  // namespace odb
