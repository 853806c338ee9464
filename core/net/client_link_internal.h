/// A client core with its channel, on the I/O thread, and the queue through which programs reach it.
///
/// Requests of any thread are put into a queue; the I/O thread is woken when it was empty. What was asked before the
/// end of the connection is answered exactly once, by the server or with the reason of the end.
/// Thread safety: the public functions from any thread; the rest is the I/O thread's, but for what mutex_ guards.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/net/channel_internal.h"
#include "core/net/client.h"
#include "core/net/dialer_internal.h"
#include "core/net/loop_internal.h"
#include "core/net/memory_channel_internal.h"

namespace odb {

struct FlushRequest {};
struct ListTypesRequest {};
struct CollectRequest {
  bool is_wanted;
};
using ClientRequest =
    std::variant<SchemaDefinition, SubscriptionKey, Submission, FlushRequest, ListTypesRequest, CollectRequest>;

class ClientLink final : public ClientEvents, public ChannelEvents, public std::enable_shared_from_this<ClientLink> {
 public:
  explicit ClientLink(std::shared_ptr<Loop> loop);

  // -- any thread
  void dial(const ConnectOptions& options);
  void attach(std::shared_ptr<MemoryChannel> channel, std::string token);
  /// Answered once this client is in, or with the reason why not.
  const std::shared_ptr<Pending>& welcomed() const { return welcomed_; }
  /// For a connection that has not come about: the last thing that went wrong. Empty when nothing did.
  std::string last_failure() const;
  std::shared_ptr<Pending> request(ClientRequest request);
  bool commit(Submission& request, Pending::Deadline deadline, const std::function<bool()>& should_give_up);
  void commit_at_once(Submission request);
  bool wait_for_step_above(Step seen, Pending::Deadline deadline);
  bool wait_for_transaction(TransactionId tid, Pending::Deadline deadline);
  const std::shared_ptr<EventQueue>& events() const { return events_; }
  std::optional<Status> closed() const;
  void disconnect();
  Loop& loop() const { return *loop_; }

  // -- any thread, once welcomed() is answered with success
  ClientCore& core() { return *core_; }  // its store() and identities() only
  const Welcome& welcome() const { return welcome_; }
  const ConnectionFacts& facts() const { return facts_; }

 private:
  struct Queued {
    ClientRequest request;
    std::shared_ptr<Pending> pending;  // a commit's is in its request
  };
  struct SentCommit {
    CommitSeq seq;
    std::shared_ptr<Pending> pending;
    uint64_t token;
    TransactionId as_of;
    size_t bytes;
  };
  /// Commits that were taken and not answered yet (D19).
  struct Window {
    size_t commits = 0;
    size_t bytes = 0;
    bool has_room_for(size_t more) const {
      return commits == 0 || (commits < limits::kUnansweredCommitsMax && bytes + more <= limits::kUnansweredBytesMax);
    }
  };

  // ClientEvents
  void on_welcome(const Welcome& welcome) override;
  void on_answer(RequestId request, const Status& status) override;
  void on_types(RequestId request, Bytes catalogue) override;
  void on_commit_result(const CommitResult& result) override;
  void on_changes(ChangeSet changes) override;
  void on_closed(const Status& reason) override;
  // ChannelEvents
  void on_received(BytesView bytes) override;
  void on_sent(size_t) override {}
  void on_ended(const std::string& reason) override;

  template <class F>
  void guarded(F&& f);
  bool wait_for_version(Pending::Deadline deadline, const std::function<bool(Version)>& is_awaited);
  void wake_watchers();
  void work_later();
  void enqueue(Submission&& request, size_t bytes, std::unique_lock<std::mutex>& lock);
  void answer(const SentCommit& commit, const Status& status);
  void give_back_room();
  void start(std::shared_ptr<Channel> channel, std::unique_ptr<ClientAuthentication> authentication);
  void take_requests();
  void carry_out(Queued& queued);
  RequestId expect(std::shared_ptr<Pending> pending);
  void send_output();
  void tick();
  void expect_tick();
  void leave();
  void end(const Status& reason);

  const std::shared_ptr<Loop> loop_;
  const std::shared_ptr<Pending> welcomed_ = std::make_shared<Pending>();

  mutable std::mutex mutex_;
  std::vector<Queued> queue_;         // guarded by mutex_
  Window window_;                     // guarded by mutex_
  std::deque<uint64_t> line_;         // guarded by mutex_: who waits for room, in order
  uint64_t last_in_line_ = 0;         // guarded by mutex_
  std::condition_variable has_room_;  // with mutex_
  std::optional<Status> closed_;      // guarded by mutex_
  std::shared_ptr<Dialer> dialer_;    // guarded by mutex_; used on the I/O thread
  std::condition_variable stepped_;   // with mutex_: the store has a new step, or the connection is closed
  std::atomic<int> watchers_{0};      // threads that wait for it: without any, a step wakes nobody

  // the I/O thread's
  std::unique_ptr<ClientCore> core_;
  std::shared_ptr<Channel> channel_;
  asio::steady_timer tick_timer_;
  std::chrono::microseconds tick_interval_;
  std::vector<Queued> taken_;
  RequestId last_request_;
  std::map<RequestId, std::shared_ptr<Pending>> pendings_;
  std::deque<SentCommit> commits_;  // ascending by seq
  Window answered_;                 // not yet given back to window_
  Version last_version_;
  const std::shared_ptr<EventQueue> events_ = std::make_shared<EventQueue>();
  bool is_over_ = false;
  bool is_work_scheduled_ = false;
  Welcome welcome_;
  ConnectionFacts facts_;
};

}  // namespace odb
