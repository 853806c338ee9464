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
#include <boost/unordered/unordered_flat_set.hpp>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/limits.h"
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
  kUniqueViolation,
  kTooMuchAtOnce,  ///< it was not kept: uploads of others took all the room
  kNoMemory,       ///< the store would grow beyond its limit
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
  bool was_dropped = false;     ///< its parts were not kept; it only waits for its turn to be told so
  bool is_the_servers = false;  ///< not a client's: small, and promised already, so that it goes over the memory limit

  size_t bytes() const { return records.size() + reads.size(); }
};

/// What is known of the records of a commit while its parts come in: they are validated as they come, so that the end
/// of a large commit does not hold up those of others.
struct Validation {
  size_t good_bytes = 0;                    // whole records, all of them as they should be
  size_t next_try_at = limits::kTurnBytes;  // when so much is there it is worth to look again
  boost::unordered_flat_set<ObjectId, HashId> written;
  Record scratch;
  size_t match_steps = 4096;  // left for finding that values are those of their types; each byte brings more
};

struct DecidedCommit {
  CommitRequest request;
  Verdict verdict = Verdict::kAccepted;
  TransactionId tid;  ///< when accepted
  DecisiveKey decisive;
};

class CommitEngine {
 public:
  CommitEngine(Store& store, size_t conflict_window_bytes, size_t memory_bytes_max = SIZE_MAX)
      : store_(store), conflicts_(conflict_window_bytes), memory_bytes_max_(memory_bytes_max) {}
  CommitEngine(const CommitEngine&) = delete;
  CommitEngine& operator=(const CommitEngine&) = delete;
  ~CommitEngine() { drop_overlay(); }

  /// Whether the bytes are records and reads that fit the catalogue. `owns(type, object)` tells whether the committer
  /// may create such an object. A commit that fails here is a breach of the protocol.
  template <class Owns>
  Status validate(const CommitRequest& request, Owns&& owns) const {
    Validation validation;
    return validate(request, validation, owns);
  }
  /// The same, going on from what validate_part() has seen of this request.
  template <class Owns>
  Status validate(const CommitRequest& request, Validation& validation, Owns&& owns) const;
  /// The records that have come so far, as far as they are whole. Parts are cut anywhere, so the last record may be
  /// looked at more than once: at most every time that what follows the good ones has doubled.
  template <class Owns>
  Status validate_part(BytesView records, Validation& validation, Owns&& owns) const;

  /// REQUIRES: validate() said yes, or was_dropped.
  void submit(CommitRequest request) {
    pending_bytes_ += request.bytes();
    waiting_.push_back(std::move(request));
  }
  /// Of commits that are submitted and not yet decided.
  size_t pending_bytes() const { return pending_bytes_; }
  bool has_waiting() const { return !waiting_.empty(); }
  bool is_in_flight() const { return !group_.empty(); }
  size_t waiting_count() const { return waiting_.size(); }

  /// Checks what waits, up to `commits_max` and kGroupBytesMax, as one group. REQUIRES: none is in flight.
  /// The accepted members are what has to be persisted, in order.
  const std::vector<DecidedCommit>& start_group(size_t commits_max);
  /// The group in flight.
  const std::vector<DecidedCommit>& group() const { return group_; }
  /// Calls f(commit, table, object, row after it) for every write of its accepted members, in order.
  template <class F>
  void for_each_planned(F&& f) const {
    for (size_t i = 0; i < group_.size(); ++i) {
      for (const PlannedWrite& write : plans_[i].writes) f(group_[i], *write.table, write.object, *write.row);
    }
  }
  /// Ends the group in flight: recorded in the store when it was persisted, else dropped.
  /// `announce(commit)` is called for every member in order, right after an accepted one was recorded.
  template <class Announce>
  void finish_group(bool was_persisted, Announce&& announce);

  /// At a start: transactions have numbers above this one, and snapshots before it cannot be judged (D12).
  void start_above(TransactionId tid) {
    store_.advance(tid);
    conflicts_.forget_up_to(tid);
    last_planned_ = last_tid();
  }
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
    int64_t growth = 0;  // of the store's bytes, about
  };

  using Rows = boost::unordered_flat_map<ObjectId, std::pair<const Table*, const Row*>, HashId>;

  Status validate_record(const Record& record, Validation& validation) const;
  Status validate_rest(const CommitRequest& request, const Validation& validation) const;
  template <class Owns>
  Status validate_records(BytesView records, Validation& validation, bool& is_whole, Owns&& owns) const;
  void decide(DecidedCommit& commit, Plan& plan, bool is_last);
  bool check_reads(DecidedCommit& commit);
  bool check_key(DecidedCommit& commit, KeyHash hash, const DecisiveKey& key);
  bool plan_writes(DecidedCommit& commit, Plan& plan);
  bool check_unique(DecidedCommit& commit, Plan& plan);
  std::optional<ObjectId> holder_of(const Table& table, IndexId index, BytesView claim, ObjectId claimant,
                                    const Rows& own) const;
  bool check_memory(DecidedCommit& commit, const Plan& plan);
  bool refuse_absent(DecidedCommit& commit, const Record& record);
  void add_index_keys(const Table& table, const Row* before, const Row* after, size_t first_index, Plan& plan);
  const Row* row_now(const Table& table, ObjectId object) const;
  void record(DecidedCommit& commit, Plan& plan);
  void drop_overlay();

  Store& store_;
  ConflictSet conflicts_;
  const size_t memory_bytes_max_;
  size_t pending_bytes_ = 0;
  std::deque<CommitRequest> waiting_;
  std::vector<DecidedCommit> group_;
  std::vector<Plan> plans_;  // parallel to group_
  TransactionId last_planned_;
  // the overlay: effects of the members of the group that are accepted so far
  Rows planned_rows_;  // tombstone: deleted
  Claims planned_claims_;
  boost::unordered_flat_map<KeyHash, TransactionId> planned_keys_;
  std::vector<std::pair<TransactionId, ObjectId>> planned_writers_;
  int64_t planned_growth_ = 0;
  Record scratch_record_;
  Read scratch_read_;
  Bytes key_before_, key_after_;
};

template <class Owns>
Status CommitEngine::validate(const CommitRequest& request, Validation& validation, Owns&& owns) const {
  bool is_whole = false;
  Status status = validate_records(request.records, validation, is_whole, owns);
  if (!status.is_ok()) return status;
  return is_whole ? validate_rest(request, validation) : protocol_error("malformed records in a commit");
}

template <class Owns>
Status CommitEngine::validate_part(BytesView records, Validation& validation, Owns&& owns) const {
  if (records.size() < validation.next_try_at) return Status::ok();
  bool is_whole = false;
  Status status = validate_records(records, validation, is_whole, owns);
  size_t left = records.size() - validation.good_bytes;
  validation.next_try_at = records.size() + std::max(left, limits::kTurnBytes);
  return status;
}

/// Goes on behind the good records. `is_whole`: nothing is left behind them now.
template <class Owns>
Status CommitEngine::validate_records(BytesView records, Validation& validation, bool& is_whole, Owns&& owns) const {
  RecordReader reader(records.substr(validation.good_bytes));
  Record& record = validation.scratch;
  while (reader.next(record)) {
    Status status = validate_record(record, validation);
    if (!status.is_ok()) return status;
    if (record.op == Op::kCreate && !owns(record.type, record.object))
      return protocol_error("creation with identity " + std::to_string(record.object.value) +
                            ", which is not one that this connection may give to this type");
    validation.good_bytes += record.bytes.size();
  }
  is_whole = reader.is_ok();
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
