#include <algorithm>
#include <cstdio>

#include "core/net/client_link_internal.h"
#include "core/net/scram.h"

namespace odb {
namespace {

using boost::system::error_code;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kCloseBound{1000};
constexpr int64_t kTickUsMax = 250'000, kTickUsMin = 5'000;
constexpr milliseconds kGiveUpInterval{100};

/// What a commit is refused for before it is sent: the server would close the connection over it.
Status fault_of(const Batch& batch) {
  size_t bytes = 0;
  for (const auto* parts : {&batch.records, &batch.reads}) {
    for (const Bytes& part : *parts) {
      bytes += part.size();
      if (parts == &batch.records && part.size() > limits::kRecordsPartBytesMax)  // only one large object makes it so
        return {Code::kTransactionTooLarge, "the values of one object of the transaction take about " +
                                                std::to_string(part.size()) + " bytes; at most " +
                                                std::to_string(limits::kRowBytesMax >> 20) + " MiB are allowed"};
    }
  }
  if (bytes > limits::kTransactionBytesMax)
    return {Code::kTransactionTooLarge, "a transaction of " + std::to_string(bytes) + " bytes; at most " +
                                            std::to_string(limits::kTransactionBytesMax) + " are allowed"};
  if (batch.records.empty()) return {Code::kInvalidArgument, "a transaction without a write needs no commit"};
  return Status::ok();
}

/// Why an unconfirmed commit was lost, for the log.
std::string refusal_of(const CommitResult& result) {
  switch (result.outcome) {
    case Outcome::kConflict:
      return "somebody else wrote what it had read, in transaction " + std::to_string(result.written_at.value);
    case Outcome::kTooOld: return "it read a version that is too old";
    case Outcome::kNoSuchObject: return "it wrote an object that does not exist";
    case Outcome::kServerError: return "the server could not carry it out: " + result.message;
    default: break;  // the message says it
  }
  return result.message.empty() ? "refused by the server" : result.message;
}

/// The same of a subscription.
Status fault_of(const SubscriptionKey& wanted, const Table* table) {
  if (table == nullptr)
    return {Code::kInvalidArgument, "there is no type " + std::to_string(wanted.type.value) + " here"};
  Bytes key;
  if (wanted.scope == Scope::kIndexKey) return table->key_of_values(wanted.index, wanted.values, key);
  return Status::ok();
}

/// For those who wait: however a connection ends, to them it is gone. Only a refusal at the door has a name of its own.
Status answer_for(const Status& reason) {
  bool is_refusal = reason.code() == Code::kAuthentication || reason.code() == Code::kVersionMismatch;
  return is_refusal ? reason : Status(Code::kDisconnected, reason.message());
}

}  // namespace

ClientLink::ClientLink(std::shared_ptr<Loop> loop)
    : loop_(std::move(loop)), tick_timer_(loop_->context), tick_interval_(kTickUsMax) {}

// ---- any thread

void ClientLink::dial(const ConnectOptions& options) {
  auto dialer = std::make_shared<Dialer>(*loop_, options.host, options.port, options.is_retrying);
  {
    std::lock_guard lock(mutex_);
    dialer_ = dialer;
  }
  auto done = [self = shared_from_this(), token = options.token](Result<Dialer::Found> found) {
    if (self->is_over_) return;
    if (!found.is_ok()) return self->end(found.status());
    self->facts_ = std::move(found.value().facts);
    Bytes exporter = found.value().channel->exporter();
    self->start(std::move(found.value().channel),
                std::make_unique<ScramClientAuthentication>(token, exporter, random_bytes(kScramNonceBytes)));
  };
  loop_->post([dialer, done = std::move(done)]() mutable { dialer->start(std::move(done)); });
}

void ClientLink::attach(std::shared_ptr<MemoryChannel> channel, std::string token) {
  loop_->post([self = shared_from_this(), channel = std::move(channel), token = std::move(token)]() mutable {
    if (self->is_over_) return channel->abort();
    self->facts_.peer_host = self->facts_.own_host = "memory";
    self->start(std::move(channel), std::make_unique<MemoryClientAuthentication>(std::move(token)));
  });
}

std::string ClientLink::last_failure() const {
  std::lock_guard lock(mutex_);
  return dialer_ == nullptr ? std::string() : dialer_->last_failure();
}

bool ClientLink::commit(Submission& request, Pending::Deadline deadline, const std::function<bool()>& should_give_up) {
  size_t bytes = request.batch.bytes();
  std::unique_lock lock(mutex_);
  if (closed_ || (line_.empty() && window_.has_room_for(bytes))) {
    enqueue(std::move(request), bytes, lock);
    return true;
  }
  uint64_t own = ++last_in_line_;
  line_.push_back(own);
  bool is_due = false;
  while (true) {
    auto slice = std::chrono::steady_clock::now() + kGiveUpInterval;
    is_due = has_room_.wait_until(lock, deadline ? std::min(*deadline, slice) : slice,
                                  [&] { return closed_ || (line_.front() == own && window_.has_room_for(bytes)); });
    if (is_due || (deadline && std::chrono::steady_clock::now() >= *deadline)) break;
    if (!should_give_up) continue;
    lock.unlock();
    bool is_given_up = should_give_up();
    lock.lock();
    if (is_given_up) break;
  }
  std::erase(line_, own);
  if (!line_.empty()) has_room_.notify_all();  // somebody else is first now
  if (is_due) enqueue(std::move(request), bytes, lock);
  return is_due;
}

void ClientLink::commit_at_once(Submission request) {
  size_t bytes = request.batch.bytes();
  std::unique_lock lock(mutex_);
  enqueue(std::move(request), bytes, lock);
}

/// REQUIRES: `lock` holds mutex_.
void ClientLink::enqueue(Submission&& request, size_t bytes, std::unique_lock<std::mutex>& lock) {
  if (closed_) {
    Status reason = *closed_;
    lock.unlock();
    return answer({{}, std::move(request.pending), request.token, request.batch.as_of, bytes}, reason);
  }
  ++window_.commits;
  window_.bytes += bytes;
  bool was_empty = queue_.empty();
  queue_.push_back({std::move(request), nullptr});
  lock.unlock();
  if (was_empty) loop_->post([self = shared_from_this()] { self->take_requests(); });
}

std::shared_ptr<Pending> ClientLink::request(ClientRequest request) {
  auto pending = std::make_shared<Pending>();
  bool was_empty;
  {
    std::lock_guard lock(mutex_);
    if (closed_) {
      pending->answer(*closed_);
      return pending;
    }
    was_empty = queue_.empty();
    queue_.push_back({std::move(request), pending});
  }
  if (was_empty) loop_->post([self = shared_from_this()] { self->take_requests(); });
  return pending;
}

bool ClientLink::wait_for_step_above(Step seen, Pending::Deadline deadline) {
  return wait_for_version(deadline, [seen](Version version) { return version.step > seen; });
}

bool ClientLink::wait_for_transaction(TransactionId tid, Pending::Deadline deadline) {
  return wait_for_version(deadline, [tid](Version version) { return version.tid >= tid; });
}

bool ClientLink::wait_for_version(Pending::Deadline deadline, const std::function<bool(Version)>& is_awaited) {
  ++watchers_;
  std::unique_lock lock(mutex_);
  auto has_news = [&] { return closed_ || is_awaited(core_->store()->published()); };
  bool has_come = true;
  if (deadline) {
    has_come = stepped_.wait_until(lock, *deadline, has_news);
  } else {
    stepped_.wait(lock, has_news);
  }
  --watchers_;
  return has_come;
}

std::optional<Status> ClientLink::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void ClientLink::disconnect() {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = Status(Code::kDisconnected, "disconnected by this program");
  }
  stepped_.notify_all();
  has_room_.notify_all();
  loop_->post([self = shared_from_this()] { self->leave(); });
}

// ---- the I/O thread

/// A broken invariant ends this connection; the others of the process go on.
template <class F>
void ClientLink::guarded(F&& f) {
  try {
    f();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "object_database: internal error, a connection is closed: %s\n", error.what());
    end({Code::kDisconnected, std::string("internal error: ") + error.what()});
  }
}

void ClientLink::start(std::shared_ptr<Channel> channel, std::unique_ptr<ClientAuthentication> authentication) {
  guarded([&] {
    core_ = std::make_unique<ClientCore>(std::move(authentication), *this);
    channel_ = std::move(channel);
    channel_->open(shared_from_this());
    core_->connected(monotonic_now());
    send_output();
    tick();
  });
}

void ClientLink::take_requests() {
  {
    std::lock_guard lock(mutex_);
    taken_.swap(queue_);
  }
  guarded([this] {
    for (Queued& queued : taken_) carry_out(queued);
    send_output();
    give_back_room();
  });
  taken_.clear();
}

void ClientLink::carry_out(Queued& queued) {
  if (is_over_ || core_ == nullptr) {
    std::optional<Status> closing = closed();
    Status reason = closing ? *closing : Status(Code::kDisconnected, "not connected");
    auto* request = std::get_if<Submission>(&queued.request);
    if (request == nullptr) return queued.pending->answer(reason);
    return answer({{}, std::move(request->pending), request->token, request->batch.as_of, 0}, reason);
  }
  if (auto* definition = std::get_if<SchemaDefinition>(&queued.request)) {
    core_->define_schema(expect(std::move(queued.pending)), std::move(*definition));
  } else if (auto* wanted = std::get_if<SubscriptionKey>(&queued.request)) {
    Status fault = fault_of(*wanted, core_->store()->table(wanted->type));
    if (!fault.is_ok()) return queued.pending->answer(std::move(fault));
    core_->subscribe(expect(std::move(queued.pending)), std::move(*wanted));
  } else if (auto* request = std::get_if<Submission>(&queued.request)) {
    SentCommit commit{{}, std::move(request->pending), request->token, request->batch.as_of, request->batch.bytes()};
    Status fault = fault_of(request->batch);
    if (!fault.is_ok()) {
      ++answered_.commits;
      answered_.bytes += commit.bytes;
      return answer(commit, fault);
    }
    commit.seq = core_->commit(request->batch);
    commits_.push_back(std::move(commit));
  } else if (auto* collect = std::get_if<CollectRequest>(&queued.request)) {
    core_->collect_changes(collect->is_wanted);
    queued.pending->answer(Status::ok());
  } else if (std::holds_alternative<ListTypesRequest>(queued.request)) {
    core_->list_types(expect(std::move(queued.pending)));
  } else {
    core_->flush(expect(std::move(queued.pending)));
  }
}

RequestId ClientLink::expect(std::shared_ptr<Pending> pending) {
  last_request_ = {last_request_.value + 1};
  pendings_[last_request_] = std::move(pending);
  return last_request_;
}

void ClientLink::send_output() {
  if (channel_ != nullptr && core_->has_output()) channel_->send(core_->take_output());
}

void ClientLink::tick() {
  if (is_over_) return;
  core_->tick(monotonic_now());
  send_output();
  if (!is_over_) expect_tick();
}

/// The next tick comes an interval from now, instead of the one that was awaited.
void ClientLink::expect_tick() {
  tick_timer_.expires_after(tick_interval_);
  tick_timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->guarded([&self] { self->tick(); });
  });
}

// ---- what the channel says

void ClientLink::on_received(BytesView bytes) {
  guarded([&] {
    core_->received(bytes, monotonic_now());
    send_output();
    wake_watchers();
    give_back_room();
    work_later();
  });
}

/// Between other things: the connections of a process share this thread.
void ClientLink::work_later() {
  if (!core_->has_work() || std::exchange(is_work_scheduled_, true)) return;
  loop_->post([self = shared_from_this()] {
    self->is_work_scheduled_ = false;
    if (self->is_over_ || !self->core_->has_work()) return;
    self->guarded([&self] {
      self->core_->work();
      self->wake_watchers();
      self->work_later();
    });
  });
}

/// At once for all commits that were answered. Those who wait are woken when half of the window is free: to wake them
/// for every single place would cost more than the commits.
void ClientLink::give_back_room() {
  if (answered_.commits == 0) return;
  bool is_waited_for;
  {
    std::lock_guard lock(mutex_);
    window_.commits -= answered_.commits;
    window_.bytes -= answered_.bytes;
    is_waited_for = !line_.empty() && window_.commits <= limits::kUnansweredCommitsMax / 2 &&
                    window_.bytes <= limits::kUnansweredBytesMax / 2;
  }
  answered_ = {};
  if (is_waited_for) has_room_.notify_all();
}

/// A watcher counts itself before it looks at the store, so one that is not counted yet will see the new step itself.
void ClientLink::wake_watchers() {
  if (watchers_.load() == 0) return;
  Version version = core_->store()->published();
  if (version == std::exchange(last_version_, version)) return;
  { std::lock_guard lock(mutex_); }  // a watcher is now either before its look or inside its wait
  stepped_.notify_all();
}

void ClientLink::on_ended(const std::string& reason) {
  channel_.reset();
  guarded([&] {
    if (!is_over_) core_->disconnected("the connection to the server ended: " + reason);
  });
}

// ---- what the core says

void ClientLink::on_welcome(const Welcome& welcome) {
  welcome_ = welcome;
  auto quarter_us = static_cast<int64_t>(std::min<uint64_t>(welcome.heartbeat_us / 4, kTickUsMax));
  tick_interval_ = microseconds(std::max(quarter_us, kTickUsMin));
  expect_tick();  // the one under way may come later than a server with a short heartbeat waits
  welcomed_->answer(Status::ok());
}

void ClientLink::on_answer(RequestId request, const Status& status) {
  auto pending = pendings_.extract(request);
  if (!pending.empty()) pending.mapped()->answer(status);
}

void ClientLink::on_types(RequestId request, Bytes catalogue) {
  auto pending = pendings_.extract(request);
  if (!pending.empty()) pending.mapped()->answer(std::move(catalogue));
}

void ClientLink::on_commit_result(const CommitResult& result) {
  auto at = std::ranges::lower_bound(commits_, result.seq, {}, &SentCommit::seq);
  if (at == commits_.end() || at->seq != result.seq) return;  // answered before
  SentCommit commit = std::move(*at);
  commits_.erase(at);  // the first one, unless a server answers out of order
  ++answered_.commits;
  answered_.bytes += commit.bytes;
  if (commit.pending != nullptr) {
    commit.pending->answer(result);
  } else if (commit.token != 0) {
    events_->put(CommitEvent{commit.token, commit.as_of, Status::ok(), result});
  } else if (result.outcome != Outcome::kAccepted) {
    events_->lose(1, refusal_of(result));
  }
}

/// For a commit that the server gave no result of.
void ClientLink::answer(const SentCommit& commit, const Status& status) {
  if (commit.pending != nullptr) {
    commit.pending->answer(status);
  } else if (commit.token != 0) {
    events_->put(CommitEvent{commit.token, commit.as_of, status, {}});
  } else {
    events_->lose(1, status.message());
  }
}

void ClientLink::on_changes(ChangeSet changes) { events_->put(std::move(changes)); }

void ClientLink::on_closed(const Status& reason) { end(reason); }

// ---- the end

void ClientLink::leave() {
  guarded([this] {
    if (core_ == nullptr) return end({Code::kDisconnected, "disconnected by this program"});
    core_->leave();
  });
}

void ClientLink::end(const Status& reason) {
  if (std::exchange(is_over_, true)) return;
  std::vector<Queued> queued;
  std::shared_ptr<Dialer> dialer;
  Status answer = answer_for(reason);
  {
    std::lock_guard lock(mutex_);
    if (!closed_) closed_ = answer;
    queued.swap(queue_);
    dialer.swap(dialer_);
  }
  stepped_.notify_all();
  has_room_.notify_all();
  tick_timer_.cancel();
  if (dialer != nullptr) dialer->abort();
  if (channel_ != nullptr) {
    // The core's last words, if any, are taken after it has finished with the call that we are in.
    loop_->post([self = shared_from_this()] {
      if (self->channel_ == nullptr) return;
      self->send_output();
      self->channel_->finish(kCloseBound);
    });
  }
  welcomed_->answer(answer);
  for (auto& [request, pending] : std::exchange(pendings_, {})) pending->answer(answer);
  for (const SentCommit& commit : std::exchange(commits_, {})) this->answer(commit, answer);
  for (Queued& each : queued) {
    if (auto* request = std::get_if<Submission>(&each.request)) {
      this->answer({{}, std::move(request->pending), request->token, request->batch.as_of, 0}, answer);
    } else {
      each.pending->answer(answer);
    }
  }
  events_->end();
}

}  // namespace odb
