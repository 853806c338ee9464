/// Type descriptors: one text for each, and what values they hold.
#include "core/types/descriptor.h"

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>

#include "core/base/limits.h"
#include "core/codec/value.h"

namespace odb {
namespace {

using Kind = TypeDescriptor::Kind;

constexpr uint64_t kSeed = 20240603;

const std::vector<std::string> kTexts = {"none",
                                         "bool",
                                         "int",
                                         "float",
                                         "str",
                                         "bytes",
                                         "ref(core.Service)",
                                         "ref(core.service.Host)",
                                         "oneof(none,int)",
                                         "oneof(int,none)",
                                         "oneof(none,ref(app.User),ref(app.Group))",
                                         "oneof(none,bool,int,float,str,bytes,ref(a.b))"};

TypeDescriptor parsed(std::string_view text) {
  Result<TypeDescriptor> type = TypeDescriptor::parse(text);
  BOOST_REQUIRE_MESSAGE(type.is_ok(), text);
  return type.value();
}

bool is_refused(std::string_view text) {
  Result<TypeDescriptor> type = TypeDescriptor::parse(text);
  return !type.is_ok() && type.status().code() == Code::kProtocol;
}

Bytes stored(const Value& value) { return encode(value, Mode::kValue); }
Value reference(uint32_t type, int64_t object) { return Reference{TypeId{type}, ObjectId{object}}; }

/// app.User has number 7, app.Group 8, others none.
TypeId number_of(const std::string& name) { return TypeId{name == "app.User" ? 7u : name == "app.Group" ? 8u : 0u}; }

TypeDescriptor resolved(std::string_view text) {
  TypeDescriptor type = parsed(text);
  type.resolve(number_of);
  return type;
}

std::string oneof_of_references(size_t arms, const std::string& schema = "a") {
  std::string out = "oneof(";
  for (size_t i = 0; i < arms; ++i) out += (i == 0 ? "" : ",") + ("ref(" + schema) + ".T" + std::to_string(i) + ")";
  return out + ")";
}

BOOST_AUTO_TEST_SUITE(descriptor)

BOOST_AUTO_TEST_CASE(a_descriptor_has_one_text) {
  for (const std::string& text : kTexts) BOOST_TEST(parsed(text).text() == text);
}

BOOST_AUTO_TEST_CASE(a_text_says_what_the_type_is) {
  BOOST_TEST((parsed("bytes").kind() == Kind::kBytes));
  BOOST_TEST((parsed("ref(app.User)").kind() == Kind::kReference));
  BOOST_TEST(parsed("ref(app.User)").type_name() == "app.User");
  TypeDescriptor type = parsed("oneof(none,ref(app.User))");
  BOOST_TEST((type.kind() == Kind::kOneOf));
  BOOST_REQUIRE(type.arms().size() == 2u);
  BOOST_TEST((type.arms()[0].kind() == Kind::kNone));
  BOOST_TEST(type.arms()[1].type_name() == "app.User");
}

BOOST_AUTO_TEST_CASE(a_descriptor_can_be_made_without_a_text) {
  BOOST_TEST((TypeDescriptor::scalar(Kind::kInt) == parsed("int")));
  BOOST_TEST((TypeDescriptor::reference("app.User") == parsed("ref(app.User)")));
}

BOOST_AUTO_TEST_CASE(what_is_not_in_the_grammar_is_refused) {
  for (auto text : {"", " ", "Int", "int ", " int", "integer", "in", "int,", "int)", "int,int", "objects", "ref",
                    "oneof", "(int)", "none()"})
    BOOST_TEST(is_refused(text), text);
  BOOST_TEST(is_refused(std::string_view("int\0", 4)));
}

BOOST_AUTO_TEST_CASE(a_oneof_has_two_arms_or_more_all_different_and_none_a_oneof) {
  for (auto text : {"oneof(", "oneof()", "oneof(int)", "oneof(int", "oneof(int,", "oneof(int,)", "oneof(,int)",
                    "oneof(int,str", "oneof(int,,str)", "oneof(int, str)", "oneof(int,str))", "oneof(int,str),",
                    "oneof(int,str)int", "oneof(int;str)"})
    BOOST_TEST(is_refused(text), text);
  BOOST_TEST(is_refused("oneof(int,int)"));
  BOOST_TEST(is_refused("oneof(int,str,int)"));
  BOOST_TEST(is_refused("oneof(ref(a.b),ref(a.b))"));
  BOOST_TEST(is_refused("oneof(int,oneof(str,none))"));
  BOOST_TEST(is_refused("oneof(oneof(str,none),int)"));
}

BOOST_AUTO_TEST_CASE(a_reference_names_a_schema_and_a_type) {
  for (auto text : {"ref(", "ref()", "ref(User)", "ref(.User)", "ref(app.)", "ref(.)", "ref(app.User", "ref(app.User))",
                    "ref(app..User)", "ref(app.Us er)", "ref(app.Us,er)", "ref(app.Us(er)", "ref(ref(app.User))",
                    "ref(app.\xff)", "ref(app.User),"})
    BOOST_TEST(is_refused(text), text);
}

BOOST_AUTO_TEST_CASE(a_schema_may_have_dots_in_its_name) {
  BOOST_TEST(parsed("ref(core.service.Host)").type_name() == "core.service.Host");
  BOOST_TEST(is_valid_schema_name("core"));
  BOOST_TEST(is_valid_schema_name("core.service"));
  for (auto name : {"", ".", "core.", ".core", "core..service", "core.ser vice", "core.(service"})
    BOOST_TEST(!is_valid_schema_name(name), name);
  std::string half(limits::kNameBytesMax / 2, 'x');
  BOOST_TEST(is_valid_schema_name(half.substr(1) + "." + half));
  BOOST_TEST(!is_valid_schema_name(half + "." + half));
}

BOOST_AUTO_TEST_CASE(a_descriptor_has_a_limited_number_of_arms) {
  BOOST_TEST(parsed(oneof_of_references(limits::kUnionArmsMax)).arms().size() == limits::kUnionArmsMax);
  BOOST_TEST(is_refused(oneof_of_references(limits::kUnionArmsMax + 1)));
}

// Nesting that a naive parser would follow until its stack ends.
BOOST_AUTO_TEST_CASE(a_deep_descriptor_is_refused_at_its_first_level) {
  for (std::string word : {"oneof(", "ref(", "("}) {
    std::string deep;
    for (int i = 0; i < 1'000'000; ++i) deep += word;
    BOOST_TEST(is_refused(deep), word);
  }
}

// A message once carried the peer's bytes, cut in the middle of a character: nobody could have decoded it as text.
BOOST_AUTO_TEST_CASE(a_refusal_is_readable_whatever_was_refused) {
  std::string wide;
  for (int i = 0; i < 100; ++i) wide += "\u20ac";
  for (const std::string& text :
       {wide, "x" + wide, "xx" + wide, std::string("\xff\xfe\0\n", 4), std::string(100'000, 'x')}) {
    std::string message = TypeDescriptor::parse(text).status().message();
    BOOST_TEST(is_valid_utf8(message));
    BOOST_TEST(message.size() < 200u);
    BOOST_TEST(message.find('\n') == message.npos);
  }
  BOOST_TEST(TypeDescriptor::parse("objects").status().message().find("'objects'") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_damaged_text_is_refused_or_is_the_text_of_another_type) {
  std::mt19937_64 random(kSeed);
  const std::string alphabet = "(),. abefinostr\x80";
  int refused = 0, accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = kTexts[random() % kTexts.size()];
    char letter = alphabet[random() % alphabet.size()];
    size_t at = random() % text.size();
    switch (random() % 3) {
      case 0: text[at] = letter; break;
      case 1: text.insert(at, 1, letter); break;
      default: text.erase(at, 1);
    }
    Result<TypeDescriptor> type = TypeDescriptor::parse(text);
    (type.is_ok() ? accepted : refused) += 1;
    if (type.is_ok()) BOOST_REQUIRE_MESSAGE(type.value().text() == text, "seed " << kSeed << ": " << text);
  }
  BOOST_TEST(refused > 1'000);
  BOOST_TEST(accepted > 1'000);
}

BOOST_AUTO_TEST_CASE(a_type_holds_the_values_of_its_kind_only) {
  const std::vector<std::pair<std::string, std::vector<Value>>> holders = {
      {"none", {std::monostate{}}},
      {"bool", {false, true}},
      {"int", {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX}},
      {"float", {0.0, -1.5}},
      {"str", {Text{""}, Text{"abc"}}},
      {"bytes", {Blob{""}, Blob{"abc"}}},
      {"ref(app.User)", {reference(7, 0), reference(7, 17)}},
      {"ref(app.Group)", {reference(8, 0), reference(8, 17)}}};
  for (const auto& [type, _] : holders)
    for (const auto& [other, values] : holders)
      for (const Value& value : values)
        BOOST_TEST(resolved(type).holds(stored(value)) == (type == other), type << " and " << show(value));
}

BOOST_AUTO_TEST_CASE(a_oneof_holds_what_one_of_its_arms_holds) {
  TypeDescriptor type = resolved("oneof(none,int,ref(app.User))");
  for (const Value& value : {Value(std::monostate{}), Value(int64_t{5}), reference(7, 17)})
    BOOST_TEST(type.holds(stored(value)));
  for (const Value& value : {Value(true), Value(5.0), Value(Text{"5"}), Value(Blob{"5"}), reference(8, 17)})
    BOOST_TEST(!type.holds(stored(value)));
}

BOOST_AUTO_TEST_CASE(no_type_holds_an_absent_value) {
  for (const std::string& text : kTexts)
    for (BytesView absent : {BytesView(), BytesView("")}) BOOST_TEST(!resolved(text).holds(absent), text);
}

BOOST_AUTO_TEST_CASE(a_reference_without_a_number_holds_nothing) {
  BOOST_TEST(parsed("ref(app.User)").type().value == 0u);
  BOOST_TEST(!parsed("ref(app.User)").holds(stored(reference(7, 17))));
  BOOST_TEST(resolved("ref(app.Nowhere)").type().value == 0u);
  BOOST_TEST(!resolved("ref(app.Nowhere)").holds(stored(reference(7, 17))));
}

BOOST_AUTO_TEST_CASE(a_field_that_nobody_set_has_the_default_of_its_type) {
  const std::vector<std::pair<std::string, Value>> defaults = {{"none", std::monostate{}},
                                                               {"bool", false},
                                                               {"int", int64_t{0}},
                                                               {"float", 0.0},
                                                               {"str", Text{""}},
                                                               {"bytes", Blob{""}},
                                                               {"ref(app.User)", reference(7, 0)},
                                                               {"oneof(none,int)", std::monostate{}},
                                                               {"oneof(int,none)", int64_t{0}},
                                                               {"oneof(ref(app.Group),none)", reference(8, 0)}};
  for (const auto& [text, value] : defaults) {
    TypeDescriptor type = resolved(text);
    BOOST_TEST((type.default_value() == stored(value)), text);
    BOOST_TEST(type.holds(type.default_value()), text);
  }
}

BOOST_AUTO_TEST_CASE(references_are_found_and_numbered_wherever_they_stand) {
  TypeDescriptor type = resolved("oneof(none,ref(app.User),ref(app.Group),ref(app.Nowhere))");
  std::string names;
  type.each_type_name([&](const std::string& name) { names += name + " "; });
  BOOST_TEST(names == "app.User app.Group app.Nowhere ");
  BOOST_TEST(type.arms()[1].type().value == 7u);
  BOOST_TEST(type.arms()[2].type().value == 8u);
  BOOST_TEST(type.arms()[3].type().value == 0u);
  parsed("oneof(none,int)").each_type_name([](const std::string& name) { BOOST_ERROR("no reference, yet " + name); });
}

BOOST_AUTO_TEST_CASE(types_are_equal_when_their_texts_are) {
  for (const std::string& a : kTexts)
    for (const std::string& b : kTexts) BOOST_TEST((parsed(a) == parsed(b)) == (a == b), a << " and " << b);
  BOOST_TEST((resolved("ref(app.User)") == parsed("ref(app.User)")));
}

BOOST_AUTO_TEST_CASE(a_name_is_short_utf8_without_what_the_text_is_made_of) {
  for (auto name : {"x", "User", "_private", "camelCase9", "\u00fcber", "\U0001f600", "a-b", "a:b"})
    BOOST_TEST(is_valid_name(name), name);
  for (auto name : {"", "a b", " a", "a.b", "a,b", "a(b", "a)b", "a\tb", "a\nb", "a\x7f", "\xff", "\xed\xa0\x80"})
    BOOST_TEST(!is_valid_name(name), name);
  BOOST_TEST(!is_valid_name(std::string_view("a\0b", 3)));
  BOOST_TEST(is_valid_name(std::string(limits::kNameBytesMax, 'x')));
  BOOST_TEST(!is_valid_name(std::string(limits::kNameBytesMax + 1, 'x')));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
