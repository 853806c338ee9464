#include "core/net/client.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>
#else
#include <condition_variable>
#include <mutex>
#endif

// A condition variable would cost one system call more for every answer: glibc's takes its mutex back as a contended
// one, and wakes nobody when that is released. std::atomic::wait has no deadline.

namespace odb {
namespace {

#ifdef __linux__

/// Sleeps while the word has this value, or a little less. False when the deadline came.
bool sleep_on(const std::atomic<uint32_t>& word, uint32_t value, const Pending::Deadline& deadline) {
  timespec until{};
  if (deadline) {  // steady_clock is CLOCK_MONOTONIC, which FUTEX_WAIT_BITSET counts in
    auto since_origin = deadline->time_since_epoch();
    auto whole = std::chrono::duration_cast<std::chrono::seconds>(since_origin);
    until.tv_sec = whole.count();
    until.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(since_origin - whole).count();
  }
  long slept = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, value, deadline ? &until : nullptr, nullptr,
                       FUTEX_BITSET_MATCH_ANY);
  return slept == 0 || errno != ETIMEDOUT;
}

void wake_all(const std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

#else

std::mutex mutex;  // of all that is waited for in this process
std::condition_variable is_changed;

bool sleep_on(const std::atomic<uint32_t>& word, uint32_t value, const Pending::Deadline& deadline) {
  std::unique_lock lock(mutex);
  auto is_other = [&] { return word.load() != value; };
  if (deadline) return is_changed.wait_until(lock, *deadline, is_other);
  is_changed.wait(lock, is_other);
  return true;
}

void wake_all(const std::atomic<uint32_t>&) {
  { std::lock_guard lock(mutex); }
  is_changed.notify_all();
}

#endif

}  // namespace

bool Pending::wait_until(Deadline deadline) {
  uint32_t state = state_.load(std::memory_order_acquire);
  while (state != kAnswered) {
    if (state == kOpen && !state_.compare_exchange_weak(state, kAwaited, std::memory_order_acquire)) continue;
    if (!sleep_on(state_, kAwaited, deadline)) return is_answered();
    state = state_.load(std::memory_order_acquire);
  }
  return true;
}

void Pending::answer(Status status) {
  if (is_claimed_.exchange(true, std::memory_order_acq_rel)) return;
  status_ = std::move(status);
  publish();
}

void Pending::answer(CommitResult result) {
  if (is_claimed_.exchange(true, std::memory_order_acq_rel)) return;
  commit_result_ = std::move(result);
  publish();
}

void Pending::answer(Bytes bytes) {
  if (is_claimed_.exchange(true, std::memory_order_acq_rel)) return;
  bytes_ = std::move(bytes);
  publish();
}

void Pending::publish() {
  if (state_.exchange(kAnswered, std::memory_order_acq_rel) == kAwaited) wake_all(state_);
}

}  // namespace odb
