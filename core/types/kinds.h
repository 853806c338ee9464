/// Which kinds of types are stored alike.
#pragma once

#include "core/types/descriptor.h"

namespace odb {

constexpr bool is_int(TypeDescriptor::Kind kind) {
  using Kind = TypeDescriptor::Kind;
  return kind == Kind::kInt || (kind >= Kind::kInt8 && kind <= Kind::kUint64);
}
constexpr bool is_float(TypeDescriptor::Kind kind) {
  return kind == TypeDescriptor::Kind::kFloat || kind == TypeDescriptor::Kind::kFloat32;
}
constexpr bool is_tuple(TypeDescriptor::Kind kind) {
  return kind == TypeDescriptor::Kind::kTuple || kind == TypeDescriptor::Kind::kTupleOf;
}

}  // namespace odb
