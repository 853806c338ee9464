/// Which definitions may follow one another while values are stored.
#include <algorithm>
#include <span>

#include "core/types/kinds.h"
#include "core/types/matcher.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

struct Range {
  int64_t least;
  uint64_t greatest;
};

/// Of the kinds that hold ints; of others nothing.
Range range_of(Kind kind) {
  switch (kind) {
    case Kind::kInt8: return {INT8_MIN, INT8_MAX};
    case Kind::kInt16: return {INT16_MIN, INT16_MAX};
    case Kind::kInt32: return {INT32_MIN, INT32_MAX};
    case Kind::kInt: return {INT64_MIN, INT64_MAX};
    case Kind::kUint8: return {0, UINT8_MAX};
    case Kind::kUint16: return {0, UINT16_MAX};
    case Kind::kUint32: return {0, UINT32_MAX};
    case Kind::kUint64: return {0, UINT64_MAX};
    default: return {1, 0};
  }
}

/// Whether values that two kinds hold may be the same bytes. Literals and enums are compared by their values.
bool begin_alike(Kind a, Kind b) {
  return a == b || a == Kind::kObject || b == Kind::kObject || (is_int(a) && is_int(b)) ||
         (is_float(a) && is_float(b)) || (is_tuple(a) && is_tuple(b));
}

class Widening {
 public:
  explicit Widening(Effort& effort) : effort_(effort) {}
  bool widens(Placed narrow, Placed wide);

 private:
  using Fields = std::vector<TypeDescriptor::Field>;

  bool has_first_arms_of(const TypeDescriptor& wide, const TypeDescriptor& narrow);
  bool widens_to_oneof(Placed narrow, Placed wide);
  bool widens_alike(Placed narrow, Placed wide);
  bool fields_widen(const Fields& narrow, const Scope* narrow_scope, const Fields& wide, const Scope* wide_scope);
  bool is_plain(Placed at);

  // Arms against arms at every level, and through every `again`: work without end for a descriptor made for that.
  Effort& effort_;
  static constexpr size_t kStepsOfPair = 4, kPassedByInStep = 16, kPairsInStep = 16, kComparedBytesInStep = 64,
                          kTextBytesInStep = 4;
  // Recursive types whose circles differ in length meet again after the product of those lengths: a long way down the stack.
  static constexpr size_t kPairsOpenMax = 4 * limits::kValueDepthMax;
  /// Pairs of records, alternatives and forwards that are being compared: where they meet again, they agree if all else does.
  std::vector<std::pair<const TypeDescriptor*, const TypeDescriptor*>> open_;
};

/// Whether values read the same whatever type they are read by: no enum, record or Alternative is made of their bytes.
bool Widening::is_plain(Placed at) {
  if (!effort_.take(1)) return false;
  switch (at.type->kind()) {
    case Kind::kEnum:
    case Kind::kRecord:
    case Kind::kAlternative: return false;
    case Kind::kAgain:
      return false;  // what is recursive and has no record in it is rare: not worth a set of what was seen
    default: break;
  }
  Scope inside{at.type, at.scope};
  const Scope* inner = Scope::is_binder(*at.type) ? &inside : at.scope;
  return std::ranges::all_of(at.type->children(), [&](const auto& child) { return is_plain({&child, inner}); });
}

bool Widening::widens(Placed narrow, Placed wide) {
  if (!effort_.take(kStepsOfPair + open_.size() / kPairsInStep)) return false;
  Scope narrow_frame, wide_frame;
  narrow = Scope::behind_names(narrow, narrow_frame);
  wide = Scope::behind_names(wide, wide_frame);
  if (!narrow.type || !wide.type) return false;
  std::pair<const TypeDescriptor*, const TypeDescriptor*> pair{narrow.type, wide.type};
  if (std::ranges::find(open_, pair) != open_.end()) return true;
  if (open_.size() == kPairsOpenMax) return false;
  open_.push_back(pair);
  bool is_wider = false;
  if (narrow.type->kind() == Kind::kOneOf) {
    auto arm_widens = [&](const TypeDescriptor& arm) { return widens({&arm, narrow.scope}, wide); };
    is_wider = has_first_arms_of(*wide.type, *narrow.type) || std::ranges::all_of(narrow.type->arms(), arm_widens);
  } else if (wide.type->kind() == Kind::kOneOf) {
    is_wider = widens_to_oneof(narrow, wide);
  } else {
    is_wider = widens_alike(narrow, wide);
  }
  open_.pop_back();
  return is_wider;
}

/// Arms that were appended are asked last, whatever they hold. An `again` may mean something else now, so arms with one are not compared
/// by their texts.
bool Widening::has_first_arms_of(const TypeDescriptor& wide, const TypeDescriptor& narrow) {
  if (wide.kind() != Kind::kOneOf || wide.arms().size() < narrow.arms().size()) return false;
  return std::ranges::equal(narrow.arms(), std::span(wide.arms()).first(narrow.arms().size()),
                            [this](const TypeDescriptor& a, const TypeDescriptor& b) {
                              std::string text = a.text(), other = b.text();
                              effort_.take((text.size() + other.size()) / kTextBytesInStep);
                              return text.find("again(") == text.npos && text == other;
                            });
}

/// Some arm holds what is held now, and no other one takes it and makes something else of it.
bool Widening::widens_to_oneof(Placed narrow, Placed wide) {
  bool is_literal = narrow.type->kind() == Kind::kLiteral;
  bool is_found = is_literal && wide.type->literal_arm_of(narrow.type->literal()) != nullptr;
  effort_.take(wide.type->arms().size() / kPassedByInStep);
  for (const TypeDescriptor& arm : wide.type->arms()) {
    if (is_literal && arm.kind() == Kind::kLiteral) continue;  // of hundreds with hundreds: they were searched
    Placed placed{&arm, wide.scope};
    if (widens(narrow, placed)) {
      is_found = true;
      continue;
    }
    Scope frame;
    const TypeDescriptor* other = Scope::behind_names(placed, frame).type;
    bool has_tag = other->kind() == Kind::kRecord || other->kind() == Kind::kAlternative;
    if (other->kind() == Kind::kReference || (has_tag && other->tag() != narrow.type->tag())) continue;
    if (begin_alike(narrow.type->kind(), other->kind()) && !(is_plain(narrow) && is_plain(placed))) return false;
  }
  return is_found;
}

bool Widening::widens_alike(Placed narrow, Placed wide) {
  const TypeDescriptor &from = *narrow.type, &to = *wide.type;
  const auto &from_items = from.children(), &to_items = to.children();
  auto items_widen = [&] {
    return std::ranges::equal(from_items, to_items, [&](const auto& a, const auto& b) {
      return widens({&a, narrow.scope}, {&b, wide.scope});
    });
  };
  // What an object is read as is told by its bytes and the records of the program alone.
  if (to.kind() == Kind::kObject) return is_plain(narrow) || from.kind() == Kind::kObject;
  if (is_int(from.kind()) && is_int(to.kind())) {
    Range a = range_of(from.kind()), b = range_of(to.kind());
    return a.least >= b.least && a.greatest <= b.greatest;
  }
  if (from.kind() == Kind::kFloat32 && to.kind() == Kind::kFloat) return true;
  if (from.kind() == Kind::kTuple && to.kind() == Kind::kTupleOf)
    return std::ranges::all_of(
        from_items, [&](const auto& item) { return widens({&item, narrow.scope}, {&to_items.front(), wide.scope}); });
  if (from.kind() == Kind::kLiteral && to.kind() < Kind::kReference) return to.holds(from.literal());
  if (from.kind() != to.kind()) return false;
  switch (from.kind()) {
    case Kind::kReference: return from.type_name() == to.type_name();
    case Kind::kLiteral: return from.literal() == to.literal();
    case Kind::kTupleOf:
    case Kind::kSetOf:
    case Kind::kDictOf:
    case Kind::kTuple: return items_widen();
    case Kind::kEnum:
      return from.name() == to.name() && std::ranges::all_of(from.members(), [&](const auto& member) {
               const TypeDescriptor::Member* known = effort_.take(kStepsOfPair) ? to.member_of(member.value) : nullptr;
               return known != nullptr && known->name == member.name && known->value == member.value;
             });
    case Kind::kRecord: {
      Scope in_from{&from, narrow.scope}, in_to{&to, wide.scope};
      return from.name() == to.name() && fields_widen(from.fields(), &in_from, to.fields(), &in_to);
    }
    case Kind::kAlternative: {
      Scope in_from{&from, narrow.scope}, in_to{&to, wide.scope};
      const auto &arms = from.alternative_arms(), &wider_arms = to.alternative_arms();
      if (from.name() != to.name() || arms.size() > wider_arms.size()) return false;
      for (size_t i = 0; i < arms.size(); ++i)
        if (arms[i].name != wider_arms[i].name || !fields_widen(arms[i].fields, &in_from, wider_arms[i].fields, &in_to))
          return false;
      return true;
    }
    default: return true;  // scalars
  }
}

/// Fields are stored by their position, and the last ones are not where they are as by default.
bool Widening::fields_widen(const Fields& narrow, const Scope* narrow_scope, const Fields& wide,
                            const Scope* wide_scope) {
  if (narrow.size() > wide.size()) return false;
  for (size_t i = 0; i < wide.size(); ++i) {
    if (i >= narrow.size()) {
      if (wide[i].is_required) return false;
      continue;
    }
    effort_.take(narrow[i].default_value.size() / kComparedBytesInStep);
    bool is_same = narrow[i].name == wide[i].name && narrow[i].default_value == wide[i].default_value;
    if (!is_same || !widens({&narrow[i].type, narrow_scope}, {&wide[i].type, wide_scope})) return false;
  }
  return true;
}

constexpr size_t kCopiedBytesInStep = 4;

}  // namespace

bool TypeDescriptor::widens_to(const TypeDescriptor& wider) const {
  Effort effort(limits::kDefinitionStepsMax);
  return widens_to(wider, effort);
}

bool TypeDescriptor::widens_to(const TypeDescriptor& wider, Effort& effort) const {
  std::string ours = text(), theirs = wider.text();
  if (ours == theirs) return true;
  if (!effort.take((ours.size() + theirs.size()) / kCopiedBytesInStep))
    return false;  // both are copied, with the defaults in them
  // Defaults are compared, and unset references are among them: no matter on whose side numbers are known.
  TypeDescriptor narrow = *this, wide = wider;
  for (TypeDescriptor* type : {&narrow, &wide}) type->resolve([](const std::string&) { return TypeId{0}; }, effort);
  return Widening(effort).widens({&narrow, nullptr}, {&wide, nullptr}) && !effort.is_spent();
}

}  // namespace odb
