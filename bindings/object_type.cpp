#include "bindings/object_type.h"

#include <structmember.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <tuple>

#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/field.h"
#include "bindings/gil.h"
#include "bindings/guarded.h"
#include "bindings/lookup.h"
#include "bindings/notes.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

PyTypeObject* object_base = nullptr;  // Object
PyTypeObject* metaclass = nullptr;    // DatabaseTypeMeta

/// Python type -> database type. Never shrinks; entries own what they point to.
auto& registry() {
  static auto* types = new boost::unordered_flat_map<PyTypeObject*, std::unique_ptr<DatabaseType>>();
  return *types;
}

auto& by_slot() {
  static auto* types = new std::vector<DatabaseType*>();
  return *types;
}

// ---- creation

bool refuse_missing(const DatabaseType& type, const FieldSpec& field) {
  set_error("ValueTypeError", field.where + " has no default: " + type.name + "(" + PyUnicode_AsUTF8(field.name) +
                                  "=...) needs a value, " + describe(*field.type));
  return false;
}

/// What stands in a field without a default until __init__ gives it a value; its type does not hold it.
Bytes unset_value() {
  Bytes out;
  put_none(out);
  return out;
}

/// `is_init_next`: fields that have no default may still get a value.
bool write_defaults(PyView& view, const BoundType& bound, PyObject* handle, const std::vector<bool>& is_given,
                    bool is_init_next) {
  const auto& fields = bound.type->fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (is_given[i]) continue;
    if (view.transaction == nullptr) [[unlikely]]
      return set_finished_error(), false;
    if (fields[i].default_value != nullptr) {
      if (!write_field(view, bound, handle, i, fields[i].default_value)) return false;
      continue;
    }
    if (fields[i].is_required() && !is_init_next) return refuse_missing(*bound.type, fields[i]);
    Bytes value;  // D18: stored, so that later definitions do not change it
    if (fields[i].is_required()) {
      value = unset_value();
    } else {
      append_default(*fields[i].type, view.connection, value);
    }
    (void)view.transaction->write(*bound.table, identity_of(handle), bound.fields[i], value);
  }
  return true;
}

bool write_given(PyView& view, const BoundType& bound, PyObject* handle, PyObject* const* args, Py_ssize_t arg_count,
                 PyObject* keywords) {
  const DatabaseType& type = *bound.type;
  if (arg_count > 0) {
    const char* example = type.fields.empty() ? "field" : PyUnicode_AsUTF8(type.fields[0].name);
    set_error("ValueTypeError",
              type.qualified_name() + " takes its fields as keywords: " + type.name + "(" + example + "=...)");
    return false;
  }
  Py_ssize_t given = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  std::vector<bool> is_given(type.fields.size());
  for (Py_ssize_t i = 0; i < given; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    size_t position = position_of(type, keyword);
    if (position == type.fields.size()) {
      PyErr_Format(error_class("ValueTypeError"), "%s has no field named %R", type.qualified_name().c_str(), keyword);
      return false;
    }
    if (!write_field(view, bound, handle, position, args[i])) return false;
    is_given[position] = true;
  }
  return static_cast<size_t>(given) == type.fields.size() || write_defaults(view, bound, handle, is_given, false);
}

bool run_init(PyView& view, const BoundType& bound, PyObject* handle, PyObject* const* args, Py_ssize_t arg_count,
              PyObject* keywords) {
  if (!write_defaults(view, bound, handle, std::vector<bool>(bound.type->fields.size()), true)) return false;
  Py_ssize_t given = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  std::vector<PyObject*> with_self;
  with_self.push_back(handle);
  with_self.insert(with_self.end(), args, args + arg_count + given);
  PyObject* result = run_python([&] {
    return PyObject_Vectorcall(bound.type->init, with_self.data(), static_cast<size_t>(arg_count) + 1, keywords);
  });
  if (result == nullptr) return false;
  Py_DECREF(result);
  if (view.transaction == nullptr) return true;  // __init__ has ended it, by committing, say
  for (size_t i = 0; i < bound.type->fields.size(); ++i) {
    const FieldSpec& field = bound.type->fields[i];
    if (!field.is_required()) continue;
    const WriteSet& writes = view.transaction->writes();
    bool is_there = writes.state(*bound.table, identity_of(handle)) == WriteSet::State::kCreated;
    if (is_there && writes.value(identity_of(handle), bound.fields[i]) == unset_value())
      return refuse_missing(*bound.type, field);
  }
  return true;
}

/// T(...): a new object in the current transaction.
PyObject* create_object(PyObject* callable, PyObject* const* args, size_t nargsf, PyObject* keywords) {
  DatabaseType* type = find_database_type(reinterpret_cast<PyTypeObject*>(callable));
  if (type == nullptr || !type->is_defined) {
    PyErr_Format(error_class("SchemaError"), "%s is not defined yet: decorate it with @schema.define",
                 reinterpret_cast<PyTypeObject*>(callable)->tp_name);
    return nullptr;
  }
  PyView* view = view_for_writing(type->shown_name, "created");
  if (view == nullptr) return nullptr;
  Kept kept(view);
  const BoundType* bound = bound_to(*view, *type);
  if (bound == nullptr) return nullptr;
  std::optional<ObjectId> identity = view->connection->client->identities().next(bound->table->id());
  if (!identity) {
    set_error("ServerError", "every identity of this connection is used up; flush() and try again");
    return nullptr;
  }
  PyObject* handle = new_handle(*type, *identity);
  if (handle == nullptr) return nullptr;
  view->transaction->create(*bound->table, *identity);
  if (view->notes != nullptr && !note_write(*view, *bound->table, *identity, 0, {})) [[unlikely]] {
    if (view->transaction != nullptr) view->transaction->cancel(*identity);
    Py_DECREF(handle);
    return nullptr;
  }
  Py_ssize_t arg_count = PyVectorcall_NARGS(nargsf);
  bool is_made = type->init == nullptr ? write_given(*view, *bound, handle, args, arg_count, keywords)
                                       : run_init(*view, *bound, handle, args, arg_count, keywords);
  if (is_made && (view->transaction == nullptr || check_size(*view->transaction))) [[likely]]
    return handle;
  if (view->transaction != nullptr) view->transaction->cancel(*identity);
  Py_DECREF(handle);
  return nullptr;
}

// ---- handles

PyObject* refuse_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(error_class("SchemaError"), "%s is not a type of a schema: decorate it with @schema.define",
               type->tp_name);
  return nullptr;
}

void handle_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* handle_repr(PyObject* self) {
  DatabaseType* type = find_database_type(Py_TYPE(self));
  return PyUnicode_FromFormat("%s(id=%lld)", type == nullptr ? Py_TYPE(self)->tp_name : type->qualified_name().c_str(),
                              static_cast<long long>(identity_of(self).value));
}

Py_hash_t handle_hash(PyObject* self) { return static_cast<Py_hash_t>(identity_of(self).value); }

PyObject* handle_compare(PyObject* self, PyObject* other, int op) {
  if (Py_TYPE(self) != Py_TYPE(other)) Py_RETURN_NOTIMPLEMENTED;  // never equal, and without an order
  int64_t left = identity_of(self).value, right = identity_of(other).value;
  Py_RETURN_RICHCOMPARE(left, right, op);
}

int handle_bool(PyObject* self) { return identity_of(self).value != 0; }  // D18: an unset reference is falsy

int handle_setattr(PyObject* self, PyObject* name, PyObject* value) {
  if (PyObject_GenericSetAttr(self, name, value) == 0) return 0;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);  // nothing is imported while an exception is set
  PyObject* own = error_class("ObjectDatabaseError");
  if (own == nullptr || PyErr_GivenExceptionMatches(type, own)) {
    PyErr_Restore(type, error, trace);
    return -1;
  }
  Py_XDECREF(type);
  Py_XDECREF(error);
  Py_XDECREF(trace);
  PyErr_Format(error_class("NotSettableError"), "attribute %U of %s objects is not settable", name,
               Py_TYPE(self)->tp_name);
  return -1;
}

PyObject* handle_identity(PyObject* self, void*) { return PyLong_FromLongLong(identity_of(self).value); }

PyObject* handle_exists(PyObject* self, PyObject*) {
  if (identity_of(self).value == 0) Py_RETURN_FALSE;
  PyView* view = view_for_reading("exists()");
  DatabaseType* type = find_database_type(Py_TYPE(self));
  if (view == nullptr || type == nullptr) return nullptr;
  const BoundType* bound = bound_to(*view, *type);
  if (bound == nullptr) return nullptr;
  bool is_transaction = view->transaction != nullptr;
  Presence presence = is_transaction ? view->transaction->exists(*bound->table, identity_of(self))
                                     : view->view->exists(*bound->table, identity_of(self));
  view->has_read = true;
  if (view->notes != nullptr && !note_mark(*view, *bound->table, identity_of(self), 0, presence)) return nullptr;
  if (is_transaction && presence == Presence::kNotCovered) {  // D20: the answer would decide a write
    set_absent_error(presence, self);
    return nullptr;
  }
  return PyBool_FromLong(presence == Presence::kHere);
}

/// Objects whose __del__ is running in this thread: deleting one of them once more in there does nothing, so that
/// objects which delete each other all go.
class Deleting {
 public:
  Deleting(const PyView* view, PyObject* handle) { running().push_back(key(view, handle)); }
  Deleting(const Deleting&) = delete;
  Deleting& operator=(const Deleting&) = delete;
  ~Deleting() { running().pop_back(); }

  static bool is_running(const PyView* view, PyObject* handle) {
    return std::ranges::find(running(), key(view, handle)) != running().end();
  }

 private:
  using Key = std::tuple<const PyView*, PyTypeObject*, ObjectId>;
  static Key key(const PyView* view, PyObject* handle) { return {view, Py_TYPE(handle), identity_of(handle)}; }
  static std::vector<Key>& running() {
    thread_local std::vector<Key> stack;
    return stack;
  }
};

PyObject* handle_delete(PyObject* self, PyObject*) {
  DatabaseType* type = find_database_type(Py_TYPE(self));
  if (type == nullptr) return refuse_new(Py_TYPE(self), nullptr, nullptr);
  PyView* view = view_for_writing(type->shown_name, "deleted");
  if (view == nullptr) return nullptr;
  const BoundType* bound = bound_to(*view, *type);
  if (bound == nullptr) return nullptr;
  Kept kept(view);
  if (type->on_delete != nullptr) {
    if (Deleting::is_running(view, self)) Py_RETURN_NONE;
    Presence presence = view->transaction->exists(*bound->table, identity_of(self));
    if (presence != Presence::kHere) {
      set_absent_error(presence, self);
      return nullptr;
    }
    Deleting deleting(view, self);
    PyObject* result = run_python([&] { return PyObject_CallOneArg(type->on_delete, self); });
    if (result == nullptr) return nullptr;
    Py_DECREF(result);
    if (view->transaction == nullptr) {
      set_error("ViewStateError", type->qualified_name() + ".__del__ has ended the transaction");
      return nullptr;
    }
  }
  std::vector<Bytes> keys_before;
  if (view->notes != nullptr) keys_before = keys_for_note(*view, *bound->table, identity_of(self), 0);
  Presence presence = view->transaction->erase(*bound->table, identity_of(self));
  if (presence == Presence::kHere) {
    bool is_ok = check_size(*view->transaction) &&
                 (view->notes == nullptr || note_write(*view, *bound->table, identity_of(self), 0, keys_before));
    return is_ok ? Py_NewRef(Py_None) : nullptr;
  }
  set_absent_error(presence, self);
  return nullptr;
}

/// A handle has nothing that could change: a copy is itself.
PyObject* handle_copy(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* handle_reduce(PyObject* self, PyObject*) {
  PyErr_Format(PyExc_TypeError, "%s objects are not pickled; send obj._identity and use fromIdentity() over there",
               Py_TYPE(self)->tp_name);
  return nullptr;
}

PyObject* from_identity(PyObject* cls, PyObject* identity) {
  DatabaseType* type = find_database_type(reinterpret_cast<PyTypeObject*>(cls));
  if (type == nullptr) return refuse_new(reinterpret_cast<PyTypeObject*>(cls), nullptr, nullptr);
  long long number = PyLong_AsLongLong(identity);
  if (number == -1 && PyErr_Occurred()) return nullptr;
  if (number < 0) {
    PyErr_Format(error_class("ValueTypeError"), "an identity is not negative; %lld was given", number);
    return nullptr;
  }
  return new_handle(*type, ObjectId{number});
}

PyObject* is_lazy_by_default(PyObject* cls, PyObject*) {
  DatabaseType* type = find_database_type(reinterpret_cast<PyTypeObject*>(cls));
  return PyBool_FromLong(type != nullptr && type->is_lazy_by_default);
}

PyObject* mark_lazy_by_default(PyObject* cls, PyObject*) {
  DatabaseType* type = find_database_type(reinterpret_cast<PyTypeObject*>(cls));
  if (type == nullptr) return refuse_new(reinterpret_cast<PyTypeObject*>(cls), nullptr, nullptr);
  type->is_lazy_by_default = true;
  Py_RETURN_NONE;
}

constexpr int kLookupFlags = METH_CLASS | METH_FASTCALL | METH_KEYWORDS;

PyMethodDef handle_methods[] = {
    {"exists", guarded_method<handle_exists>(), METH_NOARGS,
     "exists()\n--\n\nWhether the object exists in the current view. False for an unset reference."},
    {"delete", guarded_method<handle_delete>(), METH_NOARGS,
     "delete()\n--\n\nDelete the object in the current transaction; a __del__ of the class is called first."},
    {"__copy__", handle_copy, METH_NOARGS, nullptr},
    {"__deepcopy__", handle_copy, METH_O, nullptr},
    {"__reduce_ex__", handle_reduce, METH_O, nullptr},
    {"fromIdentity", guarded_method<from_identity>(), METH_O | METH_CLASS,
     "fromIdentity(identity)\n--\n\nThe handle of an identity; nothing is checked and no view is needed."},
    {"lookupAll", guarded_method<lookup_all>(), kLookupFlags,
     "lookupAll(**index)\n--\n\nThe objects with this index value, or all: a tuple, ascending by identity."},
    {"lookupAny", guarded_method<lookup_any>(), kLookupFlags,
     "lookupAny(**index)\n--\n\nThe object with the lowest identity among lookupAll(**index), or None."},
    {"lookupOne", guarded_method<lookup_one>(), kLookupFlags,
     "lookupOne(**index)\n--\n\nAs lookupAny, but an error when there is none."},
    {"lookupUnique", guarded_method<lookup_unique>(), kLookupFlags,
     "lookupUnique(**index)\n--\n\nThe only object with this index value; None when there is none, an error when there "
     "are several."},
    {"isLazyByDefault", is_lazy_by_default, METH_NOARGS | METH_CLASS,
     "isLazyByDefault()\n--\n\nSee SubscribeLazilyByDefault."},
    {"markLazyByDefault", mark_lazy_by_default, METH_NOARGS | METH_CLASS,
     "markLazyByDefault()\n--\n\nSee SubscribeLazilyByDefault."},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef handle_getset[] = {
    {"_identity", handle_identity, nullptr, "The object's number, unique in its server.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot base_slots[] = {{Py_tp_doc, const_cast<char*>("Base of every database type.")},
                            {Py_tp_new, guarded_slot<refuse_new>()},
                            {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)},
                            {Py_tp_repr, guarded_slot<handle_repr>()},
                            {Py_tp_hash, reinterpret_cast<void*>(handle_hash)},
                            {Py_tp_richcompare, reinterpret_cast<void*>(handle_compare)},
                            {Py_nb_bool, reinterpret_cast<void*>(handle_bool)},
                            {Py_tp_setattro, guarded_slot<handle_setattr>()},
                            {Py_tp_methods, handle_methods},
                            {Py_tp_getset, handle_getset},
                            {0, nullptr}};
PyType_Spec base_spec = {"object_database.Object", sizeof(Handle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                         base_slots};

// ---- the metaclass

/// `class B(A)` makes an ordinary class for @schema.define to read; `class B(A, schema=s)` defines B on s at once.
PyObject* metaclass_new(PyTypeObject* meta, PyObject* args, PyObject* keywords) {
  PyObject* schema = keywords == nullptr ? nullptr : PyDict_GetItemString(keywords, "schema");
  PyObject* others = nullptr;
  if (schema != nullptr) {
    others = PyDict_Copy(keywords);
    if (others == nullptr || PyDict_DelItemString(others, "schema") < 0) {
      Py_XDECREF(others);
      return nullptr;
    }
  }
  PyObject* made = PyType_Type.tp_new(meta, args, schema == nullptr ? keywords : others);
  Py_XDECREF(others);
  if (made != nullptr)
    reinterpret_cast<PyTypeObject*>(made)->tp_vectorcall = guarded<create_object>;  // says what is missing
  if (made == nullptr || schema == nullptr) return made;
  PyObject* defined = PyObject_CallMethod(schema, "define", "N", made);
  return defined;
}

PyMemberDef metaclass_members[] = {
    {const_cast<char*>("__vectorcalloffset__"), T_PYSSIZET, offsetof(PyTypeObject, tp_vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot metaclass_slots[] = {{Py_tp_doc, const_cast<char*>("Type of database types.")},
                                 {Py_tp_new, guarded_slot<metaclass_new>()},
                                 {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                 {Py_tp_members, metaclass_members},
                                 {0, nullptr}};
PyType_Spec metaclass_spec = {"object_database._core.DatabaseTypeMeta", 0, 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, metaclass_slots};

void become_database_type(PyTypeObject* type) {
  Py_SET_TYPE(type, metaclass);
  Py_INCREF(metaclass);
  type->tp_vectorcall = guarded<create_object>;
}

PyType_Slot stub_slots[] = {
    {Py_tp_new, guarded_slot<refuse_new>()}, {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)}, {0, nullptr}};

}  // namespace

size_t position_of(const DatabaseType& type, PyObject* keyword) {
  const auto& fields = type.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == keyword) return i;
  }
  for (size_t i = 0; i < fields.size(); ++i) {  // a keyword that is not interned
    if (PyUnicode_Compare(fields[i].name, keyword) == 0) return i;
  }
  return fields.size();
}

DatabaseType* find_database_type(PyTypeObject* type) {
  auto found = registry().find(type);
  return found == registry().end() ? nullptr : found->second.get();
}

DatabaseType* database_type_in_slot(size_t slot) { return slot < by_slot().size() ? by_slot()[slot] : nullptr; }

DatabaseType* new_database_type(const std::string& schema, const std::string& name) {
  auto info = std::make_unique<DatabaseType>();
  info->schema = schema;
  info->name = name;
  info->slot = registry().size();
  info->shown_name = info->qualified_name();
  PyType_Spec spec = {info->shown_name.c_str(), sizeof(Handle), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                      stub_slots};
  PyObject* bases = PyTuple_Pack(1, object_base);
  if (bases == nullptr) return nullptr;
  // As a subclass of a plain type: from Python 3.12 on a spec refuses bases whose metaclass has a tp_new.
  Py_SET_TYPE(object_base, &PyType_Type);
  PyObject* made = PyType_FromSpecWithBases(&spec, bases);
  Py_SET_TYPE(object_base, metaclass);
  Py_DECREF(bases);
  if (made == nullptr) return nullptr;
  info->type = reinterpret_cast<PyTypeObject*>(made);  // this reference is never given back
  become_database_type(info->type);
  by_slot().push_back(info.get());
  return registry().emplace(info->type, std::move(info)).first->second.get();
}

PyObject* new_handle(DatabaseType& type, ObjectId identity) {
  PyObject* handle = type.type->tp_alloc(type.type, 0);
  if (handle != nullptr) reinterpret_cast<Handle*>(handle)->identity = identity.value;
  return handle;
}

bool add_object_types(PyObject* module) {
  object_base = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&base_spec));
  if (object_base == nullptr || !make_field_type()) return false;
  PyObject* bases = PyTuple_Pack(1, &PyType_Type);
  if (bases == nullptr) return false;
  metaclass = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&metaclass_spec, bases));
  Py_DECREF(bases);
  if (metaclass == nullptr) return false;
  become_database_type(object_base);
  return PyModule_AddObjectRef(module, "Object", reinterpret_cast<PyObject*>(object_base)) == 0 &&
         PyModule_AddObjectRef(module, "DatabaseTypeMeta", reinterpret_cast<PyObject*>(metaclass)) == 0;
}

}  // namespace odb
