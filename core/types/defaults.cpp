#include "core/types/defaults.h"

#include <algorithm>

namespace odb {

using Kind = TypeDescriptor::Kind;

bool Defaults::put(Bytes& out, Placed at) {
  if (steps_left_ == 0 || levels_ == kLevelsMax || out.size() > limits::kDescriptorBytesMax) {
    steps_left_ = 0;
    return false;
  }
  --steps_left_;
  ++levels_;
  bool is_put = put_kind(out, at);
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
    if (field.is_required || !field.given_default.empty()) continue;
    if (!put(field.default_value, {&field.type, scope})) return false;
  }
  return true;
}

bool TypeDescriptor::has_default() const {
  Bytes unused;
  return Defaults().put(unused, {this, nullptr});
}

Bytes TypeDescriptor::default_value() const {
  Bytes out;
  if (!Defaults().put(out, {this, nullptr})) out.clear();
  return out;
}

void TypeDescriptor::resolve(const std::function<TypeId(const std::string&)>& number_of) {
  number(number_of);
  Defaults().fill(*this);  // an unset reference is among them
}

void TypeDescriptor::number(const std::function<TypeId(const std::string&)>& number_of) {
  if (kind_ == Kind::kReference) type_ = number_of(name_);
  for (TypeDescriptor& child : children_) child.number(number_of);
  for (Field& field : fields_) field.type.number(number_of);
  for (Arm& arm : alternative_arms_)
    for (Field& field : arm.fields) field.type.number(number_of);
}

}  // namespace odb
