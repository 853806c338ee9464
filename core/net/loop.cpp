#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>

#include "core/base/check.h"
#include "core/net/loop_internal.h"

namespace odb {
namespace {

constexpr size_t kScratchBytes = 64 << 10;

std::atomic<uint64_t> forks{0};

}  // namespace

Instant monotonic_now() {
  auto since_origin = std::chrono::steady_clock::now().time_since_epoch();
  return Instant{std::chrono::duration_cast<std::chrono::microseconds>(since_origin).count()};
}

uint64_t fork_generation() {
  static const int is_registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
  ODB_CHECK(is_registered == 0, is_registered);
  return forks.load(std::memory_order_relaxed);
}

Loop::Loop(const char* name)
    : scratch(kScratchBytes, '\0'), generation_(fork_generation()), work_(asio::make_work_guard(context)) {
  // The mask is inherited, also by the thread that Asio starts for names. Faults of our own are left as they are.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  thread_ = std::thread([this, name] { run(name); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Loop::run(const char* name) {
#ifdef __APPLE__
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
  context.run();
  ended_.set_value();
}

void Loop::join(std::optional<std::chrono::milliseconds> bound) {
  work_.reset();
  bool is_in_time = !bound || ended_.get_future().wait_for(*bound) == std::future_status::ready;
  if (!is_in_time) context.stop();
  thread_.join();
}

}  // namespace odb
