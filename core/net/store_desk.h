/// Where the engine leaves a group of commits for the thread that works a store, one at a time (D11).
///
///   engine:        put(group) ... until the store's thread has answered through Server::group_done()
///   store's thread: while (auto group = desk.next(deadline)) ...
///
/// Thread safety: put() and close() from the engine's thread, next() from the store's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "core/server/durable.h"

namespace odb {

class StoreDesk {
 public:
  void put(DurableGroup group) {
    {
      std::lock_guard lock(mutex_);
      group_ = std::move(group);
    }
    has_changed_.notify_one();
  }
  /// No further group comes.
  void close() {
    {
      std::lock_guard lock(mutex_);
      is_closed_ = true;
    }
    has_changed_.notify_one();
  }
  /// The next group; none at the deadline, or when the desk is closed and empty.
  std::optional<DurableGroup> next(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    has_changed_.wait_until(lock, deadline, [this] { return group_.has_value() || is_closed_; });
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
};

}  // namespace odb
