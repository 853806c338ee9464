/// A field's type as the bindings need it: the descriptor's tree with the program's classes in it.
///
/// types.py hands it over as a spec, which is a finite tree of tuples:
///
///   spec   = "none" | "bool" | "int" | "float" | "str" | "bytes" | "datetime" | ...          the name of a scalar
///          | a database type                                                                 a reference
///          | ("oneof", spec, ...) | ("literal", value)
///          | ("tupleof", spec) | ("setof", spec) | ("dictof", key, value) | ("tuple", spec, ...)
///          | ("enum", cls, ((member name, member, stored), ...))
///          | ("record", cls, name, "namedtuple" | "dataclass" | "struct", fields)
///          | ("alternative", cls, name, ((arm name, arm class, fields), ...))
///          | ("forward", key, name, spec)       what an ("again", key) in it means
///          | ("again", key)                     key: that of an enclosing forward, or the class of an enclosing record
///   fields = ((name, spec, default), ...)       default: None when it is required, () for the type's own, (value,)
///
/// Types of definitions live for ever, and with them their classes. The GIL guards everything here.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/ref.h"
#include "core/base/bytes.h"
#include "core/types/descriptor.h"

namespace odb {

struct Connection;
struct DatabaseType;
struct FieldType;

using FieldKind = TypeDescriptor::Kind;

/// A field of a record or of an Alternative's arm.
struct PartField {
  Ref name;  // interned
  std::unique_ptr<FieldType> type;
  bool is_required = false;
  Bytes default_bytes;        // empty when required, and when it refers: numbers of types are a connection's
  mutable Ref default_value;  // as Python has it, made when it is first needed
};

/// How an object of a class is taken apart and put together.
enum class Shape : uint8_t { kTuple, kObject, kStruct };

/// A record, or one arm of an Alternative.
struct PartGroup {
  Ref cls;
  Shape shape = Shape::kTuple;
  std::string name;  // empty: anonymous
  std::vector<PartField> fields;
  bool is_all_required = true;  // none of them has a default
  Ref field_names;              // a tuple
  bool is_positional = false;   // kStruct: its class takes all fields in their order, which is faster than by name
};

struct EnumMember {
  std::string name;
  Ref member;
  Bytes stored;
};

struct FieldType {
  FieldKind kind = FieldKind::kNone;
  bool is_plain = true;     // as cheap to decode as to find in a cache
  uint32_t plain_arms = 0;  // kOneOf: 1 << kind of its plain scalar arms

  bool is_whole = false;  // kRecord, kAlternative: all its fields are there; a default must not need it before

  DatabaseType* target = nullptr;                 // kReference
  std::vector<std::unique_ptr<FieldType>> parts;  // arms, elements, key and value; what a forward stands for
  const FieldType* again = nullptr;               // kAgain
  Ref value;                                      // kLiteral
  Bytes stored;                                   // kLiteral; kRecord: what its values begin with
  std::string name;                               // kEnum, kRecord, kAlternative, kForward
  uint32_t tag = 0;                               // kRecord, kAlternative
  Ref cls;                                        // kEnum, kRecord, kAlternative
  std::vector<EnumMember> members;                // kEnum
  std::vector<uint32_t> by_member, by_stored;     // kEnum: their positions, in the order of what is looked for
  std::vector<PartGroup> groups;                  // kRecord: one; kAlternative: its arms

  /// kEnum: the member that an object is, and the one that bytes begin with; nullptr: none. By a search: there may be thousands.
  const EnumMember* member_of(const PyObject* object) const;
  const EnumMember* member_stored_as(BytesView bytes) const;
  /// The descriptor's canonical text.
  std::string text() const;
  /// Whether a field that nobody set has a value.
  bool has_default() const;
  /// Whether that holds references, whose numbers depend on the connection. REQUIRES: has_default().
  bool default_refers() const;
};

/// For people: "int or None", "tuple of Line". Also of a part, which by itself has no descriptor to be shown when it
/// refers to what is around it.
std::string describe(const FieldType& type);

/// False with an exception set; `where` names the field.
bool parse_field_type(PyObject* spec, FieldType& type, const std::string& where);

/// Appends the V value of a field that nobody set. REQUIRES: has_default().
void append_default(const FieldType& type, const Connection* connection, Bytes& out);

/// Calls visit(part) for the type and everything in it.
template <class F>
void each_part_of(const FieldType& type, F&& visit) {
  visit(type);
  for (const auto& part : type.parts) each_part_of(*part, visit);
  for (const PartGroup& group : type.groups) {
    for (const PartField& field : group.fields) each_part_of(*field.type, visit);
  }
}

}  // namespace odb
