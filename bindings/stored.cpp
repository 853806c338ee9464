// The rows and facts of a store as Python values, for tools that work without a server and without the classes of a program.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings/errors.h"
#include "bindings/module.h"
#include "bindings/stored_values.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"
#include "core/protocol/mapping.h"
#include "core/server/durable.h"
#include "core/server/stored_types.h"

namespace nb = nanobind;

namespace odb {
namespace {

std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }
nb::bytes bytes_of(const Bytes& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

[[noreturn]] void raise(const char* name, const std::string& message) {
  set_error(name, message);
  throw_python_error();
}

nb::object python_of(BytesView value) {
  PyObject* made = tool_value_of(value);
  if (made == nullptr) throw_python_error();
  return nb::steal(made);
}

Bytes stored_value(PyObject* value, const TypeDescriptor& type, const std::string& where) {
  Bytes out = bytes_of_tool_value(value);
  if (!type.holds(out) && PyLong_CheckExact(value)) {  // other programs write 1.0 as 1
    double number = PyLong_AsDouble(value);
    out.clear();
    if (number == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
    } else {
      put_float(out, number, Mode::kValue);
    }
  }
  if (out.empty() || !type.holds(out)) {
    nb::object ascii = nb::steal(PyObject_ASCII(value));
    if (!ascii.is_valid()) PyErr_Clear();  // nested too deep, say
    std::string shown = ascii.is_valid() ? nb::cast<std::string>(ascii) : Py_TYPE(value)->tp_name;
    if (shown.size() > limits::kShownBytesMax) shown = shown.substr(0, limits::kShownBytesMax) + "...";
    raise("InvalidArgumentError", where + " takes " + type.text() + "; " + shown + " was given");
  }
  if (out.size() > limits::kValueBytesMax) raise("InvalidArgumentError", where + ": a value is larger than 64 MiB");
  return out;
}

/// A catalogue with the names of its fields as Python strings, made once.
struct PythonTypes {
  explicit PythonTypes(StoredTypes with) : types(std::move(with)) {
    for (const TypeLayout& type : types.all()) {
      auto& each = names.emplace_back();
      for (const FieldLayout& field : type.fields) each.push_back(nb::str(field.name.data(), field.name.size()));
    }
  }
  const TypeLayout& get(uint32_t number) const {
    const TypeLayout* type = types.find(TypeId{number});
    if (type == nullptr)
      raise("StoreCorruptError", "is of a type that is not in the catalogue: " + std::to_string(number));
    return *type;
  }
  std::vector<BytesView> values(const TypeLayout& type, const nb::bytes& row) const {
    std::vector<BytesView> out;
    Status status = read_row(type, view_of(row), out);
    if (!status.is_ok()) raise("StoreCorruptError", status.message());
    return out;
  }

  StoredTypes types;
  std::vector<std::vector<nb::object>> names;  // type number - 1 -> names by field number
};

PythonTypes read_catalogue(const nb::bytes& encoded) {
  Result<StoredTypes> types = StoredTypes::of(view_of(encoded));
  if (!types.is_ok()) raise("StoreCorruptError", types.status().message());
  return PythonTypes(std::move(types.value()));
}

/// [(schema, name, [(field, type, default)], [(index, [field number], is unique)])], in the order of their numbers.
nb::list described(const PythonTypes& self) {
  nb::list out;
  for (const TypeLayout& type : self.types.all()) {
    nb::list fields, indexes;
    for (const FieldLayout& field : type.fields)
      fields.append(nb::make_tuple(field.name, field.type.text(), python_of(field.default_value)));
    for (const IndexLayout& index : type.indexes) {
      nb::list numbers;
      for (FieldId field : index.fields) numbers.append(field.value);
      indexes.append(nb::make_tuple(index.name, numbers, index.is_unique));
    }
    out.append(nb::make_tuple(type.schema, type.name, fields, indexes));
  }
  return out;
}

/// The other direction.
nb::bytes write_catalogue(const nb::list& described) {
  std::vector<MappedType> types;
  std::map<std::string, TypeId> numbers;
  for (nb::handle each : described) {
    MappedType& type = types.emplace_back();
    type.id = TypeId{static_cast<uint32_t>(types.size())};
    type.schema = nb::cast<std::string>(each[0]);
    type.name = nb::cast<std::string>(each[1]);
    numbers.emplace(type.schema + "." + type.name, type.id);
  }
  size_t at = 0;
  for (nb::handle each : described) {
    MappedType& type = types[at++];
    for (nb::handle field : nb::cast<nb::list>(each[2])) {
      auto name = nb::cast<std::string>(field[0]), text = nb::cast<std::string>(field[1]);
      std::string where = type.schema + "." + type.name + "." + name;
      Result<TypeDescriptor> descriptor = TypeDescriptor::parse(text);
      if (!descriptor.is_ok()) raise("InvalidArgumentError", where + ": " + descriptor.status().message());
      descriptor.value().resolve([&](const std::string& target) {
        auto known = numbers.find(target);
        return known == numbers.end() ? TypeId{0} : known->second;
      });
      nb::object default_value = field[2];
      Bytes stored;  // of a required field it is None, whatever the type
      if (default_value.is_none()) put_none(stored);
      if (stored.empty() || (descriptor.value().has_default() && !descriptor.value().holds(stored)))
        stored = stored_value(default_value.ptr(), descriptor.value(), "the default of " + where);
      type.fields.push_back({name, text, std::move(stored)});
    }
    for (nb::handle index : nb::cast<nb::list>(each[3])) {
      MappedIndex& made = type.indexes.emplace_back();
      made.name = nb::cast<std::string>(index[0]);
      for (nb::handle number : nb::cast<nb::list>(index[1])) made.fields.push_back(FieldId{nb::cast<uint32_t>(number)});
      made.is_unique = nb::cast<bool>(index[2]);
    }
  }
  Bytes encoded = encode_catalogue(types);
  Result<StoredTypes> read = StoredTypes::of(encoded);
  if (!read.is_ok()) raise("InvalidArgumentError", read.status().message());
  return bytes_of(encoded);
}

/// {field: value}, without those that are absent.
nb::dict decode_row(const PythonTypes& self, uint32_t number, const nb::bytes& row) {
  const TypeLayout& type = self.get(number);
  std::vector<BytesView> values = self.values(type, row);
  nb::dict out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].empty()) out[self.names[number - 1][i]] = python_of(values[i]);
  }
  return out;
}

nb::bytes encode_row(const PythonTypes& self, uint32_t number, const nb::dict& fields) {
  const TypeLayout& type = self.get(number);
  std::vector<Bytes> values;
  size_t found = 0, bytes = 0;
  for (size_t i = 0; i < type.fields.size() && found < fields.size(); ++i) {
    Bytes& value = values.emplace_back();
    PyObject* given = PyDict_GetItemWithError(fields.ptr(), self.names[number - 1][i].ptr());
    if (given == nullptr) continue;
    ++found;
    value = stored_value(given, type.fields[i].type, type.qualified_name() + "." + type.fields[i].name);
    bytes += value.size();
  }
  if (bytes > limits::kRowBytesMax) raise("InvalidArgumentError", type.qualified_name() + ": an object is too large");
  if (found < fields.size()) {
    for (auto [name, value] : fields) {
      bool is_known = false;
      for (const nb::object& known : self.names[number - 1]) is_known |= known.equal(name);
      if (!is_known)
        raise("InvalidArgumentError", type.qualified_name() + " has no field " + nb::cast<std::string>(nb::str(name)));
    }
  }
  return bytes_of(row_of(values));
}

/// [(index number, key)] of an object in the unique indexes of its type.
nb::list unique_keys(const PythonTypes& self, uint32_t number, const nb::bytes& row) {
  const TypeLayout& type = self.get(number);
  nb::list out;
  std::vector<BytesView> values;
  for (size_t i = 0; i < type.indexes.size(); ++i) {
    if (!type.indexes[i].is_unique) continue;
    if (values.empty()) values = self.values(type, row);
    if (auto key = key_of(type, type.indexes[i], values)) out.append(nb::make_tuple(i, bytes_of(*key)));
  }
  return out;
}

nb::tuple read_reservations(const nb::bytes& encoded) {
  std::optional<Reservations> found = decode_reservations(view_of(encoded));
  if (!found) raise("StoreCorruptError", "its reservations are none");
  return nb::make_tuple(found->transactions.value, found->blocks, found->identities);
}

nb::bytes write_reservations(uint64_t transactions, int64_t blocks, int64_t identities) {
  Bytes encoded = encode(Reservations{TransactionId{transactions}, blocks, identities});
  if (blocks < 0 || identities < 0 || !decode_reservations(encoded))
    raise("InvalidArgumentError", "reservations that are out of range");
  return bytes_of(encoded);
}

}  // namespace

void add_stored(nb::module_& module) {
  nb::class_<PythonTypes>(module, "StoredTypes")
      .def("described", &described)
      .def("decode_row", &decode_row)
      .def("encode_row", &encode_row)
      .def("unique_keys", &unique_keys);
  module.def("read_catalogue", &read_catalogue);
  module.def("write_catalogue", &write_catalogue);
  module.def("read_reservations", &read_reservations);
  module.def("write_reservations", &write_reservations);
}

}  // namespace odb
