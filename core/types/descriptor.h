/// What a field can hold, as a small tree with one canonical text that the catalogue stores:
///
///   descriptor = "none" | "bool" | "int" | "float" | "str" | "bytes"
///              | "ref(" schema "." type ")"
///              | "oneof(" arm ("," arm)* ")"          two arms or more, each no oneof, none twice; order matters
///
/// Names hold no '(', ')', ',' or control characters, so the text needs no escapes. A schema's name may hold dots
/// (core.service), a type's does not: the last dot is the one between them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/codec/codec.h"

namespace odb {

class TypeDescriptor {
 public:
  enum class Kind : uint8_t { kNone, kBool, kInt, kFloat, kStr, kBytes, kReference, kOneOf };

  static TypeDescriptor scalar(Kind kind) { return TypeDescriptor(kind); }
  static TypeDescriptor reference(std::string qualified_type_name);
  static Result<TypeDescriptor> parse(std::string_view text);

  Kind kind() const { return kind_; }
  /// kReference: "schema.Type".
  const std::string& type_name() const { return type_name_; }
  /// kReference: the catalogue number, 0 until resolve().
  TypeId type() const { return type_; }
  /// kOneOf: its arms in order.
  const std::vector<TypeDescriptor>& arms() const { return arms_; }

  std::string text() const;
  /// 64 bits of text(), the same everywhere.
  uint64_t fingerprint() const;

  /// Every "schema.Type" that references in here name.
  void each_type_name(const std::function<void(const std::string&)>& visit) const;
  /// Fills in catalogue numbers; names without one keep 0.
  void resolve(const std::function<TypeId(const std::string&)>& number_of);

  /// Whether a canonical V value is one that this type holds. References must be resolved.
  bool holds(BytesView value) const;
  /// The value of a field that nobody set: 0, "", None, an unset reference; a oneof's is its first arm's.
  /// References must be resolved: an unresolved one has no canonical value.
  Bytes default_value() const;

  friend bool operator==(const TypeDescriptor& a, const TypeDescriptor& b) { return a.text() == b.text(); }

 private:
  explicit TypeDescriptor(Kind kind) : kind_(kind) {}
  friend class DescriptorParser;

  Kind kind_;
  std::string type_name_;
  TypeId type_;
  std::vector<TypeDescriptor> arms_;
};

/// Whether a name of a type, field or index can stand in the catalogue: UTF-8, 1 to kNameBytesMax bytes,
/// none of "(),.", ASCII blanks or control characters.
bool is_valid_name(std::string_view name);
/// The same for a schema: such names joined by dots, kNameBytesMax bytes in all.
bool is_valid_schema_name(std::string_view name);

}  // namespace odb
