#include "core/client/client_core.h"

#include "core/base/check.h"
#include "core/protocol/mapping.h"

namespace odb {
namespace {

Code code_of(Farewell farewell) {
  switch (farewell) {
    case Farewell::kAuthentication: return Code::kAuthentication;
    case Farewell::kVersion: return Code::kVersionMismatch;
    case Farewell::kStopping:
    case Farewell::kProtocol:
    case Farewell::kSilent:
    case Farewell::kTooSlow:
    case Farewell::kServer: return Code::kDisconnected;
  }
  return Code::kDisconnected;
}

}  // namespace

ClientCore::ClientCore(std::unique_ptr<ClientAuthentication> authentication, ClientEvents& events,
                       size_t backfill_objects)
    : backfill_objects_(backfill_objects), authentication_(std::move(authentication)), events_(events) {}

// ---- events

void ClientCore::connected(Instant now) {
  last_heard_ = last_sent_ = now;
  send_urgent(Hello{limits::kProtocolVersion, limits::kProtocolVersion, authentication_->method(), 0});
}

void ClientCore::received(BytesView bytes, Instant now) {
  if (state_ == ClientState::kClosed) return;
  last_heard_ = now;
  frames_.feed(bytes);
  while (state_ != ClientState::kClosed) {
    std::optional<Frame> frame = frames_.next();
    if (!frame) break;
    handle(*frame);
  }
  if (!frames_.status().is_ok()) breach(frames_.status().message());
}

void ClientCore::disconnected(const std::string& reason) { close({Code::kDisconnected, reason}); }

void ClientCore::tick(Instant now) {
  if (state_ == ClientState::kClosed) return;
  int64_t silent_us = now.us - last_heard_.us;
  if (silent_us >= limits::kHeartbeatsMissedMax * heartbeat_us_)
    return close(
        {Code::kDisconnected, "nothing was heard of the server for " + std::to_string(silent_us / 1000) + " ms"});
  if (state_ == ClientState::kReady && now.us - last_sent_.us >= heartbeat_us_) {
    last_sent_ = now;
    send(Heartbeat{});
  }
  if (section_tid_ == TransactionId{0}) store_->trim();
}

// ---- requests

void ClientCore::define_schema(RequestId request, SchemaDefinition definition) {
  size_t start = out_.size();
  send(DefineSchema{request, std::move(definition)});
  size_t bytes = out_.size() - start;
  if (bytes > limits::kFrameBytesMax) {  // the server would close the connection over it
    out_.resize(start);
    return events_.on_answer(
        request, {Code::kInvalidArgument, "a schema whose definition takes " + std::to_string(bytes) +
                                              " bytes; the server takes " + std::to_string(limits::kFrameBytesMax)});
  }
  requests_[request] = MessageKind::kDefineSchema;
}

void ClientCore::subscribe(RequestId request, SubscriptionKey wanted) {
  Table* table = store_->table(wanted.type);
  ODB_CHECK(table != nullptr, wanted.type.value);
  send(Subscribe{request, wanted.type, wanted.scope, wanted.index, wanted.values, wanted.objects});
  if (wanted.scope != Scope::kNone) ++loadings_.try_emplace(wanted.type, *table).first->second.subscriptions;
  subscriptions_.emplace(request, std::move(wanted));
}

CommitSeq ClientCore::commit(const Batch& batch) {
  CommitSeq seq = last_seq_ = {last_seq_.value + 1};
  // The server puts the parts together again, so one that is too long for a frame may be cut anywhere.
  auto each_piece = [](BytesView part, auto&& send_piece) {
    for (; !part.empty(); part.remove_prefix(std::min(part.size(), limits::kCommitPieceBytesMax)))
      send_piece(part.substr(0, limits::kCommitPieceBytesMax));
  };
  for (const Bytes& part : batch.records)
    each_piece(part, [&](BytesView records) { send(CommitPart{seq, records, {}}); });
  for (const Bytes& part : batch.reads) each_piece(part, [&](BytesView reads) { send(CommitPart{seq, {}, reads}); });
  send(CommitEnd{seq, batch.as_of, batch.no_log});
  return seq;
}

void ClientCore::flush(RequestId request) {
  requests_[request] = MessageKind::kFlush;
  send(Flush{request});
}

void ClientCore::list_types(RequestId request) {
  listings_[request] = {};
  send(ListTypes{request, TypeId{0}});
}

void ClientCore::leave() {
  if (state_ == ClientState::kClosed) return;
  if (state_ == ClientState::kReady) send(Goodbye{});
  Bytes farewell = take_output();
  close({Code::kDisconnected, "disconnected by this program"});
  urgent_ = std::move(farewell);
}

Bytes ClientCore::take_output() {
  Bytes output = std::exchange(urgent_, {});
  if (state_ != ClientState::kReady) return output;
  if (output.empty()) return std::exchange(out_, {});
  output += out_;
  out_.clear();
  return output;
}

// ---- messages

void ClientCore::handle(const Frame& frame) {
  switch (answer_of(state_, frame.kind)) {  // P2
    case Answer::kIgnore: return;
    case Answer::kRefuse:
      return breach("message " + std::to_string(static_cast<int>(frame.kind)) + " may not come now");
    case Answer::kHandle: break;
  }
  bool is_inside_section = section_tid_ != TransactionId{0} && frame.kind != MessageKind::kSection &&
                           frame.kind != MessageKind::kServerGoodbye;
  if (is_inside_section) return breach("a transaction's sections were interrupted");
  switch (frame.kind) {
    case MessageKind::kServerHello: return decoded<ServerHello>(frame);
    case MessageKind::kServerAuth: return decoded<ServerAuth>(frame);
    case MessageKind::kWelcome: return decoded<Welcome>(frame);
    case MessageKind::kSchemaMapping: return decoded<SchemaMapping>(frame);
    case MessageKind::kSection: return decoded<Section>(frame);
    case MessageKind::kPiece: return decoded<Piece>(frame);
    case MessageKind::kComplete: return decoded<Complete>(frame);
    case MessageKind::kCommitResult: return decoded<CommitResult>(frame);
    case MessageKind::kFlushed: return decoded<Flushed>(frame);
    case MessageKind::kIdentityBlock: return decoded<IdentityBlock>(frame);
    case MessageKind::kServerHeartbeat: return decoded<ServerHeartbeat>(frame);
    case MessageKind::kRefused: return decoded<Refused>(frame);
    case MessageKind::kServerGoodbye: return decoded<ServerGoodbye>(frame);
    case MessageKind::kTypeList: return decoded<TypeList>(frame);
    default: ODB_CHECK(false, static_cast<int>(frame.kind));  // answer_of lets no other kind through
  }
}

template <class Message>
void ClientCore::decoded(const Frame& frame) {
  Result<Message> message = decode_message<Message>(frame.payload);
  if (!message.is_ok()) return breach(message.status().message());
  on(message.value());
}

void ClientCore::on(const ServerHello& hello) {
  if (hello.version != limits::kProtocolVersion)
    return breach("version " + std::to_string(hello.version) + " of the protocol was chosen, which was not offered");
  state_ = ClientState::kProving;
  send_urgent(Auth{authentication_->start()});
}

void ClientCore::on(const ServerAuth& auth) {
  AuthStep step = authentication_->advance(auth.payload);
  if (step.verdict == AuthVerdict::kRefused)
    return close({Code::kAuthentication,
                  "the token is wrong, or somebody between this program and the server does not know it: nothing "
                  "was sent that would help them"});
  has_proof_ = step.verdict == AuthVerdict::kAccepted;
  if (!step.reply.empty()) send_urgent(Auth{step.reply});
}

void ClientCore::on(const Welcome& welcome) {
  if (!has_proof_ && authentication_->method() != "memory")
    return close({Code::kAuthentication, "the server did not prove that it knows the token"});
  state_ = ClientState::kReady;
  authentication_.reset();
  frames_.set_limits(limits::kFrameBytesMax, limits::kMessageBytesMax);
  heartbeat_us_ = static_cast<int64_t>(std::clamp<uint64_t>(welcome.heartbeat_us, 1'000, 3'600'000'000));
  if (!add_block(welcome.identities_begin)) return breach("a block of identities that is none");
  store_->advance(welcome.tid);
  events_.on_welcome(welcome);
}

bool ClientCore::add_block(ObjectId begin) {
  bool is_whole =
      begin.value % limits::kIdentityBlockSize == 0 && begin.value <= INT64_MAX - limits::kIdentityBlockSize;
  if (!is_whole || begin <= last_block_) return false;
  last_block_ = begin;
  identities_.add_block(begin);
  store_->add_own_identities(begin, limits::kIdentityBlockSize);
  return true;
}

bool ClientCore::is_answer_to(MessageKind kind, RequestId request) {
  auto at = requests_.find(request);
  if (at == requests_.end() || at->second != kind) return false;
  requests_.erase(at);
  return true;
}

void ClientCore::on(const SchemaMapping& mapping) {
  if (!is_answer_to(MessageKind::kDefineSchema, mapping.request)) return breach("the mapping of no definition");
  std::map<std::string, TypeId> numbers;
  for (const MappedType& type : mapping.types) numbers.emplace(type.schema + "." + type.name, type.id);
  HeldMapping held{mapping.request, {}};
  for (const MappedType& type : mapping.types) {
    Result<TypeLayout> layout = layout_of(type, [&](const std::string& name) {
      auto number = numbers.find(name);
      return number == numbers.end() ? TypeId{0} : number->second;
    });
    if (!layout.is_ok()) return breach(layout.status().message());
    held.types.push_back(std::move(layout.value()));
  }
  store_->advance(mapping.through);
  mappings_.push_back(std::move(held));
  take_mappings();
}

void ClientCore::work() {
  if (store_->fill(backfill_objects_) || !store_->has_builds()) take_mappings();
}

/// In order, for each knows what the one before it has brought. What waits for an index holds up those behind it.
void ClientCore::take_mappings() {
  while (!mappings_.empty() && !is_closed()) {
    bool is_ready = true;
    for (const TypeLayout& layout : mappings_.front().types) prepare(layout, is_ready);
    if (!is_ready) return;
    HeldMapping mapping = std::move(mappings_.front());
    mappings_.pop_front();
    for (TypeLayout& layout : mapping.types) {
      Status status = define(std::move(layout));
      if (!status.is_ok()) return breach(status.message());
    }
    events_.on_answer(mapping.request, Status::ok());
  }
}

/// D17: indexes that a type gets while objects of it are here are made turn by turn.
void ClientCore::prepare(const TypeLayout& layout, bool& is_ready) {
  Table* table = store_->table(layout.id);
  if (table == nullptr || table->object_count() == 0) return;
  for (size_t i = table->layout().indexes.size(); i < layout.indexes.size(); ++i) {
    if (layout.indexes[i].fields.empty()) continue;  // dropped
    IndexBuild::Parts parts = IndexBuild::parts_of(layout, layout.indexes[i]);
    IndexBuild* build = store_->find_build(*table, parts, false);  // what is unique is the server's affair
    if (build == nullptr) {
      build = &store_->start_build(*table, std::move(parts), false);
      store_->fill(*build, *table, backfill_objects_);
    }
    is_ready = is_ready && build->is_whole();
  }
}

Status ClientCore::define(TypeLayout layout) {
  if (const Table* known = store_->table(layout.id)) {
    size_t fields = known->layout().fields.size(), indexes = known->layout().indexes.size();
    if (layout.fields.size() < fields || layout.indexes.size() < indexes)
      return protocol_error("a type that has lost fields or indexes");
    bool is_wider = false;  // what a field's type may become is the server's affair: every value says what it is
    for (size_t i = 0; i < fields; ++i) {
      const FieldLayout &before = known->layout().fields[i], &after = layout.fields[i];
      if (before.name != after.name) return protocol_error("a field that has become another one");
      is_wider = is_wider || !(before.type == after.type);
    }
    if (layout.qualified_name() != known->layout().qualified_name())
      return protocol_error("a type that has become another one");
    if (!is_wider && layout.fields.size() == fields && layout.indexes.size() == indexes) return Status::ok();
  }
  store_->define(std::move(layout));
  return Status::ok();
}

void ClientCore::on(const Section& section) {
  if (section_tid_ == TransactionId{0}) {
    if (section.tid <= store_->published().tid)
      return breach("transaction " + std::to_string(section.tid.value) + " came after it was said to be here");  // C3
    section_tid_ = section.tid;
    begin_step();
  } else if (section.tid != section_tid_) {
    return breach("sections of two transactions are mixed");
  }
  RecordReader records(section.records);
  while (records.next(scratch_record_)) {
    Status status = apply(scratch_record_);
    if (!status.is_ok()) return breach(status.message());
  }
  if (!records.is_ok()) return breach("malformed records");
  if (!section.is_last) return;
  section_tid_ = {};
  publish_step(section.tid);  // C5
}

void ClientCore::begin_step() {
  changes_.reset();
  if (is_collecting_) changes_.emplace();
  store_->record_changes(changes_ ? &*changes_ : nullptr);
  store_->begin();
}

void ClientCore::publish_step(TransactionId tid) {
  store_->publish(tid);
  if (!changes_) return;
  changes_->tid = tid;
  store_->record_changes(nullptr);
  events_.on_changes(std::move(*changes_));
  changes_.reset();
}

/// D22: what is covered is applied; what belongs to a subscription on its way is staged.
Status ClientCore::apply(const Record& record) {
  Table* table = store_->table(record.type);
  if (table == nullptr) return protocol_error("a record of an unknown type");
  bool is_entry = record.op == Op::kCreate || record.op == Op::kWhole;
  if (store_->owns(record.object)) table->join();  // D20: an own creation counts as a subscription
  if (table->is_complete() || store_->owns(record.object)) {
    if (record.op == Op::kWhole) return protocol_error("an object came in that was covered before");
    return store_->apply(record);
  }
  auto at = loadings_.find(record.type);
  Loading* loading = at == loadings_.end() ? nullptr : &at->second;
  return is_entry ? apply_entry(*table, record, loading) : apply_change(*table, record, loading);
}

/// An object that was not covered comes in whole (D23): a creation, or one that got an index key that is covered. It is
/// visible at once if a complete subscription asks for it, else with the one that is on its way.
Status ClientCore::apply_entry(Table& table, const Record& record, Loading* loading) {
  if (table.find(record.object, kNever) != nullptr) return protocol_error("an object came in that was here before");
  std::unique_ptr<Row, void (*)(void*)> row(Row::of(Step{0}, record.fields), Row::destroy);
  Step now{store_->published().step.value + 1};  // of the step begun
  if (table.is_in_covered_key(*row, now) || table.covers_object(record.object, now)) {
    if (loading != nullptr) loading->staging.erase(record.object);  // its type was on the way as well
    store_->put(table, record.object, row.release());
    return Status::ok();
  }
  if (loading == nullptr) return protocol_error("a record outside of what this client covers");
  loading->staging.put(record);
  return Status::ok();
}

/// A write or deletion. What is neither here nor staged comes later in the stream, as it is then.
Status ClientCore::apply_change(Table& table, const Record& record, Loading* loading) {
  bool is_here = table.find(record.object, kNever) != nullptr;
  if (!is_here && loading == nullptr) return protocol_error("a record outside of what this client covers");
  if (record.op == Op::kDelete) {
    if (!is_here) {
      loading->staging.erase(record.object);
      return Status::ok();
    }
    store_->remember_deleted(table, record.object);
    return store_->apply(record);
  }
  if (is_here) return store_->apply(record);
  loading->staging.update(record);
  promote(table, record.object, loading->staging);
  return Status::ok();
}

/// S1: a staged object that has got a key whose lookups are complete here is visible from this step on.
void ClientCore::promote(Table& table, ObjectId object, Staging& staging) {
  const Row* row = staging.find(object);
  if (row != nullptr && table.is_in_covered_key(*row, Step{store_->published().step.value + 1}))
    store_->put(table, object, staging.take(object));
}

void ClientCore::on(const Piece& piece) {
  auto subscription = subscriptions_.find(piece.request);
  if (subscription == subscriptions_.end()) return breach("a piece of no subscription");
  const SubscriptionKey& wanted = subscription->second;
  auto loading = loadings_.find(wanted.type);
  if (loading == loadings_.end()) return breach("a piece of a subscription that loads nothing");
  const Table& table = *store_->table(wanted.type);
  RecordReader records(piece.records);
  while (records.next(scratch_record_)) {
    const Record& record = scratch_record_;
    if (record.op != Op::kWhole || record.type != wanted.type)
      return breach("a record that does not belong into a piece");
    bool is_here = table.is_complete() || store_->owns(record.object) || table.find(record.object, kNever) != nullptr;
    if (!is_here) loading->second.staging.put(record);
  }
  if (!records.is_ok()) breach("malformed records");
}

void ClientCore::on(const Complete& complete) {
  auto subscription = subscriptions_.extract(complete.request);
  if (subscription.empty()) return breach("the end of no subscription");
  const SubscriptionKey& wanted = subscription.mapped();
  if (complete.through < store_->published().tid) return breach("a subscription that ends in the past");
  if (wanted.scope == Scope::kNone) {
    store_->table(wanted.type)->join();
    store_->advance(complete.through);
  } else {
    begin_step();
    finish(wanted);
    publish_step(complete.through);
  }
  events_.on_answer(complete.request, Status::ok());
}

/// Everything staged of the type becomes visible: each row is as it is now, also those that another subscription, still
/// on its way, asked for; that one's coverage begins with its own end.
void ClientCore::finish(const SubscriptionKey& wanted) {
  Table& table = *store_->table(wanted.type);
  auto loading = loadings_.find(wanted.type);
  ODB_CHECK(loading != loadings_.end(), wanted.type.value);
  store_->adopt(loading->second.staging);
  if (--loading->second.subscriptions == 0) loadings_.erase(loading);
  if (wanted.scope == Scope::kType) store_->cover_type(table);
  for (ObjectId object : wanted.objects) store_->cover_object(table, object);
  if (wanted.scope != Scope::kIndexKey) return;
  Bytes key;
  Status status = table.key_of_values(wanted.index, wanted.values, key);
  ODB_CHECK(status.is_ok(), status.message());
  store_->cover_key(table, wanted.index, key);
}

void ClientCore::on(const CommitResult& result) {
  if (result.seq.value != answered_seq_.value + 1 || result.seq > last_seq_) return breach("the result of no commit");
  answered_seq_ = result.seq;
  store_->advance(result.through);
  events_.on_commit_result(result);
}

void ClientCore::on(const Flushed& flushed) {
  if (!is_answer_to(MessageKind::kFlush, flushed.request)) return breach("the end of no flush");
  store_->advance(flushed.through);
  events_.on_answer(flushed.request, Status::ok());
}

void ClientCore::on(const IdentityBlock& block) {
  if (!add_block(block.identities_begin)) breach("a block of identities that is none");
}

void ClientCore::on(const ServerHeartbeat& heartbeat) { store_->advance(heartbeat.through); }

void ClientCore::on(const Refused& refused) {
  Code code = refused.refusal == Refusal::kSchemaMismatch ? Code::kSchemaMismatch : Code::kServer;
  auto subscription = subscriptions_.find(refused.request);
  if (subscription != subscriptions_.end()) {
    auto loading = loadings_.find(subscription->second.type);
    bool is_loading = subscription->second.scope != Scope::kNone && loading != loadings_.end();
    if (is_loading && --loading->second.subscriptions == 0) loadings_.erase(loading);
    subscriptions_.erase(subscription);
  } else if (listings_.erase(refused.request) == 0 && !is_answer_to(MessageKind::kDefineSchema, refused.request)) {
    return breach("the refusal of no request");
  }
  events_.on_answer(refused.request, {code, refused.message});
}

/// The server gives them in pages, each asked for.
void ClientCore::on(const TypeList& list) {
  auto listing = listings_.find(list.request);
  if (listing == listings_.end()) return breach("a list that was not asked for");
  Listing& so_far = listing->second;
  for (const MappedType& type : list.types) {
    if (type.id.value != so_far.last.value + 1) return breach("a list of types with a gap");
    so_far.last = type.id;
  }
  so_far.catalogue += encode_catalogue(list.types);
  if (!list.is_last && list.types.empty()) return breach("a list of types without an end");
  if (!list.is_last) return send(ListTypes{list.request, so_far.last});
  Bytes catalogue = std::move(so_far.catalogue);
  listings_.erase(listing);
  events_.on_types(list.request, std::move(catalogue));
}

void ClientCore::on(const ServerGoodbye& goodbye) {
  close({code_of(goodbye.farewell), "the server closed the connection: " + goodbye.reason});
}

void ClientCore::breach(std::string what) {
  close({Code::kProtocol, "the server broke the protocol: " + std::move(what)});
}

void ClientCore::close(Status reason) {
  if (state_ == ClientState::kClosed) return;
  state_ = ClientState::kClosed;
  out_.clear();
  events_.on_closed(reason);
}

}  // namespace odb
