#include "core/types/matcher.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

bool is_int(uint8_t head) { return head >= kind::kIntMin && head <= kind::kIntMax; }

/// What a value has to begin with, where it is one byte.
uint8_t head_of(Kind kind) {
  switch (kind) {
    case Kind::kNone: return kind::kNone;
    case Kind::kFloat:
    case Kind::kFloat32: return kind::kFloat;
    case Kind::kStr: return kind::kStr;
    case Kind::kBytes: return kind::kBytes;
    case Kind::kDate: return kind::kDate;
    case Kind::kTime: return kind::kTime;
    case Kind::kTimedelta: return kind::kTimedelta;
    case Kind::kDecimal: return kind::kDecimal;
    case Kind::kUuid: return kind::kUuid;
    case Kind::kReference: return kind::kReference;
    case Kind::kTupleOf:
    case Kind::kTuple: return kind::kTuple;
    case Kind::kSetOf: return kind::kSet;
    case Kind::kDictOf: return kind::kDict;
    case Kind::kRecord: return kind::kRecord;
    case Kind::kAlternative: return kind::kAlternative;
    default: return kind::kAbsent;  // no value begins so
  }
}

}  // namespace

bool Matcher::take_int(int64_t least, int64_t greatest) {
  if (!is_int(in_.peek()) || in_.is_large_integer()) return false;
  int64_t value = in_.integer();
  return value >= least && value <= greatest;
}

/// Steps over the value that is next when the type holds it; stands anywhere when it does not.
bool Matcher::match(Placed at) {
  if (steps_left_ == 0) return false;
  --steps_left_;
  const TypeDescriptor& type = *at.type;
  uint8_t head = in_.peek();
  if (uint8_t expected = head_of(type.kind()); expected != kind::kAbsent && head != expected) return false;
  switch (type.kind()) {
    case Kind::kNone: in_.byte(); return true;
    case Kind::kBool: in_.byte(); return head == kind::kFalse || head == kind::kTrue;
    case Kind::kInt: return take_int(INT64_MIN, INT64_MAX);
    case Kind::kInt8: return take_int(INT8_MIN, INT8_MAX);
    case Kind::kInt16: return take_int(INT16_MIN, INT16_MAX);
    case Kind::kInt32: return take_int(INT32_MIN, INT32_MAX);
    case Kind::kUint8: return take_int(0, UINT8_MAX);
    case Kind::kUint16: return take_int(0, UINT16_MAX);
    case Kind::kUint32: return take_int(0, UINT32_MAX);
    case Kind::kUint64:
      if (!is_int(head) || head < kind::kIntZero) return false;
      in_.unsigned_integer();
      return true;
    case Kind::kFloat: in_.take(9); return true;
    case Kind::kFloat32: {
      in_.byte();
      double value = in_.float_after_kind();
      // A cast of what is beyond the greatest float32 is undefined.
      if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) return false;
      return std::isnan(value) || static_cast<double>(static_cast<float>(value)) == value;
    }
    case Kind::kStr:
    case Kind::kBytes:
      in_.byte();
      in_.text();
      return true;
    case Kind::kDatetime:
      if (head != kind::kDatetimeAware && head != kind::kDatetimeNaive) return false;
      [[fallthrough]];
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimedelta:
    case Kind::kDecimal:
    case Kind::kUuid: return !in_.value().empty();
    case Kind::kObject: {
      size_t size =
          in_.value().size();  // may be all of it, and be walked through again by every arm that fails behind it
      steps_left_ -= std::min(steps_left_, size / kObjectBytesInStep);
      return size > 0;
    }
    case Kind::kReference: {
      in_.byte();
      int64_t number = in_.integer();
      in_.integer();
      return in_.is_ok() && number == static_cast<int64_t>(type.type().value);
    }
    case Kind::kLiteral: {
      if (!BytesView(in_.position(), in_.remaining()).starts_with(type.literal())) return false;
      in_.take(type.literal().size());  // no value is the beginning of another one
      return true;
    }
    case Kind::kEnum: {
      const TypeDescriptor::Member* member = type.member_of({in_.position(), in_.remaining()});
      if (member != nullptr) in_.take(member->value.size());
      return member != nullptr;
    }
    case Kind::kOneOf: return match_arms(at);
    case Kind::kTupleOf:
    case Kind::kSetOf:
    case Kind::kDictOf:
    case Kind::kTuple: return match_items(at);
    case Kind::kRecord: {
      in_.byte();
      Scope inside{&type, at.scope};
      return in_.tag() == type.tag() && in_.is_ok() && match_fields(type.fields(), &inside);
    }
    case Kind::kAlternative: {
      in_.byte();
      Scope inside{&type, at.scope};
      if (in_.tag() != type.tag()) return false;
      uint32_t arm = in_.arm();
      return in_.is_ok() && arm < type.alternative_arms().size() &&
             match_fields(type.alternative_arms()[arm].fields, &inside);
    }
    case Kind::kForward:
    case Kind::kAgain: {
      Scope frame;
      Placed meant = Scope::behind_names(at, frame);
      return meant.type && match(meant);
    }
  }
  return false;
}

namespace {

/// What the first bytes of a value tell about which arm is meant.
struct Beginning {
  BytesView bytes;
  uint8_t head;
  int64_t number = 0;  // tag of a record or an Alternative, type of a reference

  explicit Beginning(Reader in) : bytes(in.position(), in.remaining()), head(in.byte()) {
    if (head == kind::kRecord || head == kind::kAlternative || head == kind::kReference) number = in.integer();
  }
  bool may_be(const TypeDescriptor& arm) const {
    uint8_t expected = head_of(arm.kind());
    if (expected != kind::kAbsent && head != expected) return false;
    if (arm.kind() == Kind::kLiteral) return bytes.starts_with(arm.literal());
    if (arm.kind() == Kind::kReference) return number == int64_t{arm.type().value};
    return (arm.kind() != Kind::kRecord && arm.kind() != Kind::kAlternative) || number == int64_t{arm.tag()};
  }
};

}  // namespace

/// Arms that cannot be meant are passed by at a small part of what trying one costs: a union may have hundreds, and a value be one byte.
bool Matcher::match_arms(Placed at) {
  const TypeDescriptor& type = *at.type;
  Reader here = in_;
  if (const TypeDescriptor* literal = type.literal_arm_of({in_.position(), in_.remaining()})) {
    in_.take(literal->literal().size());
    return true;
  }
  Beginning beginning(here);
  size_t passed_by = 0;
  for (uint32_t position : type.other_arms()) {
    const TypeDescriptor& arm = type.arms()[position];
    if (steps_left_ == 0) return false;
    Scope frame;
    Placed meant = Scope::behind_names({&arm, at.scope}, frame);
    if (meant.type == nullptr || !beginning.may_be(*meant.type)) {
      if (++passed_by % kPassedByInStep == 0) --steps_left_;
      continue;
    }
    in_ = here;
    if (match(meant)) return true;
  }
  return false;
}

bool Matcher::match_items(Placed at) {
  const TypeDescriptor& type = *at.type;
  in_.byte();
  size_t n = in_.count(1);
  size_t types = type.children().size();
  if (type.kind() == Kind::kTuple && n != types) return false;
  for (size_t i = 0; i < n && type.kind() != Kind::kDictOf; ++i)
    if (!match({&type.children()[i % types], at.scope})) return false;
  for (size_t i = 0; i < n && type.kind() == Kind::kDictOf; ++i)
    if (!match({&type.children()[0], at.scope}) || !match({&type.children()[1], at.scope})) return false;
  return in_.is_ok();
}

/// Marks and values must be the ones that put_fields puts, so that one record has one form.
bool Matcher::match_fields(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope) {
  size_t n = 0;
  uint8_t due = mark::kEnd;  // what the next mark has to be, the last field having been equal to its default
  bool is_last_needed = true;
  for (uint8_t mark; (mark = in_.byte()) != mark::kEnd; ++n) {
    if (n == fields.size() || (due != mark::kEnd && mark != due)) return false;
    const TypeDescriptor::Field& field = fields[n];
    const char* start = in_.position();
    if (!match({&field.type, scope})) return false;
    BytesView value(start, static_cast<size_t>(in_.position() - start));
    steps_left_ -=
        std::min(steps_left_, value.size() / kComparedBytesInStep);  // again by every arm that fails behind it
    is_last_needed = field.is_required || value != field.default_value;
    int order = field.is_required ? 1 : is_last_needed ? compare_values(value, field.default_value) : 0;
    if (order < 0 && mark != mark::kLess) return false;
    if (order > 0 && mark != mark::kGreater) return false;
    due = order == 0 ? mark : mark::kEnd;
  }
  bool is_rest_equal = due == mark::kEnd || due == mark::kEqual;
  auto is_left_out = [](const TypeDescriptor::Field& field) { return !field.is_required; };
  return in_.is_ok() && is_rest_equal && is_last_needed &&
         std::all_of(fields.begin() + static_cast<ptrdiff_t>(n), fields.end(), is_left_out);
}

bool TypeDescriptor::holds(BytesView value) const {
  Effort effort(SIZE_MAX);
  return holds(value, effort);
}

bool TypeDescriptor::holds(BytesView value, Effort& effort) const {
  if (value.empty()) return false;
  auto head = static_cast<uint8_t>(value.front());
  switch (kind_) {  // what the first byte tells: most fields of most types
    case Kind::kNone:
    case Kind::kFloat:
    case Kind::kStr:
    case Kind::kBytes: return head == head_of(kind_);
    case Kind::kBool: return head == kind::kFalse || head == kind::kTrue;
    case Kind::kInt: return is_int(head) && !Reader(value).is_large_integer();
    case Kind::kOneOf:
      if (std::ranges::any_of(children_,
                              [&](const auto& arm) { return arm.kind_ < Kind::kDatetime && arm.holds(value); }))
        return true;
      [[fallthrough]];
    default: return Matcher::matches(value, {this, nullptr}, effort);
  }
}

}  // namespace odb
