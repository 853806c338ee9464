#include "core/net/store_desk.h"

#include <boost/test/unit_test.hpp>

namespace odb {
namespace {

using Clock = StoreDesk::Clock;
using namespace std::chrono_literals;

constexpr Clock::duration kLong = 60s;

DurableGroup group(uint64_t last, size_t commits = 1) {
  DurableGroup made;
  made.last = TransactionId{last};
  made.commits.resize(commits);
  return made;
}

BOOST_AUTO_TEST_SUITE(store_desk)

BOOST_AUTO_TEST_CASE(what_was_put_is_taken_once) {
  StoreDesk desk;
  desk.put(group(7));
  BOOST_TEST(desk.next(Clock::now() + kLong)->last.value == 7);
  BOOST_TEST(!desk.next(Clock::now()).has_value());
}

BOOST_AUTO_TEST_CASE(the_last_group_is_taken_before_the_desk_is_closed) {
  StoreDesk desk;
  desk.put(group(1));
  desk.close();
  BOOST_TEST(!desk.is_closed());
  BOOST_TEST(desk.next(Clock::now() + kLong)->last.value == 1);
  BOOST_TEST(desk.is_closed());
  BOOST_TEST(!desk.next(Clock::now() + kLong).has_value());  // at once
}

/// Whether the store's thread looks for the next group or sleeps, it gets each one, and hears the end.
BOOST_AUTO_TEST_CASE(no_group_is_missed) {
  StoreDesk desk;
  std::atomic<uint64_t> taken = 0;
  std::thread store([&] {
    while (auto next = desk.next(Clock::now() + kLong)) taken = next->last.value;
  });
  for (uint64_t last = 1; last <= 2000; ++last) {
    desk.put(group(last, last % 100 < 50 ? 1 : 2));
    while (taken != last) std::this_thread::yield();
    // Longer than it looks, now and then.
    if (last % 200 == 0)
      for (auto end = Clock::now() + 2 * ShortWait::kLongest; Clock::now() < end;) std::this_thread::yield();
  }
  desk.close();
  store.join();
  BOOST_TEST(taken.load() == 2000);
  BOOST_TEST(desk.is_closed());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
