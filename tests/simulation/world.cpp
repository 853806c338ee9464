#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace odb::simulation {
namespace {

SchemaDefinition schema_of(std::vector<TypeDefinition> types) {
  types.push_back({"Mark", {{"transaction", "int", {}}}, {}});
  return {"simulation", std::move(types)};
}

std::vector<SchemaDefinition> versions_of(const Workload& workload) {
  std::vector<SchemaDefinition> versions;
  for (std::vector<TypeDefinition>& older : workload.older_types()) versions.push_back(schema_of(std::move(older)));
  versions.push_back(schema_of(workload.types()));
  return versions;
}

}  // namespace

void Figures::add(const Figures& other) {
  events += other.events, commits += other.commits, conflicts += other.conflicts, too_old += other.too_old;
  refused_by_store += other.refused_by_store, clashes += other.clashes, unanswered += other.unanswered,
      views += other.views;
  cuts += other.cuts, silences += other.silences, naps += other.naps, closed_by_server += other.closed_by_server;
  too_slow += other.too_slow, stalls += other.stalls, outages += other.outages;
}

std::string Figures::text() const {
  auto n = [](uint64_t value, const char* of) { return std::to_string(value) + " " + of; };
  return n(events, "events, ") + n(commits, "commits, ") + n(views, "views; refused: ") + n(conflicts, "conflicts, ") +
         n(too_old, "too old, ") + n(clashes, "not unique, ") + n(refused_by_store, "by the store; ") +
         n(unanswered, "unanswered; faults: ") + n(cuts, "cuts, ") + n(silences, "silent links, ") + n(naps, "naps, ") +
         n(stalls, "stalls, ") + n(outages, "outages; closed by the server: ") +
         n(closed_by_server, "of which too slow: ") + std::to_string(too_slow);
}

Run::Run(std::unique_ptr<Workload> workload_, RunOptions options_)
    : options(options_),
      random(options_.seed),
      workload(std::move(workload_)),
      schema(schema_of(workload->types())),
      versions(versions_of(*workload)),
      mark_type{static_cast<uint32_t>(schema.types.size())},
      network(random, events, Weather::any(random)),
      history(catalog_of(schema), mark_type) {
  network.say = [this](const std::string& line) { say(line); };
  network.after_step = [this] { network.server().check(); };
}

Run::~Run() = default;

/// Sees everything at once: it feeds the server directly and reads its output before anybody else.
class World::Auditor {
 public:
  explicit Auditor(Run& run) : run_(run) {
    run.network.attach_auditor([this](const Bytes& bytes) { hear(bytes); });
    Bytes out;
    put_frame(out, Hello{1, 1, "memory", 0});
    put_frame(out, Auth{kToken});
    put_frame(out, DefineSchema{RequestId{1}, run.versions.front()});
    for (uint32_t type = 1; type <= run.schema.types.size(); ++type)
      put_frame(out, Subscribe{RequestId{1 + type}, TypeId{type}, Scope::kType, {}, {}, {}});
    run.network.auditor_says(out);
  }

 private:
  void hear(const Bytes& bytes) {
    frames_.feed(bytes);
    while (auto frame = frames_.next()) {
      ODB_CHECK(frame->kind != MessageKind::kServerGoodbye);
      if (frame->kind != MessageKind::kSection) continue;
      Section section = decode_message<Section>(frame->payload).value();
      records_.append(section.records);
      if (!section.is_last) continue;
      run_.history.accepted(section.tid, std::exchange(records_, {}));
      run_.say("accepted transaction " + std::to_string(section.tid.value));
    }
  }

  Run& run_;
  FrameReader frames_{limits::kFrameBytesMax, limits::kMessageBytesMax};
  Bytes records_;
};

World::World(std::unique_ptr<Workload> workload, RunOptions options)
    : run_(std::move(workload), options), auditor_(std::make_unique<Auditor>(run_)) {
  size_t process = 0;
  for (int64_t n = run_.random.between(1, 6); n > 0; --n) {
    if (run_.random.one_in(2)) ++process;  // else one more connection of the same process
    run_.clients.push_back(std::make_unique<Client>(run_, run_.clients.size(), process));
  }
}

World::~World() = default;

Figures World::run() {
  for (int64_t i = 0; i < run_.options.steps; ++i) run_.events.run_next();
  run_.figures.events += static_cast<uint64_t>(run_.options.steps);
  settle();
  verify_end();
  run_.figures.commits = run_.history.last().value;
  run_.figures.closed_by_server = run_.network.closed_by_server;
  run_.figures.stalls = run_.network.stalls, run_.figures.outages = run_.network.outages;
  return run_.figures;
}

void World::run_until_settled() {
  auto is_settled = [](const auto& client) { return client->is_settled(); };
  for (int64_t i = 0; !std::ranges::all_of(run_.clients, is_settled); ++i, ++run_.figures.events) {
    ODB_CHECK(i < 1'000'000);  // nothing waits for ever
    run_.events.run_next();
  }
}

/// Lets everybody come to rest: no more faults, and every client connects, subscribes, hears its answers and flushes.
void World::settle() {
  run_.say("calm");
  run_.network.calm();
  for (const auto& client : run_.clients) client->wake();
  run_until_settled();
  for (const auto& client : run_.clients) client->flush();
  run_until_settled();
  while (run_.network.is_persisting()) run_.events.run_next();  // commits of connections that were cut
  for (const auto& client : run_.clients) client->flush();
  run_until_settled();
}

void World::verify_end() {
  const ServerCore& server = run_.network.server();
  server.check();
  run_.history.verify_end();
  TransactionId last = server.store().published().tid;
  ODB_CHECK(last == run_.history.last(), last.value, run_.history.last().value);
  size_t objects = run_.history.at(last).objects().size();
  ODB_CHECK(server.figures().objects == objects, server.figures().objects, objects);
  for (const auto& client : run_.clients) {
    Version version = client->core().store()->published();
    ODB_CHECK(version.tid == last, version.tid.value, last.value);
    client->verify_view();
  }
}

}  // namespace odb::simulation
