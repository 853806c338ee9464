// What the vocabulary asks of the engine: convert(spec, value, where), and the order of a FrozenDict's keys.

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>

#include "bindings/convert.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/guarded.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

constexpr size_t kSpecsMax = 4096;  // types of a program that are called to convert

struct ParsedSpec {
  Ref spec;  // keeps its address its own
  std::shared_ptr<FieldType> type;
};

/// The type of a spec, by the spec's identity: types.py makes each once. nullptr with an exception set.
std::shared_ptr<FieldType> parsed(PyObject* spec, const std::string& where) {
  static auto* known = new boost::unordered_flat_map<PyObject*, ParsedSpec>();
  auto found = known->find(spec);
  if (found != known->end()) return found->second.type;
  auto type = std::make_shared<FieldType>();
  if (!parse_field_type(spec, *type, where)) return nullptr;
  if (known->size() >= kSpecsMax) {
    auto old = std::exchange(*known, {});  // given up after the table is whole again
  }
  (*known)[spec] = {Ref::borrow(spec), type};
  return type;
}

PyObject* convert(PyObject*, PyObject* const* args, Py_ssize_t count) {
  Py_ssize_t size = 0;
  const char* text = count == 3 && PyUnicode_Check(args[2]) ? PyUnicode_AsUTF8AndSize(args[2], &size) : nullptr;
  if (text == nullptr) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "convert(spec, value, where)");
    return nullptr;
  }
  std::string where(text, static_cast<size_t>(size));
  std::shared_ptr<FieldType> type = parsed(args[0], where);
  return type == nullptr ? nullptr : convert_value(args[1], *type, where);
}

PyObject* describe_spec(PyObject*, PyObject* spec) {
  FieldType type;
  if (!parse_field_type(spec, type, "describe_spec")) return nullptr;
  std::string text = type.text(), shown = describe(type);
  return Py_BuildValue("NN", PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())),
                       PyUnicode_FromStringAndSize(shown.data(), static_cast<Py_ssize_t>(shown.size())));
}

PyMethodDef functions[] = {
    {"convert", guarded_method<convert>(), METH_FASTCALL,
     "convert(spec, value, where)\n--\n\nThe value as a field of this type gives it; `where` is named in errors."},
    {"describe_spec", guarded_method<describe_spec>(), METH_O,
     "describe_spec(spec)\n--\n\nThe descriptor's text of a spec, and the same for people."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* sorted_by_key(PyObject* dict) {
  static const FieldType kObject = scalar_type(FieldKind::kObject);
  static const std::string kWhere = "a key";
  struct Item {
    Ref key, value;
    Bytes encoded;  // empty: no value of a field
  };
  std::vector<Item> items;
  Py_ssize_t at = 0;
  PyObject *key, *value;
  while (PyDict_Next(dict, &at, &key, &value)) items.push_back({Ref::borrow(key), Ref::borrow(value), {}});
  for (Item& item : items) {
    Encoder encoder(nullptr, true, kWhere, item.encoded);
    if (encoder.encode_whole(item.key.get(), kObject)) continue;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return nullptr;
    PyErr_Clear();
    Ref stored = Ref::steal(PyObject_GetAttrString(item.key.get(), "value"));  // of an Enum member
    Encoder again(nullptr, true, kWhere, item.encoded);
    if (!stored || !again.encode_whole(stored.get(), kObject)) PyErr_Clear();
  }
  std::ranges::stable_sort(items, [](const Item& a, const Item& b) {
    if (a.encoded.empty() || b.encoded.empty()) return !a.encoded.empty() && b.encoded.empty();
    return compare_values(a.encoded, b.encoded) < 0;
  });
  Ref sorted = Ref::steal(PyDict_New());
  for (const Item& item : items) {
    if (!sorted || PyDict_SetItem(sorted.get(), item.key.get(), item.value.get()) < 0) return nullptr;
  }
  return sorted.release();
}

bool add_convert_functions(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace odb
