#include "bindings/notes.h"

#include <algorithm>

#include "bindings/current.h"
#include "bindings/errors.h"
#include "bindings/gil.h"

namespace odb {
namespace {

constexpr uint64_t kExistenceNumber = 0xffff, kIndexBit = 0x8000;

PyView* as_view(PyObject* self) { return reinterpret_cast<PyView*>(self); }

/// A NamedTuple of its items, which are in a tuple in a tuple that is stolen. Runs no Python code, unlike the class when
/// it is called: there may be a million of them, and see told() in events.cpp.
PyObject* new_named(PyObject* type, PyObject* items) {
  if (items == nullptr) return nullptr;
  PyObject* made = PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(type), items, nullptr);
  Py_DECREF(items);
  return made;
}

/// Calls every watcher with (event, number, argument); steals the argument.
bool tell(PyView& view, const char* event, uint64_t number, PyObject* argument) {
  if (argument == nullptr) return false;
  Kept kept(&view);
  PyObject* watchers = view.notes == nullptr ? nullptr : view.notes->watchers;
  bool is_ok = true;
  if (watchers != nullptr) {
    Py_INCREF(watchers);  // a watcher may add others
    for (Py_ssize_t i = 0; is_ok && i < PyTuple_GET_SIZE(watchers); ++i) {
      PyObject* watcher = PyTuple_GET_ITEM(watchers, i);
      PyObject* result = run_python([&] {
        return PyObject_CallFunction(watcher, "sKO", event, static_cast<unsigned long long>(number), argument);
      });
      if (result != nullptr) {
        Py_DECREF(result);
      } else if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_WriteUnraisable(watcher);
      } else {
        is_ok = false;
      }
    }
    Py_DECREF(watchers);
  }
  Py_DECREF(argument);
  return is_ok;
}

bool has_watchers(const PyView& view) { return view.notes != nullptr && view.notes->watchers != nullptr; }

PyObject* new_object_id(ObjectId object) { return PyLong_FromLongLong(object.value); }

/// The reads that were noted; nullptr with an exception set.
const ReadSet* noted_reads(PyView& view) {
  if (view.transaction != nullptr) return &view.transaction->reads();
  if (view.is_transaction() || (!view.view && view.notes == nullptr && view.has_read)) {
    set_finished_error();
    return nullptr;
  }
  if (start_notes(view).is_partial) {
    set_error("ViewStateError",
              "this view did not note what it read: read-only views do so inside of a ViewWatcher, or from the first "
              "getFieldReads(), markFieldRead() or addViewWatcher() on, which here came after the first read");
    return nullptr;
  }
  return &view.notes->reads;
}

/// Where marks go; nullptr with an exception set.
ReadSet* reads_for_mark(PyView& view) {
  if (view.state == PyView::State::kDone) {
    set_finished_error();
    return nullptr;
  }
  return view.transaction != nullptr ? &view.transaction->reads() : &start_notes(view).reads;
}

bool append(PyObject* list, PyObject* item) {
  bool is_ok = item != nullptr && PyList_Append(list, item) == 0;
  Py_XDECREF(item);
  return is_ok;
}

/// The table that a field's or index's number belongs to; nullptr with an exception set.
const Table* table_of_number(const PyView& view, uint64_t number) {
  uint64_t type = number >> 16;
  DatabaseType* found = type > UINT32_MAX ? nullptr : view.connection->type_of(TypeId{static_cast<uint32_t>(type)});
  if (found != nullptr) return view.connection->bound(*found)->table;
  set_error("ValueTypeError", std::to_string(number) + " is no field's or index's number on this connection");
  return nullptr;
}

bool parse_number(PyObject* argument, uint64_t& number) {
  number = PyLong_AsUnsignedLongLong(argument);
  if (number != static_cast<uint64_t>(-1) || !PyErr_Occurred()) return true;
  PyErr_Clear();
  set_error("ValueTypeError", "fields and indexes are named by their number, an int");
  return false;
}

bool check_count(Py_ssize_t count, const char* signature) {
  if (count == 2) return true;
  PyErr_Format(PyExc_TypeError, "%s takes 2 arguments; %zd were given", signature, count);
  return false;
}

}  // namespace

// ---- numbers

uint64_t number_of_mark(TypeId type, uint32_t mark) {
  return uint64_t{type.value} << 16 | (mark == 0 ? kExistenceNumber : mark - 1);
}

uint64_t number_of_index(const TypeLayout& layout, IndexId index) {
  uint64_t type = uint64_t{layout.id.value} << 16;
  if (index.value < layout.indexes.size()) {
    const IndexLayout& found = layout.indexes[index.value];
    if (found.fields.size() == 1 && layout.fields[found.fields[0].value].name == found.name)
      return type | found.fields[0].value;
  }
  return type | kIndexBit | index.value;
}

BytesView key_of_type_set() {
  static const char kTrue = static_cast<char>(kind::kTrue);
  return {&kTrue, 1};
}

// ---- noting

Notes& start_notes(PyView& view) {
  if (view.notes == nullptr) {
    view.notes = std::make_unique<Notes>();
    view.notes->is_partial = view.has_read;
  }
  return *view.notes;
}

bool note_mark(PyView& view, const Table& table, ObjectId object, uint32_t mark, Presence presence) {
  TypeId type = table.id();
  if (presence == Presence::kNotCovered) return true;
  bool is_here = presence == Presence::kHere;
  if (view.transaction == nullptr) {
    ReadSet& reads = view.notes->reads;
    if (!is_here) {
      reads.add_type(type);
    } else if (mark == 0) {
      reads.add_existence(type, object);
    } else {
      reads.add_field(type, object, FieldId{mark - 1});
    }
  }
  if (!has_watchers(view)) return true;
  if (!is_here) return tell(view, "indexRead", number_of_type_set(type), new_bytes(key_of_type_set()));
  return tell(view, "fieldRead", number_of_mark(type, mark), new_object_id(object));
}

bool note_lookup(PyView& view, const Table& table, std::optional<IndexId> index, BytesView key) {
  if (view.transaction == nullptr) {
    ReadSet& reads = view.notes->reads;
    index ? reads.add_index_key(table.id(), *index, key) : reads.add_type(table.id());
  }
  if (!has_watchers(view)) return true;
  uint64_t number = index ? number_of_index(table.layout(), *index) : number_of_type_set(table.id());
  return tell(view, "indexRead", number, new_bytes(index ? key : key_of_type_set()));
}

std::vector<Bytes> keys_for_note(const PyView& view, const Table& table, ObjectId object, uint32_t mark) {
  std::vector<Bytes> keys;
  if (!has_watchers(view) || view.transaction == nullptr) return keys;
  const std::vector<IndexLayout>& indexes = table.layout().indexes;
  for (uint32_t i = 0; i < indexes.size(); ++i) {
    bool is_part = mark == 0 || std::ranges::find(indexes[i].fields, FieldId{mark - 1}) != indexes[i].fields.end();
    keys.push_back(is_part ? view.transaction->key_of(table, object, IndexId{i}) : Bytes());
  }
  return keys;
}

bool note_write(PyView& view, const Table& table, ObjectId object, uint32_t mark,
                const std::vector<Bytes>& keys_before) {
  if (!has_watchers(view)) return true;
  std::vector<Bytes> keys = keys_for_note(view, table, object, mark);
  TypeId type = table.id();
  Kept kept(&view);
  if (!tell(view, "fieldWritten", number_of_mark(type, mark), new_object_id(object))) return false;
  if (mark == 0 && !tell(view, "indexWritten", number_of_type_set(type), new_bytes(key_of_type_set()))) return false;
  for (uint32_t i = 0; i < keys.size(); ++i) {
    const Bytes before = i < keys_before.size() ? keys_before[i] : Bytes();
    if (before == keys[i]) continue;
    for (const Bytes& key : {before, keys[i]}) {
      if (!key.empty() && !tell(view, "indexWritten", number_of_index(table.layout(), IndexId{i}), new_bytes(key)))
        return false;
    }
  }
  return true;
}

void set_finished_error() {
  set_error("ViewStateError",
            "this view or transaction is finished; make a new one with db.view() or db.transaction()");
}

// ---- Python objects

PyObject* new_bytes(BytesView bytes) {
  return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
}

PyObject* new_object_field_id(ObjectId object, uint64_t number) {
  PyObject* type = member_of("object_database.schema", "ObjectFieldId");
  if (type == nullptr) return nullptr;
  return new_named(type, Py_BuildValue("((LKO))", static_cast<long long>(object.value),
                                       static_cast<unsigned long long>(number), Py_False));
}

PyObject* new_index_id(uint64_t number, BytesView key) {
  PyObject* type = member_of("object_database.schema", "IndexId");
  if (type == nullptr) return nullptr;
  PyObject* value = new_bytes(key);
  if (value == nullptr) return nullptr;
  return new_named(type, Py_BuildValue("((KN))", static_cast<unsigned long long>(number), value));
}

// ---- methods of View

PyObject* get_field_reads(PyObject* self, PyObject*) {
  PyView& view = *as_view(self);
  const ReadSet* reads = noted_reads(view);
  if (reads == nullptr) return nullptr;
  std::vector<std::pair<ObjectId, uint64_t>> keys;  // first gathered: making objects may run code of the program
  reads->each_mark(
      [&](TypeId type, ObjectId object, uint32_t mark) { keys.emplace_back(object, number_of_mark(type, mark)); });
  PyObject* list = PyList_New(0);
  for (auto [object, number] : keys) {
    if (list != nullptr && !append(list, new_object_field_id(object, number))) Py_CLEAR(list);
  }
  return list;
}

PyObject* get_index_reads(PyObject* self, PyObject*) {
  PyView& view = *as_view(self);
  const ReadSet* reads = noted_reads(view);
  if (reads == nullptr) return nullptr;
  std::vector<std::pair<uint64_t, Bytes>> keys;
  reads->each_type([&](TypeId type) { keys.emplace_back(number_of_type_set(type), key_of_type_set()); });
  reads->each_index_key([&](const IndexKey& read) {
    const Table* table = table_of_number(view, uint64_t{read.type.value} << 16);
    if (table != nullptr) keys.emplace_back(number_of_index(table->layout(), read.index), read.key);
  });
  if (PyErr_Occurred()) return nullptr;
  PyObject* list = PyList_New(0);
  for (const auto& [number, key] : keys) {
    if (list != nullptr && !append(list, new_index_id(number, key))) Py_CLEAR(list);
  }
  return list;
}

PyObject* get_field_writes(PyObject* self, PyObject*) {
  PyView& view = *as_view(self);
  if (view.is_transaction() && view.transaction == nullptr) return set_finished_error(), nullptr;
  using State = WriteSet::State;
  struct Written {
    ObjectId object;
    uint64_t number;
    std::optional<Bytes> value;
  };
  std::vector<Written> written;
  if (view.transaction != nullptr) {
    const WriteSet& writes = view.transaction->writes();
    writes.each([&](const Table& table, ObjectId object, State state) {
      auto add = [&](uint32_t mark, std::optional<Bytes> value) {
        written.push_back({object, number_of_mark(table.id(), mark), std::move(value)});
      };
      if (state == State::kDeleted) add(0, std::nullopt);
      if (state == State::kCreated) add(0, Bytes(key_of_type_set()));
      for (uint32_t field = 0; field < table.layout().fields.size(); ++field) {
        BytesView value = writes.value(object, FieldId{field});
        if (state == State::kDeleted) {
          add(field + 1, std::nullopt);
        } else if (!value.empty()) {
          add(field + 1, Bytes(value));
        }
      }
    });
  }
  PyObject* dict = PyDict_New();
  for (const Written& each : written) {
    if (dict == nullptr) break;
    PyObject* key = new_object_field_id(each.object, each.number);
    PyObject* value = each.value ? new_bytes(*each.value) : Py_NewRef(Py_None);
    bool is_ok = key != nullptr && value != nullptr && PyDict_SetItem(dict, key, value) == 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    if (!is_ok) Py_CLEAR(dict);
  }
  return dict;
}

PyObject* get_index_writes(PyObject* self, PyObject*) {
  PyView& view = *as_view(self);
  if (view.is_transaction() && view.transaction == nullptr) return set_finished_error(), nullptr;
  using State = WriteSet::State;
  std::vector<std::pair<uint64_t, Bytes>> keys;
  if (view.transaction != nullptr) {
    const Transaction& transaction = *view.transaction;
    Step step = transaction.version().step;
    transaction.writes().each([&](const Table& table, ObjectId object, State state) {
      if (state != State::kUpdated) keys.emplace_back(number_of_type_set(table.id()), key_of_type_set());
      const Row* row = table.find(object, step);
      for (uint32_t i = 0; i < table.layout().indexes.size(); ++i) {
        Bytes before;
        if (row != nullptr) table.append_index_key(before, IndexId{i}, *row);
        Bytes after = transaction.key_of(table, object, IndexId{i});
        if (before == after) continue;
        uint64_t number = number_of_index(table.layout(), IndexId{i});
        for (Bytes* key : {&before, &after}) {
          if (!key->empty()) keys.emplace_back(number, std::move(*key));
        }
      }
    });
  }
  PyObject* set = PySet_New(nullptr);
  for (const auto& [number, key] : keys) {
    if (set == nullptr) break;
    PyObject* item = new_index_id(number, key);
    bool is_ok = item != nullptr && PySet_Add(set, item) == 0;
    Py_XDECREF(item);
    if (!is_ok) Py_CLEAR(set);
  }
  return set;
}

PyObject* mark_field_read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  PyView& view = *as_view(self);
  uint64_t number;
  if (!check_count(count, "markFieldRead(field_id, oid)") || !parse_number(args[0], number)) return nullptr;
  long long object = PyLong_AsLongLong(args[1]);
  if (object == -1 && PyErr_Occurred()) return nullptr;
  const Table* table = table_of_number(view, number);
  if (table == nullptr) return nullptr;
  uint64_t field = number & 0xffff;
  bool is_existence = field == kExistenceNumber;
  if (object <= 0 || (!is_existence && field >= table->layout().fields.size())) {
    set_error("ValueTypeError", object <= 0
                                    ? "an object's identity is above 0"
                                    : std::to_string(number) + " is no field of " + table->layout().qualified_name());
    return nullptr;
  }
  ReadSet* reads = reads_for_mark(view);
  if (reads == nullptr) return nullptr;
  if (is_existence) {
    reads->add_existence(table->id(), ObjectId{object});
  } else {
    reads->add_field(table->id(), ObjectId{object}, FieldId{static_cast<uint32_t>(field)});
  }
  bool is_ok = !has_watchers(view) || tell(view, "fieldRead", number, new_object_id(ObjectId{object}));
  return is_ok ? Py_NewRef(Py_None) : nullptr;
}

PyObject* mark_index_read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  PyView& view = *as_view(self);
  uint64_t number;
  if (!check_count(count, "markIndexRead(field_id, indexValue)") || !parse_number(args[0], number)) return nullptr;
  if (!PyBytes_Check(args[1]) || PyBytes_GET_SIZE(args[1]) == 0) {
    set_error("ValueTypeError", "an index value is bytes, as in IndexId.indexValue");
    return nullptr;
  }
  Bytes key(PyBytes_AS_STRING(args[1]), static_cast<size_t>(PyBytes_GET_SIZE(args[1])));
  const Table* table = table_of_number(view, number);
  if (table == nullptr) return nullptr;
  std::optional<IndexId> index;
  if (number != number_of_type_set(table->id())) {
    const TypeLayout& layout = table->layout();
    for (uint32_t i = 0; i < layout.indexes.size() && !index; ++i) {
      if (number_of_index(layout, IndexId{i}) == number) index = IndexId{i};
    }
    if (!index) {
      set_error("ValueTypeError", std::to_string(number) + " is no index of " + layout.qualified_name());
      return nullptr;
    }
  }
  ReadSet* reads = reads_for_mark(view);
  if (reads == nullptr) return nullptr;
  index ? reads->add_index_key(table->id(), *index, key) : reads->add_type(table->id());
  bool is_ok = !has_watchers(view) || tell(view, "indexRead", number, new_bytes(key));
  return is_ok ? Py_NewRef(Py_None) : nullptr;
}

PyObject* add_view_watcher(PyObject* self, PyObject* callback) {
  PyView& view = *as_view(self);
  if (!PyCallable_Check(callback)) {
    set_error("ValueTypeError", "a watcher is a function of (event, field id, identity or index value)");
    return nullptr;
  }
  if (view.state == PyView::State::kDone) return set_finished_error(), nullptr;
  Notes& notes = start_notes(view);
  PyObject* added = PyTuple_Pack(1, callback);
  if (added == nullptr) return nullptr;
  PyObject* all = notes.watchers == nullptr ? Py_NewRef(added) : PySequence_Concat(notes.watchers, added);
  Py_DECREF(added);
  if (all == nullptr) return nullptr;
  Py_XSETREF(notes.watchers, all);
  Py_RETURN_NONE;
}

}  // namespace odb
