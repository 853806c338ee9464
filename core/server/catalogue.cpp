#include "core/server/catalogue.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/protocol/mapping.h"

namespace odb {
namespace {

const FieldLayout* find_field(const TypeLayout& layout, const std::string& name) {
  auto found = std::ranges::find(layout.fields, name, &FieldLayout::name);
  return found == layout.fields.end() ? nullptr : &*found;
}

FieldId field_number(const TypeLayout& layout, const std::string& name) {
  return FieldId{static_cast<uint32_t>(find_field(layout, name) - layout.fields.data())};
}

std::string joined(const std::vector<std::string>& names) {
  std::string out = "(";
  for (const std::string& name : names) out += (out.size() > 1 ? ", " : "") + name;
  return out + ")";
}

std::vector<std::string> field_names(const TypeLayout& layout, const IndexLayout& index) {
  std::vector<std::string> names;
  for (FieldId field : index.fields) names.push_back(layout.fields[field.value].name);
  return names;
}

Status mismatch(std::string message) { return {Code::kSchemaMismatch, std::move(message)}; }

/// What a field reads as in objects that nobody set it in. One that its creators have to set has None there, which its
/// type does not hold: no object of theirs is without a value.
Bytes default_of(const FieldDefinition& field, const TypeDescriptor& type) {
  if (!field.default_value.empty()) return field.default_value;
  if (type.has_default()) return type.default_value();
  Bytes none;
  put_none(none);
  return none;
}

/// Whether a field that nobody set is None.
bool is_none_by_default(const FieldDefinition& field) {
  TypeDescriptor type = TypeDescriptor::parse(field.type).value();
  return static_cast<uint8_t>(default_of(field, type).front()) == kind::kNone;
}

/// D15: two objects with the same values in these fields; with a None among them they are nobody's.
std::optional<std::pair<ObjectId, ObjectId>> find_clash(const Table& table, const std::vector<FieldId>& fields) {
  boost::unordered_flat_map<Bytes, ObjectId> holders;
  std::optional<std::pair<ObjectId, ObjectId>> clash;
  table.for_each(kNever, [&](ObjectId object, const Row& row) {
    Bytes key;
    for (FieldId field : fields) {
      BytesView value = table.value_of(row, field);
      if (static_cast<uint8_t>(value.front()) == kind::kNone) return true;
      append_key(key, value);
    }
    auto [holder, is_first] = holders.try_emplace(std::move(key), object);
    if (!is_first) clash.emplace(holder->second, object);
    return is_first;
  });
  return clash;
}

/// The same for an index of a definition. A field that is new as well has one value in all objects.
std::optional<std::pair<ObjectId, ObjectId>> find_clash(const Table& table, const TypeDefinition& type,
                                                        const IndexDefinition& index) {
  std::vector<FieldId> stored;
  for (const std::string& name : index.fields) {
    if (find_field(table.layout(), name) != nullptr) {
      stored.push_back(field_number(table.layout(), name));
    } else if (is_none_by_default(*std::ranges::find(type.fields, name, &FieldDefinition::name))) {
      return std::nullopt;
    }
  }
  return find_clash(table, stored);
}

}  // namespace

// ---- indexes of types that have objects

/// Calls f(table, type, index) for each that a definition adds to a type with objects, until f returns false.
template <class F>
void Catalogue::each_new_index(const SchemaDefinition& definition, F&& f) {
  for (const TypeDefinition& type : definition.types) {
    auto known = by_name_.find(definition.name + "." + type.name);
    if (known == by_name_.end()) continue;
    Table& table = *store_.table(known->second);
    if (table.object_count() == 0) continue;
    for (const IndexDefinition& index : type.indexes) {
      const auto& indexes = table.layout().indexes;
      bool is_new = std::ranges::find(indexes, index.name, &IndexLayout::name) == indexes.end();
      if (is_new && !f(table, type, index)) return;
    }
  }
}

/// What its keys are made of; none while a default of a new field refers to a type that has no number yet.
std::optional<IndexBuild::Parts> Catalogue::known_parts(const TypeLayout& layout, const TypeDefinition& type,
                                                        const IndexDefinition& index) const {
  IndexBuild::Parts parts;
  auto is_new = [&](const FieldDefinition& field) { return find_field(layout, field.name) == nullptr; };
  for (const std::string& name : index.fields) {
    if (const FieldLayout* stored = find_field(layout, name)) {
      parts.push_back({field_number(layout, name), stored->default_value});
      continue;
    }
    auto at = std::ranges::find(type.fields, name, &FieldDefinition::name);
    const FieldDefinition& field = *at;
    FieldId number{static_cast<uint32_t>(layout.fields.size()) +
                   static_cast<uint32_t>(std::count_if(type.fields.begin(), at, is_new))};  // as extend() will give it
    TypeDescriptor descriptor = TypeDescriptor::parse(field.type).value();
    bool is_numbered = true;
    descriptor.resolve([&](const std::string& target) {
      auto known = by_name_.find(target);
      is_numbered = is_numbered && known != by_name_.end();
      return known == by_name_.end() ? TypeId{0} : known->second;
    });
    if (!is_numbered) return std::nullopt;
    parts.push_back({number, default_of(field, descriptor)});
  }
  return parts;
}

Status Catalogue::prepare(const SchemaDefinition& definition, size_t objects_max, bool& is_ready) {
  is_ready = true;
  Status status = check_definition(definition);
  if (!status.is_ok()) return status;
  each_new_index(definition, [&](Table& table, const TypeDefinition& type, const IndexDefinition& index) {
    for (const FieldDefinition& field : type.fields)  // they would get their numbers a moment later
      TypeDescriptor::parse(field.type).value().each_type_name([&](const std::string& name) { number_of(name); });
    IndexBuild::Parts parts = *known_parts(table.layout(), type, index);
    IndexBuild* build = store_.find_build(table, parts, index.is_unique);
    if (build == nullptr) {
      if (store_.build_count() == limits::kIndexBuildsMax) {
        status =
            mismatch(definition.name + " adds indexes to types that have objects, and " +
                     std::to_string(limits::kIndexBuildsMax) + " are being made already: add them a few at a time");
        return false;
      }
      build = &store_.start_build(table, std::move(parts), index.is_unique);
      size_t objects = std::min(objects_max, table.object_count());
      store_.fill(*build, table, objects);
      objects_max -= objects;
    }
    build->is_wanted = true;
    if (auto clash = build->clash()) status = clash_refusal(table, index, clash->first, clash->second);
    is_ready = is_ready && build->is_whole();
    return status.is_ok();
  });
  return status;
}

void Catalogue::want_builds(const SchemaDefinition& definition) {
  each_new_index(definition, [&](Table& table, const TypeDefinition& type, const IndexDefinition& index) {
    auto parts = known_parts(table.layout(), type, index);
    IndexBuild* build = parts ? store_.find_build(table, *parts, index.is_unique) : nullptr;
    if (build != nullptr) build->is_wanted = true;
    return true;
  });
}

Status Catalogue::clash_refusal(const Table& table, const IndexDefinition& index, ObjectId first, ObjectId second) {
  return mismatch(table.layout().qualified_name() + "." + index.name + " over " + joined(index.fields) +
                  " cannot be unique: objects " + std::to_string(std::min(first, second).value) + " and " +
                  std::to_string(std::max(first, second).value) + " have the same value. Change one of them first.");
}

/// D15: of a unique index that is new to a type with objects.
Status Catalogue::check_clash(const Table& table, const TypeDefinition& type, const IndexDefinition& index) const {
  auto parts = known_parts(table.layout(), type, index);
  IndexBuild* build = parts ? store_.find_build(table, *parts, true) : nullptr;
  bool is_made = build != nullptr && build->is_whole();
  auto clash = is_made ? build->clash() : find_clash(table, type, index);
  return clash ? clash_refusal(table, index, clash->first, clash->second) : Status::ok();
}

// ---- definitions

Result<std::vector<TypeId>> Catalogue::define(const SchemaDefinition& definition) {
  Status status = check_definition(definition);
  each_new_index(definition, [&](Table& table, const TypeDefinition& type, const IndexDefinition& index) {
    if (status.is_ok() && index.is_unique) status = check_clash(table, type, index);
    return status.is_ok();
  });
  if (!status.is_ok()) return status;
  std::set<TypeId> named;
  std::vector<TypeId> unvisited;
  auto name = [&](const std::string& qualified_name) {
    TypeId type = number_of(qualified_name);
    if (named.insert(type).second) unvisited.push_back(type);
  };
  for (const TypeDefinition& type : definition.types) name(definition.name + "." + type.name);
  for (const TypeDefinition& type : definition.types) extend(number_of(definition.name + "." + type.name), type);
  while (!unvisited.empty()) {
    const Table& table = *store_.table(unvisited.back());
    unvisited.pop_back();
    for (const FieldLayout& field : table.layout().fields) field.type.each_type_name(name);
  }
  return std::vector<TypeId>(named.begin(), named.end());
}

Status Catalogue::check_definition(const SchemaDefinition& definition) const {
  if (!is_valid_schema_name(definition.name))
    return protocol_error("a schema's name cannot be '" + definition.name + "'");
  if (definition.types.size() > limits::kTypesPerSchemaMax) return protocol_error("too many types in a schema");
  std::set<std::string> names;
  for (const TypeDefinition& type : definition.types) {
    std::string qualified_name = definition.name + "." + type.name;
    if (!is_valid_name(type.name)) return protocol_error("a type's name cannot be '" + type.name + "'");
    if (!names.insert(type.name).second) return protocol_error(qualified_name + " is defined twice");
    Status status = check_type(qualified_name, type);
    if (status.is_ok()) status = check_against_known(qualified_name, type);
    if (!status.is_ok()) return status;
  }
  return check_type_count(definition);
}

Status Catalogue::check_type_count(const SchemaDefinition& definition) const {
  std::set<std::string> added;
  auto add = [&](const std::string& name) {
    if (!by_name_.contains(name)) added.insert(name);
  };
  for (const TypeDefinition& type : definition.types) {
    add(definition.name + "." + type.name);
    for (const FieldDefinition& field : type.fields) TypeDescriptor::parse(field.type).value().each_type_name(add);
  }
  if (type_count_ + added.size() <= limits::kTypeIdMax) return Status::ok();
  return mismatch(definition.name + " would be one schema too many: this server would have more than " +
                  std::to_string(limits::kTypeIdMax) + " types");
}

/// What can be said of a definition by itself.
Status Catalogue::check_type(const std::string& qualified_name, const TypeDefinition& type) const {
  if (type.fields.size() > limits::kFieldsPerTypeMax || type.indexes.size() > limits::kIndexesPerTypeMax)
    return protocol_error(qualified_name + " has too many fields or indexes");
  std::set<std::string> fields, indexes;
  for (const FieldDefinition& field : type.fields) {
    std::string where = qualified_name + "." + field.name;
    if (!is_valid_name(field.name)) return protocol_error(qualified_name + " has a field with an impossible name");
    if (!fields.insert(field.name).second) return protocol_error(where + " is defined twice");
    Result<TypeDescriptor> parsed = TypeDescriptor::parse(field.type);
    if (!parsed.is_ok()) return protocol_error(where + ": " + parsed.status().message());
    if (field.default_value.empty()) continue;
    Reader in(field.default_value);
    if (in.value().empty() || !in.at_end() || !parsed.value().holds(field.default_value))
      return protocol_error(where + ": the default is not a " + field.type);
  }
  for (const IndexDefinition& index : type.indexes) {
    std::string where = qualified_name + "." + index.name;
    if (!is_valid_name(index.name)) return protocol_error(qualified_name + " has an index with an impossible name");
    if (!indexes.insert(index.name).second) return protocol_error(where + " is defined twice");
    if (index.fields.empty() || index.fields.size() > limits::kFieldsPerIndexMax)
      return protocol_error(where + " is an index without fields, or with too many");
    for (const std::string& field : index.fields) {
      if (!fields.contains(field)) return protocol_error(where + " is an index over the unknown field " + field);
    }
  }
  return Status::ok();
}

/// What the definition may not change about a known type.
Status Catalogue::check_against_known(const std::string& qualified_name, const TypeDefinition& type) const {
  auto known = by_name_.find(qualified_name);
  if (known == by_name_.end()) return Status::ok();
  const Table& table = *store_.table(known->second);
  const TypeLayout& layout = table.layout();
  size_t field_count = layout.fields.size(), index_count = layout.indexes.size();
  for (const FieldDefinition& field : type.fields) {
    const FieldLayout* stored = find_field(layout, field.name);
    field_count += stored == nullptr ? 1 : 0;
    TypeDescriptor type_here = TypeDescriptor::parse(field.type).value();
    bool is_required = field.default_value.empty() && !type_here.has_default();
    if (stored == nullptr && is_required && (!layout.fields.empty() || table.object_count() > 0))
      return mismatch(qualified_name + "." + field.name + " is " + type_here.shown() +
                      ", which has no default, and programs that do not know the field create objects too. Give it a "
                      "default, or make it " +
                      type_here.shown() + " or None.");
    if (stored == nullptr) continue;
    if (type_here == stored->type || stored->type.widens_to(type_here) || type_here.widens_to(stored->type)) continue;
    return mismatch(
        qualified_name + "." + field.name + " is " + stored->type.shown_in_full() + " on this server, and " +
        type_here.shown_in_full() + " in this program. Give the field its old type, or one that takes everything " +
        "that the old one does, as " + stored->type.shown() + " or None; or give it another name; or stop " +
        "the server and drop the old one: odb schema drop " + qualified_name + "." + field.name);
  }
  for (const IndexDefinition& index : type.indexes) {
    auto stored = std::ranges::find(layout.indexes, index.name, &IndexLayout::name);
    if (stored != layout.indexes.end()) {
      if (field_names(layout, *stored) != index.fields)
        return mismatch(qualified_name + "." + index.name + " is an index over " +
                        joined(field_names(layout, *stored)) + " on this server, and over " + joined(index.fields) +
                        " in this program. Give the new index another name.");
      if (stored->is_unique != index.is_unique)
        return mismatch(qualified_name + "." + index.name + (stored->is_unique ? " is unique" : " is not unique") +
                        " on this server, and it is" + (index.is_unique ? "" : " not") +
                        " in this program. Define it as the others do, or add an index of another name.");
      continue;
    }
    ++index_count;
  }
  if (field_count > limits::kFieldsPerTypeMax || index_count > limits::kIndexesPerTypeMax)
    return mismatch(qualified_name + " would have " + std::to_string(field_count) + " fields and " +
                    std::to_string(index_count) + " indexes with those that other programs defined; there may be " +
                    std::to_string(limits::kFieldsPerTypeMax) + " and " + std::to_string(limits::kIndexesPerTypeMax));
  return Status::ok();
}

bool Catalogue::adds_unique_index(const SchemaDefinition& definition) const {
  auto is_new = [](const TypeLayout& layout, const IndexDefinition& index) {
    return index.is_unique && std::ranges::find(layout.indexes, index.name, &IndexLayout::name) == layout.indexes.end();
  };
  for (const TypeDefinition& type : definition.types) {
    auto known = by_name_.find(definition.name + "." + type.name);
    if (known == by_name_.end()) continue;
    const TypeLayout& layout = store_.table(known->second)->layout();
    if (std::ranges::any_of(type.indexes, [&](const IndexDefinition& index) { return is_new(layout, index); }))
      return true;
  }
  return false;
}

TypeId Catalogue::number_of(const std::string& qualified_name) {
  auto [known, is_new] = by_name_.try_emplace(qualified_name, TypeId{static_cast<uint32_t>(type_count_ + 1)});
  if (is_new) {
    ++changes_;
    ++type_count_;
    size_t dot = qualified_name.rfind('.');  // a schema's name may have dots, a type's may not
    store_.define({known->second, qualified_name.substr(0, dot), qualified_name.substr(dot + 1), {}, {}});
  }
  return known->second;
}

void Catalogue::extend(TypeId id, const TypeDefinition& type) {
  TypeLayout layout = store_.table(id)->layout();
  bool is_wider = false;
  for (const FieldDefinition& field : type.fields) {
    TypeDescriptor descriptor = TypeDescriptor::parse(field.type).value();
    descriptor.resolve([&](const std::string& name) { return number_of(name); });
    if (find_field(layout, field.name) != nullptr) {
      FieldLayout& stored = layout.fields[field_number(layout, field.name).value];
      if (descriptor == stored.type || !stored.type.widens_to(descriptor)) continue;
      stored.type = std::move(descriptor);  // the default stays (D18)
      is_wider = true;
      continue;
    }
    Bytes default_value = default_of(field, descriptor);
    layout.fields.push_back({field.name, std::move(descriptor), std::move(default_value)});
  }
  for (const IndexDefinition& index : type.indexes) {
    if (std::ranges::find(layout.indexes, index.name, &IndexLayout::name) != layout.indexes.end()) continue;
    std::vector<FieldId> fields;
    for (const std::string& field : index.fields) fields.push_back(field_number(layout, field));
    layout.indexes.push_back({index.name, std::move(fields), index.is_unique});
  }
  const TypeLayout& known = store_.table(id)->layout();
  bool is_extended = layout.fields.size() > known.fields.size() || layout.indexes.size() > known.indexes.size();
  if (!is_extended && !is_wider) return;
  ++changes_;
  store_.define(std::move(layout));
}

MappedType Catalogue::mapped(TypeId type) const {
  const Table* table = store_.table(type);
  return table == nullptr ? MappedType{type, {}, {}, {}, {}} : odb::mapped(table->layout());  // dropped
}

Bytes Catalogue::encoded() const {
  std::vector<MappedType> types;
  for (uint32_t id = 1; id <= type_count_; ++id) types.push_back(mapped(TypeId{id}));
  return encode_catalogue(types);
}

Status Catalogue::restore(BytesView encoded) {
  ODB_CHECK(type_count_ == 0);
  Result<std::vector<TypeLayout>> types = decode_catalogue(encoded);
  if (!types.is_ok()) return types.status();
  type_count_ = types.value().size();
  std::erase_if(types.value(), &TypeLayout::is_dropped);
  for (TypeLayout& type : types.value()) {
    by_name_.emplace(type.qualified_name(), type.id);
    store_.define({type.id, type.schema, type.name, {}, {}});
  }
  for (TypeLayout& type : types.value()) store_.define(std::move(type));
  return Status::ok();
}

void Catalogue::check() const {
  for (const auto& [name, type] : by_name_) {
    const Table& table = *store_.table(type);
    for (const IndexLayout& index : table.layout().indexes)
      ODB_CHECK(!index.is_unique || !find_clash(table, index.fields), name, index.name);  // D15
  }
}

}  // namespace odb
