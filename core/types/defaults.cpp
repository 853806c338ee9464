#include "core/types/defaults.h"

#include <algorithm>

namespace odb {

using Kind = TypeDescriptor::Kind;

namespace {

constexpr size_t kStepsOfNode = 3, kCopiedBytesInStep = 256;

}  // namespace

bool Defaults::put(Bytes& out, Placed at) {
  size_t size = out.size();
  if (!effort_.take(kStepsOfNode) || levels_ == kLevelsMax || size > limits::kDescriptorBytesMax) is_given_up_ = true;
  if (is_given_up_) return false;
  ++levels_;
  bool is_put = put_kind(out, at);
  if (out.size() > size) effort_.take((out.size() - size) / kCopiedBytesInStep);
  --levels_;
  return is_put;
}

bool Defaults::put_kind(Bytes& out, Placed at) {
  const TypeDescriptor& type = *at.type;
  switch (type.kind()) {
    case Kind::kDatetime:
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimedelta:
    case Kind::kDecimal:
    case Kind::kUuid: return false;
    case Kind::kNone:
    case Kind::kObject: put_none(out); return true;
    case Kind::kBool: put_bool(out, false); return true;
    case Kind::kFloat:
    case Kind::kFloat32: put_float(out, 0.0, Mode::kValue); return true;
    case Kind::kStr: put_str(out, "", Mode::kValue); return true;
    case Kind::kBytes: put_bytes(out, "", Mode::kValue); return true;
    case Kind::kInt:
    case Kind::kInt8:
    case Kind::kInt16:
    case Kind::kInt32:
    case Kind::kUint8:
    case Kind::kUint16:
    case Kind::kUint32:
    case Kind::kUint64: put_int(out, 0); return true;
    case Kind::kReference: put_reference(out, type.type(), ObjectId{0}); return true;
    case Kind::kLiteral: out += type.literal(); return true;
    case Kind::kEnum: out += type.members().front().value; return true;
    case Kind::kTupleOf: put_tuple_head(out, 0); return true;
    case Kind::kSetOf: put_set_head(out, 0); return true;
    case Kind::kDictOf: put_dict_head(out, 0); return true;
    case Kind::kTuple: return put_items(out, at);
    case Kind::kOneOf:
      for (const TypeDescriptor& arm : type.arms()) {
        size_t before = out.size();
        if (put(out, {&arm, at.scope})) return true;
        out.resize(before);
      }
      return false;
    case Kind::kAgain: {
      const Scope* frame = Scope::frame_of(type, at.scope);
      return frame && put(out, {frame->binder, frame->outer});
    }
    case Kind::kRecord:
    case Kind::kAlternative:
    case Kind::kForward: break;
  }
  if (std::ranges::find(open_, &type) != open_.end()) return false;
  open_.push_back(&type);
  Scope inside{&type, at.scope};
  bool is_put = false;
  if (type.kind() == Kind::kForward) {
    is_put = put(out, {&type.children().front(), &inside});
  } else if (type.kind() == Kind::kRecord) {
    put_record_value_head(out, type.tag());
    out.push_back(static_cast<char>(mark::kEnd));
    is_put = have_all(type.fields(), &inside);
  } else {
    put_alternative_head(out, type.tag(), 0);
    out.push_back(static_cast<char>(mark::kEnd));
    is_put = have_all(type.alternative_arms().front().fields, &inside);
  }
  open_.pop_back();
  return is_put;
}

bool Defaults::put_items(Bytes& out, Placed at) {
  if (depth_ == limits::kValueDepthMax) return false;
  put_tuple_head(out, at.type->children().size());
  ++depth_;
  bool are_put =
      std::ranges::all_of(at.type->children(), [&](const auto& item) { return put(out, {&item, at.scope}); });
  --depth_;
  return are_put;
}

/// Fields that are not stored stand for their defaults, which must not need the record that they are in.
bool Defaults::have_all(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope) {
  return std::ranges::all_of(fields, [&](const auto& field) {
    if (field.is_required || !field.given_default.empty()) return !field.is_required;
    Bytes unused;
    return put(unused, {&field.type, scope});
  });
}

bool Defaults::fill(TypeDescriptor& type, const Scope* scope) {
  Scope inside{&type, scope};
  const Scope* inner = Scope::is_binder(type) ? &inside : scope;
  for (TypeDescriptor& child : type.children_)
    if (!fill(child, inner)) return false;
  for (TypeDescriptor::Arm& arm : type.alternative_arms_)
    if (!fill(arm.fields, inner)) return false;
  return fill(type.fields_, inner);
}

bool Defaults::fill(std::vector<TypeDescriptor::Field>& fields, const Scope* scope) {
  for (TypeDescriptor::Field& field : fields) {
    if (!fill(field.type, scope)) return false;
    field.default_value = field.given_default;
    bool is_made = !field.is_required && field.given_default.empty();
    if (is_made && !put(field.default_value, {&field.type, scope})) return false;
    if (field.default_value.size() > bytes_left_) is_given_up_ = true;
    if (is_given_up_) return false;
    bytes_left_ -= field.default_value.size();
  }
  return true;
}

bool TypeDescriptor::has_default(Effort& effort) const {
  Bytes unused;
  return Defaults(effort).put(unused, {this, nullptr});
}

Bytes TypeDescriptor::default_value(Effort& effort) const {
  Bytes out;
  if (!Defaults(effort).put(out, {this, nullptr})) out.clear();
  return out;
}

bool TypeDescriptor::has_default() const {
  Effort effort(limits::kDefinitionStepsMax);
  return has_default(effort);
}

Bytes TypeDescriptor::default_value() const {
  Effort effort(limits::kDefinitionStepsMax);
  return default_value(effort);
}

void TypeDescriptor::resolve(const std::function<TypeId(const std::string&)>& number_of, Effort& effort) {
  if (number(number_of)) Defaults(effort).fill(*this);  // an unset reference is among them
}

void TypeDescriptor::resolve(const std::function<TypeId(const std::string&)>& number_of) {
  Effort effort(limits::kDefinitionStepsMax);
  resolve(number_of, effort);
}

/// Whether there is a reference in it.
bool TypeDescriptor::number(const std::function<TypeId(const std::string&)>& number_of) {
  bool refers = kind_ == Kind::kReference;
  if (refers) type_ = number_of(name_);
  for (TypeDescriptor& child : children_) refers |= child.number(number_of);
  for (Field& field : fields_) refers |= field.type.number(number_of);
  for (Arm& arm : alternative_arms_)
    for (Field& field : arm.fields) refers |= field.type.number(number_of);
  return refers;
}

}  // namespace odb
