/// Where the engine leaves a group of commits for the thread that works a store, one at a time (D11).
///
///   engine:        put(group) ... until the store's thread has answered through Server::group_done()
///   store's thread: while (auto group = desk.next(deadline)) ...
///
/// While groups of one commit follow each other closely the store's thread looks for the next one before it sleeps
/// (short_wait.h): a client is alone then. Several clients keep the cores busy themselves, and beside a store that takes
/// longer than such a wait it would gain nothing.
///
/// Thread safety: put() and close() from the engine's thread, next() from the store's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "core/net/short_wait.h"
#include "core/server/durable.h"

namespace odb {

class StoreDesk {
 public:
  using Clock = ShortWait::Clock;

  void put(DurableGroup group) {
    {
      std::lock_guard lock(mutex_);
      group_ = std::move(group);
      has_news_.store(true, std::memory_order_release);
    }
    has_changed_.notify_one();
  }
  /// No further group comes.
  void close() {
    {
      std::lock_guard lock(mutex_);
      is_closed_ = true;
      has_news_.store(true, std::memory_order_release);
    }
    has_changed_.notify_one();
  }
  /// The next group; none at the deadline, or when the desk is closed and empty.
  std::optional<DurableGroup> next(Clock::time_point deadline) {
    Clock::time_point asked = Clock::now();
    if (is_close_ && asked - given_ <= ShortWait::kLongest) {
      wait_.begin(asked, deadline);
      while (!has_news_.load(std::memory_order_acquire) && wait_.go_on()) {}
    }
    std::unique_lock lock(mutex_);
    has_changed_.wait_until(lock, deadline, [this] { return group_.has_value() || is_closed_; });
    has_news_.store(is_closed_, std::memory_order_relaxed);
    given_ = Clock::now();
    is_close_ = group_.has_value() && group_->commits.size() == 1 && given_ - asked < ShortWait::kLongest;
    return std::exchange(group_, std::nullopt);
  }
  bool is_closed() const {
    std::lock_guard lock(mutex_);
    return is_closed_ && !group_.has_value();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable has_changed_;
  std::optional<DurableGroup> group_;
  bool is_closed_ = false;
  std::atomic<bool> has_news_ = false;  // a group, or is_closed_
  // the store's thread alone
  bool is_close_ = false;    // the last group came soon, of one commit
  Clock::time_point given_;  // when
  ShortWait wait_;
};

}  // namespace odb
