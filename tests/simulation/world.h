/// One simulated run, from one seed: a server core, client cores in a few processes, a network between them, a store
/// that takes its time, and faults; everything in one thread, with a clock that jumps from event to event.
///
///   Random, Events    chance and time. Nothing else decides anything: the same seed gives the same run
///   Network           the server core, its links and its store; the weather says how rough they are
///   Client            a client core with a program: what it covers, when it commits, what becomes of its link
///   Workload          what transactions do, and what must be true in every view: bank, index, ring, ...
///   Auditor           a connection that no fault reaches: it tells the History what the server accepted
///   History, Model    what every view must show, and what every transaction saw
///   DependencyGraph   whether there is an order in which all of that could have happened one after the other
///
/// Every invariant of the server is checked after every step of it, those of a client after everything it receives. In
/// the end the weather clears up: everybody connects, hears all answers, and must show the last state.
#pragma once

#include <memory>

#include "tests/simulation/client.h"

namespace odb::simulation {

class World {
 public:
  World(std::unique_ptr<Workload> workload, RunOptions options);
  ~World();

  /// Throws when something is not as it should be.
  Figures run();

 private:
  class Auditor;

  void settle();
  void run_until_settled();
  void verify_end();

  Run run_;
  std::unique_ptr<Auditor> auditor_;
};

}  // namespace odb::simulation
