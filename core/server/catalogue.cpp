#include "core/server/catalogue.h"

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/codec/value.h"
#include "core/protocol/mapping.h"

namespace odb {
namespace {

// Beside the steps of a Draft.
constexpr size_t kBytesInStep = 8, kStepsOfNewType = 64, kIndexesInStep = 8, kStepsOfCompared = 2;

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

/// Each of its fields comes to know all the others (Table::fields_indexed_with).
size_t steps_of_index(size_t fields) { return 4 + fields * fields; }

Status mismatch(std::string message) { return {Code::kSchemaMismatch, std::move(message)}; }

/// The commonest of such cases: two programs added to one enum, and neither knows what the other did.
std::string lacking_members(const TypeDescriptor& stored, const TypeDescriptor& here) {
  using Kind = TypeDescriptor::Kind;
  if (stored.kind() != Kind::kEnum || here.kind() != Kind::kEnum || stored.name() != here.name()) return {};
  std::string lacking, other;
  for (const TypeDescriptor::Member& member : stored.members()) {
    const TypeDescriptor::Member* known = here.member_of(member.value);
    if (known != nullptr && known->name == member.name) continue;
    std::string value = show(decode(member.value, Mode::kValue).value());
    std::string& list = known != nullptr ? other : lacking;
    if (list.size() > limits::kShownBytesMax) continue;
    list += (list.empty() ? "" : ", ") + member.name + " = " + value;
    if (known != nullptr) list += ", which is " + known->name + " here";
  }
  std::string out = lacking.empty() ? "" : " This program's " + here.name() + " lacks " + lacking + ": add that.";
  return other.empty() ? out : out + " On the server " + other + ": give it another value.";
}

/// What a field reads as in objects that nobody set it in. One that its creators have to set has None there, which its
/// type does not hold: no object of theirs is without a value.
Bytes default_of(const FieldDefinition& field, const TypeDescriptor& type, Effort& effort) {
  if (!field.default_value.empty()) return field.default_value;
  Bytes value = type.default_value(effort);
  if (value.empty()) put_none(value);
  return value;
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

}  // namespace

// ---- indexes of types that have objects

/// Calls f(table, type, index) for each that a definition adds to a type with objects, until f returns false.
template <class F>
void Catalogue::each_new_index(Draft& draft, F&& f) {
  for (const Draft::Type& type : draft.types) {
    auto known = by_name_.find(type.qualified_name);
    if (known == by_name_.end()) continue;
    Table& table = *store_.table(known->second);
    if (table.object_count() == 0) continue;
    for (const IndexDefinition& index : type.definition->indexes) {
      const auto& indexes = table.layout().indexes;
      bool is_new = std::ranges::find(indexes, index.name, &IndexLayout::name) == indexes.end();
      if (is_new && !f(table, type, index)) return;
    }
  }
}

/// What its keys are made of; none while a default of a new field refers to a type that has no number yet.
std::optional<IndexBuild::Parts> Catalogue::known_parts(Draft& draft, const TypeLayout& layout, const Draft::Type& type,
                                                        const IndexDefinition& index) const {
  IndexBuild::Parts parts;
  for (const std::string& name : index.fields) {
    const Draft::Field& field = *type.find(name);
    if (field.relation != Draft::Relation::kNew) {
      parts.push_back({FieldId{field.number}, layout.fields[field.number].default_value});
      continue;
    }
    TypeDescriptor descriptor = field.type;
    draft.effort.take(field.definition->type.size());
    bool is_numbered = true;
    auto number_of = [&](const std::string& target) {
      auto known = by_name_.find(target);
      is_numbered = is_numbered && known != by_name_.end();
      return known == by_name_.end() ? TypeId{0} : known->second;
    };
    descriptor.resolve(number_of, draft.effort);
    if (!is_numbered) return std::nullopt;
    parts.push_back({FieldId{field.number}, default_of(*field.definition, descriptor, draft.effort)});
  }
  return parts;
}

Status Catalogue::prepare(Draft& draft, size_t objects_max, bool& is_ready) {
  is_ready = true;
  Status status = draft.read();
  if (status.is_ok()) status = check_against_catalogue(draft);
  if (!status.is_ok()) return status;
  const Draft::Type* numbered = nullptr;
  each_new_index(draft, [&](Table& table, const Draft::Type& type, const IndexDefinition& index) {
    for (const Draft::Field& field : type.fields) {  // they would get their numbers a moment later
      if (numbered != &type) field.type.each_type_name([&](const std::string& name) { number_of(name); });
    }
    numbered = &type;
    IndexBuild::Parts parts = *known_parts(draft, table.layout(), type, index);
    if (draft.effort.is_spent()) {
      status = draft.too_much(type.qualified_name + "." + index.name);
      return false;
    }
    IndexBuild* build = store_.find_build(table, parts, index.is_unique);
    draft.builds.push_back({table.id(), parts, index.is_unique});
    if (build == nullptr) {
      if (store_.build_count() == limits::kIndexBuildsMax) {
        status =
            mismatch(draft.schema() + " adds indexes to types that have objects, and " +
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

void Catalogue::want_builds(std::span<const Draft::Build> builds) {
  for (const Draft::Build& wanted : builds) {
    const Table* table = store_.table(wanted.type);
    IndexBuild* build = table ? store_.find_build(*table, wanted.parts, wanted.is_unique) : nullptr;
    if (build != nullptr) build->is_wanted = true;
  }
}

bool Catalogue::are_decided(std::span<const Draft::Build> builds) const {
  bool are_whole = true;
  for (const Draft::Build& wanted : builds) {
    const Table* table = store_.table(wanted.type);
    IndexBuild* build = table ? store_.find_build(*table, wanted.parts, wanted.is_unique) : nullptr;
    if (build != nullptr && build->clash()) return true;
    are_whole = are_whole && (build == nullptr || build->is_whole());
  }
  return are_whole;
}

Status Catalogue::clash_refusal(const Table& table, const IndexDefinition& index, ObjectId first, ObjectId second) {
  return mismatch(table.layout().qualified_name() + "." + index.name + " over " + joined(index.fields) +
                  " cannot be unique: objects " + std::to_string(std::min(first, second).value) + " and " +
                  std::to_string(std::max(first, second).value) + " have the same value. Change one of them first.");
}

/// D15: of a unique index that is new to a type with objects. A field that is new as well has one value in all of them.
Status Catalogue::check_clash(Draft& draft, const Table& table, const Draft::Type& type,
                              const IndexDefinition& index) const {
  auto parts = known_parts(draft, table.layout(), type, index);
  IndexBuild* build = parts ? store_.find_build(table, *parts, true) : nullptr;
  if (build != nullptr && build->is_whole()) {
    auto clash = build->clash();
    return clash ? clash_refusal(table, index, clash->first, clash->second) : Status::ok();
  }
  std::vector<FieldId> stored;
  for (const std::string& name : index.fields) {
    const Draft::Field& field = *type.find(name);
    if (field.relation != Draft::Relation::kNew) {
      stored.push_back(FieldId{field.number});
    } else if (static_cast<uint8_t>(default_of(*field.definition, field.type, draft.effort).front()) == kind::kNone) {
      return Status::ok();
    }
  }
  auto clash = find_clash(table, stored);
  return clash ? clash_refusal(table, index, clash->first, clash->second) : Status::ok();
}

// ---- definitions

Status Catalogue::check_definition(const SchemaDefinition& definition) const {
  Draft draft(definition);
  Status status = draft.read();
  return status.is_ok() ? check_against_catalogue(draft) : status;
}

Result<std::vector<TypeId>> Catalogue::define(const SchemaDefinition& definition) {
  Draft draft(definition);
  Status status = draft.read();
  if (!status.is_ok()) return status;
  return define(draft);
}

Result<std::vector<TypeId>> Catalogue::define(Draft& draft) {
  Status status = check_against_catalogue(draft);
  each_new_index(draft, [&](Table& table, const Draft::Type& type, const IndexDefinition& index) {
    if (status.is_ok() && index.is_unique) status = check_clash(draft, table, type, index);
    return status.is_ok();
  });
  if (status.is_ok() && draft.effort.is_spent()) status = draft.too_much("its indexes");
  if (!status.is_ok()) return status;
  for (const Draft::Type& type : draft.types) number_of(type.qualified_name);
  for (const Draft::Type& type : draft.types) extend(number_of(type.qualified_name), type);
  std::set<TypeId> named;
  std::vector<TypeId> unvisited;
  size_t bytes = 0;
  auto name = [&](TypeId type) {
    if (!named.insert(type).second) return;
    unvisited.push_back(type);
    bytes += known_[type.value - 1].encoded.size();
  };
  for (const Draft::Type& type : draft.types) name(number_of(type.qualified_name));
  while (!unvisited.empty() && bytes <= limits::kMappingBytesMax && named.size() <= limits::kListItemsMax) {
    TypeId next = unvisited.back();
    unvisited.pop_back();
    for (TypeId target : known_[next.value - 1].targets) name(target);
  }
  if (bytes > limits::kMappingBytesMax || named.size() > limits::kListItemsMax)
    return Status{Code::kTransactionTooLarge,
                  "what this server knows of schema '" + draft.schema() +
                      "' and of the types that it leads to does not fit into an answer, which may have " +
                      std::to_string(limits::kListItemsMax) + " types (kListItemsMax) and " +
                      std::to_string(limits::kMappingBytesMax) +
                      " bytes (kMappingBytesMax): refer from it to fewer types of other schemas, or drop what is not "
                      "used any more (odb schema drop)"};
  return std::vector<TypeId>(named.begin(), named.end());
}

Status Catalogue::check_against_catalogue(Draft& draft) const {
  if (draft.checked_at == changes_) return Status::ok();
  for (Draft::Type& type : draft.types) {
    Status status = check_type(draft, type);
    if (!status.is_ok()) return status;
  }
  Status status = check_sizes(draft);
  if (status.is_ok()) draft.checked_at = changes_;
  return status;
}

/// Of the whole server. What is known already counts again: a server that near its end is full.
Status Catalogue::check_sizes(Draft& draft) const {
  std::set<std::string> added;
  auto add = [&](const std::string& name) {
    if (!by_name_.contains(name) && added.insert(name).second) draft.effort.take(kStepsOfNewType);
  };
  size_t bytes = bytes_, replaced = replaced_bytes_;
  for (const Draft::Type& type : draft.types) {
    add(type.qualified_name);
    size_t bytes_before = bytes;
    for (const Draft::Field& field : type.fields) {
      field.type.each_type_name(add);
      if (field.relation == Draft::Relation::kNew || field.relation == Draft::Relation::kWider)
        bytes += field.definition->name.size() + field.definition->type.size() + field.definition->default_value.size();
    }
    if (draft.effort.is_spent()) return draft.too_much(type.qualified_name);
    auto known = by_name_.find(type.qualified_name);
    bool is_replaced = known != by_name_.end() && (bytes > bytes_before || adds_index(type, known->second));
    if (is_replaced) replaced += known_[known->second.value - 1].encoded.size();
  }
  if (replaced > replaced_bytes_ && replaced > limits::kReplacedBytesMax)
    return mismatch("types of this server were changed so often since it started, or are so large, that " +
                    std::to_string(replaced) + " bytes of how they were before would be kept with this change of " +
                    draft.schema() + "; there may be " + std::to_string(limits::kReplacedBytesMax) +
                    " (kReplacedBytesMax). Stop the server, start it again, and define the schema then");
  for (const std::string& name : added) bytes += name.size();
  if (type_count_ + added.size() > limits::kTypeIdMax)
    return mismatch(draft.schema() + " would be one schema too many: this server would have more than " +
                    std::to_string(limits::kTypeIdMax) + " types");
  if (bytes <= limits::kCatalogueBytesMax) return Status::ok();
  return mismatch(draft.schema() + " would be one schema too many: all types of this server would take " +
                  std::to_string(bytes) + " bytes, and may take " + std::to_string(limits::kCatalogueBytesMax) +
                  " (kCatalogueBytesMax). Drop what is not used any more: odb schema drop");
}

/// What the definition may not change about a known type.
Status Catalogue::check_type(Draft& draft, Draft::Type& type) const {
  auto known = by_name_.find(type.qualified_name);
  static const TypeLayout kNothing{};
  const Table* table = known == by_name_.end() ? nullptr : store_.table(known->second);
  const TypeLayout& layout = table ? table->layout() : kNothing;
  auto field_count = static_cast<uint32_t>(layout.fields.size());
  size_t bytes = table ? known_[known->second.value - 1].encoded.size() : 0;
  size_t bytes_before = bytes;
  for (Draft::Field& field : type.fields) {
    std::optional<uint32_t> stored = table ? find_field(layout, field.definition->name) : std::nullopt;
    field.relation = stored ? Draft::Relation::kSame : Draft::Relation::kNew;
    field.number = stored ? *stored : field_count++;
    Status status = table ? check_field(draft, type, field, *table) : Status::ok();
    if (!status.is_ok()) return status;
    if (field.relation == Draft::Relation::kNew || field.relation == Draft::Relation::kWider)
      bytes += field.definition->name.size() + field.definition->type.size() + field.definition->default_value.size();
  }
  if (table != nullptr && (bytes > bytes_before || adds_index(type, known->second))) {  // its layout is copied
    draft.effort.take(bytes_before / kBytesInStep);
    for (const IndexLayout& index : layout.indexes) draft.effort.take(steps_of_index(index.fields.size()));
  }
  Status status = check_indexes(draft, type, layout);
  if (!status.is_ok()) return status;
  if (draft.effort.is_spent()) return draft.too_much(type.qualified_name);
  if (field_count > limits::kFieldsPerTypeMax)
    return mismatch(type.qualified_name + " would have " + std::to_string(field_count) +
                    " fields with those that other programs defined; there may be " +
                    std::to_string(limits::kFieldsPerTypeMax));
  if (bytes > bytes_before && bytes > limits::kTypeBytesMax)
    return mismatch(type.qualified_name + " would take " + std::to_string(bytes) +
                    " bytes in the catalogue, with the names, types and defaults of all its fields; it may take " +
                    std::to_string(limits::kTypeBytesMax) + " (kTypeBytesMax). Divide it into several types");
  return Status::ok();
}

Status Catalogue::check_field(Draft& draft, const Draft::Type& type, Draft::Field& field, const Table& table) const {
  const TypeLayout& layout = table.layout();
  const FieldDefinition& definition = *field.definition;
  auto where = [&] { return type.qualified_name + "." + definition.name; };
  if (field.relation == Draft::Relation::kNew) {
    bool is_among_others = !layout.fields.empty() || table.object_count() > 0;
    bool is_required = is_among_others && definition.default_value.empty() && !field.type.has_default(draft.effort);
    if (draft.effort.is_spent()) return draft.too_much(where());
    if (!is_required) return Status::ok();
    return mismatch(where() + " is " + field.type.shown() +
                    ", which has no default, and programs that do not know the field create objects too. Give it a "
                    "default, or make it " +
                    field.type.shown() + " or None.");
  }
  const TypeDescriptor& stored = layout.fields[field.number].type;
  std::string text = stored.text();
  if (text == definition.type) return Status::ok();  // no steps: what was taken once is taken from every other client
  draft.effort.take(kStepsOfCompared + text.size() / kBytesInStep);
  using enum Draft::Relation;
  // The likely one first: that large unions are not in each other takes long to find out.
  for (Draft::Relation relation : {text.size() > definition.type.size() ? kNarrower : kWider,
                                   text.size() > definition.type.size() ? kWider : kNarrower}) {
    field.relation = relation;
    bool is_so =
        relation == kWider ? stored.widens_to(field.type, draft.effort) : field.type.widens_to(stored, draft.effort);
    if (draft.effort.is_spent()) return draft.too_much(where());
    if (is_so) return Status::ok();
  }
  Bytes none;
  put_none(none);
  return mismatch(where() + " is " + stored.shown_in_full() + " on this server, and " + field.type.shown_in_full() +
                  " in this program." + lacking_members(stored, field.type) +
                  " Give the field its old type, or one that takes everything that the old one does" +
                  (stored.holds(none, draft.effort) ? "" : ", as " + stored.shown() + " or None") +
                  "; or give it another name; or stop the server and drop the old one: odb schema drop " + where());
}

Status Catalogue::check_indexes(Draft& draft, const Draft::Type& type, const TypeLayout& layout) const {
  size_t index_count = layout.indexes.size();
  for (const IndexDefinition& index : type.definition->indexes) {
    draft.effort.take(1 + layout.indexes.size() / kIndexesInStep);
    auto stored = std::ranges::find(layout.indexes, index.name, &IndexLayout::name);
    if (stored == layout.indexes.end()) {
      draft.effort.take(steps_of_index(index.fields.size()));
      ++index_count;
      continue;
    }
    std::string where = type.qualified_name + "." + index.name;
    if (field_names(layout, *stored) != index.fields)
      return mismatch(where + " is an index over " + joined(field_names(layout, *stored)) +
                      " on this server, and over " + joined(index.fields) +
                      " in this program. Give the new index another name.");
    if (stored->is_unique != index.is_unique)
      return mismatch(where + (stored->is_unique ? " is unique" : " is not unique") + " on this server, and it is" +
                      (index.is_unique ? "" : " not") +
                      " in this program. Define it as the others do, or add an index of another name.");
  }
  if (index_count <= limits::kIndexesPerTypeMax) return Status::ok();
  return mismatch(type.qualified_name + " would have " + std::to_string(index_count) +
                  " indexes with those that other programs defined; there may be " +
                  std::to_string(limits::kIndexesPerTypeMax));
}

bool Catalogue::adds_index(const Draft::Type& type, TypeId id) const {
  const std::vector<IndexLayout>& indexes = store_.table(id)->layout().indexes;
  return std::ranges::any_of(type.definition->indexes, [&](const IndexDefinition& index) {
    return std::ranges::find(indexes, index.name, &IndexLayout::name) == indexes.end();
  });
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
    remember(known->second);
  }
  return known->second;
}

/// REQUIRES: check_type() has found what its fields are.
void Catalogue::extend(TypeId id, const Draft::Type& type) {
  const TypeLayout& known = store_.table(id)->layout();
  auto is_new_index = [&](const IndexDefinition& index) {
    return std::ranges::find(known.indexes, index.name, &IndexLayout::name) == known.indexes.end();
  };
  bool is_changed = adds_index(type, id);
  for (const Draft::Field& field : type.fields)
    is_changed |= field.relation == Draft::Relation::kNew || field.relation == Draft::Relation::kWider;
  if (!is_changed) return;
  replaced_bytes_ += known_[id.value - 1].encoded.size();
  TypeLayout layout = known;
  for (const Draft::Field& field : type.fields) {
    if (field.relation == Draft::Relation::kSame || field.relation == Draft::Relation::kNarrower) continue;
    TypeDescriptor descriptor = field.type;
    Effort effort(limits::kDefinitionStepsMax);  // it was taken with less: it must not be half a type now
    descriptor.resolve([&](const std::string& name) { return number_of(name); }, effort);
    if (field.relation == Draft::Relation::kWider) {
      layout.fields[field.number].type = std::move(descriptor);  // the default stays (D18)
      continue;
    }
    Bytes default_value = default_of(*field.definition, descriptor, effort);
    layout.fields.push_back({field.definition->name, std::move(descriptor), std::move(default_value)});
  }
  for (const IndexDefinition& index : type.definition->indexes) {
    if (!is_new_index(index)) continue;
    std::vector<FieldId> fields;
    for (const std::string& field : index.fields) fields.push_back(FieldId{type.find(field)->number});
    layout.indexes.push_back({index.name, std::move(fields), index.is_unique});
  }
  ++changes_;
  store_.define(std::move(layout));
  remember(id);
}

std::optional<uint32_t> Catalogue::find_field(const TypeLayout& layout, std::string_view name) const {
  const std::vector<uint32_t>& by_name = known_[layout.id.value - 1].by_name;
  auto name_of = [&](uint32_t i) -> std::string_view { return layout.fields[i].name; };
  auto at = std::ranges::lower_bound(by_name, name, {}, name_of);
  return at != by_name.end() && name_of(*at) == name ? std::optional(*at) : std::nullopt;
}

/// What lookups and answers need of a type that is new or has changed.
void Catalogue::remember(TypeId type) {
  known_.resize(std::max<size_t>(known_.size(), type.value));
  const TypeLayout& layout = store_.table(type)->layout();
  Known& known = known_[type.value - 1];
  known.by_name.clear();
  std::set<TypeId> targets;
  for (uint32_t i = 0; i < layout.fields.size(); ++i) {
    if (!layout.fields[i].name.empty()) known.by_name.push_back(i);
    layout.fields[i].type.each_type_name([&](const std::string& name) {
      auto target = by_name_.find(name);
      if (target != by_name_.end()) targets.insert(target->second);
    });
  }
  std::ranges::sort(known.by_name, {}, [&](uint32_t i) -> std::string_view { return layout.fields[i].name; });
  known.targets.assign(targets.begin(), targets.end());
  bytes_ -= known.encoded.size();
  known.encoded = encode_catalogue(std::array{odb::mapped(layout)});
  bytes_ += known.encoded.size();
}

MappedType Catalogue::mapped(TypeId type) const {
  const Table* table = store_.table(type);
  return table == nullptr ? MappedType{type, {}, {}, {}, {}} : odb::mapped(table->layout());  // dropped
}

Bytes Catalogue::encoded() const {
  Bytes out;
  out.reserve(bytes_);
  for (const Known& known : known_) out += known.encoded;
  return out;
}

Status Catalogue::restore(BytesView encoded) {
  ODB_CHECK(type_count_ == 0);
  Result<std::vector<TypeLayout>> types = decode_catalogue(encoded);
  if (!types.is_ok()) return types.status();
  type_count_ = types.value().size();
  known_.resize(type_count_);
  for (const TypeLayout& type : types.value()) {
    if (!type.is_dropped()) continue;
    Bytes& dropped = known_[type.id.value - 1].encoded = encode_catalogue(std::array{odb::mapped(type)});
    bytes_ += dropped.size();
  }
  std::erase_if(types.value(), &TypeLayout::is_dropped);
  for (TypeLayout& type : types.value()) {
    by_name_.emplace(type.qualified_name(), type.id);
    store_.define({type.id, type.schema, type.name, {}, {}});
  }
  for (TypeLayout& type : types.value()) remember(store_.define(std::move(type)).id());
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
