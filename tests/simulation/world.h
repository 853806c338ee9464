/// One simulated run: a server core, client cores, a network between them, a store that takes its time, and faults.
///
///   client core -> Link::to_server -> server core -> Link::to_client -> client core
///
/// A link is an ordered channel of bytes. It delivers after random delays and in random pieces; it can be cut, which
/// the client notices at once and the server some time later. Some clients read slowly. The store persists a group
/// after a delay and refuses some. An auditor, which no fault reaches, tells the History what the server accepted.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/client/client_core.h"
#include "core/server/server_core.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {

struct Figures {
  uint64_t events = 0, accepted = 0, conflicts = 0, too_old = 0, refused_by_store = 0, unanswered = 0;
  uint64_t cuts = 0, closed_by_server = 0, views = 0;

  void add(const Figures& other);
};

struct RunOptions {
  uint64_t seed = 1;
  int64_t steps = 2500;
  int64_t check_every = 8;  ///< events between two checks of every invariant
  bool is_verbose = false;
};

class World {
 public:
  World(std::unique_ptr<Workload> workload, RunOptions options);
  ~World();

  /// Throws when something is not as it should be.
  Figures run();

 private:
  /// How rough this run is; drawn from the seed.
  struct Weather {
    int64_t delay_us_max;
    int64_t cut_one_in;     // of a client's turns; 0: never
    int64_t refuse_one_in;  // of the store's groups; 0: never
    int64_t persist_us_max;
    bool has_slow_readers;
  };
  struct Link {
    ConnectionId id;
    Bytes to_server, to_client;
    bool is_going_to_server = false, is_going_to_client = false;  // a delivery is on its way
    bool is_up_for_client = true, is_up_for_server = true;
  };
  class Client;
  class Auditor;

  void say(const std::string& line) const;
  void check_all() const;
  void verify_end();
  void settle();

  // network
  std::shared_ptr<Link> open_link();
  void carry_to_server(const std::shared_ptr<Link>& link);
  void carry_to_client(Client& client, const std::shared_ptr<Link>& link);
  void cut(Client& client);
  void close_if_said(Client& client, const std::shared_ptr<Link>& link);
  Bytes take_some(Bytes& waiting, bool is_slow);
  int64_t delay_us(bool is_slow) { return 1 + random_.below(weather_.delay_us_max) * (is_slow ? 20 : 1); }

  // server
  void pump_server();
  void send_server_output();
  void tick_server();

  Random random_;
  Events events_;
  const RunOptions options_;
  const std::unique_ptr<Workload> workload_;
  const Weather weather_;
  ServerCore server_;
  uint64_t last_connection_ = 0;
  bool is_persisting_ = false;
  bool is_streaming_ = false;
  bool is_calm_ = false;  // no more faults and no more transactions: everybody comes to rest
  Figures figures_;
  std::unique_ptr<History> history_;
  std::unique_ptr<Auditor> auditor_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace odb::simulation
