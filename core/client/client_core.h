/// The client as a pure state machine: bytes, requests and the time go in; bytes and answers come out. It is the one
/// writer of its store; programs read the store from their own threads (core/view).
///
/// Requests may be made before the server has welcomed the client; they wait. Every request is answered exactly once:
/// by the server, or by on_closed(), after which nothing is answered any more.
/// Thread safety: none, but for store() and identities(); one I/O thread owns it.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/client/identities.h"
#include "core/protocol/auth.h"
#include "core/protocol/frame.h"
#include "core/protocol/states.h"
#include "core/store/store.h"
#include "core/view/view.h"

namespace odb {

/// What a subscription asks for (D20).
struct SubscriptionKey {
  TypeId type;
  Scope scope = Scope::kType;
  IndexId index = {};                  ///< kIndexKey
  Bytes values = {};                   ///< kIndexKey: a V value for each field of the index
  std::vector<ObjectId> objects = {};  ///< kObjects: at most limits::kListItemsMax
};

/// What the client core tells its shell. Called from the thread that drives the core, after what it tells of is
/// visible in the store.
class ClientEvents {
 public:
  virtual ~ClientEvents() = default;
  virtual void on_welcome(const Welcome& welcome) = 0;
  /// A request is fulfilled, or refused.
  virtual void on_answer(RequestId request, const Status& status) = 0;
  /// The answer to list_types().
  virtual void on_types(RequestId, Bytes /*catalogue*/) {}
  virtual void on_commit_result(const CommitResult& result) = 0;
  /// After a step that was noted, see collect_changes(). A subscription's completion is one without a change.
  virtual void on_changes(ChangeSet changes) = 0;
  /// The last call. Unanswered requests and commits will not be answered.
  virtual void on_closed(const Status& reason) = 0;
};

class ClientCore {
 public:
  ClientCore(std::unique_ptr<ClientAuthentication> authentication, ClientEvents& events,
             size_t backfill_objects = limits::kBackfillObjects);
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  // -- events
  void connected(Instant now);
  void received(BytesView bytes, Instant now);
  /// The channel is gone.
  void disconnected(const std::string& reason);
  void tick(Instant now);

  /// Whether work() has something to do now: indexes of a definition, for objects that are here already (D17).
  bool has_work() const { return !mappings_.empty() && section_tid_ == TransactionId{0} && !is_closed(); }
  /// One turn of it. REQUIRES: has_work().
  void work();

  // -- requests
  void define_schema(RequestId request, SchemaDefinition definition);
  /// REQUIRES: the type is known here; `values` belong to the index.
  void subscribe(RequestId request, SubscriptionKey wanted);
  /// Sends a transaction. Its result carries the number returned.
  CommitSeq commit(const Batch& batch);
  void flush(RequestId request);
  /// Asks for the whole catalogue of the server, as encode_catalogue() would write it.
  void list_types(RequestId request);
  /// Whether on_changes() is called, from the next step on.
  void collect_changes(bool is_wanted) { is_collecting_ = is_wanted; }
  /// Leaves on purpose.
  void leave();

  // -- output
  bool has_output() const { return !urgent_.empty() || (state_ == ClientState::kReady && !out_.empty()); }
  Bytes take_output();
  bool is_closed() const { return state_ == ClientState::kClosed; }

  const std::shared_ptr<Store>& store() const { return store_; }
  Identities& identities() { return identities_; }
  /// REQUIRES of the store's check(): no step is begun, as one is between two sections of a transaction.
  void check() const {
    if (section_tid_ == TransactionId{0}) store_->check();
  }

 private:
  struct Loading {  // rows of one type that are not visible yet
    explicit Loading(const Table& table) : staging(table) {}
    Staging staging;
    size_t subscriptions = 0;  // that are not complete yet
  };

  void handle(const Frame& frame);
  template <class Message>
  void decoded(const Frame& frame);
  void on(const ServerHello& hello);
  void on(const ServerAuth& auth);
  void on(const Welcome& welcome);
  void on(const SchemaMapping& mapping);
  void on(const Section& section);
  void on(const Piece& piece);
  void on(const Complete& complete);
  void on(const CommitResult& result);
  void on(const Flushed& flushed);
  void on(const IdentityBlock& block);
  void on(const ServerHeartbeat& heartbeat);
  void on(const Refused& refused);
  void on(const ServerGoodbye& goodbye);
  void on(const TypeList& list);

  Status apply(const Record& record);
  Status apply_entry(Table& table, const Record& record, Loading* loading);
  Status apply_change(Table& table, const Record& record, Loading* loading);
  void promote(Table& table, ObjectId object, Staging& staging);
  void finish(const SubscriptionKey& wanted);
  struct HeldMapping {
    RequestId request;
    std::vector<TypeLayout> types;
  };
  struct Listing {
    TypeId last;
    Bytes catalogue;
  };
  void take_mappings();
  void prepare(const TypeLayout& layout, bool& is_ready);
  Status define(TypeLayout layout);
  bool add_block(ObjectId begin);
  void begin_step();
  void publish_step(TransactionId tid);
  /// Whether a definition or flush was made and waits for its answer, which it now has.
  bool is_answer_to(MessageKind kind, RequestId request);
  void breach(std::string what);
  void close(Status reason);
  template <class Message>
  void send(const Message& message) {
    put_frame(out_, message);
  }
  template <class Message>
  void send_urgent(const Message& message) {
    put_frame(urgent_, message);
  }

  const size_t backfill_objects_;
  ClientState state_ = ClientState::kGreeting;
  std::unique_ptr<ClientAuthentication> authentication_;
  bool has_proof_ = false;  // the server has shown that it knows the token
  ClientEvents& events_;
  std::shared_ptr<Store> store_ = std::make_shared<Store>();
  Identities identities_;
  ObjectId last_block_;
  FrameReader frames_{limits::kUnauthenticatedFrameBytesMax};
  Bytes urgent_;  // greeting and authentication
  Bytes out_;     // everything else: waits for the welcome
  CommitSeq last_seq_;
  CommitSeq answered_seq_;                              // results come in the order of commits
  TransactionId section_tid_;                           // of the step begun; 0: none
  std::map<RequestId, MessageKind> requests_;           // definitions and flushes, not answered yet
  std::deque<HeldMapping> mappings_;                    // answers that wait for their indexes, in the order they came
  std::map<RequestId, Listing> listings_;               // not whole yet
  std::map<RequestId, SubscriptionKey> subscriptions_;  // not complete yet
  std::map<TypeId, Loading> loadings_;
  Instant last_heard_, last_sent_;
  int64_t heartbeat_us_ = limits::kHeartbeatUs;
  Record scratch_record_;
  bool is_collecting_ = false;
  std::optional<ChangeSet> changes_;  // of the step begun
};

}  // namespace odb
