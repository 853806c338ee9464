/// What tools tell of a definition, and what they take out of a catalogue.
#include "core/server/schema_changes.h"

#include <boost/test/unit_test.hpp>

#include "core/codec/codec.h"
#include "core/server/catalogue.h"
#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;
using Lines = std::vector<std::string>;

const SchemaDefinition kShop{"shop",
                             {{"Customer", {{"name", "str", {}}}, {}},
                              {"Order",
                               {{"number", "int", {}}, {"by", "ref(shop.Customer)", {}}, {"note", "str", {}}},
                               {{"number", {"number"}, true}, {"spot", {"by", "note"}}}}}};

Bytes catalogue_of(const SchemaDefinition& definition, BytesView before = {}) {
  Store store;
  Catalogue catalogue(store);
  if (!before.empty()) BOOST_REQUIRE(catalogue.restore(before).is_ok());
  Result<std::vector<TypeId>> defined = catalogue.define(definition);
  BOOST_REQUIRE_MESSAGE(defined.is_ok(), defined.status().message());
  return catalogue.encoded();
}

Lines told(const SchemaDefinition& definition, BytesView catalogue) {
  static const char* const kNames[] = {"type", "field", "index", "wider", "narrower", "refused"};
  Result<std::vector<SchemaChange>> changes = changes_by(definition, catalogue);
  BOOST_REQUIRE(changes.is_ok());
  Lines lines;
  for (const SchemaChange& change : changes.value())
    lines.push_back(std::string(kNames[static_cast<size_t>(change.kind)]) + " " + change.where);
  return lines;
}

Dropped drop(BytesView catalogue, const std::string& name, DropKind kind = DropKind::kAny) {
  Result<Dropped> dropped = without(catalogue, name, kind);
  BOOST_REQUIRE_MESSAGE(dropped.is_ok(), dropped.status().message());
  BOOST_TEST(StoredTypes::of(dropped.value().catalogue).is_ok());
  return dropped.value();
}

std::string refusal(BytesView catalogue, const std::string& name, DropKind kind = DropKind::kAny) {
  return without(catalogue, name, kind).status().message();
}

BOOST_AUTO_TEST_SUITE(schema_changes)

BOOST_AUTO_TEST_CASE(what_is_known_changes_nothing) { BOOST_TEST(told(kShop, catalogue_of(kShop)).empty()); }

BOOST_AUTO_TEST_CASE(every_kind_of_change_is_told) {
  SchemaDefinition next = kShop;
  next.types[1].fields[0].type = "oneof(none,int)";
  next.types[1].fields[2].type = "int";
  next.types[1].fields.push_back({"state", "str", {}});
  next.types[1].indexes.push_back({"state", {"state", "number"}});
  next.types[1].indexes[0].is_unique = false;
  next.types.push_back({"Item", {{"name", "str", {}}}, {}});
  Bytes catalogue = catalogue_of(kShop);
  BOOST_TEST(
      (told(next, catalogue) == Lines{"wider shop.Order.number", "refused shop.Order.note", "field shop.Order.state",
                                      "refused shop.Order.number", "index shop.Order.state", "type shop.Item"}));
  next = kShop;
  next.types[1].fields[2].type = "oneof(none,str)";
  BOOST_TEST((told(kShop, catalogue_of(next)) == Lines{"narrower shop.Order.note"}));
}

BOOST_AUTO_TEST_CASE(a_field_that_is_refused_is_told_once_and_hides_nothing) {
  SchemaDefinition next = kShop;
  next.types[1].fields.push_back({"placed", "date", {}});
  next.types[1].indexes[0].is_unique = false;
  next.types[1].indexes.push_back({"place", {"note", "placed"}});
  BOOST_TEST((told(next, catalogue_of(kShop)) ==
              Lines{"refused shop.Order.placed", "refused shop.Order.number", "index shop.Order.place"}));
  next = kShop;
  Bytes day;
  put_date(day, 0);
  next.types[1].fields.push_back({"placed", "date", day});
  next.types[1].indexes.push_back({"place", {"note", "placed"}});
  BOOST_TEST((told(next, catalogue_of(kShop)) == Lines{"field shop.Order.placed", "index shop.Order.place"}));
}

BOOST_AUTO_TEST_CASE(a_dropped_field_can_be_defined_anew_and_gets_another_number) {
  Bytes catalogue = drop(catalogue_of(kShop), "shop.Order.spot").catalogue;
  Dropped dropped = drop(catalogue, "shop.Order.note");
  BOOST_TEST((dropped.type == TypeId{2}));
  BOOST_TEST((*dropped.field == FieldId{2}));
  SchemaDefinition next{"shop", {{"Order", {{"note", "int", {}}}, {{"spot", {"note"}}}}}};
  StoredTypes types = StoredTypes::of(catalogue_of(next, dropped.catalogue)).value();
  const TypeLayout& order = *types.find(TypeId{2});
  BOOST_TEST(order.fields[2].name.empty());
  BOOST_TEST(order.fields[3].name == "note");
  BOOST_TEST(order.fields[3].type.text() == "int");
  BOOST_TEST(order.indexes.size() == 3u);
}

BOOST_AUTO_TEST_CASE(what_others_are_built_on_is_not_dropped) {
  Bytes catalogue = catalogue_of(kShop);
  BOOST_TEST(refusal(catalogue, "shop.Order.note").starts_with("shop.Order.spot is built on shop.Order.note"));
  BOOST_TEST(refusal(catalogue, "shop.Customer").starts_with("shop.Order.by can refer to shop.Customer"));
  BOOST_TEST(refusal(catalogue, "shop.Nothing").starts_with("there is no shop.Nothing"));
  BOOST_TEST(refusal(catalogue, "shop.Order.nothing") == "shop.Order has no field or index nothing");
  BOOST_TEST(refusal(catalogue, "shop.Order.note", DropKind::kIndex) == "shop.Order has no index note");
}

BOOST_AUTO_TEST_CASE(a_field_with_an_index_of_its_name_needs_a_word_more) {
  Bytes catalogue = catalogue_of(kShop);
  BOOST_TEST(refusal(catalogue, "shop.Order.number").find("--index") != std::string::npos);
  BOOST_TEST(drop(catalogue, "shop.Order.number", DropKind::kIndex).is_index);
  Dropped both = drop(catalogue, "shop.Order.number", DropKind::kField);
  BOOST_TEST((*both.field == FieldId{0}));
  BOOST_TEST((told({"shop", {{"Order", {{"number", "str", {}}}, {{"number", {"number"}}}}}}, both.catalogue) ==
              Lines{"field shop.Order.number", "index shop.Order.number"}));
}

BOOST_AUTO_TEST_CASE(a_dropped_type_keeps_its_number_and_another_one_gets_its_name) {
  Bytes catalogue = drop(catalogue_of(kShop), "shop.Order").catalogue;
  catalogue = drop(catalogue, "shop.Customer").catalogue;
  StoredTypes types = StoredTypes::of(catalogue_of(kShop, catalogue)).value();
  BOOST_TEST(types.all().size() == 4u);
  BOOST_TEST(types.find(TypeId{1})->is_dropped());
  BOOST_TEST(types.find(TypeId{3})->qualified_name() == "shop.Customer");
  BOOST_TEST((types.find(TypeId{4})->fields[1].type.type() == TypeId{3}));
}

BOOST_AUTO_TEST_CASE(a_store_with_dropped_indexes_works) {
  Bytes encoded = drop(catalogue_of(kShop), "shop.Order.spot").catalogue;
  Store store;
  Catalogue catalogue(store);
  BOOST_TEST(catalogue.restore(encoded).is_ok());
  Bytes unset;
  put_reference(unset, TypeId{1}, ObjectId{0});
  step(store, 1, Records().row(Op::kCreate, TypeId{2}, 100, {int_value(1), unset, str_value("a")}));
  step(store, 2, Records().update(TypeId{2}, 100, {{FieldId{2}, str_value("b")}}));
  store.check();
  Bytes key;
  BOOST_TEST(!store.table(TypeId{2})->key_of_values(IndexId{1}, {}, key).is_ok());
}

BOOST_AUTO_TEST_CASE(a_row_loses_one_value) {
  StoredTypes types = StoredTypes::of(catalogue_of(kShop)).value();
  const TypeLayout& order = *types.find(TypeId{2});
  Bytes row = row_of(std::vector<Bytes>{int_value(1), {}, str_value("a")});
  BOOST_TEST((*row_without(order, row, FieldId{0}).value() == row_of(std::vector<Bytes>{{}, {}, str_value("a")})));
  BOOST_TEST((*row_without(order, row, FieldId{2}).value() == row_of(std::vector<Bytes>{int_value(1)})));
  BOOST_TEST(!row_without(order, row, FieldId{1}).value().has_value());
  BOOST_TEST(!row_without(order, "\x07", FieldId{1}).is_ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
