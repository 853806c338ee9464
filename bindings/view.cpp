#include "bindings/view.h"

#include <new>

#include "bindings/errors.h"
#include "bindings/guarded.h"

namespace odb {
namespace {

PyTypeObject* view_type = nullptr;
PyTypeObject* transaction_type = nullptr;
PyObject* current_variable = nullptr;  // ContextVar

PyView* as_view(PyObject* self) { return reinterpret_cast<PyView*>(self); }

PyObject* allocate(PyTypeObject* type, PyObject* owner, Connection& connection) {
  auto* self = reinterpret_cast<PyView*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->owner = Py_NewRef(owner);
  self->connection = &connection;
  new (&self->view) std::optional<View>();
  new (&self->transaction) std::unique_ptr<Transaction>();
  self->state = PyView::State::kFresh;
  self->commit_timeout_s = -1;
  return reinterpret_cast<PyObject*>(self);
}

/// Gives up the pin, the writes and what enter() kept.
void finish(PyView& self) {
  self.state = PyView::State::kDone;
  self.view.reset();
  self.transaction.reset();
}

void view_dealloc(PyObject* object) {
  PyView* self = as_view(object);
  finish(*self);
  self->view.~optional();
  self->transaction.~unique_ptr();
  Py_CLEAR(self->previous);
  Py_CLEAR(self->owner);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* view_enter(PyObject* object, PyObject*) {
  PyView* self = as_view(object);
  if (self->state != PyView::State::kFresh) {
    set_error("ViewStateError", self->state == PyView::State::kDone
                                    ? "this view or transaction is finished; make a new one with db.view() or "
                                      "db.transaction()"
                                    : "this view or transaction is entered already");
    return nullptr;
  }
  if (current_view() != nullptr) {
    set_error("ViewStateError",
              "a view or transaction is open already in this thread or task; leave it first (they do not nest)");
    return nullptr;
  }
  PyObject* previous = nullptr;
  if (PyContextVar_Get(current_variable, Py_None, &previous) < 0) return nullptr;
  PyObject* token = PyContextVar_Set(current_variable, object);
  if (token == nullptr) {
    Py_DECREF(previous);
    return nullptr;
  }
  Py_DECREF(token);
  self->previous = previous;
  self->thread = PyThreadState_Get();
  self->context = self->thread->context;
  self->state = PyView::State::kOpen;
  return Py_NewRef(object);
}

/// Not current any more. What the variable held before is put back by value, for a token could not be used in another
/// context; and only where it holds this view: a generator may be closed in a thread or task that has a view of its own.
bool leave(PyView& self) {
  if (self.state != PyView::State::kOpen) {
    set_error("ViewStateError", "this view or transaction is not entered");
    return false;
  }
  self.state = PyView::State::kDone;
  PyObject* previous = std::exchange(self.previous, nullptr);
  PyObject* held = nullptr;
  bool is_ok = PyContextVar_Get(current_variable, Py_None, &held) == 0;
  if (is_ok && held == reinterpret_cast<PyObject*>(&self)) {
    PyObject* token = PyContextVar_Set(current_variable, previous);
    is_ok = token != nullptr;
    Py_XDECREF(token);
  }
  Py_XDECREF(held);
  Py_DECREF(previous);
  return is_ok;
}

/// Calls object_database.errors.commit_error(...) for a refused commit and raises what it gives.
void set_commit_error(const Connection& connection, const CommitResult& result, TransactionId as_of) {
  PyObject* make = error_class("commit_error");
  if (make == nullptr) return;
  DatabaseType* type = connection.type_of(result.type);
  PyObject* handle =
      type != nullptr && result.object.value != 0 ? new_handle(*type, result.object) : Py_NewRef(Py_None);
  std::string type_name, member;
  if (type != nullptr) {
    type_name = type->qualified_name();
    const TypeLayout& layout = connection.bound(*type)->table->layout();
    if (result.key_kind == KeyKind::kField && result.number < layout.fields.size())
      member = layout.fields[result.number].name;
    if (result.key_kind == KeyKind::kIndexKey && result.number < layout.indexes.size())
      member = layout.indexes[result.number].name;
  }
  PyObject* error =
      PyObject_CallFunction(make, "iissOKKLs", static_cast<int>(result.outcome), static_cast<int>(result.key_kind),
                            type_name.c_str(), member.c_str(), handle, static_cast<unsigned long long>(as_of.value),
                            static_cast<unsigned long long>(result.written_at.value),
                            static_cast<long long>(result.won_by.value), result.message.c_str());
  Py_XDECREF(handle);
  if (error == nullptr) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  Py_DECREF(error);
}

/// Sends the writes and waits for the verdict; false with an exception set.
bool commit(PyView& self) {
  if (!self.transaction->has_writes()) return true;
  Batch batch = self.transaction->batch();
  TransactionId as_of = batch.as_of;
  self.transaction.reset();  // the pin is given back before the wait
  std::shared_ptr<Pending> pending = self.connection->client->commit(std::move(batch));
  if (!wait_for(*pending, self.commit_timeout_s, "CommitTimeoutError",
                "the commit was sent but not answered in time; it may still succeed"))
    return false;
  if (!pending->status().is_ok()) {
    set_error(pending->status());
    return false;
  }
  if (pending->commit_result().outcome == Outcome::kAccepted) return true;
  set_commit_error(*self.connection, pending->commit_result(), as_of);
  return false;
}

PyObject* view_exit(PyObject* object, PyObject* const* args, Py_ssize_t count) {
  PyView* self = as_view(object);
  if (!leave(*self)) return nullptr;
  bool has_exception = count > 0 && args[0] != Py_None;
  bool is_ok = has_exception || self->transaction == nullptr || commit(*self);
  finish(*self);
  if (!is_ok) return nullptr;
  Py_RETURN_FALSE;
}

PyObject* view_db(PyObject* object, PyObject*) { return Py_NewRef(as_view(object)->owner); }

PyObject* view_transaction_id(PyObject* object, PyObject*) {
  PyView* self = as_view(object);
  if (self->state == PyView::State::kDone) {
    set_error("ViewStateError", "this view or transaction is finished");
    return nullptr;
  }
  return PyLong_FromUnsignedLongLong(self->reading().version().tid.value);
}

PyObject* with_commit_timeout(PyObject* object, PyObject* seconds) {
  double timeout = PyFloat_AsDouble(seconds);
  if (timeout == -1.0 && PyErr_Occurred()) return nullptr;
  if (!(timeout >= 0)) {
    set_error("ValueTypeError", "a timeout is a number of seconds, 0 or more");
    return nullptr;
  }
  as_view(object)->commit_timeout_s = timeout;
  return Py_NewRef(object);
}

PyMethodDef view_methods[] = {{"__enter__", guarded_method<view_enter>(), METH_NOARGS, nullptr},
                              {"__exit__", guarded_method<view_exit>(), METH_FASTCALL, nullptr},
                              {"db", view_db, METH_NOARGS, "db()\n--\n\nThe connection that this view reads from."},
                              {"transaction_id", guarded_method<view_transaction_id>(), METH_NOARGS,
                               "transaction_id()\n--\n\nThe last transaction that this view sees."},
                              {nullptr, nullptr, 0, nullptr}};
PyMethodDef transaction_methods[] = {{"withCommitTimeout", guarded_method<with_commit_timeout>(), METH_O,
                                      "withCommitTimeout(seconds)\n--\n\nLet the commit raise CommitTimeoutError when "
                                      "the server takes longer. Returns self."},
                                     {nullptr, nullptr, 0, nullptr}};

PyType_Slot view_slots[] = {
    {Py_tp_doc, const_cast<char*>("A consistent, read-only view of the database: `with db.view():`.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_methods, view_methods},
    {0, nullptr}};
PyType_Spec view_spec = {"object_database.view.View", sizeof(PyView), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, view_slots};
PyType_Slot transaction_slots[] = {
    {Py_tp_doc, const_cast<char*>("A view that can be written: `with db.transaction():`. It commits on leaving.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_methods, transaction_methods},
    {0, nullptr}};
PyType_Spec transaction_spec = {"object_database.view.Transaction", sizeof(PyView), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, transaction_slots};

PyObject* current_transaction(PyObject*, PyObject*) {
  PyView* view = current_view();
  return Py_NewRef(view == nullptr ? Py_None : reinterpret_cast<PyObject*>(view));
}

PyMethodDef functions[] = {
    {"current_transaction", current_transaction, METH_NOARGS,
     "current_transaction()\n--\n\nThe view or transaction that is open in this thread and task, or None."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyView* current_view() {
  PyObject* held = nullptr;
  if (PyContextVar_Get(current_variable, nullptr, &held) < 0) {
    PyErr_Clear();
    return nullptr;
  }
  if (held == nullptr) return nullptr;
  Py_DECREF(held);  // the context keeps it
  if (held == Py_None) return nullptr;
  PyView* view = as_view(held);
  PyThreadState* thread = PyThreadState_Get();
  bool is_ours = view->thread == thread && view->context == thread->context && view->state == PyView::State::kOpen;
  return is_ours ? view : nullptr;  // D8: a thread or task that inherited the variable has no view
}

PyObject* new_view(PyObject* owner, Connection& connection, bool is_transaction) {
  if (std::optional<Status> closed = connection.client->closed()) {
    set_error("DisconnectedException", closed->message());
    return nullptr;
  }
  PyObject* made = allocate(is_transaction ? transaction_type : view_type, owner, connection);
  if (made == nullptr) return nullptr;
  if (is_transaction) {
    as_view(made)->transaction = std::make_unique<Transaction>(connection.store);
  } else {
    as_view(made)->view.emplace(connection.store);
  }
  return made;
}

bool add_view_types(PyObject* module) {
  current_variable = PyContextVar_New("object_database.current_view", nullptr);
  view_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&view_spec));
  if (current_variable == nullptr || view_type == nullptr) return false;
  PyObject* bases = PyTuple_Pack(1, view_type);
  if (bases == nullptr) return false;
  transaction_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&transaction_spec, bases));
  Py_DECREF(bases);
  return transaction_type != nullptr &&
         PyModule_AddObjectRef(module, "View", reinterpret_cast<PyObject*>(view_type)) == 0 &&
         PyModule_AddObjectRef(module, "Transaction", reinterpret_cast<PyObject*>(transaction_type)) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace odb
