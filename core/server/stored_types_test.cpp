/// Catalogues and rows as a store keeps them, read without a server.
#include "core/server/stored_types.h"

#include <boost/test/unit_test.hpp>

#include "core/codec/value.h"
#include "core/protocol/mapping.h"

namespace odb {
namespace {

Bytes stored(const Value& value) { return encode(value, Mode::kValue); }
Value text(const char* utf8) { return Text{utf8}; }

std::vector<MappedType> shop() {
  Bytes zero = stored(int64_t{0}), none = stored(Value{});
  MappedType order{
      TypeId{1},
      "shop",
      "Order",
      {{"number", "int", zero}, {"by", "oneof(none,ref(shop.Customer))", none}, {"note", "str", stored(text("-"))}},
      {{"number", {FieldId{0}}, true}, {"spot", {FieldId{1}, FieldId{2}}, true}}};
  return {order, {TypeId{2}, "shop", "Customer", {}, {}}};
}

StoredTypes types_of(const std::vector<MappedType>& types) {
  Result<StoredTypes> read = StoredTypes::of(encode_catalogue(types));
  BOOST_REQUIRE_MESSAGE(read.is_ok(), read.status().message());
  return read.value();
}

std::string refusal_of(const std::vector<MappedType>& types) {
  return StoredTypes::of(encode_catalogue(types)).status().message();
}

BOOST_AUTO_TEST_SUITE(stored_types)

BOOST_AUTO_TEST_CASE(a_catalogue_comes_back_as_it_was) {
  StoredTypes types = types_of(shop());
  BOOST_TEST(types.all().size() == 2u);
  BOOST_TEST(types.find(TypeId{1})->qualified_name() == "shop.Order");
  BOOST_TEST(types.find(TypeId{1})->fields[1].type.arms()[1].type().value == 2u);
  BOOST_TEST(types.find(TypeId{0}) == nullptr);
  BOOST_TEST(types.find(TypeId{3}) == nullptr);
  std::vector<MappedType> again;
  for (const TypeLayout& type : types.all()) again.push_back(mapped(type));
  BOOST_TEST(encode_catalogue(again) == encode_catalogue(shop()));
}

BOOST_AUTO_TEST_CASE(a_catalogue_that_nobody_can_have_defined_is_refused) {
  auto with = [](auto change) {
    std::vector<MappedType> types = shop();
    change(types);
    return refusal_of(types);
  };
  BOOST_TEST(with([](auto& types) { types[1].id = TypeId{3}; }) == "type 2 of its catalogue cannot be read");
  BOOST_TEST(with([](auto& types) { types[1].name = "Order"; }) == "shop.Order is in its catalogue twice");
  BOOST_TEST(with([](auto& types) { types.pop_back(); }) == "shop.Order.by refers to an unknown type shop.Customer");
  BOOST_TEST(with([](auto& types) { types[0].fields[0].default_value = stored(text("no")); }) ==
             "shop.Order.number: the default is not a int");
  BOOST_TEST(with([](auto& types) { types[0].fields[2].name = "number"; }) == "shop.Order.number is there twice");
  BOOST_TEST(with([](auto& types) { types[0].indexes[1].name = "number"; }) == "shop.Order.number is there twice");
  BOOST_TEST(with([](auto& types) { types[0].fields[2].name = "a b"; }) ==
             "shop.Order has a field with an impossible name");
  Bytes cut = encode_catalogue(shop());
  for (size_t size = 1; size < cut.size(); ++size) {
    Result<StoredTypes> read = StoredTypes::of(BytesView(cut).substr(0, size));
    BOOST_TEST(!read.is_ok());  // the first type alone refers to the second one
  }
}

BOOST_AUTO_TEST_CASE(a_row_comes_back_as_it_was_and_may_be_shorter_than_its_type) {
  StoredTypes types = types_of(shop());
  const TypeLayout& order = *types.find(TypeId{1});
  std::vector<Bytes> values = {stored(int64_t{-5}), Bytes()};
  Bytes row = row_of(values);
  std::vector<BytesView> read;
  BOOST_TEST(read_row(order, row, read).is_ok());
  BOOST_TEST(read.size() == 3u);
  BOOST_TEST(read[0] == values[0]);
  BOOST_TEST((read[1].empty() && read[2].empty()));
}

BOOST_AUTO_TEST_CASE(what_is_no_row_of_its_type_is_refused) {
  StoredTypes types = types_of(shop());
  const TypeLayout& order = *types.find(TypeId{1});
  std::vector<BytesView> read;
  auto refusal = [&](const std::vector<Bytes>& values) { return read_row(order, row_of(values), read).message(); };
  BOOST_TEST(refusal({stored(text("a"))}) == "field number holds 'a', and takes int");
  BOOST_TEST(refusal({stored(int64_t{1}), stored(Reference{TypeId{1}, ObjectId{7}})}) ==
             "field by holds <reference 1:7>, and takes oneof(none,ref(shop.Customer))");
  BOOST_TEST(refusal({{}, {}, {}, {}}) == "has 4 values, and shop.Order has 3 fields");
  Bytes row = row_of(std::vector<Bytes>{stored(int64_t{1000}), {}, stored(text("abc"))});
  for (size_t size = 0; size < row.size(); ++size)
    BOOST_TEST(!read_row(order, BytesView(row).substr(0, size), read).is_ok());
  BOOST_TEST(!read_row(order, row + '\0', read).is_ok());
}

BOOST_AUTO_TEST_CASE(the_key_of_an_index_is_made_of_values_and_defaults) {
  StoredTypes types = types_of(shop());
  const TypeLayout& order = *types.find(TypeId{1});
  Bytes one = stored(int64_t{1}), by = stored(Reference{TypeId{2}, ObjectId{7}});
  std::vector<BytesView> bare = {one, {}, {}}, full = {one, by, {}};
  BOOST_TEST((key_of(order, order.indexes[0], bare) == one));  // an int has the same bytes in a key
  BOOST_TEST((key_of(order, order.indexes[1], bare) == std::nullopt));
  Bytes expected;
  append_key(expected, by);
  append_key(expected, stored(text("-")));
  BOOST_TEST((key_of(order, order.indexes[1], full) == expected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
