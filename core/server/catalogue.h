/// What the server knows of schemas: every type, field and index that any program ever defined, with its number.
/// Numbers are given in the order of first definition and never change. A definition is taken whole or not at all.
/// Thread safety: none; it belongs to the engine.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/protocol/messages.h"
#include "core/store/store.h"
#include "core/types/definition.h"

namespace odb {

class Catalogue {
 public:
  explicit Catalogue(Store& store) : store_(store) {}

  /// Whether a definition could be taken, and sees to it that the indexes it adds to types with objects are made (D17):
  /// `is_ready` when they are. A refusal has a message that shows both sides.
  Status prepare(const SchemaDefinition& definition, size_t objects_max, bool& is_ready);
  /// What prepare() would say, and nothing more.
  Status check_definition(const SchemaDefinition& definition) const;
  /// Marks the indexes in the making that a definition waits for.
  void want_builds(const SchemaDefinition& definition);
  /// Takes what is new in a definition, or refuses it. What is not prepared is done at once, however long that takes.
  /// REQUIRES: no group is in flight when adds_unique_index(), for its members were checked without the index.
  /// Gives its own types and those that references lead to from there, so that a client can number every reference.
  Result<std::vector<TypeId>> define(const SchemaDefinition& definition);

  /// Whether a definition has a unique index that a known type has not (D15).
  bool adds_unique_index(const SchemaDefinition& definition) const;

  MappedType mapped(TypeId type) const;
  /// Numbers that were given, those of dropped types among them.
  size_t type_count() const { return type_count_; }
  /// How often define() changed something.
  uint64_t changes() const { return changes_; }

  /// Everything, for a store that outlives the server; and back. REQUIRES of restore(): nothing is defined yet.
  Bytes encoded() const;
  Status restore(BytesView encoded);

  /// That what is unique is so, in O(n).
  void check() const;

 private:
  Status check_type_count(const SchemaDefinition& definition) const;
  Status check_type(const std::string& qualified_name, const TypeDefinition& type) const;
  Status check_against_known(const std::string& qualified_name, const TypeDefinition& type) const;
  TypeId number_of(const std::string& qualified_name);
  template <class F>
  void each_new_index(const SchemaDefinition& definition, F&& f);
  Status check_clash(const Table& table, const TypeDefinition& type, const IndexDefinition& index) const;
  static Status clash_refusal(const Table& table, const IndexDefinition& index, ObjectId first, ObjectId second);
  std::optional<IndexBuild::Parts> known_parts(const TypeLayout& layout, const TypeDefinition& type,
                                               const IndexDefinition& index) const;
  void extend(TypeId id, const TypeDefinition& type);

  Store& store_;
  std::map<std::string, TypeId> by_name_;  // "schema.Type" -> number
  size_t type_count_ = 0;
  uint64_t changes_ = 0;
};

}  // namespace odb
