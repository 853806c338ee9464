#include "core/net/short_wait.h"

#include <boost/test/unit_test.hpp>

namespace odb {
namespace {

using Clock = ShortWait::Clock;
using namespace std::chrono_literals;

constexpr Clock::duration kLong = 60s;

BOOST_AUTO_TEST_SUITE(short_wait)

BOOST_AUTO_TEST_CASE(it_ends) {
  ShortWait wait;
  auto began = Clock::now();
  wait.begin(began, began + kLong);
  while (wait.go_on()) {}
  BOOST_TEST((Clock::now() - began >= ShortWait::kLongest));
}

BOOST_AUTO_TEST_CASE(not_beyond_the_deadline_of_the_caller) {
  ShortWait wait;
  wait.begin(Clock::now(), Clock::now());
  BOOST_TEST(!wait.go_on());
}

BOOST_AUTO_TEST_CASE(on_a_busy_machine_nobody_looks_for_a_while) {
  ShortWait wait;
  auto now = Clock::now() + kLong;  // an end that the clock does not reach meanwhile
  wait.passed(now - ShortWait::kLongest, now);
  wait.begin(now, now + kLong);
  BOOST_TEST(wait.go_on());  // that was no longer than a short wait
  wait.passed(now - 3ms, now);
  wait.begin(now, now + kLong);
  BOOST_TEST((wait.rests(now) && wait.rests(now + ShortWait::kRest / 2) && !wait.rests(now + ShortWait::kRest)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
