/// The server as a pure state machine: bytes, events and the time go in; bytes, farewells and groups to persist come
/// out. It knows neither sockets nor threads; shells (core/net) and the simulator drive it.
///
/// Worked example, a driver's turn:
///   core.connected(id, authentication, now); core.received(id, bytes, now);
///   while (core.start_group()) core.finish_group(persist(...));     // C4: persisted, then announced, then answered
///   for (id : core.take_ready()) { send(id, core.take_output(id)); if (core.is_closing(id)) close after sending; }
///   core.sent(id, n); core.stream(); core.work(); core.tick(now); core.disconnected(id);
///
/// Every connection is one ordered channel: what its client covers is announced on it in the order of transactions,
/// pieces of a subscription pass through it too (D22), and an answer comes after everything it builds on (D21).
/// Thread safety: none; one engine thread owns it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "core/base/limits.h"
#include "core/commit/commit_engine.h"
#include "core/protocol/auth.h"
#include "core/protocol/frame.h"
#include "core/protocol/states.h"
#include "core/server/catalogue.h"
#include "core/server/durable.h"
#include "core/server/identity_runs.h"
#include "core/store/store.h"

namespace odb {

struct ServerOptions {
  Bytes history;  ///< 16 random bytes (D12)
  int64_t heartbeat_us = limits::kHeartbeatUs;
  int64_t handshake_us = limits::kHandshakeUs;  ///< for Hello and authentication together (D30)
  size_t conflict_window_bytes = limits::kConflictWindowBytes;
  size_t outbox_bytes_max = limits::kOutboxBytesMax;      ///< of one client
  size_t outboxes_bytes_max = limits::kOutboxesBytesMax;  ///< of all clients together
  size_t uploads_bytes_max = limits::kUploadsBytesMax;
  size_t covered_bytes_max = limits::kCoveredBytesMax;  ///< of one connection, by keys and by objects
  size_t memory_bytes_max = SIZE_MAX;  ///< of the objects with their indexes; commits that need more are refused
  size_t backfill_objects = limits::kBackfillObjects;  ///< in one turn of an index in the making
};

/// A few figures for tests, logs and tools.
struct ServerFigures {
  size_t connections = 0;
  size_t objects = 0;
  uint64_t commits_accepted = 0;
  uint64_t commits_refused = 0;
  size_t bytes = 0;  ///< memory of the objects with their indexes
};

class ServerCore {
 public:
  explicit ServerCore(ServerOptions options);
  ServerCore(const ServerCore&) = delete;
  ServerCore& operator=(const ServerCore&) = delete;
  ~ServerCore();

  // -- the start of a server whose store outlives it: restore, load*, loaded. REQUIRES: nobody has connected.
  /// kServer: the store is damaged.
  Status restore(const DurableState& state);
  Status load(const std::vector<DurableRow>& rows);
  void loaded();

  // -- events
  /// A channel was opened. `session` is 16 random bytes.
  void connected(ConnectionId id, std::unique_ptr<ServerAuthentication> authentication, Bytes session, Instant now);
  void received(ConnectionId id, BytesView bytes, Instant now);
  void disconnected(ConnectionId id);
  /// The channel took `bytes` of what take_output() gave: the rest still waits in the shell.
  void sent(ConnectionId id, size_t bytes);
  /// To be called a few times per heartbeat interval and at next_deadline().
  void tick(Instant now);
  /// Says farewell to everybody.
  void stop();

  // -- commits (D11)
  /// Checks what waits as one group and puts it in flight; false when nothing waits or one is in flight.
  bool start_group(size_t commits_max = 64);
  /// Submitted, and in no group yet.
  size_t commits_waiting() const { return engine_.waiting_count(); }
  /// What the store has to take of the group in flight, before finish_group(true). To be asked for once.
  DurableGroup durable_group();
  /// Announces and answers the group in flight.
  void finish_group(bool was_persisted);

  /// One turn of the indexes that are being made (D17); true when more could be done at once.
  bool work();
  bool has_work() const { return store_.is_filling(); }

  // -- output
  /// One round of the subscriptions' streams; true when more could be sent at once.
  bool stream();
  /// Connections with something to send or to close, each once.
  std::vector<ConnectionId> take_ready();
  Bytes take_output(ConnectionId id);
  /// The farewell is said: close the channel when everything is sent.
  bool is_closing(ConnectionId id) const;

  const Store& store() const { return store_; }
  ServerFigures figures() const;
  /// Every invariant, in O(n).
  void check() const;

 private:
  static constexpr size_t kCoveredItemBytes = 96;  // of a key or an object in the maps here, about

  struct Stream {  // a subscription on its way
    RequestId request;
    TypeId type;
    Scope scope = Scope::kNone;  // kNone: nothing to send, it only waits for those before it
    IndexId index = {};
    Bytes key = {};
    std::vector<ObjectId> objects = {};
    ObjectId next = ObjectId{1};  // kType, kIndexKey: from this object on
    size_t next_object = 0;       // kObjects: position in `objects`
  };
  struct WaitingAnswer {
    ConnectionId connection;
    std::variant<Flushed, Welcome, SchemaMapping> answer;
    uint64_t after_commits;  // to be given when so many commits are decided,
    uint64_t after_facts;    // and so many changes of facts are kept
  };
  struct HeldDefinition {
    ConnectionId connection;
    DefineSchema define;
    std::vector<Draft::Build> builds;
    bool is_due = false;  // to be taken again
  };
  struct Slice {  // of the commit's records, or of entries_
    size_t begin;
    size_t end;
    bool is_entry;
  };
  struct TypedObject {  // a client may ask for an identity as one of a type that it is not
    TypeId type;
    ObjectId object;
    friend bool operator==(const TypedObject&, const TypedObject&) = default;
    friend size_t hash_value(const TypedObject& key) {
      return mix_hash(mix_hash(static_cast<uint64_t>(key.object.value)) ^ key.type.value);
    }
  };
  struct Covered {              // what a connection covers of a type (D20)
    bool is_whole = false;      // subscribed to the type
    bool is_streaming = false;  // and the stream is not through yet
    std::set<std::pair<IndexId, Bytes>> keys;
    boost::unordered_flat_set<ObjectId, HashId> objects;  // one by one: asked for, or once with a key of `keys`
  };
  struct Connection;
  struct Audience {  // of a type: whom to tell what
    std::vector<Connection*> whole;
    std::map<IndexId, boost::unordered_flat_map<Bytes, std::vector<Connection*>>> keys;  // index -> key -> subscribers
    bool is_empty() const { return whole.empty() && keys.empty(); }
  };
  struct Connection {
    explicit Connection(ConnectionId id_) : id(id_), frames(limits::kUnauthenticatedFrameBytesMax) {}
    const ConnectionId id;
    ServerState state = ServerState::kHello;
    FrameReader frames;
    Bytes out;
    size_t in_shell_bytes = 0;  // taken as output, not yet reported as sent
    bool is_ready_listed = false;
    std::unique_ptr<ServerAuthentication> authentication;
    Bytes session;
    ObjectId identity;             // of its core.Connection object; 0: not in yet
    bool is_welcome = false;       // Welcome is sent
    std::vector<ObjectId> blocks;  // identities it may create, ascending
    IdentityRuns runs;
    int64_t last_run = 0;  // that was used, and its type: mostly the next creation belongs to it too
    TypeId last_run_type;
    CommitSeq last_seq;
    CommitSeq upload_seq;  // of the commit whose parts are coming in; 0: none
    CommitRequest upload;
    Validation upload_validation;
    Instant upload_heard;             // when its last part came
    size_t partial_bytes = 0;         // of a frame that is coming in
    size_t answers_waiting = 0;       // for commits that are not decided
    size_t counted_outbox_bytes = 0;  // what of this connection is in outboxes_bytes_
    std::map<TypeId, Covered> covered;
    size_t covered_bytes = 0;  // of its keys and objects, those of waiting streams included
    std::deque<Stream> streams;
    std::vector<Slice> slices;  // scratch of announce()
    Instant deadline;           // to be in, before kReady
    Instant last_heard;
    Instant last_beat;
  };

  void handle(Connection& c, const Frame& frame, Instant now);
  template <class Message, class Handler>
  void decoded(Connection& c, const Frame& frame, Handler&& handler);
  void on(Connection& c, const Hello& hello);
  void on(Connection& c, const Auth& auth, Instant now);
  void on(Connection& c, const DefineSchema& define);
  void on(Connection& c, const Subscribe& subscribe);
  void on(Connection& c, const CommitPart& part);
  void on(Connection& c, const CommitEnd& end);
  void on(Connection& c, const Flush& flush);
  void on(Connection& c, const Resume& resume);
  void on(Connection& c, const ListTypes& list);

  template <class Message>
  void send(Connection& c, const Message& message);
  void output_grew(Connection& c);
  void count_outbox(Connection& c);
  void close_for_slowness(Connection& c, const std::string& limit);
  void drop_upload(Connection& c);
  bool is_upload_room(size_t more_bytes) const {
    return uploads_bytes_ + engine_.pending_bytes() + more_bytes <= options_.uploads_bytes_max;
  }
  template <class F>
  auto with_owner(Connection& c, F&& f);
  void mark_ready(Connection& c);
  void say_goodbye(Connection& c, Farewell farewell, std::string reason);
  void refuse(Connection& c, RequestId request, Refusal refusal, std::string message);
  ObjectId next_block(Connection& c);
  Connection* owner_of(ObjectId object);
  bool may_create(Connection& c, TypeId type, ObjectId object);
  bool covers(const Connection& c, TypeId type, ObjectId object);
  void cover_type(Connection& c, TypeId type);
  void cover_key(Connection& c, const Stream& stream);
  void cover_object(Connection& c, TypeId type, ObjectId object);
  void forget_object(TypeId type, ObjectId object);
  void forget_keys(Connection& c, TypeId type, Covered& covered);
  void forget_objects(Connection& c, TypeId type, Covered& covered);
  void announce(const DecidedCommit& commit);
  void announce_entries(const Audience& audience, const Record& record);
  void add_slice(Connection& c, Slice slice);
  void send_sections(Connection& c, TransactionId tid, BytesView records);
  void answer(const DecidedCommit& commit);
  void be_welcome(Connection& c, const Welcome& welcome);
  bool may_wait(Connection& c);
  void answer_behind_commits(Connection& c, std::variant<Flushed, Welcome, SchemaMapping> answer);
  void give_waiting_answers();
  void refuse_unkept_answers();
  void refuse_definition(Connection& c, BytesView payload);
  size_t take(Connection& c, const DefineSchema& define);
  void answer(Connection& c, const DefineSchema& define, const Result<std::vector<TypeId>>& types);
  void hold(Connection& c, HeldDefinition held);
  void find_due_definitions();
  bool take_due_definitions();
  void drop_unwanted_builds();
  void refuse_for_memory();
  void change_fact(const char* name);
  bool is_fact_kept(const char* name) const;
  bool are_numbers_kept() const;
  void extend_reservations();
  void find_connection_table();
  void provide_connection_objects(const SchemaDefinition& definition);
  static bool adds_to_connection_type(const SchemaDefinition& definition);
  void put_connection_object(Bytes& records, const Connection& c) const;
  void remove_connection_object(const Connection& c);
  void submit_own(Bytes records);
  bool has_suspended_heartbeats(const Connection& c) const;
  void renew_block(Connection& c, ObjectId newest_creation);
  void open_stream(Connection& c, Stream stream);
  static size_t bytes_of(const Stream& stream);
  bool stream_piece(Connection& c);
  bool fill_piece(Connection& c, Stream& stream, Bytes& piece);
  void end_stream(Connection& c);
  size_t unsent_bytes(const Connection& c) const { return c.out.size() + c.in_shell_bytes; }
  TransactionId last_tid() const { return engine_.last_tid(); }

  const ServerOptions options_;
  Store store_{Store::Readers::kNone};
  Catalogue catalogue_;
  CommitEngine engine_;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  std::vector<ConnectionId> ready_;
  boost::unordered_flat_map<TypeId, Audience, HashId> audiences_;
  boost::unordered_flat_map<TypedObject, std::vector<Connection*>> object_audiences_;  // covered one by one
  std::map<int64_t, Connection*> owners_;  // block number -> the connection that creates in it
  std::vector<Connection*> receivers_;     // scratch of announce()
  std::vector<Connection*> entered_;       // scratch of announce(): for whom the record's object came in
  Bytes entries_;                          // scratch of announce(): whole rows of objects that came in
  Bytes gathered_;                         // scratch
  std::deque<WaitingAnswer> answers_;
  std::vector<HeldDefinition> held_definitions_;  // until their indexes are made, and unique ones may be judged
  size_t uploads_bytes_ = 0;                      // of commits and frames that are coming in
  size_t outboxes_bytes_ = 0;                     // of connections that are not closing
  size_t streams_open_ = 0;
  int64_t blocks_given_ = 0;  // block 0 is the server's own
  int64_t own_identities_ = 0;
  const Table* connection_table_ = nullptr;  // of core.Connection; nullptr until somebody works with it
  bool is_stopped_ = false;
  // of a store that outlives the server
  bool is_durable_ = false;
  bool is_group_in_flight_ = false;
  bool are_facts_due_ = false;                    // they wait for a group, which may have no commit
  TransactionId durable_tid_, durable_tid_sent_;  // the last one that the store holds; with the group in flight
  Reservations reserved_, reserved_sent_, reserved_kept_;  // so far, with the group in flight, for ever
  std::set<std::string> changed_facts_, facts_in_flight_;
  uint64_t facts_changed_ = 0, facts_sent_ = 0, facts_kept_ = 0;  // changes: so far, with the group in flight, for ever
  uint64_t commits_submitted_ = 0;
  uint64_t connection_objects_due_ = 0;  // commits, as submitted, up to the one that makes those of core.Connection
  uint64_t commits_accepted_ = 0;
  uint64_t commits_refused_ = 0;
  Record scratch_record_;
};

template <class Message>
void ServerCore::send(Connection& c, const Message& message) {
  if (c.state == ServerState::kClosing) return;
  put_frame(c.out, message);
  output_grew(c);
}

}  // namespace odb
