#include "bindings/object_type.h"

#include <structmember.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>

#include "bindings/connection.h"
#include "bindings/errors.h"
#include "bindings/guarded.h"
#include "bindings/lookup.h"
#include "bindings/view.h"

namespace odb {
namespace {

PyTypeObject* object_base = nullptr;  // Object
PyTypeObject* metaclass = nullptr;    // DatabaseTypeMeta
PyTypeObject* field_type = nullptr;   // Field, the descriptor

/// Python type -> database type. Never shrinks; entries own what they point to.
auto& registry() {
  static auto* types = new boost::unordered_flat_map<PyTypeObject*, std::unique_ptr<DatabaseType>>();
  return *types;
}

// ---- where a read or write goes

/// The type on the current view's connection; nullptr with an exception set.
const BoundType* bound_to(const PyView& view, const DatabaseType& type) {
  const BoundType* bound = view.connection->bound(type);
  if (bound != nullptr && bound->is_defined) return bound;
  set_error("SchemaNotAddedError",
            "type " + type.qualified_name() +
                " is not known to this connection; call addSchema or subscribeToSchema for schema '" + type.schema +
                "' first");
  return nullptr;
}

PyView* view_for_reading(const std::string& where) {
  PyView* view = current_view();
  if (view == nullptr)
    set_error("NoViewError", where + " cannot be read outside of a view or transaction; use `with db.view():`");
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

void set_absent_error(Presence presence, PyObject* handle) {
  const char* name = presence == Presence::kNotCovered ? "NotSubscribedError" : "ObjectDoesntExistException";
  PyObject* type = error_class(name);
  if (type == nullptr) return;
  PyObject* error = PyObject_CallFunctionObjArgs(type, handle, nullptr);
  if (error == nullptr) return;
  PyErr_SetObject(type, error);
  Py_DECREF(error);
}

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

// ---- fields

/// The descriptor of one field. On the class it is itself, on a handle it reads and writes the field.
struct Field {
  PyObject_HEAD DatabaseType* owner;
  size_t position;
};

/// The field as the handle's own type has it: `super().x` finds the descriptor of a base.
bool find_position(const Field& field, PyObject* handle, DatabaseType*& type, size_t& position) {
  type = field.owner;
  position = field.position;
  if (Py_TYPE(handle) == type->type) [[likely]]
    return true;
  PyObject* name = type->fields[position].name;
  type = find_database_type(Py_TYPE(handle));
  if (type != nullptr) {
    for (position = 0; position < type->fields.size(); ++position) {
      if (type->fields[position].name == name) return true;
    }
  }
  PyErr_Format(PyExc_TypeError, "field %R does not belong to %s objects", name, Py_TYPE(handle)->tp_name);
  return false;
}

PyObject* field_get(PyObject* self, PyObject* handle, PyObject*) {
  if (handle == nullptr) return Py_NewRef(self);
  DatabaseType* type;
  size_t position;
  if (!find_position(*reinterpret_cast<Field*>(self), handle, type, position)) return nullptr;
  PyView* view = view_for_reading(type->fields[position].where);
  if (view == nullptr) return nullptr;
  const BoundType* bound = bound_to(*view, *type);
  if (bound == nullptr) return nullptr;
  FieldId field = bound->fields[position];
  BytesView value;
  Presence presence = view->transaction != nullptr
                          ? view->transaction->read(*bound->table, identity_of(handle), field, value)
                          : view->view->read(*bound->table, identity_of(handle), field, value);
  if (presence == Presence::kHere) [[likely]]
    return decode_value(value, type->fields[position].type, *view->connection);
  set_absent_error(presence, handle);
  return nullptr;
}

/// Against the limits that the server keeps too; false with an exception set.
bool check_size(const Transaction& transaction) {
  if (transaction.written_bytes() <= limits::kTransactionBytesMax &&
      transaction.write_count() <= limits::kTransactionWritesMax) [[likely]]
    return true;
  set_error("TransactionTooLargeError", "a transaction writes at most " +
                                            std::to_string(limits::kTransactionBytesMax >> 20) + " MiB and " +
                                            std::to_string(limits::kTransactionWritesMax) + " objects; split this one");
  return false;
}

/// Converts into the scratch buffer of this thread and hands the bytes to the transaction.
bool write_field(PyView& view, const BoundType& bound, PyObject* handle, size_t position, PyObject* value) {
  thread_local Bytes encoded;
  encoded.clear();
  const FieldSpec& spec = bound.type->fields[position];
  if (!encode_value(value, spec.type, view.connection, spec.where, encoded)) return false;
  if (encoded.size() > limits::kRowBytesMax) {
    set_error("TransactionTooLargeError", spec.where + ": a value of " + std::to_string(encoded.size()) +
                                              " bytes; the values of an object may take " +
                                              std::to_string(limits::kRowBytesMax >> 20) + " MiB together");
    return false;
  }
  Presence presence = view.transaction->write(*bound.table, identity_of(handle), bound.fields[position], encoded);
  if (presence == Presence::kHere) [[likely]]
    return check_size(*view.transaction);
  set_absent_error(presence, handle);
  return false;
}

int field_set(PyObject* self, PyObject* handle, PyObject* value) {
  DatabaseType* type;
  size_t position;
  if (!find_position(*reinterpret_cast<Field*>(self), handle, type, position)) return -1;
  const std::string& where = type->fields[position].where;
  if (value == nullptr) {
    set_error("NotSettableError", where + " is a field and cannot be deleted; assign a value");
    return -1;
  }
  PyView* view = view_for_writing(where, "written");
  if (view == nullptr) return -1;
  const BoundType* bound = bound_to(*view, *type);
  return bound != nullptr && write_field(*view, *bound, handle, position, value) ? 0 : -1;
}

PyObject* field_repr(PyObject* self) {
  auto* field = reinterpret_cast<Field*>(self);
  const FieldSpec& spec = field->owner->fields[field->position];
  return PyUnicode_FromFormat("<field %s: %s>", spec.where.c_str(), describe(spec.type).c_str());
}

PyObject* field_doc(PyObject* self, void*) {
  auto* field = reinterpret_cast<Field*>(self);
  return PyUnicode_FromString(describe(field->owner->fields[field->position].type).c_str());
}

PyObject* field_name(PyObject* self, void*) {
  auto* field = reinterpret_cast<Field*>(self);
  return Py_NewRef(field->owner->fields[field->position].name);
}

PyGetSetDef field_getset[] = {{"__doc__", field_doc, nullptr, nullptr, nullptr},
                              {"__name__", field_name, nullptr, nullptr, nullptr},
                              {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot field_slots[] = {{Py_tp_descr_get, guarded_slot<field_get>()},
                             {Py_tp_descr_set, guarded_slot<field_set>()},
                             {Py_tp_repr, guarded_slot<field_repr>()},
                             {Py_tp_getset, field_getset},
                             {0, nullptr}};
PyType_Spec field_spec = {"object_database._core.Field", sizeof(Field), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, field_slots};

PyObject* new_field(DatabaseType& owner, size_t position) {
  auto* field = PyObject_New(Field, field_type);
  if (field == nullptr) return nullptr;
  field->owner = &owner;
  field->position = position;
  return reinterpret_cast<PyObject*>(field);
}

// ---- creation

bool write_defaults(PyView& view, const BoundType& bound, PyObject* handle, const std::vector<bool>& is_given) {
  const auto& fields = bound.type->fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (is_given[i]) continue;
    if (fields[i].default_value != nullptr) {
      if (!write_field(view, bound, handle, i, fields[i].default_value)) return false;
      continue;
    }
    const FieldLayout& layout = bound.table->layout().fields[bound.fields[i].value];
    Bytes value = layout.type.default_value();  // D18: stored, so that later definitions do not change it
    (void)view.transaction->write(*bound.table, identity_of(handle), bound.fields[i], value);
  }
  return true;
}

/// The keyword's field, or fields.size().
size_t find_field(const DatabaseType& type, PyObject* keyword) {
  const auto& fields = type.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == keyword) return i;
  }
  for (size_t i = 0; i < fields.size(); ++i) {  // a keyword that is not interned
    if (PyUnicode_Compare(fields[i].name, keyword) == 0) return i;
  }
  return fields.size();
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
    size_t position = find_field(type, keyword);
    if (position == type.fields.size()) {
      PyErr_Format(error_class("ValueTypeError"), "%s has no field named %R", type.qualified_name().c_str(), keyword);
      return false;
    }
    if (!write_field(view, bound, handle, position, args[i])) return false;
    is_given[position] = true;
  }
  return static_cast<size_t>(given) == type.fields.size() || write_defaults(view, bound, handle, is_given);
}

bool run_init(PyView& view, const BoundType& bound, PyObject* handle, PyObject* const* args, Py_ssize_t arg_count,
              PyObject* keywords) {
  if (!write_defaults(view, bound, handle, std::vector<bool>(bound.type->fields.size()))) return false;
  Py_ssize_t given = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  std::vector<PyObject*> with_self;
  with_self.push_back(handle);
  with_self.insert(with_self.end(), args, args + arg_count + given);
  PyObject* result =
      PyObject_Vectorcall(bound.type->init, with_self.data(), static_cast<size_t>(arg_count) + 1, keywords);
  if (result == nullptr) return false;
  Py_DECREF(result);
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
  PyView* view = view_for_writing(type->qualified_name(), "created");
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
  if (is_transaction && presence == Presence::kNotCovered) {  // D20: the answer would decide a write
    set_absent_error(presence, self);
    return nullptr;
  }
  return PyBool_FromLong(presence == Presence::kHere);
}

PyObject* handle_delete(PyObject* self, PyObject*) {
  DatabaseType* type = find_database_type(Py_TYPE(self));
  if (type == nullptr) return refuse_new(Py_TYPE(self), nullptr, nullptr);
  PyView* view = view_for_writing(type->qualified_name(), "deleted");
  if (view == nullptr) return nullptr;
  const BoundType* bound = bound_to(*view, *type);
  if (bound == nullptr) return nullptr;
  Kept kept(view);
  if (type->on_delete != nullptr) {
    Presence presence = view->transaction->exists(*bound->table, identity_of(self));
    if (presence != Presence::kHere) {
      set_absent_error(presence, self);
      return nullptr;
    }
    PyObject* result = PyObject_CallOneArg(type->on_delete, self);
    if (result == nullptr) return nullptr;
    Py_DECREF(result);
    if (view->transaction == nullptr) {
      set_error("ViewStateError", type->qualified_name() + ".__del__ has ended the transaction");
      return nullptr;
    }
  }
  Presence presence = view->transaction->erase(*bound->table, identity_of(self));
  if (presence == Presence::kHere) return check_size(*view->transaction) ? Py_NewRef(Py_None) : nullptr;
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

// ---- making types, called by schema.py

PyType_Slot stub_slots[] = {
    {Py_tp_new, guarded_slot<refuse_new>()}, {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)}, {0, nullptr}};

/// make_type(schema, name) -> an empty database type
PyObject* make_type(PyObject*, PyObject* args) {
  const char *schema, *name;
  if (!PyArg_ParseTuple(args, "ss", &schema, &name)) return nullptr;
  if (!is_valid_schema_name(schema) || !is_valid_name(name)) {
    set_error("SchemaError", std::string(schema) + "." + name + " is no name that a type can have");
    return nullptr;
  }
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
  info->type = reinterpret_cast<PyTypeObject*>(made);
  become_database_type(info->type);
  Py_INCREF(made);  // database types live for ever
  registry().emplace(info->type, std::move(info));
  return made;
}

bool check_name(PyObject* name, const DatabaseType& info) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(name, &size);
  if (utf8 == nullptr) return false;
  if (is_valid_name({utf8, static_cast<size_t>(size)})) return true;
  PyErr_Format(error_class("SchemaError"), "%s: no field or index can be named %R", info.qualified_name().c_str(),
               name);
  return false;
}

bool parse_field(PyObject* item, DatabaseType& info) {
  PyObject *name, *spec, *default_value;
  if (!PyArg_ParseTuple(item, "UOO", &name, &spec, &default_value) || !check_name(name, info)) return false;
  FieldSpec field{};
  field.name = Py_NewRef(name);
  PyUnicode_InternInPlace(&field.name);
  field.where = info.qualified_name() + "." + PyUnicode_AsUTF8(name);
  if (!parse_field_type(spec, field.type)) return false;
  bool has_default = PyTuple_Check(default_value);  // (value,), or None
  if (has_default) {
    field.default_value = Py_NewRef(PyTuple_GET_ITEM(default_value, 0));
    Bytes checked;
    if (!encode_value(field.default_value, field.type, nullptr, field.where + " (default)", checked)) return false;
  }
  info.fields.push_back(std::move(field));
  return true;
}

bool parse_index(PyObject* item, DatabaseType& info) {
  PyObject *name, *fields;
  if (!PyArg_ParseTuple(item, "UO!", &name, &PyTuple_Type, &fields) || !check_name(name, info)) return false;
  IndexSpec index{Py_NewRef(name), info.qualified_name() + "." + PyUnicode_AsUTF8(name), {}};
  PyUnicode_InternInPlace(&index.name);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
    size_t position = find_field(info, PyTuple_GET_ITEM(fields, i));
    if (position == info.fields.size()) {
      PyErr_Format(PyExc_ValueError, "index over an unknown field");  // schema.py has checked
      return false;
    }
    index.fields.push_back(position);
  }
  info.indexes.push_back(std::move(index));
  return true;
}

/// What every server refuses is said here, where the definition stands. False with an exception set.
bool check_definition(const DatabaseType& info) {
  std::string fault;
  if (info.fields.size() > limits::kFieldsPerTypeMax)
    fault = info.qualified_name() + " has more than " + std::to_string(limits::kFieldsPerTypeMax) + " fields";
  if (info.indexes.size() > limits::kIndexesPerTypeMax)
    fault = info.qualified_name() + " has more than " + std::to_string(limits::kIndexesPerTypeMax) + " indexes";
  for (const IndexSpec& index : info.indexes) {
    if (index.fields.size() > limits::kFieldsPerIndexMax)
      fault = index.where + " is an index over more than " + std::to_string(limits::kFieldsPerIndexMax) + " fields";
  }
  if (!fault.empty()) set_error("SchemaError", fault);
  return fault.empty();
}

template <class Parse>
bool parse_each(PyObject* items, DatabaseType& info, Parse&& parse) {
  PyObject* sequence = PySequence_Fast(items, "a sequence is expected");
  if (sequence == nullptr) return false;
  bool is_ok = true;
  for (Py_ssize_t i = 0; is_ok && i < PySequence_Fast_GET_SIZE(sequence); ++i)
    is_ok = parse(PySequence_Fast_GET_ITEM(sequence, i), info);
  Py_DECREF(sequence);
  return is_ok;
}

/// define_type(type, fields: [(name, spec, (default,) or None)], indexes: [(name, (field, ...))], init, on_delete)
/// Gives the type its fields and indexes, all or nothing; the caller has checked names and sets the other members.
PyObject* define_type(PyObject*, PyObject* args) {
  PyObject *type, *fields, *indexes, *init, *on_delete;
  if (!PyArg_ParseTuple(args, "O!OOOO", metaclass, &type, &fields, &indexes, &init, &on_delete)) return nullptr;
  DatabaseType* info = find_database_type(reinterpret_cast<PyTypeObject*>(type));
  if (info == nullptr || info->is_defined) {
    PyErr_Format(error_class("SchemaError"), "%R is not a database type that waits for its definition", type);
    return nullptr;
  }
  if (!parse_each(fields, *info, parse_field) || !parse_each(indexes, *info, parse_index) || !check_definition(*info)) {
    info->fields.clear();
    info->indexes.clear();
    return nullptr;
  }
  for (size_t i = 0; i < info->fields.size(); ++i) {
    PyObject* field = new_field(*info, i);
    bool is_set = field != nullptr && PyObject_SetAttr(type, info->fields[i].name, field) == 0;
    Py_XDECREF(field);
    if (!is_set) return nullptr;
  }
  if (init != Py_None) info->init = Py_NewRef(init);
  if (on_delete != Py_None) info->on_delete = Py_NewRef(on_delete);
  info->is_defined = true;
  Py_RETURN_NONE;
}

PyObject* is_schema_name(PyObject*, PyObject* name) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  PyErr_Clear();
  return PyBool_FromLong(utf8 != nullptr && is_valid_schema_name({utf8, static_cast<size_t>(size)}));
}

PyObject* is_database_type(PyObject*, PyObject* type) {
  bool is_one = PyType_Check(type) && find_database_type(reinterpret_cast<PyTypeObject*>(type)) != nullptr;
  return PyBool_FromLong(is_one);
}

PyMethodDef functions[] = {
    {"make_type", guarded_method<make_type>(), METH_VARARGS, "make_type(schema, name)\n--\n\nAn empty database type."},
    {"define_type", guarded_method<define_type>(), METH_VARARGS,
     "define_type(type, fields, indexes, init, on_delete)\n--\n\nGive a database type its fields and indexes."},
    {"is_schema_name", is_schema_name, METH_O, "is_schema_name(x)\n--\n\nWhether x is a str that can name a schema."},
    {"is_database_type", is_database_type, METH_O, "is_database_type(x)\n--\n\nWhether x is a type of a schema."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

DatabaseType* find_database_type(PyTypeObject* type) {
  auto found = registry().find(type);
  return found == registry().end() ? nullptr : found->second.get();
}

PyObject* new_handle(DatabaseType& type, ObjectId identity) {
  PyObject* handle = type.type->tp_alloc(type.type, 0);
  if (handle != nullptr) reinterpret_cast<Handle*>(handle)->identity = identity.value;
  return handle;
}

bool add_object_types(PyObject* module) {
  field_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&field_spec));
  object_base = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&base_spec));
  if (field_type == nullptr || object_base == nullptr) return false;
  PyObject* bases = PyTuple_Pack(1, &PyType_Type);
  if (bases == nullptr) return false;
  metaclass = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&metaclass_spec, bases));
  Py_DECREF(bases);
  if (metaclass == nullptr) return false;
  become_database_type(object_base);
  return PyModule_AddObjectRef(module, "Object", reinterpret_cast<PyObject*>(object_base)) == 0 &&
         PyModule_AddObjectRef(module, "DatabaseTypeMeta", reinterpret_cast<PyObject*>(metaclass)) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace odb
