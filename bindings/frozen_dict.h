/// FrozenDict: the read-only mapping that dict fields give (D9).
///
/// It holds a dict that nobody else has. Its keys come in the order of the canonical encoding, so that equal mappings
/// look the same wherever they were made.
#pragma once

#include <Python.h>

namespace odb {

/// The class, borrowed.
PyTypeObject* frozen_dict_type();
bool is_frozen_dict(PyObject* value);
/// Takes over a dict that nobody else has, its keys in order; nullptr with an exception set, and the dict given up.
PyObject* new_frozen_dict(PyObject* sorted_dict);
/// The dict inside, borrowed: only to be read.
PyObject* dict_of(PyObject* frozen);

/// False with an exception set.
bool add_frozen_dict(PyObject* module);

}  // namespace odb
