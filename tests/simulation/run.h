/// What everybody in one simulated run shares.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/history.h"
#include "tests/simulation/network.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {

struct Figures {
  uint64_t events = 0, commits = 0, conflicts = 0, too_old = 0, refused_by_store = 0, clashes = 0, unanswered = 0,
           views = 0;
  uint64_t cuts = 0, silences = 0, naps = 0, closed_by_server = 0, too_slow = 0, stalls = 0, outages = 0;

  void add(const Figures& other);
  std::string text() const;
};

struct RunOptions {
  uint64_t seed = 1;
  int64_t steps = 6000;  ///< events before the weather clears up
  bool is_verbose = false;
};

class Client;

struct Run {
  Run(std::unique_ptr<Workload> workload, RunOptions options);
  ~Run();

  void say(const std::string& line) const {
    if (options.is_verbose) std::printf("%12.6f  %s\n", static_cast<double>(events.now().us) * 1e-6, line.c_str());
  }

  const RunOptions options;
  Random random;
  Events events;
  const std::unique_ptr<Workload> workload;
  const SchemaDefinition schema;                 // the workload's types, then the mark
  const std::vector<SchemaDefinition> versions;  // of it, oldest first, the last one is `schema`
  const TypeId mark_type;
  Network network;
  History history;
  std::vector<std::unique_ptr<Client>> clients;
  Figures figures;
};

}  // namespace odb::simulation
