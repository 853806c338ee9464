#include "tests/simulation/model.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb::simulation {

Catalog catalog_of(const SchemaDefinition& definition) {
  std::map<std::string, TypeId> types;
  TypeId last;
  for (const TypeDefinition& type : definition.types)
    types[definition.name + "." + type.name] = last = TypeId{last.value + 1};
  Catalog catalog;
  for (const TypeDefinition& type : definition.types) {
    TypeFacts facts;
    std::map<std::string, FieldId> numbers;
    for (const FieldDefinition& field : type.fields) {
      numbers[field.name] = FieldId{static_cast<uint32_t>(facts.defaults.size())};
      TypeDescriptor descriptor = TypeDescriptor::parse(field.type).value();
      descriptor.resolve([&](const std::string& name) { return types.at(name); });
      facts.defaults.push_back(field.default_value.empty() ? descriptor.default_value() : field.default_value);
    }
    for (const IndexDefinition& index : type.indexes) {
      facts.indexes.push_back({{}, index.is_unique});
      for (const std::string& field : index.fields) facts.indexes.back().fields.push_back(numbers.at(field));
    }
    catalog[types.at(definition.name + "." + type.name)] = std::move(facts);
  }
  return catalog;
}

Bytes key_of(const Model::Object& object, const IndexFacts& index) {
  Bytes key;
  for (FieldId field : index.fields) append_key(key, object.values[field.value]);
  return key;
}

Bytes values_of(const Model::Object& object, const IndexFacts& index) {
  Bytes values;
  for (FieldId field : index.fields) values += object.values[field.value];
  return values;
}

void Model::apply(const Record& record, const Catalog& catalog) {
  of_type_.clear(), index_.clear();
  auto at = objects_.find(record.object);
  ODB_CHECK((at == objects_.end()) == (record.op == Op::kCreate), record.object.value);
  if (record.op == Op::kDelete) {
    objects_.erase(at);
    return;
  }
  Object object = record.op == Op::kCreate ? Object{record.type, catalog.at(record.type).defaults} : *at->second;
  ODB_CHECK(object.type == record.type, record.object.value);
  for (const FieldValue& field : record.fields)
    if (!field.value.empty()) object.values.at(field.field.value) = Bytes(field.value);
  objects_[record.object] = std::make_shared<const Object>(std::move(object));
}

const std::vector<ObjectId>& Model::of_type(TypeId type) const {
  auto [at, is_new] = of_type_.try_emplace(type);
  if (is_new) {
    for (const auto& [id, object] : objects_)
      if (object->type == type) at->second.push_back(id);
  }
  return at->second;
}

const Model::Members& Model::index(TypeId type, IndexId index, const Catalog& catalog) const {
  auto [at, is_new] = index_.try_emplace({type, index});
  if (is_new) {
    const IndexFacts& facts = catalog.at(type).indexes[index.value];
    for (const auto& [id, object] : objects_)
      if (object->type == type) at->second[key_of(*object, facts)].push_back(id);
  }
  return at->second;
}

std::vector<ObjectId> Model::clashing(const Catalog& catalog) const {
  std::vector<ObjectId> found;
  for (const auto& [type, facts] : catalog) {
    for (uint32_t i = 0; i < facts.indexes.size(); ++i) {
      if (!facts.indexes[i].is_unique) continue;
      for (const auto& [key, members] : index(type, IndexId{i}, catalog)) {
        const Object& member = *find(members.front());
        auto is_none = [&](FieldId field) { return member.values[field.value][0] == static_cast<char>(kind::kNone); };
        bool may_clash = std::ranges::none_of(facts.indexes[i].fields, is_none);
        if (may_clash && members.size() > 1) found.insert(found.end(), members.begin(), members.end());
      }
    }
  }
  return found;
}

const std::vector<ObjectId>& Model::with_key(TypeId type, IndexId index, const Bytes& key,
                                             const Catalog& catalog) const {
  static const std::vector<ObjectId> kNone;
  const Members& members = this->index(type, index, catalog);
  auto at = members.find(key);
  return at == members.end() ? kNone : at->second;
}

}  // namespace odb::simulation
