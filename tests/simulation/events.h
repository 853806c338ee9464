/// Chance and time of a simulation: one seeded source of random numbers, and a clock that jumps from event to event.
/// The same seed gives the same run, event by event.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <utility>

#include "core/base/ids.h"

namespace odb::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : bits_(seed) {}

  /// 0 to end - 1.
  int64_t below(int64_t end) { return static_cast<int64_t>(bits_() % static_cast<uint64_t>(end)); }
  int64_t between(int64_t least, int64_t greatest) { return least + below(greatest - least + 1); }
  bool one_in(int64_t n) { return below(n) == 0; }
  template <class Container>
  auto& pick(Container& items) {
    return *std::next(items.begin(), below(static_cast<int64_t>(items.size())));
  }

 private:
  std::mt19937_64 bits_;
};

class Events {
 public:
  using Action = std::function<void()>;

  Instant now() const { return now_; }
  void after(int64_t delay_us, Action action) {
    queue_.emplace(std::pair(now_.us + delay_us, ++last_), std::move(action));
  }
  /// REQUIRES: something is to come.
  void run_next() {
    auto next = queue_.extract(queue_.begin());
    now_.us = next.key().first;
    next.mapped()();
  }

 private:
  Instant now_{1'000'000};
  uint64_t last_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Action> queue_;  // (time, order of asking) -> what happens
};

}  // namespace odb::simulation
