#include "core/types/ambiguity.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/types/kinds.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

constexpr size_t kOpenInStep = 16, kTextBytesInStep = 4, kStepsOfMember = 4;

bool has_tag(Kind kind) { return kind == Kind::kRecord || kind == Kind::kAlternative; }
bool is_constant(Kind kind) { return kind == Kind::kLiteral || kind == Kind::kEnum; }

/// The item of a tuple at a place.
const TypeDescriptor& item_of(const TypeDescriptor& tuple, size_t at) {
  return tuple.kind() == Kind::kTupleOf ? tuple.children().front() : tuple.children()[at];
}

}  // namespace

bool Ambiguity::is_between(Placed a, Placed b) { return ask(&Ambiguity::differ, a, b, false); }

bool Ambiguity::ask(Question question, Placed a, Placed b, bool again) {
  if (!effort_.take(1 + open_.size() / kOpenInStep)) return true;
  Scope a_frame, b_frame;
  a = Scope::behind_names(a, a_frame);
  b = Scope::behind_names(b, b_frame);
  std::pair<const TypeDescriptor*, const TypeDescriptor*> pair{a.type, b.type};
  if (std::ranges::find(open_, pair) != open_.end()) return again;
  if (open_.size() == 4 * limits::kValueDepthMax) return true;
  open_.push_back(pair);
  auto of_arms = [&](const Placed& oneof, auto&& ask_arm) {
    return std::ranges::any_of(oneof.type->arms(),
                               [&](const TypeDescriptor& arm) { return ask_arm(Placed{&arm, oneof.scope}); });
  };
  bool found = false;
  if (a.type->kind() == Kind::kOneOf) {
    found = of_arms(a, [&](Placed arm) { return ask(question, arm, b, again); });
  } else if (b.type->kind() == Kind::kOneOf) {
    found = of_arms(b, [&](Placed arm) { return ask(question, a, arm, again); });
  } else {
    found = (this->*question)(a, b);
  }
  open_.pop_back();
  return found;
}

bool Ambiguity::meet(const Placed& a, const Placed& b) {
  Kind left = a.type->kind(), right = b.type->kind();
  if (left == Kind::kObject || right == Kind::kObject) return true;
  if (is_constant(left)) return meets_constants(*a.type, *b.type);
  if (is_constant(right)) return meets_constants(*b.type, *a.type);
  if (is_tuple(left) && is_tuple(right)) return meet_alike(a, b);
  if (has_tag(left)) return left == right && a.type->tag() == b.type->tag();
  if (left == Kind::kReference) return left == right && a.type->type_name() == b.type->type_name();
  return left == right || (is_int(left) && is_int(right)) || (is_float(left) && is_float(right));
}

/// Whether one of the values of a literal or an enum is held by a type that has no parts.
bool Ambiguity::meets_constants(const TypeDescriptor& constants, const TypeDescriptor& other) {
  if (constants.kind() == Kind::kLiteral) return other.holds(constants.literal(), effort_);
  effort_.take(kStepsOfMember * constants.members().size());
  return std::ranges::any_of(constants.members(),
                             [&](const auto& member) { return other.holds(member.value, effort_); });
}

bool Ambiguity::have_other_texts(const TypeDescriptor& a, const TypeDescriptor& b) {
  std::string text = a.text(), other = b.text();
  effort_.take((text.size() + other.size()) / kTextBytesInStep);
  return text != other;
}

/// Tuples, item by item.
bool Ambiguity::meet_alike(const Placed& a, const Placed& b) {
  bool is_left_open = a.type->kind() == Kind::kTupleOf, is_right_open = b.type->kind() == Kind::kTupleOf;
  if (is_left_open && is_right_open) return true;  // both may be empty
  size_t count = (is_left_open ? b : a).type->children().size();
  if (!is_left_open && !is_right_open && count != b.type->children().size()) return false;
  for (size_t i = 0; i < count; ++i) {
    Placed left{&item_of(*a.type, i), a.scope}, right{&item_of(*b.type, i), b.scope};
    if (!ask(&Ambiguity::meet, left, right, true)) return false;
  }
  return true;
}

bool Ambiguity::differ(const Placed& a, const Placed& b) {
  Kind left = a.type->kind(), right = b.type->kind();
  if (left == Kind::kObject) return differ_from_object(b);
  if (right == Kind::kObject) return differ_from_object(a);
  if (left == Kind::kEnum || right == Kind::kEnum || has_tag(left))
    return meet(a, b) && (left != right || have_other_texts(*a.type, *b.type));
  return meet(a, b) && differ_alike(a, b);
}

/// Two that are no enums and no records.
bool Ambiguity::differ_alike(const Placed& a, const Placed& b) {
  auto part = [](const Placed& of, size_t at) { return Placed{&of.type->children()[at], of.scope}; };
  switch (a.type->kind()) {
    case Kind::kTuple:
    case Kind::kTupleOf: return differ_in_items(a, b);
    case Kind::kSetOf: return ask(&Ambiguity::differ, part(a, 0), part(b, 0), false);
    case Kind::kDictOf:
      return ask(&Ambiguity::meet, part(a, 0), part(b, 0), true) &&
             ask(&Ambiguity::meet, part(a, 1), part(b, 1), true) &&
             (ask(&Ambiguity::differ, part(a, 0), part(b, 0), false) ||
              ask(&Ambiguity::differ, part(a, 1), part(b, 1), false));
    default: return false;
  }
}

bool Ambiguity::differ_in_items(const Placed& a, const Placed& b) {
  bool are_open = a.type->kind() == Kind::kTupleOf && b.type->kind() == Kind::kTupleOf;
  size_t count = are_open ? 1 : (a.type->kind() == Kind::kTuple ? a : b).type->children().size();
  for (size_t i = 0; i < count; ++i) {
    if (ask(&Ambiguity::differ, {&item_of(*a.type, i), a.scope}, {&item_of(*b.type, i), b.scope}, false)) return true;
  }
  return false;
}

/// An object field reads records by their names, as a field of their type does, and members of enums as plain values.
bool Ambiguity::differ_from_object(const Placed& type) {
  if (has_tag(type.type->kind())) return false;
  if (type.type->kind() == Kind::kEnum) return true;
  static const TypeDescriptor kObject = TypeDescriptor::scalar(Kind::kObject);
  return std::ranges::any_of(type.type->children(), [&](const TypeDescriptor& child) {
    return ask(&Ambiguity::differ, {&kObject, nullptr}, {&child, type.scope}, false);
  });
}

}  // namespace odb
