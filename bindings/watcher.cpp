#include "bindings/watcher.h"

#include <vector>

#include "bindings/context_variable.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/guarded.h"

namespace odb {
namespace {

// As the current view, the open watchers are in a ContextVar: the innermost one, which knows the one around it. One that
// was inherited by another thread or task does not count there.
struct PyWatcher {
  PyObject_HEAD PyObject* callback;
  bool is_open;
  PyThreadState* thread;  // that entered it
  PyObject* context;      // that entered it; borrowed and compared only
  PyObject* previous;     // what the ContextVar held before
};

PyTypeObject* watcher_type = nullptr;
PyObject* innermost_variable = nullptr;  // ContextVar
size_t open_count = 0;                   // in the whole process; the GIL guards it

PyWatcher* as_watcher(PyObject* self) { return reinterpret_cast<PyWatcher*>(self); }

PyObject* watcher_new(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"callback", nullptr};
  PyObject* callback;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O:ViewWatcher", const_cast<char**>(names), &callback))
    return nullptr;
  if (!PyCallable_Check(callback)) {
    set_error("ValueTypeError", "ViewWatcher takes a function of (view, had_exception)");
    return nullptr;
  }
  auto* self = reinterpret_cast<PyWatcher*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->callback = Py_NewRef(callback);
  return reinterpret_cast<PyObject*>(self);
}

int watcher_traverse(PyObject* object, visitproc visit, void* arg) {
  PyWatcher* self = as_watcher(object);
  Py_VISIT(self->callback);
  Py_VISIT(self->previous);
  Py_VISIT(Py_TYPE(object));
  return 0;
}

int watcher_clear(PyObject* object) {
  Py_CLEAR(as_watcher(object)->callback);
  Py_CLEAR(as_watcher(object)->previous);
  return 0;
}

void watcher_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  if (as_watcher(object)->is_open) --open_count;
  watcher_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* watcher_enter(PyObject* object, PyObject*) {
  PyWatcher* self = as_watcher(object);
  if (self->is_open) {
    set_error("ViewStateError", "this ViewWatcher is open already");
    return nullptr;
  }
  PyObject* previous = enter_variable(innermost_variable, object);
  if (previous == nullptr) return nullptr;
  self->previous = previous;
  self->thread = PyThreadState_Get();
  self->context = self->thread->context;
  self->is_open = true;
  ++open_count;
  return Py_NewRef(object);
}

PyObject* watcher_exit(PyObject* object, PyObject* const*, Py_ssize_t) {
  PyWatcher* self = as_watcher(object);
  if (!self->is_open) {
    set_error("ViewStateError", "this ViewWatcher is not open");
    return nullptr;
  }
  self->is_open = false;
  --open_count;
  if (!leave_variable(innermost_variable, object, std::exchange(self->previous, nullptr))) return nullptr;
  Py_RETURN_FALSE;
}

/// Calls f for every watcher that is open here, the innermost first, until it returns false.
template <class F>
bool each_watcher(F&& f) {
  if (open_count == 0) [[likely]]
    return true;
  PyObject* held = nullptr;
  if (PyContextVar_Get(innermost_variable, Py_None, &held) < 0) return false;
  PyThreadState* thread = PyThreadState_Get();
  std::vector<PyObject*> own;  // callbacks
  for (PyObject* at = held; at != nullptr && at != Py_None; at = as_watcher(at)->previous) {
    PyWatcher* watcher = as_watcher(at);
    if (watcher->is_open && watcher->thread == thread && watcher->context == thread->context)
      own.push_back(Py_NewRef(watcher->callback));
  }
  Py_XDECREF(held);
  bool is_ok = true;
  for (PyObject* callback : own) {
    is_ok = is_ok && f(callback);
    Py_DECREF(callback);
  }
  return is_ok;
}

PyMethodDef watcher_methods[] = {{"__enter__", guarded_method<watcher_enter>(), METH_NOARGS, nullptr},
                                 {"__exit__", guarded_method<watcher_exit>(), METH_FASTCALL, nullptr},
                                 {nullptr, nullptr, 0, nullptr}};
PyType_Slot watcher_slots[] = {
    {Py_tp_doc, const_cast<char*>(
                    "ViewWatcher(callback)\n--\n\nContext manager: callback(view, had_exception) is called for every "
                    "view and transaction that is left in its extent,\nbefore a commit; an exception of the callback "
                    "prevents the commit. Views note their reads there, for getFieldReads().\nIt holds in the thread "
                    "and task that entered it.")},
    {Py_tp_new, guarded_slot<watcher_new>()},
    {Py_tp_dealloc, reinterpret_cast<void*>(watcher_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(watcher_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(watcher_clear)},
    {Py_tp_methods, watcher_methods},
    {0, nullptr}};
PyType_Spec watcher_spec = {"object_database.view.ViewWatcher", sizeof(PyWatcher), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, watcher_slots};

}  // namespace

bool is_watched() {
  bool is_any = false;
  each_watcher([&](PyObject*) {
    is_any = true;
    return true;
  });
  return is_any;
}

bool tell_view_watchers(PyView& view, bool had_exception) {
  return each_watcher([&](PyObject* callback) {
    PyObject* result = run_python([&] {
      return PyObject_CallFunctionObjArgs(callback, reinterpret_cast<PyObject*>(&view),
                                          had_exception ? Py_True : Py_False, nullptr);
    });
    Py_XDECREF(result);
    return result != nullptr;
  });
}

bool add_watcher_type(PyObject* module) {
  innermost_variable = PyContextVar_New("object_database.view_watcher", nullptr);
  watcher_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&watcher_spec));
  return innermost_variable != nullptr && watcher_type != nullptr &&
         PyModule_AddObjectRef(module, "ViewWatcher", reinterpret_cast<PyObject*>(watcher_type)) == 0;
}

}  // namespace odb
