/// What a field can hold, as a small tree with one text that the catalogue stores, the same on every client:
///
///   type    = "none" | "bool" | "int" | "float" | "str" | "bytes"
///           | "datetime" | "date" | "time" | "timedelta" | "decimal" | "uuid" | "object"
///           | "int8" | "int16" | "int32" | "uint8" | "uint16" | "uint32" | "uint64" | "float32"
///           | "ref(" schema "." type-name ")"
///           | "oneof(" type ("," type)+ ")"        arms, each no oneof, none twice; order matters
///           | "literal(" hex ")"                   V value: None, a bool, an int, a float, a str or bytes
///           | "tupleof(" type ")" | "setof(" type ")" | "dictof(" type "," type ")" | "tuple(" [type ("," type)*] ")"
///           | "enum(" name ("," name "=" hex)+ ")"                 V values as in a literal, all different as keys
///           | "record(" [name] ("," field)* ")"
///           | "alternative(" name ("," name "(" [field ("," field)*] ")")+ ")"
///           | "forward(" name "," type ")"         what again(name) in it refers to
///           | "again(" name ")"                    the nearest enclosing record, alternative or forward of that name
///   field   = name ":" type ["=" [hex]]            no "=": required; "=" alone: the type's own default; else this V value
///
/// Names hold no '(', ')', ',' or control characters, and but for those of schemas and database types no ':' or '=', so the text
/// needs no escapes; hex is lower-case. A schema's name may hold dots (core.service), a type's does not: the last dot is the one
/// between them. At most kDescriptorBytesMax bytes, nested at most kValueDepthMax deep.
///
/// What a peer's descriptor can make long takes an Effort, and gives up when that is spent: then it is an error, or the answer is no.
/// Without one it is limits::kDefinitionStepsMax, so that whatever a server took can be read again anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/effort.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/codec/codec.h"

namespace odb {

class TypeDescriptor {
 public:
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kStr,
    kBytes,
    kDatetime,
    kDate,
    kTime,
    kTimedelta,
    kDecimal,
    kUuid,
    kObject,
    kInt8,
    kInt16,
    kInt32,
    kUint8,
    kUint16,
    kUint32,
    kUint64,
    kFloat32,
    kReference,  // from here on: not scalar, for scalar() makes all before
    kOneOf,
    kLiteral,
    kTupleOf,
    kSetOf,
    kDictOf,
    kTuple,
    kEnum,
    kRecord,
    kAlternative,
    kForward,
    kAgain
  };
  struct Field;   // of a record or of an alternative's arm
  struct Member;  // of an enum
  struct Arm;     // of an alternative

  /// REQUIRES: kind < kReference.
  static TypeDescriptor scalar(Kind kind);
  static TypeDescriptor reference(std::string qualified_type_name);
  static Result<TypeDescriptor> parse(std::string_view text);
  static Result<TypeDescriptor> parse(std::string_view text, Effort& effort);

  TypeDescriptor(const TypeDescriptor&);
  TypeDescriptor(TypeDescriptor&&) noexcept;
  TypeDescriptor& operator=(const TypeDescriptor&);
  TypeDescriptor& operator=(TypeDescriptor&&) noexcept;
  ~TypeDescriptor();

  Kind kind() const { return kind_; }
  /// kEnum, kRecord (may be empty), kAlternative, kForward, kAgain.
  const std::string& name() const { return name_; }
  /// kReference: "schema.Type".
  const std::string& type_name() const { return name_; }
  /// kReference: the catalogue number, 0 until resolve().
  TypeId type() const { return type_; }
  /// kOneOf: its arms. kTupleOf, kSetOf: what it holds. kDictOf: keys, values. kTuple: its items. kForward: what it stands for.
  const std::vector<TypeDescriptor>& children() const { return children_; }
  /// kOneOf: its arms in order.
  const std::vector<TypeDescriptor>& arms() const { return children_; }
  /// kOneOf: which of these are no literals.
  const std::vector<uint32_t>& other_arms() const { return others_; }
  /// kLiteral: its V value.
  BytesView literal() const { return literal_; }
  const std::vector<Member>& members() const { return members_; }
  /// kOneOf: the literal arm that bytes begin with, of which there is one at most; kEnum: such a member. By a search: either may have
  /// thousands. Null when there is none.
  const TypeDescriptor* literal_arm_of(BytesView bytes) const;
  const Member* member_of(BytesView bytes) const;
  /// kRecord.
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<Arm>& alternative_arms() const { return alternative_arms_; }
  /// kRecord, kAlternative: what stands for it in values.
  uint32_t tag() const { return tag_; }
  /// kAgain: how many enclosing records, alternatives and forwards lie between it and the one it refers to.
  size_t again_levels() const { return again_levels_; }

  std::string text() const;
  /// For people: "int or None", "tuple of Line".
  std::string shown() const;
  /// The same with what records, alternatives and enums consist of: "tuple of Line(price: int, count: int = 1)".
  std::string shown_in_full() const;

  /// Every "schema.Type" that references in here name.
  void each_type_name(const std::function<void(const std::string&)>& visit) const;
  /// Fills in catalogue numbers; names without one keep 0.
  void resolve(const std::function<TypeId(const std::string&)>& number_of);
  void resolve(const std::function<TypeId(const std::string&)>& number_of, Effort& effort);

  /// Whether a canonical V value is one that this type holds. References must be resolved. Where arms of a oneof have to be tried in turn
  /// for very long (nested ones that begin alike), the answer is no: a peer may send any type and any value.
  bool holds(BytesView value) const;
  bool holds(BytesView value, Effort& effort) const;
  /// Whether there is a value for a field that nobody set. datetime, date, time, timedelta, decimal and uuid have none, nor has a record
  /// with a required field, nor what would hold itself for ever; a oneof has that of its first arm that has one.
  bool has_default() const;
  bool has_default(Effort& effort) const;
  /// That value: 0, "", None, an unset reference, no items; items' defaults; a record of defaults; the first arm, the first member,
  /// the literal. Empty when there is none. References must be resolved: an unresolved one has no canonical value.
  Bytes default_value() const;
  Bytes default_value(Effort& effort) const;
  /// Whether a definition may change from this to `wider` while values are stored: every value of this is one of `wider` and is read
  /// as the same, fields of records that are not stored have the same defaults. Sure of what it affirms, no more.
  bool widens_to(const TypeDescriptor& wider) const;
  bool widens_to(const TypeDescriptor& wider, Effort& effort) const;

  friend bool operator==(const TypeDescriptor& a, const TypeDescriptor& b) { return a.text() == b.text(); }

 private:
  explicit TypeDescriptor(Kind kind);
  friend class DescriptorParser;
  friend class Defaults;

  void append_text(std::string& out) const;
  void sort_values();
  bool number(const std::function<TypeId(const std::string&)>& number_of);

  Kind kind_;
  TypeId type_;
  uint32_t tag_ = 0;
  size_t again_levels_ = 0;
  std::string name_;
  Bytes literal_;
  std::vector<TypeDescriptor> children_;
  std::vector<Member> members_;
  std::vector<uint32_t> by_value_;  // kOneOf: arms that are literals; kEnum: members. In the order of their bytes
  std::vector<uint32_t> others_;    // kOneOf: arms that are no literals, in their order
  std::vector<Field> fields_;
  std::vector<Arm> alternative_arms_;
};

struct TypeDescriptor::Field {
  std::string name;
  TypeDescriptor type;
  bool is_required = false;
  Bytes given_default;  ///< V value as in the text; empty: required, or the type's own
  Bytes default_value;  ///< V value of a field that is not stored; empty: required
};

struct TypeDescriptor::Member {
  std::string name;
  Bytes value;  ///< V value
};

struct TypeDescriptor::Arm {
  std::string name;
  std::vector<Field> fields;
};

/// Whether a name of a type, field or index can stand in the catalogue: UTF-8, 1 to kNameBytesMax bytes,
/// none of "(),.", ASCII blanks or control characters.
bool is_valid_name(std::string_view name);
/// The same for a schema: such names joined by dots, kNameBytesMax bytes in all.
bool is_valid_schema_name(std::string_view name);
/// Whether a name can stand in a descriptor's records, alternatives, arms, enums, members, fields and forwards: as is_valid_name, no ':' or '='.
bool is_valid_part_name(std::string_view name);

}  // namespace odb
