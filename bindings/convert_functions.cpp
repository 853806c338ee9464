// What the vocabulary asks of the engine: convert(spec, value, where), and the order of a FrozenDict's keys.

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <vector>

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
  FieldType type;
  size_t users = 0;  // conversions that are under way
};

/// Gives up a use when it ends. The GIL guards the count, and an atomic one would cost as much as an int does.
class UsedSpec {
 public:
  explicit UsedSpec(ParsedSpec& spec) : spec_(spec) {}
  UsedSpec(const UsedSpec&) = delete;
  UsedSpec& operator=(const UsedSpec&) = delete;
  ~UsedSpec() { --spec_.users; }

 private:
  ParsedSpec& spec_;
};

using KnownSpecs = boost::unordered_flat_map<PyObject*, std::unique_ptr<ParsedSpec>>;

/// What nobody uses; to be given up when the table is whole again, because that may run code of the program.
std::vector<std::unique_ptr<ParsedSpec>> take_unused(KnownSpecs& known) {
  std::vector<std::unique_ptr<ParsedSpec>> unused;
  boost::unordered::erase_if(known, [&](auto& each) {
    if (each.second->users > 0) return false;
    unused.push_back(std::move(each.second));
    return true;
  });
  return unused;
}

/// The type of a spec, by the spec's identity: types.py makes each once. In use: for a UsedSpec to take over. nullptr with an
/// exception set.
ParsedSpec* parsed(PyObject* spec, const std::string& where) {
  static auto* known = new KnownSpecs();
  auto found = known->find(spec);
  if (found != known->end()) return ++found->second->users, found->second.get();
  auto made = std::make_unique<ParsedSpec>();
  made->spec = Ref::borrow(spec);
  if (!parse_field_type(spec, made->type, where)) return nullptr;
  std::vector<std::unique_ptr<ParsedSpec>> unused;
  if (known->size() >= kSpecsMax) unused = take_unused(*known);
  ParsedSpec* added = known->emplace(spec, std::move(made)).first->second.get();  // or who came first, meanwhile
  return ++added->users, added;
}

PyObject* convert(PyObject*, PyObject* const* args, Py_ssize_t count) {
  Py_ssize_t size = 0;
  const char* text = count == 3 && PyUnicode_Check(args[2]) ? PyUnicode_AsUTF8AndSize(args[2], &size) : nullptr;
  if (text == nullptr) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "convert(spec, value, where)");
    return nullptr;
  }
  std::string where(text, static_cast<size_t>(size));
  ParsedSpec* parsed_spec = parsed(args[0], where);
  if (parsed_spec == nullptr) return nullptr;
  UsedSpec used(*parsed_spec);
  return convert_value(args[1], parsed_spec->type, where);
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
    {"translate_values_with", guarded_method<translate_values_with>(), METH_O,
     "translate_values_with(function)\n--\n\nfunction(value) is asked about what a field does not take as it is."},
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
