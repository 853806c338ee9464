/// What a connection has to tell the program behind its back (D27): outcomes of commits that nobody waits for, and what
/// transactions changed. The I/O thread puts events in, in the order in which they happened and after what they tell
/// of is visible; one thread of the program takes them out.
///
/// Changes that wait are bounded: beyond a number or size of sets the later ones are merged into the last that waits,
/// each key with its last value. So a handler that is too slow sees fewer, larger changes, never wrong ones.
/// Thread safety: any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "core/base/status.h"
#include "core/protocol/messages.h"
#include "core/store/change_set.h"

namespace odb {

/// What became of a commit, or `status` says why that is not known.
struct CommitEvent {
  uint64_t token = 0;  // the one that was given with the commit
  TransactionId as_of;
  Status status;
  CommitResult result;
};

class EventQueue {
 public:
  using Event = std::variant<CommitEvent, ChangeSet>;
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;  // none: for ever

  /// Ways in which next() returns.
  enum class News : uint8_t {
    kEvent,    // here it is
    kLost,     // commits that nobody waits for were lost since this was said last
    kNothing,  // until the deadline
    kWoken,    // by wake()
    kEnd,      // the connection is closed and every event was taken
  };

  // -- the I/O thread
  void put(CommitEvent event);
  void put(ChangeSet changes);
  /// Unconfirmed commits that were refused, or whose outcome will not be known.
  void lose(uint64_t count, const std::string& why);
  void end();

  // -- the thread of the program
  /// The next thing to be told. Events come before losses; losses only when `may_tell_losses`.
  News next(Event& event, bool may_tell_losses, Deadline deadline);
  /// Lets next() return, now or at its next call.
  void wake();

  struct Losses {
    uint64_t count = 0;
    std::string last_reason;
  };
  /// All losses so far.
  Losses losses() const;

 private:
  struct Waiting {
    Event event;
    size_t change_bytes;  // 0: a commit's
  };

  mutable std::mutex mutex_;
  std::condition_variable is_news_;
  std::deque<Waiting> events_;
  size_t changes_ = 0, change_bytes_ = 0;  // of the events that wait
  Losses losses_;
  uint64_t told_losses_ = 0;
  bool is_woken_ = false, has_ended_ = false;
};

}  // namespace odb
