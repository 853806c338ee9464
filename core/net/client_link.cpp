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
  ++watchers_;
  std::unique_lock lock(mutex_);
  auto has_news = [&] { return closed_ || core_->store()->published().step > seen; };
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
  });
  taken_.clear();
}

void ClientLink::carry_out(Queued& queued) {
  if (is_over_ || core_ == nullptr) {
    std::optional<Status> reason = closed();
    return queued.pending->answer(reason ? *reason : Status(Code::kDisconnected, "not connected"));
  }
  if (auto* definition = std::get_if<SchemaDefinition>(&queued.request)) {
    core_->define_schema(expect(std::move(queued.pending)), std::move(*definition));
  } else if (auto* subscription = std::get_if<SubscribeRequest>(&queued.request)) {
    if (core_->store()->table(subscription->type) == nullptr) {
      return queued.pending->answer(
          {Code::kInvalidArgument, "there is no type " + std::to_string(subscription->type.value) + " here"});
    }
    core_->subscribe(expect(std::move(queued.pending)), subscription->type, subscription->scope);
  } else if (auto* batch = std::get_if<Batch>(&queued.request)) {
    Status fault = fault_of(*batch);
    if (!fault.is_ok()) return queued.pending->answer(std::move(fault));
    commits_.push_back({core_->commit(*batch), std::move(queued.pending)});
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
  if (is_over_) return;
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
  });
}

/// A watcher counts itself before it looks at the store, so one that is not counted yet will see the new step itself.
void ClientLink::wake_watchers() {
  if (watchers_.load() == 0) return;
  Step step = core_->store()->published().step;
  if (step == std::exchange(last_step_, step)) return;
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
  // The tick that is set already may come too late for a short interval.
  loop_->post([self = shared_from_this()] { self->guarded([&self] { self->tick(); }); });
  welcomed_->answer(Status::ok());
}

void ClientLink::on_answer(RequestId request, const Status& status) {
  auto pending = pendings_.extract(request);
  if (!pending.empty()) pending.mapped()->answer(status);
}

void ClientLink::on_commit_result(const CommitResult& result) {
  auto at = std::ranges::lower_bound(commits_, result.seq, {}, &SentCommit::seq);
  if (at == commits_.end() || at->seq != result.seq) return;  // answered before
  at->pending->answer(result);
  commits_.erase(at);  // the first one, unless a server answers out of order
}

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
  for (SentCommit& commit : std::exchange(commits_, {})) commit.pending->answer(answer);
  for (Queued& each : queued) each.pending->answer(answer);
}

}  // namespace odb
