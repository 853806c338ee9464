/// Where a read or write of an object goes: the current view, and what its connection knows of the type.
/// Everything here needs the GIL and sets an exception where it gives nothing.
#pragma once

#include <Python.h>

#include <string>

#include "bindings/connection.h"
#include "bindings/view.h"

namespace odb {

/// The type on a view's connection; nullptr with SchemaNotAddedError set.
const BoundType* bound_to(const PyView& view, const DatabaseType& type);
/// The current view, whatever it is; nullptr with NoViewError set. `where` is what was to be read, `how` the verb.
PyView* view_for_reading(const std::string& where, const char* how = "read");
/// The current transaction; nullptr with NoTransactionError set. `what` is what was to be done, as a participle.
PyView* view_for_writing(const std::string& where, const char* what);
/// The exception for an object that is not here.
void set_absent_error(Presence presence, PyObject* handle);

/// The exception for a pickle that would be an index key: equal objects may have different pickles (D33).
void set_pickled_key_error(const std::string& where);

/// Keeps a view alive while code of the program runs, which may end it: then view->transaction is nullptr.
class Kept {
 public:
  explicit Kept(PyView* view) : view_(Py_NewRef(reinterpret_cast<PyObject*>(view))) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() { Py_DECREF(view_); }

 private:
  PyObject* view_;
};

}  // namespace odb
