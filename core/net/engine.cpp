#include <algorithm>
#include <cstdio>

#include "core/base/check.h"
#include "core/net/engine_internal.h"
#include "core/net/listener_internal.h"

namespace odb {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int64_t kAudienceUs = 250;       // D37
constexpr milliseconds kCloseBound{1000};  // to say why and to be heard
constexpr milliseconds kStopBound{500};
constexpr milliseconds kAcceptPause{100};  // when the process has no descriptor to spare
constexpr int64_t kTickUsMax = 250'000, kTickUsMin = 5'000;
constexpr size_t kIdBytes = 16;  // sessions and histories

microseconds tick_interval_of(const ServerConfig& config) {
  int64_t shortest = std::min({config.heartbeat_us / 4, config.handshake_us / 4, kTickUsMax});
  return microseconds(std::max(shortest, kTickUsMin));
}

ServerOptions options_of(const ServerConfig& config) {
  ServerOptions options;
  options.history = config.durable ? config.durable->history : random_bytes(kIdBytes);
  options.heartbeat_us = config.heartbeat_us;
  options.handshake_us = config.handshake_us;
  options.memory_bytes_max = config.memory_bytes_max;
  options.conflict_window_bytes = config.conflict_window_bytes;
  return options;
}

}  // namespace

/// One connection as its channel sees it.
class Engine::Peer final : public ChannelEvents {
 public:
  Peer(Engine& engine, ConnectionId id_, std::shared_ptr<Channel> channel_)
      : id(id_), channel(std::move(channel_)), engine_(engine) {}

  void on_received(BytesView bytes) override { engine_.received(*this, bytes); }
  void on_sent(size_t bytes) override { engine_.sent(*this, bytes); }
  void on_ended(const std::string&) override { engine_.ended(*this); }

  const ConnectionId id;
  const std::shared_ptr<Channel> channel;
  bool is_in_audience = false;  // listed in audience_

 private:
  Engine& engine_;
};

Engine::Engine(Loop& loop, ServerConfig config)
    : loop_(loop),
      config_(std::move(config)),
      tick_interval_(tick_interval_of(config_)),
      keys_(std::make_shared<ScramKeys>(derive_scram_keys(config_.token, random_bytes(kScramSaltBytes)))),
      core_(options_of(config_)),
      is_durable_(config_.durable.has_value()),
      audience_timer_(loop.context),
      gate_timer_(loop.context),
      tick_timer_(loop.context) {}

Engine::~Engine() { close_all(); }

void Engine::start() {
  if (is_durable_) guarded([this] { restored_ = core_.restore(*config_.durable); });
  tick();
}

Status Engine::load(const std::vector<DurableRow>& rows) {
  if (failure_) return {Code::kServer, *failure_};
  Status status;
  guarded([&] { status = core_.load(rows); });
  return status;
}

void Engine::loaded() {
  guarded([this] { core_.loaded(); });
}

/// Nothing of the core is called any more once it has failed.
template <class F>
void Engine::guarded(F&& f) {
  if (failure_) return;
  try {
    f();
  } catch (const std::exception& error) { fail(error.what()); }
}

void Engine::fail(const std::string& what) {
  failure_ = what;
  desk_.close();
  std::fprintf(stderr, "object_database: internal error, the server stops serving: %s\n", what.c_str());
  close_all();
}

void Engine::close_all() {
  acceptors_.clear();
  for (auto& [number, handshake] : std::exchange(handshakes_, {})) handshake.channel->abort();
  for (auto& [id, peer] : std::exchange(peers_, {})) peer->channel->abort();
  audience_timer_.cancel();
  gate_timer_.cancel();
  tick_timer_.cancel();
}

void Engine::stop() {
  desk_.close();
  say_farewell();
}

void Engine::say_farewell() {
  is_stopping_ = true;
  acceptors_.clear();
  for (auto& [number, handshake] : std::exchange(handshakes_, {})) handshake.channel->abort();
  audience_timer_.cancel();
  gate_timer_.cancel();
  tick_timer_.cancel();
  guarded([this] {
    core_.stop();
    turn();
  });
}

void Engine::store_lost(const std::string& reason) {
  desk_.close();
  if (failure_ || is_stopping_) return;
  say_farewell();
  failure_ = reason;
}

void Engine::check() const {
  if (failure_) throw InternalError(*failure_);
  core_.check();
}

// ---- connections

void Engine::accept_on(std::vector<tcp::acceptor> acceptors, TlsContext context) {
  if (is_stopping_ || failure_) return;
  context_ = std::move(context);
  for (tcp::acceptor& socket : acceptors) {
    acceptors_.push_back({std::move(socket), asio::steady_timer(loop_.context)});
    accept_next(acceptors_.back());
  }
}

void Engine::accept_next(Acceptor& acceptor) {
  acceptor.socket.async_accept([this, &acceptor](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || acceptors_.empty()) return;  // `acceptor` is gone
    bool is_out_of_descriptors = error && error != asio::error::connection_aborted;
    if (!error) shake_hands(std::move(socket));
    if (!is_out_of_descriptors) return accept_next(acceptor);
    acceptor.pause.expires_after(kAcceptPause);
    acceptor.pause.async_wait([this, &acceptor](error_code cancelled) {
      if (!cancelled && !acceptors_.empty()) accept_next(acceptor);
    });
  });
}

void Engine::shake_hands(tcp::socket socket) {
  close_on_exec(socket.native_handle());
  auto channel = std::make_shared<TlsChannel>(loop_, std::move(socket), *context_, TlsChannel::Role::kServer);
  uint64_t number = ++last_handshake_;
  handshakes_[number] = {channel, Instant{monotonic_now().us + config_.handshake_us}};
  channel->handshake([this, number](const Status& status) {
    auto handshake = handshakes_.extract(number);
    if (!status.is_ok() || handshake.empty()) return;
    std::shared_ptr<TlsChannel> done = std::move(handshake.mapped().channel);
    guarded([&] {
      Bytes nonce = random_bytes(kScramNonceBytes);
      add_peer(done, std::make_unique<ScramServerAuthentication>(keys_, done->exporter(), nonce));
    });
  });
}

void Engine::accept(std::shared_ptr<MemoryChannel> channel) {
  if (is_stopping_) return;
  guarded([&] { add_peer(std::move(channel), std::make_unique<MemoryServerAuthentication>(config_.token)); });
}

void Engine::add_peer(std::shared_ptr<Channel> channel, std::unique_ptr<ServerAuthentication> authentication) {
  last_id_ = {last_id_.value + 1};
  core_.connected(last_id_, std::move(authentication), random_bytes(kIdBytes), monotonic_now());
  auto peer = std::make_shared<Peer>(*this, last_id_, std::move(channel));
  peers_[last_id_] = peer;
  peer->channel->open(peer);
}

void Engine::received(Peer& peer, BytesView bytes) {
  guarded([&] {
    core_.received(peer.id, bytes, monotonic_now());
    decide();
    bool has_more = core_.stream();
    gather_ready(peer.id);
    if (has_more || core_.has_work()) schedule_turn();
  });
}

void Engine::sent(Peer& peer, size_t bytes) {
  guarded([&] {
    core_.sent(peer.id, bytes);
    if (is_flushing_) return;
    core_.received(peer.id, {}, monotonic_now());  // it takes what it is sent, so it lives, read or not (D26)
    schedule_turn();                               // streams may go on
  });
}

void Engine::ended(Peer& peer) {
  guarded([&] {
    core_.disconnected(peer.id);
    peers_.erase(peer.id);
    schedule_turn();  // its core.Connection object goes with it
  });
}

// ---- turns

/// D11: one group is in flight. What asks nothing of a store is done at once.
void Engine::decide() {
  if (is_durable_) return decide_for_store();
  while (core_.start_group()) core_.finish_group(true);
}

void Engine::decide_for_store() {
  while (!is_in_store_) {
    size_t waiting = core_.commits_waiting();
    Instant now = monotonic_now();
    if (waiting > 0 && !gate_.is_open(now, waiting)) return open_gate_later(now);
    if (!core_.start_group(limits::kGroupCommitsMax)) return;
    DurableGroup group = core_.durable_group();
    if (group.is_empty()) {
      core_.finish_group(true);
    } else {
      size_t commits = waiting - core_.commits_waiting();
      gate_.leaves(now, commits);
      is_in_store_ = true;
      desk_.put(std::move(group));
      if (gate_.has_everybody() && microseconds(gate_.took_us()) <= ShortWait::kLongest) stay_awake();
    }
  }
}

/// A fast store answers before this thread would be awake again, and while everybody waits for it nobody else needs the
/// core.
void Engine::stay_awake() {
  auto now = ShortWait::Clock::now();
  store_wait_.begin(now, now + ShortWait::kLongest);
  if (!std::exchange(is_awake_, true)) look_again();
}

void Engine::look_again() {
  loop_.post([this] {  // while a handler is ready the loop does not sleep
    is_awake_ = is_in_store_ && store_wait_.go_on();
    if (is_awake_) look_again();
  });
}

void Engine::open_gate_later(Instant now) {
  if (std::exchange(is_gate_timer_set_, true)) return;
  gate_timer_.expires_after(microseconds(gate_.opens().us - now.us));
  gate_timer_.async_wait([this](error_code cancelled) {
    is_gate_timer_set_ = false;
    if (!cancelled) guarded([this] { turn(); });
  });
}

void Engine::group_done(bool was_persisted) {
  guarded([&] {
    core_.finish_group(was_persisted);
    is_in_store_ = false;
    gate_.is_back(monotonic_now(), core_.commits_waiting());
    turn();
  });
}

void Engine::schedule_turn() {
  if (std::exchange(is_turn_scheduled_, true)) return;
  loop_.post([this] {
    is_turn_scheduled_ = false;
    guarded([this] { turn(); });
  });
}

/// A turn that no connection asked for: streams, heartbeats, farewells.
void Engine::turn() {
  decide();
  bool has_more = core_.work();
  has_more |= core_.stream();
  for (ConnectionId id : core_.take_ready()) flush(id);
  flush_audience();
  if (has_more) schedule_turn();
}

/// Sends what `first` shall hear; the others' at once or a little later.
void Engine::gather_ready(ConnectionId first) {
  for (ConnectionId id : core_.take_ready()) {
    if (id == first) {
      flush(id);
    } else if (auto peer = peers_.find(id);
               peer != peers_.end() && !std::exchange(peer->second->is_in_audience, true)) {
      audience_.push_back(id);
    }
  }
  if (audience_.empty() || is_audience_timer_set_) return;
  int64_t wait_us = audience_served_.us + kAudienceUs - monotonic_now().us;
  if (wait_us <= 0) return flush_audience();
  is_audience_timer_set_ = true;
  audience_timer_.expires_after(microseconds(wait_us));
  audience_timer_.async_wait([this](error_code cancelled) {
    is_audience_timer_set_ = false;
    if (!cancelled) guarded([this] { flush_audience(); });
  });
}

void Engine::flush_audience() {
  if (audience_.empty()) return;
  for (ConnectionId id : std::exchange(audience_, {})) flush(id);
  audience_served_ = monotonic_now();
}

void Engine::flush(ConnectionId id) {
  auto at = peers_.find(id);
  if (at == peers_.end()) return;
  Peer& peer = *at->second;
  peer.is_in_audience = false;
  is_flushing_ = true;
  peer.channel->send(core_.take_output(id));
  is_flushing_ = false;
  if (core_.is_closing(id)) peer.channel->finish(is_stopping_ ? kStopBound : kCloseBound);
}

void Engine::tick() {
  Instant now = monotonic_now();
  std::erase_if(handshakes_, [now](auto& entry) {
    bool is_late = now >= entry.second.deadline;
    if (is_late) entry.second.channel->abort();
    return is_late;
  });
  guarded([&] {
    core_.tick(now);
    turn();
  });
  if (is_stopping_ || failure_) return;
  tick_timer_.expires_after(tick_interval_);
  tick_timer_.async_wait([this](error_code cancelled) {
    if (!cancelled) tick();
  });
}

}  // namespace odb
