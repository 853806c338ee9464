/// The one place where a Status, or a fact of the bindings, becomes a Python exception. The classes live in
/// object_database/errors.py. Every function here needs the GIL, sets the exception and returns.
#pragma once

#include <Python.h>

#include <string>

#include "core/base/status.h"

namespace odb {

/// Thrown through nanobind functions when a Python exception is set already.
[[noreturn]] void throw_python_error();

/// Sets object_database.errors.<name>(message).
void set_error(const char* name, const std::string& message);
/// Sets the exception of a status.
void set_error(const Status& status);
/// Makes an exception that code of the program raised the cause of a CodecError: "<where> raised ...". What is no Exception
/// (KeyboardInterrupt) stays as it is, and a MemoryError. REQUIRES: an exception is set.
void set_codec_error(const std::string& where);
/// Throws the exception of a status that is not ok.
void raise_if_failed(const Status& status);
/// The exception class object_database.errors.<name>, borrowed; nullptr with an exception set.
PyObject* error_class(const char* name);
/// A member of a module, borrowed: the module keeps it; nullptr with an exception set.
PyObject* member_of(const char* module_name, const char* name);

}  // namespace odb
