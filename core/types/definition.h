/// What a program says about its schemas, and what the catalogue of a server makes of it.
///
/// A definition names things; a layout numbers them. Fields and indexes of a type are numbered in the order in which
/// they were first defined by anybody, and keep their number for ever: rows store values by field number.
#pragma once

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/types/descriptor.h"

namespace odb {

struct FieldDefinition {
  std::string name;
  std::string type;     ///< descriptor text
  Bytes default_value;  ///< V value; empty: the type's own default
};

struct IndexDefinition {
  std::string name;
  std::vector<std::string> fields;
  bool is_unique = false;  ///< D15
};

struct TypeDefinition {
  std::string name;
  std::vector<FieldDefinition> fields;
  std::vector<IndexDefinition> indexes;
};

struct SchemaDefinition {
  std::string name;
  std::vector<TypeDefinition> types;
};

struct FieldLayout {
  std::string name;     ///< empty: it was dropped, and its number is not given again
  TypeDescriptor type;  ///< references resolved
  Bytes default_value;  ///< what an absent value reads as; never empty
};

struct IndexLayout {
  std::string name;  ///< empty: it was dropped, and has no fields
  std::vector<FieldId> fields;
  bool is_unique = false;  ///< D15: no two objects have one key, unless it holds a None
};

/// One type of the catalogue. id -> position: fields and indexes by their number.
struct TypeLayout {
  TypeId id;
  std::string schema;
  std::string name;  ///< empty, with the schema: it was dropped
  std::vector<FieldLayout> fields;
  std::vector<IndexLayout> indexes;

  bool is_dropped() const { return name.empty(); }
  std::string qualified_name() const { return schema + "." + name; }
  const FieldLayout* field(FieldId number) const {
    return number.value < fields.size() ? &fields[number.value] : nullptr;
  }
};

/// 64 bits of what a type's definition says: its name, fields and indexes, whatever their order and numbers. The same on
/// every server, so that two can be compared at a glance.
uint64_t fingerprint(const TypeLayout& type);

}  // namespace odb
