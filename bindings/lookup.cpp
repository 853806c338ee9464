#include "bindings/lookup.h"

#include "bindings/convert.h"
#include "bindings/current.h"
#include "bindings/errors.h"
#include "bindings/notes.h"
#include "bindings/object_type.h"

namespace odb {
namespace {

struct Lookup {
  DatabaseType* type = nullptr;
  PyView* view = nullptr;
  const BoundType* bound = nullptr;
  const IndexSpec* index = nullptr;  // nullptr: all objects of the type
  IndexId index_number;
  bool is_strict = false;  // of a view's query: the answer is complete or an error (D20)
};

/// D20: with no subscription at all every lookup is an error; an incomplete one is in a transaction, where its answer
/// would decide a write. `key`: of the lookup; nullptr for all objects of the type.
bool check_coverage(const Lookup& lookup, const Bytes* key) {
  const View& view = lookup.view->reading();
  const Table& table = *lookup.bound->table;
  bool must_be_complete = lookup.is_strict || lookup.view->transaction != nullptr;
  if (must_be_complete ? view.is_complete(table) : table.is_joined()) [[likely]]
    return true;
  if (key != nullptr && view.covers_key(table, lookup.index_number, *key)) return true;
  bool is_early = table.is_complete() || (key != nullptr && table.covers_key(lookup.index_number, *key, kLatest));
  set_error("NotSubscribedError",
            "lookups in " + lookup.type->qualified_name() +
                (is_early ? " need a view that is opened after the subscription was complete"
                          : " need a subscription to the type or to the index key; call subscribeToType, "
                            "subscribeToSchema or subscribeToIndex first"));
  return false;
}

bool begin_lookup(PyObject* cls, Py_ssize_t count, PyObject* keywords, Lookup& lookup) {
  if (!PyType_Check(cls)) {
    PyErr_Format(error_class("SchemaError"), "%R is not a type of a schema", cls);
    return false;
  }
  lookup.type = find_database_type(reinterpret_cast<PyTypeObject*>(cls));
  if (lookup.type == nullptr) {
    PyErr_Format(error_class("SchemaError"), "%R is not a type of a schema", cls);
    return false;
  }
  Py_ssize_t given = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  if (count > 0 || given > 1) {
    PyErr_Format(error_class("LookupTypeError"), "lookups in %s take one index, as a keyword",
                 lookup.type->qualified_name().c_str());
    return false;
  }
  lookup.view = view_for_reading(lookup.type->shown_name, "looked up");
  if (lookup.view == nullptr) return false;
  lookup.bound = bound_to(*lookup.view, *lookup.type);
  if (lookup.bound == nullptr) return false;
  if (given == 1) {
    lookup.index = find_index(*lookup.type, PyTuple_GET_ITEM(keywords, 0));
    if (lookup.index == nullptr) return false;
    lookup.index_number = lookup.bound->indexes[static_cast<size_t>(lookup.index - lookup.type->indexes.data())];
  }
  return true;
}

/// Calls f(V value) for each part of an index's value; composite indexes take a tuple. False with an exception set.
template <class F>
bool each_part(const DatabaseType& type, const IndexSpec& index, const Connection& connection, PyObject* value, F&& f) {
  Scratch scratch;
  auto take_part = [&](size_t position, PyObject* part) {
    scratch.bytes.clear();
    const FieldSpec& field = type.fields[position];
    Encoded found;
    if (!encode_value(part, *field.type, &connection, field.where, scratch.bytes, &found)) return false;
    if (found.has_pickle) return set_pickled_key_error(field.where), false;
    f(scratch.bytes);
    return true;
  };
  if (index.fields.size() == 1) return take_part(index.fields[0], value);
  if (!PyTuple_Check(value) || static_cast<size_t>(PyTuple_GET_SIZE(value)) != index.fields.size()) {
    PyErr_Format(error_class("ValueTypeError"),
                 "%s is an index over %zd fields: look it up with a tuple of so many values", index.where.c_str(),
                 index.fields.size());
    return false;
  }
  for (size_t i = 0; i < index.fields.size(); ++i) {
    if (!take_part(index.fields[i], PyTuple_GET_ITEM(value, static_cast<Py_ssize_t>(i)))) return false;
  }
  return true;
}

/// The K form of a lookup's value; false with an exception set.
bool append_lookup_key(const Lookup& lookup, PyObject* value, Bytes& key) {
  return each_part(*lookup.type, *lookup.index, *lookup.view->connection, value,
                   [&key](BytesView part) { append_key(key, part); });
}

/// The key looked up, empty for all objects; false with an exception set, also when the answer would not be complete.
bool begin_answer(const Lookup& lookup, PyObject* const* args, Bytes& key) {
  key.clear();
  if (lookup.index == nullptr) return check_coverage(lookup, nullptr);
  if (!lookup.bound->table->is_indexed_at(lookup.index_number, lookup.view->reading().version().step)) {
    set_error("NotSubscribedError", lookup.index->where + " answers for views that are opened from now on");
    return false;
  }
  Kept kept(lookup.view);
  if (!append_lookup_key(lookup, args[0], key)) return false;
  if (lookup.view->state == PyView::State::kOpen) return check_coverage(lookup, &key);
  set_finished_error();  // by code of the program that the conversion ran
  return false;
}

/// Notes a lookup where that is wanted. Watchers may look up as well, and may end the view.
bool note(const Lookup& lookup, const Bytes& key) {
  lookup.view->has_read = true;
  if (lookup.view->notes == nullptr) [[likely]]
    return true;
  std::optional<IndexId> index;
  if (lookup.index != nullptr) index = lookup.index_number;
  return note_lookup(*lookup.view, *lookup.bound->table, index, Bytes(key));
}

/// The identities found, at most `limit`; false with an exception set.
bool find(const Lookup& lookup, PyObject* const* args, size_t limit, std::vector<ObjectId>& found) {
  Scratch scratch;
  Bytes& key = scratch.bytes;
  if (!begin_answer(lookup, args, key)) return false;
  found.clear();  // by now: what the conversion of the value ran may have looked up, too
  const Table& table = *lookup.bound->table;
  Transaction* transaction = lookup.view->transaction.get();
  if (lookup.index == nullptr) {
    transaction != nullptr ? transaction->lookup_type(table, limit, found)
                           : lookup.view->view->lookup_type(table, limit, found);
  } else {
    transaction != nullptr ? transaction->lookup(table, lookup.index_number, key, limit, found)
                           : lookup.view->view->lookup(table, lookup.index_number, key, limit, found);
  }
  if (lookup.view->notes == nullptr) [[likely]]
    return lookup.view->has_read = true;
  std::vector<ObjectId> own = std::move(found);
  bool is_ok = note(lookup, key);
  found = std::move(own);
  return is_ok;
}

/// How many, and the last one; false with an exception set.
bool summarize(const Lookup& lookup, PyObject* const* args, View::Summary& summary) {
  Scratch scratch;
  Bytes& key = scratch.bytes;
  if (!begin_answer(lookup, args, key)) return false;
  const Table& table = *lookup.bound->table;
  Transaction* transaction = lookup.view->transaction.get();
  if (lookup.index == nullptr) {
    summary = transaction != nullptr ? transaction->summary_of_type(table) : lookup.view->view->summary_of_type(table);
  } else {
    summary = transaction != nullptr ? transaction->summary(table, lookup.index_number, key)
                                     : lookup.view->view->summary(table, lookup.index_number, key);
  }
  return note(lookup, key);
}

/// A tuple of handles.
PyObject* new_handles(DatabaseType& type, const std::vector<ObjectId>& found) {
  PyObject* objects = PyTuple_New(static_cast<Py_ssize_t>(found.size()));
  if (objects == nullptr) return nullptr;
  for (size_t i = 0; i < found.size(); ++i) {
    PyObject* handle = new_handle(type, found[i]);
    if (handle == nullptr) {
      Py_DECREF(objects);
      return nullptr;
    }
    PyTuple_SET_ITEM(objects, static_cast<Py_ssize_t>(i), handle);
  }
  PyObject_GC_UnTrack(objects);  // handles refer to nothing: a million of them need no visits of the collector
  return objects;
}

/// At most `limit` of the objects looked up; false with an exception set.
bool find_few(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords, size_t limit, Lookup& lookup,
              std::vector<ObjectId>& found) {
  found.clear();
  return begin_lookup(cls, count, keywords, lookup) && find(lookup, args, limit, found);
}

}  // namespace

const IndexSpec* find_index(const DatabaseType& type, PyObject* keyword) {
  for (const IndexSpec& index : type.indexes) {
    if (index.name == keyword || PyUnicode_Compare(index.name, keyword) == 0) return &index;
  }
  std::string known;
  for (const IndexSpec& index : type.indexes)
    known += (known.empty() ? "" : ", ") + std::string(PyUnicode_AsUTF8(index.name));
  PyErr_Format(error_class("LookupTypeError"), "%s has no index named %R; its indexes: %s",
               type.qualified_name().c_str(), keyword, known.empty() ? "none" : known.c_str());
  return nullptr;
}

bool append_index_values(const DatabaseType& type, const IndexSpec& index, const Connection& connection,
                         PyObject* value, Bytes& values) {
  return each_part(type, index, connection, value, [&values](BytesView part) { values.append(part); });
}

PyObject* lookup_all(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  std::vector<ObjectId> found;
  if (!find_few(cls, args, count, keywords, SIZE_MAX, lookup, found)) return nullptr;
  return new_handles(*lookup.type, found);
}

PyObject* lookup_any(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  thread_local std::vector<ObjectId> found;
  if (!find_few(cls, args, count, keywords, 1, lookup, found)) return nullptr;
  if (found.empty()) Py_RETURN_NONE;
  return new_handle(*lookup.type, found[0]);
}

PyObject* lookup_one(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  thread_local std::vector<ObjectId> found;
  if (!find_few(cls, args, count, keywords, 1, lookup, found)) return nullptr;
  if (!found.empty()) return new_handle(*lookup.type, found[0]);
  std::string type = lookup.type->qualified_name();
  if (lookup.index == nullptr) {
    set_error("LookupTypeError", "there are no " + type + " objects in this view");
  } else {
    PyErr_Format(error_class("LookupTypeError"), "there is no %s with %U=%R in this view", type.c_str(),
                 lookup.index->name, args[0]);
  }
  return nullptr;
}

PyObject* lookup_unique(PyObject* cls, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  thread_local std::vector<ObjectId> found;
  if (!find_few(cls, args, count, keywords, 2, lookup, found)) return nullptr;
  if (found.empty()) Py_RETURN_NONE;
  if (found.size() == 1) return new_handle(*lookup.type, found[0]);
  set_error("LookupTypeError",
            "several " + lookup.type->qualified_name() + " objects were found where one was expected");
  return nullptr;
}

// ---- queries of a view

namespace {

/// v.name(T, **index): the type is the one positional argument. False with an exception set.
bool begin_query(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords, Lookup& lookup) {
  if (count != 1) {
    PyErr_Format(error_class("LookupTypeError"),
                 "a query takes a type, and at most one index as a keyword: view.get(Order, number=1)");
    return false;
  }
  lookup.is_strict = true;
  if (!begin_lookup(args[0], 0, keywords, lookup)) return false;
  if (reinterpret_cast<PyObject*>(lookup.view) == view) return true;
  set_error("ViewStateError", "this view is not the one that is open in this thread and task");
  return false;
}

/// At most `limit` of the objects; false with an exception set.
bool query_few(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords, size_t limit,
               Lookup& lookup, std::vector<ObjectId>& found) {
  found.clear();
  return begin_query(view, args, count, keywords, lookup) && find(lookup, args + 1, limit, found);
}

/// The one object that was expected; nullptr with LookupTypeError set when there are more.
PyObject* only(const Lookup& lookup, const std::vector<ObjectId>& found, PyObject* const* args) {
  if (found.size() == 1) return new_handle(*lookup.type, found[0]);
  const char* how_many = found.empty() ? "no" : "more than one";
  if (lookup.index == nullptr) {
    PyErr_Format(error_class("LookupTypeError"), "there is %s %s in this view", how_many,
                 lookup.type->qualified_name().c_str());
  } else {
    PyErr_Format(error_class("LookupTypeError"), "there is %s %s with %U=%R in this view", how_many,
                 lookup.type->qualified_name().c_str(), lookup.index->name, args[1]);
  }
  return nullptr;
}

}  // namespace

PyObject* query_get(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  std::vector<ObjectId> found;
  if (!query_few(view, args, count, keywords, 2, lookup, found)) return nullptr;
  return only(lookup, found, args);
}

PyObject* query_find(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  std::vector<ObjectId> found;
  if (!query_few(view, args, count, keywords, 2, lookup, found)) return nullptr;
  if (found.empty()) Py_RETURN_NONE;
  return only(lookup, found, args);
}

PyObject* query_all(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  std::vector<ObjectId> found;
  if (!query_few(view, args, count, keywords, SIZE_MAX, lookup, found)) return nullptr;
  return new_handles(*lookup.type, found);
}

PyObject* query_first(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  std::vector<ObjectId> found;
  if (!query_few(view, args, count, keywords, 1, lookup, found)) return nullptr;
  if (found.empty()) Py_RETURN_NONE;
  return new_handle(*lookup.type, found[0]);
}

PyObject* query_last(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  View::Summary summary;
  if (!begin_query(view, args, count, keywords, lookup) || !summarize(lookup, args + 1, summary)) return nullptr;
  if (summary.count == 0) Py_RETURN_NONE;
  return new_handle(*lookup.type, summary.last);
}

PyObject* query_count(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  View::Summary summary;
  if (!begin_query(view, args, count, keywords, lookup) || !summarize(lookup, args + 1, summary)) return nullptr;
  return PyLong_FromSize_t(summary.count);
}

PyObject* query_covers(PyObject* view, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  Lookup lookup;
  Bytes key;
  PyObject* not_subscribed = error_class("NotSubscribedError");  // now: nothing is imported while an exception is set
  if (not_subscribed == nullptr || !begin_query(view, args, count, keywords, lookup)) return nullptr;
  if (begin_answer(lookup, args + 1, key)) Py_RETURN_TRUE;
  if (!PyErr_ExceptionMatches(not_subscribed)) return nullptr;
  PyErr_Clear();
  Py_RETURN_FALSE;
}

}  // namespace odb
