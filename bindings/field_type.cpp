#include "bindings/field_type.h"

#include <algorithm>
#include <functional>
#include <span>

#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/object_type.h"
#include "bindings/times.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"
#include "core/types/words.h"

namespace odb {
namespace {

using Kind = FieldKind;

constexpr std::span kScalarWords = std::span(kKindWords).first<static_cast<size_t>(Kind::kReference)>();

/// The spec's tuples, read once. Every function gives false with an exception set.
class SpecParser {
 public:
  explicit SpecParser(const std::string& where) : where_(where) {}

  bool parse(PyObject* spec, FieldType& type) {
    if (PyUnicode_Check(spec)) return parse_scalar(spec, type);
    if (PyType_Check(spec)) {
      type.kind = Kind::kReference;
      type.target = find_database_type(reinterpret_cast<PyTypeObject*>(spec));
      return type.target != nullptr || refuse(spec);
    }
    if (!PyTuple_Check(spec) || PyTuple_GET_SIZE(spec) < 1 || !PyUnicode_Check(PyTuple_GET_ITEM(spec, 0)))
      return refuse(spec);
    if (++depth_ > limits::kValueDepthMax) {
      set_error("SchemaError", where_ + ": types nest at most " + std::to_string(limits::kValueDepthMax) +
                                   " deep; a type that holds itself is written with Forward");
      return false;
    }
    bool is_ok = parse_tuple(spec, type);
    --depth_;
    return is_ok;
  }

 private:
  bool refuse(PyObject* spec) {
    PyErr_Format(PyExc_TypeError, "%s: %R does not describe a field's type", where_.c_str(), spec);
    return false;
  }

  bool parse_scalar(PyObject* spec, FieldType& type) {
    const char* name = PyUnicode_AsUTF8(spec);
    if (name == nullptr) return false;
    auto found = std::ranges::find(kScalarWords, std::string_view(name));
    if (found == kScalarWords.end()) return refuse(spec);
    type.kind = static_cast<Kind>(found - kScalarWords.begin());
    type.is_plain = type.kind <= Kind::kBytes || type.kind >= Kind::kInt8;
    return type.kind < Kind::kDatetime || type.kind > Kind::kUuid || load_standard_classes();
  }

  bool parse_tuple(PyObject* spec, FieldType& type) {
    const char* word = PyUnicode_AsUTF8(PyTuple_GET_ITEM(spec, 0));
    if (word == nullptr) return false;
    std::string_view head(word);
    Py_ssize_t size = PyTuple_GET_SIZE(spec);
    auto item = [spec](Py_ssize_t i) { return PyTuple_GET_ITEM(spec, i); };
    if (head == "oneof" && size > 2) return parse_one_of(spec, type);
    if (head == "literal" && size == 2) return parse_literal(item(1), type);
    if (head == "tupleof" && size == 2) return parse_parts(spec, Kind::kTupleOf, type);
    if (head == "setof" && size == 2) return parse_parts(spec, Kind::kSetOf, type);
    if (head == "dictof" && size == 3) return parse_parts(spec, Kind::kDictOf, type);
    if (head == "tuple") return parse_parts(spec, Kind::kTuple, type);
    if (head == "enum" && size == 3) return parse_enum(item(1), item(2), type);
    if (head == "record" && size == 5) return parse_record(item(1), item(2), item(3), item(4), type);
    if (head == "alternative" && size == 4) return parse_alternative(item(1), item(2), item(3), type);
    if (head == "forward" && size == 4) return parse_forward(item(1), item(2), item(3), type);
    if (head == "again" && size == 2) return parse_again(item(1), type);
    return refuse(spec);
  }

  bool parse_parts(PyObject* spec, Kind kind, FieldType& type) {
    type.kind = kind;
    type.is_plain = false;
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(spec); ++i) {
      type.parts.push_back(std::make_unique<FieldType>());
      if (!parse(PyTuple_GET_ITEM(spec, i), *type.parts.back())) return false;
    }
    return true;
  }

  bool parse_one_of(PyObject* spec, FieldType& type) {
    if (!parse_parts(spec, Kind::kOneOf, type)) return false;
    type.is_plain = true;
    for (const auto& arm : type.parts) {
      type.is_plain &= arm->is_plain;
      if (arm->kind <= Kind::kBytes) type.plain_arms |= 1U << static_cast<unsigned>(arm->kind);
    }
    return true;
  }

  bool parse_literal(PyObject* value, FieldType& type) {
    type.kind = Kind::kLiteral;
    type.value = Ref::borrow(value);
    return append_scalar(value, where_ + " (literal)", type.stored);
  }

  bool parse_text(PyObject* item, std::string& text) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_Check(item) ? PyUnicode_AsUTF8AndSize(item, &size) : nullptr;
    if (utf8 == nullptr) return PyErr_Occurred() != nullptr ? false : refuse(item);
    text.assign(utf8, static_cast<size_t>(size));
    return true;
  }

  bool parse_enum(PyObject* cls, PyObject* members, FieldType& type) {
    type.kind = Kind::kEnum;
    if (!PyType_Check(cls) || !PyTuple_Check(members)) return refuse(cls);
    type.cls = Ref::borrow(cls);
    type.name = class_name(cls);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(members); ++i) {
      PyObject *name, *member, *stored;
      if (!PyArg_ParseTuple(PyTuple_GET_ITEM(members, i), "UOO", &name, &member, &stored)) return false;
      EnumMember& made = type.members.emplace_back();
      made.member = Ref::borrow(member);
      if (!parse_text(name, made.name)) return false;
      if (!append_scalar(stored, where_ + " (" + type.name + "." + made.name + ")", made.stored)) return false;
    }
    for (uint32_t i = 0; i < type.members.size(); ++i) type.by_member.push_back(i);
    type.by_stored = type.by_member;
    std::ranges::sort(type.by_member, std::less<>(), [&](uint32_t i) { return type.members[i].member.get(); });
    std::ranges::sort(type.by_stored, {}, [&](uint32_t i) -> BytesView { return type.members[i].stored; });
    return !type.members.empty() || refuse(cls);
  }

  static std::string class_name(PyObject* cls) {
    std::string name = reinterpret_cast<PyTypeObject*>(cls)->tp_name;
    return name.substr(name.rfind('.') + 1);
  }

  bool parse_record(PyObject* cls, PyObject* name, PyObject* shape, PyObject* fields, FieldType& type) {
    type.kind = Kind::kRecord;
    type.is_plain = false;
    std::string how;
    if (!PyType_Check(cls) || !parse_text(name, type.name) || !parse_text(shape, how)) return refuse(cls);
    type.cls = Ref::borrow(cls);
    type.tag = type.name.empty() ? 0 : record_tag(type.name);
    put_record_value_head(type.stored, type.tag);
    PartGroup& group = type.groups.emplace_back();
    group.cls = Ref::borrow(cls);
    group.name = type.name;
    group.shape = how == "namedtuple" ? Shape::kTuple : how == "struct" ? Shape::kStruct : Shape::kObject;
    enclosing_.push_back({cls, type.name, &type});
    bool is_ok = parse_fields(fields, group);
    enclosing_.pop_back();
    type.is_whole = is_ok;
    return is_ok && (group.shape != Shape::kStruct || find_positional(group));
  }

  bool find_positional(PartGroup& group) {
    Ref positional = Ref::steal(PyObject_GetAttrString(group.cls.get(), "__match_args__"));
    int is_same = positional ? PyObject_RichCompareBool(positional.get(), group.field_names.get(), Py_EQ) : -1;
    group.is_positional = is_same == 1;
    return is_same >= 0;
  }

  bool parse_alternative(PyObject* cls, PyObject* name, PyObject* arms, FieldType& type) {
    type.kind = Kind::kAlternative;
    type.is_plain = false;
    if (!PyType_Check(cls) || !PyTuple_Check(arms) || PyTuple_GET_SIZE(arms) == 0 || !parse_text(name, type.name))
      return refuse(cls);
    type.cls = Ref::borrow(cls);
    type.tag = record_tag(type.name);
    type.groups.reserve(static_cast<size_t>(PyTuple_GET_SIZE(arms)));
    enclosing_.push_back({cls, type.name, &type});
    bool is_ok = true;
    for (Py_ssize_t i = 0; is_ok && i < PyTuple_GET_SIZE(arms); ++i) {
      PyObject *arm_name, *arm_class, *fields;
      is_ok = PyArg_ParseTuple(PyTuple_GET_ITEM(arms, i), "UO!O", &arm_name, &PyType_Type, &arm_class, &fields) != 0;
      if (!is_ok) break;
      PartGroup& group = type.groups.emplace_back();
      group.cls = Ref::borrow(arm_class);
      bool is_tuple = PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(arm_class), &PyTuple_Type) != 0;
      group.shape = is_tuple ? Shape::kTuple : Shape::kObject;
      is_ok = parse_text(arm_name, group.name) && parse_fields(fields, group);
    }
    enclosing_.pop_back();
    type.is_whole = is_ok;
    return is_ok;
  }

  bool parse_fields(PyObject* fields, PartGroup& group) {
    if (!PyTuple_Check(fields)) return refuse(fields);
    group.field_names = Ref::steal(PyTuple_New(PyTuple_GET_SIZE(fields)));
    if (!group.field_names) return false;
    group.fields.reserve(static_cast<size_t>(PyTuple_GET_SIZE(fields)));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
      PyObject *name, *spec, *default_value;
      if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fields, i), "UOO", &name, &spec, &default_value)) return false;
      PartField& field = group.fields.emplace_back();
      PyObject* interned = Py_NewRef(name);
      PyUnicode_InternInPlace(&interned);
      field.name = Ref::steal(interned);
      PyTuple_SET_ITEM(group.field_names.get(), i, Py_NewRef(interned));
      field.type = std::make_unique<FieldType>();
      if (!parse(spec, *field.type)) return false;
      if (!parse_default(default_value, field)) return false;
      group.is_all_required &= field.is_required;
    }
    return true;
  }

  bool parse_default(PyObject* given, PartField& field) {
    const char* name = PyUnicode_AsUTF8(field.name.get());
    if (name == nullptr) return false;
    if (!PyTuple_Check(given)) {
      field.is_required = true;
    } else if (PyTuple_GET_SIZE(given) == 1) {
      return encode_value(PyTuple_GET_ITEM(given, 0), *field.type, nullptr, where_ + "." + name + " (default)",
                          field.default_bytes);
    } else if (!field.type->has_default()) {
      field.is_required = true;
    } else if (!field.type->default_refers()) {
      append_default(*field.type, nullptr, field.default_bytes);
    }
    return true;
  }

  bool parse_forward(PyObject* key, PyObject* name, PyObject* spec, FieldType& type) {
    type.kind = Kind::kForward;
    if (!parse_text(name, type.name)) return false;
    enclosing_.push_back({key, type.name, &type});
    type.parts.push_back(std::make_unique<FieldType>());
    bool is_ok = parse(spec, *type.parts.back());
    enclosing_.pop_back();
    type.is_plain = type.parts.back()->is_plain;
    return is_ok;
  }

  bool parse_again(PyObject* key, FieldType& type) {
    type.kind = Kind::kAgain;
    type.is_plain = false;
    for (size_t i = enclosing_.size(); i > 0; --i) {
      const Enclosing& enclosing = enclosing_[i - 1];
      if (enclosing.key == key) {
        type.again = enclosing.type;
        type.name = enclosing.name;
        for (size_t nearer = i; nearer < enclosing_.size(); ++nearer) {
          if (enclosing_[nearer].name != type.name) continue;
          set_error("SchemaError", where_ + ": two types named " + type.name + " enclose each other; rename one");
          return false;
        }
        return true;
      }
    }
    return refuse(key);
  }

  struct Enclosing {
    PyObject* key;
    std::string name;
    const FieldType* type;
  };

  const std::string& where_;
  std::vector<Enclosing> enclosing_;
  size_t depth_ = 0;
};

std::string text_of(const PartGroup& group, const std::string& name) {
  std::string text = name;
  for (const PartField& field : group.fields) {
    if (!text.empty()) text += ",";
    text += std::string(PyUnicode_AsUTF8(field.name.get())) + ":" + field.type->text();
    if (field.is_required) continue;
    text += "=";
    Bytes own;
    if (field.type->has_default() && !field.type->default_refers()) append_default(*field.type, nullptr, own);
    if (field.default_bytes != own) text += hex_of(field.default_bytes);
  }
  return text;
}

/// The type whose default a type has: of a oneof, its first arm that has one. nullptr: none, also where it would take
/// itself to make one.
const FieldType* default_arm(const FieldType& type, int level) {
  if (level > limits::kValueDepthMax) return nullptr;
  auto has_one = [level](const FieldType& part) { return default_arm(part, level + 1) != nullptr; };
  switch (type.kind) {
    case Kind::kDatetime:
    case Kind::kDate:
    case Kind::kTime:
    case Kind::kTimedelta:
    case Kind::kDecimal:
    case Kind::kUuid: return nullptr;
    case Kind::kForward: return default_arm(*type.parts[0], level + 1);
    case Kind::kAgain: return default_arm(*type.again, level + 1);
    case Kind::kOneOf:
      for (const auto& arm : type.parts) {
        if (const FieldType* found = default_arm(*arm, level + 1)) return found;
      }
      return nullptr;
    case Kind::kTuple:
      return std::ranges::all_of(type.parts, [&](const auto& part) { return has_one(*part); }) ? &type : nullptr;
    case Kind::kRecord:
    case Kind::kAlternative:
      return type.is_whole && std::ranges::none_of(type.groups[0].fields, &PartField::is_required) ? &type : nullptr;
    default: return &type;
  }
}

std::string joined(const std::vector<std::unique_ptr<FieldType>>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ",") + part->text();
  return text;
}

}  // namespace

std::string FieldType::text() const {
  switch (kind) {
    case Kind::kReference: return "ref(" + target->qualified_name() + ")";
    case Kind::kOneOf: return "oneof(" + joined(parts) + ")";
    case Kind::kLiteral: return "literal(" + hex_of(stored) + ")";
    case Kind::kTupleOf: return "tupleof(" + joined(parts) + ")";
    case Kind::kSetOf: return "setof(" + joined(parts) + ")";
    case Kind::kDictOf: return "dictof(" + joined(parts) + ")";
    case Kind::kTuple: return "tuple(" + joined(parts) + ")";
    case Kind::kForward: return "forward(" + name + "," + parts[0]->text() + ")";
    case Kind::kAgain: return "again(" + name + ")";
    case Kind::kEnum: {
      std::string text = "enum(" + name;
      for (const EnumMember& member : members) text += "," + member.name + "=" + hex_of(member.stored);
      return text + ")";
    }
    case Kind::kRecord: {
      std::string fields = text_of(groups[0], "");
      return "record(" + name + (fields.empty() ? "" : ",") + fields + ")";
    }
    case Kind::kAlternative: {
      std::string text = "alternative(" + name;
      for (const PartGroup& arm : groups) text += "," + arm.name + "(" + text_of(arm, "") + ")";
      return text + ")";
    }
    default: return std::string(word_of(kind));
  }
}

const EnumMember* FieldType::member_of(const PyObject* object) const {
  auto found = std::ranges::lower_bound(by_member, object, std::less<>(),
                                        [this](uint32_t i) -> const PyObject* { return members[i].member.get(); });
  return found != by_member.end() && members[*found].member.get() == object ? &members[*found] : nullptr;
}

/// No value is the beginning of another one, so what bytes begin with is the greatest that is not behind them.
const EnumMember* FieldType::member_stored_as(BytesView bytes) const {
  auto behind =
      std::ranges::upper_bound(by_stored, bytes, {}, [this](uint32_t i) -> BytesView { return members[i].stored; });
  if (behind == by_stored.begin()) return nullptr;
  const EnumMember& member = members[*std::prev(behind)];
  return bytes.starts_with(member.stored) ? &member : nullptr;
}

bool FieldType::has_default() const { return default_arm(*this, 0) != nullptr; }

bool FieldType::default_refers() const {
  const FieldType& type = *default_arm(*this, 0);
  if (type.kind == Kind::kReference) return true;
  if (type.kind != Kind::kTuple) return false;  // a record stores nothing of its defaults, a container is empty
  return std::ranges::any_of(type.parts, [](const auto& part) { return part->default_refers(); });
}

void append_default(const FieldType& type, const Connection* connection, Bytes& out) {
  switch (type.kind) {
    case Kind::kNone:
    case Kind::kObject: return put_none(out);
    case Kind::kBool: return put_bool(out, false);
    case Kind::kFloat:
    case Kind::kFloat32: return put_float(out, 0, Mode::kValue);
    case Kind::kStr: return put_str(out, {}, Mode::kValue);
    case Kind::kBytes: return put_bytes(out, {}, Mode::kValue);
    case Kind::kReference: return put_reference(out, number_of_type(*type.target, connection), ObjectId{0});
    case Kind::kOneOf:
    case Kind::kForward:
    case Kind::kAgain: return append_default(*default_arm(type, 0), connection, out);
    case Kind::kLiteral: out += type.stored; return;
    case Kind::kEnum: out += type.members[0].stored; return;
    case Kind::kTupleOf: return put_tuple_head(out, 0);
    case Kind::kSetOf: return put_set_head(out, 0);
    case Kind::kDictOf: return put_dict_head(out, 0);
    case Kind::kTuple:
      put_tuple_head(out, type.parts.size());
      for (const auto& part : type.parts) append_default(*part, connection, out);
      return;
    case Kind::kRecord:
      put_record_value_head(out, type.tag);
      put_fields(out, {});
      return;
    case Kind::kAlternative:
      put_alternative_head(out, type.tag, 0);
      put_fields(out, {});
      return;
    default: return put_int(out, 0);
  }
}

std::string describe(const FieldType& type) {
  auto listed = [&type](const char* between) {
    bool has_words = type.kind != Kind::kOneOf && type.kind != Kind::kTuple;  // around the parts: "set of (int or str)"
    std::string text;
    for (const auto& part : type.parts) {
      std::string words = describe(*part);
      if (has_words && part->kind == Kind::kOneOf) words = "(" + words + ")";
      text += (text.empty() ? "" : between) + words;
    }
    return text;
  };
  switch (type.kind) {
    case Kind::kNone: return "None";
    case Kind::kReference: return type.target->qualified_name();
    case Kind::kOneOf: return listed(" or ");
    case Kind::kTupleOf: return "tuple of " + listed("");
    case Kind::kSetOf: return "set of " + listed("");
    case Kind::kDictOf: return "dict of " + listed(" to ");
    case Kind::kTuple: return "tuple of (" + listed(", ") + ")";
    case Kind::kForward: return type.name;
    case Kind::kAgain: return type.name;
    case Kind::kEnum:
    case Kind::kAlternative: return type.name;
    case Kind::kUuid: return "UUID";
    case Kind::kDecimal: return "Decimal";
    case Kind::kLiteral: {
      Ref shown = Ref::steal(PyObject_Repr(type.value.get()));
      const char* utf8 = shown ? PyUnicode_AsUTF8(shown.get()) : nullptr;
      if (utf8 == nullptr) PyErr_Clear();
      return utf8 == nullptr ? "a literal" : std::string(utf8);
    }
    case Kind::kRecord: {
      if (!type.name.empty()) return type.name;
      std::string text;
      for (const PartField& field : type.groups[0].fields) {
        text +=
            (text.empty() ? "" : ", ") + std::string(PyUnicode_AsUTF8(field.name.get())) + ": " + describe(*field.type);
      }
      return "NamedTuple(" + text + ")";
    }
    default: return std::string(word_of(type.kind));
  }
}

bool parse_field_type(PyObject* spec, FieldType& type, const std::string& where) {
  return SpecParser(where).parse(spec, type);
}

}  // namespace odb
