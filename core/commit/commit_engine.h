/// Decides transactions: check, persist, record; the server core then announces and answers (C4, D11).
///
/// One group is in flight at a time; commits that arrive meanwhile wait unchecked. The members of a group are checked
/// in order against the published state and the effects of the members before them (the overlay, which nothing else
/// reads). The caller persists the group; when the store refuses, the overlay is dropped and nothing has happened.
///
///   submit* -> start_group -> (persist) -> finish_group -> decided commits, in order
///
/// Thread safety: none; one engine thread owns it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <optional>
#include <vector>

#include "core/commit/conflict_set.h"
#include "core/store/store.h"
#include "core/view/read_set.h"

namespace odb {

enum class Verdict : uint8_t {
  kAccepted,
  kConflict,
  kTooOld,
  kNoSuchObject,
  kRefusedByStore,
  kIdentityInUse,
  kRowTooLarge,
  kUniqueViolation
};

/// The key that decided against a transaction.
struct DecisiveKey {
  enum class Kind : uint8_t { kNone, kField, kExistence, kIndexKey, kTypeSet };
  Kind kind = Kind::kNone;
  TypeId type;
  ObjectId object;      ///< unique violation: the one that has the value
  uint32_t number = 0;  ///< field or index
  Bytes key;
  TransactionId written_at;
  ObjectId won_by;
  ObjectId claimant = {};  ///< unique violation: the object that was to have the value too
  std::string shown = {};  ///< unique violation: the value, for people
};

struct CommitRequest {
  ConnectionId connection;
  ObjectId committer;  ///< identity of the committing connection
  CommitSeq seq;
  TransactionId as_of;
  Bytes records;
  Bytes reads;
};

struct DecidedCommit {
  CommitRequest request;
  Verdict verdict = Verdict::kAccepted;
  TransactionId tid;  ///< when accepted
  DecisiveKey decisive;
};

class CommitEngine {
 public:
  CommitEngine(Store& store, size_t conflict_window_bytes) : store_(store), conflicts_(conflict_window_bytes) {}
  CommitEngine(const CommitEngine&) = delete;
  CommitEngine& operator=(const CommitEngine&) = delete;
  ~CommitEngine() { drop_overlay(); }

  /// Whether the bytes are records and reads that fit the catalogue. `owns(type, object)` tells whether the committer
  /// may create such an object. A commit that fails here is a breach of the protocol.
  template <class Owns>
  Status validate(const CommitRequest& request, Owns&& owns) const;

  /// REQUIRES: validate() said yes.
  void submit(CommitRequest request) { waiting_.push_back(std::move(request)); }
  bool has_waiting() const { return !waiting_.empty(); }
  bool is_in_flight() const { return !group_.empty(); }
  size_t waiting_count() const { return waiting_.size(); }

  /// Checks what waits, up to `commits_max`, as one group. REQUIRES: none is in flight.
  /// The accepted members are what has to be persisted, in order.
  const std::vector<DecidedCommit>& start_group(size_t commits_max);
  /// Ends the group in flight: recorded in the store when it was persisted, else dropped.
  /// `announce(commit)` is called for every member in order, right after an accepted one was recorded.
  template <class Announce>
  void finish_group(bool was_persisted, Announce&& announce);

  /// The last transaction that was recorded.
  TransactionId last_tid() const { return store_.published().tid; }
  const ConflictSet& conflicts() const { return conflicts_; }

 private:
  struct PlannedWrite {
    Table* table;
    ObjectId object;
    Row* row;            // owned until it is recorded
    size_t index_count;  // of the table when `keys` were made
  };
  using Claims = boost::unordered_flat_map<Bytes, ObjectId>;  // type, unique index, key -> who has it
  struct Plan {                                               // what an accepted member will do
    std::vector<PlannedWrite> writes;
    std::vector<KeyHash> keys;
    Claims claims;
  };

  using Rows = boost::unordered_flat_map<ObjectId, std::pair<const Table*, const Row*>, HashId>;

  Status validate_shape(const CommitRequest& request) const;
  void decide(DecidedCommit& commit, Plan& plan);
  bool check_reads(DecidedCommit& commit);
  bool check_key(DecidedCommit& commit, KeyHash hash, const DecisiveKey& key);
  bool plan_writes(DecidedCommit& commit, Plan& plan);
  bool check_unique(DecidedCommit& commit, Plan& plan);
  std::optional<ObjectId> holder_of(const Table& table, IndexId index, BytesView claim, ObjectId claimant,
                                    const Rows& own) const;
  bool refuse_absent(DecidedCommit& commit, const Record& record);
  void add_index_keys(const Table& table, const Row* before, const Row* after, size_t first_index, Plan& plan);
  const Row* row_now(const Table& table, ObjectId object) const;
  void record(DecidedCommit& commit, Plan& plan);
  void drop_overlay();

  Store& store_;
  ConflictSet conflicts_;
  std::deque<CommitRequest> waiting_;
  std::vector<DecidedCommit> group_;
  std::vector<Plan> plans_;  // parallel to group_
  TransactionId last_planned_;
  // the overlay: effects of the members of the group that are accepted so far
  Rows planned_rows_;  // tombstone: deleted
  Claims planned_claims_;
  boost::unordered_flat_map<KeyHash, TransactionId> planned_keys_;
  std::vector<std::pair<TransactionId, ObjectId>> planned_writers_;
  Record scratch_record_;
  Read scratch_read_;
  Bytes key_before_, key_after_;
};

template <class Owns>
Status CommitEngine::validate(const CommitRequest& request, Owns&& owns) const {
  Status shape = validate_shape(request);
  if (!shape.is_ok()) return shape;
  RecordReader records(request.records);
  for (Record record; records.next(record);) {
    if (record.op == Op::kCreate && !owns(record.type, record.object))
      return protocol_error("creation with identity " + std::to_string(record.object.value) +
                            ", which is not one that this connection may give to this type");
  }
  return Status::ok();
}

template <class Announce>
void CommitEngine::finish_group(bool was_persisted, Announce&& announce) {
  for (size_t i = 0; i < group_.size(); ++i) {
    if (!was_persisted) {
      group_[i].verdict = Verdict::kRefusedByStore;
      group_[i].tid = {};
      group_[i].decisive = {};  // it may have lost against a member that is refused as well
    } else if (group_[i].verdict == Verdict::kAccepted) {
      record(group_[i], plans_[i]);
    }
    announce(group_[i]);
  }
  drop_overlay();
}

}  // namespace odb
