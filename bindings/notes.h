/// What a view read and wrote, as its program can ask for it and be told of it.
///
/// A transaction knows its reads, for they are what it conflicts on. A read-only view notes its reads only when somebody
/// wants them: from its entering on inside of a ViewWatcher, else from the first getFieldReads(), getIndexReads(), mark
/// or addViewWatcher(). Asking for reads that were not noted is an error, never an empty answer.
///
/// Numbers: a field is type << 16 | field; the existence of objects and the set of a type's objects type << 16 | 0xffff;
/// an index over the one field of its name has the field's number, others type << 16 | 0x8000 | index.
/// Watchers are code of the program, which may end the view: nothing of it is held while they run.
#pragma once

#include <Python.h>

#include "bindings/view.h"

namespace odb {

/// Python's numbers of things; a mark is 0 for existence, f + 1 for field f.
uint64_t number_of_mark(TypeId type, uint32_t mark);
uint64_t number_of_index(const TypeLayout& layout, IndexId index);
inline uint64_t number_of_type_set(TypeId type) { return number_of_mark(type, 0); }
/// The key under which all objects of a type are looked up: True.
BytesView key_of_type_set();

/// The view notes and tells from now on.
Notes& start_notes(PyView& view);

// To be called where view.notes is set, after the thing itself. False with an exception set that has to go on: what
// watchers raise is printed, but for exceptions that are no Exception, as KeyboardInterrupt.
bool note_mark(PyView& view, const Table& table, ObjectId object, uint32_t mark, Presence presence);
bool note_lookup(PyView& view, const Table& table, std::optional<IndexId> index, BytesView key);
/// `mark` was written, or created or deleted; the object had these index keys before.
bool note_write(PyView& view, const Table& table, ObjectId object, uint32_t mark,
                const std::vector<Bytes>& keys_before);
/// The object's keys in every index that the mark is part of (0: all), for note_write; empty without watchers.
std::vector<Bytes> keys_for_note(const PyView& view, const Table& table, ObjectId object, uint32_t mark);

/// Sets what says that nothing can be asked of this view any more.
void set_finished_error();

// Methods of View.
PyObject* get_field_reads(PyObject* self, PyObject*);
PyObject* get_field_writes(PyObject* self, PyObject*);
PyObject* get_index_reads(PyObject* self, PyObject*);
PyObject* get_index_writes(PyObject* self, PyObject*);
PyObject* mark_field_read(PyObject* self, PyObject* const* args, Py_ssize_t count);
PyObject* mark_index_read(PyObject* self, PyObject* const* args, Py_ssize_t count);
PyObject* add_view_watcher(PyObject* self, PyObject* callback);

/// object_database.schema.ObjectFieldId(...) and IndexId(...); nullptr with an exception set.
PyObject* new_object_field_id(ObjectId object, uint64_t number);
PyObject* new_index_id(uint64_t number, BytesView key);
PyObject* new_bytes(BytesView bytes);

}  // namespace odb
