/// What the server knows of schemas: every type, field and index that any program ever defined, with its number.
/// Numbers are given in the order of first definition and never change. A definition is taken whole or not at all.
/// Thread safety: none; it belongs to the engine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/protocol/messages.h"
#include "core/store/store.h"
#include "core/types/definition.h"

namespace odb {

class Catalogue {
 public:
  explicit Catalogue(Store& store) : store_(store) {}

  /// Takes what is new in a definition, or refuses the definition with a message that shows both sides.
  /// REQUIRES: no group is in flight when adds_unique_index(), for its members were checked without the index.
  /// Gives its own types and those that references lead to from there, so that a client can number every reference.
  Result<std::vector<TypeId>> define(const SchemaDefinition& definition);

  /// Whether a definition has a unique index that a known type has not (D15).
  bool adds_unique_index(const SchemaDefinition& definition) const;

  MappedType mapped(TypeId type) const;
  size_t type_count() const { return by_name_.size(); }
  /// How often define() changed something.
  uint64_t changes() const { return changes_; }

  /// Everything, for a store that outlives the server; and back. REQUIRES of restore(): nothing is defined yet.
  Bytes encoded() const;
  Status restore(BytesView encoded);

  /// That what is unique is so, in O(n).
  void check() const;

 private:
  Status check_definition(const SchemaDefinition& definition) const;
  Status check_type_count(const SchemaDefinition& definition) const;
  Status check_type(const std::string& qualified_name, const TypeDefinition& type) const;
  Status check_against_known(const std::string& qualified_name, const TypeDefinition& type) const;
  TypeId number_of(const std::string& qualified_name);
  void extend(TypeId id, const TypeDefinition& type);

  Store& store_;
  std::map<std::string, TypeId> by_name_;  // "schema.Type" -> number
  uint64_t changes_ = 0;
};

}  // namespace odb
