/// What a thread or task is inside of, such as its view: a ContextVar that is set on entering and put back on leaving.
///
/// It is put back by value, for a token could not be used in another context; and only where it still holds what was
/// entered: a generator may be closed in a thread or task that is inside of something of its own.
#pragma once

#include <Python.h>

namespace odb {

/// Sets the variable; gives what it held before, a new reference (None at first), or nullptr with an exception set.
inline PyObject* enter_variable(PyObject* variable, PyObject* value) {
  PyObject* previous = nullptr;
  if (PyContextVar_Get(variable, Py_None, &previous) < 0) return nullptr;
  PyObject* token = PyContextVar_Set(variable, value);
  if (token == nullptr) Py_CLEAR(previous);
  Py_XDECREF(token);
  return previous;
}

/// Puts back what enter_variable() gave, and steals it. False with an exception set.
inline bool leave_variable(PyObject* variable, PyObject* value, PyObject* previous) {
  PyObject* held = nullptr;
  bool is_ok = PyContextVar_Get(variable, Py_None, &held) == 0;
  if (is_ok && held == value) {
    PyObject* token = PyContextVar_Set(variable, previous);
    is_ok = token != nullptr;
    Py_XDECREF(token);
  }
  Py_XDECREF(held);
  Py_DECREF(previous);
  return is_ok;
}

}  // namespace odb
