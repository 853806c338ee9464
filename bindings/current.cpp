#include "bindings/current.h"

#include "bindings/errors.h"

namespace odb {

const BoundType* bound_to(const PyView& view, const DatabaseType& type) {
  const BoundType* bound = view.connection->bound(type);
  if (bound != nullptr && bound->is_defined) return bound;
  set_error("SchemaNotAddedError",
            "type " + type.shown_name +
                " is not known to this connection; call addSchema or subscribeToSchema for schema '" + type.schema +
                "' first");
  return nullptr;
}

PyView* view_for_reading(const std::string& where, const char* how) {
  PyView* view = current_view();
  if (view == nullptr)
    set_error("NoViewError", where + " cannot be " + how + " outside of a view or transaction; use `with db.view():`");
  return view;
}

PyView* view_for_writing(const std::string& where, const char* what) {
  PyView* view = current_view();
  if (view != nullptr && view->transaction != nullptr) return view;
  set_error("NoTransactionError", where + " cannot be " + what +
                                      (view == nullptr ? " outside of a transaction" : " in a read-only view") +
                                      "; use `with db.transaction():`");
  return nullptr;
}

void set_pickled_key_error(const std::string& where) {
  set_error("ValueTypeError", where +
                                  ": a pickle cannot be an index key; take the field out of its indexes, or use "
                                  "register_codec or register_record");
}

void set_absent_error(Presence presence, PyObject* handle) {
  const char* name = presence == Presence::kNotCovered ? "NotSubscribedError" : "ObjectDoesntExistException";
  PyObject* type = error_class(name);
  if (type == nullptr) return;
  PyObject* error = PyObject_CallFunctionObjArgs(type, handle, nullptr);
  if (error == nullptr) return;
  PyErr_SetObject(type, error);
  Py_DECREF(error);
}

}  // namespace odb
