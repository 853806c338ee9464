/// Values that were decoded from rows of a connection's store, so that reading one twice costs a look (D9).
///
/// An entry is found by what it was decoded from: the field's type (which is one field of one Python class), the object
/// and the step of its row. So it is right for as long as it is there. Each key has one place, and the newest takes it. Objects
/// that were made one after the other have places one after the other, so that going over 10,000 of them again finds them all.
/// Only values that nobody can change are kept, never what a transaction wrote itself. The GIL guards it.
#pragma once

#include <Python.h>

#include <memory>

#include "bindings/field_type.h"
#include "core/base/ids.h"

namespace odb {

class DecodedCache {
 public:
  DecodedCache() = default;
  DecodedCache(const DecodedCache&) = delete;
  DecodedCache& operator=(const DecodedCache&) = delete;
  ~DecodedCache() { clear(); }

  /// A new reference; nullptr without an exception when it is not here.
  PyObject* find(const FieldType& type, ObjectId object, Step step) const {
    if (entries_ == nullptr) return nullptr;
    const Entry& entry = entries_[place_of(type, object)];
    return entry.type == &type && entry.object == object && entry.step == step ? Py_NewRef(entry.value) : nullptr;
  }
  /// `bytes`: of the stored value.
  void put(const FieldType& type, ObjectId object, Step step, PyObject* value, size_t bytes);
  void clear();

 private:
  struct Entry {
    const FieldType* type = nullptr;
    ObjectId object;
    Step step;
    PyObject* value = nullptr;
    size_t bytes = 0;
  };
  static size_t place_of(const FieldType& type, ObjectId object);

  std::unique_ptr<Entry[]> entries_;
  size_t bytes_ = 0;
  size_t hand_ = 0;  // the next place to be emptied when there are too many bytes
};

}  // namespace odb
