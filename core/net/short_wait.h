/// Waiting awake for what is expected soon, and when not to.
///
/// A thread that sleeps runs 5 us after it is woken, or 20 when its core has gone to sleep as well, and a group of one row
/// takes SQLite 25 without the disk. So a thread that expects something within kUs looks for it that long before it
/// sleeps, and lets everybody else run meanwhile. On a busy machine that is the wrong way to wait: a thread that yields
/// comes after all who only compute, milliseconds later, one that is woken before them. When that happens nobody
/// looks for a while.
///
/// Thread safety: none.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace odb {

class ShortWait {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kLongest{200};  // a client alone comes back after 30 to 100
  static constexpr std::chrono::milliseconds kRest{100};     // a thirtieth of it lost where a time slice is 3 ms

  /// From now on, for kLongest or until `end`, whichever is first; not at all while the machine is busy.
  void begin(Clock::time_point now, Clock::time_point end) { end_ = rests(now) ? now : std::min(end, now + kLongest); }
  /// Lets others run. Whether to look once more.
  bool go_on() {
    Clock::time_point before = Clock::now();
    if (before >= end_) return false;
    std::this_thread::yield();
    passed(before, Clock::now());
    return true;
  }
  /// Others ran from one to the other.
  void passed(Clock::time_point from, Clock::time_point to) {
    if (to - from > kLongest) rests_until_ = to + kRest;
  }

  /// The machine was busy lately.
  bool rests(Clock::time_point now) const { return now < rests_until_; }

 private:
  Clock::time_point end_, rests_until_;
};

}  // namespace odb
