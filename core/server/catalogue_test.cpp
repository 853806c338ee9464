/// Definitions: what is numbered how, what is refused, and that a refused one leaves nothing behind.
#include "core/server/catalogue.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "core/base/limits.h"
#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct CatalogueFixture {
  Store store;
  Catalogue catalogue{store};

  Code define(const SchemaDefinition& definition) { return catalogue.define(definition).status().code(); }
  std::vector<TypeId> must_define(const SchemaDefinition& definition) {
    Result<std::vector<TypeId>> types = catalogue.define(definition);
    ODB_CHECK(types.is_ok(), types.status().message());
    return types.value();
  }
  const TypeLayout& layout(uint32_t type) const { return store.table(TypeId{type})->layout(); }
  bool prepare(const SchemaDefinition& definition, size_t objects_max) {
    bool is_ready = false;
    Draft draft(definition);
    Status status = catalogue.prepare(draft, objects_max, is_ready);
    ODB_CHECK(status.is_ok(), status.message());
    return is_ready;
  }
  size_t members(IndexId index, BytesView key) const {
    size_t found = 0;
    store.table(TypeId{1})->for_each_in(index, key, store.published().step, [&](ObjectId) { return ++found > 0; });
    return found;
  }
  void add_an_item() { step(store, 1, Records().create(100, {"cup", 1, 1})); }
};

SchemaDefinition schema(std::string name, std::vector<TypeDefinition> types) {
  return {std::move(name), std::move(types)};
}

TypeDefinition item_definition() {
  return {"Item",
          {{"name", "str", {}}, {"shelf", "int", {}}, {"place", "int", {}}},
          {{"shelf", {"shelf"}}, {"spot", {"shelf", "place"}}}};
}

TypeDefinition indexed_item(std::string index, std::vector<std::string> fields) {
  TypeDefinition item = item_definition();
  item.indexes.push_back({std::move(index), std::move(fields), false});
  return item;
}

TypeDefinition unique_item(std::string index, std::vector<std::string> fields) {
  TypeDefinition item = item_definition();
  item.indexes.push_back({std::move(index), std::move(fields), true});
  return item;
}

std::string told(const TypeLayout& layout) {
  std::string out = layout.qualified_name() + ":";
  for (const FieldLayout& field : layout.fields) out += " " + field.name + "=" + field.type.text();
  for (const IndexLayout& index : layout.indexes) {
    out += " " + index.name + (index.is_unique ? "!(" : "(");
    for (FieldId field : index.fields) out += std::to_string(field.value);
    out += ")";
  }
  return out;
}

BOOST_FIXTURE_TEST_SUITE(catalogue, CatalogueFixture)

BOOST_AUTO_TEST_CASE(numbers_are_given_in_order_and_stay) {
  BOOST_TEST(
      (must_define(schema("shop", {item_definition(), {"Shelf", {}, {}}})) == std::vector{TypeId{1}, TypeId{2}}));
  BOOST_TEST((must_define(schema("bank", {{"Account", {}, {}}})) == std::vector{TypeId{3}}));
  BOOST_TEST(
      (must_define(schema("shop", {{"Shelf", {}, {}}, item_definition()})) == std::vector{TypeId{1}, TypeId{2}}));
  BOOST_TEST(told(layout(1)) == "shop.Item: name=str shelf=int place=int shelf(1) spot(12)");
  BOOST_TEST(catalogue.type_count() == 3u);
}

BOOST_AUTO_TEST_CASE(fields_and_indexes_are_appended_whoever_defines_them) {
  must_define(schema("shop", {{"Item", {{"name", "str", {}}}, {}}}));
  must_define(schema("shop", {{"Item", {{"price", "float", {}}, {"name", "str", {}}}, {{"price", {"price"}}}}}));
  must_define(schema("shop", {{"Item", {{"weight", "int", {}}}, {}}}));
  BOOST_TEST(told(layout(1)) == "shop.Item: name=str price=float weight=int price(1)");
}

BOOST_AUTO_TEST_CASE(the_first_definition_of_a_field_fixes_its_default) {  // D18
  must_define(schema("shop", {{"Item", {{"shelf", "int", int_value(7)}}, {}}}));
  must_define(schema("shop", {{"Item", {{"shelf", "int", int_value(8)}, {"place", "int", {}}}, {}}}));
  BOOST_TEST(layout(1).fields[0].default_value == int_value(7));
  BOOST_TEST(layout(1).fields[1].default_value == int_value(0));
  BOOST_TEST(catalogue.mapped(TypeId{1}).fields[0].default_value == int_value(7));
}

BOOST_AUTO_TEST_CASE(references_number_the_types_they_name_and_those_behind_them) {
  must_define(schema("far", {{"C", {{"d", "ref(far.away.D)", {}}}, {}}}));
  std::vector<TypeId> named = must_define(schema("near", {{"A", {{"c", "oneof(none,ref(far.C))", {}}}, {}}}));
  BOOST_TEST((named == std::vector{TypeId{1}, TypeId{2}, TypeId{3}}));
  BOOST_TEST(told(layout(2)) == "far.away.D:");
  BOOST_TEST(layout(2).schema == "far.away");
  BOOST_TEST((layout(1).fields[0].type.type() == TypeId{2}));
  Bytes unset;
  put_reference(unset, TypeId{2}, ObjectId{0});
  BOOST_TEST(layout(1).fields[0].default_value == unset);
}

BOOST_AUTO_TEST_CASE(a_type_that_was_named_by_a_reference_gets_its_fields_later) {
  must_define(schema("near", {{"A", {{"c", "ref(far.C)", {}}}, {}}}));
  BOOST_TEST((must_define(schema("far", {{"C", {{"size", "int", {}}}, {}}})) == std::vector{TypeId{2}}));
  BOOST_TEST(told(layout(2)) == "far.C: size=int");
}

BOOST_AUTO_TEST_CASE(a_field_becomes_wider_and_never_narrower) {
  must_define(schema("shop", {item_definition()}));
  add_an_item();
  auto shelf = [](std::string type) { return schema("shop", {{"Item", {{"shelf", std::move(type), {}}}, {}}}); };
  uint64_t changes = catalogue.changes();
  must_define(shelf("oneof(none,int)"));
  BOOST_TEST(catalogue.changes() == changes + 1);
  BOOST_TEST(layout(1).fields[1].type.text() == "oneof(none,int)");
  BOOST_TEST(layout(1).fields[1].default_value == int_value(0));  // D18: of the first definition
  must_define(shelf("int"));                                      // an older program
  BOOST_TEST(catalogue.changes() == changes + 1);
  BOOST_TEST(layout(1).fields[1].type.text() == "oneof(none,int)");
  must_define(shelf("oneof(none,int,ref(shop.Item))"));
  BOOST_TEST((define(shelf("oneof(none,str)")) == Code::kSchemaMismatch));
  BOOST_TEST((define(shelf("float")) == Code::kSchemaMismatch));
  Store other;
  Catalogue again(other);
  BOOST_TEST(again.restore(catalogue.encoded()).is_ok());
  BOOST_TEST(again.encoded() == catalogue.encoded());
  store.check();
}

BOOST_AUTO_TEST_CASE(a_required_field_comes_with_its_type_or_not_at_all) {
  TypeDefinition item = item_definition();
  item.fields.push_back({"placed", "datetime", {}});
  must_define(schema("shop", {item}));
  Bytes none;
  put_none(none);
  BOOST_TEST(layout(1).fields[3].default_value == none);
  Store other;
  BOOST_TEST(Catalogue(other).restore(catalogue.encoded()).is_ok());
  item.fields.push_back({"sent", "datetime", {}});
  Status refused = catalogue.define(schema("shop", {item})).status();
  BOOST_TEST((refused.code() == Code::kSchemaMismatch));
  BOOST_TEST(refused.message().find("datetime or None") != std::string::npos);
  item.fields.back().type = "oneof(none,datetime)";
  must_define(schema("shop", {item}));
}

BOOST_AUTO_TEST_CASE(a_field_that_changes_its_type_is_refused) {
  must_define(schema("shop", {item_definition()}));
  Result<std::vector<TypeId>> refused = catalogue.define(schema("shop", {{"Item", {{"shelf", "str", {}}}, {}}}));
  BOOST_TEST((refused.status().code() == Code::kSchemaMismatch));
  for (const char* part : {"shop.Item.shelf", "int", "str", ", as int or None; or"})
    BOOST_TEST(refused.status().message().find(part) != std::string::npos, part);
  must_define(schema("shop", {{"Item", {{"shelf", "oneof(none,int)", {}}}, {}}}));
  refused = catalogue.define(schema("shop", {{"Item", {{"shelf", "float", {}}}, {}}}));
  BOOST_TEST(refused.status().message().find("that the old one does; or give it another name") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(an_index_that_changes_its_fields_is_refused) {
  must_define(schema("shop", {item_definition()}));
  TypeDefinition changed = item_definition();
  changed.indexes[1].fields = {"place", "shelf"};
  BOOST_TEST((define(schema("shop", {changed})) == Code::kSchemaMismatch));
}

// ---- indexes of types that have objects (D17)

BOOST_AUTO_TEST_CASE(an_index_can_be_added_to_a_type_that_has_objects) {
  must_define(schema("shop", {item_definition()}));
  add_an_item();
  TypeDefinition wider = item_definition();
  wider.fields.push_back({"weight", "int", {}});
  wider.indexes.push_back({"weight", {"weight", "place"}});
  BOOST_TEST((define(schema("shop", {wider})) == Code::kOk));
  store.check();
  BOOST_TEST(members(IndexId{2}, int_value(0) + int_value(1)) == 1u);
}

BOOST_AUTO_TEST_CASE(an_index_is_made_turn_by_turn_while_objects_change) {
  must_define(schema("shop", {item_definition()}));
  Records items;
  for (int64_t i = 0; i < 20; ++i) items.create(100 + i, {"cup", 1, i % 2});
  step(store, 1, items);
  SchemaDefinition wider = schema("shop", {indexed_item("place", {"place"})});
  BOOST_TEST(!prepare(wider, 5));
  BOOST_TEST(layout(1).indexes.size() == 2u);  // nobody sees it
  step(store, 2, Records().update(101, kPlace, int_value(7)).update(119, kPlace, int_value(7)).erase(102).erase(118));
  step(store, 3, Records().create(50, {"new", 1, 7}).create(200, {"new", 1, 7}).update(104, kPlace, int_value(0)));
  store.check();
  for (int turns = 1; !store.fill(5); ++turns) {
    store.check();
    step(store, 4, Records().update(100, kPlace, int_value(turns)).update(117, kPlace, int_value(turns)));
  }
  BOOST_TEST(prepare(wider, 5));
  TransactionId before = store.published().tid;
  must_define(wider);
  store.check();
  BOOST_TEST(store.build_count() == 0u);
  BOOST_TEST(members(IndexId{2}, int_value(7)) == 4u);
  BOOST_TEST((store.table(TypeId{1})->is_indexed_since(IndexId{2}) == before));
}

BOOST_AUTO_TEST_CASE(an_index_in_the_making_is_made_again_when_its_field_got_another_number) {
  must_define(schema("shop", {item_definition()}));
  step(store, 1, Records().create(100, {"cup", 1, 1}).create(101, {"cup", 1, 1}));
  TypeDefinition wider = indexed_item("weight", {"weight"});
  wider.fields.push_back({"weight", "int", {}});
  BOOST_TEST(!prepare(schema("shop", {wider}), 1));
  must_define(schema("shop", {{"Item", {{"price", "int", {}}}, {}}}));  // has the number that weight was to have
  step(store, 2, Records().update(100, FieldId{3}, int_value(9)));
  while (!prepare(schema("shop", {wider}), 1)) store.fill(1);
  must_define(schema("shop", {wider}));
  BOOST_TEST(members(IndexId{2}, int_value(0)) == 2u);
  BOOST_TEST(store.build_count() == 1u);  // the first one, which nobody wants
  store.each_build([](IndexBuild& build) { build.is_wanted = false; });
  store.drop_builds();
  BOOST_TEST(store.build_count() == 0u);
  store.check();
}

BOOST_AUTO_TEST_CASE(what_passes_within_a_transaction_is_no_clash_of_a_unique_index_in_the_making) {
  must_define(schema("shop", {item_definition()}));
  step(store, 1, Records().create(100, {"cup", 1, 1}).create(101, {"cup", 1, 2}).create(102, {"cup", 1, 3}));
  SchemaDefinition unique = schema("shop", {unique_item("place", {"place"})});
  BOOST_TEST(!prepare(unique, 2));
  step(store, 2, Records().update(100, kPlace, int_value(2)).update(101, kPlace, int_value(1)));  // a swap
  BOOST_TEST(!prepare(unique, 2));
  step(store, 3, Records().update(101, kPlace, int_value(2)));
  bool is_ready = false;
  Draft draft(unique);
  Status refused = catalogue.prepare(draft, 2, is_ready);
  BOOST_TEST(refused.message().find("objects 100 and 101 have the same value") != std::string::npos);
  step(store, 4, Records().update(101, kPlace, int_value(5)));
  BOOST_TEST(!prepare(unique, 2));
  store.fill(2);
  must_define(unique);
  store.check();
  catalogue.check();
}

// ---- unique indexes (D15)

BOOST_AUTO_TEST_CASE(whether_an_index_is_unique_is_kept_and_told) {
  must_define(schema("shop", {unique_item("name", {"name"})}));
  BOOST_TEST(told(layout(1)) == "shop.Item: name=str shelf=int place=int shelf(1) spot(12) name!(0)");
  BOOST_TEST(catalogue.mapped(TypeId{1}).indexes[2].is_unique);
  BOOST_TEST(!catalogue.mapped(TypeId{1}).indexes[0].is_unique);
  must_define(schema("shop", {item_definition()}));  // a program that does not know the index
  BOOST_TEST(layout(1).indexes[2].is_unique);
}

BOOST_AUTO_TEST_CASE(an_index_that_becomes_unique_or_stops_being_so_is_refused) {
  must_define(schema("shop", {unique_item("name", {"name"})}));
  TypeDefinition loosened = unique_item("name", {"name"}), tightened = item_definition();
  loosened.indexes[2].is_unique = false;
  tightened.indexes[0].is_unique = true;
  Status first = catalogue.define(schema("shop", {loosened})).status();
  BOOST_TEST((first.code() == Code::kSchemaMismatch));
  BOOST_TEST(first.message().starts_with("shop.Item.name is unique on this server, and it is not in this program"));
  Status second = catalogue.define(schema("shop", {tightened})).status();
  BOOST_TEST((second.code() == Code::kSchemaMismatch));
  BOOST_TEST(second.message().starts_with("shop.Item.shelf is not unique on this server, and it is in this program"));
}

BOOST_AUTO_TEST_CASE(a_new_unique_index_is_taken_when_the_objects_have_different_values) {
  must_define(schema("shop", {item_definition()}));
  step(store, 1, Records().create(100, {"cup", 1, 1}).create(101, {"jug", 1, 2}));
  BOOST_TEST((define(schema("shop", {unique_item("place", {"place"})})) == Code::kOk));
  store.check();
  std::vector<ObjectId> found;
  store.table(TypeId{1})->for_each_in(IndexId{2}, int_value(2), store.published().step, [&](ObjectId object) {
    found.push_back(object);
    return true;
  });
  BOOST_TEST((found == std::vector{ObjectId{101}}));
}

BOOST_AUTO_TEST_CASE(a_new_unique_index_is_refused_with_two_objects_that_have_the_same_value) {
  must_define(schema("shop", {item_definition()}));
  step(store, 1, Records().create(100, {"cup", 1, 1}).create(101, {"jug", 1, 2}).create(102, {"cup", 1, 2}));
  Status refused = catalogue.define(schema("shop", {unique_item("place", {"shelf", "place"})})).status();
  BOOST_TEST((refused.code() == Code::kSchemaMismatch));
  BOOST_TEST(refused.message().find("objects 101 and 102 have the same value") != std::string::npos);
  BOOST_TEST((define(schema("shop", {unique_item("both", {"name", "place"})})) == Code::kOk));
}

BOOST_AUTO_TEST_CASE(a_new_unique_index_over_a_new_field_needs_it_to_be_none) {
  must_define(schema("shop", {item_definition()}));
  step(store, 1, Records().create(100, {"cup", 1, 1}).create(101, {"jug", 1, 2}));
  TypeDefinition numbered = unique_item("number", {"number"}), maybe = unique_item("maybe", {"maybe"}),
                 named = unique_item("named", {"name", "number"});
  numbered.fields.push_back({"number", "int", {}});
  named.fields.push_back({"number", "int", {}});
  maybe.fields.push_back({"maybe", "oneof(none,int)", {}});
  BOOST_TEST((define(schema("shop", {numbered})) == Code::kSchemaMismatch));
  BOOST_TEST((define(schema("shop", {maybe})) == Code::kOk));
  BOOST_TEST((define(schema("shop", {named})) == Code::kOk));
  maybe.indexes[2].name = "five";
  maybe.indexes[2].fields = {"five"};
  maybe.fields.push_back({"five", "oneof(none,int)", int_value(5)});
  BOOST_TEST((define(schema("shop", {maybe})) == Code::kSchemaMismatch));
  store.check();
}

BOOST_AUTO_TEST_CASE(a_definition_is_taken_whole_or_not_at_all) {
  must_define(schema("shop", {item_definition()}));
  TypeDefinition wrong = item_definition();
  wrong.fields[1].type = "str";
  wrong.fields.push_back({"weight", "int", {}});
  BOOST_TEST((define(schema("shop", {{"New", {{"a", "ref(other.B)", {}}}, {}}, wrong})) == Code::kSchemaMismatch));
  BOOST_TEST(catalogue.type_count() == 1u);
  BOOST_TEST(layout(1).fields.size() == 3u);
}

BOOST_AUTO_TEST_CASE(definitions_that_no_program_of_ours_makes_are_breaches_of_the_protocol) {
  auto item = [](std::vector<FieldDefinition> fields, std::vector<IndexDefinition> indexes = {}) {
    return schema("shop", {{"Item", std::move(fields), std::move(indexes)}});
  };
  std::vector<FieldDefinition> many;
  for (size_t i = 0; i <= limits::kFieldsPerTypeMax; ++i) many.push_back({"f" + std::to_string(i), "int", {}});
  std::vector<std::string> many_names;
  for (size_t i = 0; i <= limits::kFieldsPerIndexMax; ++i) many_names.push_back(many[i].name);
  std::vector<FieldDefinition> some(many.begin(), many.begin() + 100);
  std::vector<IndexDefinition> many_indexes;
  for (size_t i = 0; i <= limits::kIndexesPerTypeMax; ++i) many_indexes.push_back({"i" + std::to_string(i), {"f0"}});
  for (const SchemaDefinition& wrong :
       {schema("", {}), schema("a b", {}), schema("shop", {{"", {}, {}}}), schema("shop", {{"A.B", {}, {}}}),
        schema("shop", {{"A", {}, {}}, {"A", {}, {}}}), item({{"", "int", {}}}),
        item({{"a", "int", {}}, {"a", "int", {}}}), item({{"a", "integer", {}}}), item({{"a", "", {}}}),
        item({{"a", "int", str_value("x")}}), item({{"a", "int", "\x81"}}),
        item({{"a", "int", int_value(1) + int_value(1)}}), item({{"a", "int", {}}}, {{"", {"a"}}}),
        item({{"a", "int", {}}}, {{"i", {}}}), item({{"a", "int", {}}}, {{"i", {"b"}}}),
        item({{"a", "int", {}}}, {{"i", {"a"}}, {"i", {"a"}}}), item(many), item(some, {{"i", many_names}}),
        item(some, many_indexes)})
    BOOST_TEST((define(wrong) == Code::kProtocol));
  BOOST_TEST(catalogue.type_count() == 0u);
}

BOOST_AUTO_TEST_CASE(two_programs_that_added_to_one_enum_are_told_what_each_lacks) {
  auto with = [](const std::string& members) {
    return schema("shop", {{"Item", {{"state", "enum(State," + members + ")", {}}}, {}}});
  };
  must_define(with("NEW=8101,SENT=8102"));
  std::string message = catalogue.define(with("NEW=8101,LOST=8103")).status().message();
  BOOST_TEST(message.find("This program's State lacks SENT = 2: add that.") != message.npos, message);
  message = catalogue.define(with("NEW=8101,LOST=8102")).status().message();
  BOOST_TEST(message.find("On the server SENT = 2, which is LOST here: give it another value.") != message.npos,
             message);
  BOOST_TEST((define(with("NEW=8101,LOST=8103,SENT=8102")) == Code::kOk));
}

BOOST_AUTO_TEST_CASE(an_index_may_have_a_field_twice) {
  must_define(schema("shop", {{"Item", {{"a", "int", {}}}, {{"i", {"a", "a"}}}}}));
  BOOST_TEST(told(layout(1)) == "shop.Item: a=int i(00)");
  BOOST_TEST((store.table(TypeId{1})->fields_indexed_with(FieldId{0}) == std::vector{FieldId{0}}));
}

BOOST_AUTO_TEST_CASE(a_type_with_many_fields_can_be_defined_again) {
  TypeDefinition wide{"Wide", {}, {}};
  for (int i = 0; i < 3000; ++i) wide.fields.push_back({"f" + std::to_string(i), "int", {}});
  must_define(schema("shop", {wide}));
  BOOST_TEST((define(schema("shop", {wide})) == Code::kOk));
  TypeDefinition others{"Wide", {}, {}};
  for (int i = 0; i < 1097; ++i) others.fields.push_back({"g" + std::to_string(i), "int", {}});
  BOOST_TEST((define(schema("shop", {others})) == Code::kSchemaMismatch));
  others.fields.pop_back();
  BOOST_TEST((define(schema("shop", {others})) == Code::kOk));
  BOOST_TEST(layout(1).fields.size() == limits::kFieldsPerTypeMax);
}

BOOST_AUTO_TEST_CASE(indexes_of_several_programs_together_keep_to_the_limit) {
  for (int program = 0; program < 3; ++program) {
    TypeDefinition item = item_definition();
    for (int i = 0; i < 120; ++i)
      item.indexes.push_back({"p" + std::to_string(program) + "." + std::to_string(i), {"shelf"}});
    for (IndexDefinition& index : item.indexes) std::ranges::replace(index.name, '.', '_');
    BOOST_TEST((define(schema("shop", {item})) == (program < 2 ? Code::kOk : Code::kSchemaMismatch)));
  }
  BOOST_TEST(layout(1).indexes.size() == 242u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
