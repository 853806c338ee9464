/// Runs of identities against a map that holds each of them.
#include "core/server/identity_runs.h"

#include <boost/test/unit_test.hpp>

#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

BOOST_AUTO_TEST_SUITE(identity_runs)

BOOST_AUTO_TEST_CASE(a_run_belongs_to_the_type_that_used_it_first) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      IdentityRuns runs;
      std::map<int64_t, TypeId> expected;
      for (int i = 0; i < 500; ++i) {
        int64_t run = below(random, 60);
        TypeId type{static_cast<uint32_t>(1 + below(random, 2))};
        BOOST_TEST_REQUIRE(runs.use(run, type) == (expected.try_emplace(run, type).first->second == type));
      }
      size_t spans = 0;
      for (auto [run, type] : expected) spans += !expected.contains(run - 1) || expected.at(run - 1) != type;
      BOOST_TEST(runs.span_count() == spans);
    }
  }
}

BOOST_AUTO_TEST_CASE(runs_that_follow_each_other_cost_one_entry_in_any_order) {
  IdentityRuns up, down, inwards;
  for (int64_t i = 0; i < 100'000; ++i) BOOST_TEST_REQUIRE((up.use(i, TypeId{1}) && down.use(100'000 - i, TypeId{1})));
  for (int64_t i = 0; i < 10; ++i) BOOST_TEST_REQUIRE((inwards.use(i, TypeId{1}) && inwards.use(19 - i, TypeId{1})));
  BOOST_TEST(up.span_count() == 1u);
  BOOST_TEST(down.span_count() == 1u);
  BOOST_TEST(inwards.span_count() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
