#include "bindings/field.h"

#include <optional>

#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/guarded.h"
#include "bindings/notes.h"
#include "core/base/limits.h"

namespace odb {
namespace {

PyTypeObject* field_type = nullptr;

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

/// What is not plain: out of the cache, or decoded from a copy. Code of the program may run meanwhile and end the view,
/// or write the field.
PyObject* read_made(PyView& view, const BoundType& bound, ObjectId object, const FieldSpec& spec, BytesView value) {
  const Table& table = *bound.table;
  const Row* row = table.find(object, view.reading().version().step);
  FieldId field = bound.fields[static_cast<size_t>(&spec - bound.type->fields.data())];
  bool is_from_row = row != nullptr && table.value_of(*row, field).data() == value.data();  // not a transaction's own
  DecodedCache& cache = view.connection->decoded;
  if (is_from_row) {
    if (PyObject* read = cache.find(*spec.type, object, row->step)) return read;
  }
  Step step = is_from_row ? row->step : Step{0};
  Scratch copy;
  copy.bytes = value;
  bool is_shared = true;
  PyObject* read = decode_value(copy.bytes, *spec.type, *view.connection, spec.where, &is_shared);
  if (read != nullptr && is_from_row && is_shared) cache.put(*spec.type, object, step, read, copy.bytes.size());
  return read;
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
  Presence presence;
  std::optional<Kept> kept;
  if (view->transaction != nullptr) {
    presence = view->transaction->read(*bound->table, identity_of(handle), field, value);
  } else {
    presence = view->view->read(*bound->table, identity_of(handle), field, value);
    view->has_read = true;
  }
  PyObject* read = nullptr;
  if (presence == Presence::kHere) [[likely]] {
    const FieldSpec& spec = type->fields[position];
    if (spec.type->is_plain) [[likely]] {
      read = decode_value(value, *spec.type, *view->connection, spec.where);
    } else {
      kept.emplace(view);
      read = read_made(*view, *bound, identity_of(handle), spec, value);
    }
    if (view->notes == nullptr || read == nullptr) [[likely]]
      return read;
  }
  if (view->notes != nullptr && !note_mark(*view, *bound->table, identity_of(handle), field.value + 1, presence)) {
    Py_XDECREF(read);
    return nullptr;
  }
  if (read == nullptr) set_absent_error(presence, handle);
  return read;
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
  Kept kept(view);
  const BoundType* bound = bound_to(*view, *type);
  return bound != nullptr && write_field(*view, *bound, handle, position, value) ? 0 : -1;
}

PyObject* field_repr(PyObject* self) {
  auto* field = reinterpret_cast<Field*>(self);
  const FieldSpec& spec = field->owner->fields[field->position];
  return PyUnicode_FromFormat("<field %s: %s>", spec.where.c_str(), describe(*spec.type).c_str());
}

PyObject* field_doc(PyObject* self, void*) {
  auto* field = reinterpret_cast<Field*>(self);
  return PyUnicode_FromString(describe(*field->owner->fields[field->position].type).c_str());
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

}  // namespace

bool check_size(const Transaction& transaction) {
  if (transaction.written_bytes() <= limits::kTransactionBytesMax &&
      transaction.write_count() <= limits::kTransactionWritesMax) [[likely]]
    return true;
  set_error("TransactionTooLargeError", "a transaction writes at most " +
                                            std::to_string(limits::kTransactionBytesMax >> 20) + " MiB and " +
                                            std::to_string(limits::kTransactionWritesMax) + " objects; split this one");
  return false;
}

/// Converts into a buffer of this thread and hands the bytes to the transaction.
bool write_field(PyView& view, const BoundType& bound, PyObject* handle, size_t position, PyObject* value) {
  if (view.transaction == nullptr) [[unlikely]]  // a watcher of an earlier write has ended it
    return set_finished_error(), false;
  Scratch scratch;
  Bytes& encoded = scratch.bytes;
  const FieldSpec& spec = bound.type->fields[position];
  Encoded found;
  if (!encode_value(value, *spec.type, view.connection, spec.where, encoded, &found)) return false;
  if (view.transaction == nullptr) [[unlikely]]  // code of the program that the conversion ran has ended it
    return set_finished_error(), false;
  if (found.has_pickle && spec.is_indexed) return set_pickled_key_error(spec.where), false;
  if (encoded.size() > limits::kValueBytesMax) {
    set_error("TransactionTooLargeError",
              spec.where + ": a value of " + std::to_string(encoded.size()) + " bytes; a value may take " +
                  std::to_string(limits::kValueBytesMax >> 20) + " MiB, all values of an object " +
                  std::to_string(limits::kRowBytesMax >> 20) + " MiB together");
    return false;
  }
  uint32_t mark = bound.fields[position].value + 1;
  std::vector<Bytes> keys_before;
  if (view.notes != nullptr) [[unlikely]]
    keys_before = keys_for_note(view, *bound.table, identity_of(handle), mark);
  Presence presence = view.transaction->write(*bound.table, identity_of(handle), bound.fields[position], encoded);
  if (presence == Presence::kHere) [[likely]]
    return check_size(*view.transaction) &&
           (view.notes == nullptr || note_write(view, *bound.table, identity_of(handle), mark, keys_before));
  set_absent_error(presence, handle);
  return false;
}

PyObject* new_field(DatabaseType& owner, size_t position) {
  auto* field = PyObject_New(Field, field_type);
  if (field == nullptr) return nullptr;
  field->owner = &owner;
  field->position = position;
  return reinterpret_cast<PyObject*>(field);
}

bool make_field_type() {
  field_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&field_spec));
  return field_type != nullptr;
}

}  // namespace odb
