#include "core/server/server_core.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb {
namespace {

int64_t block_of(ObjectId object) { return object.value / limits::kIdentityBlockSize; }

Outcome outcome_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted: return Outcome::kAccepted;
    case Verdict::kConflict: return Outcome::kConflict;
    case Verdict::kTooOld: return Outcome::kTooOld;
    case Verdict::kNoSuchObject: return Outcome::kNoSuchObject;
    case Verdict::kUniqueViolation: return Outcome::kUniqueViolation;
    case Verdict::kRefusedByStore:
    case Verdict::kIdentityInUse:
    case Verdict::kNoMemory: return Outcome::kServerError;
    case Verdict::kRowTooLarge:
    case Verdict::kTooMuchAtOnce: return Outcome::kTooLarge;
  }
  return Outcome::kServerError;
}

std::string message_of(const DecidedCommit& commit, const Store& store, size_t memory_bytes_max) {
  if (commit.verdict == Verdict::kTooMuchAtOnce)
    return "too many large transactions are being sent to the server at once; try again, or split this one";
  if (commit.verdict == Verdict::kNoMemory)
    return "the server's memory is full: with this transaction its objects would take more than the " +
           std::to_string(memory_bytes_max) +
           " bytes that it was started with (--memory-max); delete objects, or start it with a larger limit";
  if (commit.verdict == Verdict::kRefusedByStore)
    return "the server's store did not take the transaction; nothing of it was carried out";
  if (commit.verdict == Verdict::kIdentityInUse)
    return "identity " + std::to_string(commit.decisive.object.value) + " is in use already";
  if (commit.verdict == Verdict::kRowTooLarge)
    return "the values of object " + std::to_string(commit.decisive.object.value) + " would take more than " +
           std::to_string(limits::kRowBytesMax >> 20) + " MiB; put large values into objects of their own";
  if (commit.verdict == Verdict::kUniqueViolation) {
    const TypeLayout& layout = store.table(commit.decisive.type)->layout();
    auto named = [&](ObjectId object) { return layout.qualified_name() + "(id=" + std::to_string(object.value) + ")"; };
    return layout.qualified_name() + "." + layout.indexes[commit.decisive.number].name +
           " is unique: " + named(commit.decisive.claimant) + " cannot have the value " + commit.decisive.shown +
           ", which " + named(commit.decisive.object) + " has";
  }
  return {};
}

}  // namespace

ServerCore::ServerCore(ServerOptions options)
    : options_(std::move(options)),
      catalogue_(store_),
      engine_(store_, options_.conflict_window_bytes, options_.memory_bytes_max) {}

ServerCore::~ServerCore() = default;

// ---- connections

void ServerCore::connected(ConnectionId id, std::unique_ptr<ServerAuthentication> authentication, Bytes session,
                           Instant now) {
  auto [at, is_new] = connections_.emplace(id, std::make_unique<Connection>(id));
  ODB_CHECK(is_new, id.value);
  Connection& c = *at->second;
  c.authentication = std::move(authentication);
  c.session = std::move(session);
  c.deadline = Instant{now.us + options_.handshake_us};
  c.last_heard = c.last_beat = now;
  if (is_stopped_) say_goodbye(c, Farewell::kStopping, "the server stops");
}

void ServerCore::disconnected(ConnectionId id) {
  auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& c = *at->second;
  for (auto& [type, covered] : c.covered) {
    forget_keys(c, type, covered);
    forget_objects(c, type, covered);
    auto audience = audiences_.find(type);
    if (audience == audiences_.end()) continue;
    std::erase(audience->second.whole, &c);
    if (audience->second.is_empty()) audiences_.erase(audience);
  }
  for (ObjectId block : c.blocks) owners_.erase(block_of(block));
  uploads_bytes_ -= c.upload.bytes() + c.partial_bytes;
  outboxes_bytes_ -= c.counted_outbox_bytes;
  streams_open_ -= c.streams.size();
  remove_connection_object(c);
  connections_.erase(at);
  if (std::erase_if(held_definitions_, [id](const HeldDefinition& held) { return held.connection == id; }) > 0)
    drop_unwanted_builds();
}

void ServerCore::received(ConnectionId id, BytesView bytes, Instant now) {
  auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& c = *at->second;
  c.last_heard = now;  // D26: any byte counts as life
  if (c.state == ServerState::kClosing) return;
  c.frames.feed(bytes);
  while (c.state != ServerState::kClosing) {
    std::optional<Frame> frame = c.frames.next();
    if (!frame) break;
    handle(c, *frame, now);
  }
  if (!c.frames.status().is_ok()) say_goodbye(c, Farewell::kProtocol, c.frames.status().message());
  uploads_bytes_ -= c.partial_bytes;
  c.partial_bytes = c.state == ServerState::kClosing ? 0 : c.frames.buffered_bytes();
  uploads_bytes_ += c.partial_bytes;
  // A part that is coming in slowly goes on; and who is not read from, being behind with reading, cannot go on.
  if (c.partial_bytes > 0 || bytes.empty()) c.upload_heard = now;
  if (c.partial_bytes > 2 * limits::kCommitPieceBytesMax && !is_upload_room(0))  // no client of ours sends such frames
    say_goodbye(c, Farewell::kServer, "too much is being sent to the server at once; try again");
}

void ServerCore::sent(ConnectionId id, size_t bytes) {
  auto at = connections_.find(id);
  if (at == connections_.end()) return;
  ODB_CHECK(bytes <= at->second->in_shell_bytes, bytes);
  at->second->in_shell_bytes -= bytes;
  count_outbox(*at->second);
}

void ServerCore::tick(Instant now) {
  for (auto& [id, connection] : connections_) {
    Connection& c = *connection;
    if (c.state == ServerState::kClosing) continue;
    bool is_in = c.state == ServerState::kReady;
    int64_t silence_us_max = limits::kHeartbeatsMissedMax * options_.heartbeat_us;
    if (!is_in && now >= c.deadline) {
      say_goodbye(c, Farewell::kSilent,
                  "no authentication within " + std::to_string(options_.handshake_us / 1000) + " ms");
    } else if (c.upload.bytes() > 0 && now.us - c.upload_heard.us >= silence_us_max) {
      say_goodbye(c, Farewell::kSilent,
                  "a transaction was begun, and nothing more of it came for " +
                      std::to_string((now.us - c.upload_heard.us) / 1000) + " ms");
    } else if (now.us - c.last_heard.us >= silence_us_max && !has_suspended_heartbeats(c)) {
      say_goodbye(c, Farewell::kSilent,
                  "nothing was heard of this client for " + std::to_string((now.us - c.last_heard.us) / 1000) + " ms");
    } else if (c.is_welcome && now.us - c.last_beat.us >= options_.heartbeat_us) {
      c.last_beat = now;
      send(c, ServerHeartbeat{last_tid()});
    }
  }
  if (!is_group_in_flight_) store_.trim();
  if (facts_changed_ > facts_kept_) are_facts_due_ = true;
}

void ServerCore::stop() {
  is_stopped_ = true;
  for (auto& [id, c] : connections_) say_goodbye(*c, Farewell::kStopping, "the server stops");
}

// ---- messages

void ServerCore::handle(Connection& c, const Frame& frame, Instant now) {
  switch (answer_of(c.state, frame.kind)) {  // P2
    case Answer::kIgnore: return;
    case Answer::kRefuse:
      return say_goodbye(c, Farewell::kProtocol,
                         "message " + std::to_string(static_cast<int>(frame.kind)) + " may not come now");
    case Answer::kHandle: break;
  }
  auto dispatch = [&](const auto& message) { on(c, message); };
  switch (frame.kind) {
    case MessageKind::kHello: return decoded<Hello>(c, frame, dispatch);
    case MessageKind::kAuth: return decoded<Auth>(c, frame, [&](const Auth& auth) { on(c, auth, now); });
    case MessageKind::kDefineSchema:
      if (frame.payload.size() > limits::kDefinitionBytesMax) return refuse_definition(c, frame.payload);
      return decoded<DefineSchema>(c, frame, dispatch);
    case MessageKind::kSubscribe: return decoded<Subscribe>(c, frame, dispatch);
    case MessageKind::kCommitPart: return decoded<CommitPart>(c, frame, dispatch);
    case MessageKind::kCommitEnd: return decoded<CommitEnd>(c, frame, dispatch);
    case MessageKind::kFlush: return decoded<Flush>(c, frame, dispatch);
    case MessageKind::kResume: return decoded<Resume>(c, frame, dispatch);
    case MessageKind::kListTypes: return decoded<ListTypes>(c, frame, dispatch);
    // Outcomes are forgotten once they are sent, until sessions outlive connections (D25).
    case MessageKind::kAcknowledge: return decoded<Acknowledge>(c, frame, [](const Acknowledge&) {});
    case MessageKind::kHeartbeat: return decoded<Heartbeat>(c, frame, [](const Heartbeat&) {});
    case MessageKind::kGoodbye:
      return decoded<Goodbye>(c, frame, [&](const Goodbye&) {
        c.state = ServerState::kClosing;
        count_outbox(c);
        mark_ready(c);
      });
    default: ODB_CHECK(false, static_cast<int>(frame.kind));  // answer_of lets no other kind through
  }
}

template <class Message, class Handler>
void ServerCore::decoded(Connection& c, const Frame& frame, Handler&& handler) {
  Result<Message> message = decode_message<Message>(frame.payload);
  if (!message.is_ok()) return say_goodbye(c, Farewell::kProtocol, message.status().message());
  handler(message.value());
}

void ServerCore::on(Connection& c, const Hello& hello) {
  constexpr uint32_t kOurs = limits::kProtocolVersion;
  if (hello.version_min > kOurs || hello.version_max < kOurs)
    return say_goodbye(c, Farewell::kVersion,
                       "this server speaks protocol version " + std::to_string(kOurs) + ", the client " +
                           std::to_string(hello.version_min) + " to " + std::to_string(hello.version_max));
  if (!c.authentication->knows(hello.method))
    return say_goodbye(c, Farewell::kAuthentication,
                       "authentication method '" + hello.method.substr(0, 64) + "' is not offered here");
  c.state = ServerState::kAuth;
  send(c, ServerHello{kOurs, limits::kFrameBytesMax});
}

void ServerCore::on(Connection& c, const Auth& auth, Instant now) {
  AuthStep step = c.authentication->advance(auth.payload);
  if (!step.reply.empty()) send(c, ServerAuth{step.reply});
  if (step.verdict == AuthVerdict::kRefused)
    return say_goodbye(c, Farewell::kAuthentication, "the token is not the one this server was started with");
  if (step.verdict == AuthVerdict::kContinue) return;
  c.state = ServerState::kReady;
  c.frames.set_limits(limits::kFrameBytesMax);
  c.authentication.reset();
  c.last_beat = now;
  c.identity = ObjectId{++own_identities_};
  ObjectId begin = next_block(c);
  Welcome welcome{
      c.session, options_.history, last_tid(), c.identity, begin, static_cast<uint64_t>(options_.heartbeat_us)};
  extend_reservations();
  // Numbers are reserved ahead, so that who comes in does not wait for a store that is away.
  if (connection_table_ == nullptr && are_numbers_kept()) return be_welcome(c, welcome);
  if (connection_table_ != nullptr) {
    Bytes records;
    put_connection_object(records, c);
    submit_own(std::move(records));
  }
  answer_behind_commits(c, std::move(welcome));
}

void ServerCore::be_welcome(Connection& c, const Welcome& welcome) {
  c.is_welcome = true;
  send(c, welcome);
}

/// Calls f(owns), and gives the connection a further block of identities when a creation calls for one.
template <class F>
auto ServerCore::with_owner(Connection& c, F&& f) {
  ObjectId newest_creation;
  auto status = f([&](TypeId type, ObjectId object) {
    newest_creation = std::max(newest_creation, object);
    return may_create(c, type, object);
  });
  if (status.is_ok()) renew_block(c, newest_creation);
  return status;
}

void ServerCore::on(Connection& c, const CommitPart& part) {
  if (part.seq.value != c.last_seq.value + 1)
    return say_goodbye(c, Farewell::kProtocol,
                       "commit " + std::to_string(part.seq.value) + " after " + std::to_string(c.last_seq.value));
  size_t bytes = part.records.size() + part.reads.size();
  c.upload_seq = part.seq;
  c.upload_heard = c.last_heard;
  if (c.upload.was_dropped) return;
  if (c.upload.bytes() + bytes > limits::kTransactionBytesMax)  // our client does not send it
    return say_goodbye(c, Farewell::kProtocol,
                       "a transaction of more than " + std::to_string(limits::kTransactionBytesMax) + " bytes");
  // Small commits always find room: they are not to suffer for the large ones of others.
  if (c.upload.bytes() + bytes > 2 * limits::kCommitPartBytes && !is_upload_room(bytes)) return drop_upload(c);
  uploads_bytes_ += bytes;
  c.upload.records.append(part.records);
  c.upload.reads.append(part.reads);
  Status status =
      with_owner(c, [&](auto&& owns) { return engine_.validate_part(c.upload.records, c.upload_validation, owns); });
  if (!status.is_ok()) say_goodbye(c, Farewell::kProtocol, status.message());
}

/// What still comes of it is ignored, and at its end it is answered in its turn (D29): closing the connection would
/// undo what the client has subscribed to, for something that passes.
void ServerCore::drop_upload(Connection& c) {
  uploads_bytes_ -= c.upload.bytes();
  c.upload = {};
  c.upload.was_dropped = true;
  c.upload_validation = {};
}

void ServerCore::on(Connection& c, const CommitEnd& end) {
  if (end.seq != c.upload_seq || end.seq.value != c.last_seq.value + 1)
    return say_goodbye(c, Farewell::kProtocol, "end of commit " + std::to_string(end.seq.value) + " without its parts");
  c.last_seq = end.seq;
  c.upload_seq = {};
  uploads_bytes_ -= c.upload.bytes();
  Validation validation = std::exchange(c.upload_validation, {});
  CommitRequest request = std::exchange(c.upload, {});
  request.connection = c.id;
  request.committer = c.identity;
  request.seq = end.seq;
  request.as_of = end.as_of;
  if (!request.was_dropped) {
    Status status = with_owner(c, [&](auto&& owns) { return engine_.validate(request, validation, owns); });
    if (!status.is_ok()) return say_goodbye(c, Farewell::kProtocol, status.message());
  }
  engine_.submit(std::move(request));
  ++commits_submitted_;
}

void ServerCore::on(Connection& c, const Flush& flush) {
  if (may_wait(c)) answer_behind_commits(c, Flushed{flush.request, {}});
}

/// False, and the connection is closed, when too many answers wait for it already.
bool ServerCore::may_wait(Connection& c) {
  if (c.answers_waiting < limits::kRequestsWaitingMax) return true;
  say_goodbye(c, Farewell::kServer,
              "more than " + std::to_string(limits::kRequestsWaitingMax) + " requests wait for an answer");
  return false;
}

/// An answer that is given when every commit that came before it is decided, and every fact is kept that it tells.
void ServerCore::answer_behind_commits(Connection& c, std::variant<Flushed, Welcome, SchemaMapping> answer) {
  ++c.answers_waiting;
  bool tells_facts = !std::holds_alternative<Flushed>(answer);
  answers_.push_back({c.id, std::move(answer), commits_submitted_, tells_facts ? facts_changed_ : 0});
  if (tells_facts && facts_changed_ > facts_kept_) are_facts_due_ = true;
  give_waiting_answers();
}

void ServerCore::give_waiting_answers() {
  uint64_t decided = commits_accepted_ + commits_refused_;
  auto is_due = [&](const WaitingAnswer& waiting) {
    return waiting.after_commits <= decided && waiting.after_facts <= facts_kept_;
  };
  for (; !answers_.empty() && is_due(answers_.front()); answers_.pop_front()) {
    auto at = connections_.find(answers_.front().connection);
    if (at == connections_.end()) continue;
    Connection& c = *at->second;
    --c.answers_waiting;
    auto& answer = answers_.front().answer;
    if (auto* flushed = std::get_if<Flushed>(&answer)) {
      flushed->through = last_tid();
      send(c, *flushed);
    } else if (auto* welcome = std::get_if<Welcome>(&answer)) {
      welcome->tid = last_tid();
      be_welcome(c, *welcome);
    } else {
      auto& mapping = std::get<SchemaMapping>(answer);
      mapping.through = last_tid();
      send(c, mapping);
    }
  }
}

/// The store is full, or read-only: nobody knows for how long, so nobody is kept waiting for it.
void ServerCore::refuse_unkept_answers() {
  const std::string why = "the server's store takes no writes now; try again when it has room";
  std::erase_if(answers_, [&](const WaitingAnswer& waiting) {
    if (waiting.after_facts <= facts_kept_ || waiting.after_facts > facts_sent_) return false;
    auto at = connections_.find(waiting.connection);
    if (at == connections_.end()) return true;
    Connection& c = *at->second;
    --c.answers_waiting;
    if (auto* mapping = std::get_if<SchemaMapping>(&waiting.answer)) {
      refuse(c, mapping->request, Refusal::kNotStored, "the definition was not stored: " + why);
    } else {
      say_goodbye(c, Farewell::kServer, "the connection could not be given identities: " + why);
    }
    return true;
  });
}

void ServerCore::on(Connection& c, const Resume&) {
  refuse(c, RequestId{0}, Refusal::kUnknownSession, "the session is not known here; subscribe again");
}

// ---- commits

bool ServerCore::start_group(size_t commits_max) {
  if (is_group_in_flight_ || (!engine_.has_waiting() && !are_facts_due_)) return false;
  engine_.start_group(commits_max);
  extend_reservations();
  is_group_in_flight_ = true;
  facts_sent_ = facts_changed_;
  return true;
}

void ServerCore::finish_group(bool was_persisted) {
  ODB_CHECK(is_group_in_flight_);
  is_group_in_flight_ = false;
  are_facts_due_ = was_persisted && facts_changed_ > facts_sent_;  // after a refusal at the next tick
  if (was_persisted) {
    facts_kept_ = facts_sent_;
    reserved_kept_ = reserved_sent_;
    durable_tid_ = std::max(durable_tid_, durable_tid_sent_);
  } else {
    changed_facts_.merge(facts_in_flight_);  // with the next group, or at the next tick
  }
  facts_in_flight_.clear();
  engine_.finish_group(was_persisted, [this](const DecidedCommit& commit) {
    bool is_accepted = commit.verdict == Verdict::kAccepted;
    ++(is_accepted ? commits_accepted_ : commits_refused_);
    if (is_accepted) announce(commit);
    answer(commit);
  });
  for (Bytes* scratch : {&gathered_, &entries_})
    if (scratch->capacity() > limits::kFrameBytesMax) *scratch = {};  // after something large, small again
  find_due_definitions();
  take_due_definitions();
  if (!was_persisted) refuse_unkept_answers();
  give_waiting_answers();
}

void ServerCore::answer(const DecidedCommit& commit) {
  auto at = connections_.find(commit.request.connection);
  if (at == connections_.end() || at->second->state != ServerState::kReady) return;
  Connection& c = *at->second;
  CommitResult result;
  result.seq = commit.request.seq;
  result.outcome = outcome_of(commit.verdict);
  result.tid = commit.tid;
  result.through = last_tid();
  switch (commit.decisive.kind) {
    case DecisiveKey::Kind::kNone: result.key_kind = KeyKind::kNone; break;
    case DecisiveKey::Kind::kField: result.key_kind = KeyKind::kField; break;
    case DecisiveKey::Kind::kExistence: result.key_kind = KeyKind::kExistence; break;
    case DecisiveKey::Kind::kIndexKey: result.key_kind = KeyKind::kIndexKey; break;
    case DecisiveKey::Kind::kTypeSet: result.key_kind = KeyKind::kTypeSet; break;
  }
  result.type = commit.decisive.type;
  result.object = commit.decisive.object;
  result.number = commit.decisive.number;
  result.key = commit.decisive.key.substr(0, limits::kNameBytesMax);  // for people: its beginning says enough
  result.written_at = commit.decisive.written_at;
  result.won_by = commit.decisive.won_by;
  result.message = message_of(commit, store_, options_.memory_bytes_max);
  send(c, result);
}

// ---- identities

ObjectId ServerCore::next_block(Connection& c) {
  int64_t block = ++blocks_given_;
  ObjectId begin{block * limits::kIdentityBlockSize};
  c.blocks.push_back(begin);
  owners_[block] = &c;
  return begin;
}

ServerCore::Connection* ServerCore::owner_of(ObjectId object) {
  auto owner = owners_.find(block_of(object));
  return owner == owners_.end() ? nullptr : owner->second;
}

/// An identity is one object, of one type: a run of identities is used for the type that it is first used for.
bool ServerCore::may_create(Connection& c, TypeId type, ObjectId object) {
  bool is_the_servers = connection_table_ != nullptr && type == connection_table_->id();
  int64_t run = object.value / limits::kIdentityRun;
  if (run == c.last_run && run != 0) return type == c.last_run_type;
  if (owner_of(object) != &c || is_the_servers || !c.runs.use(run, type)) return false;
  c.last_run = run;
  c.last_run_type = type;
  return true;
}

/// D28: at half a block the client is given the next one.
void ServerCore::renew_block(Connection& c, ObjectId newest_creation) {
  if (newest_creation.value < c.blocks.back().value + limits::kIdentityBlockSize / 2) return;
  send(c, IdentityBlock{next_block(c)});
}

// ---- output

void ServerCore::output_grew(Connection& c) {
  mark_ready(c);
  count_outbox(c);
  if (unsent_bytes(c) > options_.outbox_bytes_max)  // D24
    close_for_slowness(c, "more than " + std::to_string(options_.outbox_bytes_max) + " bytes wait for this client");
  while (outboxes_bytes_ > options_.outboxes_bytes_max) {
    auto furthest =
        std::ranges::max_element(connections_, {}, [](const auto& each) { return each.second->counted_outbox_bytes; });
    close_for_slowness(*furthest->second, "more than " + std::to_string(options_.outboxes_bytes_max) +
                                              " bytes wait for all clients together, and most of them for this one");
  }
}

void ServerCore::close_for_slowness(Connection& c, const std::string& limit) {
  c.out.clear();
  say_goodbye(c, Farewell::kTooSlow, limit + " to read them");
}

/// What a closing connection still holds is given back within a moment, and must not cost others theirs.
void ServerCore::count_outbox(Connection& c) {
  outboxes_bytes_ -= c.counted_outbox_bytes;
  c.counted_outbox_bytes = c.state == ServerState::kClosing ? 0 : unsent_bytes(c);
  outboxes_bytes_ += c.counted_outbox_bytes;
}

void ServerCore::mark_ready(Connection& c) {
  if (c.is_ready_listed) return;
  c.is_ready_listed = true;
  ready_.push_back(c.id);
}

void ServerCore::say_goodbye(Connection& c, Farewell farewell, std::string reason) {
  if (c.state == ServerState::kClosing) return;
  c.state = ServerState::kClosing;
  count_outbox(c);
  put_frame(c.out, ServerGoodbye{farewell, std::move(reason)});
  mark_ready(c);
}

void ServerCore::refuse(Connection& c, RequestId request, Refusal refusal, std::string message) {
  send(c, Refused{request, refusal, std::move(message)});
}

std::vector<ConnectionId> ServerCore::take_ready() {
  std::vector<ConnectionId> ready = std::exchange(ready_, {});
  std::erase_if(ready, [this](ConnectionId id) { return !connections_.contains(id); });
  for (ConnectionId id : ready) connections_.at(id)->is_ready_listed = false;
  return ready;
}

Bytes ServerCore::take_output(ConnectionId id) {
  Connection& c = *connections_.at(id);
  c.in_shell_bytes += c.out.size();
  return std::exchange(c.out, {});
}

bool ServerCore::is_closing(ConnectionId id) const {
  auto at = connections_.find(id);
  return at == connections_.end() || at->second->state == ServerState::kClosing;
}

ServerFigures ServerCore::figures() const {
  ServerFigures figures{connections_.size(), 0, commits_accepted_, commits_refused_, store_.bytes()};
  for (uint32_t type = 1; type <= catalogue_.type_count(); ++type)
    if (const Table* table = store_.table(TypeId{type})) figures.objects += table->object_count();
  return figures;
}

void ServerCore::check() const {
  store_.check();
  catalogue_.check();
  size_t uploads = 0, streams = 0, outboxes = 0, covered_objects = 0;
  for (const auto& [id, c] : connections_) {
    uploads += c->upload.bytes() + c->partial_bytes;
    outboxes += c->state == ServerState::kClosing ? 0 : unsent_bytes(*c);
    streams += c->streams.size();
    for (const auto& [type, covered] : c->covered) {
      auto is_in = [&c = c](const std::vector<Connection*>& audience) {
        return std::ranges::count(audience, c.get()) == 1;
      };
      if (covered.is_whole) ODB_CHECK(is_in(audiences_.at(type).whole), id.value);
      for (const auto& [index, key] : covered.keys)
        ODB_CHECK(is_in(audiences_.at(type).keys.at(index).at(key)), id.value);
      for (ObjectId object : covered.objects)
        ODB_CHECK(is_in(object_audiences_.at({type, object})), id.value, object.value);
      covered_objects += covered.objects.size();
    }
    size_t bytes = 0;
    for (const auto& [type, covered] : c->covered) {
      for (const auto& [index, key] : covered.keys) bytes += kCoveredItemBytes + key.size();
      bytes += covered.objects.size() * kCoveredItemBytes;
    }
    for (const Stream& waiting : c->streams) bytes += bytes_of(waiting);
    ODB_CHECK(bytes == c->covered_bytes, bytes, c->covered_bytes);
    for (ObjectId block : c->blocks) ODB_CHECK(owners_.at(block_of(block)) == c.get(), id.value);
  }
  for (const auto& [key, audience] : object_audiences_) covered_objects -= audience.size();
  ODB_CHECK(covered_objects == 0, covered_objects);
  ODB_CHECK(uploads == uploads_bytes_, uploads, uploads_bytes_);
  ODB_CHECK(outboxes == outboxes_bytes_, outboxes, outboxes_bytes_);
  ODB_CHECK(streams == streams_open_, streams, streams_open_);
}

}  // namespace odb
