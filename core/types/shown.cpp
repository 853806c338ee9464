/// Types for people.
#include "core/codec/value.h"
#include "core/types/descriptor.h"
#include "core/types/words.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

constexpr size_t kShownTypeBytesMax = 400;  // of a type in a message: then it ends in dots

class Shower {
 public:
  explicit Shower(bool is_in_full) : is_in_full_(is_in_full) {}

  std::string show(const TypeDescriptor& type) {
    add(type, false);
    if (out_.size() <= kShownTypeBytesMax) return out_;
    size_t end = kShownTypeBytesMax;
    while (end > 0 && (out_[end] & 0xc0) == 0x80) --end;
    return out_.substr(0, end) + "...";
  }

 private:
  void add_list(const std::vector<TypeDescriptor>& types) {
    for (const TypeDescriptor& type : types) {
      if (&type != &types.front()) out_ += ", ";
      add(type, false);
    }
  }

  void add_fields(const std::vector<TypeDescriptor::Field>& fields) {
    out_ += "(";
    for (const TypeDescriptor::Field& field : fields) {
      if (out_.size() > kShownTypeBytesMax) return;
      if (&field != &fields.front()) out_ += ", ";
      out_ += field.name + ": ";
      add(field.type, false);
      if (field.is_required) continue;
      Result<Value> value = decode(field.default_value, Mode::kValue);
      out_ +=
          " = " + (value.is_ok() ? odb::show(value.value()) : "unset");  // a reference whose type has no number here
    }
    out_ += ")";
  }

  /// `is_part`: of "tuple of ...", where what consists of several words needs brackets.
  void add(const TypeDescriptor& type, bool is_part) {
    if (out_.size() > kShownTypeBytesMax) return;
    switch (type.kind()) {
      case Kind::kNone: out_ += "None"; break;
      case Kind::kReference: out_ += type.type_name(); break;
      case Kind::kLiteral: out_ += odb::show(decode(type.literal(), Mode::kValue).value()); break;
      case Kind::kOneOf:
        if (is_part) out_ += "(";
        for (const TypeDescriptor& arm : type.arms()) {
          if (&arm != &type.arms().front()) out_ += " or ";
          add(arm, false);
        }
        if (is_part) out_ += ")";
        break;
      case Kind::kTupleOf:
      case Kind::kSetOf:
        out_ += type.kind() == Kind::kSetOf ? "set of " : "tuple of ";
        add(type.children().front(), true);
        break;
      case Kind::kDictOf:
        out_ += "dict of ";
        add(type.children()[0], true);
        out_ += " to ";
        add(type.children()[1], true);
        break;
      case Kind::kTuple:
        out_ += "tuple of (";
        add_list(type.children());
        out_ += type.children().size() == 1 ? ",)" : ")";
        break;
      case Kind::kRecord:
        out_ += type.name().empty() ? "NamedTuple" : type.name();
        if (is_in_full_ || type.name().empty()) add_fields(type.fields());
        break;
      case Kind::kAlternative:
        out_ += type.name();
        if (!is_in_full_) break;
        out_ += ": ";
        for (const TypeDescriptor::Arm& arm : type.alternative_arms()) {
          if (&arm != &type.alternative_arms().front()) out_ += " or ";
          out_ += arm.name;
          add_fields(arm.fields);
        }
        break;
      case Kind::kEnum:
        out_ += type.name();
        if (!is_in_full_) break;
        out_ += " (";
        for (const TypeDescriptor::Member& member : type.members()) {
          if (out_.size() > kShownTypeBytesMax) return;
          if (&member != &type.members().front()) out_ += ", ";
          out_ += member.name + " = " + odb::show(decode(member.value, Mode::kValue).value());
        }
        out_ += ")";
        break;
      case Kind::kForward: add(type.children().front(), is_part); break;
      case Kind::kAgain: out_ += type.name(); break;
      case Kind::kDecimal: out_ += "Decimal"; break;
      case Kind::kUuid: out_ += "UUID"; break;
      default: out_ += word_of(type.kind());
    }
  }

  bool is_in_full_;
  std::string out_;
};

}  // namespace

std::string TypeDescriptor::shown() const { return Shower(false).show(*this); }

std::string TypeDescriptor::shown_in_full() const { return Shower(true).show(*this); }

}  // namespace odb
