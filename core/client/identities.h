/// Identities for new objects out of the blocks that the server gave this connection (D28).
/// They are handed out in runs of 64 per type, aligned to the pages of the store, so that pages stay dense.
/// Thread safety: any thread; a short lock.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "core/base/ids.h"
#include "core/base/limits.h"

namespace odb {

class Identities {
 public:
  /// REQUIRES: not block 0, which is the server's own.
  void add_block(ObjectId begin) {
    std::lock_guard lock(mutex_);
    blocks_.push_back({begin.value, begin.value + limits::kIdentityBlockSize});
  }

  /// A fresh identity; none when every block is used up and the server's next one has not come yet.
  std::optional<ObjectId> next(TypeId type) {
    std::lock_guard lock(mutex_);
    Range& run = runs_[type];
    if (run.next == run.end) {
      while (!blocks_.empty() && blocks_.front().next == blocks_.front().end) blocks_.pop_front();
      if (blocks_.empty()) return std::nullopt;
      run = {blocks_.front().next, blocks_.front().next + limits::kIdentityRun};
      blocks_.front().next = run.end;
    }
    return ObjectId{run.next++};
  }

 private:
  struct Range {
    int64_t next = 0;
    int64_t end = 0;
  };
  mutable std::mutex mutex_;
  std::deque<Range> blocks_;
  std::map<TypeId, Range> runs_;
};

}  // namespace odb
