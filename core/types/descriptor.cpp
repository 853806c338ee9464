#include "core/types/descriptor.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/types/words.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

}  // namespace

TypeDescriptor::TypeDescriptor(Kind kind) : kind_(kind) {}
TypeDescriptor::TypeDescriptor(const TypeDescriptor&) = default;
TypeDescriptor::TypeDescriptor(TypeDescriptor&&) noexcept = default;
TypeDescriptor& TypeDescriptor::operator=(const TypeDescriptor&) = default;
TypeDescriptor& TypeDescriptor::operator=(TypeDescriptor&&) noexcept = default;
TypeDescriptor::~TypeDescriptor() = default;

bool is_valid_schema_name(std::string_view name) {
  bool is_short = name.size() <= limits::kNameBytesMax;
  for (size_t dot; is_short && (dot = name.find('.')) != name.npos; name.remove_prefix(dot + 1))
    if (!is_valid_name(name.substr(0, dot))) return false;
  return is_short && is_valid_name(name);
}

bool is_valid_name(std::string_view name) {
  auto is_bad = [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '(' || c == ')' || c == ',' || c == '.';
  };
  return !name.empty() && name.size() <= limits::kNameBytesMax && is_valid_utf8(name) &&
         std::ranges::none_of(name, is_bad);
}

bool is_valid_part_name(std::string_view name) { return is_valid_name(name) && name.find_first_of(":=") == name.npos; }

TypeDescriptor TypeDescriptor::scalar(Kind kind) {
  ODB_CHECK(kind < Kind::kReference);
  return TypeDescriptor(kind);
}

TypeDescriptor TypeDescriptor::reference(std::string qualified_type_name) {
  TypeDescriptor type(Kind::kReference);
  type.name_ = std::move(qualified_type_name);
  return type;
}

void TypeDescriptor::sort_values() {
  by_value_.clear();
  others_.clear();
  for (uint32_t i = 0; i < children_.size(); ++i)
    (children_[i].kind_ == Kind::kLiteral ? by_value_ : others_).push_back(i);
  for (uint32_t i = 0; i < members_.size(); ++i) by_value_.push_back(i);
  auto value_of = [this](uint32_t i) -> BytesView {
    return members_.empty() ? children_[i].literal_ : members_[i].value;
  };
  std::ranges::sort(by_value_, {}, value_of);
}

// No value is the beginning of another one, so what bytes begin with is the greatest that is not behind them.

const TypeDescriptor* TypeDescriptor::literal_arm_of(BytesView bytes) const {
  auto literal_of = [this](uint32_t i) -> BytesView { return children_[i].literal_; };
  auto behind = std::ranges::upper_bound(by_value_, bytes, {}, literal_of);
  if (behind == by_value_.begin()) return nullptr;
  const TypeDescriptor& arm = children_[*std::prev(behind)];
  return bytes.starts_with(arm.literal_) ? &arm : nullptr;
}

const TypeDescriptor::Member* TypeDescriptor::member_of(BytesView bytes) const {
  auto value_of = [this](uint32_t i) -> BytesView { return members_[i].value; };
  auto behind = std::ranges::upper_bound(by_value_, bytes, {}, value_of);
  if (behind == by_value_.begin()) return nullptr;
  const Member& member = members_[*std::prev(behind)];
  return bytes.starts_with(member.value) ? &member : nullptr;
}

std::string TypeDescriptor::text() const {
  std::string out;
  append_text(out);
  return out;
}

void TypeDescriptor::append_text(std::string& out) const {
  out += word_of(kind_);
  if (kind_ < Kind::kReference) return;
  out += '(';
  out += name_;
  out += hex_of(literal_);
  bool is_first = name_.empty() && kind_ != Kind::kRecord;
  auto separate = [&] {
    if (!is_first) out += ',';
    is_first = false;
  };
  auto append_field = [&](const Field& field) {
    separate();
    out += field.name;
    out += ':';
    field.type.append_text(out);
    if (!field.is_required) out += '=';
    out += hex_of(field.given_default);
  };
  for (const TypeDescriptor& child : children_) {
    separate();
    child.append_text(out);
  }
  for (const Member& member : members_) {
    separate();
    out += member.name;
    out += '=';
    out += hex_of(member.value);
  }
  for (const Field& field : fields_) append_field(field);
  for (const Arm& arm : alternative_arms_) {
    separate();
    out += arm.name;
    out += '(';
    is_first = true;
    for (const Field& field : arm.fields) append_field(field);
    is_first = false;
    out += ')';
  }
  out += ')';
}

void TypeDescriptor::each_type_name(const std::function<void(const std::string&)>& visit) const {
  if (kind_ == Kind::kReference) visit(name_);
  for (const TypeDescriptor& child : children_) child.each_type_name(visit);
  for (const Field& field : fields_) field.type.each_type_name(visit);
  for (const Arm& arm : alternative_arms_)
    for (const Field& field : arm.fields) field.type.each_type_name(visit);
}

}  // namespace odb
