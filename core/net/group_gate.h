/// When the next group of commits leaves for the store: not while most of those who will be in it are still being
/// answered.
///
/// Clients that wait for their commits come back together when their group is answered. A group that leaves with the
/// first of them has one member, the others wait for a whole write of the store, and from then on each write carries
/// a few of the clients. So a group waits for as many commits as there were lately, while they keep coming: as soon as
/// nobody has come for as long as the store took for the last one, it leaves with those that are there. A client that has
/// gone away costs the others that much once; a client alone never waits.
///
/// Thread safety: none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/ids.h"

namespace odb {

class GroupGate {
 public:
  static constexpr int64_t kWaitUsMax = 2'000;
  static constexpr size_t kEnough = 64;  // so many are worth a write, whoever else may come

  /// A group of so many commits leaves.
  void leaves(Instant now, size_t commits) {
    left_ = now;
    commits_ = commits;
  }
  /// It came back, and so many commits have come meanwhile.
  void is_back(Instant now, size_t waiting) {
    // A few fewer each time, so that a group that one of them missed does not split them for good.
    expected_ = std::max(commits_ + waiting, expected_ - (expected_ + 7) / 8);
    waiting_ = waiting;
    took_us_ = now.us - left_.us;
    pause_us_ = std::min(took_us_, kWaitUsMax);
    opens_ = Instant{now.us + pause_us_};
    opens_latest_ = Instant{now.us + kWaitUsMax};
  }
  /// Whether a group of those that wait should leave now.
  bool is_open(Instant now, size_t waiting) {
    if (waiting > waiting_) opens_ = std::min(Instant{now.us + pause_us_}, opens_latest_);
    waiting_ = waiting;
    return waiting >= std::min(expected_, kEnough) || now >= opens_;
  }
  /// Whether all who came lately are in the group that left last: nobody else is expected before it is back.
  bool has_everybody() const { return commits_ >= expected_; }
  /// When it opens, if nobody else comes.
  Instant opens() const { return opens_; }
  /// How long the last group was away.
  int64_t took_us() const { return took_us_; }

 private:
  Instant left_, opens_, opens_latest_;
  int64_t took_us_ = INT64_MAX;  // nobody knows
  int64_t pause_us_ = 0;
  size_t commits_ = 0, waiting_ = 0, expected_ = 0;
};

}  // namespace odb
