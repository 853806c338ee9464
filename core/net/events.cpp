#include "core/net/events.h"

#include <algorithm>

#include "core/base/limits.h"

namespace odb {

void EventQueue::put(CommitEvent event) {
  {
    std::lock_guard lock(mutex_);
    events_.push_back({std::move(event), 0});
  }
  is_news_.notify_one();
}

void EventQueue::put(ChangeSet changes) {
  {
    std::lock_guard lock(mutex_);
    bool is_full = changes_ >= limits::kWaitingChangesMax || change_bytes_ >= limits::kWaitingChangeBytesMax;
    auto last = events_.rend();
    if (is_full)
      last = std::ranges::find_if(events_.rbegin(), events_.rend(),
                                  [](const Waiting& w) { return std::holds_alternative<ChangeSet>(w.event); });
    if (last != events_.rend()) {
      ChangeSet& merged = std::get<ChangeSet>(last->event);
      merged.merge(std::move(changes));
      change_bytes_ -= last->change_bytes;
      last->change_bytes = merged.bytes();
      change_bytes_ += last->change_bytes;
      return;  // whoever takes the events was told of that one
    }
    size_t bytes = changes.bytes();
    ++changes_;
    change_bytes_ += bytes;
    events_.push_back({std::move(changes), bytes});
  }
  is_news_.notify_one();
}

void EventQueue::lose(uint64_t count, const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    losses_.count += count;
    losses_.last_reason = why;
  }
  is_news_.notify_one();
}

void EventQueue::end() {
  {
    std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  is_news_.notify_all();
}

EventQueue::News EventQueue::next(Event& event, bool may_tell_losses, Deadline deadline) {
  std::unique_lock lock(mutex_);
  auto has_losses = [&] { return losses_.count > told_losses_ && (may_tell_losses || has_ended_); };
  auto has_news = [&] { return is_woken_ || !events_.empty() || has_ended_ || has_losses(); };
  if (deadline) {
    is_news_.wait_until(lock, *deadline, has_news);
  } else {
    is_news_.wait(lock, has_news);
  }
  if (!events_.empty()) {
    if (std::holds_alternative<ChangeSet>(events_.front().event)) {
      --changes_;
      change_bytes_ -= events_.front().change_bytes;
    }
    event = std::move(events_.front().event);
    events_.pop_front();
    return News::kEvent;
  }
  if (std::exchange(is_woken_, false)) return News::kWoken;
  if (has_losses()) {
    told_losses_ = losses_.count;
    return News::kLost;
  }
  return has_ended_ ? News::kEnd : News::kNothing;
}

void EventQueue::wake() {
  {
    std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  is_news_.notify_all();
}

EventQueue::Losses EventQueue::losses() const {
  std::lock_guard lock(mutex_);
  return losses_;
}

}  // namespace odb
