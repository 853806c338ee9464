#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>

#include "core/base/check.h"

namespace odb::simulation {
namespace {

constexpr const char* kToken = "simulated";
constexpr const char* kSchema = "simulation";

TypeDefinition mark_definition() { return {"Mark", {{"transaction", "int", {}}}, {}}; }

SchemaDefinition definition_of(const Workload& workload) {
  SchemaDefinition definition{kSchema, workload.types()};
  definition.types.push_back(mark_definition());
  return definition;
}

Catalog catalog_of(const SchemaDefinition& definition) {
  Catalog catalog;
  for (const TypeDefinition& type : definition.types) {
    TypeFacts facts;
    std::map<std::string, FieldId> numbers;
    for (const FieldDefinition& field : type.fields) {
      numbers[field.name] = FieldId{static_cast<uint32_t>(facts.defaults.size())};
      facts.defaults.push_back(TypeDescriptor::parse(field.type).value().default_value());
    }
    for (const IndexDefinition& index : type.indexes) {
      auto& fields = facts.indexes.emplace_back();
      for (const std::string& field : index.fields) fields.push_back(numbers.at(field));
    }
    catalog[TypeId{static_cast<uint32_t>(catalog.size() + 1)}] = std::move(facts);
  }
  return catalog;
}

ServerOptions server_options(Random& random) {
  ServerOptions options;
  options.history = Bytes(16, 'h');
  options.heartbeat_us = random.one_in(3) ? 200'000 : 5'000'000;
  options.conflict_window_bytes = static_cast<size_t>(random.one_in(3) ? 1'000 : 1 << 20);
  options.outbox_bytes_max = static_cast<size_t>(random.one_in(3) ? 500'000 : 1 << 28);
  return options;
}

}  // namespace

void Figures::add(const Figures& other) {
  events += other.events, accepted += other.accepted, conflicts += other.conflicts, too_old += other.too_old;
  refused_by_store += other.refused_by_store, unanswered += other.unanswered;
  cuts += other.cuts, closed_by_server += other.closed_by_server, views += other.views;
}

// ---- auditor

/// A peer that sees everything at once: it feeds the server directly and reads its output before anybody else.
class World::Auditor {
 public:
  Auditor(World& world, size_t type_count) : world_(world) {
    id_ = ConnectionId{++world.last_connection_};
    world.server_.connected(id_, std::make_unique<MemoryServerAuthentication>(kToken), Bytes(16, 'a'),
                            world.events_.now());
    say(Hello{1, 1, "memory", 0});
    say(Auth{kToken});
    say(DefineSchema{RequestId{1}, definition_of(*world.workload_)});
    for (uint32_t type = 1; type <= type_count; ++type) say(Subscribe{RequestId{1 + type}, TypeId{type}, Scope::kType});
    while (world.server_.stream()) {}
    ODB_CHECK(!world.server_.is_closing(id_));
  }

  ConnectionId id() const { return id_; }
  void live() { say(Heartbeat{}); }

  void hear(const Bytes& bytes) {
    frames_.feed(bytes);
    while (auto frame = frames_.next()) {
      ODB_CHECK(frame->kind != MessageKind::kServerGoodbye);
      if (frame->kind != MessageKind::kSection) continue;
      Section section = decode_message<Section>(frame->payload).value();
      records_.append(section.records);
      if (!section.is_last) continue;
      world_.history_->accepted(section.tid, std::exchange(records_, {}));
      world_.say("accepted transaction " + std::to_string(section.tid.value));
    }
  }

 private:
  template <class Message>
  void say(const Message& message) {
    Bytes bytes;
    put_frame(bytes, message);
    world_.server_.received(id_, bytes, world_.events_.now());
  }

  World& world_;
  ConnectionId id_;
  FrameReader frames_{limits::kFrameBytesMax, limits::kMessageBytesMax};
  Bytes records_;
};

// ---- clients

class World::Client : public ClientEvents {
 public:
  Client(World& world, size_t number)
      : world_(world), number_(number), mark_type_{static_cast<uint32_t>(world.workload_->types().size() + 1)} {
    is_slow_ = world.weather_.has_slow_readers && world.random_.one_in(3);
    connect();
    turn();
  }

  void connect() {
    views_.clear();
    stage_ = Stage::kGreeting;
    core_ = std::make_unique<ClientCore>(std::make_unique<MemoryClientAuthentication>(kToken), *this);
    link_ = world_.open_link();
    mark_ = {};
    last_request_ = 0;
    open_requests_.clear();
    say("connects as " + std::to_string(link_->id.value));
    core_->connected(world_.events_.now());
    pump();
  }

  bool is_slow() const { return is_slow_ && !world_.is_calm_; }
  bool is_down() const { return stage_ == Stage::kDown; }
  /// Ready, and nothing is left to be answered.
  bool is_settled() const { return stage_ == Stage::kReady && open_requests_.empty() && unanswered_.empty(); }
  bool is_on(const std::shared_ptr<Link>& link) const { return link == link_ && !is_down(); }
  const std::shared_ptr<Link>& link() const { return link_; }
  ClientCore& core() { return *core_; }

  void received(const Bytes& bytes) {
    core_->received(bytes, world_.events_.now());
    pump();
  }
  void flush() {
    RequestId request = new_request();
    core_->flush(request);
    pump();
  }

  void verify_view() {
    auto view = std::make_unique<View>(core_->store());
    verify(*view);
    ++world_.figures_.views;
    if (world_.random_.one_in(3)) views_.push_back(std::move(view));
    if (views_.size() > 4) {  // an old view must show now what it showed then
      auto& old = world_.random_.pick(views_);
      verify(*old);
      std::swap(old, views_.back());
      views_.pop_back();
    }
  }

  // -- ClientEvents
  void on_welcome(const Welcome&) override {
    stage_ = Stage::kDefining;
    core_->define_schema(new_request(), definition_of(*world_.workload_));
  }
  void on_answer(RequestId request, const Status& status) override {
    ODB_CHECK(status.is_ok(), status.message());
    ODB_CHECK(open_requests_.erase(request) == 1, request.value);
    if (stage_ == Stage::kDefining) {
      stage_ = Stage::kSubscribing;
      for (uint32_t type = 1; type < mark_type_.value; ++type) {
        core_->subscribe(new_request(), {TypeId{type}, Scope::kType});
        if (world_.random_.one_in(4)) core_->subscribe(new_request(), {TypeId{type}, Scope::kType});
      }
      core_->subscribe(new_request(), {mark_type_, Scope::kNone});
    } else if (stage_ == Stage::kSubscribing && open_requests_.empty()) {
      stage_ = Stage::kReady;
      say("is ready at " + std::to_string(core_->store()->published().tid.value));
    }
  }
  void on_commit_result(const CommitResult& result) override {
    auto at = unanswered_.find(result.seq);
    ODB_CHECK(at != unanswered_.end(), result.seq.value);
    auto [number, mark] = at->second;
    unanswered_.erase(at);
    bool is_accepted = result.outcome == Outcome::kAccepted;
    say("work " + std::to_string(number) +
        (is_accepted ? " accepted" : " refused: " + std::to_string(static_cast<int>(result.outcome))));
    ODB_CHECK(core_->store()->published().tid >= result.through);  // D21
    if (is_accepted) {
      ODB_CHECK(core_->store()->published().tid >= result.tid);  // D27: own writes are visible to the next view
      View view(core_->store());  // D20: an own creation is covered without a subscription
      ODB_CHECK(view.exists(*core_->store()->table(mark_type_), mark) == Presence::kHere, mark.value);
      return world_.history_->answered_accepted(number, result.tid);
    }
    ODB_CHECK(result.tid == TransactionId{0}, result.tid.value);
    world_.history_->answered_refused(number);
    Figures& figures = world_.figures_;
    switch (result.outcome) {
      case Outcome::kConflict: ++figures.conflicts; break;
      case Outcome::kTooOld: ++figures.too_old; break;
      case Outcome::kServerError: ++figures.refused_by_store; break;
      default: ODB_CHECK(false, static_cast<int>(result.outcome));  // nobody writes what never was
    }
  }
  void on_closed(const Status& reason) override {
    say("is closed: " + reason.message());
    ODB_CHECK(reason.code() == Code::kDisconnected, reason.message());
    bool is_expected = false;
    for (const char* expected :
         {"cut", "nothing was heard", "wait for this client to read", "no authentication within"})
      is_expected = is_expected || reason.message().find(expected) != std::string::npos;
    ODB_CHECK(is_expected, reason.message());
    for (const auto& view : views_) verify(*view);
    world_.figures_.unanswered += unanswered_.size();
    unanswered_.clear();
    stage_ = Stage::kDown;
    world_.events_.after(world_.delay_us(false) * 10, [this] { connect(); });
  }

 private:
  enum class Stage { kDown, kGreeting, kDefining, kSubscribing, kReady };

  void say(const std::string& line) const { world_.say("client " + std::to_string(number_) + " " + line); }
  RequestId new_request() {
    RequestId request{++last_request_};
    open_requests_.insert(request);
    return request;
  }
  void pump() {
    if (!core_->has_output()) return;
    link_->to_server += core_->take_output();
    world_.carry_to_server(link_);
  }
  void verify(const View& view) const {
    world_.history_->verify(view, *core_->store());
    if (stage_ == Stage::kReady) world_.workload_->verify(view, *core_->store());
  }

  /// What a program would do now and then.
  void turn() {
    Random& random = world_.random_;
    world_.events_.after(random.between(100, 2 * world_.weather_.delay_us_max), [this] { turn(); });
    if (is_down()) return;
    core_->tick(world_.events_.now());
    pump();
    if (stage_ != Stage::kReady) return;
    verify_view();
    if (world_.is_calm_) return;
    if (world_.weather_.cut_one_in > 0 && random.one_in(world_.weather_.cut_one_in)) return world_.cut(*this);
    if (random.one_in(20)) flush();
    for (int64_t n = random.one_in(3) ? random.between(1, 4) : 1; n > 0 && unanswered_.size() < 6; --n) commit();
  }

  void commit() {
    Work work(core_->store(), core_->identities(), world_.random_);
    if (core_->store()->table(TypeId{1})->object_count() > 0) {
      world_.workload_->act(work);
    } else if (number_ == 0 && work.all(TypeId{1}).empty()) {
      world_.workload_->found(work);
    }
    if (!work.transaction().has_writes()) return;
    uint64_t number = world_.history_->next_number();
    if (mark_.value > 0 && work.is_here(mark_type_, mark_)) {
      work.write(mark_type_, mark_, FieldId{0}, int_value(static_cast<int64_t>(number)));
    } else {
      mark_ = work.create(mark_type_, {int_value(static_cast<int64_t>(number))});
    }
    world_.history_->record_intent(number, work.take_observations());
    CommitSeq seq = core_->commit(work.transaction().batch());
    unanswered_[seq] = {number, mark_};
    say("commits work " + std::to_string(number) + " as of " + std::to_string(work.transaction().version().tid.value));
    pump();
  }

  World& world_;
  const size_t number_;
  const TypeId mark_type_;
  bool is_slow_;
  Stage stage_ = Stage::kDown;
  std::unique_ptr<ClientCore> core_;
  std::shared_ptr<Link> link_;
  ObjectId mark_;
  uint64_t last_request_ = 0;
  std::set<RequestId> open_requests_;
  std::map<CommitSeq, std::pair<uint64_t, ObjectId>> unanswered_;  // commit -> number of its work, its mark
  std::vector<std::unique_ptr<View>> views_;
};

// ---- world

World::World(std::unique_ptr<Workload> workload, RunOptions options)
    : random_(options.seed),
      options_(options),
      workload_(std::move(workload)),
      weather_{.delay_us_max = random_.one_in(2) ? 500 : 20'000,
               .cut_one_in = random_.one_in(3) ? 0 : random_.between(20, 200),
               .refuse_one_in = random_.one_in(2) ? 0 : random_.between(2, 20),
               .persist_us_max = random_.one_in(2) ? 50 : 5'000,
               .has_slow_readers = random_.one_in(2)},
      server_(server_options(random_)) {
  SchemaDefinition definition = definition_of(*workload_);
  size_t type_count = definition.types.size();
  history_ = std::make_unique<History>(catalog_of(definition), TypeId{static_cast<uint32_t>(type_count)});
  auditor_ = std::make_unique<Auditor>(*this, type_count);
  tick_server();
  for (int64_t n = random_.between(1, 6); n > 0; --n)
    clients_.push_back(std::make_unique<Client>(*this, clients_.size()));
}

World::~World() = default;

Figures World::run() {
  for (int64_t i = 0; i < options_.steps; ++i) {
    events_.run_next();
    if (i % options_.check_every == 0) check_all();
  }
  settle();
  verify_end();
  figures_.events += static_cast<uint64_t>(options_.steps);
  figures_.accepted = history_->last().value;
  return figures_;
}

void World::say(const std::string& line) const {
  if (options_.is_verbose) std::printf("%12.6f  %s\n", static_cast<double>(events_.now().us) * 1e-6, line.c_str());
}

void World::check_all() const {
  server_.check();
  for (const auto& client : clients_) client->core().check();
}

/// Lets everybody come to rest: no more faults, and every client connects, subscribes, hears its answers and flushes.
void World::settle() {
  say("calm");
  is_calm_ = true;
  auto run_until_settled = [this] {
    auto is_settled = [](const auto& client) { return client->is_settled(); };
    for (int64_t i = 0; !std::ranges::all_of(clients_, is_settled); ++i, ++figures_.events) {
      ODB_CHECK(i < 1'000'000);  // nothing waits for ever
      events_.run_next();
    }
  };
  run_until_settled();
  for (const auto& client : clients_) client->flush();
  run_until_settled();
  while (is_persisting_) events_.run_next();  // commits of connections that were cut
  for (const auto& client : clients_) client->flush();
  run_until_settled();
}

void World::verify_end() {
  check_all();
  history_->verify_end();
  TransactionId last = server_.store().published().tid;
  ODB_CHECK(last == history_->last(), last.value, history_->last().value);
  size_t objects = 0;
  for (uint32_t type = 1; server_.store().table(TypeId{type}) != nullptr; ++type)
    objects += history_->at(last).of_type(TypeId{type}).size();
  ODB_CHECK(server_.figures().objects == objects, server_.figures().objects, objects);
  for (const auto& client : clients_) {
    Version version = client->core().store()->published();
    ODB_CHECK(version.tid == last, version.tid.value, last.value);
    client->verify_view();
  }
}

// ---- network

std::shared_ptr<World::Link> World::open_link() {
  auto link = std::make_shared<Link>();
  link->id = ConnectionId{++last_connection_};
  server_.connected(link->id, std::make_unique<MemoryServerAuthentication>(kToken), Bytes(16, 's'), events_.now());
  return link;
}

/// Bytes arrive in order, in pieces that nobody chose.
Bytes World::take_some(Bytes& waiting, bool is_slow) {
  size_t size = waiting.size();
  if (is_slow) size = std::min<size_t>(size, 10'000);
  if (random_.one_in(3)) size = static_cast<size_t>(random_.between(1, static_cast<int64_t>(size)));
  Bytes taken = waiting.substr(0, size);
  waiting.erase(0, size);
  return taken;
}

void World::carry_to_server(const std::shared_ptr<Link>& link) {
  if (link->is_going_to_server || link->to_server.empty()) return;
  link->is_going_to_server = true;
  events_.after(delay_us(false), [this, link] {
    link->is_going_to_server = false;
    if (!link->is_up_for_server) return;
    server_.received(link->id, take_some(link->to_server, false), events_.now());
    pump_server();
    carry_to_server(link);
  });
}

void World::carry_to_client(Client& client, const std::shared_ptr<Link>& link) {
  if (link->is_going_to_client || link->to_client.empty() || !link->is_up_for_client) return;
  link->is_going_to_client = true;
  events_.after(delay_us(client.is_slow()), [this, &client, link] {
    link->is_going_to_client = false;
    if (!client.is_on(link)) return;
    Bytes taken = take_some(link->to_client, client.is_slow());
    if (link->is_up_for_server) server_.sent(link->id, taken.size());
    client.received(taken);
    pump_server();
    carry_to_client(client, link);
    close_if_said(client, link);
  });
}

/// A channel whose farewell was said is closed when everything was read.
void World::close_if_said(Client& client, const std::shared_ptr<Link>& link) {
  if (!link->is_up_for_server || !server_.is_closing(link->id) || !link->to_client.empty()) return;
  link->is_up_for_server = false;
  server_.disconnected(link->id);
  ++figures_.closed_by_server;
  if (client.is_on(link)) client.core().disconnected("cut");
  link->is_up_for_client = false;
}

void World::cut(Client& client) {
  ++figures_.cuts;
  std::shared_ptr<Link> link = client.link();
  link->is_up_for_client = false;
  link->to_client.clear();
  client.core().disconnected("cut");
  events_.after(delay_us(true), [this, link] {
    if (!link->is_up_for_server) return;
    link->is_up_for_server = false;
    server_.disconnected(link->id);
    pump_server();
  });
}

// ---- server

void World::pump_server() {
  if (!is_persisting_ && server_.start_group(static_cast<size_t>(random_.between(1, 20)))) {
    is_persisting_ = true;
    bool is_refused = weather_.refuse_one_in > 0 && !is_calm_ && random_.one_in(weather_.refuse_one_in);
    events_.after(1 + random_.below(weather_.persist_us_max), [this, is_refused] {
      is_persisting_ = false;
      if (is_refused) say("the store refuses");
      server_.finish_group(!is_refused);
      pump_server();
    });
  }
  send_server_output();
  if (is_streaming_) return;
  is_streaming_ = true;  // pieces of a subscription go out between other things
  events_.after(1 + random_.below(weather_.delay_us_max / 4), [this] {
    is_streaming_ = false;
    if (server_.stream()) return pump_server();
    send_server_output();
  });
}

void World::send_server_output() {
  std::vector<ConnectionId> ready = server_.take_ready();
  // The auditor first: what others hear is in the history already.
  std::ranges::stable_partition(ready, [&](ConnectionId id) { return id == auditor_->id(); });
  for (ConnectionId id : ready) {
    Bytes bytes = server_.take_output(id);
    if (id == auditor_->id()) {
      server_.sent(id, bytes.size());
      auditor_->hear(bytes);
      continue;
    }
    auto client = std::ranges::find_if(clients_, [id](const auto& c) { return c->link()->id == id; });
    if (client == clients_.end()) continue;  // its client is elsewhere by now
    (*client)->link()->to_client += bytes;
    carry_to_client(**client, (*client)->link());
    close_if_said(**client, (*client)->link());
  }
}

void World::tick_server() {
  events_.after(random_.between(1'000, 50'000), [this] {
    auditor_->live();
    server_.tick(events_.now());
    pump_server();
    tick_server();
  });
}

}  // namespace odb::simulation
