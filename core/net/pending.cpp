#include "core/net/client.h"

namespace odb {

bool Pending::wait_until(Deadline deadline) {
  std::unique_lock lock(mutex_);
  auto is_answered = [this] { return is_answered_; };
  if (deadline) return answered_.wait_until(lock, *deadline, is_answered);
  answered_.wait(lock, is_answered);
  return true;
}

bool Pending::is_answered() const {
  std::lock_guard lock(mutex_);
  return is_answered_;
}

void Pending::answer(Status status) {
  {
    std::lock_guard lock(mutex_);
    if (is_answered_) return;
    status_ = std::move(status);
    is_answered_ = true;
  }
  answered_.notify_all();
}

void Pending::answer(CommitResult result) {
  {
    std::lock_guard lock(mutex_);
    if (is_answered_) return;
    commit_result_ = std::move(result);
    is_answered_ = true;
  }
  answered_.notify_all();
}

}  // namespace odb
