/// The server core with its channels, on the engine thread (core/server/server_core.h tells what a turn is).
///
/// When bytes of a connection have come in, the commits among them are decided and that connection is answered at
/// once. What others shall hear is sent at once too when it is quiet, else gathered for kAudienceUs (D37): a busy
/// writer does not pay a system call for every subscriber and commit.
///
/// A broken invariant of the core (InternalError) ends the service, never the thread: one line on stderr, every channel
/// closed, the reason kept for failure().
/// Thread safety: none; the Loop's thread, but for the constructor and the destructor.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/net/group_gate.h"
#include "core/net/loop_internal.h"
#include "core/net/memory_channel_internal.h"
#include "core/net/scram.h"
#include "core/net/server.h"
#include "core/net/short_wait.h"
#include "core/net/store_desk.h"
#include "core/net/tls_internal.h"

namespace odb {

class Engine {
 public:
  Engine(Loop& loop, ServerConfig config);
  ~Engine();

  void start();
  void accept_on(std::vector<asio::ip::tcp::acceptor> acceptors, TlsContext context);
  void accept(std::shared_ptr<MemoryChannel> channel);
  // with a store that outlives the server
  Status restored() const { return restored_; }
  Status load(const std::vector<DurableRow>& rows);
  void loaded();
  void group_done(bool was_persisted);
  void store_lost(const std::string& reason);
  StoreDesk& desk() { return desk_; }

  /// Says farewell and closes; the loop runs out of work within kStopBound.
  void stop();

  ServerFigures figures() const { return core_.figures(); }
  const std::optional<std::string>& failure() const { return failure_; }
  void check() const;

 private:
  class Peer;
  struct Acceptor {
    asio::ip::tcp::acceptor socket;
    asio::steady_timer pause;
  };
  struct Handshake {
    std::shared_ptr<TlsChannel> channel;
    Instant deadline;
  };

  template <class F>
  void guarded(F&& f);
  void fail(const std::string& what);
  void say_farewell();
  void accept_next(Acceptor& acceptor);
  void shake_hands(asio::ip::tcp::socket socket);
  void add_peer(std::shared_ptr<Channel> channel, std::unique_ptr<ServerAuthentication> authentication);
  void received(Peer& peer, BytesView bytes);
  void sent(Peer& peer, size_t bytes);
  void ended(Peer& peer);
  void decide();
  void decide_for_store();
  void stay_awake();
  void look_again();
  void open_gate_later(Instant now);
  void schedule_turn();
  void turn();
  void flush(ConnectionId id);
  void flush_audience();
  void gather_ready(ConnectionId first);
  void tick();
  void close_all();

  Loop& loop_;
  const ServerConfig config_;
  const std::chrono::microseconds tick_interval_;
  std::shared_ptr<const ScramKeys> keys_;
  TlsContext context_;
  ServerCore core_;
  const bool is_durable_;
  Status restored_;
  StoreDesk desk_;
  bool is_in_store_ = false;  // a group
  GroupGate gate_;
  ShortWait store_wait_;
  bool is_awake_ = false;  // look_again() is posted
  std::list<Acceptor> acceptors_;
  std::map<uint64_t, Handshake> handshakes_;
  uint64_t last_handshake_ = 0;
  std::map<ConnectionId, std::shared_ptr<Peer>> peers_;
  ConnectionId last_id_;
  std::vector<ConnectionId> audience_;  // with output that is being gathered
  Instant audience_served_;             // when it was last sent
  asio::steady_timer audience_timer_;
  bool is_audience_timer_set_ = false;
  asio::steady_timer gate_timer_;
  bool is_gate_timer_set_ = false;
  asio::steady_timer tick_timer_;
  bool is_turn_scheduled_ = false;
  bool is_flushing_ = false;
  bool is_stopping_ = false;
  std::optional<std::string> failure_;
};

}  // namespace odb
