#include "core/server/schema_changes.h"

#include <algorithm>

#include "core/protocol/mapping.h"
#include "core/server/catalogue.h"

namespace odb {
namespace {

using Kind = SchemaChange::Kind;

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

/// In full: two definitions may give one name to records of different fields.
std::string shown(const std::string& descriptor) { return TypeDescriptor::parse(descriptor).value().shown_in_full(); }

/// The definition of one type with these members alone.
SchemaDefinition alone(const SchemaDefinition& schema, const TypeDefinition& type, std::vector<FieldDefinition> fields,
                       std::vector<IndexDefinition> indexes) {
  return {schema.name, {{type.name, std::move(fields), std::move(indexes)}}};
}

struct Comparison {
  const SchemaDefinition& schema;
  const TypeDefinition& type;
  const TypeLayout& stored;
  const Catalogue& catalogue;
  std::vector<SchemaChange>& changes;

  std::string where(const std::string& member) const { return stored.qualified_name() + "." + member; }

  void compare_field(const FieldDefinition& field) {
    Status status = catalogue.check_definition(alone(schema, type, {field}, {}));
    auto at = std::ranges::find(stored.fields, field.name, &FieldLayout::name);
    if (!status.is_ok()) {
      changes.push_back({Kind::kRefused, where(field.name), status.message()});
    } else if (at == stored.fields.end()) {
      changes.push_back({Kind::kNewField, where(field.name), shown(field.type)});
    } else if (at->type.text() != field.type) {
      bool is_wider = at->type.widens_to(TypeDescriptor::parse(field.type).value());
      changes.push_back({is_wider ? Kind::kWider : Kind::kNarrower, where(field.name),
                         at->type.shown_in_full() + " on the server, " + shown(field.type) + " in the program"});
    }
  }

  void compare_index(const IndexDefinition& index) {
    auto at = std::ranges::find(stored.indexes, index.name, &IndexLayout::name);
    std::vector<FieldDefinition> fields;  // such as are taken, so that only the index is judged
    for (const FieldDefinition& field : type.fields) {
      if (std::ranges::find(index.fields, field.name) == index.fields.end()) continue;
      auto known = std::ranges::find(stored.fields, field.name, &FieldLayout::name);
      bool is_taken = catalogue.check_definition(alone(schema, type, {field}, {})).is_ok();
      fields.push_back(is_taken                       ? field
                       : known == stored.fields.end() ? FieldDefinition{field.name, "none", {}}
                                                      : FieldDefinition{field.name, known->type.text(), {}});
    }
    Status status = catalogue.check_definition(alone(schema, type, fields, {index}));
    if (!status.is_ok()) {
      changes.push_back({Kind::kRefused, where(index.name), status.message()});
    } else if (at == stored.indexes.end()) {
      changes.push_back(
          {Kind::kNewIndex, where(index.name), "over " + joined(index.fields) + (index.is_unique ? ", unique" : "")});
    }
  }
};

Status refused(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

/// "schema.Type" and the member, of a name whose schema may have dots.
std::pair<TypeLayout*, std::string> find(std::vector<TypeLayout>& types, const std::string& name) {
  for (TypeLayout& type : types) {
    if (type.is_dropped()) continue;
    std::string whole = type.qualified_name();
    if (name == whole) return {&type, {}};
    if (name.starts_with(whole + ".")) return {&type, name.substr(whole.size() + 1)};
  }
  return {nullptr, {}};
}

std::vector<std::string> fields_that_refer_to(const std::vector<TypeLayout>& types, const TypeLayout& target) {
  std::vector<std::string> found;
  for (const TypeLayout& type : types) {
    if (type.id == target.id) continue;
    for (const FieldLayout& field : type.fields) {
      field.type.each_type_name([&](const std::string& name) {
        if (name == target.qualified_name()) found.push_back(type.qualified_name() + "." + field.name);
      });
    }
  }
  return found;
}

}  // namespace

Result<std::vector<SchemaChange>> changes_by(const SchemaDefinition& definition, BytesView encoded) {
  Store store;
  Catalogue catalogue(store);
  Status status = catalogue.restore(encoded);
  if (!status.is_ok()) return status;
  std::vector<SchemaChange> changes;
  for (const TypeDefinition& type : definition.types) {
    std::string name = definition.name + "." + type.name;
    const Table* table = store.find_table(name);
    bool is_new = table == nullptr || (table->layout().fields.empty() && table->layout().indexes.empty());
    status = is_new ? catalogue.check_definition(alone(definition, type, type.fields, type.indexes)) : Status::ok();
    if (!status.is_ok()) {
      changes.push_back({Kind::kRefused, name, status.message()});
      continue;
    }
    if (table == nullptr) {
      std::vector<std::string> fields;
      for (const FieldDefinition& field : type.fields) fields.push_back(field.name);
      changes.push_back({Kind::kNewType, name, fields.empty() ? "without fields" : "with " + joined(fields)});
      continue;
    }
    Comparison comparison{definition, type, table->layout(), catalogue, changes};
    for (const FieldDefinition& field : type.fields) comparison.compare_field(field);
    for (const IndexDefinition& index : type.indexes) comparison.compare_index(index);
  }
  return changes;
}

Result<Dropped> without(BytesView catalogue, const std::string& name, DropKind kind) {
  Result<std::vector<TypeLayout>> decoded = decode_catalogue(catalogue);
  if (!decoded.is_ok()) return decoded.status();
  std::vector<TypeLayout>& types = decoded.value();
  auto [type, member] = find(types, name);
  if (type == nullptr) return refused("there is no " + name + " in the catalogue; odb schema show tells what there is");
  if (type->schema == "core") return refused(type->qualified_name() + " is the server's own type");
  Dropped dropped{{}, type->id, std::nullopt, false};
  if (member.empty()) {
    std::vector<std::string> referring = fields_that_refer_to(types, *type);
    if (!referring.empty()) return refused(joined(referring) + " can refer to " + name + ": drop that first");
    *type = TypeLayout{type->id, {}, {}, {}, {}};
  } else {
    auto field = std::ranges::find(type->fields, member, &FieldLayout::name);
    auto index = std::ranges::find(type->indexes, member, &IndexLayout::name);
    bool has_field = field != type->fields.end() && kind != DropKind::kIndex;
    bool has_index = index != type->indexes.end() && kind != DropKind::kField;
    if (!has_field && !has_index)
      return refused(type->qualified_name() + " has no " +
                     (kind == DropKind::kAny     ? "field or index "
                      : kind == DropKind::kField ? "field "
                                                 : "index ") +
                     member);
    if (has_field && has_index)
      return refused(name +
                     " is a field and an index: say --field, which drops both, or --index, which keeps the field");
    if (has_index) {
      *index = IndexLayout{};
      dropped.is_index = true;
    } else {
      FieldId number{static_cast<uint32_t>(field - type->fields.begin())};
      std::vector<std::string> built;
      for (IndexLayout& each : type->indexes) {
        if (std::ranges::find(each.fields, number) == each.fields.end()) continue;
        if (each.name == member && each.fields.size() == 1) {
          each = IndexLayout{};
        } else {
          built.push_back(type->qualified_name() + "." + each.name);
        }
      }
      if (!built.empty()) return refused(joined(built) + " is built on " + name + ": drop that first");
      TypeDescriptor none = TypeDescriptor::scalar(TypeDescriptor::Kind::kNone);
      Bytes default_value = none.default_value();
      *field = FieldLayout{{}, std::move(none), std::move(default_value)};
      dropped.field = number;
    }
  }
  std::vector<MappedType> mapped_types;
  for (const TypeLayout& each : types) mapped_types.push_back(mapped(each));
  dropped.catalogue = encode_catalogue(mapped_types);
  return dropped;
}

Result<std::optional<Bytes>> row_without(const TypeLayout& type, BytesView row, FieldId field) {
  std::vector<BytesView> values;
  Status status = read_row(type, row, values);
  if (!status.is_ok()) return status;
  if (field.value >= values.size() || values[field.value].empty()) return std::optional<Bytes>();
  std::vector<Bytes> kept(values.begin(), values.end());
  kept[field.value].clear();
  while (!kept.empty() && kept.back().empty()) kept.pop_back();
  return std::optional<Bytes>(row_of(kept));
}

}  // namespace odb
