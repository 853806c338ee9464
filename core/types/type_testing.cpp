#include "core/types/type_testing.h"

#include <algorithm>

#include "core/types/words.h"

namespace odb::testing {
namespace {

using Kind = TypeDescriptor::Kind;

/// Writes the text of a random type; what it writes may be refused by the parser.
class Writer {
 public:
  explicit Writer(Random& random) : random_(random) {}

  std::string type(int depth) {
    auto kind = static_cast<Kind>(below(random_, static_cast<size_t>(depth > 0 ? Kind::kAgain : Kind::kReference) + 1));
    if (kind < Kind::kReference) return std::string(word_of(kind));
    std::string out = std::string(word_of(kind)) + "(" + inside(kind, depth);
    return out.back() == '\0' ? "int" : out + ")";
  }

 private:
  std::string name() { return one_of(random_, std::vector<std::string>{"A", "B", "C", "\u00fcber"}); }
  std::string literal() {
    static const std::vector<std::string> scalars = {"02",     "05",     "8101",  "82012c", "90bff0000000000000",
                                                     "200161", "200162", "240161"};
    return one_of(random_, scalars);
  }

  std::string inside(Kind kind, int depth) {
    size_t n = below(random_, 4);
    std::string out;
    switch (kind) {
      case Kind::kReference: return one_of(random_, std::vector<std::string>{"app.User", "app.Group"});
      case Kind::kLiteral: return literal();
      case Kind::kOneOf:
        out = type(depth - 1);
        for (n += 1; n > 0; --n) out += "," + type(depth - 1);
        return out;
      case Kind::kDictOf: return type(depth - 1) + "," + type(depth - 1);
      case Kind::kTuple:
        for (; n > 0; --n) out += type(depth - 1) + (n > 1 ? "," : "");
        return out;
      case Kind::kEnum:
        out = name();
        for (size_t i = 0; i <= n; ++i) out += ",m" + std::to_string(i) + "=" + literal();
        return out;
      case Kind::kRecord:
        binders_.push_back(below(random_, 4) ? name() : "");
        out = binders_.back();  // before what follows adds its own
        out += fields(depth, true);
        binders_.pop_back();
        return out;
      case Kind::kAlternative:
        binders_.push_back(name());
        out = binders_.back();
        for (size_t i = 0; i <= n; ++i) out += ",a" + std::to_string(i) + "(" + fields(depth, false) + ")";
        binders_.pop_back();
        return out;
      case Kind::kForward:
        binders_.push_back(name());
        out = binders_.back() + ",";
        out += type(depth - 1);
        binders_.pop_back();
        return out;
      case Kind::kAgain:
        if (binders_.empty() || binders_.back().empty()) return std::string(1, '\0');
        return one_of(random_, binders_);
      default: return type(depth - 1);
    }
  }

  std::string fields(int depth, bool is_comma_first) {
    std::string out;
    for (size_t i = 0, n = below(random_, 4); i < n; ++i) {
      if (i > 0 || is_comma_first) out += ",";
      std::string held = type(depth - 1);
      out += "f" + std::to_string(i) + ":" + held + default_of(held);
    }
    return out;
  }

  std::string default_of(const std::string& held) {
    if (below(random_, 3) == 0) return "";
    Result<TypeDescriptor> parsed = TypeDescriptor::parse(held);  // not when it refers to what is around it
    if (!parsed.is_ok() || below(random_, 2)) return "=";
    std::optional<Bytes> value = random_value_of(parsed.value(), random_);
    return value ? "=" + hex_of(*value) : "=";
  }

  Random& random_;
  std::vector<std::string> binders_;
};

class Valuer {
 public:
  explicit Valuer(Random& random) : random_(random) {}

  bool put(Bytes& out, Placed at, int depth_left) {
    const TypeDescriptor& type = *at.type;
    if (depth_left <= 0) return false;
    switch (type.kind()) {
      case Kind::kNone: put_none(out); return true;
      case Kind::kObject: out += encode(random_value(random_, std::min(depth_left - 1, 2)), Mode::kValue); return true;
      case Kind::kInt: return put_int_of(out, INT64_MIN, INT64_MAX);
      case Kind::kInt8: return put_int_of(out, INT8_MIN, INT8_MAX);
      case Kind::kInt16: return put_int_of(out, INT16_MIN, INT16_MAX);
      case Kind::kInt32: return put_int_of(out, INT32_MIN, INT32_MAX);
      case Kind::kUint8: return put_int_of(out, 0, UINT8_MAX);
      case Kind::kUint16: return put_int_of(out, 0, UINT16_MAX);
      case Kind::kUint32: return put_int_of(out, 0, UINT32_MAX);
      case Kind::kUint64:
        put_unsigned(out, one_of(random_, std::vector<uint64_t>{0, 1, uint64_t{1} << 63, UINT64_MAX}));
        return true;
      case Kind::kFloat32:
        put_float(out, one_of(random_, std::vector<double>{0.0, -0.0, 1.5, 3.4028234663852886e38}), Mode::kValue);
        return true;
      case Kind::kReference:
        put_reference(out, type.type(), ObjectId{static_cast<int64_t>(below(random_, 3))});
        return true;
      case Kind::kLiteral: out += type.literal(); return true;
      case Kind::kEnum: out += type.members()[below(random_, type.members().size())].value; return true;
      case Kind::kOneOf: {
        size_t first = below(random_, type.arms().size());
        for (size_t i = 0; i < type.arms().size(); ++i)
          if (put_or_undo(out, {&type.arms()[(first + i) % type.arms().size()], at.scope}, depth_left)) return true;
        return false;
      }
      case Kind::kTupleOf:
      case Kind::kSetOf:
      case Kind::kDictOf:
      case Kind::kTuple: return put_items(out, at, depth_left);
      case Kind::kRecord: {
        Scope inside{&type, at.scope};
        put_record_value_head(out, type.tag());
        return put_all(out, type.fields(), &inside, depth_left);
      }
      case Kind::kAlternative: {
        Scope inside{&type, at.scope};
        size_t arms = type.alternative_arms().size(), arm = depth_left < 8 ? 0 : below(random_, arms);
        put_alternative_head(out, type.tag(), static_cast<uint32_t>(arm));
        return put_all(out, type.alternative_arms()[arm].fields, &inside, depth_left);
      }
      case Kind::kForward:
      case Kind::kAgain: {
        Scope frame;
        return put(out, Scope::behind_names(at, frame), depth_left - 4);
      }
      default: return put_some_scalar(out, at);
    }
  }

 private:
  bool put_int_of(Bytes& out, int64_t least, int64_t greatest) {
    put_int(out, one_of(random_, std::vector<int64_t>{least, greatest, least / 2, 0, 1}));
    return true;
  }

  bool put_or_undo(Bytes& out, Placed at, int depth_left) {
    size_t before = out.size();
    if (put(out, at, depth_left)) return true;
    out.resize(before);
    return false;
  }

  /// Kinds that random_value makes, too: as many tries as it takes.
  bool put_some_scalar(Bytes& out, Placed at) {
    for (;;) {
      Bytes made = encode(random_value(random_, 0), Mode::kValue);
      if (!at.type->holds(made)) continue;
      out += made;
      return true;
    }
  }

  bool put_items(Bytes& out, Placed at, int depth_left) {
    const auto& types = at.type->children();
    bool is_tuple = at.type->kind() == Kind::kTuple;
    std::vector<Bytes> made;
    for (size_t i = 0, n = is_tuple ? types.size() : below(random_, 4) * types.size(); i < n; ++i) {
      made.emplace_back();
      if (put(made.back(), {&types[i % types.size()], at.scope}, depth_left - 1)) continue;
      if (is_tuple) return false;
      made.clear();
      break;
    }
    std::vector<BytesView> views(made.begin(), made.end());
    std::vector<std::pair<BytesView, BytesView>> pairs;
    for (size_t i = 0; i + 1 < views.size(); i += 2) pairs.emplace_back(views[i], views[i + 1]);
    switch (at.type->kind()) {
      case Kind::kSetOf: put_set(out, views); return true;
      case Kind::kDictOf:
        if (!put_dict(out, pairs)) put_dict_head(out, 0);
        return true;
      default:
        put_tuple_head(out, views.size());
        for (BytesView item : views) out += item;
        return true;
    }
  }

  bool put_all(Bytes& out, const std::vector<TypeDescriptor::Field>& fields, const Scope* scope, int depth_left) {
    std::vector<Bytes> made(fields.size());
    std::vector<FieldPart> parts;
    for (size_t i = 0; i < fields.size(); ++i) {
      bool is_default = !fields[i].is_required && below(random_, 2);
      if (is_default || !put_or_undo(made[i], {&fields[i].type, scope}, depth_left - 1))
        made[i] = fields[i].default_value;
      if (made[i].empty()) return false;
      parts.push_back({made[i], fields[i].default_value});
    }
    put_fields(out, parts);
    return true;
  }

  Random& random_;
};

/// Writes a type again, with a thing or two more.
class Widener {
 public:
  explicit Widener(Random& random) : random_(random) {}

  std::string widened(const TypeDescriptor& type, bool is_arm) {
    static const std::vector<std::string> ints = {"int8", "int16", "int32", "int"},
                                          uints = {"uint8", "uint16", "uint32", "uint64"};
    std::string text = type.text();
    bool is_changed = below(random_, 3) == 0;
    if (is_changed && !is_arm && type.kind() != Kind::kOneOf && type.kind() != Kind::kNone)
      return "oneof(" + widened(type, true) + ",none)";
    for (const auto* chain : {&ints, &uints})
      if (auto found = std::ranges::find(*chain, text); found != chain->end() && is_changed)
        return (*chain)[static_cast<size_t>(found - chain->begin()) +
                        below(random_, static_cast<size_t>(chain->end() - found))];
    if (text == "float32" && is_changed) return "float";
    if (type.kind() < Kind::kOneOf || type.kind() == Kind::kLiteral || type.kind() == Kind::kAgain) return text;
    std::string out = std::string(word_of(type.kind())) + "(" + type.name();
    std::string separator = type.name().empty() && type.kind() != Kind::kRecord ? "" : ",";
    for (const TypeDescriptor& child : type.children()) {
      out += separator + widened(child, type.kind() == Kind::kOneOf || type.kind() == Kind::kForward);
      separator = ",";
    }
    for (const auto& member : type.members()) out += "," + member.name + "=" + hex_of(member.value);
    for (const auto& field : type.fields()) out += "," + field_of(field);
    for (const auto& arm : type.alternative_arms()) {
      out += "," + arm.name + "(";
      for (const auto& field : arm.fields) out += (&field == &arm.fields.front() ? "" : ",") + field_of(field);
      out += is_changed ? std::string(arm.fields.empty() ? "" : ",") + "more:int=)" : ")";
    }
    if (is_changed && type.kind() == Kind::kOneOf) out += ",ref(app.New)";
    if (is_changed && type.kind() == Kind::kEnum) out += ",more=20046d6f7265";
    if (is_changed && type.kind() == Kind::kRecord) out += ",more:float=908000000000000001,most:tupleof(str)=";
    if (is_changed && type.kind() == Kind::kAlternative) out += ",More(x:int)";
    return out + ")";
  }

 private:
  std::string field_of(const TypeDescriptor::Field& field) {
    return field.name + ":" + widened(field.type, false) + (field.is_required ? "" : "=") + hex_of(field.given_default);
  }

  Random& random_;
};

}  // namespace

TypeDescriptor random_type(Random& random, int depth) {
  for (;;) {
    Result<TypeDescriptor> parsed = TypeDescriptor::parse(Writer(random).type(depth));
    if (parsed.is_ok()) return std::move(parsed.value());
  }
}

std::optional<TypeDescriptor> random_wider(const TypeDescriptor& type, Random& random) {
  for (int tries = 0; tries < 5; ++tries) {
    Result<TypeDescriptor> parsed = TypeDescriptor::parse(Widener(random).widened(type, false));
    if (parsed.is_ok()) return std::move(parsed.value());
  }
  return std::nullopt;
}

std::optional<Bytes> random_value_of(const TypeDescriptor& type, Random& random) {
  Bytes out;
  if (!Valuer(random).put(out, {&type, nullptr}, 24)) return std::nullopt;
  return out;
}

}  // namespace odb::testing
