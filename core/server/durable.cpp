// The server's part of keeping what it acknowledges: groups for the store, and the start from what the store gives back.

#include "core/server/durable.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/protocol/message_codec.h"
#include "core/server/server_core.h"

namespace odb {
namespace {

constexpr auto kCatalogue = "catalogue";
constexpr auto kReservations = "reservations";

// How many numbers are reserved at once, and how few may be left before more are: a group comes in between.
constexpr Reservations kReserved{TransactionId{1'000'000}, 1024, 65'536};

Status damaged(const std::string& what) { return {Code::kServer, "the store is damaged: " + what}; }

}  // namespace

Bytes encode(const Reservations& reservations) {
  Bytes out;
  put_varint(out, reservations.transactions.value);
  put_varint(out, static_cast<uint64_t>(reservations.blocks));
  put_varint(out, static_cast<uint64_t>(reservations.identities));
  return out;
}

std::optional<Reservations> decode_reservations(BytesView bytes) {
  Reader in(bytes);
  uint64_t transactions = in.varint(), blocks = in.varint(), identities = in.varint();
  bool is_whole = in.is_ok() && in.at_end() && transactions < uint64_t{1} << 62 &&
                  blocks < uint64_t{INT64_MAX} / limits::kIdentityBlockSize && identities < limits::kIdentityBlockSize;
  if (!is_whole) return std::nullopt;
  return Reservations{TransactionId{transactions}, static_cast<int64_t>(blocks), static_cast<int64_t>(identities)};
}

// ---- groups

void ServerCore::change_fact(const char* name) {
  if (!is_durable_) return;
  changed_facts_.insert(name);
  ++facts_changed_;
}

/// Whether the store has it as it is now.
bool ServerCore::is_fact_kept(const char* name) const {
  return !changed_facts_.contains(name) && !facts_in_flight_.contains(name);
}

/// Whether a later start begins above every number that has been given to a connection so far.
bool ServerCore::are_numbers_kept() const {
  return !is_durable_ || (blocks_given_ <= reserved_kept_.blocks && own_identities_ <= reserved_kept_.identities);
}

/// Reserves more before it is needed, so that nobody has to wait for it but in a flood of connections.
void ServerCore::extend_reservations() {
  if (!is_durable_) return;
  auto is_short = [](auto used, auto reserved, auto step) { return used + step / 2 > reserved; };
  bool has_enough = !is_short(last_tid().value, reserved_.transactions.value, kReserved.transactions.value) &&
                    !is_short(blocks_given_, reserved_.blocks, kReserved.blocks) &&
                    !is_short(own_identities_, reserved_.identities, kReserved.identities);
  if (has_enough) return;
  reserved_ = {TransactionId{last_tid().value + kReserved.transactions.value}, blocks_given_ + kReserved.blocks,
               own_identities_ + kReserved.identities};
  change_fact(kReservations);
}

/// What of the group in flight the store has to take.
DurableGroup ServerCore::durable_group() {
  DurableGroup group;
  group.previous = group.last = durable_tid_;
  std::map<ObjectId, size_t> positions;  // an object may be written by several members: the last one counts
  engine_.for_each_planned([&](const DecidedCommit& commit, const Table& table, ObjectId object, const Row& row) {
    if (&table == connection_table_) return;
    group.last = commit.tid;
    auto [at, is_new] = positions.try_emplace(object, group.rows.size());
    if (is_new) group.rows.push_back({table.id(), object, std::nullopt});
    std::optional<Bytes>& bytes = group.rows[at->second].row;
    bytes.reset();
    if (!row.is_tombstone) put_row_values(bytes.emplace(), row);
  });
  durable_tid_sent_ = group.last;
  for (const DecidedCommit& commit : engine_.group()) {
    auto committer = connections_.find(commit.request.connection);
    if (commit.verdict == Verdict::kAccepted && committer != connections_.end())
      group.commits.push_back({committer->second->session, commit.request.seq, commit.tid});
  }
  for (const std::string& name : std::exchange(changed_facts_, {})) {
    group.facts[name] = name == kCatalogue ? catalogue_.encoded() : encode(reserved_);
    if (name == kReservations) reserved_sent_ = reserved_;
    facts_in_flight_.insert(name);
  }
  return group;
}

// ---- the start

Status ServerCore::restore(const DurableState& state) {
  ODB_CHECK(connections_.empty() && catalogue_.type_count() == 0);
  is_durable_ = true;
  durable_tid_ = state.last;
  auto catalogue = state.facts.find(kCatalogue);
  if (catalogue != state.facts.end()) {
    Status status = catalogue_.restore(catalogue->second);
    if (!status.is_ok()) return damaged(status.message());
  }
  auto reservations = state.facts.find(kReservations);
  if (reservations != state.facts.end()) {
    std::optional<Reservations> found = decode_reservations(reservations->second);
    if (!found) return damaged("its reservations are none");
    reserved_ = reserved_sent_ = reserved_kept_ = *found;
  }
  if (state.last > reserved_.transactions) return damaged("it holds a transaction that was never reserved");
  blocks_given_ = reserved_.blocks;
  own_identities_ = reserved_.identities;
  find_connection_table();
  return Status::ok();
}

Status ServerCore::load(const std::vector<DurableRow>& rows) {
  ODB_CHECK(connections_.empty());
  Bytes bytes;
  store_.begin();
  Status status;
  for (const DurableRow& row : rows) {
    const Table* table = store_.table(row.type);
    bytes.clear();
    put_record_head(bytes, Op::kWhole, row.type, row.object);
    bytes.append(row.row.value_or(Bytes()));
    RecordReader reader(bytes);
    std::string name = "object " + std::to_string(row.object.value);
    bool is_row = table != nullptr && row.object.value > 0 && reader.next(scratch_record_) &&
                  scratch_record_.bytes.size() == bytes.size() && table->fits(scratch_record_);
    if (!is_row) {
      status = damaged(name + " is no row of its type");
    } else if (const Row* found = table->find(row.object, kLatest)) {
      Bytes before;
      put_row_values(before, *found);
      if (before != row.row) status = damaged(name + " is there twice, with different values");
    } else {
      status = store_.apply(scratch_record_);
    }
    if (!status.is_ok()) break;
  }
  store_.publish(store_.published().tid);
  return status;
}

void ServerCore::loaded() {
  engine_.start_above(reserved_.transactions);  // D12: numbers up to here may have been told to somebody
  extend_reservations();
}

}  // namespace odb
