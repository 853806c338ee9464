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
  BOOST_TEST(!gate.is_open(at(130), 7));
  BOOST_TEST(!gate.is_open(at(229), 7));
  BOOST_TEST(gate.is_open(at(230), 7));  // as long as the store took
  gate.leaves(at(230), 7);
  gate.is_back(at(330), 0);
  BOOST_TEST(gate.is_open(at(340), 7));
}

BOOST_AUTO_TEST_CASE(who_keeps_coming_is_waited_for) {
  GroupGate gate;
  gate.leaves(at(0), 8);
  gate.is_back(at(100), 0);
  BOOST_TEST(!gate.is_open(at(140), 1));
  BOOST_TEST(!gate.is_open(at(230), 2));  // 90 us after the one before
  BOOST_TEST(gate.opens().us == 330);
  BOOST_TEST(!gate.is_open(at(320), 7));
  BOOST_TEST(gate.is_open(at(321), 8));
}

BOOST_AUTO_TEST_CASE(whoever_comes_late_has_come_just_now) {
  GroupGate gate;
  gate.leaves(at(0), 8);
  gate.is_back(at(100), 0);
  BOOST_TEST(!gate.is_open(at(900), 1));  // nobody looked before
  BOOST_TEST(!gate.is_open(at(999), 1));
  BOOST_TEST(gate.is_open(at(1000), 1));
}

BOOST_AUTO_TEST_CASE(it_knows_whether_anybody_else_is_expected) {
  GroupGate gate;
  gate.leaves(at(0), 1);
  BOOST_TEST(gate.has_everybody());
  gate.is_back(at(100), 7);
  gate.leaves(at(120), 8);
  BOOST_TEST(gate.has_everybody());
  gate.is_back(at(220), 0);
  gate.leaves(at(320), 6);  // two were late
  BOOST_TEST(!gate.has_everybody());
}

BOOST_AUTO_TEST_CASE(nobody_is_kept_for_long_however_many_keep_coming) {
  GroupGate gate;
  gate.leaves(at(0), 63);
  gate.is_back(at(100), 0);
  size_t waiting = 0;
  for (int64_t now = 140; now < 100 + GroupGate::kWaitUsMax; now += 40) BOOST_TEST(!gate.is_open(at(now), ++waiting));
  BOOST_TEST(gate.opens().us == 100 + GroupGate::kWaitUsMax);
}

BOOST_AUTO_TEST_CASE(a_group_that_some_missed_does_not_split_them) {
  GroupGate gate;
  gate.leaves(at(0), 8);
  gate.is_back(at(100), 0);
  BOOST_TEST(!gate.is_open(at(110), 3));
  BOOST_TEST(gate.is_open(at(210), 3));  // five were late
  gate.leaves(at(210), 3);
  gate.is_back(at(310), 3);
  BOOST_TEST(!gate.is_open(at(311), 6));
  BOOST_TEST(gate.is_open(at(312), 7));
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
