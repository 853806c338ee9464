#include "bindings/frozen_dict.h"

#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/guarded.h"
#include "bindings/ref.h"

namespace odb {
namespace {

PyTypeObject* type_object = nullptr;

struct FrozenDict {
  PyObject_HEAD PyObject* dict;
  Py_hash_t hash;  // -1: not computed yet
};

FrozenDict* as_frozen(PyObject* object) { return reinterpret_cast<FrozenDict*>(object); }

/// A new FrozenDict of a dict in any order, which is given up.
PyObject* sorted_frozen(PyObject* dict) {
  PyObject* sorted = sorted_by_key(dict);
  Py_DECREF(dict);
  return sorted == nullptr ? nullptr : new_frozen_dict(sorted);
}

PyObject* frozen_new(PyTypeObject*, PyObject* args, PyObject* keywords) {
  if (keywords == nullptr && PyTuple_GET_SIZE(args) == 1 && is_frozen_dict(PyTuple_GET_ITEM(args, 0)))
    return Py_NewRef(PyTuple_GET_ITEM(args, 0));
  PyObject* dict = PyObject_Call(reinterpret_cast<PyObject*>(&PyDict_Type), args, keywords);
  return dict == nullptr ? nullptr : sorted_frozen(dict);
}

/// No tp_clear: the collector breaks cycles in the dict inside, and methods need it to the end.
int frozen_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_frozen(self)->dict);
  return 0;
}

void frozen_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, frozen_dealloc);
  Py_XDECREF(as_frozen(self)->dict);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END;
}

Py_ssize_t frozen_length(PyObject* self) { return PyDict_GET_SIZE(as_frozen(self)->dict); }

PyObject* frozen_subscript(PyObject* self, PyObject* key) {
  PyObject* found = PyDict_GetItemWithError(as_frozen(self)->dict, key);
  if (found == nullptr && !PyErr_Occurred()) {
    PyObject* args = PyTuple_Pack(1, key);  // a key that is a tuple stays one argument
    if (args != nullptr) PyErr_SetObject(PyExc_KeyError, args);
    Py_XDECREF(args);
  }
  return Py_XNewRef(found);
}

int frozen_contains(PyObject* self, PyObject* key) { return PyDict_Contains(as_frozen(self)->dict, key); }

PyObject* frozen_iter(PyObject* self) { return PyObject_GetIter(as_frozen(self)->dict); }

PyObject* frozen_reversed(PyObject* self, PyObject*) {
  return PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PyReversed_Type), as_frozen(self)->dict, nullptr);
}

PyObject* frozen_get(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count < 1 || count > 2) {
    PyErr_Format(PyExc_TypeError, "get(key, default=None) takes one or two arguments; %zd were given", count);
    return nullptr;
  }
  PyObject* found = PyDict_GetItemWithError(as_frozen(self)->dict, args[0]);
  if (found == nullptr && PyErr_Occurred()) return nullptr;
  return Py_NewRef(found != nullptr ? found : count == 2 ? args[1] : Py_None);
}

// Views of the dict itself would hand it out: `d.keys().mapping == x` asks x with the dict in hand.
PyObject* view_of(PyObject* self, const char* kind) {
  PyObject* view = member_of("collections.abc", kind);
  return view == nullptr ? nullptr : PyObject_CallOneArg(view, self);
}

PyObject* frozen_keys(PyObject* self, PyObject*) { return view_of(self, "KeysView"); }
PyObject* frozen_values(PyObject* self, PyObject*) { return view_of(self, "ValuesView"); }
PyObject* frozen_items(PyObject* self, PyObject*) { return view_of(self, "ItemsView"); }

bool is_mapping(PyObject* value) {
  if (PyDict_Check(value) || is_frozen_dict(value)) return true;
  PyObject* mapping = member_of("collections.abc", "Mapping");
  int is_one = mapping == nullptr ? -1 : PyObject_IsInstance(value, mapping);
  if (is_one < 0) PyErr_Clear();
  return is_one == 1;
}

/// A new dict of a mapping's items; nullptr with an exception set.
PyObject* dict_from(PyObject* mapping) {
  return PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyDict_Type),
                             is_frozen_dict(mapping) ? as_frozen(mapping)->dict : mapping);
}

/// By their items in order, as index keys are.
PyObject* ordered(PyObject* self, PyObject* other, int op) {
  Ref ours = Ref::steal(PyDict_Items(as_frozen(self)->dict)), theirs = Ref::steal(PyDict_Items(as_frozen(other)->dict));
  return ours && theirs ? PyObject_RichCompare(ours.get(), theirs.get(), op) : nullptr;
}

PyObject* frozen_compare(PyObject* self, PyObject* other, int op) {
  if (op != Py_EQ && op != Py_NE && is_frozen_dict(other)) return ordered(self, other, op);
  if ((op != Py_EQ && op != Py_NE) || !is_mapping(other)) Py_RETURN_NOTIMPLEMENTED;
  if (self == other) return PyBool_FromLong(op == Py_EQ);
  if (is_frozen_dict(other)) return PyObject_RichCompare(as_frozen(self)->dict, as_frozen(other)->dict, op);
  if (PyDict_CheckExact(other)) return PyObject_RichCompare(as_frozen(self)->dict, other, op);
  PyObject* dict = dict_from(other);
  if (dict == nullptr) return nullptr;
  PyObject* result = PyObject_RichCompare(as_frozen(self)->dict, dict, op);
  Py_DECREF(dict);
  return result;
}

/// That of the set of its items: whatever the order, equal mappings have one hash.
Py_hash_t frozen_hash(PyObject* self) {
  FrozenDict* frozen = as_frozen(self);
  if (frozen->hash != -1) return frozen->hash;
  if (Py_EnterRecursiveCall(" while hashing a FrozenDict") != 0) return -1;
  PyObject* items = PyDict_Items(frozen->dict);
  PyObject* set = items == nullptr ? nullptr : PyFrozenSet_New(items);
  Py_XDECREF(items);
  if (set != nullptr) frozen->hash = PyObject_Hash(set);
  Py_XDECREF(set);
  Py_LeaveRecursiveCall();
  return frozen->hash;
}

PyObject* frozen_repr(PyObject* self) { return PyObject_Repr(as_frozen(self)->dict); }

/// `left` with the items of `right`, which win.
PyObject* merged(PyObject* left, PyObject* right) {
  if (!is_mapping(left) || !is_mapping(right)) Py_RETURN_NOTIMPLEMENTED;
  PyObject* dict = dict_from(left);
  PyObject* other = dict == nullptr ? nullptr : dict_from(right);
  bool is_ok = other != nullptr && PyDict_Update(dict, other) == 0;
  Py_XDECREF(other);
  if (is_ok) return sorted_frozen(dict);
  Py_XDECREF(dict);
  return nullptr;
}

PyObject* without(PyObject* self, PyObject* keys) {
  if (!is_frozen_dict(self)) Py_RETURN_NOTIMPLEMENTED;
  PyObject* list = PySequence_List(keys);
  if (list == nullptr) return nullptr;
  PyObject* dict = PyDict_Copy(as_frozen(self)->dict);
  for (Py_ssize_t i = 0; dict != nullptr && i < PyList_GET_SIZE(list); ++i) {
    int is_there = PyDict_Contains(dict, PyList_GET_ITEM(list, i));
    if (is_there < 0 || (is_there == 1 && PyDict_DelItem(dict, PyList_GET_ITEM(list, i)) < 0)) Py_CLEAR(dict);
  }
  Py_DECREF(list);
  return dict == nullptr ? nullptr : new_frozen_dict(dict);
}

PyObject* frozen_reduce(PyObject* self, PyObject*) {
  PyObject* dict = PyDict_Copy(as_frozen(self)->dict);
  return dict == nullptr ? nullptr : Py_BuildValue("O(N)", type_object, dict);
}

/// Nothing in it can change: a copy is itself.
PyObject* frozen_copy(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyMethodDef methods[] = {
    {"get", guarded_method<frozen_get>(), METH_FASTCALL,
     "get(key, default=None)\n--\n\nThe value of a key, or the default when there is none."},
    {"keys", guarded_method<frozen_keys>(), METH_NOARGS, "keys()\n--\n\nIts keys, in order."},
    {"values", guarded_method<frozen_values>(), METH_NOARGS, "values()\n--\n\nIts values, in the order of the keys."},
    {"items", guarded_method<frozen_items>(), METH_NOARGS, "items()\n--\n\nIts pairs, in the order of the keys."},
    {"__reversed__", guarded_method<frozen_reversed>(), METH_NOARGS, nullptr},
    {"__reduce__", guarded_method<frozen_reduce>(), METH_NOARGS, nullptr},
    {"__copy__", frozen_copy, METH_NOARGS, nullptr},
    {"__deepcopy__", frozen_copy, METH_O, nullptr},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("FrozenDict(mapping_or_pairs=(), **items)\n--\n\n"
                                  "A mapping that nobody can change, its keys in order: what dict fields give.\n\n"
                                  "`d + other` and `d | other` add items, the right ones win; `d - keys` leaves keys "
                                  "out. Equal to any mapping with\nthe same items, hashable, and ordered by items as "
                                  "index keys are.")},
    {Py_tp_new, guarded_slot<frozen_new>()},
    {Py_tp_dealloc, reinterpret_cast<void*>(frozen_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(frozen_traverse)},
    {Py_tp_methods, methods},
    {Py_tp_iter, guarded_slot<frozen_iter>()},
    {Py_tp_hash, guarded_slot<frozen_hash>()},
    {Py_tp_repr, guarded_slot<frozen_repr>()},
    {Py_tp_richcompare, guarded_slot<frozen_compare>()},
    {Py_mp_length, reinterpret_cast<void*>(frozen_length)},
    {Py_mp_subscript, guarded_slot<frozen_subscript>()},
    {Py_sq_contains, guarded_slot<frozen_contains>()},
    {Py_nb_add, guarded_slot<merged>()},
    {Py_nb_or, guarded_slot<merged>()},
    {Py_nb_subtract, guarded_slot<without>()},
    {0, nullptr}};
PyType_Spec spec = {"object_database._core.FrozenDict", sizeof(FrozenDict), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MAPPING | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace

PyTypeObject* frozen_dict_type() { return type_object; }

bool is_frozen_dict(PyObject* value) { return Py_TYPE(value) == type_object; }

PyObject* new_frozen_dict(PyObject* sorted_dict) {
  auto* made = PyObject_GC_New(FrozenDict, type_object);
  if (made == nullptr) {
    Py_DECREF(sorted_dict);
    return nullptr;
  }
  made->dict = sorted_dict;
  made->hash = -1;
  PyObject_GC_Track(made);
  return reinterpret_cast<PyObject*>(made);
}

PyObject* dict_of(PyObject* frozen) { return as_frozen(frozen)->dict; }

bool add_frozen_dict(PyObject* module) {
  type_object = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (type_object == nullptr ||
      PyModule_AddObjectRef(module, "FrozenDict", reinterpret_cast<PyObject*>(type_object)) < 0)
    return false;
  PyObject* mapping = member_of("collections.abc", "Mapping");
  PyObject* registered = mapping == nullptr ? nullptr : PyObject_CallMethod(mapping, "register", "O", type_object);
  Py_XDECREF(registered);
  return registered != nullptr;
}

}  // namespace odb
