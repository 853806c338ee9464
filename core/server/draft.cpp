#include "core/server/draft.h"

#include <algorithm>
#include <set>

#include "core/codec/codec.h"

namespace odb {
namespace {

// Beside the steps of what is in a type: a layout, its tables, a place in the answer.
constexpr size_t kStepsOfType = 32, kStepsOfField = 8, kStepsOfIndex = 32, kStepsOfIndexField = 4, kBytesInStep = 8;

}  // namespace

const Draft::Field* Draft::Type::find(std::string_view name) const {
  auto name_of = [this](uint32_t i) -> std::string_view { return fields[i].definition->name; };
  auto at = std::ranges::lower_bound(by_name, name, {}, name_of);
  return at != by_name.end() && name_of(*at) == name ? &fields[*at] : nullptr;
}

Status Draft::too_much(const std::string& where) const {
  return {
      Code::kTransactionTooLarge,
      "schema '" + schema() + "' takes too long to check, as seen at " + where + ": one definition may take " +
          std::to_string(limits::kDefinitionStepsMax) +
          " steps (kDefinitionStepsMax), as other clients wait meanwhile. Divide its types among several schemas, or "
          "give their unions fewer arms that begin alike"};
}

Status Draft::read() {
  if (!is_valid_schema_name(schema())) return protocol_error("a schema's name cannot be '" + schema() + "'");
  if (definition_.types.size() > limits::kTypesPerSchemaMax) return protocol_error("too many types in a schema");
  std::set<std::string_view> names;
  types.reserve(definition_.types.size());
  for (const TypeDefinition& type : definition_.types) {
    Type& read_here = types.emplace_back(Type{&type, schema() + "." + type.name, {}, {}});
    if (!is_valid_name(type.name)) return protocol_error("a type's name cannot be '" + type.name + "'");
    if (!names.insert(type.name).second) return protocol_error(read_here.qualified_name + " is defined twice");
    Status status = read(read_here, type);
    if (!status.is_ok()) return status;
  }
  return Status::ok();
}

Status Draft::read(Type& type, const TypeDefinition& definition) {
  if (definition.fields.size() > limits::kFieldsPerTypeMax || definition.indexes.size() > limits::kIndexesPerTypeMax)
    return protocol_error(type.qualified_name + " has too many fields or indexes");
  effort.take(kStepsOfType);
  type.fields.reserve(definition.fields.size());
  for (const FieldDefinition& field : definition.fields) {
    if (Status status = read_field(type, field); !status.is_ok()) return status;
    type.by_name.push_back(static_cast<uint32_t>(type.by_name.size()));
  }
  auto name_of = [&](uint32_t i) -> std::string_view { return definition.fields[i].name; };
  std::ranges::sort(type.by_name, {}, name_of);
  auto twice = std::ranges::adjacent_find(type.by_name, {}, name_of);
  if (twice != type.by_name.end())
    return protocol_error(type.qualified_name + "." + definition.fields[*twice].name + " is defined twice");
  return read_indexes(type);
}

Status Draft::read_field(Type& type, const FieldDefinition& field) {
  std::string where = type.qualified_name + "." + field.name;
  if (!is_valid_name(field.name)) return protocol_error(type.qualified_name + " has a field with an impossible name");
  effort.take(kStepsOfField + (field.name.size() + field.default_value.size()) / kBytesInStep);
  Result<TypeDescriptor> parsed = TypeDescriptor::parse(field.type, effort);
  if (effort.is_spent()) return too_much(where);
  if (!parsed.is_ok()) return protocol_error(where + ": " + parsed.status().message());
  if (!field.default_value.empty()) {
    Reader in(field.default_value);
    bool is_value = !in.value().empty() && in.at_end();
    bool is_held = is_value && parsed.value().holds(field.default_value, effort);
    if (effort.is_spent()) return too_much(where);
    if (!is_held) return protocol_error(where + ": the default is not a " + parsed.value().shown());
  }
  type.fields.push_back({&field, std::move(parsed.value())});
  return Status::ok();
}

Status Draft::read_indexes(const Type& type) {
  std::set<std::string_view> indexes;
  for (const IndexDefinition& index : type.definition->indexes) {
    std::string where = type.qualified_name + "." + index.name;
    if (!is_valid_name(index.name))
      return protocol_error(type.qualified_name + " has an index with an impossible name");
    if (!indexes.insert(index.name).second) return protocol_error(where + " is defined twice");
    if (index.fields.empty() || index.fields.size() > limits::kFieldsPerIndexMax)
      return protocol_error(where + " is an index without fields, or with too many");
    if (!effort.take(kStepsOfIndex + kStepsOfIndexField * index.fields.size())) return too_much(where);
    for (const std::string& field : index.fields) {
      if (type.find(field) == nullptr) return protocol_error(where + " is an index over the unknown field " + field);
    }
  }
  return Status::ok();
}

}  // namespace odb
