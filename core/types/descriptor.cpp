#include "core/types/descriptor.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

constexpr std::array<std::string_view, 6> kScalarNames = {"none", "bool", "int", "float", "str", "bytes"};

bool is_valid_qualified_name(std::string_view name) {
  size_t dot = name.rfind('.');
  return dot != name.npos && is_valid_schema_name(name.substr(0, dot)) && is_valid_name(name.substr(dot + 1));
}

/// The beginning of bytes that may be anything, fit for a message: ASCII alone, so that no character is cut in two.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 80));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace

/// Recursive descent over the grammar in the header. A oneof never nests, so neither does the recursion.
class DescriptorParser {
 public:
  explicit DescriptorParser(std::string_view text) : rest_(text) {}

  Result<TypeDescriptor> parse_whole() {
    Result<TypeDescriptor> parsed = eat("oneof(") ? parse_arms() : parse_simple();
    if (parsed.is_ok() && !rest_.empty()) return protocol_error("type descriptor has more behind its end");
    return parsed;
  }

 private:
  Result<TypeDescriptor> parse_arms() {
    TypeDescriptor type(Kind::kOneOf);
    std::set<std::string_view> seen;  // a search through the arms would take seconds for one frame full of them
    do {
      std::string_view from_here = rest_;
      Result<TypeDescriptor> arm = parse_simple();
      if (!arm.is_ok()) return arm;
      if (!seen.insert(from_here.substr(0, from_here.size() - rest_.size())).second)
        return protocol_error("type descriptor names one arm twice");
      if (type.arms_.size() == limits::kFieldsPerTypeMax) return protocol_error("type descriptor has too many arms");
      type.arms_.push_back(std::move(arm.value()));
    } while (eat(","));
    if (!eat(")")) return protocol_error("type descriptor lacks a ')'");
    if (type.arms_.size() < 2) return protocol_error("a oneof has two arms or more");
    return type;
  }

  Result<TypeDescriptor> parse_simple() {
    if (eat("ref(")) {
      size_t end = rest_.find(')');
      std::string_view name = rest_.substr(0, end);
      if (end == rest_.npos || !is_valid_qualified_name(name))
        return protocol_error("type descriptor holds a reference without a valid schema.Type");
      rest_.remove_prefix(end + 1);
      return TypeDescriptor::reference(std::string(name));
    }
    size_t end = std::min(rest_.find_first_of(",)"), rest_.size());
    auto found = std::ranges::find(kScalarNames, rest_.substr(0, end));
    if (found == kScalarNames.end()) return protocol_error("type descriptor '" + shown(rest_) + "' is not known here");
    rest_.remove_prefix(end);
    return TypeDescriptor::scalar(static_cast<Kind>(found - kScalarNames.begin()));
  }

  bool eat(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::string_view rest_;
};

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

TypeDescriptor TypeDescriptor::reference(std::string qualified_type_name) {
  TypeDescriptor type(Kind::kReference);
  type.type_name_ = std::move(qualified_type_name);
  return type;
}

Result<TypeDescriptor> TypeDescriptor::parse(std::string_view text) { return DescriptorParser(text).parse_whole(); }

std::string TypeDescriptor::text() const {
  if (kind_ == Kind::kReference) return "ref(" + type_name_ + ")";
  if (kind_ != Kind::kOneOf) return std::string(kScalarNames[static_cast<size_t>(kind_)]);
  std::string out = "oneof(";
  for (const TypeDescriptor& arm : arms_) {
    if (&arm != &arms_.front()) out += ",";
    out += arm.text();
  }
  return out + ")";
}

uint64_t TypeDescriptor::fingerprint() const { return hash_bytes(text()); }

void TypeDescriptor::each_type_name(const std::function<void(const std::string&)>& visit) const {
  if (kind_ == Kind::kReference) visit(type_name_);
  for (const TypeDescriptor& arm : arms_) arm.each_type_name(visit);
}

void TypeDescriptor::resolve(const std::function<TypeId(const std::string&)>& number_of) {
  if (kind_ == Kind::kReference) type_ = number_of(type_name_);
  for (TypeDescriptor& arm : arms_) arm.resolve(number_of);
}

bool TypeDescriptor::holds(BytesView value) const {
  if (value.empty()) return false;
  auto head = static_cast<uint8_t>(value.front());
  switch (kind_) {
    case Kind::kNone: return head == kind::kNone;
    case Kind::kBool: return head == kind::kFalse || head == kind::kTrue;
    case Kind::kInt: return head >= kind::kIntMin && head <= kind::kIntMax;
    case Kind::kFloat: return head == kind::kFloat;
    case Kind::kStr: return head == kind::kStr;
    case Kind::kBytes: return head == kind::kBytes;
    case Kind::kOneOf: return std::ranges::any_of(arms_, [&](const auto& arm) { return arm.holds(value); });
    case Kind::kReference: {
      if (head != kind::kReference) return false;
      Reader in(value.substr(1));
      return in.integer() == static_cast<int64_t>(type_.value);
    }
  }
  return false;
}

Bytes TypeDescriptor::default_value() const {
  Bytes out;
  switch (kind_) {
    case Kind::kNone: put_none(out); break;
    case Kind::kBool: put_bool(out, false); break;
    case Kind::kInt: put_int(out, 0); break;
    case Kind::kFloat: put_float(out, 0.0, Mode::kValue); break;
    case Kind::kStr: put_str(out, "", Mode::kValue); break;
    case Kind::kBytes: put_bytes(out, "", Mode::kValue); break;
    case Kind::kReference: put_reference(out, type_, ObjectId{0}); break;
    case Kind::kOneOf: return arms_.front().default_value();
  }
  return out;
}

}  // namespace odb
