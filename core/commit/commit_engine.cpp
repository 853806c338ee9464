#include "core/commit/commit_engine.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/codec/value.h"

namespace odb {
namespace {

constexpr size_t kClaimPrefixBytes = 8;

Bytes claim_prefix(TypeId type, IndexId index) {
  Bytes out;
  for (uint32_t number : {type.value, index.value}) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
  }
  return out;
}

bool has_none(const Table& table, const IndexLayout& index, const Row& row) {
  return std::ranges::any_of(index.fields, [&](FieldId field) {
    return static_cast<uint8_t>(table.value_of(row, field).front()) == kind::kNone;
  });
}

std::string show_values(const Table& table, const IndexLayout& index, const Row& row) {
  std::string out;
  for (FieldId field : index.fields) {
    Result<Value> value = decode(table.value_of(row, field), Mode::kValue);
    std::string shown = value.is_ok() ? show(value.value()) : "?";
    if (shown.size() > limits::kShownBytesMax) {
      size_t size = limits::kShownBytesMax;
      while ((static_cast<uint8_t>(shown[size]) & 0xc0) == 0x80) --size;  // not within a character
      shown.replace(size, std::string::npos, "...");
    }
    std::ranges::replace_if(shown, [](char c) { return static_cast<uint8_t>(c) < 0x20; }, '?');
    out += (out.empty() ? "" : ", ") + shown;
  }
  return index.fields.size() == 1 ? out : "(" + out + ")";
}

/// clear() takes time for all the room that a map has, and every group calls it.
template <class Map>
void clear_and_shrink(Map& map) {
  constexpr size_t kBucketsKept = 4096;
  if (map.bucket_count() > kBucketsKept) {
    map = Map();
  } else {
    map.clear();
  }
}

// One byte can be tried with each of thousands of arms: then a turn's worth of such values took seconds.
constexpr size_t kMatchStepsOfByte = 64;

}  // namespace

Status CommitEngine::validate_record(const Record& record, Validation& validation) const {
  const Table* table = store_.table(record.type);
  if (table == nullptr) return protocol_error("write to unknown type " + std::to_string(record.type.value));
  if (!validation.written.insert(record.object).second) return protocol_error("a commit has one record for an object");
  if (validation.written.size() > limits::kTransactionWritesMax)
    return protocol_error("a commit of more than " + std::to_string(limits::kTransactionWritesMax) + " objects");
  if (record.op == Op::kWhole) return protocol_error("a commit holds creations, updates and deletions only");
  for (const FieldValue& value : record.fields) {
    const FieldLayout* field = table->layout().field(value.field);
    if (field == nullptr) return protocol_error("write to unknown field " + std::to_string(value.field.value));
    if (value.value.empty()) continue;
    Effort effort(validation.match_steps + kMatchStepsOfByte * (value.value.size() + 1));
    bool is_held = field->type.holds(value.value, effort);
    validation.match_steps = effort.left();
    if (effort.is_spent())
      return protocol_error("the values of a commit take too long to be matched with the arms of " +
                            table->layout().qualified_name() + "." + field->name +
                            ": give that union fewer arms that begin alike");
    if (!is_held)
      return protocol_error("value of " + table->layout().qualified_name() + "." + field->name + " is not a " +
                            field->type.text());
  }
  return Status::ok();
}

Status CommitEngine::validate_rest(const CommitRequest& request, const Validation& validation) const {
  if (request.as_of > last_tid())
    return protocol_error("commit as of transaction " + std::to_string(request.as_of.value) +
                          ", which has not happened");
  auto table_of = [&](TypeId type) { return store_.table(type); };
  if (validation.written.empty()) return protocol_error("commit without a write");
  ReadsReader reads(request.reads);
  for (Read read; reads.next(read);) {
    const Table* table = table_of(read.type);
    if (table == nullptr) return protocol_error("read of unknown type " + std::to_string(read.type.value));
    if (read.kind == Read::Kind::kObject && read.marks.back() > table->layout().fields.size())
      return protocol_error("read of an unknown field");
    if (read.kind == Read::Kind::kIndexKey && read.index.value >= table->layout().indexes.size())
      return protocol_error("read of an unknown index");
  }
  return reads.is_ok() ? Status::ok() : protocol_error("malformed reads in a commit");
}

const std::vector<DecidedCommit>& CommitEngine::start_group(size_t commits_max) {
  ODB_CHECK(!is_in_flight());
  last_planned_ = last_tid();
  size_t bytes = 0;
  for (bool is_last = commits_max == 0; !waiting_.empty() && !is_last;) {
    bytes += waiting_.front().bytes();
    is_last = waiting_.size() == 1 || group_.size() + 1 == commits_max || bytes >= limits::kGroupBytesMax;
    group_.push_back({std::move(waiting_.front()), Verdict::kAccepted, {}, {}});
    waiting_.pop_front();
    decide(group_.back(), plans_.emplace_back(), is_last);
  }
  return group_;
}

/// Nobody asks for what the last member of a group will do, so it is not put into the overlay: with large transactions
/// that is a quarter of the work.
void CommitEngine::decide(DecidedCommit& commit, Plan& plan, bool is_last) {
  if (commit.request.was_dropped) {
    commit.verdict = Verdict::kTooMuchAtOnce;
    return;
  }
  if (!check_reads(commit) || !plan_writes(commit, plan) || !check_unique(commit, plan) ||
      !check_memory(commit, plan)) {
    for (PlannedWrite& write : plan.writes) Row::destroy(write.row);
    plan = {};
    return;
  }
  commit.tid = last_planned_ = TransactionId{last_planned_.value + 1};  // C3
  if (is_last) return;
  planned_growth_ += plan.growth;
  for (const PlannedWrite& write : plan.writes) planned_rows_[write.object] = {write.table, write.row};
  for (KeyHash key : plan.keys) planned_keys_[key] = commit.tid;
  for (const auto& [claim, object] : plan.claims) planned_claims_[claim] = object;
  planned_writers_.emplace_back(commit.tid, commit.request.committer);
}

/// C1: every key that was read was last written at or before as_of.
bool CommitEngine::check_reads(DecidedCommit& commit) {
  if (!commit.request.reads.empty() && commit.request.as_of < conflicts_.floor()) {  // C2
    commit.verdict = Verdict::kTooOld;
    return false;
  }
  using Kind = DecisiveKey::Kind;
  ReadsReader reads(commit.request.reads);
  Read& read = scratch_read_;
  while (reads.next(read)) {
    switch (read.kind) {
      case Read::Kind::kObject:
        // Whoever read a field relied on the object being there.
        if (!check_key(commit, object_key_hash(read.object, 0),
                       {Kind::kExistence, read.type, read.object, 0, {}, {}, {}}))
          return false;
        for (uint32_t mark : read.marks) {
          if (mark > 0 && !check_key(commit, object_key_hash(read.object, mark),
                                     {Kind::kField, read.type, read.object, mark - 1, {}, {}, {}}))
            return false;
        }
        break;
      case Read::Kind::kIndexKey:
        if (commit.request.as_of < store_.table(read.type)->is_indexed_since(read.index)) {  // D17: as C2
          commit.verdict = Verdict::kTooOld;
          return false;
        }
        if (!check_key(commit, index_key_hash(read.type, read.index, read.key),
                       {Kind::kIndexKey, read.type, {}, read.index.value, {}, {}, {}})) {
          commit.decisive.key = Bytes(read.key);
          return false;
        }
        break;
      case Read::Kind::kType:
        if (!check_key(commit, type_key_hash(read.type), {Kind::kTypeSet, read.type, {}, 0, {}, {}, {}})) return false;
        break;
    }
  }
  return true;
}

bool CommitEngine::check_key(DecidedCommit& commit, KeyHash hash, const DecisiveKey& key) {
  TransactionId written_at = conflicts_.last_write(hash);
  ObjectId won_by;
  auto planned = planned_keys_.find(hash);
  if (planned != planned_keys_.end()) {
    written_at = planned->second;
    for (auto [tid, writer] : planned_writers_) won_by = tid == written_at ? writer : won_by;
  } else if (written_at > commit.request.as_of) {
    won_by = conflicts_.writer_of(written_at);
  }
  if (written_at <= commit.request.as_of) return true;
  commit.verdict = Verdict::kConflict;
  commit.decisive = key;
  commit.decisive.written_at = written_at;
  commit.decisive.won_by = won_by;
  return false;
}

const Row* CommitEngine::row_now(const Table& table, ObjectId object) const {
  auto planned = planned_rows_.find(object);
  if (planned == planned_rows_.end() || planned->second.first != &table) return table.find(object, kNever);
  const Row* row = planned->second.second;
  return row->is_tombstone ? nullptr : row;
}

bool CommitEngine::plan_writes(DecidedCommit& commit, Plan& plan) {
  RecordReader records(commit.request.records);
  Record& record = scratch_record_;
  std::set<TypeId> changed_sets;
  ObjectId last_page;
  while (records.next(record)) {
    Table& table = *store_.table(record.type);
    const Row* before = row_now(table, record.object);
    Row* after = nullptr;
    if (record.op == Op::kCreate) {
      if (before != nullptr) {
        commit.verdict = Verdict::kIdentityInUse;
        commit.decisive = {DecisiveKey::Kind::kExistence, record.type, record.object, 0, {}, {}, {}};
        return false;
      }
      after = Row::of(Step{0}, record.fields);
    } else {
      if (before == nullptr) return refuse_absent(commit, record);
      after = record.op == Op::kDelete ? Row::tombstone(Step{0}) : Row::merge(Step{0}, *before, record.fields);
    }
    plan.writes.push_back({&table, record.object, after, table.layout().indexes.size()});
    if (after->values_bytes > limits::kRowBytesMax) {
      commit.verdict = Verdict::kRowTooLarge;
      commit.decisive = {DecisiveKey::Kind::kExistence, record.type, record.object, 0, {}, {}, {}};
      return false;
    }
    plan.growth += static_cast<int64_t>(Row::live_bytes(after)) - static_cast<int64_t>(Row::live_bytes(before));
    if (before == nullptr && last_page.value != (record.object.value >> 6)) {
      last_page.value = record.object.value >> 6;
      plan.growth += static_cast<int64_t>(table.page_bytes_missing(record.object));
    }
    if (record.op == Op::kUpdate) {
      for (const FieldValue& value : record.fields)
        plan.keys.push_back(object_key_hash(record.object, value.field.value + 1));
    } else {
      changed_sets.insert(record.type);
      if (record.op == Op::kDelete) plan.keys.push_back(object_key_hash(record.object, 0));
    }
    add_index_keys(table, before, after, 0, plan);
  }
  for (TypeId type : changed_sets) plan.keys.push_back(type_key_hash(type));
  return true;
}

/// D15: judged on the state now and after the whole transaction, so values may be swapped and handed on in it.
bool CommitEngine::check_unique(DecidedCommit& commit, Plan& plan) {
  Rows own;  // of types with a unique index
  for (const PlannedWrite& write : plan.writes) {
    if (std::ranges::any_of(write.table->layout().indexes, &IndexLayout::is_unique))
      own[write.object] = {write.table, write.row};
  }
  if (own.empty()) return true;
  for (const PlannedWrite& write : plan.writes) {
    const auto& indexes = write.table->layout().indexes;
    for (uint32_t i = 0; i < indexes.size() && !write.row->is_tombstone; ++i) {
      if (!indexes[i].is_unique || has_none(*write.table, indexes[i], *write.row)) continue;
      Bytes claim = claim_prefix(write.table->id(), IndexId{i});
      write.table->append_index_key(claim, IndexId{i}, *write.row);
      auto [claimed, is_first] = plan.claims.try_emplace(claim, write.object);
      std::optional<ObjectId> holder = claimed->second;
      if (is_first) holder = holder_of(*write.table, IndexId{i}, claim, write.object, own);
      if (!holder) continue;
      commit.verdict = Verdict::kUniqueViolation;
      commit.decisive = {DecisiveKey::Kind::kIndexKey,
                         write.table->id(),
                         *holder,
                         i,
                         claim.substr(kClaimPrefixBytes),
                         {},
                         {},
                         write.object,
                         show_values(*write.table, indexes[i], *write.row)};
      return false;
    }
  }
  return true;
}

/// Another object that has the key when the commit with the rows `own` is carried out.
std::optional<ObjectId> CommitEngine::holder_of(const Table& table, IndexId index, BytesView claim, ObjectId claimant,
                                                const Rows& own) const {
  BytesView key = claim.substr(kClaimPrefixBytes);
  std::optional<ObjectId> holder;
  auto look_at = [&](ObjectId object) {
    auto written = own.find(object);
    const Row* row =
        written != own.end() && written->second.first == &table ? written->second.second : row_now(table, object);
    if (object == claimant || row == nullptr || row->is_tombstone) return true;
    Bytes key_now;
    table.append_index_key(key_now, index, *row);
    if (key_now == key) holder = object;
    return !holder.has_value();
  };
  auto planned = planned_claims_.find(Bytes(claim));
  if (planned != planned_claims_.end()) look_at(planned->second);
  if (!holder) table.for_each_in(index, key, store_.published().step, look_at);
  return holder;
}

/// What takes no more than before always goes, so that a full server can be emptied.
bool CommitEngine::check_memory(DecidedCommit& commit, const Plan& plan) {
  int64_t planned = static_cast<int64_t>(store_.bytes()) + planned_growth_ + plan.growth;
  if (commit.request.is_the_servers || plan.growth <= 0 || planned <= 0 ||
      static_cast<size_t>(planned) <= memory_bytes_max_)
    return true;
  commit.verdict = Verdict::kNoMemory;
  return false;
}

/// D13: a write to an object that is not there is a conflict if the object was deleted after as_of, else an error.
bool CommitEngine::refuse_absent(DecidedCommit& commit, const Record& record) {
  DecisiveKey existence{DecisiveKey::Kind::kExistence, record.type, record.object, 0, {}, {}, {}};
  if (!check_key(commit, object_key_hash(record.object, 0), existence)) return false;
  commit.verdict = commit.request.as_of < conflicts_.floor() ? Verdict::kTooOld : Verdict::kNoSuchObject;
  commit.decisive = existence;
  return false;
}

void CommitEngine::add_index_keys(const Table& table, const Row* before, const Row* after, size_t first_index,
                                  Plan& plan) {
  const auto& indexes = table.layout().indexes;
  for (auto i = static_cast<uint32_t>(first_index); i < indexes.size(); ++i) {
    key_before_.clear();
    key_after_.clear();
    if (before != nullptr) table.append_index_key(key_before_, IndexId{i}, *before);
    if (!after->is_tombstone) table.append_index_key(key_after_, IndexId{i}, *after);
    if (key_before_ == key_after_) continue;
    if (before != nullptr) plan.keys.push_back(index_key_hash(table.id(), IndexId{i}, key_before_));
    if (!after->is_tombstone) plan.keys.push_back(index_key_hash(table.id(), IndexId{i}, key_after_));
    if (memory_bytes_max_ == SIZE_MAX) continue;
    if (before != nullptr) plan.growth -= static_cast<int64_t>(table.entry_bytes(IndexId{i}, key_before_));
    if (!after->is_tombstone) plan.growth += static_cast<int64_t>(table.entry_bytes(IndexId{i}, key_after_));
  }
}

void CommitEngine::record(DecidedCommit& commit, Plan& plan) {
  store_.begin();
  for (PlannedWrite& write : plan.writes) {
    if (write.table->layout().indexes.size() > write.index_count)  // one was added while the group was in flight (D17)
      add_index_keys(*write.table, write.table->find(write.object, kNever), write.row, write.index_count, plan);
    store_.put(*write.table, write.object, write.row);
    write.row = nullptr;
  }
  store_.publish(commit.tid);
  conflicts_.record(commit.tid, commit.request.committer, plan.keys);
}

void CommitEngine::drop_overlay() {
  for (Plan& plan : plans_) {
    for (PlannedWrite& write : plan.writes) {
      if (write.row != nullptr) Row::destroy(write.row);
    }
  }
  for (const DecidedCommit& commit : group_) pending_bytes_ -= commit.request.bytes();
  planned_growth_ = 0;
  group_.clear();
  plans_.clear();
  clear_and_shrink(planned_rows_);
  clear_and_shrink(planned_keys_);
  clear_and_shrink(planned_claims_);
  for (Bytes* key : {&key_before_, &key_after_})
    if (key->capacity() > limits::kCommitPartBytes) *key = {};
  planned_writers_.clear();
}

}  // namespace odb
