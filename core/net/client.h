/// A connection of this process to a server, as programs use it: blocking calls with timeouts over the pure client
/// core. One I/O thread of the process drives the sockets, TLS and cores of all its connections and never needs the
/// GIL (D37); programs read the store from their own threads.
///
/// Thread safety: every method from any thread but the I/O thread. Every wait ends with the connection.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/client/client_core.h"
#include "core/net/events.h"

namespace odb {

class Server;

/// One answer that somebody may wait for. Answered at most once; later answers are ignored.
/// Any number of threads may wait; nobody who does not is woken for.
class Pending {
 public:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;  // none: for ever

  /// Waits; false when the deadline came first.
  bool wait_until(Deadline deadline);
  bool is_answered() const { return state_.load(std::memory_order_acquire) == kAnswered; }
  /// REQUIRES: is_answered().
  const Status& status() const { return status_; }
  const CommitResult& commit_result() const { return commit_result_; }
  const Bytes& bytes() const { return bytes_; }

  void answer(Status status);
  void answer(CommitResult result);
  void answer(Bytes bytes);

 private:
  enum State : uint32_t { kOpen, kAwaited, kAnswered };

  void publish();

  std::atomic<uint32_t> state_{kOpen};   // what waiting threads sleep on
  std::atomic<bool> is_claimed_{false};  // by the one that answers
  Status status_;
  CommitResult commit_result_;
  Bytes bytes_;
};

/// A transaction on its way. Whoever wants to know what becomes of it waits for `pending` or gives a token, under which
/// it comes out of the connection's EventQueue; with neither nobody is told, unless it is lost (EventQueue::lose).
struct Submission {
  Batch batch;
  std::shared_ptr<Pending> pending;
  uint64_t token = 0;  // 0: none
};

struct ConnectOptions {
  std::string host;
  uint16_t port = 0;
  std::string token;
  double timeout_s = 10.0;   ///< for all of it: name, TCP, TLS, authentication, welcome
  bool is_retrying = false;  ///< while nobody listens, try again until the timeout
};

/// Addresses of a connection, for people.
struct ConnectionFacts {
  std::string peer_host, own_host;
  uint16_t peer_port = 0, own_port = 0;
  std::string fingerprint;  ///< SHA-256 of the server's certificate, hex
};

class Client {
 public:
  virtual ~Client() = default;

  /// Connects over TLS 1.3 and proves the token (D31). Codes of a failure: kAuthentication, kVersionMismatch, kTimeout,
  /// kDisconnected (nobody listens, or the peer hung up; the message says which).
  /// `should_give_up` is asked about every 50 ms, so that a signal can end the wait.
  static Result<std::shared_ptr<Client>> connect(const ConnectOptions& options,
                                                 const std::function<bool()>& should_give_up = nullptr);
  /// Connects to a server of this process, through memory.
  static Result<std::shared_ptr<Client>> connect(Server& server, const std::string& token, double timeout_s = 10.0);

  virtual const std::shared_ptr<Store>& store() const = 0;
  virtual Identities& identities() = 0;
  virtual const Welcome& welcome() const = 0;
  virtual const ConnectionFacts& facts() const = 0;

  // Requests: sent at once, answered later. After a disconnect they are answered with kDisconnected.
  virtual std::shared_ptr<Pending> define_schema(SchemaDefinition definition) = 0;
  virtual std::shared_ptr<Pending> subscribe(SubscriptionKey wanted) = 0;
  virtual std::shared_ptr<Pending> flush() = 0;
  /// The server's catalogue, as bytes() of the answer (encode_catalogue).
  virtual std::shared_ptr<Pending> list_types() = 0;
  /// Whether changes go into events(); answered once that holds for every later step.
  virtual std::shared_ptr<Pending> collect_changes(bool is_wanted) = 0;

  /// Takes a commit, which is then sent at once and answered later. While as many commits are unanswered as D19 allows
  /// it waits, behind those that wait already; false, and `request` as it was, when the deadline came first or
  /// `should_give_up`, asked about every 100 ms, says so.
  virtual bool commit(Submission& request, Pending::Deadline deadline, const std::function<bool()>& should_give_up) = 0;
  /// Takes it however many are unanswered: for the thread that takes events, which must not wait for itself.
  virtual void commit_at_once(Submission request) = 0;
  /// With a Pending, and without a deadline.
  std::shared_ptr<Pending> commit(Batch batch) {
    Submission request{std::move(batch), std::make_shared<Pending>()};
    std::shared_ptr<Pending> pending = request.pending;
    commit(request, std::nullopt, nullptr);
    return pending;
  }

  virtual const std::shared_ptr<EventQueue>& events() const = 0;

  /// Waits until the store has a step above `seen`, so that something may look different; false when the deadline came
  /// first. Returns true at once when the connection is closed.
  virtual bool wait_for_step_above(Step seen, Pending::Deadline deadline) = 0;
  /// Waits until the store is at transaction `tid`, likewise.
  virtual bool wait_for_transaction(TransactionId tid, Pending::Deadline deadline) = 0;

  /// Why the connection ended; none while it lasts.
  virtual std::optional<Status> closed() const = 0;
  /// Whether this process is a fork of the one that opened the connection.
  virtual bool is_forked() const = 0;
  /// Leaves. Returns at once; everything that waits is answered with kDisconnected.
  virtual void disconnect() = 0;
};

}  // namespace odb
