#include "core/net/group_gate.h"

#include <boost/test/unit_test.hpp>

namespace odb {
namespace {

constexpr Instant at(int64_t us) { return Instant{us}; }

BOOST_AUTO_TEST_SUITE(group_gate)

BOOST_AUTO_TEST_CASE(a_client_alone_never_waits) {
  GroupGate gate;
  BOOST_TEST(gate.is_open(at(0), 1));
  gate.leaves(at(0), 1);
  gate.is_back(at(100), 0);
  BOOST_TEST(gate.is_open(at(110), 1));
}

BOOST_AUTO_TEST_CASE(those_who_were_answered_together_leave_together) {
  GroupGate gate;
  gate.leaves(at(0), 1);
  gate.is_back(at(100), 7);  // the others came while the first was in the store
  BOOST_TEST(!gate.is_open(at(101), 7));
  BOOST_TEST(gate.is_open(at(120), 8));
}

BOOST_AUTO_TEST_CASE(who_has_gone_is_waited_for_once) {
  GroupGate gate;
  gate.leaves(at(0), 8);
  gate.is_back(at(100), 0);
  BOOST_TEST(!gate.is_open(at(149), 7));
  BOOST_TEST(gate.is_open(at(150), 7));  // half of what the store took
  gate.leaves(at(150), 7);
  gate.is_back(at(250), 0);
  BOOST_TEST(gate.is_open(at(260), 7));
}

BOOST_AUTO_TEST_CASE(a_slow_store_keeps_nobody_waiting_for_long) {
  GroupGate gate;
  gate.leaves(at(0), 2);
  gate.is_back(at(10'000'000), 0);
  BOOST_TEST(gate.took_us() == 10'000'000);
  BOOST_TEST(gate.opens().us == 10'000'000 + GroupGate::kWaitUsMax);
}

BOOST_AUTO_TEST_CASE(a_flood_is_not_waited_for) {
  GroupGate gate;
  gate.leaves(at(0), 1000);
  gate.is_back(at(100), 1000);
  BOOST_TEST(gate.is_open(at(101), GroupGate::kEnough));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
