/// Memory that the writer has unlinked and that a reader may still stand on (V2).
///
/// Things unlinked while step n is being made go into the bucket n - 1: a view that can still reach them is open at a
/// step <= n - 1. A bucket k is freed when every open view is at a step > k. Writer thread only.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "core/base/ids.h"

namespace odb {

class Limbo {
 public:
  using Free = void (*)(void*);

  Limbo() = default;
  /// With `is_at_once` nothing waits: for memory that no reader can stand on.
  explicit Limbo(bool is_at_once) : is_at_once_(is_at_once) {}
  Limbo(const Limbo&) = delete;
  Limbo& operator=(const Limbo&) = delete;
  ~Limbo() { free_below(kNever); }

  /// What is added from now on was reachable for views at steps <= `last_reachable`.
  void start_bucket(Step last_reachable) { last_reachable_ = last_reachable; }

  void add(void* memory, Free free) {
    if (is_at_once_) return free(memory);
    if (buckets_.empty() || buckets_.back().last_reachable != last_reachable_)
      buckets_.push_back({last_reachable_, {}});
    buckets_.back().items.push_back({memory, free});
  }

  /// Frees every bucket k < oldest_open.
  void free_below(Step oldest_open) {
    while (!buckets_.empty() && buckets_.front().last_reachable < oldest_open) {
      for (auto [memory, free] : buckets_.front().items) free(memory);
      buckets_.pop_front();
    }
  }

  bool is_empty() const { return buckets_.empty(); }

 private:
  struct Bucket {
    Step last_reachable;
    std::vector<std::pair<void*, Free>> items;
  };
  const bool is_at_once_ = false;
  std::deque<Bucket> buckets_;
  Step last_reachable_;
};

}  // namespace odb
