#include "core/types/definition.h"

#include <boost/test/unit_test.hpp>

namespace odb {
namespace {

FieldLayout field(const std::string& name, const std::string& type) {
  return {name, TypeDescriptor::parse(type).value(), {}};
}

BOOST_AUTO_TEST_SUITE(definition)

BOOST_AUTO_TEST_CASE(a_fingerprint_tells_what_a_type_says_and_not_who_said_it_first) {
  TypeLayout type{TypeId{1}, "shop", "Order", {field("number", "int"), field("state", "str")}, {}};
  type.indexes = {{"number", {FieldId{0}}, false}};
  TypeLayout other{TypeId{7}, "shop", "Order", {field("state", "str"), field("", "bool"), field("number", "int")}, {}};
  other.indexes = {{"number", {FieldId{2}}, false}};
  BOOST_TEST(fingerprint(type) == fingerprint(other));  // another number, order and a dropped field
  std::vector<TypeLayout> changed(6, type);
  changed[0].name = "Orders";
  changed[1].fields[0].name = "count";
  changed[2].fields[0] = field("number", "oneof(none,int)");
  changed[3].fields.push_back(field("paid", "bool"));
  changed[4].indexes[0].is_unique = true;
  changed[5].indexes[0].fields = {FieldId{0}, FieldId{1}};
  for (const TypeLayout& each : changed) BOOST_TEST(fingerprint(each) != fingerprint(type));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
