#include "tests/simulation/stories.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "core/base/check.h"
#include "core/client/client_core.h"
#include "tests/simulation/network.h"
#include "tests/simulation/story.h"
#include "tests/simulation/work.h"

namespace odb::simulation {
namespace {

constexpr TypeId kCell{1};
constexpr FieldId kValue{0}, kColour{1}, kLabel{2};
constexpr IndexId kByColour{0}, kByLabel{1};

SchemaDefinition schema() {
  return {"stories",
          {{"Cell",
            {{"value", "int", {}}, {"colour", "str", {}}, {"label", "oneof(none,str)", {}}},
            {{"colour", {"colour"}}, {"label", {"label"}, true}}}}};
}

/// A step that was refused, in the words of the story.
struct RefusedStep {
  std::string told;
};

// ---- actors

class Stage;

/// One connection, with at most one open view or transaction.
class Actor : public ClientEvents, public Network::End {
 public:
  Actor(Stage& stage, Network& network, Events& events);

  std::string act(const StoryStep& step);  // what it prints; throws RefusedStep

  void turn();
  void flush() { core_.flush(new_request()), pump(); }
  bool is_settled() const { return is_ready_ && open_requests_.empty() && !is_committing_; }
  Table& table() { return *core_.store()->table(kCell); }

  // what verbs do
  void begin() { transaction_ = std::make_unique<Transaction>(core_.store()); }
  void look() { view_ = std::make_unique<View>(core_.store()); }
  void commit();
  void abort() { view_.reset(), transaction_.reset(); }
  BytesView read(const std::string& cell, FieldId field);
  Presence exists(const std::string& cell);
  std::vector<ObjectId> find(IndexId index, const std::string& text);
  /// `all`: every cell.
  std::vector<ObjectId> find_colour(const std::string& colour);
  void write(const std::string& cell, FieldId field, const Bytes& value);
  void create(const std::string& cell, const std::string& colour);
  void erase(const std::string& cell);

  // -- Network::End, ClientEvents
  void received(const Bytes& bytes) override { core_.received(bytes, events_.now()), core_.check(), pump(); }
  void lost() override { core_.disconnected("cut"); }
  void on_welcome(const Welcome&) override { core_.define_schema(new_request(), schema()); }
  void on_answer(RequestId request, const Status& status) override;
  void on_changes(ChangeSet) override {}
  void on_commit_result(const CommitResult& result) override { result_ = result, is_committing_ = false; }
  void on_closed(const Status& reason) override { ODB_CHECK(false, reason.message()); }

 private:
  RequestId new_request() { return *open_requests_.insert(last_request_ = {last_request_.value + 1}).first; }
  void pump() {
    if (core_.has_output()) network_.send(link_, core_.take_output());
  }
  void must_be_here(Presence presence, const std::string& cell) const;

  Stage& stage_;
  Network& network_;
  Events& events_;
  ClientCore core_;
  Network::LinkPtr link_;
  RequestId last_request_;
  std::set<RequestId> open_requests_;
  bool is_ready_ = false, is_committing_ = false;
  CommitResult result_;
  std::unique_ptr<View> view_;                // a read-only one, or
  std::unique_ptr<Transaction> transaction_;  // the one that is open
};

/// The cells by name, the actors, and the world they share.
class Stage {
 public:
  explicit Stage(uint64_t seed) : random_(seed), network_(random_, events_, Weather::fair(random_)) {
    network_.after_step = [this] { network_.server().check(); };
    Actor& nobody = actor("nobody");
    nobody.begin();
    for (const char* name : {"x", "y"}) nobody.create(name, "grey");
    nobody.commit();
  }

  std::vector<std::string> replay(const Story& story);
  Actor& actor(const std::string& name);
  void run_until(const std::function<bool()>& is_done);
  void let_all_catch_up();
  ObjectId cell(const std::string& name) const { return cells_.at(name); }
  void name_cell(const std::string& name, ObjectId cell) { cells_[name] = cell; }
  std::string name_of(ObjectId cell) const;
  std::string told(const CommitResult& result, TransactionId as_of) const;

 private:
  Random random_;
  Events events_;
  Network network_;
  std::map<std::string, std::unique_ptr<Actor>> actors_;
  std::map<std::string, ObjectId> cells_;
};

// ---- verbs

using Verb = std::string (*)(Actor&, Stage&, const StoryStep&);

const std::map<std::string, Verb>& verbs() {
  static const std::map<std::string, Verb> kVerbs = {
      {"begin", [](Actor& a, Stage&, const StoryStep&) { return a.begin(), std::string(); }},
      {"view", [](Actor& a, Stage&, const StoryStep&) { return a.look(), std::string(); }},
      {"commit", [](Actor& a, Stage&, const StoryStep&) { return a.commit(), std::string(); }},
      {"abort", [](Actor& a, Stage&, const StoryStep&) { return a.abort(), std::string(); }},
      {"get", [](Actor& a, Stage&, const StoryStep& s) { return a.read(s.name, kValue), std::string(); }},
      {"show",
       [](Actor& a, Stage&, const StoryStep& s) {
         return s.name + " is " + std::to_string(Reader(a.read(s.name, kValue)).integer());
       }},
      {"find", [](Actor& a, Stage&, const StoryStep& s) { return a.find_colour(s.name), std::string(); }},
      {"list",
       [](Actor& a, Stage& stage, const StoryStep& s) {
         std::string told;
         for (ObjectId cell : a.find_colour(s.name)) told += (told.empty() ? "" : ", ") + stage.name_of(cell);
         return s.name + ": " + (told.empty() ? "none" : told);
       }},
      {"exists",
       [](Actor& a, Stage&, const StoryStep& s) {
         return s.name + (a.exists(s.name) == Presence::kHere ? " exists" : " does not exist");
       }},
      {"who",
       [](Actor& a, Stage& stage, const StoryStep& s) {
         std::vector<ObjectId> found = a.find(kByLabel, s.name);
         return s.name + " is " + (found.empty() ? "nobody" : stage.name_of(found.at(0)));
       }},
      {"set",
       [](Actor& a, Stage&, const StoryStep& s) {
         return a.write(s.name, kValue, int_value(std::stoll(s.value))), std::string();
       }},
      {"paint", [](Actor& a, Stage&,
                   const StoryStep& s) { return a.write(s.name, kColour, str_value(s.value)), std::string(); }},
      {"label",
       [](Actor& a, Stage&, const StoryStep& s) { return a.write(s.name, kLabel, str_value(s.value)), std::string(); }},
      {"unlabel",
       [](Actor& a, Stage&, const StoryStep& s) { return a.write(s.name, kLabel, none_value()), std::string(); }},
      {"create", [](Actor& a, Stage&, const StoryStep& s) { return a.create(s.name, s.value), std::string(); }},
      {"delete", [](Actor& a, Stage&, const StoryStep& s) { return a.erase(s.name), std::string(); }},
  };
  return kVerbs;
}

Actor::Actor(Stage& stage, Network& network, Events& events)
    : stage_(stage),
      network_(network),
      events_(events),
      core_(std::make_unique<MemoryClientAuthentication>(kToken), *this),
      link_(network.connect(*this, false)) {
  core_.connected(events.now());
  pump();
}

void Actor::on_answer(RequestId request, const Status& status) {
  ODB_CHECK(status.is_ok(), status.message());
  ODB_CHECK(open_requests_.erase(request) == 1, request.value);
  if (is_ready_) return;
  is_ready_ = core_.store()->table(kCell)->is_complete();
  if (!is_ready_) core_.subscribe(new_request(), {kCell, Scope::kType});
}

std::string Actor::act(const StoryStep& step) { return verbs().at(step.verb)(*this, stage_, step); }

void Actor::turn() {
  core_.tick(events_.now());
  pump();
}

void Actor::commit() {
  view_.reset();
  auto transaction = std::move(transaction_);
  if (transaction == nullptr || !transaction->has_writes()) return stage_.let_all_catch_up();
  is_committing_ = true;
  core_.commit(transaction->batch());
  pump();
  stage_.run_until([this] { return is_settled(); });
  if (result_.outcome != Outcome::kAccepted) throw RefusedStep{stage_.told(result_, transaction->version().tid)};
  stage_.let_all_catch_up();
}

void Actor::must_be_here(Presence presence, const std::string& cell) const {
  if (presence == Presence::kGone) throw RefusedStep{cell + " does not exist"};
  ODB_CHECK(presence == Presence::kHere, cell);
}

BytesView Actor::read(const std::string& cell, FieldId field) {
  BytesView value;
  must_be_here(transaction_ != nullptr ? transaction_->read(table(), stage_.cell(cell), field, value)
                                       : view_->read(table(), stage_.cell(cell), field, value),
               cell);
  return value;
}

Presence Actor::exists(const std::string& cell) {
  return transaction_ != nullptr ? transaction_->exists(table(), stage_.cell(cell))
                                 : view_->exists(table(), stage_.cell(cell));
}

std::vector<ObjectId> Actor::find(IndexId index, const std::string& text) {
  std::vector<ObjectId> found;
  Bytes key;
  append_key(key, str_value(text));
  transaction_ != nullptr ? transaction_->lookup(table(), index, key, SIZE_MAX, found)
                          : view_->lookup(table(), index, key, SIZE_MAX, found);
  return found;
}

std::vector<ObjectId> Actor::find_colour(const std::string& colour) {
  if (colour != "all") return find(kByColour, colour);
  std::vector<ObjectId> found;
  transaction_ != nullptr ? transaction_->lookup_type(table(), SIZE_MAX, found)
                          : view_->lookup_type(table(), SIZE_MAX, found);
  return found;
}

void Actor::write(const std::string& cell, FieldId field, const Bytes& value) {
  must_be_here(transaction_->write(table(), stage_.cell(cell), field, value), cell);
}

void Actor::create(const std::string& cell, const std::string& colour) {
  ObjectId object = core_.identities().next(kCell).value();
  stage_.name_cell(cell, object);
  transaction_->create(table(), object);
  write(cell, kValue, int_value(0));
  write(cell, kColour, str_value(colour));
  write(cell, kLabel, none_value());
}

void Actor::erase(const std::string& cell) { must_be_here(transaction_->erase(table(), stage_.cell(cell)), cell); }

// ---- stage

Actor& Stage::actor(const std::string& name) {
  auto& actor = actors_[name];
  if (actor == nullptr) {
    actor = std::make_unique<Actor>(*this, network_, events_);
    run_until([&] { return actor->is_settled(); });
  }
  return *actor;
}

void Stage::run_until(const std::function<bool()>& is_done) {
  int64_t events = 0;
  for (; !is_done(); ++events) {
    ODB_CHECK(events < 100'000);
    events_.run_next();
    for (auto& [name, actor] : actors_)
      if (events % 16 == 0) actor->turn();
  }
}

void Stage::let_all_catch_up() {
  for (auto& [name, actor] : actors_) actor->flush();
  run_until([this] { return std::ranges::all_of(actors_, [](auto& named) { return named.second->is_settled(); }); });
}

std::string Stage::name_of(ObjectId cell) const {
  for (const auto& [name, named] : cells_)
    if (named == cell) return name;
  return "a cell without a name";
}

std::string Stage::told(const CommitResult& result, TransactionId as_of) const {
  if (result.outcome == Outcome::kNoSuchObject) return name_of(result.object) + " does not exist";
  if (result.outcome == Outcome::kUniqueViolation) return "the label is that of " + name_of(result.object);
  if (result.outcome != Outcome::kConflict) return "outcome " + std::to_string(static_cast<int>(result.outcome));
  static constexpr const char* kSuffixes[] = {"", ".colour", ".label"};  // of fields, by number
  std::string what;
  switch (result.key_kind) {
    case KeyKind::kField: what = name_of(result.object) + kSuffixes[result.number]; break;
    case KeyKind::kExistence: what = "the existence of " + name_of(result.object); break;
    case KeyKind::kIndexKey:
      what = result.number == kByLabel.value ? "a label that was looked up" : "a colour that was looked up";
      break;
    case KeyKind::kTypeSet: what = "the set of all cells"; break;
    case KeyKind::kNone: what = "nothing"; break;
  }
  return "conflict on " + what + ": read as of " + std::to_string(as_of.value) + ", written at " +
         std::to_string(result.written_at.value);
}

std::vector<std::string> Stage::replay(const Story& story) {
  for (const StoryStep& step : story.steps) actor(step.actor);  // all connections are there before the first step
  std::vector<std::string> printed;
  for (const StoryStep& step : story.steps) {
    std::string told;
    try {
      told = actor(step.actor).act(step);
      ODB_CHECK(!step.is_refused, step.text);
    } catch (const RefusedStep& refusal) {
      told = refusal.told;
      if (!step.is_refused) told += " (which the story does not expect)";
    }
    if (!told.empty()) printed.push_back(step.actor + ": " + told);
  }
  return printed;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "  " + line + "\n";
  return text;
}

/// What is wrong; empty when nothing is.
std::string complaint_about(const Story& story, uint64_t seed) {
  std::string where = story.file + ", seed " + std::to_string(seed) + ": ";
  try {
    std::vector<std::string> printed = Stage(seed).replay(story);
    if (printed == story.expected) return {};
    return where + "expected\n" + joined(story.expected) + "but it printed\n" + joined(printed);
  } catch (const std::exception& error) { return where + error.what() + "\n"; }
}

}  // namespace

bool replay_stories(const std::string& folder, uint64_t first_seed, uint64_t seeds) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::string complaints;
  std::set<std::string> unknown;  // verb, and where
  if (paths.empty()) complaints = "there are no stories in " + folder + "\n";
  for (const auto& path : paths) {
    Story story = story_of(path);
    bool is_known = true;
    for (const StoryStep& step : story.steps) {
      if (verbs().contains(step.verb)) continue;
      is_known = false;
      unknown.insert("'" + step.verb + "' of " + story.file);
    }
    for (uint64_t seed = first_seed; is_known && seed < first_seed + seeds; ++seed) {
      std::string complaint = complaint_about(story, seed);
      complaints += complaint;
      if (!complaint.empty()) break;
    }
  }
  for (const std::string& verb : unknown)
    complaints += "tests/simulation/stories.cpp does not know the verb " + verb + "\n";
  std::printf("%zu stories, %llu times each: %s\n%s", paths.size(), static_cast<unsigned long long>(seeds),
              complaints.empty() ? "as told" : "FAILED", complaints.c_str());
  return complaints.empty();
}

}  // namespace odb::simulation
