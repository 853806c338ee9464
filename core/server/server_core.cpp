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
  if (!engine_.is_in_flight()) store_.trim();
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
    case MessageKind::kDefineSchema: return decoded<DefineSchema>(c, frame, dispatch);
    case MessageKind::kSubscribe: return decoded<Subscribe>(c, frame, dispatch);
    case MessageKind::kCommitPart: return decoded<CommitPart>(c, frame, dispatch);
    case MessageKind::kCommitEnd: return decoded<CommitEnd>(c, frame, dispatch);
    case MessageKind::kFlush: return decoded<Flush>(c, frame, dispatch);
    case MessageKind::kResume: return decoded<Resume>(c, frame, dispatch);
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
  if (connection_table_ == nullptr) return be_welcome(c, welcome);
  Bytes records;
  put_connection_object(records, c);
  submit_own(std::move(records));
  answer_behind_commits(c, std::move(welcome));
}

void ServerCore::be_welcome(Connection& c, const Welcome& welcome) {
  c.is_welcome = true;
  send(c, welcome);
}

void ServerCore::on(Connection& c, const DefineSchema& define) {
  if (engine_.is_in_flight() && catalogue_.adds_unique_index(define.definition))
    return held_definitions_.push_back({c.id, define});
  provide_connection_objects(define.definition);
  Result<std::vector<TypeId>> types = catalogue_.define(define.definition);
  if (!types.is_ok()) {
    if (types.status().code() == Code::kSchemaMismatch)
      return refuse(c, define.request, Refusal::kSchemaMismatch, types.status().message());
    return say_goodbye(c, Farewell::kProtocol, types.status().message());
  }
  provide_connection_objects(define.definition);
  SchemaMapping mapping{define.request, {}};
  for (TypeId type : types.value()) mapping.types.push_back(catalogue_.mapped(type));
  gathered_.clear();
  put_frame(gathered_, mapping);
  if (gathered_.size() > limits::kFrameBytesMax || mapping.types.size() > limits::kListItemsMax)
    return refuse(c, define.request, Refusal::kTooLarge,
                  "what this server knows of schema '" + define.definition.name +
                      "' and the types it refers to does not fit into a message: " +
                      std::to_string(mapping.types.size()) + " types, " + std::to_string(gathered_.size()) + " bytes");
  if (connection_table_ == nullptr) return send(c, mapping);
  answer_behind_commits(c, std::move(mapping));  // with the objects that it may speak of
}

void ServerCore::on(Connection& c, const Subscribe& subscribe) {
  const Table* table = store_.table(subscribe.type);
  if (table == nullptr)
    return refuse(c, subscribe.request, Refusal::kUnknownType,
                  "there is no type " + std::to_string(subscribe.type.value) + " on this server");
  if (c.streams.size() >= limits::kRequestsWaitingMax)
    return refuse(c, subscribe.request, Refusal::kTooLarge,
                  "more than " + std::to_string(limits::kRequestsWaitingMax) + " subscriptions wait to be carried out");
  bool has_key = subscribe.index.value > 0 || !subscribe.values.empty();
  if ((has_key && subscribe.scope != Scope::kIndexKey) ||
      (!subscribe.objects.empty() && subscribe.scope != Scope::kObjects))
    return say_goodbye(c, Farewell::kProtocol, "a subscription with something that is none of its scope's");
  Stream stream{subscribe.request, subscribe.type, subscribe.scope};
  if (subscribe.scope == Scope::kIndexKey) {
    stream.index = subscribe.index;
    Status status = table->key_of_values(subscribe.index, subscribe.values, stream.key);
    if (!status.is_ok()) return say_goodbye(c, Farewell::kProtocol, status.message());
  }
  stream.objects = subscribe.objects;
  for (ObjectId object : stream.objects) {
    if (object.value <= 0) return say_goodbye(c, Farewell::kProtocol, "a subscription to an object that is none");
  }
  const Covered& covered = c.covered[subscribe.type];
  bool is_covered =
      covered.is_whole || (stream.scope == Scope::kIndexKey && covered.keys.contains({stream.index, stream.key}));
  if (is_covered) stream.scope = Scope::kNone;  // but a second subscription may have to wait for the first one's stream
  switch (stream.scope) {                       // D22: in the audience from acceptance
    case Scope::kNone: break;
    case Scope::kType: cover_type(c, stream.type); break;
    case Scope::kIndexKey: cover_key(c, stream); break;
    case Scope::kObjects: break;  // each one is, as soon as its row is sent
  }
  if (stream.scope == Scope::kNone && c.streams.empty()) return send(c, Complete{subscribe.request, last_tid()});
  open_stream(c, std::move(stream));
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

/// An answer that is given when every commit that came before it is decided.
void ServerCore::answer_behind_commits(Connection& c, std::variant<Flushed, Welcome, SchemaMapping> answer) {
  ++c.answers_waiting;
  answers_.push_back({c.id, std::move(answer), commits_submitted_});
  give_waiting_answers();
}

void ServerCore::give_waiting_answers() {
  uint64_t decided = commits_accepted_ + commits_refused_;
  for (; !answers_.empty() && answers_.front().after_commits <= decided; answers_.pop_front()) {
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
      send(c, std::get<SchemaMapping>(answer));
    }
  }
}

void ServerCore::on(Connection& c, const Resume&) {
  refuse(c, RequestId{0}, Refusal::kUnknownSession, "the session is not known here; subscribe again");
}

// ---- commits

bool ServerCore::start_group(size_t commits_max) {
  if (engine_.is_in_flight() || !engine_.has_waiting()) return false;
  engine_.start_group(commits_max);
  return true;
}

void ServerCore::finish_group(bool was_persisted) {
  engine_.finish_group(was_persisted, [this](const DecidedCommit& commit) {
    bool is_accepted = commit.verdict == Verdict::kAccepted;
    ++(is_accepted ? commits_accepted_ : commits_refused_);
    if (is_accepted) announce(commit);
    answer(commit);
  });
  for (Bytes* scratch : {&gathered_, &entries_})
    if (scratch->capacity() > limits::kFrameBytesMax) *scratch = {};  // after something large, small again
  take_held_definitions();
  give_waiting_answers();
}

void ServerCore::take_held_definitions() {
  for (const HeldDefinition& held : std::exchange(held_definitions_, {})) {
    auto at = connections_.find(held.connection);
    if (at != connections_.end() && at->second->state == ServerState::kReady) on(*at->second, held.define);
  }
}

// ---- coverage

bool ServerCore::covers(const Connection& c, TypeId type, ObjectId object) {
  if (owner_of(object) == &c) return true;  // its own creations are covered in any case (D20)
  auto at = c.covered.find(type);
  if (at == c.covered.end()) return false;
  const Covered& covered = at->second;
  return (covered.is_whole && !covered.is_streaming) || covered.objects.contains(object);
}

void ServerCore::cover_type(Connection& c, TypeId type) {
  Covered& covered = c.covered[type];
  covered.is_whole = covered.is_streaming = true;
  audiences_[type].whole.push_back(&c);
}

void ServerCore::cover_key(Connection& c, const Stream& stream) {
  c.covered[stream.type].keys.emplace(stream.index, stream.key);
  audiences_[stream.type].keys[stream.index][stream.key].push_back(&c);
}

void ServerCore::cover_object(Connection& c, TypeId type, ObjectId object) {
  if (c.covered[type].objects.insert(object).second) object_audiences_[{type, object}].push_back(&c);
}

/// A deleted object does not come back.
void ServerCore::forget_object(TypeId type, ObjectId object) {
  auto audience = object_audiences_.find({type, object});
  if (audience == object_audiences_.end()) return;
  for (Connection* c : audience->second) c->covered.at(type).objects.erase(object);
  object_audiences_.erase(audience);
}

void ServerCore::forget_keys(Connection& c, TypeId type, Covered& covered) {
  for (const auto& [index, key] : covered.keys) {
    auto& of_index = audiences_.at(type).keys;
    auto& of_key = of_index.at(index);
    std::erase(of_key.at(key), &c);
    if (of_key.at(key).empty()) of_key.erase(key);
    if (of_key.empty()) of_index.erase(index);
  }
  covered.keys.clear();
}

void ServerCore::forget_objects(Connection& c, TypeId type, Covered& covered) {
  for (ObjectId object : covered.objects) {
    auto audience = object_audiences_.find({type, object});
    std::erase(audience->second, &c);
    if (audience->second.empty()) object_audiences_.erase(audience);
  }
  covered.objects = {};
}

// ---- announcements

void ServerCore::add_slice(Connection& c, Slice slice) {
  if (c.state != ServerState::kReady) return;
  if (c.slices.empty()) receivers_.push_back(&c);
  bool goes_on = !c.slices.empty() && c.slices.back().is_entry == slice.is_entry && c.slices.back().end == slice.begin;
  if (goes_on) {
    c.slices.back().end = slice.end;
  } else {
    c.slices.push_back(slice);
  }
}

/// D21: every receiver gets exactly the records it covers, as slices of the one encoded buffer.
void ServerCore::announce(const DecidedCommit& commit) {
  BytesView records = commit.request.records;
  receivers_.clear();
  entries_.clear();
  RecordReader reader(records);
  Record& record = scratch_record_;
  while (reader.next(record)) {
    auto begin = static_cast<size_t>(record.bytes.data() - records.data());
    Slice slice{begin, begin + record.bytes.size(), false};
    entered_.clear();
    auto audience = audiences_.find(record.type);
    if (audience != audiences_.end() && !audience->second.keys.empty()) announce_entries(audience->second, record);
    auto tell = [&](Connection& c) {
      if (entered_.empty() || std::ranges::find(entered_, &c) == entered_.end()) add_slice(c, slice);
    };
    auto is_told = [&](const Connection& c) {  // as one who covers the whole type
      auto covered = c.covered.find(record.type);
      return covered != c.covered.end() && covered->second.is_whole;
    };
    if (audience != audiences_.end()) {
      for (Connection* c : audience->second.whole) {
        // Created while the type is on its way: the client has it whole from here on, and it must not come in again.
        bool is_early = record.op == Op::kCreate && !c->streams.empty();
        if (is_early && !covers(*c, record.type, record.object)) cover_object(*c, record.type, record.object);
        tell(*c);
      }
    }
    Connection* owner = owner_of(record.object);  // its own creations are covered in any case (D20)
    if (owner != nullptr && !is_told(*owner)) tell(*owner);
    if (object_audiences_.empty()) continue;
    auto one_by_one = object_audiences_.find({record.type, record.object});
    if (one_by_one == object_audiences_.end()) continue;
    for (Connection* c : one_by_one->second) {
      if (c != owner && !is_told(*c)) tell(*c);
    }
    if (record.op == Op::kDelete) forget_object(record.type, record.object);
  }
  auto bytes_of = [&](Slice slice) {
    return (slice.is_entry ? BytesView(entries_) : records).substr(slice.begin, slice.end - slice.begin);
  };
  for (Connection* c : receivers_) {
    if (c->slices.size() == 1) {
      send_sections(*c, commit.tid, bytes_of(c->slices[0]));
    } else {
      gathered_.clear();
      for (Slice slice : c->slices) gathered_.append(bytes_of(slice));
      send_sections(*c, commit.tid, gathered_);
    }
    c->slices.clear();
  }
}

/// D23: an object that has got a key somebody covers, and is new to them, goes to them whole.
void ServerCore::announce_entries(const Audience& audience, const Record& record) {
  const Table& table = *store_.table(record.type);
  const Row* row = table.find(record.object, kNever);
  if (row == nullptr) return;
  Slice whole{0, 0, true};
  Bytes key;
  for (const auto& [index, subscribers] : audience.keys) {
    key.clear();
    table.append_index_key(key, index, *row);
    auto of_key = subscribers.find(key);
    if (of_key == subscribers.end()) continue;
    for (Connection* c : of_key->second) {
      if (covers(*c, record.type, record.object)) continue;
      cover_object(*c, record.type, record.object);
      entered_.push_back(c);
      if (whole.end == 0) {
        whole.begin = entries_.size();
        put_row_record(entries_, Op::kWhole, record.type, record.object, *row);
        whole.end = entries_.size();
      }
      add_slice(*c, whole);
    }
  }
}

/// One section when the records fit into a frame; else several, cut between records.
void ServerCore::send_sections(Connection& c, TransactionId tid, BytesView records) {
  while (records.size() > limits::kFrameBytesMax / 2) {
    RecordReader reader(records);
    size_t size = 0;
    Record& record = scratch_record_;
    while (size < limits::kCommitPartBytes && reader.next(record)) size += record.bytes.size();
    if (size == records.size()) break;
    send(c, Section{tid, false, records.substr(0, size)});
    records.remove_prefix(size);
  }
  send(c, Section{tid, true, records});
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

// ---- streams

void ServerCore::open_stream(Connection& c, Stream stream) {
  c.streams.push_back(std::move(stream));
  ++streams_open_;
}

/// One round: a piece for every connection that waits for some.
bool ServerCore::stream() {
  if (streams_open_ == 0) return false;
  bool has_more = false;
  for (auto& [id, c] : connections_) has_more |= stream_piece(*c);
  return has_more;
}

/// D22: one piece of the first unfinished subscription, unless the client has enough to read already.
bool ServerCore::stream_piece(Connection& c) {
  if (c.streams.empty() || c.state != ServerState::kReady || unsent_bytes(c) >= limits::kOutboxBytesHigh) return false;
  Stream& stream = c.streams.front();
  Bytes& piece = gathered_;
  piece.clear();
  bool is_done = fill_piece(c, stream, piece);
  if (!piece.empty()) send(c, Piece{stream.request, piece});
  if (is_done) end_stream(c);
  return !c.streams.empty();
}

/// Whole rows up to about limits::kPieceBytes; true when these were the last ones.
bool ServerCore::fill_piece(Connection& c, Stream& stream, Bytes& piece) {
  const Table& table = *store_.table(stream.type);
  auto put = [&](ObjectId object, const Row& row) { put_row_record(piece, Op::kWhole, stream.type, object, row); };
  auto is_full_before = [&](ObjectId object) {
    if (piece.size() < limits::kPieceBytes) return false;
    stream.next = object;
    return true;
  };
  bool is_done = true;
  switch (stream.scope) {
    case Scope::kNone: break;
    case Scope::kType:
      table.for_each(
          kNever,
          [&](ObjectId object, const Row& row) {
            if (is_full_before(object)) return is_done = false;
            if (!covers(c, stream.type, object)) put(object, row);
            return true;
          },
          stream.next);
      break;
    case Scope::kIndexKey:
      table.for_each_in(
          stream.index, stream.key, kLatest,
          [&](ObjectId object) {
            if (is_full_before(object)) return is_done = false;
            if (covers(c, stream.type, object)) return true;
            cover_object(c, stream.type, object);
            put(object, *table.find(object, kNever));
            return true;
          },
          stream.next);
      break;
    case Scope::kObjects:
      for (; stream.next_object < stream.objects.size(); ++stream.next_object) {
        if (piece.size() >= limits::kPieceBytes) return false;
        ObjectId object = stream.objects[stream.next_object];
        if (covers(c, stream.type, object)) continue;
        cover_object(c, stream.type, object);
        if (const Row* row = table.find(object, kNever)) put(object, *row);
      }
      break;
  }
  return is_done;
}

void ServerCore::end_stream(Connection& c) {
  Stream& stream = c.streams.front();
  if (stream.scope == Scope::kType) {  // what was covered in part is so as part of the whole now
    Covered& covered = c.covered.at(stream.type);
    covered.is_streaming = false;
    forget_keys(c, stream.type, covered);
    forget_objects(c, stream.type, covered);
  }
  send(c, Complete{stream.request, last_tid()});
  c.streams.pop_front();
  --streams_open_;
}

// ---- output

template <class Message>
void ServerCore::send(Connection& c, const Message& message) {
  if (c.state == ServerState::kClosing) return;
  put_frame(c.out, message);
  mark_ready(c);
  count_outbox(c);
  if (unsent_bytes(c) > options_.outbox_bytes_max) {  // D24
    close_for_slowness(c, "more than " + std::to_string(options_.outbox_bytes_max) + " bytes wait for this client");
  }
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
    figures.objects += store_.table(TypeId{type})->object_count();
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
    for (ObjectId block : c->blocks) ODB_CHECK(owners_.at(block_of(block)) == c.get(), id.value);
  }
  for (const auto& [key, audience] : object_audiences_) covered_objects -= audience.size();
  ODB_CHECK(covered_objects == 0, covered_objects);
  ODB_CHECK(uploads == uploads_bytes_, uploads, uploads_bytes_);
  ODB_CHECK(outboxes == outboxes_bytes_, outboxes, outboxes_bytes_);
  ODB_CHECK(streams == streams_open_, streams, streams_open_);
}

}  // namespace odb
