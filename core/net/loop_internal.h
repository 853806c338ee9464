/// A thread that runs an io_context: one for each server (its engine), one for all clients of the process (its I/O).
///
/// Signals are blocked on it: those of the program belong to its own threads, and writing to a socket that the peer
/// has closed must not raise SIGPIPE.
/// After fork() the child has no such thread, and the epoll set is still shared with the parent: whatever belongs to a
/// loop of the parent is left alone in the child, not even destroyed (D28).
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace odb {

namespace asio = boost::asio;

/// Monotonic, in the core's terms.
Instant monotonic_now();

/// How often this process, or one it descends from, was forked since these functions are in use. Cheap.
uint64_t fork_generation();

class Loop {
 public:
  /// Starts the thread. `name`: at most 15 characters, for debuggers and `top -H`.
  explicit Loop(const char* name);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// REQUIRES: joined.
  ~Loop() = default;

  template <class F>
  void post(F&& f) {
    asio::post(context, std::forward<F>(f));
  }
  /// Waits until everything that was started on this loop has ended; what has not within `bound` is dropped.
  /// Not from its own thread.
  void join(std::optional<std::chrono::milliseconds> bound = std::nullopt);
  bool is_forked() const { return generation_ != fork_generation(); }

  asio::io_context context{1};
  Bytes scratch;  ///< for reads: no connection has a buffer of its own

 private:
  void run(const char* name);

  const uint64_t generation_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::promise<void> ended_;
  std::thread thread_;
};

/// Leaves an object for ever, in a child process that must not destroy it.
template <class T>
void leak(T&& owner) {
  new std::decay_t<T>(std::forward<T>(owner));
}

}  // namespace odb
