// Tuples, sets and dicts. Iterating over what is not the interpreter's own runs code of the program, so such values are
// copied first; and what is iterated over is held, because converting an item may change what it is in.

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

const FieldType& part_of(const FieldType& type, size_t position) {
  return type.kind == FieldKind::kObject ? type : *type.parts[position];
}

/// Calls put(new reference) with each item of a set until it gives false: not by an __iter__ that a subclass has. False
/// with an exception set.
template <class Put>
bool each_in_set(PyObject* set, Put&& put) {
  Ref iterator = Ref::steal(PySet_Type.tp_iter(set));
  if (!iterator) return false;
  while (Ref item = Ref::steal(Py_TYPE(iterator.get())->tp_iternext(iterator.get()))) {
    if (!put(std::move(item))) return false;
  }
  return PyErr_Occurred() == nullptr;
}

/// The bytes of an item, as `begins` has it.
BytesView piece(const Bytes& bytes, std::span<const size_t> begins, size_t i) {
  return BytesView(bytes).substr(begins[i], begins[i + 1] - begins[i]);
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
  if (PyAnySet_Check(value)) {
    items = Ref::steal(PyList_New(0));
    auto append = [&items](const Ref& item) { return PyList_Append(items.get(), item.get()) == 0; };
    return items && each_in_set(value, append) ? Fit::kTaken : Fit::kFailed;
  }
  Fit fit = copy_foreign(value, items);
  return fit == Fit::kTaken && !PyList_Check(items.get()) ? Fit::kNot : fit;
}

Fit Encoder::members_of(PyObject* value, Held& members) {
  if (PyAnySet_Check(value)) {
    members.reserve(static_cast<size_t>(PySet_GET_SIZE(value)));
    auto append = [&members](Ref item) { return members.push_back(std::move(item)), true; };
    return each_in_set(value, append) ? Fit::kTaken : Fit::kFailed;
  }
  Ref items;
  Fit fit = items_of(value, items);
  if (fit != Fit::kTaken) return fit;
  auto size = static_cast<size_t>(PySequence_Fast_GET_SIZE(items.get()));
  members.reserve(size);
  for (size_t i = 0; i < size; ++i)
    members.push_back(Ref::borrow(PySequence_Fast_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i))));
  return Fit::kTaken;
}

Fit Encoder::pairs_of(PyObject* value, Held& pairs) {
  Ref copy;
  if (is_frozen_dict(value)) value = dict_of(value);
  if (!PyDict_Check(value)) {
    Fit fit = copy_foreign(value, copy);
    if (fit != Fit::kTaken) return fit;
    if (!PyDict_Check(copy.get())) return Fit::kNot;
    value = copy.get();
  }
  pairs.reserve(2 * static_cast<size_t>(PyDict_GET_SIZE(value)));
  Py_ssize_t at = 0;
  PyObject *key, *item;
  while (PyDict_Next(value, &at, &key, &item)) {  // nothing in here makes objects: no collector, no code of the program
    pairs.push_back(Ref::borrow(key));
    pairs.push_back(Ref::borrow(item));
  }
  return Fit::kTaken;
}

Fit Encoder::encode_item(PyObject* item, const FieldType& type, PyObject* key, Py_ssize_t index) {
  if (put_plain(item, type, out_)) return Fit::kTaken;
  Ref held = Ref::borrow(item);
  Inside inside(*this, nullptr, key, index);
  return encode(item, type);
}

Fit Encoder::encode_tuple_of(PyObject* value, const FieldType& type) {
  if (is_exact_ && !PyTuple_CheckExact(value) && !PyList_CheckExact(value)) return Fit::kNot;
  Ref items;
  Fit fit = items_of(value, items);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  const FieldType& element = part_of(type, 0);
  Py_ssize_t size = PySequence_Fast_GET_SIZE(items.get());
  put_tuple_head(out_, static_cast<size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    if (PySequence_Fast_GET_SIZE(items.get()) != size) return changed_meanwhile(path());
    fit = encode_item(PySequence_Fast_GET_ITEM(items.get(), i), element, nullptr, i);
    if (fit != Fit::kTaken) return fit;
    if (is_too_large()) return Fit::kFailed;
  }
  return Fit::kTaken;
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

/// Items that come in order stay where they are put; others are put behind themselves once more, sorted.
Fit Encoder::encode_set_of(PyObject* value, const FieldType& type) {
  if (is_exact_ && !PyAnySet_CheckExact(value)) return Fit::kNot;
  Held members;
  Fit fit = members_of(value, members);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  const FieldType& element = part_of(type, 0);
  size_t start = out_.size(), count = members.size();
  put_set_head(out_, count);
  Begins begins = {out_.size()};
  bool is_ascending = true;
  for (size_t i = 0; i < count; ++i) {
    fit = encode_item(members[i].get(), element, nullptr, -1);
    if (fit != Fit::kTaken) return fit;
    if (is_too_large()) return Fit::kFailed;
    begins.push_back(out_.size());
    is_ascending = is_ascending && (i == 0 || compare_values(piece(out_, begins, i - 1), piece(out_, begins, i)) < 0);
  }
  if (!is_ascending) {
    size_t end = out_.size();
    out_.reserve(end + (end - start));  // views into it last
    boost::container::small_vector<BytesView, 16> items;
    for (size_t i = 0; i < count; ++i) items.push_back(piece(out_, begins, i));
    count = put_set(out_, {items.data(), items.size()});
    out_.erase(start, end - start);
  }
  return count > 1 && may_hold_equals(element) ? leave_out_equals(type, start) : Fit::kTaken;
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
  Held pairs;
  Fit fit = pairs_of(value, pairs);
  if (fit != Fit::kTaken) return fit == Fit::kNot ? not_a(value, type) : fit;
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  const FieldType &key_type = part_of(type, 0), &value_type = part_of(type, 1);
  size_t start = out_.size();
  put_dict_head(out_, pairs.size() / 2);
  Begins begins = {out_.size()};  // of keys and values by turns
  bool is_ascending = true;
  for (size_t i = 0; i < pairs.size(); i += 2) {
    PyObject* key = pairs[i].get();
    fit = encode_item(key, key_type, key, -1);
    if (fit != Fit::kTaken) return fit;
    begins.push_back(out_.size());
    is_ascending = is_ascending && (i == 0 || compare_values(piece(out_, begins, i - 2), piece(out_, begins, i)) < 0);
    fit = encode_item(pairs[i + 1].get(), value_type, key, 0);
    if (fit != Fit::kTaken) return fit;
    begins.push_back(out_.size());
    if (is_too_large()) return Fit::kFailed;
  }
  if (is_ascending) return Fit::kTaken;
  size_t end = out_.size();
  out_.reserve(end + (end - start));  // views into it last
  boost::container::small_vector<std::pair<BytesView, BytesView>, 8> items;
  for (size_t i = 0; i < pairs.size(); i += 2) items.emplace_back(piece(out_, begins, i), piece(out_, begins, i + 1));
  if (!put_dict(out_, {items.data(), items.size()}))
    return wrong("ValueTypeError", "two keys of the dict are one key once they are converted");
  out_.erase(start, end - start);
  return Fit::kTaken;
}

}  // namespace odb
