/// The queue between the I/O thread and a program's handlers.
#include "core/net/events.h"

#include <boost/test/unit_test.hpp>
#include <thread>

#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

using News = EventQueue::News;

EventQueue::Deadline at_once() { return std::chrono::steady_clock::time_point::min(); }

ChangeSet one_write(uint64_t tid, int64_t object = 1) {
  ChangeSet changes;
  changes.tid = TransactionId{tid};
  changes.write(TypeId{1}, ObjectId{object}, FieldId{0}, "x");
  return changes;
}

BOOST_AUTO_TEST_SUITE(events)

BOOST_AUTO_TEST_CASE(events_come_in_order_and_the_end_comes_last) {
  EventQueue queue;
  queue.put(one_write(1));
  queue.put(CommitEvent{7, {}, Status::ok(), {}});
  queue.end();
  queue.put(CommitEvent{8, {}, Status(Code::kDisconnected, "gone"), {}});
  EventQueue::Event event;
  BOOST_TEST((queue.next(event, true, at_once()) == News::kEvent));
  BOOST_TEST(std::get<ChangeSet>(event).tid.value == 1u);
  for (uint64_t token : {7, 8}) {
    BOOST_TEST((queue.next(event, true, at_once()) == News::kEvent));
    BOOST_TEST(std::get<CommitEvent>(event).token == token);
  }
  BOOST_TEST((queue.next(event, true, std::nullopt) == News::kEnd));
}

BOOST_AUTO_TEST_CASE(nothing_is_told_at_the_deadline) {
  EventQueue queue;
  EventQueue::Event event;
  BOOST_TEST((queue.next(event, true, at_once()) == News::kNothing));
  queue.wake();
  BOOST_TEST((queue.next(event, true, std::nullopt) == News::kWoken));
  BOOST_TEST((queue.next(event, true, at_once()) == News::kNothing));
}

BOOST_AUTO_TEST_CASE(losses_are_told_once_and_when_they_may) {
  EventQueue queue;
  EventQueue::Event event;
  queue.lose(2, "first");
  queue.lose(1, "second");
  BOOST_TEST((queue.next(event, false, at_once()) == News::kNothing));
  BOOST_TEST((queue.next(event, true, std::nullopt) == News::kLost));
  BOOST_TEST(queue.losses().count == 3u);
  BOOST_TEST(queue.losses().last_reason == "second");
  BOOST_TEST((queue.next(event, true, at_once()) == News::kNothing));
  queue.lose(1, "third");
  queue.end();  // the last words of a connection are said in any case
  BOOST_TEST((queue.next(event, false, at_once()) == News::kLost));
  BOOST_TEST((queue.next(event, false, at_once()) == News::kEnd));
}

BOOST_AUTO_TEST_CASE(changes_that_wait_are_merged_beyond_the_bound) {
  EventQueue queue;
  uint64_t last = limits::kWaitingChangesMax + 1000;
  for (uint64_t tid = 1; tid <= last; ++tid) queue.put(one_write(tid));
  queue.put(CommitEvent{7, {}, Status::ok(), {}});
  queue.put(one_write(last + 1));
  EventQueue::Event event;
  for (uint64_t taken = 1; taken < limits::kWaitingChangesMax; ++taken) {
    BOOST_REQUIRE((queue.next(event, true, at_once()) == News::kEvent));
    BOOST_TEST(std::get<ChangeSet>(event).tid.value == taken);
  }
  BOOST_REQUIRE((queue.next(event, true, at_once()) == News::kEvent));
  BOOST_TEST(std::get<ChangeSet>(event).tid.value == last + 1);
  BOOST_REQUIRE((queue.next(event, true, at_once()) == News::kEvent));
  BOOST_TEST(std::holds_alternative<CommitEvent>(event));
  BOOST_TEST((queue.next(event, true, at_once()) == News::kNothing));
}

BOOST_AUTO_TEST_CASE(large_changes_are_merged_by_their_size) {
  EventQueue queue;
  for (uint64_t tid = 1; tid <= 40; ++tid) {
    ChangeSet changes;
    changes.tid = TransactionId{tid};
    changes.write(TypeId{1}, ObjectId{1}, FieldId{0}, Bytes(1 << 20, 'x'));
    queue.put(std::move(changes));
  }
  size_t taken = 0;
  EventQueue::Event event;
  while (queue.next(event, true, at_once()) == News::kEvent) {
    ++taken;
    BOOST_TEST(std::get<ChangeSet>(event).bytes() < 8u << 20);
  }
  BOOST_TEST(taken <= limits::kWaitingChangeBytesMax >> 20);
  BOOST_TEST(std::get<ChangeSet>(event).tid.value == 40u);
}

BOOST_AUTO_TEST_CASE(who_waits_is_woken) {
  EventQueue queue;
  std::thread giver([&] { queue.put(one_write(5)); });
  EventQueue::Event event;
  BOOST_TEST((queue.next(event, true, std::nullopt) == News::kEvent));
  giver.join();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
