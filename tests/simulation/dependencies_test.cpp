/// The textbook anomalies, each of which the checker must find, beside the harmless story that differs in one read.
#include "tests/simulation/dependencies.h"

#include <boost/test/unit_test.hpp>

namespace odb::simulation {
namespace {

using Node = DependencyGraph::Node;
constexpr Node kStart = DependencyGraph::kStart;

/// Transactions t1, t2, ... of a story.
struct Story : DependencyGraph {
  Node t1 = add("t1"), t2 = add("t2"), t3 = add("t3"), t4 = add("t4");
};

BOOST_AUTO_TEST_SUITE(dependencies)

BOOST_AUTO_TEST_CASE(transactions_that_follow_each_other_are_fine) {
  Story s;
  s.wrote(s.t1, "x");
  s.read(s.t2, "x", s.t1);
  s.wrote(s.t2, "x");
  s.read(s.t3, "x", s.t2);
  s.read(s.t4, "x", s.t1);  // a view that is late
  s.session_order(s.t1, s.t2);
  BOOST_TEST(s.find_anomaly() == "");
}

BOOST_AUTO_TEST_CASE(lost_update_is_found) {
  Story s;
  s.read(s.t1, "x", kStart);
  s.read(s.t2, "x", kStart);
  s.wrote(s.t1, "x");
  s.wrote(s.t2, "x");
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -ww x-> t2 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(write_skew_is_found) {
  Story s;
  for (Node t : {s.t1, s.t2}) s.read(t, "x", kStart), s.read(t, "y", kStart);
  s.wrote(s.t1, "x");
  BOOST_TEST(s.find_anomaly() == "");
  s.wrote(s.t2, "y");
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -rw y-> t2 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(a_phantom_is_a_write_skew_over_a_set) {
  Story s;
  for (Node t : {s.t1, s.t2}) s.read(t, "all red cells", kStart);
  s.wrote(s.t1, "all red cells");
  BOOST_TEST(s.find_anomaly() == "");
  s.wrote(s.t2, "all red cells");
  BOOST_TEST(s.find_anomaly() != "");
}

BOOST_AUTO_TEST_CASE(g0_dirty_write_is_found) {
  Story s;
  s.wrote(s.t1, "x"), s.wrote(s.t2, "x");
  BOOST_TEST(s.find_anomaly() == "");
  s.wrote(s.t2, "y"), s.wrote(s.t1, "y");
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -ww x-> t2 -ww y-> t1");
}

BOOST_AUTO_TEST_CASE(g1a_read_of_what_was_not_committed_is_found) {
  Story s;
  s.read(s.t2, "x", s.t1);
  BOOST_TEST(s.find_anomaly() == "t2 read x of t1, which did not commit it");
}

BOOST_AUTO_TEST_CASE(g1c_circular_information_flow_is_found) {
  Story s;
  s.wrote(s.t1, "x"), s.wrote(s.t2, "y");
  s.read(s.t1, "y", s.t2);
  BOOST_TEST(s.find_anomaly() == "");
  s.read(s.t2, "x", s.t1);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -wr x-> t2 -wr y-> t1");
}

BOOST_AUTO_TEST_CASE(long_fork_is_found) {  // two views that see two writes in different orders
  Story s;
  s.wrote(s.t1, "x"), s.wrote(s.t2, "y");
  s.read(s.t3, "x", s.t1), s.read(s.t3, "y", kStart);
  s.read(s.t4, "y", s.t2);
  BOOST_TEST(s.find_anomaly() == "");
  s.read(s.t4, "x", kStart);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -wr x-> t3 -rw y-> t2 -wr y-> t4 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(non_repeatable_read_in_a_view_is_found) {
  Story s;
  s.wrote(s.t1, "x");
  s.read(s.t2, "x", kStart);
  BOOST_TEST(s.find_anomaly() == "");
  s.read(s.t2, "x", s.t1);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -wr x-> t2 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(read_skew_in_a_view_is_found) {  // G-single
  Story s;
  s.wrote(s.t1, "x"), s.wrote(s.t1, "y");
  s.read(s.t2, "x", kStart);
  BOOST_TEST(s.find_anomaly() == "");
  s.read(s.t2, "y", s.t1);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -wr y-> t2 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(a_session_that_misses_its_own_commit_is_found) {
  Story s;
  s.wrote(s.t1, "x");
  s.read(s.t2, "x", kStart);
  BOOST_TEST(s.find_anomaly() == "");  // another session may be late
  s.session_order(s.t1, s.t2);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -so-> t2 -rw x-> t1");
}

BOOST_AUTO_TEST_CASE(a_session_whose_views_go_back_is_found) {
  Story s;
  s.wrote(s.t1, "x");
  s.read(s.t2, "x", s.t1);
  Node moment = s.add("a moment");
  s.session_order(s.t2, moment), s.session_order(moment, s.t3);
  s.read(s.t3, "x", kStart);
  BOOST_TEST(s.find_anomaly() == "cycle: t1 -wr x-> t2 -so-> a moment -so-> t3 -rw x-> t1");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb::simulation
