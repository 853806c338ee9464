// What odb schema does with catalogues: a server's or a store's, as bytes.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings/connection.h"
#include "bindings/errors.h"
#include "bindings/module.h"
#include "bindings/object_type.h"
#include "core/server/schema_changes.h"

namespace nb = nanobind;

namespace odb {
namespace {

std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }
nb::bytes bytes_of(const Bytes& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

[[noreturn]] void raise(const char* name, const std::string& message) {
  set_error(name, message);
  throw_python_error();
}

/// [(schema, name, fingerprint, [(field, type for people)], [(index, (field, ...), is unique)])], without what was dropped.
nb::list schema_types(const nb::bytes& catalogue) {
  Result<StoredTypes> types = StoredTypes::of(view_of(catalogue));
  if (!types.is_ok()) raise("StoreCorruptError", types.status().message());
  nb::list out;
  for (const TypeLayout& type : types.value().all()) {
    if (type.is_dropped()) continue;
    nb::list fields, indexes;
    for (const FieldLayout& field : type.fields) {
      if (!field.name.empty()) fields.append(nb::make_tuple(field.name, field.type.shown_in_full()));
    }
    for (const IndexLayout& index : type.indexes) {
      if (index.name.empty()) continue;
      nb::list over;
      for (FieldId field : index.fields) over.append(type.fields[field.value].name);
      indexes.append(nb::make_tuple(index.name, nb::tuple(over), index.is_unique));
    }
    out.append(nb::make_tuple(type.schema, type.name, fingerprint(type), fields, indexes));
  }
  return out;
}

/// [(kind, where, what)] of what a schema's types would change in a catalogue.
nb::list schema_changes(const nb::bytes& catalogue, const std::string& name, nb::sequence types) {
  static const char* const kNames[] = {"adds type",  "adds field", "adds index", "makes wider", "knows fewer values of",
                                       "is refused:"};
  SchemaDefinition definition{name, {}};
  for (nb::handle type : types) {
    DatabaseType* found =
        PyType_Check(type.ptr()) ? find_database_type(reinterpret_cast<PyTypeObject*>(type.ptr())) : nullptr;
    if (found == nullptr) throw nb::type_error("not a type of a schema");
    definition.types.push_back(definition_of(*found));
  }
  Result<std::vector<SchemaChange>> changes = changes_by(definition, view_of(catalogue));
  if (!changes.is_ok()) raise("StoreCorruptError", changes.status().message());
  nb::list out;
  for (const SchemaChange& change : changes.value())
    out.append(nb::make_tuple(kNames[static_cast<size_t>(change.kind)], change.where, change.what));
  return out;
}

/// (catalogue without it, type number, field number or None, is it an index)
nb::tuple catalogue_without(const nb::bytes& catalogue, const std::string& name, const std::string& kind) {
  DropKind wanted = kind == "field" ? DropKind::kField : kind == "index" ? DropKind::kIndex : DropKind::kAny;
  Result<Dropped> dropped = without(view_of(catalogue), name, wanted);
  if (!dropped.is_ok())
    raise(dropped.status().code() == Code::kInvalidArgument ? "InvalidArgumentError" : "StoreCorruptError",
          dropped.status().message());
  const Dropped& done = dropped.value();
  nb::object field = done.field ? nb::object(nb::int_(done.field->value)) : nb::none();
  return nb::make_tuple(bytes_of(done.catalogue), done.type.value, field, done.is_index);
}

/// [(object id, type number, row)] of those of a batch that lose a value, as they are without it.
nb::list rows_without(const nb::bytes& catalogue, uint32_t number, uint32_t field, nb::sequence batch) {
  Result<StoredTypes> types = StoredTypes::of(view_of(catalogue));
  if (!types.is_ok()) raise("StoreCorruptError", types.status().message());
  const TypeLayout* type = types.value().find(TypeId{number});
  if (type == nullptr) raise("StoreCorruptError", "there is no type " + std::to_string(number));
  nb::list out;
  for (nb::handle each : batch) {
    if (nb::cast<uint32_t>(each[1]) != number) continue;
    auto row = nb::cast<nb::bytes>(each[2]);
    Result<std::optional<Bytes>> changed = row_without(*type, view_of(row), FieldId{field});
    if (!changed.is_ok()) raise("StoreCorruptError", changed.status().message());
    if (changed.value()) out.append(nb::make_tuple(each[0], each[1], bytes_of(*changed.value())));
  }
  return out;
}

}  // namespace

void add_schema_tools(nb::module_& module) {
  module.def("schema_types", &schema_types);
  module.def("schema_changes", &schema_changes);
  module.def("catalogue_without", &catalogue_without);
  module.def("rows_without", &rows_without);
}

}  // namespace odb
