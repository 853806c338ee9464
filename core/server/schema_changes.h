/// What a definition would change in a catalogue, and what can be taken out of one: for tools.
///
/// Numbers are never given again: rows know fields by number. What is dropped leaves its place behind, with no name
/// (mapping.h), so the name can be defined anew and gets another number.
/// Thread safety: none needed; nothing is kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/server/stored_types.h"
#include "core/types/definition.h"

namespace odb {

struct SchemaChange {
  enum class Kind { kNewType, kNewField, kNewIndex, kWider, kNarrower, kRefused };
  Kind kind;
  std::string where;  ///< schema.Type, or schema.Type.member
  std::string what;   ///< for people
};

/// In the order of the definition; empty when the catalogue has all of it as it is. A server that knows the objects may
/// refuse more: a unique index, while two of them have one value.
Result<std::vector<SchemaChange>> changes_by(const SchemaDefinition& definition, BytesView catalogue);

/// A type, a field or an index of a catalogue.
struct Dropped {
  Bytes catalogue;  ///< without it
  TypeId type;
  std::optional<FieldId> field;  ///< rows lose its value; none: all objects go, or nothing does
  bool is_index = false;
};
enum class DropKind { kAny, kField, kIndex };

/// Takes `name` out: schema.Type, schema.Type.field, schema.Type.index. `kind` decides where a field and an index have
/// one name. kInvalidArgument: there is no such thing, or others are built on it; the message says what to do.
Result<Dropped> without(BytesView catalogue, const std::string& name, DropKind kind);

/// The row without the value of a field; none when it has none. kProtocol when it is no row of that type.
Result<std::optional<Bytes>> row_without(const TypeLayout& type, BytesView row, FieldId field);

}  // namespace odb
