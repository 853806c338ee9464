/// What the server knows of schemas: every type, field and index that any program ever defined, with its number.
/// Numbers are given in the order of first definition and never change. A definition is taken whole or not at all.
/// Thread safety: none; it belongs to the engine.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/protocol/messages.h"
#include "core/server/draft.h"
#include "core/store/store.h"
#include "core/types/definition.h"

namespace odb {

class Catalogue {
 public:
  explicit Catalogue(Store& store) : store_(store) {}

  /// Whether a definition could be taken, and sees to it that the indexes it adds to types with objects are made (D17):
  /// `is_ready` when they are. A refusal has a message that shows both sides.
  Status prepare(Draft& draft, size_t objects_max, bool& is_ready);
  /// What prepare() would say, and nothing more.
  Status check_definition(const SchemaDefinition& definition) const;
  /// Marks indexes in the making that a definition waits for.
  void want_builds(std::span<const Draft::Build> builds);
  /// Whether they are made, or one of them cannot be: a definition that waits for them would be answered now.
  bool are_decided(std::span<const Draft::Build> builds) const;
  /// Takes what is new in a definition, or refuses it. What is not prepared is done at once, however long that takes.
  /// REQUIRES: no group is in flight when adds_unique_index(), for its members were checked without the index.
  /// Gives its own types and those that references lead to from there, so that a client can number every reference.
  /// kTransactionTooLarge: they are too many for one answer, or the definition takes too long; in the first case it was taken.
  Result<std::vector<TypeId>> define(const SchemaDefinition& definition);
  /// The same after prepare().
  Result<std::vector<TypeId>> define(Draft& draft);

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
  /// What is kept of a type beside its layout.
  struct Known {
    std::vector<uint32_t> by_name;  // fields that were not dropped, ascending by name
    std::vector<TypeId> targets;    // of its references, each once
    Bytes encoded;                  // encode_catalogue() of it alone
  };

  Status check_against_catalogue(Draft& draft) const;
  Status check_sizes(Draft& draft) const;
  Status check_type(Draft& draft, Draft::Type& type) const;
  Status check_field(Draft& draft, const Draft::Type& type, Draft::Field& field, const Table& table) const;
  Status check_indexes(Draft& draft, const Draft::Type& type, const TypeLayout& layout) const;
  bool adds_index(const Draft::Type& type, TypeId id) const;
  std::optional<uint32_t> find_field(const TypeLayout& layout, std::string_view name) const;
  void remember(TypeId type);
  TypeId number_of(const std::string& qualified_name);
  template <class F>
  void each_new_index(Draft& draft, F&& f);
  Status check_clash(Draft& draft, const Table& table, const Draft::Type& type, const IndexDefinition& index) const;
  static Status clash_refusal(const Table& table, const IndexDefinition& index, ObjectId first, ObjectId second);
  std::optional<IndexBuild::Parts> known_parts(Draft& draft, const TypeLayout& layout, const Draft::Type& type,
                                               const IndexDefinition& index) const;
  void extend(TypeId id, const Draft::Type& type);

  Store& store_;
  std::map<std::string, TypeId> by_name_;  // "schema.Type" -> number
  std::vector<Known> known_;               // number - 1 -> what is kept of it
  size_t bytes_ = 0;                       // of all that is encoded there
  size_t replaced_bytes_ = 0;              // of types as they were before they changed: the store keeps those
  size_t type_count_ = 0;
  uint64_t changes_ = 0;
};

}  // namespace odb
