/// What one definition may ask of the server, whose one thread serves everybody: hostile ones are refused with the limit's name and the
/// connection goes on; large ones of honest programs pass, with room.
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "core/server/catalogue.h"
#include "core/server/server_testing.h"
#include "core/types/words.h"

namespace odb {
namespace {

using namespace odb::testing;

std::string numbered(const std::string& name, size_t i) { return name + std::to_string(i); }

SchemaDefinition schema_of(const std::string& type, size_t fields, size_t types = 1, const Bytes& default_value = {}) {
  SchemaDefinition schema{"x", {}};
  for (size_t t = 0; t < types; ++t) {
    TypeDefinition& added = schema.types.emplace_back(TypeDefinition{numbered("T", t), {}, {}});
    for (size_t f = 0; f < fields; ++f) added.fields.push_back({numbered("field_of_a_name_", f), type, default_value});
  }
  return schema;
}

std::string literal(size_t i) { return "literal(" + hex_of(str_value(numbered("state", i))) + ")"; }

/// oneof(none, part 0, part 1, ...), or from the last to the first.
template <class Part>
std::string oneof_of(size_t arms, bool is_reversed, Part&& part) {
  std::string text = "oneof(none";
  for (size_t i = 0; i < arms; ++i) text += "," + part(is_reversed ? arms - 1 - i : i);
  return text + ")";
}

struct DefinitionLimitsFixture : ServerFixture {
  std::string define(const SchemaDefinition& schema) {
    say(id, DefineSchema{RequestId{++request}, schema});
    std::vector<KeptFrame> answers = frames(id);
    if (answers.empty()) return "nothing";
    if (answers.back().is<Refused>()) return answers.back().as<Refused>().message;
    return told(answers.back());
  }
  bool names(const std::string& message, const std::string& limit) {
    bool is_named = message.find(limit) != message.npos;
    if (!is_named) BOOST_TEST_MESSAGE(message);
    return is_named && !core.is_closing(id) && is_alive(id);
  }
  ConnectionId id = join();
  uint64_t request = 0;
};

BOOST_FIXTURE_TEST_SUITE(definition_limits, DefinitionLimitsFixture)

BOOST_AUTO_TEST_CASE(large_definitions_of_honest_programs_pass_with_room) {
  std::string members = "enum(State";
  for (size_t i = 0; i < 4000; ++i) {
    Bytes value;
    put_int(value, static_cast<int64_t>(i));
    members += numbered(",m", i) + "=" + hex_of(value);
  }
  std::string literals = oneof_of(800, false, literal);
  std::string lines = "tupleof(record(Line,price:decimal,count:int=,tags:setof(str)=,note:oneof(none,str)=))";
  for (const SchemaDefinition& schema :
       {schema_of("oneof(none,int)", 200), schema_of("oneof(none,str)", 30, 500), schema_of("int", 10, 4000),
        schema_of(members + ")", 1), schema_of(literals, 20), schema_of(lines, 20, 200)}) {
    Store store;
    Catalogue catalogue(store);
    for (int time = 0; time < 2; ++time) {  // when it is new, and when it is known
      Draft draft(schema);
      bool is_ready = false;
      Status status = catalogue.prepare(draft, 0, is_ready);
      BOOST_REQUIRE_MESSAGE(status.is_ok(), status.message());
      BOOST_TEST(catalogue.define(draft).is_ok());
      BOOST_TEST(draft.effort.left() > limits::kDefinitionStepsMax / 10);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_definition_of_more_bytes_than_are_read_is_refused_unread) {
  std::string message = define(schema_of("int", 4096, 50));
  BOOST_TEST(names(message, "kDefinitionBytesMax"));
}

BOOST_AUTO_TEST_CASE(a_definition_of_too_many_small_types_is_refused) {
  std::string tuples = "tuple(int";
  for (size_t i = 0; i < 4000; ++i) tuples += ",tuple(int)";
  BOOST_TEST(names(define(schema_of(tuples + ")", 60)), "kDefinitionStepsMax"));
}

BOOST_AUTO_TEST_CASE(defaults_that_are_made_of_each_other_are_refused) {
  std::string nested = "int";
  for (size_t i = 0; i < 60; ++i) nested = numbered("record(R", i) + ",a:" + nested + "=)";
  std::string text = "tuple(" + nested;
  while (text.size() + nested.size() < limits::kDescriptorBytesMax - 8) text += "," + nested;
  BOOST_TEST(names(define(schema_of(text + ")", 60)), "kDefinitionStepsMax"));
}

BOOST_AUTO_TEST_CASE(what_was_taken_from_one_client_is_taken_from_every_other) {
  std::string tuples = "tuple(int";
  for (size_t i = 0; i < 3000; ++i) tuples += ",tuple(tuple(int))";
  tuples += ")";
  size_t fields = 1;
  for (; define(schema_of(tuples, fields)) == "SchemaMapping"; ++fields)
    BOOST_TEST(define(schema_of(tuples, fields)) == "SchemaMapping");
  BOOST_TEST(fields > 10u);
  SchemaDefinition known = schema_of(tuples, fields - 1);
  ServerFixture f;
  f.say(f.join(), DefineSchema{RequestId{1}, known});
  ConnectionId other = f.join();
  f.say(other, DefineSchema{RequestId{1}, known});
  BOOST_TEST((f.heard(other) == Lines{"SchemaMapping"}));
}

// One of 64 KiB could have had 75 MB of them, in every field.
BOOST_AUTO_TEST_CASE(a_default_that_is_large_and_repeated_is_no_type) {
  std::string text = "forward(F,tuple(literal(" + hex_of(str_value(std::string(15'000, 'x'))) + "),oneof(none,record(R";
  for (size_t i = 0; i < 1000; ++i) text += numbered(",a", i) + ":again(F)=";
  Result<TypeDescriptor> type = TypeDescriptor::parse(text + "))))");
  BOOST_TEST(type.status().message() == "type descriptor has defaults that are too large");
}

BOOST_AUTO_TEST_CASE(unions_that_begin_alike_are_compared_for_so_long_only) {
  auto text = [](size_t count, bool is_reversed) {
    auto arm = [=](size_t i) {
      auto inner = [i](size_t j) { return "tuple(" + literal(100 * i + j) + ")"; };
      return "tuple(int," + oneof_of(20, is_reversed, inner) + ")";
    };
    return oneof_of(count, is_reversed, arm);
  };
  BOOST_TEST(define(schema_of(text(20, false), 6)) == "SchemaMapping");
  BOOST_TEST(names(define(schema_of(text(20, true), 6)), "kDefinitionStepsMax"));
  BOOST_TEST(define(schema_of(text(21, false), 6)) == "SchemaMapping");  // arms that are added pass
  BOOST_TEST(define(schema_of(text(20, false), 6)) == "SchemaMapping");  // and programs without them
}

BOOST_AUTO_TEST_CASE(literals_may_be_added_to_hundreds_wherever_they_stand) {
  BOOST_TEST(define(schema_of(oneof_of(800, false, literal), 20)) == "SchemaMapping");
  BOOST_TEST(define(schema_of(oneof_of(810, true, literal), 20)) == "SchemaMapping");
  BOOST_TEST(define(schema_of(oneof_of(800, false, literal), 20)) == "SchemaMapping");
}

BOOST_AUTO_TEST_CASE(defaults_that_fit_after_long_trying_are_counted_together) {
  std::string type =
      "forward(F,oneof(none,tuple(again(F),int),tuple(again(F),float),tuple(again(F),bool),tuple(again(F),str)))";
  Bytes value;
  for (int i = 0; i < 3; ++i) put_tuple_head(value, 2);
  put_none(value);
  for (int i = 0; i < 3; ++i) value += str_value("");
  BOOST_TEST(names(define(schema_of(type, 4096, 2, value)), "kDefinitionStepsMax"));
}

BOOST_AUTO_TEST_CASE(indexes_over_many_fields_are_counted_whenever_their_type_changes) {
  SchemaDefinition schema = schema_of("int", 64, 4);
  for (TypeDefinition& type : schema.types) {
    for (size_t i = 0; i < 250; ++i) {
      IndexDefinition& index = type.indexes.emplace_back(IndexDefinition{numbered("i", i), {}});
      for (const FieldDefinition& field : type.fields) index.fields.push_back(field.name);
    }
  }
  BOOST_TEST(names(define(schema), "kDefinitionStepsMax"));
  for (size_t t = 0; t < 4; ++t) BOOST_TEST(define({"x", {schema.types[t]}}) == "SchemaMapping");
  BOOST_TEST(define(schema) == "SchemaMapping");
  for (TypeDefinition& type : schema.types) type.fields.push_back({"more", "int", {}});
  BOOST_TEST(names(define(schema), "kDefinitionStepsMax"));
}

BOOST_AUTO_TEST_CASE(a_type_grows_to_a_limit_however_small_the_steps_are) {
  std::string large = oneof_of(1500, false, literal);
  std::string message;
  size_t fields = 0;
  for (; fields < 200 && (message.empty() || message == "SchemaMapping"); fields += 10) {
    TypeDefinition type{"T", {}, {}};
    for (size_t i = 0; i < 10; ++i) type.fields.push_back({numbered("f", fields + i), large, {}});
    message = define({"x", {type}});
  }
  BOOST_TEST(names(message, "kTypeBytesMax"));
  BOOST_TEST(fields > 30u);
}

BOOST_AUTO_TEST_CASE(what_a_small_definition_leads_to_has_to_fit_into_an_answer) {
  std::string large = oneof_of(1500, false, literal);
  for (size_t t = 0; t < 4; ++t) {
    SchemaDefinition schema = schema_of(large, 25);
    schema.types[0].name = numbered("T", t);
    schema.types[0].fields.push_back({"next", "ref(x." + numbered("T", t + 1) + ")", {}});
    BOOST_TEST(define(schema) == "SchemaMapping");
  }
  std::string message = define({"y", {{"Y", {{"first", "ref(x.T0)", {}}}, {}}}});
  BOOST_TEST(names(message, "kMappingBytesMax"));
}

BOOST_AUTO_TEST_CASE(definitions_that_replace_each_other_do_not_fill_the_memory) {
  std::string large = oneof_of(1500, false, literal);
  BOOST_TEST(define(schema_of(large, 30)) == "SchemaMapping");
  std::string message = "SchemaMapping";
  size_t fields = 0;
  for (; fields < 1000 && message == "SchemaMapping"; ++fields)
    message = define({"x", {{"T0", {{numbered("f", fields), "int", {}}}, {}}}});
  BOOST_TEST(names(message, "kReplacedBytesMax"));
  BOOST_TEST(fields > 16u);
}

// Each value alone would be tried to its end.
BOOST_AUTO_TEST_CASE(the_values_of_one_commit_are_matched_for_so_long_only) {
  std::string type =
      "forward(F,oneof(none,tuple(again(F),int),tuple(again(F),float),tuple(again(F),bool),tuple(again(F),str)))";
  BOOST_TEST(define(schema_of(type, 20)) == "SchemaMapping");
  Bytes value;
  for (int i = 0; i < 4; ++i) put_tuple_head(value, 2);
  put_none(value);
  for (int i = 0; i < 4; ++i) value += str_value("");
  Bytes nothing;
  put_none(nothing);
  std::vector<Bytes> fields(20, nothing);
  fields[0] = value;
  Records one, many;
  one.row(Op::kCreate, TypeId{1}, own(id, 64), fields);
  commit(id, one);
  BOOST_TEST(heard(id).back().starts_with("CommitResult 1 accepted"));
  for (int64_t i = 0; i < 100; ++i) many.row(Op::kCreate, TypeId{1}, own(id, 65 + i), std::vector<Bytes>(20, value));
  say(id, CommitPart{CommitSeq{2}, many.bytes, {}});
  say(id, CommitEnd{CommitSeq{2}, {}, false});
  BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));
}

// Each of them is taken again when it may be answered: not all of them in one turn.
BOOST_AUTO_TEST_CASE(definitions_that_waited_for_one_index_are_taken_turn_by_turn) {
  ServerOptions slow = options();
  slow.backfill_objects = 4;
  ServerFixture f(slow);
  ConnectionId writer = f.join_shop();
  Records items;
  for (int64_t i = 0; i < 50; ++i) items.create(f.own(writer, i), {"cup", 1, i});
  f.commit(writer, items);
  SchemaDefinition schema = schema_of("oneof(none,str)", 30, 300);
  schema.name = "shop";
  schema.types.push_back({"Item", {{"place", "int", {}}}, {{"place", {"place"}}}});
  std::vector<ConnectionId> newer;
  for (int i = 0; i < 6; ++i) f.say(newer.emplace_back(f.join()), DefineSchema{RequestId{7}, schema});
  std::vector<size_t> answered;
  for (bool has_more = true; has_more;) {
    has_more = f.core.work();
    size_t count = 0;
    for (ConnectionId id : newer) count += f.heard(id).size();
    if (count > 0) answered.push_back(count);
  }
  BOOST_TEST(answered.size() > 1u);
  BOOST_TEST(std::accumulate(answered.begin(), answered.end(), size_t{0}) == newer.size());
  f.core.check();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
