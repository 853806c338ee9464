/// A definition while a catalogue judges it: each of its texts is read once, and what that and everything later takes is counted, for a
/// program may define whatever fits into a frame, and other clients wait meanwhile.
/// Thread safety: none.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/effort.h"
#include "core/base/limits.h"
#include "core/base/status.h"
#include "core/store/index_build.h"
#include "core/types/definition.h"

namespace odb {

class Draft {
 public:
  /// What a field is beside the one of that name in the catalogue.
  enum class Relation : uint8_t { kNew, kSame, kWider, kNarrower };
  struct Field {
    const FieldDefinition* definition;
    TypeDescriptor type;
    Relation relation = Relation::kNew;
    uint32_t number = 0;  ///< of the one in the catalogue, or that it will have there
  };
  struct Type {
    const TypeDefinition* definition;
    std::string qualified_name;
    std::vector<Field> fields;
    std::vector<uint32_t> by_name;  ///< fields, ascending by name

    const Field* find(std::string_view name) const;
  };
  /// An index in the making that the definition needs.
  struct Build {
    TypeId type;
    IndexBuild::Parts parts;
    bool is_unique;
  };

  /// REQUIRES: the definition outlives this.
  explicit Draft(const SchemaDefinition& definition, size_t steps_max = limits::kDefinitionStepsMax)
      : definition_(definition), effort(steps_max) {}

  /// What can be said of the definition by itself. kProtocol: no program of ours makes it. kTransactionTooLarge: too_much().
  Status read();
  /// That it takes too long, as known while it looked at `where`.
  Status too_much(const std::string& where) const;

  const SchemaDefinition& definition() const { return definition_; }
  const std::string& schema() const { return definition_.name; }

 private:
  Status read(Type& type, const TypeDefinition& definition);
  Status read_field(Type& type, const FieldDefinition& field);
  Status read_indexes(const Type& type);

  const SchemaDefinition& definition_;

 public:
  Effort effort;
  std::vector<Type> types;
  std::vector<Build> builds;
  std::optional<uint64_t> checked_at;  ///< changes() of the catalogue that it was last found to agree with
};

}  // namespace odb
