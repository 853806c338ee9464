#include "bindings/view.h"

#include <new>

#include "bindings/commit.h"
#include "bindings/context_variable.h"
#include "bindings/current.h"
#include "bindings/errors.h"
#include "bindings/guarded.h"
#include "bindings/lookup.h"
#include "bindings/notes.h"
#include "bindings/watcher.h"

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
  new (&self->notes) std::unique_ptr<Notes>();
  self->state = PyView::State::kFresh;
  self->commit_timeout_s = -1;
  return reinterpret_cast<PyObject*>(self);
}

/// Gives up the pin, the writes, and references to the program's functions: they may refer to the view. What a
/// read-only view noted can still be asked for.
void finish(PyView& self) {
  self.state = PyView::State::kDone;
  release_pin(self);
  Py_CLEAR(self.on_confirmed);
  if (self.notes != nullptr) Py_CLEAR(self.notes->watchers);
}

void view_dealloc(PyObject* object) {
  PyView* self = as_view(object);
  finish(*self);
  self->view.~optional();
  self->transaction.~unique_ptr();
  self->notes.~unique_ptr();
  Py_CLEAR(self->serialization_context);
  Py_CLEAR(self->previous);
  Py_CLEAR(self->owner);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* enter_view(PyView& view, bool commits_on_exit) {
  PyView* self = &view;
  auto* object = reinterpret_cast<PyObject*>(self);
  if (self->state != PyView::State::kFresh && self->state != PyView::State::kLeft) {
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
  PyObject* previous = enter_variable(current_variable, object);
  if (previous == nullptr) return nullptr;
  self->previous = previous;
  self->thread = PyThreadState_Get();
  self->context = self->thread->context;
  self->state = PyView::State::kOpen;
  self->commits_on_exit = commits_on_exit;
  if (is_watched()) [[unlikely]]
    start_notes(*self);
  return Py_NewRef(object);
}

PyObject* view_enter(PyObject* object, PyObject*) { return enter_view(*as_view(object), true); }

/// Not current any more.
bool leave(PyView& self, PyView::State state_after) {
  if (self.state != PyView::State::kOpen) {
    set_error("ViewStateError", "this view or transaction is not entered");
    return false;
  }
  self.state = state_after;
  return leave_variable(current_variable, reinterpret_cast<PyObject*>(&self), std::exchange(self.previous, nullptr));
}

/// After `with view:` and `with view.nocommit():`.
PyObject* exit_view(PyView& self, bool had_exception) {
  bool is_over = self.state == PyView::State::kDone && !self.commits_on_exit;
  if (is_over) Py_RETURN_FALSE;  // commit() was called inside of nocommit()
  bool commits = self.commits_on_exit;
  if (!leave(self, commits ? PyView::State::kDone : PyView::State::kLeft)) return nullptr;
  Kept kept(&self);
  bool is_ok = tell_view_watchers(self, had_exception);
  if (commits) {
    is_ok = is_ok && (had_exception || self.transaction == nullptr || commit(self));
    finish(self);
  }
  if (!is_ok) return nullptr;
  Py_RETURN_FALSE;
}

PyObject* view_exit(PyObject* object, PyObject* const* args, Py_ssize_t count) {
  return exit_view(*as_view(object), count > 0 && args[0] != Py_None);
}

PyObject* view_commit(PyObject* object, PyObject*) {
  PyView* self = as_view(object);
  if (!self->is_transaction()) {
    set_error("ViewStateError", "views are static: only a transaction can be committed; use db.transaction()");
    return nullptr;
  }
  if (self->state == PyView::State::kDone) {
    set_error("ViewStateError", "this transaction is finished: it was committed or given up; make a new one");
    return nullptr;
  }
  Kept kept(self);
  bool is_ok = true;
  if (self->state == PyView::State::kOpen) {
    if (self->commits_on_exit) {
      set_error("ViewStateError",
                "this transaction commits at the end of its `with` block; enter it with nocommit() to commit by hand");
      return nullptr;
    }
    if (!leave(*self, PyView::State::kDone)) return nullptr;
    is_ok = tell_view_watchers(*self, false);
  }
  self->state = PyView::State::kDone;
  is_ok = is_ok && commit(*self);
  finish(*self);
  return is_ok ? Py_NewRef(Py_None) : nullptr;
}

// ---- nocommit(): enters and leaves a view, and that is all

struct NoCommit {
  PyObject_HEAD PyObject* view;
};

PyTypeObject* nocommit_type = nullptr;

PyObject* view_nocommit(PyObject* object, PyObject*) {
  auto* made = PyObject_New(NoCommit, nocommit_type);
  if (made == nullptr) return nullptr;
  made->view = Py_NewRef(object);
  return reinterpret_cast<PyObject*>(made);
}

void nocommit_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  Py_DECREF(reinterpret_cast<NoCommit*>(object)->view);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* nocommit_enter(PyObject* object, PyObject*) {
  return enter_view(*as_view(reinterpret_cast<NoCommit*>(object)->view), false);
}

PyObject* nocommit_exit(PyObject* object, PyObject* const* args, Py_ssize_t count) {
  return exit_view(*as_view(reinterpret_cast<NoCommit*>(object)->view), count > 0 && args[0] != Py_None);
}

PyMethodDef nocommit_methods[] = {{"__enter__", guarded_method<nocommit_enter>(), METH_NOARGS, nullptr},
                                  {"__exit__", guarded_method<nocommit_exit>(), METH_FASTCALL, nullptr},
                                  {nullptr, nullptr, 0, nullptr}};
PyType_Slot nocommit_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(nocommit_dealloc)}, {Py_tp_methods, nocommit_methods}, {0, nullptr}};
PyType_Spec nocommit_spec = {"object_database._core.NoCommit", sizeof(NoCommit), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, nocommit_slots};

// ---- what a view says, and how it is set up

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

PyObject* noconfirm(PyObject* object, PyObject*) {
  as_view(object)->is_unconfirmed = true;
  return Py_NewRef(object);
}

PyObject* on_confirmed(PyObject* object, PyObject* callback) {
  if (!PyCallable_Check(callback)) {
    set_error("ValueTypeError", "onConfirmed takes a function of a TransactionResult");
    return nullptr;
  }
  PyView* self = as_view(object);
  if (self->state == PyView::State::kDone) return set_finished_error(), nullptr;
  Py_XSETREF(self->on_confirmed, Py_NewRef(callback));
  return Py_NewRef(object);
}

PyObject* no_log(PyObject* object, PyObject*) {
  as_view(object)->is_unlogged = true;
  return Py_NewRef(object);
}

PyObject* set_serialization_context(PyObject* object, PyObject* context) {
  Py_XSETREF(as_view(object)->serialization_context, Py_NewRef(context));
  return Py_NewRef(object);
}

PyObject* get_serialization_context(PyObject* object, void*) {
  PyObject* context = as_view(object)->serialization_context;
  return Py_NewRef(context == nullptr ? Py_None : context);
}

constexpr int kQueryFlags = METH_FASTCALL | METH_KEYWORDS;

PyMethodDef view_methods[] = {
    {"__enter__", guarded_method<view_enter>(), METH_NOARGS, nullptr},
    {"__exit__", guarded_method<view_exit>(), METH_FASTCALL, nullptr},
    {"nocommit", guarded_method<view_nocommit>(), METH_NOARGS,
     "nocommit()\n--\n\nA context manager that enters the view and leaves it without committing; commit() is then up "
     "to the program."},
    {"commit", guarded_method<view_commit>(), METH_NOARGS,
     "commit()\n--\n\nCommit a transaction that was entered with nocommit(). A transaction commits once."},
    {"db", view_db, METH_NOARGS, "db()\n--\n\nThe connection that this view reads from."},
    {"transaction_id", guarded_method<view_transaction_id>(), METH_NOARGS,
     "transaction_id()\n--\n\nThe last transaction that this view sees."},
    {"setSerializationContext", set_serialization_context, METH_O,
     "setSerializationContext(context)\n--\n\nFor programs written for the reference: kept as serializationContext, "
     "and not used. Returns self."},
    {"getFieldReads", guarded_method<get_field_reads>(), METH_NOARGS,
     "getFieldReads()\n--\n\nWhat was read of objects: a list of ObjectFieldId. A read-only view notes its reads "
     "inside "
     "of a ViewWatcher,\nor from the first call on."},
    {"getFieldWrites", guarded_method<get_field_writes>(), METH_NOARGS,
     "getFieldWrites()\n--\n\nWhat was written: a dict of ObjectFieldId to canonical bytes, or None where it was "
     "deleted."},
    {"getIndexReads", guarded_method<get_index_reads>(), METH_NOARGS,
     "getIndexReads()\n--\n\nThe index values that were looked up: a list of IndexId. See getFieldReads()."},
    {"getIndexWrites", guarded_method<get_index_writes>(), METH_NOARGS,
     "getIndexWrites()\n--\n\nThe index values that gain or lose objects by this transaction: a set of IndexId."},
    {"markFieldRead", guarded_method<mark_field_read>(), METH_FASTCALL,
     "markFieldRead(field_id, oid)\n--\n\nDepend on a field of an object as if it had been read."},
    {"markIndexRead", guarded_method<mark_index_read>(), METH_FASTCALL,
     "markIndexRead(field_id, indexValue)\n--\n\nDepend on an index value as if it had been looked up."},
    {"addViewWatcher", guarded_method<add_view_watcher>(), METH_O,
     "addViewWatcher(callback)\n--\n\nHave callback(event, field id, identity or index value) called at every read and "
     "write from now on; event is\n\"fieldRead\", \"fieldWritten\", \"indexRead\" or \"indexWritten\". What it raises "
     "is "
     "printed."},
    {"get", guarded_method<query_get>(), kQueryFlags,
     "get(T, **index)\n--\n\nThe one object with this index value; LookupTypeError when there is none, or more."},
    {"find", guarded_method<query_find>(), kQueryFlags,
     "find(T, **index)\n--\n\nThe one object with this index value, or None; LookupTypeError when there are more."},
    {"all", guarded_method<query_all>(), kQueryFlags,
     "all(T, **index)\n--\n\nThe objects with this index value, or all: a tuple, ascending by identity."},
    {"first", guarded_method<query_first>(), kQueryFlags,
     "first(T, **index)\n--\n\nThe object with the lowest identity among all(T, **index), or None."},
    {"last", guarded_method<query_last>(), kQueryFlags,
     "last(T, **index)\n--\n\nThe object with the highest identity among all(T, **index), or None."},
    {"count", guarded_method<query_count>(), kQueryFlags,
     "count(T, **index)\n--\n\nHow many objects all(T, **index) has, without making them."},
    {"covers", guarded_method<query_covers>(), kQueryFlags,
     "covers(T, **index)\n--\n\nWhether this view sees every object of the type, or with this index value."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef view_getset[] = {{"serializationContext", get_serialization_context, nullptr,
                              "What setSerializationContext was given, or None.", nullptr},
                             {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef transaction_methods[] = {
    {"withCommitTimeout", guarded_method<with_commit_timeout>(), METH_O,
     "withCommitTimeout(seconds)\n--\n\nLet the commit raise CommitTimeoutError when the server takes longer. Returns "
     "self."},
    {"noconfirm", noconfirm, METH_NOARGS,
     "noconfirm()\n--\n\nDo not wait for the commit's outcome. A commit that is refused is counted (db.lost_commits) "
     "and "
     "logged. Returns self."},
    {"onConfirmed", guarded_method<on_confirmed>(), METH_O,
     "onConfirmed(callback)\n--\n\nDo not wait for the commit's outcome: callback(TransactionResult) is called on the "
     "connection's handler thread.\nReturns self."},
    {"noLog", no_log, METH_NOARGS,
     "noLog()\n--\n\nAsk the server not to tell its transaction watcher, unless something goes wrong. Returns self."},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot view_slots[] = {
    {Py_tp_doc, const_cast<char*>("A consistent, read-only view of the database: `with db.view():`.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_methods, view_methods},
    {Py_tp_getset, view_getset},
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

/// mask_view() -> what is current here, which is hidden until unmask_view(that)
PyObject* mask_view(PyObject*, PyObject*) { return enter_variable(current_variable, Py_None); }

PyObject* unmask_view(PyObject*, PyObject* held) {
  if (held != Py_None && !PyObject_TypeCheck(held, view_type)) {
    set_error("ViewStateError", "only what mask_view() gave can be current again");
    return nullptr;
  }
  PyObject* token = PyContextVar_Set(current_variable, held);
  if (token == nullptr) return nullptr;
  Py_DECREF(token);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"mask_view", mask_view, METH_NOARGS, nullptr},
    {"unmask_view", unmask_view, METH_O, nullptr},
    {"current_transaction", current_transaction, METH_NOARGS,
     "current_transaction()\n--\n\nThe view or transaction that is open in this thread and task, or None."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool PyView::is_transaction() const { return Py_TYPE(this) == transaction_type; }

void release_pin(PyView& view) {
  if (view.connection->client->is_forked()) {
    if (view.view) view.view->abandon();
    if (view.transaction != nullptr) view.transaction->abandon();
  }
  view.view.reset();
  view.transaction.reset();
}

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

namespace {

/// Pins a version: the latest one, or that of a transaction id. False with an exception set.
bool pin(Connection& connection, PyObject* transaction_id, Version& version) {
  if (transaction_id == Py_None) [[likely]] {
    version = connection.store->open();
    return true;
  }
  uint64_t tid = PyLong_AsUnsignedLongLong(transaction_id);
  if (tid == static_cast<uint64_t>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
    set_error("ValueTypeError", "a transaction id is an int, 0 or more");
    return false;
  }
  TransactionId latest = connection.store->published().tid;
  if (tid > latest.value) {
    set_error("FutureTransactionError", "transaction " + std::to_string(tid) +
                                            " has not arrived here; the last one is " + std::to_string(latest.value));
    return false;
  }
  Result<Version> pinned = connection.store->open_at(TransactionId{tid});
  if (!pinned.is_ok()) {
    set_error(pinned.status());
    return false;
  }
  version = pinned.value();
  return true;
}

}  // namespace

PyObject* new_view(PyObject* owner, Connection& connection, bool is_transaction, PyObject* transaction_id) {
  if (std::optional<Status> closed = connection.client->closed()) {
    set_error("DisconnectedException", closed->message());
    return nullptr;
  }
  PyObject* made = allocate(is_transaction ? transaction_type : view_type, owner, connection);
  Version version;
  if (made == nullptr || !pin(connection, transaction_id, version)) {
    Py_XDECREF(made);
    return nullptr;
  }
  if (is_transaction) {
    as_view(made)->transaction = std::make_unique<Transaction>(connection.store, version);
  } else {
    as_view(made)->view.emplace(connection.store, version);
  }
  return made;
}

bool add_view_types(PyObject* module) {
  current_variable = PyContextVar_New("object_database.current_view", nullptr);
  view_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&view_spec));
  nocommit_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&nocommit_spec));
  if (nocommit_type == nullptr || !add_watcher_type(module)) return false;
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
