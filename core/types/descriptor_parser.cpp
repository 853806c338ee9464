/// From the text of a descriptor to the tree, and what is refused on the way.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/types/ambiguity.h"
#include "core/types/defaults.h"
#include "core/types/descriptor.h"
#include "core/types/matcher.h"
#include "core/types/words.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

bool is_valid_qualified_name(std::string_view name) {
  size_t dot = name.rfind('.');
  return dot != name.npos && is_valid_schema_name(name.substr(0, dot)) && is_valid_name(name.substr(dot + 1));
}

/// The beginning of bytes that may be anything, fit for a message: ASCII alone, so that no character is cut in two.
std::string readable(std::string_view text) {
  std::string out(text.substr(0, 80));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

int nibble_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool is_scalar_kind(uint8_t head) {
  return head == kind::kNone || head == kind::kFalse || head == kind::kTrue || head == kind::kFloat ||
         head == kind::kStr || head == kind::kBytes || (head >= kind::kIntMin && head <= kind::kIntMax);
}

/// The kinds of scalars that members of an enum are stored as: what an arm beside them must not hold.
enum Scalars : unsigned { kNones = 1, kBools = 2, kInts = 4, kFloats = 8, kStrs = 16, kBlobs = 32, kAllScalars = 63 };

unsigned scalars_of(Kind kind) {
  switch (kind) {
    case Kind::kNone: return kNones;
    case Kind::kBool: return kBools;
    case Kind::kFloat:
    case Kind::kFloat32: return kFloats;
    case Kind::kStr: return kStrs;
    case Kind::kBytes: return kBlobs;
    case Kind::kObject: return kAllScalars;
    case Kind::kInt: return kInts;
    default: return kind >= Kind::kInt8 && kind <= Kind::kUint64 ? kInts : 0u;
  }
}

unsigned scalars_of(BytesView value) {
  switch (static_cast<uint8_t>(value.front())) {
    case kind::kNone: return kNones;
    case kind::kFalse:
    case kind::kTrue: return kBools;
    case kind::kFloat: return kFloats;
    case kind::kStr: return kStrs;
    case kind::kBytes: return kBlobs;
    default: return kInts;
  }
}

}  // namespace

/// Recursive descent over the grammar in descriptor.h, at most kValueDepthMax deep. Functions give false after they have set problem_.
class DescriptorParser {
 public:
  DescriptorParser(std::string_view text, Effort& effort) : rest_(text), effort_(effort) {}

  Result<TypeDescriptor> parse_whole() {
    if (rest_.size() > limits::kDescriptorBytesMax)
      return protocol_error("type descriptor of " + std::to_string(rest_.size()) + " bytes; at most " +
                            std::to_string(limits::kDescriptorBytesMax) + " are allowed");
    effort_.take(rest_.size() / kBytesInStep);
    std::optional<TypeDescriptor> type = parse_type();
    if (type && !rest_.empty()) fail("has more behind its end");
    if (type && problem_.empty()) finish(*type);
    if (effort_.is_spent())
      return protocol_error(
          "type descriptor takes more work to check than the " + std::to_string(limits::kDefinitionStepsMax) +
          " steps that a definition may take (kDefinitionStepsMax): its types contain each other, or its "
          "arms begin alike, too often");
    if (!problem_.empty()) return protocol_error("type descriptor " + problem_);
    return std::move(*type);
  }

 private:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  bool eat(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool need(char c) { return eat(c) || fail(std::string("lacks a '") + c + "' before '" + readable(rest_) + "'"); }

  std::string_view take_until(std::string_view ends) {
    std::string_view taken = rest_.substr(0, rest_.find_first_of(ends));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::optional<TypeDescriptor> parse_type() {
    if (!effort_.take(kStepsOfNode)) return std::nullopt;
    std::string_view from_here = rest_;
    auto found = std::ranges::find(kKindWords, take_until("(),=:"));
    bool is_composite = rest_.starts_with('(');
    bool is_scalar = found < kKindWords.begin() + static_cast<size_t>(Kind::kReference);
    if (found == kKindWords.end() || is_scalar == is_composite) {
      fail("'" + readable(from_here) + "' is not known here");
      return std::nullopt;
    }
    TypeDescriptor type(static_cast<Kind>(found - kKindWords.begin()));
    if (is_scalar) return type;
    if (depth_ == limits::kValueDepthMax) {
      fail("is nested more than " + std::to_string(limits::kValueDepthMax) + " deep");
      return std::nullopt;
    }
    ++depth_;
    bool is_whole = need('(') && parse_inside(type) && need(')');
    --depth_;
    if (!is_whole) return std::nullopt;
    return type;
  }

  bool parse_inside(TypeDescriptor& type) {
    switch (type.kind_) {
      case Kind::kReference:
        type.name_ = take_until(")");
        return is_valid_qualified_name(type.name_) || fail("holds a reference without a valid schema.Type");
      case Kind::kLiteral: return parse_hex(type.literal_) && check_scalar(type.literal_);
      case Kind::kOneOf: return parse_arms(type);
      case Kind::kTupleOf:
      case Kind::kSetOf: return parse_child(type);
      case Kind::kDictOf: return parse_child(type) && need(',') && parse_child(type);
      case Kind::kTuple: return parse_items(type);
      case Kind::kEnum: return parse_name(type.name_) && parse_members(type);
      case Kind::kAgain: return parse_name(type.name_) && find_binder(type);
      case Kind::kForward:
        if (!parse_name(type.name_) || !need(',')) return false;
        open(type.name_);
        if (!parse_child(type)) return false;
        close();
        return check_forward(type);
      case Kind::kRecord:
        if (!rest_.starts_with(',') && !rest_.starts_with(')') && !parse_name(type.name_)) return false;
        type.tag_ = open(type.name_);
        if (!parse_fields(type.fields_, eat(','))) return false;
        close();
        return true;
      case Kind::kAlternative:
        if (!parse_name(type.name_)) return false;
        type.tag_ = open(type.name_);
        if (!parse_alternative_arms(type)) return false;
        close();
        return true;
      default: return fail("is not known here");
    }
  }

  /// What an `again` may refer to from here on. Gives its tag.
  uint32_t open(const std::string& name) {
    binders_.push_back(name);
    return tags_.emplace_back(record_tag(name));
  }

  void close() {
    binders_.pop_back();
    tags_.pop_back();
  }

  bool parse_name(std::string& name) {
    name = take_until("(),=:");
    return is_valid_part_name(name) || fail("has '" + readable(name) + "' where a name should be");
  }

  bool parse_hex(Bytes& bytes) {
    while (!rest_.empty() && nibble_of(rest_[0]) >= 0) {
      int low = rest_.size() > 1 ? nibble_of(rest_[1]) : -1;
      if (low < 0) return fail("has half a byte");
      bytes.push_back(static_cast<char>(nibble_of(rest_[0]) << 4 | low));
      rest_.remove_prefix(2);
    }
    return true;
  }

  bool check_value(BytesView bytes) {
    Reader in(bytes);
    in.value();
    return (in.is_ok() && in.at_end()) || fail("holds bytes that are no value");
  }

  bool check_scalar(BytesView bytes) {
    if (!check_value(bytes)) return false;
    return is_scalar_kind(static_cast<uint8_t>(bytes.front())) ||
           fail("has a literal or an enum member that is no None, bool, int, float, str or bytes");
  }

  bool parse_child(TypeDescriptor& type) {
    std::optional<TypeDescriptor> child = parse_type();
    if (!child) return false;
    type.children_.push_back(std::move(*child));
    return true;
  }

  bool parse_items(TypeDescriptor& type) {
    if (rest_.starts_with(')')) return true;
    do {
      if (type.children_.size() == limits::kFieldsPerTypeMax) return fail("has a tuple of too many items");
      if (!parse_child(type)) return false;
    } while (eat(','));
    return true;
  }

  bool parse_arms(TypeDescriptor& type) {
    std::set<std::string_view> seen;  // a search through the arms would take seconds for one frame full of them
    do {
      std::string_view from_here = rest_;
      if (!parse_child(type)) return false;
      if (!seen.insert(from_here.substr(0, from_here.size() - rest_.size())).second) return fail("names one arm twice");
      if (type.children_.size() > limits::kFieldsPerTypeMax)
        return fail("has a union of more than " + std::to_string(limits::kFieldsPerTypeMax) + " arms");
    } while (eat(','));
    type.sort_values();
    return type.children_.size() >= 2 || fail("has a oneof without two arms");
  }

  bool parse_members(TypeDescriptor& type) {
    std::set<std::string> names, keys;
    while (eat(',')) {
      TypeDescriptor::Member member;
      if (!parse_name(member.name) || !need('=') || !parse_hex(member.value) || !check_scalar(member.value))
        return false;
      Bytes key;
      append_key(key, member.value);
      if (!effort_.take(kStepsOfMember)) return false;
      if (!names.insert(member.name).second || !keys.insert(key).second)
        return fail("has enum " + readable(type.name_) + " with two members of one name or value");
      if (type.members_.size() == limits::kFieldsPerTypeMax) return fail("has an enum of too many members");
      type.members_.push_back(std::move(member));
    }
    type.sort_values();
    return !type.members_.empty() || fail("has enum " + readable(type.name_) + " without members");
  }

  bool parse_fields(std::vector<TypeDescriptor::Field>& fields, bool has_more) {
    std::set<std::string> names;
    for (; has_more; has_more = eat(',')) {
      std::string name;
      if (!parse_name(name) || !need(':')) return false;
      std::optional<TypeDescriptor> type = parse_type();
      if (!type) return false;
      if (!names.insert(name).second) return fail("has two fields of the name " + readable(name));
      if (fields.size() == limits::kFieldsPerTypeMax) return fail("has a record of too many fields");
      TypeDescriptor::Field field{std::move(name), std::move(*type), true, {}, {}};
      if (eat('=')) {
        field.is_required = false;
        if (!parse_hex(field.given_default) || (!field.given_default.empty() && !check_given(field))) return false;
      }
      fields.push_back(std::move(field));
    }
    return true;
  }

  /// References are numbers of one server's catalogue, which a type's text does not know. And a default that holds the record it is a
  /// field of would be that record's for ever.
  bool check_given(const TypeDescriptor::Field& field) {
    if (!check_value(field.given_default)) return false;
    return check_parts(field.given_default) ||
           fail("has a default of field " + readable(field.name) +
                " that holds a reference, a pickle or the record that the field is in");
  }

  bool check_parts(BytesView value) {
    if (!effort_.take(1 + value.size() / kBytesInStep)) return false;  // each level steps over all that is in it
    Reader in(value);
    switch (uint8_t head = in.byte()) {
      case kind::kReference:
      case kind::kPickle: return false;
      case kind::kTuple:
      case kind::kSet:
      case kind::kDict:
        for (size_t n = in.count(1) * (head == kind::kDict ? 2 : 1); n > 0; --n)
          if (!check_parts(in.value())) return false;
        return true;
      case kind::kCodec: in.text(); return check_parts(in.value());
      case kind::kRecord:
      case kind::kAlternative: {
        uint32_t tag = in.tag();
        if (head == kind::kAlternative) in.arm();
        bool is_nameless = tag == record_tag("");  // any NamedTuple
        if (!is_nameless && std::ranges::find(tags_, tag) != tags_.end()) return false;
        while (in.byte() != mark::kEnd)
          if (!check_parts(in.value())) return false;
        return true;
      }
      default: return true;
    }
  }

  bool parse_alternative_arms(TypeDescriptor& type) {
    std::set<std::string> names;
    while (eat(',')) {
      TypeDescriptor::Arm arm;
      if (!parse_name(arm.name) || !need('(')) return false;
      if (!names.insert(arm.name).second) return fail("has two arms of the name " + readable(arm.name));
      if (type.alternative_arms_.size() == limits::kFieldsPerTypeMax)
        return fail("has an alternative of too many arms");
      if (!parse_fields(arm.fields, !rest_.starts_with(')')) || !need(')')) return false;
      type.alternative_arms_.push_back(std::move(arm));
    }
    return !type.alternative_arms_.empty() || fail("has alternative " + readable(type.name_) + " without arms");
  }

  bool find_binder(TypeDescriptor& again) {
    auto found = std::ranges::find(binders_.rbegin(), binders_.rend(), again.name_);
    again.again_levels_ = static_cast<size_t>(found - binders_.rbegin());
    return found != binders_.rend() || fail("has again(" + readable(again.name_) + ") in nothing of that name");
  }

  /// What forwards and agains stand for is found in two steps, then.
  bool check_forward(const TypeDescriptor& type) {
    Kind stands_for = type.children_.front().kind();
    bool is_name = stands_for == Kind::kForward || stands_for == Kind::kAgain;
    return !is_name || fail("has forward " + readable(type.name_) + " that stands for another one");
  }

  // ---- what can be said of the whole tree only

  void finish(TypeDescriptor& type) {
    if (!check_tree(type, nullptr)) return;
    Defaults defaults(effort_, limits::kDescriptorDefaultsBytesMax);
    bool is_filled = defaults.fill(type);
    if (defaults.is_given_up()) {
      fail("has defaults that are too large");
    } else if (!is_filled) {
      fail("has a field with the default of its type, which has none: give a default, or make the field required");
    } else {
      check_given_defaults(type, nullptr);
    }
  }

  bool check_fields(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope) {
    return std::ranges::all_of(fields, [&](const auto& field) { return check_tree(field.type, scope); });
  }

  bool check_tree(const TypeDescriptor& type, const Scope* scope) {
    Scope inside{&type, scope};
    const Scope* inner = Scope::is_binder(type) ? &inside : scope;
    if (type.kind() == Kind::kOneOf && !check_arms(type, scope)) return false;
    for (const TypeDescriptor& child : type.children())
      if (!check_tree(child, inner)) return false;
    for (const TypeDescriptor::Arm& arm : type.alternative_arms())
      if (!check_fields(arm.fields, inner)) return false;
    return check_fields(type.fields(), inner);
  }

  struct ArmCounts {
    size_t all = 0;
    std::map<Kind, size_t> alike;
  };

  /// How many arms of a kind a union may have, so that Matcher never gives up in one: that is told here, before there is data.
  bool count_arm(Kind kind, ArmCounts& counts) {
    if (++counts.all > limits::kUnionArmsMax)
      return fail("has a union of more than " + std::to_string(limits::kUnionArmsMax) +
                  " arms, literals not counted: write an Alternative, which may have " +
                  std::to_string(limits::kFieldsPerTypeMax));
    bool is_tuple = kind == Kind::kTupleOf || kind == Kind::kTuple;
    if (!is_tuple && kind != Kind::kSetOf && kind != Kind::kDictOf && kind != Kind::kEnum) return true;
    if (++counts.alike[is_tuple ? Kind::kTuple : kind] <= limits::kAlikeArmsMax) return true;
    const char* kinds = is_tuple ? "tuples" : kind == Kind::kSetOf ? "sets" : kind == Kind::kDictOf ? "dicts" : "enums";
    return fail("has a union with more than " + std::to_string(limits::kAlikeArmsMax) + " arms that are " + kinds +
                ": each would have to be tried; make them records, or arms of an Alternative, which are told apart by "
                "their names");
  }

  /// Arms that a reader could not tell apart and that read as different values.
  bool check_arms(const TypeDescriptor& oneof, const Scope* scope) {
    unsigned scalars = 0;
    std::set<uint32_t> records, alternatives;
    std::set<BytesView> literals, members;
    std::vector<const TypeDescriptor*> enums, holders;  // holders: arms that hold values of other types
    ArmCounts counts;
    for (const TypeDescriptor& arm : oneof.arms()) {
      Scope frame;
      const TypeDescriptor& type = *Scope::behind_names({&arm, scope}, frame).type;
      if (arm.kind() != Kind::kLiteral && !count_arm(type.kind(), counts)) return false;
      scalars |= scalars_of(type.kind());
      switch (type.kind()) {
        case Kind::kOneOf: return fail("has a oneof that is an arm of a oneof");
        case Kind::kLiteral: literals.insert(type.literal()); break;
        case Kind::kEnum: enums.push_back(&type); break;
        case Kind::kObject:
        case Kind::kTupleOf:
        case Kind::kTuple:
        case Kind::kSetOf:
        case Kind::kDictOf: holders.push_back(&arm); break;
        case Kind::kRecord:
          if (!records.insert(type.tag()).second)
            return fail("has two arms that are records of the name '" + readable(type.name()) + "' (or of one tag)");
          break;
        case Kind::kAlternative:
          if (!alternatives.insert(type.tag()).second)
            return fail("has two arms that are alternatives of the name '" + readable(type.name()) +
                        "' (or of one tag)");
          break;
        default: break;
      }
    }
    for (const TypeDescriptor* type : enums)
      for (const TypeDescriptor::Member& member : type->members()) {
        bool is_known = (scalars & scalars_of(member.value)) || literals.contains(member.value);
        if (is_known || !members.insert(member.value).second)
          return fail("has enum " + readable(type->name()) + " beside an arm that is stored as its member " +
                      readable(member.name) + " is: nobody could tell which one was meant");
      }
    for (size_t i = 0; i < holders.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        if (Ambiguity(effort_).is_between({holders[j], scope}, {holders[i], scope}))
          return fail(
              "has arms " + readable(holders[j]->shown()) + " and " + readable(holders[i]->shown()) +
              ", which can be stored alike and be read as different values: nobody could tell which one was meant");
      }
    return true;
  }

  bool check_given_defaults(const TypeDescriptor& type, const Scope* scope) {
    Scope inside{&type, scope};
    const Scope* inner = Scope::is_binder(type) ? &inside : scope;
    auto are_held = [&](const std::vector<TypeDescriptor::Field>& fields) {
      return std::ranges::all_of(fields, [&](const TypeDescriptor::Field& field) {
        if (!check_given_defaults(field.type, inner)) return false;
        return field.given_default.empty() || Matcher::matches(field.given_default, {&field.type, inner}, effort_) ||
               fail("has a default of field " + readable(field.name) + " that its type does not hold");
      });
    };
    for (const TypeDescriptor& child : type.children())
      if (!check_given_defaults(child, inner)) return false;
    for (const TypeDescriptor::Arm& arm : type.alternative_arms())
      if (!are_held(arm.fields)) return false;
    return are_held(type.fields());
  }

  std::string_view rest_;
  std::string problem_;
  int depth_ = 0;
  std::vector<std::string> binders_;
  std::vector<uint32_t> tags_;  // of these
  Effort& effort_;
  // As measured beside a step of a Matcher, with what is done to a type later: numbered, compared, shown to clients.
  static constexpr size_t kStepsOfNode = 16, kStepsOfMember = 16, kBytesInStep = 8;
};

Result<TypeDescriptor> TypeDescriptor::parse(std::string_view text, Effort& effort) {
  return DescriptorParser(text, effort).parse_whole();
}

Result<TypeDescriptor> TypeDescriptor::parse(std::string_view text) {
  Effort effort(limits::kDefinitionStepsMax);
  return parse(text, effort);
}

}  // namespace odb
