#include "tests/simulation/client.h"

#include "core/base/check.h"

namespace odb::simulation {

Client::Client(Run& run, size_t number, size_t process)
    : run_(run),
      number_(number),
      process_(process),
      is_slow_(run.network.weather().has_slow_readers && run.random.one_in(3)) {
  connect();
  turn();
}

void Client::say(const std::string& line) const { run_.say("client " + std::to_string(number_) + " " + line); }

// ---- connecting

void Client::connect() {
  views_.clear();
  stage_ = Stage::kGreeting;
  size_t backfill_objects = run_.network.weather().server.backfill_objects;
  core_ = std::make_unique<ClientCore>(std::make_unique<MemoryClientAuthentication>(kToken), *this, backfill_objects);
  version_ = static_cast<size_t>(run_.random.below(static_cast<int64_t>(run_.versions.size())));
  link_ = run_.network.connect(*this, is_slow_);
  mark_ = {};
  last_request_ = {};
  open_requests_.clear();
  subscribing_.clear();
  granted_ = {};
  verified_step_ = {};
  say("connects as " + std::to_string(link_->id.value));
  core_->connected(run_.events.now());
  pump();
}

void Client::on_welcome(const Welcome&) {
  stage_ = Stage::kDefining;
  core_->define_schema(new_request(), run_.versions[version_]);
}

void Client::on_answer(RequestId request, const Status& status) {
  ODB_CHECK(status.is_ok(), status.message());
  ODB_CHECK(open_requests_.erase(request) == 1, request.value);
  auto subscribed = subscribing_.find(request);
  if (subscribed != subscribing_.end()) {
    grant(subscribed->second);
    subscribing_.erase(subscribed);
  }
  if (stage_ == Stage::kDefining) {
    stage_ = Stage::kSubscribing;
    core_->subscribe(new_request(), {run_.mark_type, Scope::kNone});
    for (uint32_t type = 1; number_ == 0 && type <= run_.schema.types.size(); ++type)
      subscribe({TypeId{type}, Scope::kType});
    subscribe_to_some();
  } else if (stage_ == Stage::kSubscribing && open_requests_.empty()) {
    stage_ = Stage::kReady;
    say("is ready at " + std::to_string(core_->store()->published().tid.value));
  }
}

/// Of every type something, or not. Keys and objects are those of some time, so that some are gone by now.
void Client::subscribe_to_some() {
  Random& random = run_.random;
  int64_t tids = static_cast<int64_t>(run_.history.last().value) + 1;
  const Model& model = run_.history.at(TransactionId{static_cast<uint64_t>(random.below(tids))});
  for (uint32_t number = 1; number <= run_.schema.types.size(); ++number) {
    TypeId type{number};
    switch (random.below(8)) {
      case 0:
      case 1: subscribe({type, Scope::kType}); break;
      case 2: subscribe({type, Scope::kType}); [[fallthrough]];  // and the next while it is on its way
      case 3: subscribe_to_key(type, model); [[fallthrough]];
      case 4: subscribe_to_key(type, model); break;
      case 5: subscribe_to_key(type, model); [[fallthrough]];
      case 6: subscribe_to_objects(type, model); break;
      default: break;
    }
  }
}

void Client::subscribe_to_key(TypeId type, const Model& model) {
  const auto& indexes = run_.history.catalog().at(type).indexes;
  auto known = static_cast<int64_t>(core_->store()->table(type)->layout().indexes.size());
  if (known == 0 || model.of_type(type).empty()) return;
  IndexId index{static_cast<uint32_t>(run_.random.below(known))};
  const Model::Object& like = *model.find(run_.random.pick(model.of_type(type)));
  subscribe({type, Scope::kIndexKey, index, values_of(like, indexes[index.value])});
}

void Client::subscribe_to_objects(TypeId type, const Model& model) {
  std::set<ObjectId> objects;
  for (int64_t n = run_.random.between(1, 5); n > 0 && !model.of_type(type).empty(); --n)
    objects.insert(run_.random.pick(model.of_type(type)));
  if (objects.empty()) return;
  subscribe({type, Scope::kObjects, {}, {}, std::vector<ObjectId>(objects.begin(), objects.end())});
}

void Client::subscribe(SubscriptionKey wanted) {
  RequestId request = new_request();
  subscribing_[request] = wanted;
  core_->subscribe(request, std::move(wanted));
}

void Client::grant(const SubscriptionKey& wanted) {
  Step now = core_->store()->published().step;
  switch (wanted.scope) {
    case Scope::kNone: break;
    case Scope::kType: granted_.types.try_emplace(wanted.type, now); break;
    case Scope::kIndexKey: {
      Bytes key;
      for (BytesView values = wanted.values; !values.empty();) {
        Reader in(values);
        BytesView value = in.value();
        append_key(key, value);
        values.remove_prefix(value.size());
      }
      granted_.keys.try_emplace({wanted.type, wanted.index, key}, now);
      break;
    }
    case Scope::kObjects:
      for (ObjectId object : wanted.objects) granted_.objects.try_emplace({wanted.type, object}, now);
      break;
  }
}

void Client::on_closed(const Status& reason) {
  say("is closed: " + reason.message());
  ODB_CHECK(reason.code() == Code::kDisconnected, reason.message());
  bool is_expected = false;
  for (const char* expected : {"cut", "nothing was heard", "wait for this client to read", "no authentication within"})
    is_expected = is_expected || reason.message().find(expected) != std::string::npos;
  ODB_CHECK(is_expected, reason.message());
  run_.figures.too_slow += reason.message().find("wait for this client to read") != std::string::npos;
  for (const auto& view : views_) verify(*view);
  run_.figures.unanswered += unanswered_.size();
  unanswered_.clear();
  stage_ = Stage::kDown;
  if (link_->is_up_for_client) run_.network.leave(link_);
  run_.events.after(run_.network.delay_us() * 10, [this] { connect(); });
}

// ---- turns

/// What a program would do now and then.
void Client::turn() {
  Random& random = run_.random;
  run_.events.after(random.between(100, 2 * run_.network.weather().delay_us_max), [this] { turn(); });
  if (is_down() || run_.events.now() < asleep_until_) return;
  core_->tick(run_.events.now());
  pump();
  if (is_down()) return;
  if (stage_ == Stage::kReady) verify_view();
  if (run_.network.is_calm() || suffer() || stage_ != Stage::kReady) return;
  if (random.one_in(20)) flush();
  if (version_ + 1 < run_.versions.size() && random.one_in(30)) {
    say("becomes a program of version " + std::to_string(++version_));
    core_->define_schema(new_request(), run_.versions[version_]);
  }
  if (random.one_in(30)) subscribe_to_some();
  for (int64_t n = random.one_in(3) ? random.between(1, 4) : 1; n > 0 && unanswered_.size() < 6; --n) commit();
  pump();
}

template <class F>
void Client::each_of_process(F&& f) {
  for (const auto& client : run_.clients)
    if (client->process_ == process_ && !client->is_down()) f(*client);
}

bool Client::suffer() {
  Network& network = run_.network;
  const Weather& weather = network.weather();
  if (network.happens(weather.cut_one_in)) {
    ++run_.figures.cuts;
    if (run_.random.one_in(3)) {
      each_of_process([&](Client& client) { network.cut(client.link_); });
    } else {
      network.cut(link_);
    }
    return true;
  }
  if (network.happens(weather.silence_one_in)) {
    ++run_.figures.silences;
    say("has a silent link");
    network.silence(link_);
    return false;  // it knows nothing of it
  }
  Instant until{run_.events.now().us + run_.random.between(10, weather.nap_delays_max) * weather.delay_us_max};
  if (network.happens(weather.deaf_one_in)) {
    ++run_.figures.naps;
    say("stops reading");
    link_->deaf_until = until;
    return false;
  }
  if (network.happens(weather.nap_one_in)) {
    ++run_.figures.naps;
    each_of_process([&](Client& client) { client.asleep_until_ = client.link_->deaf_until = until; });
    say("sleeps, with its process");
    return true;
  }
  return false;
}

void Client::flush() {
  core_->flush(new_request());
  pump();
}

void Client::commit() {
  Work work(core_->store(), core_->identities(), run_.random, run_.network.weather().note_bytes_max);
  TransactionId as_of = work.transaction().version().tid;
  if (as_of > TransactionId{0}) {
    run_.workload->act(work);
  } else if (number_ == 0 && work.all(TypeId{1}).empty()) {
    run_.workload->found(work);
  }
  uint64_t number = run_.history.next_number();
  if (!work.transaction().has_writes()) {
    run_.history.saw(number, link_->id.value, as_of, work.take_observations());
    return run_.history.finished_reading(number);
  }
  if (mark_.value > 0 && work.is_here(run_.mark_type, mark_)) {
    work.write(run_.mark_type, mark_, FieldId{0}, int_value(static_cast<int64_t>(number)));
  } else {
    mark_ = work.create(run_.mark_type, {int_value(static_cast<int64_t>(number))});
  }
  run_.history.saw(number, link_->id.value, as_of, work.take_observations());
  Batch batch = work.transaction().batch();
  CommitSeq seq = core_->commit(batch);
  unanswered_[seq] = {number, mark_, std::move(batch.records)};
  say("commits work " + std::to_string(number) + " as of " + std::to_string(as_of.value));
}

void Client::on_commit_result(const CommitResult& result) {
  auto at = unanswered_.find(result.seq);
  ODB_CHECK(at != unanswered_.end(), result.seq.value);
  auto [number, mark, records] = std::move(at->second);
  unanswered_.erase(at);
  bool is_accepted = result.outcome == Outcome::kAccepted;
  say("work " + std::to_string(number) +
      (is_accepted ? " accepted" : " refused: " + std::to_string(static_cast<int>(result.outcome))));
  ODB_CHECK(core_->store()->published().tid >= result.through);  // D21
  if (is_accepted) {
    ODB_CHECK(core_->store()->published().tid >= result.tid);  // D27: own writes are visible to the next view
    View view(core_->store());                                 // D20: an own creation is covered without a subscription
    ODB_CHECK(view.exists(*core_->store()->table(run_.mark_type), mark) == Presence::kHere, mark.value);
    return run_.history.answered_accepted(number, result.tid);
  }
  ODB_CHECK(result.tid == TransactionId{0}, result.tid.value);
  run_.history.answered_refused(number);
  switch (result.outcome) {
    case Outcome::kConflict: ++run_.figures.conflicts; break;
    case Outcome::kTooOld: ++run_.figures.too_old; break;
    case Outcome::kUniqueViolation:
      ++run_.figures.clashes;
      run_.history.verify_clash(records, result.through, result.object);
      break;
    case Outcome::kServerError: ++run_.figures.refused_by_store; break;
    default: ODB_CHECK(false, static_cast<int>(result.outcome));  // nobody writes what never was
  }
}

// ---- the rest

void Client::received(const Bytes& bytes) {
  core_->received(bytes, run_.events.now());
  core_->check();
  pump();
  work_later();
}

void Client::work_later() {
  if (!core_->has_work() || std::exchange(is_work_scheduled_, true)) return;
  run_.events.after(run_.network.delay_us(), [this] {
    is_work_scheduled_ = false;
    if (core_->has_work()) core_->work();
    core_->check();
    pump();
    work_later();
  });
}

void Client::pump() {
  if (!is_down() && core_->has_output()) run_.network.send(link_, core_->take_output());
}

RequestId Client::new_request() {
  RequestId request = last_request_ = {last_request_.value + 1};
  open_requests_.insert(request);
  return request;
}

void Client::verify_view() {
  auto view = std::make_unique<View>(core_->store());
  ++run_.figures.views;
  if (view->version().step != verified_step_) {
    verified_step_ = view->version().step;
    verify(*view);
    for (const auto& [type, facts] : run_.history.catalog()) {  // what was seen once stays covered
      std::vector<ObjectId> here;
      view->lookup_type(*core_->store()->table(type), SIZE_MAX, here);
      for (ObjectId object : here) granted_.objects.try_emplace({type, object}, verified_step_);
    }
  }
  if (run_.random.one_in(3)) views_.push_back(std::move(view));
  if (views_.size() > 4) {  // an old view must show now what it showed then
    auto& old = run_.random.pick(views_);
    verify(*old);
    std::swap(old, views_.back());
    views_.pop_back();
  }
}

void Client::verify(const View& view) const {
  run_.history.verify(view, *core_->store(), granted_);
  run_.workload->verify(view, *core_->store());
}

}  // namespace odb::simulation
