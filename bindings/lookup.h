/// T.lookupAll, lookupAny, lookupOne, lookupUnique: class methods of every database type.
#pragma once

#include <Python.h>

namespace odb {

PyObject* lookup_all(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_any(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_one(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);
PyObject* lookup_unique(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords);

}  // namespace odb
