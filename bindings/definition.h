/// What schema.py makes database types with: make_type(), define_type() and the questions it asks.
#pragma once

#include <Python.h>

namespace odb {

/// False with an exception set.
bool add_definition_functions(PyObject* module);

}  // namespace odb
