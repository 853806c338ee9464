// Records and Alternatives. A record takes its own class, a mapping or another NamedTuple by the names of its fields, and
// a tuple or list with all of them in order.

#include <optional>

#include "bindings/connection.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

/// The names of the fields of a named tuple's class, or none.
Ref field_names_of(PyObject* value) {
  if (!PyTuple_Check(value) || PyTuple_CheckExact(value)) return {};
  auto* cls = reinterpret_cast<PyObject*>(Py_TYPE(value));
  Ref names = Ref::steal(run_python([cls] { return PyObject_GetAttrString(cls, "_fields"); }));
  PyErr_Clear();
  bool is_named = names && PyTuple_Check(names.get()) && PyTuple_GET_SIZE(names.get()) == PyTuple_GET_SIZE(value);
  return is_named ? std::move(names) : Ref();
}

/// The position of a field, or how many there are.
size_t position_in(const PartGroup& group, PyObject* name) {
  for (size_t i = 0; i < group.fields.size(); ++i) {
    if (group.fields[i].name.get() == name) return i;
  }
  for (size_t i = 0; PyUnicode_CheckExact(name) && i < group.fields.size(); ++i) {
    if (PyUnicode_Compare(group.fields[i].name.get(), name) == 0) return i;
  }
  return group.fields.size();
}

}  // namespace

/// Of an object of the group's own class.
Fit Encoder::put_own(PyObject* value, const PartGroup& group) {
  size_t count = group.fields.size();
  if (group.shape == Shape::kTuple) {
    if (static_cast<size_t>(PyTuple_GET_SIZE(value)) != count)
      return wrong("ValueTypeError",
                   std::string(Py_TYPE(value)->tp_name) + " with the wrong number of fields was given");
    Ref held = Ref::borrow(value);  // and with it its items, which nobody can change
    return put_group(group, [value](size_t i) { return PyTuple_GET_ITEM(value, static_cast<Py_ssize_t>(i)); });
  }
  Parts parts(count);
  for (size_t i = 0; i < count; ++i) {
    PyObject* name = group.fields[i].name.get();
    parts[i] = Ref::steal(run_python([&] { return PyObject_GenericGetAttr(value, name); }));
    if (!parts[i]) return Fit::kFailed;
  }
  return put_group(group, [&parts](size_t i) { return parts[i].get(); });
}

Fit Encoder::parts_by_name(PyObject* names, PyObject* items, const FieldType& type, Parts& parts) {
  const PartGroup& group = type.groups[0];
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(names); ++i) {
    PyObject* name = PySequence_Fast_GET_ITEM(names, i);
    size_t position = position_in(group, name);
    if (position == group.fields.size())
      return wrong("ValueTypeError", describe(type) + " has no field named " + shown_value(name));
    parts[position] = Ref::borrow(PySequence_Fast_GET_ITEM(items, i));
  }
  return Fit::kTaken;
}

Fit Encoder::parts_of_mapping(const Held& pairs, const FieldType& type, Parts& parts) {
  const PartGroup& group = type.groups[0];
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    PyObject* name = pairs[i].get();
    size_t position = position_in(group, name);
    if (position == group.fields.size())
      return wrong("ValueTypeError", describe(type) + " has no field named " + shown_value(name));
    parts[position] = Ref::borrow(pairs[i + 1].get());
  }
  return Fit::kTaken;
}

Fit Encoder::encode_record(PyObject* value, const FieldType& type) {
  const PartGroup& group = type.groups[0];
  if (reinterpret_cast<PyObject*>(Py_TYPE(value)) == group.cls.get()) {
    out_ += type.stored;
    return put_own(value, group);
  }
  if (is_exact_) return Fit::kNot;
  Parts parts(group.fields.size());
  Fit fit = Fit::kTaken;
  if (Ref names = field_names_of(value)) {
    fit = parts_by_name(names.get(), value, type, parts);
  } else if (PyTuple_Check(value) || PyList_Check(value)) {
    auto size = static_cast<size_t>(PySequence_Fast_GET_SIZE(value));
    if (size != parts.size())
      return wrong("ValueTypeError", "a tuple of " + std::to_string(size) + " was given, and " + describe(type) +
                                         " has " + std::to_string(parts.size()) + " fields");
    for (size_t i = 0; i < size; ++i)
      parts[i] = Ref::borrow(PySequence_Fast_GET_ITEM(value, static_cast<Py_ssize_t>(i)));
  } else {
    Held pairs;
    fit = pairs_of(value, pairs);
    if (fit == Fit::kNot) return not_a(value, type);
    if (fit == Fit::kTaken) fit = parts_of_mapping(pairs, type, parts);
  }
  if (fit != Fit::kTaken) return fit;
  out_ += type.stored;
  return put_group(group, [&parts](size_t i) { return parts[i].get(); });
}

Fit Encoder::encode_alternative(PyObject* value, const FieldType& type) {
  for (size_t arm = 0; arm < type.groups.size(); ++arm) {
    const PartGroup& group = type.groups[arm];
    if (reinterpret_cast<PyObject*>(Py_TYPE(value)) != group.cls.get()) continue;
    put_alternative_head(out_, type.tag, static_cast<uint32_t>(arm));
    return put_own(value, group);
  }
  return not_a(value, type);
}

/// The fields behind a head, each behind its mark.
template <class PartAt>
Fit Encoder::put_group(const PartGroup& group, PartAt&& part_at) {
  Nested nested(*this);
  if (!nested.is_ok()) return Fit::kFailed;
  size_t count = group.fields.size();
  Begins begins(group.is_all_required ? 0 : count + 1, boost::container::default_init);
  for (size_t i = 0; i < count; ++i) {
    const PartField& field = group.fields[i];
    if (!group.is_all_required) begins[i] = out_.size();
    out_.push_back(static_cast<char>(mark::kGreater));
    PyObject* part = part_at(i);
    if (part != nullptr && put_plain(part, *field.type, out_)) {
      // as most fields are
    } else if (part != nullptr) {
      Inside inside(*this, field.name.get(), nullptr, 0);
      Fit fit = encode(part, *field.type);
      if (fit != Fit::kTaken) return fit;
    } else if (field.is_required) {
      return wrong("ValueTypeError", "the field " + std::string(PyUnicode_AsUTF8(field.name.get())) + " of " +
                                         (group.name.empty() ? "the record" : group.name) + " is missing");
    } else if (!put_default(field, out_)) {
      return Fit::kFailed;
    }
    if (is_too_large()) return Fit::kFailed;
  }
  if (!group.is_all_required) {
    begins[count] = out_.size();
    return put_marks(group, {begins.data(), begins.size()});
  }
  out_.push_back(static_cast<char>(mark::kEnd));
  return Fit::kTaken;
}

/// Looks at the fields again, each of which begins with a mark, and ends them: those at the end that are as the default
/// are taken away.
Fit Encoder::put_marks(const PartGroup& group, std::span<const size_t> begins) {
  size_t count = group.fields.size();
  uint8_t rest = mark::kEqual;
  size_t stored = 0;
  std::optional<Scratch> scratch;  // for a default that depends on the connection
  for (size_t i = count; i > 0; --i) {
    const PartField& field = group.fields[i - 1];
    BytesView value = BytesView(out_).substr(begins[i - 1] + 1, begins[i] - begins[i - 1] - 1);
    if (field.is_required) {
      rest = mark::kGreater;
      if (stored == 0) stored = i;
    } else {
      BytesView default_value = field.default_bytes;
      if (default_value.empty()) {
        if (!scratch) scratch.emplace();
        scratch->bytes.clear();
        if (!put_default(field, scratch->bytes)) return Fit::kFailed;
        default_value = scratch->bytes;
      }
      if (value != default_value) {
        if (stored == 0) stored = i;
        int order = compare_values(value, default_value);
        if (order != 0) rest = order < 0 ? mark::kLess : mark::kGreater;
      }
    }
    out_[begins[i - 1]] = static_cast<char>(rest);
  }
  out_.resize(begins[stored]);
  out_.push_back(static_cast<char>(mark::kEnd));
  return Fit::kTaken;
}

/// False with an exception set.
bool Encoder::put_default(const PartField& field, Bytes& out) {
  if (!field.default_bytes.empty()) {
    out += field.default_bytes;
    return true;
  }
  if (connection_ == nullptr && !is_local_) {
    set_error("SchemaError", path() + ": a default cannot hold references; they have no number before a connection");
    return false;
  }
  append_default(*field.type, connection_, out);
  return true;
}

}  // namespace odb
