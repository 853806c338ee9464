/// What is true after a transaction: every object with its fields, computed from the records that the server announced
/// and from nothing else. Indexes follow from the fields.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/codec/record.h"
#include "core/types/definition.h"

namespace odb::simulation {

struct IndexFacts {
  std::vector<FieldId> fields;
  bool is_unique;
};

/// What one type looks like: all that is needed to compute its indexes from fields.
struct TypeFacts {
  std::vector<Bytes> defaults;
  std::vector<IndexFacts> indexes;
};

using Catalog = std::map<TypeId, TypeFacts>;

/// The types of a schema that is the first one of its server, so that they are numbered from 1.
Catalog catalog_of(const SchemaDefinition& definition);

/// All objects at one transaction. Copies share what did not change.
class Model {
 public:
  struct Object {
    TypeId type;
    std::vector<Bytes> values;
  };
  using Members = std::map<Bytes, std::vector<ObjectId>>;  // index key -> ascending by identity

  Model() = default;
  Model(const Model& other) : objects_(other.objects_) {}  // without what was computed from them
  Model(Model&&) = default;

  /// Throws when a record does not fit.
  void apply(const Record& record, const Catalog& catalog);
  /// nullptr: it does not exist.
  const Object* find(ObjectId object) const {
    auto at = objects_.find(object);
    return at == objects_.end() ? nullptr : at->second.get();
  }
  const std::map<ObjectId, std::shared_ptr<const Object>>& objects() const { return objects_; }
  const std::vector<ObjectId>& of_type(TypeId type) const;
  /// D15: objects that have one unique key with another object, None apart.
  std::vector<ObjectId> clashing(const Catalog& catalog) const;
  const Members& index(TypeId type, IndexId index, const Catalog& catalog) const;
  const std::vector<ObjectId>& with_key(TypeId type, IndexId index, const Bytes& key, const Catalog& catalog) const;

 private:
  std::map<ObjectId, std::shared_ptr<const Object>> objects_;
  mutable std::map<TypeId, std::vector<ObjectId>> of_type_;      // computed when first asked for
  mutable std::map<std::pair<TypeId, IndexId>, Members> index_;  // likewise
};

/// S2: the key of an object in an index.
Bytes key_of(const Model::Object& object, const IndexFacts& index);
/// The values that a key is made of, one V value after the other.
Bytes values_of(const Model::Object& object, const IndexFacts& index);

}  // namespace odb::simulation
