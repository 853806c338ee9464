/// The server core with what is around it: ordered channels to its clients, and a store that takes its time. Nothing
/// here knows what clients do.
///
///   end (a client) -> Link::to_server -> server core -> Link::to_client -> end
///
/// A link is an ordered channel of bytes. It delivers after random delays and in random pieces; links overtake each
/// other. It can be cut, which the client notices at once and the server some time later; it can go silent, which
/// nobody is told; and a client can stop reading for a while. The store persists a group after a delay, sometimes a
/// long one, and refuses some, sometimes many in a row.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/server/server_core.h"
#include "tests/simulation/events.h"

namespace odb::simulation {

inline constexpr const char* kToken = "simulated";

/// How rough a run is. "One in 0" is never.
struct Weather {
  int64_t delay_us_max = 500;
  int64_t cut_one_in = 0;      // of a client's turns: its link, or all links of its process
  int64_t silence_one_in = 0;  // of a client's turns: its link carries nothing any more
  int64_t nap_one_in = 0;      // of a client's turns: its process does nothing for long
  int64_t nap_delays_max = 600;
  int64_t deaf_one_in = 0;    // of a client's turns: it reads nothing for long, and does everything else
  int64_t refuse_one_in = 0;  // of the store's groups
  int64_t outage_one_in = 0;  // of the store's groups: this one and all of some time after are refused
  int64_t stall_one_in = 0;   // of the store's groups: it takes a hundred times as long
  int64_t persist_us_max = 50;
  size_t group_commits_max = 20;
  int64_t note_bytes_max = 8'000;
  bool has_slow_readers = false;
  ServerOptions server;

  /// Delays, and nothing worse.
  static Weather fair(Random& random);
  static Weather any(Random& random);
};

class Network {
 public:
  /// A client's end of a link. It may open a new link in either call.
  class End {
   public:
    virtual ~End() = default;
    virtual void received(const Bytes& bytes) = 0;
    virtual void lost() = 0;
  };
  struct Link {
    ConnectionId id;
    End* end;
    bool is_slow;
    Bytes to_server, to_client;
    Instant deaf_until;
    bool is_going_to_server = false, is_going_to_client = false;  // a delivery is on its way
    bool is_up_for_client = true, is_up_for_server = true;
    bool is_silent = false;
  };
  using LinkPtr = std::shared_ptr<Link>;

  Network(Random& random, Events& events, Weather weather);

  // -- a client's end
  LinkPtr connect(End& end, bool is_slow);
  void send(const LinkPtr& link, Bytes bytes);
  /// The client closed its end by itself; the server hears of it later.
  void leave(const LinkPtr& link);

  // -- faults
  void cut(const LinkPtr& link);
  void silence(const LinkPtr& link) { link->is_silent = true; }
  /// No more faults from now on; who does not read now reads again.
  void calm();

  /// A connection that no fault reaches: what the server says to it is heard before anybody else hears anything.
  void attach_auditor(std::function<void(const Bytes&)> hear);
  void auditor_says(const Bytes& bytes);

  ServerCore& server() { return server_; }
  const ServerCore& server() const { return server_; }
  const Weather& weather() const { return weather_; }
  bool is_calm() const { return is_calm_; }
  bool is_persisting() const { return is_persisting_; }
  int64_t delay_us(bool is_slow = false) { return 1 + random_.below(weather_.delay_us_max) * (is_slow ? 20 : 1); }
  bool happens(int64_t one_in) { return one_in > 0 && !is_calm_ && random_.one_in(one_in); }

  std::function<void(const std::string&)> say = [](const std::string&) {};
  /// Called after every step of the server.
  std::function<void()> after_step = [] {};
  uint64_t closed_by_server = 0, stalls = 0, outages = 0;

 private:
  void carry_to_server(const LinkPtr& link);
  void carry_to_client(const LinkPtr& link);
  void hear_later(const LinkPtr& link);
  void close_if_said(const LinkPtr& link);
  void end_for_server(const LinkPtr& link);
  Bytes take_some(Bytes& waiting, bool is_slow);
  void pump();
  void start_group();
  void send_output();
  void tick();

  Random& random_;
  Events& events_;
  const Weather weather_;
  ServerCore server_;
  std::map<ConnectionId, LinkPtr> links_;  // those that are up for the server
  ConnectionId last_connection_, auditor_;
  std::function<void(const Bytes&)> auditor_hears_;
  Instant outage_until_;
  bool is_persisting_ = false, is_streaming_ = false, is_calm_ = false;
};

}  // namespace odb::simulation
