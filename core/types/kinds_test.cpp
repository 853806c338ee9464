/// Types of all kinds: texts, what is refused, defaults, what is held, which types are wider.
#include <boost/test/unit_test.hpp>

#include "core/types/type_testing.h"

namespace odb {
namespace {

using namespace testing;

constexpr uint64_t kSeed = 20240606;

TypeDescriptor parsed(const std::string& text) {
  Result<TypeDescriptor> type = TypeDescriptor::parse(text);
  BOOST_REQUIRE_MESSAGE(type.is_ok(), text << ": " << type.status().message());
  type.value().resolve(number_of);
  return std::move(type.value());
}

/// What a refusal says, or nothing.
std::string refusal(const std::string& text) { return TypeDescriptor::parse(text).status().message(); }

void check_refused(const std::string& text, const std::string& why = "") {
  BOOST_TEST(!refusal(text).empty(), text);
  BOOST_TEST(refusal(text).find(why) != std::string::npos, text << ": " << refusal(text));
}

/// What is said of a text that is refused.
std::string problem_of(const std::string& text) {
  Result<TypeDescriptor> type = TypeDescriptor::parse(text);
  return type.is_ok() ? "" : type.status().message();
}

bool holds(const std::string& type, std::string_view hex) {
  Bytes value = from_hex(hex);
  Reader in(value);
  BOOST_REQUIRE_MESSAGE(in.value().size() == value.size(), hex);
  return parsed(type).holds(value);
}

std::string tag(const std::string& name) {
  Bytes out;
  put_int(out, record_tag(name));
  return hex_of(out);
}

bool widens(const std::string& narrow, const std::string& wide) { return parsed(narrow).widens_to(parsed(wide)); }

const std::string kLine = "record(Line,price:int,count:int=8101,note:str=)";
const std::string kExpr = "alternative(Expr,Nil(),Number(value:int=),Add(left:again(Expr)=,right:again(Expr)=))";
const std::string kJson = "forward(Json,oneof(none,bool,int,float,str,tupleof(again(Json)),dictof(str,again(Json))))";
const std::string kColor = "enum(Color,RED=8101,BLUE=8102)";

BOOST_AUTO_TEST_SUITE(kinds)

BOOST_AUTO_TEST_CASE(every_kind_has_its_text) {
  for (const std::string& text :
       {std::string("datetime"), std::string("object"), std::string("uint64"), std::string("literal(200161)"),
        std::string("tupleof(int)"), std::string("setof(oneof(none,str))"), std::string("dictof(str,tuple(int,float))"),
        std::string("tuple()"), std::string("record()"), std::string("record(,x:int,y:int=)"), kLine, kExpr, kJson,
        kColor, std::string("record(R,next:oneof(none,again(R))=02)")})
    BOOST_TEST(parsed(text).text() == text);
}

BOOST_AUTO_TEST_CASE(a_tree_says_what_the_text_said) {
  TypeDescriptor line = parsed(kLine);
  BOOST_REQUIRE(line.fields().size() == 3u);
  BOOST_TEST(line.name() == "Line");
  BOOST_TEST(line.tag() == record_tag("Line"));
  BOOST_TEST(line.fields()[0].is_required);
  BOOST_TEST(hex_of(line.fields()[1].default_value) == "8101");
  BOOST_TEST(hex_of(line.fields()[2].default_value) == "2000");
  TypeDescriptor expr = parsed(kExpr);
  BOOST_REQUIRE(expr.alternative_arms().size() == 3u);
  BOOST_TEST(expr.alternative_arms()[2].fields[1].type.again_levels() == 0u);
  BOOST_TEST(parsed(kColor).members()[1].name == "BLUE");
  BOOST_TEST(hex_of(Bytes(parsed("literal(200161)").literal())) == "200161");
}

BOOST_AUTO_TEST_CASE(what_is_no_type_is_refused) {
  for (const char* text : {"tuple",
                           "tuple(",
                           "tuple(int",
                           "tuple(,)",
                           "tupleof()",
                           "tupleof(int,int)",
                           "dictof(int)",
                           "dictof(int,int,int)",
                           "int()",
                           "datetime()",
                           "record",
                           "record(,)",
                           "record(R,x)",
                           "record(R,x:)",
                           "record(R,:int)",
                           "record(R,x:int==)",
                           "record(R,x:int=8)",
                           "record(R x:int)",
                           "record(a=b)",
                           "enum()",
                           "enum(E)",
                           "enum(E,A)",
                           "enum(E,A=)",
                           "enum(E,A=4000)",
                           "enum(E,A=8101,)",
                           "alternative(E)",
                           "alternative(,A())",
                           "alternative(E,A)",
                           "alternative(E,A(x))",
                           "alternative(E,A(,x:int))",
                           "literal()",
                           "literal(8100)",
                           "literal(4000)",
                           "literal(8101",
                           "literal(8101FF)",
                           "literal(20016A)",
                           "forward(A)",
                           "forward(,int)",
                           "forward(A,int,int)"})
    check_refused(text);
  check_refused("record(R,x:int,x:int)", "two fields");
  check_refused("alternative(E,A(),A())", "two arms of the name");
  check_refused("enum(E,A=8101,A=8102)", "two members");
  check_refused("enum(E,A=90bff0000000000000,B=90bff0000000000000)", "two members");
  check_refused("enum(E,A=908000000000000000,B=907fffffffffffffff)", "two members");
  check_refused("again(A)", "in nothing of that name");
  check_refused("tuple(forward(A,tupleof(again(A))),again(A))", "in nothing of that name");
  check_refused("forward(A,again(A))", "stands for another");
  check_refused("forward(A,forward(B,int))", "stands for another");
  check_refused("forward(A,oneof(int,again(A)))", "an arm of a oneof");
  check_refused("forward(A,oneof(int,forward(B,oneof(str,again(A)))))", "an arm of a oneof");
  check_refused("record(R,x:int=200161)", "does not hold");
  check_refused("record(R,x:datetime=)", "which has none");
  check_refused("record(R,x:again(R)=)", "which has none");
  check_refused("record(R,x:again(R)=50" + tag("R") + "00)", "the record that the field is in");
  parsed("record(,x:record(R,y:record(,z:int=)=50" + tag("") + "00))");  // a NamedTuple has no name to be known by
  check_refused("record(R,x:ref(app.User)=6081078105)", "reference");
  check_refused("record(R,x:object=6c00)", "pickle");
  check_refused("alternative(E,A(x:again(E)=),B())", "which has none");
}

BOOST_AUTO_TEST_CASE(arms_that_are_stored_alike_are_read_alike) {
  const std::string colour =
                        "enum(Colour,RED=2001"
                        "72)",
                    other = "enum(Other,ROUGE=200172)", level = "enum(Level,LOW=8101)";
  for (const std::string& text : std::vector<std::string>{
           "oneof(tupleof(str),tupleof(" + colour + "))", "oneof(object,tuple(" + colour + "))",
           "oneof(tupleof(object),tuple(int," + colour + "))",
           "oneof(tuple(int,tupleof(" + colour + ")),tupleof(oneof(int,tupleof(str))))",
           "oneof(setof(" + colour + "),setof(" + other + "))", "oneof(dictof(str," + colour + "),dictof(str,str))",
           "oneof(tupleof(record(R,x:int)),tuple(record(R,y:int)))",
           "forward(A,oneof(none,tupleof(again(A)),tuple(" + colour + "),tuple(str)))"})
    check_refused(text, "nobody could tell which one was meant");
  for (const std::string& text : std::vector<std::string>{
           "oneof(tupleof(" + colour + "),tupleof(" + level + "))",
           "oneof(tuple(" + colour + ",int),tuple(" + colour + ",str))",
           "oneof(tuple(str,int),tuple(" + colour + ",int,int))",
           "oneof(tupleof(int)," + colour + ",tupleof(" + colour + "))",
           "oneof(object,tupleof(record(R,x:" + colour + ")))", "oneof(dictof(int," + colour + "),dictof(str,str))",
           "oneof(tupleof(record(R,x:int)),setof(record(R,x:int)))",
           "forward(A,oneof(none,tupleof(again(A)),dictof(str,again(A)),setof(" + colour + ")))",
           "oneof(tupleof(forward(A,tupleof(again(A)))),tupleof(forward(A,tuple(again(A),int))))"})
    parsed(text);
}

BOOST_AUTO_TEST_CASE(a_text_has_a_length_and_a_depth) {
  auto nested = [](int depth) {
    std::string out = "int";
    for (int i = 0; i < depth; ++i) out = "tuple(" + out + ")";
    return out;
  };
  TypeDescriptor deepest = parsed(nested(limits::kValueDepthMax));
  BOOST_TEST(deepest.holds(deepest.default_value()));
  Bytes value = deepest.default_value();
  BOOST_TEST(Reader(value).value().size() == value.size());
  check_refused(nested(limits::kValueDepthMax + 1), "nested more than");
  std::string wide = "record(R";
  for (size_t i = 0; i <= limits::kFieldsPerTypeMax; ++i) wide += ",f" + std::to_string(i) + ":int";
  BOOST_TEST(refusal(wide + ")").find("too many fields") != std::string::npos);
  BOOST_TEST(refusal("tuple(" + std::string(limits::kDescriptorBytesMax, 'x') + ")").find("at most 65536") !=
             std::string::npos);
}

// Ten texts that name each other twice: a thousand strings, and with sixty of them more than there is memory.
BOOST_AUTO_TEST_CASE(defaults_that_grow_without_end_are_refused) {
  auto doubling = [](int levels) {
    std::string before, after, item = "str";
    for (int i = 0; i < levels; ++i) {
      std::string name = "T" + std::to_string(i);
      before += "forward(" + name + ",oneof(tuple(" + item + "," + item + "),setof(";
      after += "),none))";
      item = "again(" + name + ")";
    }
    return before + "record(R,x:" + item + "=)" + after;
  };
  BOOST_TEST(refusal(doubling(3)) == "");
  check_refused(doubling(18), "too large");
}

BOOST_AUTO_TEST_CASE(arms_that_nobody_could_tell_apart_are_refused) {
  check_refused("oneof(record(R,x:int),record(R,y:int))", "records of the name 'R'");
  check_refused("oneof(record(,x:int),record(,y:int))", "records");
  check_refused("oneof(alternative(E,A()),alternative(E,B()))", "alternatives");
  check_refused("oneof(" + kColor + ",int)", "enum Color beside");
  check_refused("oneof(uint8," + kColor + ")", "enum Color beside");
  check_refused("oneof(" + kColor + ",object)", "enum Color beside");
  check_refused("oneof(" + kColor + ",literal(8102))", "enum Color beside");
  check_refused("oneof(" + kColor + ",enum(Other,X=8102))", "enum ");
  check_refused("oneof(none,enum(E,A=02))", "enum E beside");
  check_refused("oneof(str,forward(F," + std::string("enum(E,A=200161)") + "))", "enum E beside");
  for (const std::string& text :
       {"oneof(none," + kColor + ",str)", "oneof(" + kColor + ",enum(Other,X=8103))",
        std::string("oneof(literal(8101),int)"), std::string("oneof(tupleof(int),tupleof(str))"),
        std::string("oneof(int8,int)"), std::string("oneof(float32,float)"),
        std::string("oneof(record(A),record(B),alternative(A,X()))"),
        std::string("oneof(ref(app.User),ref(app.Group))")})
    BOOST_TEST(refusal(text) == "", text);
}

// ---- what is held

BOOST_AUTO_TEST_CASE(ints_are_held_in_their_range) {
  BOOST_TEST(holds("int8", "817f"));
  BOOST_TEST(!holds("int8", "8180"));
  BOOST_TEST(holds("int8", "7e80"));
  BOOST_TEST(!holds("uint8", "7f"));
  BOOST_TEST(holds("uint8", "81ff"));
  BOOST_TEST(!holds("uint8", "820100"));
  BOOST_TEST(holds("uint64", "88ffffffffffffffff"));
  BOOST_TEST(!holds("int", "888000000000000000"));
  BOOST_TEST(!holds("uint64", "7f"));
  BOOST_TEST(holds("float32", "90bff8000000000000"));
  BOOST_TEST(!holds("float32", "90bff8000000000001"));
  BOOST_TEST(!holds("float32", "90ffefffffffffffff"));
  BOOST_TEST(holds("float32", "90fff0000000000000"));
  BOOST_TEST(holds("float32", "90ffffffffffffffff"));
}

BOOST_AUTO_TEST_CASE(a_record_is_held_in_its_one_form) {
  std::string head = "50" + tag("Line");
  BOOST_TEST(holds(kLine, head + "03810500"));
  BOOST_TEST(holds(kLine, head + "03810503810200"));
  BOOST_TEST(holds(kLine, head + "038105018000"));
  BOOST_TEST(!holds(kLine, head + "00"));                              // the price is missing
  BOOST_TEST(!holds(kLine, head + "01810500"));                        // a required field is always above
  BOOST_TEST(!holds(kLine, head + "03810501810200"));                  // 2 is not below 1
  BOOST_TEST(!holds(kLine, head + "03810502810100"));                  // the default, stored though it is last
  BOOST_TEST(holds(kLine, head + "0381050381010320016100"));           // equal, then greater
  BOOST_TEST(!holds(kLine, head + "0381050181010320016100"));          // its mark has to be that of what follows
  BOOST_TEST(!holds(kLine, head + "038105038102032001610320016100"));  // a field too many
  BOOST_TEST(!holds(kLine, "50" + tag("Other") + "03810500"));
}

BOOST_AUTO_TEST_CASE(recursive_types_hold_values_of_any_depth) {
  BOOST_TEST(holds(kExpr, "58" + tag("Expr") + "8102 03 58" + tag("Expr") + "8101 03 8105 00 00"));
  BOOST_TEST(!holds(kExpr, "58" + tag("Expr") + "8103 00"));
  BOOST_TEST(holds(kJson, "4002 8101 4401 200161 4001 02"));
  BOOST_TEST(!holds(kJson, "4002 8101 4401 200161 4001 240161"));
}

// Two arms that begin alike, 60 levels deep: 2^60 ways, none of them right.
BOOST_AUTO_TEST_CASE(arms_that_begin_alike_at_every_level_come_to_an_end) {
  TypeDescriptor type = parsed("forward(T,oneof(int,tupleof(again(T)),tuple(again(T))))");
  Bytes value;
  for (int i = 0; i < 60; ++i) value += from_hex("4001");
  BOOST_TEST(type.holds(value + from_hex("8101")));
  BOOST_TEST(!type.holds(value + from_hex("2000")));
}

// Of every item most arms are no match, and an item is a byte or two.
BOOST_AUTO_TEST_CASE(unions_and_enums_may_be_long) {
  std::string literals = "oneof(bytes", enumeration = "enum(E", targets = "oneof(int";
  auto int_hex = [](int i) {
    Bytes value;
    put_int(value, i);
    return hex_of(value);
  };
  for (int i = 0; i < 1000; ++i) {
    literals += ",literal(" + int_hex(i * 7 % 1000) + ")";
    enumeration += ",m" + std::to_string(i) + "=" + int_hex(i * 7 % 1000);
  }
  for (int i = 0; i < 510; ++i) targets += ",ref(shop.T" + std::to_string(i) + ")";
  auto tuple_of = [](const std::string& item) {
    Bytes value;
    put_tuple_head(value, 2000);
    for (int i = 0; i < 2000; ++i) value += from_hex(item);
    return value;
  };
  for (const std::string& type : {literals + ")", enumeration + ")"}) {
    TypeDescriptor items = parsed("tupleof(" + type + ")"), item = parsed(type);
    BOOST_TEST(items.holds(tuple_of(int_hex(999))));
    BOOST_TEST(!items.holds(tuple_of(int_hex(1000))));
    for (int i = 0; i < 1000; ++i) BOOST_TEST(item.holds(from_hex(int_hex(i))));
    for (int i : {-1, 1000, 70'000}) BOOST_TEST(!item.holds(from_hex(int_hex(i))));
    BOOST_TEST(!item.holds(from_hex("200161")));
  }
  BOOST_TEST(parsed("tupleof(" + targets + ",none))").holds(tuple_of("02")));
}

// Each arm has the whole value walked through before it fails.
BOOST_AUTO_TEST_CASE(arms_behind_a_large_object_come_to_an_end) {
  std::string arms = "tuple(object,none)";
  for (int i = 0; i < 20; ++i) arms += ",tuple(again(T),literal(81" + hex_of(Bytes(1, static_cast<char>(i + 1))) + "))";
  TypeDescriptor type = parsed("forward(T,oneof(" + arms + "))");
  Bytes object;
  put_tuple_head(object, 1'000'000);
  for (int i = 0; i < 1'000'000; ++i) put_none(object);
  auto behind = [&](std::string_view last) {
    Bytes inner = from_hex("4002") + object + from_hex("02");
    for (int level = 0; level < 3; ++level) inner = from_hex("4002") + inner + from_hex(last);
    return inner;
  };
  BOOST_TEST(type.holds(behind("02")));
  BOOST_TEST(type.holds(behind("8101")));   // the first one of those that go deeper
  BOOST_TEST(!type.holds(behind("8114")));  // the last one at every level: 8,000 times through it all
}

// What a union may have, it holds, however many values of it there are; what would be too much is refused before there is one.
BOOST_AUTO_TEST_CASE(as_many_arms_as_a_union_may_have_are_tried_to_the_end) {
  constexpr size_t kMany = 20'000;
  auto many_of = [](const Bytes& item) {
    Bytes value;
    put_tuple_head(value, kMany);
    for (size_t i = 0; i < kMany; ++i) value += item;
    return value;
  };
  auto tuple_type = [](const std::string& arms) { return "tupleof(oneof(" + arms + "))"; };
  auto listed = [](size_t count, auto&& arm) {
    std::string arms;
    for (size_t i = 0; i < count; ++i) arms += (i == 0 ? "" : ",") + arm(std::to_string(i));
    return arms;
  };
  auto record = [](const std::string& i) { return "record(R" + i + ",x:int)"; };
  auto alternative = [](const std::string& i) { return "alternative(A" + i + ",One())"; };
  auto forward = [](const std::string& i) { return "forward(F" + i + ",record(R" + i + ",x:int))"; };
  auto tuple = [](const std::string& i) { return "tuple(tupleof(int),record(R" + i + "))"; };
  auto enumeration = [](const std::string& i) {
    return "enum(E" + i + ",m=20" + "02" + hex_of(i.size() < 2 ? "0" + i : i) + ")";
  };
  std::string full = std::to_string(limits::kUnionArmsMax), last = std::to_string(limits::kUnionArmsMax - 1);
  std::string last_alike = std::to_string(limits::kAlikeArmsMax - 1);

  Bytes of_record = from_hex("50" + tag("R" + last) + "03 80 00");
  BOOST_TEST(parsed(tuple_type(listed(limits::kUnionArmsMax, record))).holds(many_of(of_record)));
  BOOST_TEST(parsed(tuple_type(listed(limits::kUnionArmsMax, forward))).holds(many_of(of_record)));
  auto named = [](const std::string& i) {
    return "forward(F" + i + ",literal(2004" + hex_of(Bytes(4 - i.size(), '0') + i) + "))";
  };
  BOOST_TEST(
      parsed(tuple_type(listed(limits::kUnionArmsMax, named))).holds(many_of(from_hex("2004" + hex_of("0" + last)))));
  BOOST_TEST(!problem_of("oneof(" + listed(limits::kUnionArmsMax + 1, named) + ")").empty());
  BOOST_TEST(parsed(tuple_type(listed(limits::kUnionArmsMax, alternative)))
                 .holds(many_of(from_hex("58" + tag("A" + last) + "80 00"))));
  BOOST_TEST(
      parsed(tuple_type(listed(limits::kAlikeArmsMax, tuple) + "," + listed(limits::kUnionArmsMax - 30, alternative)))
          .holds(many_of(from_hex("4002 4003 80 80 80 50" + tag("R" + last_alike) + "00"))));
  BOOST_TEST(parsed(tuple_type(listed(limits::kAlikeArmsMax, enumeration)))
                 .holds(many_of(from_hex("2002" + hex_of(last_alike)))));

  BOOST_TEST(problem_of(tuple_type(listed(limits::kUnionArmsMax + 1, record))).find("more than " + full + " arms") !=
             std::string::npos);
  for (auto&& [arm, words] : std::vector<std::pair<std::string, std::string>>{
           {listed(limits::kAlikeArmsMax + 1, tuple), "more than 24 arms that are tuples"},
           {listed(limits::kAlikeArmsMax + 1, enumeration), "more than 24 arms that are enums"}})
    BOOST_TEST(problem_of("oneof(" + arm + ")").find(words) != std::string::npos, problem_of("oneof(" + arm + ")"));
  auto literal = [](const std::string& i) { return "literal(2004" + hex_of(Bytes(4 - i.size(), '0') + i) + ")"; };
  BOOST_TEST(parsed("oneof(" + listed(limits::kUnionArmsMax, record) + "," + listed(1000, literal) + ")")
                 .holds(from_hex("2004" + hex_of("0999"))));
  BOOST_TEST(parsed(tuple_type(listed(2500, literal) + ",int")).holds(many_of(from_hex("80"))));
}

BOOST_AUTO_TEST_CASE(defaults_are_those_of_the_types) {
  const std::vector<std::pair<std::string, std::string>> defaults = {
      {"object", "02"},
      {"uint64", "80"},
      {"float32", "908000000000000000"},
      {"tupleof(int)", "4000"},
      {"setof(int)", "4800"},
      {"dictof(int,int)", "4400"},
      {"tuple(int,str)", "4002802000"},
      {"literal(200161)", "200161"},
      {kColor, "8101"},
      {kExpr, "58" + tag("Expr") + "8000"},
      {kJson, "02"},
      {"record(R,x:int=,y:str=200161)", "50" + tag("R") + "00"},
      {"oneof(datetime,none)", "02"},
      {"oneof(int,none)", "80"},
      {"oneof(" + kLine + ",str)", "2000"}};
  for (const auto& [text, value] : defaults) {
    BOOST_TEST(hex_of(parsed(text).default_value()) == hex_of(from_hex(value)), text);
    BOOST_TEST(parsed(text).has_default(), text);
    BOOST_TEST(parsed(text).holds(parsed(text).default_value()), text);
  }
  for (const std::string& text :
       {std::string("datetime"), std::string("date"), std::string("time"), std::string("timedelta"),
        std::string("decimal"), std::string("uuid"), kLine, std::string("tuple(int,datetime)"),
        std::string("oneof(date,uuid)"), std::string("forward(T,tuple(int,again(T)))")}) {
    BOOST_TEST(!parsed(text).has_default(), text);
    BOOST_TEST(parsed(text).default_value().empty(), text);
  }
  BOOST_TEST(hex_of(parsed("record(R,who:ref(app.User)=)").fields()[0].default_value) == "60810780");
}

BOOST_AUTO_TEST_CASE(types_are_shown_as_people_say_them) {
  const std::vector<std::pair<std::string, std::string>> shown = {
      {"oneof(int,none)", "int or None"},
      {"tupleof(" + kLine + ")", "tuple of Line"},
      {"setof(oneof(str,none))", "set of (str or None)"},
      {"dictof(str,ref(app.User))", "dict of str to app.User"},
      {"tuple(int,datetime)", "tuple of (int, datetime)"},
      {"oneof(literal(200161),literal(200162))", "'a' or 'b'"},
      {"record(,x:int,y:int=8105)", "NamedTuple(x: int, y: int = 5)"},
      {"oneof(decimal,uuid)", "Decimal or UUID"},
      {kColor, "Color"}};
  for (const auto& [text, words] : shown) BOOST_TEST(parsed(text).shown() == words);
  BOOST_TEST(parsed(kLine).shown_in_full() == "Line(price: int, count: int = 1, note: str = '')");
  BOOST_TEST(parsed(kColor).shown_in_full() == "Color (RED = 1, BLUE = 2)");
  BOOST_TEST(parsed(kExpr).shown_in_full().starts_with("Expr: Nil() or Number(value: int = 0) or Add(left: Expr = "));
  std::string many = "tuple(int";
  for (int i = 0; i < 1000; ++i) many += ",dictof(str,str)";
  BOOST_TEST(parsed(many + ")").shown().size() < 500u);
}

// ---- which are wider

BOOST_AUTO_TEST_CASE(what_widens_and_what_does_not) {
  const std::string line_and_more = "record(Line,price:int,count:int=8101,note:str=,tags:setof(str)=)";
  const std::vector<std::pair<std::string, std::string>> wider = {
      {"int", "oneof(int,none)"},
      {"int", "oneof(none,int)"},
      {"oneof(int,none)", "oneof(none,str,int)"},
      {"int8", "int16"},
      {"uint32", "int"},
      {"uint8", "uint64"},
      {"float32", "float"},
      {"literal(8101)", "int"},
      {"oneof(literal(200161),literal(200162))", "oneof(literal(200162),literal(200161),literal(200163))"},
      {"oneof(literal(200161),literal(200162))", "str"},
      {kColor, "enum(Color,RED=8101,BLUE=8102,GREEN=8103)"},
      {"tuple(int,int8)", "tupleof(int)"},
      {"tupleof(int)", "tupleof(oneof(int,none))"},
      {"dictof(str,int8)", "dictof(str,int)"},
      {kLine, line_and_more},
      {"tupleof(" + kLine + ")", "tupleof(" + line_and_more + ")"},
      {"oneof(none," + kLine + ")", "oneof(none," + line_and_more + ")"},
      {"alternative(E,A())", "alternative(E,A(x:int=),B(y:int))"},
      {kJson, kJson.substr(0, kJson.size() - 2) + ",bytes))"},
      {"oneof(tupleof(" + kLine + "),tupleof(int))", "oneof(tupleof(" + kLine + "),tupleof(int),tupleof(str))"},
      {"int", "object"},
      {"ref(app.User)", "oneof(ref(app.User),ref(app.Group))"}};
  for (const auto& [narrow, wide] : wider) {
    BOOST_TEST(widens(narrow, wide), narrow << " to " << wide);
    BOOST_TEST(!widens(wide, narrow), wide << " to " << narrow);
    BOOST_TEST(widens(narrow, narrow), narrow);
  }
  const std::vector<std::pair<std::string, std::string>> others = {
      {"int", "float"},
      {"int", "str"},
      {"int", "uint64"},
      {"uint64", "int"},
      {"bool", "int"},
      {kColor, "int"},
      {kColor, "enum(Color,RED=8101,BLUE=8103)"},
      {kColor, "enum(Colour,RED=8101,BLUE=8102)"},
      {"ref(app.User)", "ref(app.Group)"},
      {kLine, "record(Line,price:int,count:int=8102,note:str=)"},           // another default
      {kLine, "record(Line,price:int=,count:int=8101,note:str=)"},          // is left out now when it was stored
      {kLine, "record(Line,price:int,count:int=8101,note:str=,more:int)"},  // required
      {kLine, "record(Line,price:int,count:int=8101,text:str=)"},
      {kLine, "record(Row,price:int,count:int=8101,note:str=)"},
      {"record(R,x:int=)", "record(R,x:oneof(none,int)=)"},  // read as 0, then as None
      {"tuple(int)", "tuple(int,int)"},
      {"tupleof(int)", "setof(int)"},
      {kColor, "object"},
      {"tupleof(" + kLine + ")", "object"}};
  for (const auto& [a, b] : others) BOOST_TEST(!widens(a, b), a << " to " << b);
}

BOOST_AUTO_TEST_CASE(wider_recursive_types_are_found_wider) {
  std::string more =
      "alternative(Expr,Nil(),Number(value:int=),Add(left:again(Expr)=,right:again(Expr)=,note:str=),Neg(of:again(Expr)"
      "))";
  BOOST_TEST(widens(kExpr, more));
  BOOST_TEST(!widens(more, kExpr));
  BOOST_TEST(widens("tupleof(" + kExpr + ")", "tupleof(oneof(none," + more + "))"));
}

// ---- random types and values

BOOST_AUTO_TEST_CASE(random_types_have_one_text_and_hold_what_was_made_for_them) {
  Random random(kSeed);
  int values = 0, defaults = 0, others = 0;
  for (int i = 0; i < 10'000; ++i) {
    TypeDescriptor type = random_type(random, 4);
    std::string text = type.text();
    BOOST_REQUIRE_MESSAGE(TypeDescriptor::parse(text).value().text() == text, "seed " << kSeed << ": " << text);
    TypeDescriptor resolved = parsed(text);
    BOOST_REQUIRE_MESSAGE(resolved.has_default() == !resolved.default_value().empty(),
                          "seed " << kSeed << ": " << text);
    if (resolved.has_default()) {
      BOOST_REQUIRE_MESSAGE(resolved.holds(resolved.default_value()), "seed " << kSeed << ": " << text);
      ++defaults;
    }
    for (int n = 0; n < 4; ++n) {
      std::optional<Bytes> value = random_value_of(resolved, random);
      if (!value) continue;
      ++values;
      BOOST_REQUIRE_MESSAGE(Reader(*value).value().size() == value->size(),
                            "seed " << kSeed << ": " << text << ", " << hex_of(*value));
      BOOST_REQUIRE_MESSAGE(resolved.holds(*value), "seed " << kSeed << ": " << text << ", " << hex_of(*value));
      Bytes other = damaged(*value, random);
      Reader in(other);
      if (!other.empty() && in.value().size() == other.size() && in.is_ok()) others += !resolved.holds(other);
    }
  }
  BOOST_TEST(values > 30'000);
  BOOST_TEST(defaults > 4'000);
  BOOST_TEST(others > 1'000);
}

BOOST_AUTO_TEST_CASE(a_wider_type_holds_all_that_the_narrower_one_holds) {
  Random random(kSeed);
  int wider = 0, not_wider = 0, back = 0;
  for (int i = 0; i < 10'000; ++i) {
    TypeDescriptor narrow = random_type(random, 4);
    BOOST_REQUIRE(narrow.widens_to(narrow));
    std::optional<TypeDescriptor> wide = random_wider(narrow, random);
    if (!wide) continue;
    narrow.resolve(number_of);
    wide->resolve(number_of);
    auto check = [&](const TypeDescriptor& a, const TypeDescriptor& b) {
      if (!a.widens_to(b)) return false;
      for (int n = 0; n < 4; ++n) {
        std::optional<Bytes> value = random_value_of(a, random);
        if (value)
          BOOST_REQUIRE_MESSAGE(b.holds(*value),
                                "seed " << kSeed << ": " << a.text() << " to " << b.text() << ", " << hex_of(*value));
      }
      return true;
    };
    bool is_wider = check(narrow, *wide);
    (is_wider ? wider : not_wider) += 1;
    back += !(narrow == *wide) && check(*wide, narrow);
    TypeDescriptor other = random_type(random, 2);
    other.resolve(number_of);
    check(narrow, other);
  }
  BOOST_TEST(wider > 8'000);
  BOOST_TEST(not_wider < 500);    // arms that begin alike: not sure, so no
  BOOST_TEST(back < wider / 20);  // "object or None" is no more than object
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
