/// The records, alternatives and forwards around a node of a descriptor, innermost first; what kAgain refers to. Frames live on the stack
/// of whoever walks the tree, so a descriptor holds no pointers into itself and may be copied and moved.
#pragma once

#include "core/types/descriptor.h"

namespace odb {

struct Scope;

/// A node and where it stands.
struct Placed {
  const TypeDescriptor* type;
  const Scope* scope;
};

struct Scope {
  const TypeDescriptor* binder = nullptr;
  const Scope* outer = nullptr;

  static bool is_binder(const TypeDescriptor& type) {
    using Kind = TypeDescriptor::Kind;
    return type.kind() == Kind::kRecord || type.kind() == Kind::kAlternative || type.kind() == Kind::kForward;
  }

  /// The frame of what an `again` inside of this scope refers to; null in a part of a descriptor that was copied out of it.
  static const Scope* frame_of(const TypeDescriptor& again, const Scope* scope) {
    for (size_t levels = again.again_levels(); scope && levels > 0; --levels) scope = scope->outer;
    return scope;
  }

  /// What a node is when it is neither an `again` nor a forward; null in a part that was copied. `frame` is the caller's for
  /// a forward's frame and has to live as long as the result.
  static Placed behind_names(Placed at, Scope& frame) {
    using Kind = TypeDescriptor::Kind;
    if (at.type->kind() == Kind::kAgain) {
      const Scope* found = frame_of(*at.type, at.scope);
      if (!found) return {nullptr, nullptr};
      at = {found->binder, found->outer};
    }
    if (at.type->kind() != Kind::kForward) return at;
    frame = {at.type, at.scope};
    return {&at.type->children().front(), &frame};  // neither forward nor again, says the parser
  }
};

}  // namespace odb
