/// Random types, and values that they hold. For tests.
#pragma once

#include <optional>

#include "core/codec/value_testing.h"
#include "core/types/scope.h"

namespace odb::testing {

/// A type that parses, of all kinds, nested at most `depth` deep.
TypeDescriptor random_type(Random& random, int depth);
/// A definition that may follow it: ranges grow, arms, members and fields are appended. Nothing when none was found.
std::optional<TypeDescriptor> random_wider(const TypeDescriptor& type, Random& random);
/// A V value of a type whose references are numbered, or nothing when it would have to nest too deep.
std::optional<Bytes> random_value_of(const TypeDescriptor& type, Random& random);
/// app.User has number 7, app.Group 8, others 9.
inline TypeId number_of(const std::string& name) {
  return TypeId{name == "app.User" ? 7u : name == "app.Group" ? 8u : 9u};
}

}  // namespace odb::testing
