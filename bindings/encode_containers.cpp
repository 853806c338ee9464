// Tuples, sets and dicts. Iterating over what is not the interpreter's own runs code of the program, so such values are
// copied first; and what is iterated over is held, because converting an item may change the list it is in.

#include <algorithm>

#include "bindings/decoder.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/frozen_dict.h"
#include "bindings/gil.h"
#include "bindings/object_type.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

bool is_own_container(PyObject* value) {
  return PyTuple_Check(value) || PyList_Check(value) || PyAnySet_Check(value) || PyDict_Check(value) ||
         is_frozen_dict(value);
}

/// Whether a value that is none of ours and none of the interpreter's containers is meant as many: never text.
bool is_foreign_iterable(PyObject* value) {
  if (PyUnicode_Check(value) || PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value) ||
      PyType_Check(value))
    return false;
  return Py_TYPE(value)->tp_iter != nullptr && find_database_type(Py_TYPE(value)) == nullptr;
}

/// Whether an iterable is a Mapping; -1 with an exception set.
int is_foreign_mapping(PyObject* value) {
  if (Py_TYPE(value)->tp_as_mapping == nullptr || Py_TYPE(value)->tp_as_mapping->mp_subscript == nullptr) return 0;
  PyObject* mapping = member_of("collections.abc", "Mapping");
  return mapping == nullptr ? -1 : PyObject_IsInstance(value, mapping);
}

/// Everything that an iterator gives, as far as a value could hold it.
PyObject* list_of(PyObject* iterator) {
  Ref list = Ref::steal(PyList_New(0));
  if (!list) return nullptr;
  while (Ref item = Ref::steal(PyIter_Next(iterator))) {
    if (PyList_Append(list.get(), item.get()) < 0) return nullptr;
    if (static_cast<size_t>(PyList_GET_SIZE(list.get())) <= limits::kValueBytesMax) continue;
    set_error("TransactionTooLargeError", "an iterable that gives more than a value can hold");
    return nullptr;
  }
  return PyErr_Occurred() ? nullptr : list.release();
}

/// Whether two values of a type may be equal to Python though they are stored differently: 1, 1.0 and True; a tuple and a
/// named tuple.
bool may_hold_equals(const FieldType& type) {
  bool found = false;
  each_part_of(type, [&](const FieldType& part) {
    auto is_own_kind = [](const auto& arm) { return arm->kind == FieldKind::kNone || arm->kind == FieldKind::kStr; };
    found |= part.kind == FieldKind::kObject;
    found |= part.kind == FieldKind::kOneOf && part.parts.size() - std::ranges::count_if(part.parts, is_own_kind) > 1;
  });
  return found;
}

Fit changed_meanwhile(const std::string& where) {
  set_error("ValueTypeError", where + ": the value was changed while it was converted");
  return Fit::kFailed;
}

}  // namespace

Fit Encoder::copy_foreign(PyObject* value, Ref& copy) {
  if (is_own_container(value) || !is_foreign_iterable(value)) return Fit::kNot;
  return run_python([&] {
    int is_mapping = is_foreign_mapping(value);
    if (is_mapping == 1) {
      copy = Ref::steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyDict_Type), value));
    } else if (is_mapping == 0) {
      Ref iterator = Ref::steal(PyObject_GetIter(value));
      if (!iterator && PyErr_ExceptionMatches(PyExc_TypeError)) {  // Python's word for what is not iterable after all
        PyErr_Clear();
        return Fit::kNot;
      }
      if (iterator) copy = Ref::steal(list_of(iterator.get()));
    }
    return copy ? Fit::kTaken : Fit::kFailed;
  });
}

Fit Encoder::items_of(PyObject* value, Ref& items) {
  if (PyTuple_Check(value) || PyList_Check(value)) {
    items = Ref::borrow(value);
    return Fit::kTaken;
  }
  if (PyAnySet_Check(value)) {  // not by an __iter__ that a subclass has
    items = Ref::steal(PyList_New(0));
    Ref iterator = items ? Ref::steal(PySet_Type.tp_iter(value)) : Ref();
    if (!iterator) return Fit::kFailed;
    while (Ref item = Ref::steal(Py_TYPE(iterator.get())->tp_iternext(iterator.get()))) {
      if (PyList_Append(items.get(), item.get()) < 0) return Fit::kFailed;
    }
    return PyErr_Occurred() ? Fit::kFailed : Fit::kTaken;
  }
  Fit fit = copy_foreign(value, items);
  return fit == Fit::kTaken && !PyList_Check(items.get()) ? Fit::kNot : fit;
}

Fit Encoder::pairs_of(PyObject* value, Ref& pairs) {
  Ref copy;
  if (is_frozen_dict(value)) value = dict_of(value);
  if (!PyDict_Check(value)) {
    Fit fit = copy_foreign(value, copy);
    if (fit != Fit::kTaken) return fit;
    if (!PyDict_Check(copy.get())) return Fit::kNot;
    value = copy.get();
  }
  Py_ssize_t size = PyDict_GET_SIZE(value), filled = 0, at = 0;
  pairs = Ref::steal(PyList_New(2 * size));
  if (!pairs) return Fit::kFailed;
  PyObject *key, *item;
  while (PyDict_Next(value, &at, &key, &item) && filled < 2 * size) {
    PyList_SET_ITEM(pairs.get(), filled++, Py_NewRef(key));
    PyList_SET_ITEM(pairs.get(), filled++, Py_NewRef(item));
  }
  return filled == 2 * size && PyDict_GET_SIZE(value) == size ? Fit::kTaken : changed_meanwhile(path());
}

Fit Encoder::encode_item(PyObject* item, const FieldType& type, PyObject* key, Py_ssize_t index) {
  if (put_plain(item, type, out_)) return Fit::kTaken;
  Ref held = Ref::borrow(item);
  Inside inside(*this, nullptr, key, index);
  return encode(item, type);
}

/// One after the other; `begins`: where each of them begins, for sets, whose items have no place.
Fit Encoder::put_items(PyObject* items, const FieldType& element, std::vector<size_t>* begins) {
  Py_ssize_t size = PySequence_Fast_GET_SIZE(items);
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (PySequence_Fast_GET_SIZE(items) != size) return changed_meanwhile(path());
    if (begins != nullptr) begins->push_back(out_.size());
    Fit fit = encode_item(PySequence_Fast_GET_ITEM(items, i), element, nullptr, begins == nullptr ? i : -1);
    if (fit != Fit::kTaken) return fit;
    if (is_too_large()) return Fit::kFailed;
  }
  return Fit::kTaken;
}

Fit Encoder::encode_tuple_of(PyObject* value, const FieldType& type) {
  if (is_exact_ && !PyTuple_CheckExact(value) && !PyList_CheckExact(value)) return Fit::kNot;
  Ref items;
  Fit fit = items_of(value, items);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  put_tuple_head(out_, static_cast<size_t>(PySequence_Fast_GET_SIZE(items.get())));
  return put_items(items.get(), type.kind == FieldKind::kObject ? type : *type.parts[0], nullptr);
}

Fit Encoder::encode_tuple(PyObject* value, const FieldType& type) {
  bool is_own = is_exact_ ? PyTuple_CheckExact(value) : PyTuple_Check(value) || PyList_Check(value);
  if (!is_own) return not_a(value, type);
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  auto size = static_cast<size_t>(PySequence_Fast_GET_SIZE(value));
  if (size == 0 && !type.parts.empty() && !is_exact_ && type.has_default()) {
    if (type.default_refers() && !is_local_ && connection_ == nullptr) return not_a(value, type);
    append_default(type, connection_, out_);
    return Fit::kTaken;
  }
  if (size != type.parts.size())
    return wrong("ValueTypeError", "a tuple of " + std::to_string(size) + " was given, and it takes one of " +
                                       std::to_string(type.parts.size()) + ": " + describe(type));
  put_tuple_head(out_, size);
  for (size_t i = 0; i < size; ++i) {
    auto at = static_cast<Py_ssize_t>(i);
    if (static_cast<size_t>(PySequence_Fast_GET_SIZE(value)) != size) return changed_meanwhile(path());
    Fit fit = encode_item(PySequence_Fast_GET_ITEM(value, at), *type.parts[i], nullptr, at);
    if (fit != Fit::kTaken) return fit;
  }
  return Fit::kTaken;
}

Fit Encoder::encode_set_of(PyObject* value, const FieldType& type) {
  if (is_exact_ && !PyAnySet_CheckExact(value)) return Fit::kNot;
  Ref items;
  Fit fit = items_of(value, items);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  size_t start = out_.size();
  std::vector<size_t> begins;
  fit = put_items(items.get(), type.kind == FieldKind::kObject ? type : *type.parts[0], &begins);
  if (fit != Fit::kTaken) return fit;
  Bytes unsorted = out_.substr(start);
  begins.push_back(out_.size());
  out_.resize(start);
  std::vector<BytesView> views;
  for (size_t i = 0; i + 1 < begins.size(); ++i)
    views.push_back(BytesView(unsorted).substr(begins[i] - start, begins[i + 1] - begins[i]));
  put_set(out_, views);
  const FieldType& element = type.kind == FieldKind::kObject ? type : *type.parts[0];
  return views.size() > 1 && may_hold_equals(element) ? leave_out_equals(type, start) : Fit::kTaken;
}

/// What is read of a set is one of Python's, so it has but one of 1, 1.0 and True: then no more of them are stored. Only
/// reading it tells, because lists become tuples and mappings records before they are equal.
Fit Encoder::leave_out_equals(const FieldType& type, size_t start) {
  if (has_pickle_) return Fit::kTaken;
  Bytes stored = out_.substr(start);
  Reader in(stored);
  Ref read = Ref::steal(Decoder(connection_).decode(in, type));
  if (!read) {  // a codec that does not take back what it gave: who reads the field is told
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return Fit::kFailed;
    PyErr_Clear();
    return Fit::kTaken;
  }
  Reader counted(stored);
  counted.byte();
  if (static_cast<size_t>(PySet_GET_SIZE(read.get())) == counted.count(1)) return Fit::kTaken;
  out_.resize(start);
  return encode_set_of(read.get(), type);
}

Fit Encoder::encode_dict_of(PyObject* value, const FieldType& type) {
  if (is_exact_ && !PyDict_CheckExact(value) && !is_frozen_dict(value)) return Fit::kNot;
  Ref pairs;
  Fit fit = pairs_of(value, pairs);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  bool is_object = type.kind == FieldKind::kObject;
  size_t start = out_.size();
  std::vector<size_t> begins;
  for (Py_ssize_t i = 0; i + 1 < PyList_GET_SIZE(pairs.get()); i += 2) {
    PyObject* key = PyList_GET_ITEM(pairs.get(), i);
    begins.push_back(out_.size());
    fit = encode_item(key, is_object ? type : *type.parts[0], key, -1);
    if (fit != Fit::kTaken) return fit;
    begins.push_back(out_.size());
    fit = encode_item(PyList_GET_ITEM(pairs.get(), i + 1), is_object ? type : *type.parts[1], key, 0);
    if (fit != Fit::kTaken) return fit;
    if (is_too_large()) return Fit::kFailed;
  }
  Bytes unsorted = out_.substr(start);
  begins.push_back(out_.size());
  out_.resize(start);
  auto piece = [&](size_t i) { return BytesView(unsorted).substr(begins[i] - start, begins[i + 1] - begins[i]); };
  std::vector<std::pair<BytesView, BytesView>> views;
  for (size_t i = 0; i + 2 < begins.size(); i += 2) views.emplace_back(piece(i), piece(i + 1));
  if (put_dict(out_, views)) return Fit::kTaken;
  return wrong("ValueTypeError", "two keys of the dict are one key once they are converted");
}

}  // namespace odb
