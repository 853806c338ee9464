#include "core/store/store.h"

#include <algorithm>
#include <set>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace odb {
namespace {

constexpr size_t kScratchBytesKept = 1 << 20;
constexpr size_t kLongWalk = 16;  // rows: from so many on it is worth to remember what is done

}  // namespace

// ---- pins

Version Store::open() {
  ODB_CHECK(has_readers_);
  std::lock_guard lock(mutex_);
  if (pins_.empty() || pins_.back().version.step != published_.step) {
    pins_.push_back({published_, 1});
  } else {
    ++pins_.back().count;
  }
  return published_;
}

Result<Version> Store::open_at(TransactionId tid) {
  ODB_CHECK(has_readers_);
  std::lock_guard lock(mutex_);
  if (tid >= published_.tid) {
    if (pins_.empty() || pins_.back().version.step != published_.step) pins_.push_back({published_, 0});
    ++pins_.back().count;
    return published_;
  }
  for (auto pin = pins_.rbegin(); pin != pins_.rend(); ++pin) {
    if (pin->version.tid > tid) continue;
    ++pin->count;
    return pin->version;
  }
  return Status(Code::kSnapshotTooOld, "version " + std::to_string(tid.value) +
                                           " is no longer kept here: only versions that a view holds open, and the "
                                           "latest one (" +
                                           std::to_string(published_.tid.value) + "), are");
}

void Store::close(Step step) {
  std::lock_guard lock(mutex_);
  auto pin = std::find_if(pins_.rbegin(), pins_.rend(), [step](const Pin& p) { return p.version.step == step; });
  ODB_CHECK(pin != pins_.rend(), step.value);  // V2
  if (--pin->count == 0) pins_.erase(std::next(pin).base());
}

Version Store::published() const {
  std::lock_guard lock(mutex_);
  return published_;
}

bool Store::owns(ObjectId object) const {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(own_, [object](const auto& range) {
    return object >= range.first && object.value - range.first.value < range.second;
  });
}

void Store::add_own_identities(ObjectId begin, int64_t size) {
  std::lock_guard lock(mutex_);
  own_.emplace_back(begin, size);
}

const Table* Store::find_table(const std::string& qualified_name) const {
  std::lock_guard lock(mutex_);
  auto found = by_name_.find(qualified_name);
  return found == by_name_.end() ? nullptr : found->second;
}

// ---- the writer

Table& Store::define(TypeLayout layout) {
  ODB_CHECK(layout.id.value > 0);
  if (tables_.size() <= layout.id.value) tables_.resize(layout.id.value + 1);
  auto& table = tables_[layout.id.value];
  if (table == nullptr) {
    table = std::make_unique<Table>(std::move(layout));
    std::lock_guard lock(mutex_);
    by_name_.emplace(table->layout().qualified_name(), table.get());
  } else if (layout.indexes.size() == table->indexes_.size()) {
    table->extend(std::move(layout), Step{0}, {});
  } else {
    fill_new_indexes(*table, std::move(layout));
  }
  return *table;
}

/// D17: as a step of its own, so that older views are not shown half an index. What was made before takes no time.
void Store::fill_new_indexes(Table& table, TypeLayout layout) {
  size_t first_new = table.indexes_.size();
  begin();
  size_t counted = table.structure_bytes();
  std::vector<size_t> unfilled;
  for (size_t i = first_new; i < layout.indexes.size(); ++i) {
    IndexBuild::Parts parts = IndexBuild::parts_of(layout, layout.indexes[i]);
    auto made = std::ranges::find_if(table.builds_,
                                     [&](const auto& build) { return build->is_whole() && build->parts() == parts; });
    if (made == table.builds_.end()) {
      table.indexes_.push_back(std::make_unique<KeyIndex>());
      if (table.object_count() > 0 && !layout.indexes[i].fields.empty()) unfilled.push_back(i);
    } else {
      table.indexes_.push_back(std::move((*made)->index_));
      table.builds_.erase(made);
      --build_count_;
    }
  }
  for (size_t i : unfilled) table.indexes_[i]->start_at(making_, limbo_);
  table.extend(std::move(layout), making_, published().tid);
  if (!unfilled.empty()) {
    table.for_each(making_, [&](ObjectId object, const Row& row) {
      for (size_t i : unfilled) {
        key_after_.clear();
        table.append_index_key(key_after_, IndexId{static_cast<uint32_t>(i)}, row);
        table.indexes_[i]->insert_settled(key_after_, object, at_once_);
      }
      return true;
    });
  }
  bytes_ += table.structure_bytes() - counted;
  publish(published().tid);
}

// ---- indexes in the making

IndexBuild* Store::find_build(const Table& table, const IndexBuild::Parts& parts, bool is_unique) {
  auto found = std::ranges::find_if(
      table.builds_, [&](const auto& build) { return build->is_unique() == is_unique && build->parts() == parts; });
  return found == table.builds_.end() ? nullptr : found->get();
}

IndexBuild& Store::start_build(Table& table, IndexBuild::Parts parts, bool is_unique) {
  ++build_count_;
  return *table.builds_.emplace_back(std::make_unique<IndexBuild>(std::move(parts), is_unique));
}

bool Store::is_filling() const {
  return build_count_ > 0 && std::ranges::any_of(tables_, [](const auto& table) {
           return table != nullptr &&
                  std::ranges::any_of(table->builds_, [](const auto& build) { return !build->is_whole(); });
         });
}

bool Store::fill(size_t objects_max) {
  for (auto& table : tables_) {
    if (table == nullptr) continue;
    for (auto& build : table->builds_)
      if (!build->is_whole()) return fill(*build, *table, objects_max);
  }
  return false;
}

bool Store::fill(IndexBuild& build, Table& table, size_t objects_max) {
  ODB_CHECK(making_ == Step{0}, making_.value);
  size_t objects = 0, bytes = 0, counted = build.index().bytes();
  if (build.taken_ > 0)  // room for as many keys as there will be if it goes on like this: bit by bit it takes longer
    build.index_->reserve(build.index().key_count() * table.object_count() / build.taken_, build.at_once_);
  build.is_whole_ = true;
  table.tree_.for_each_from(build.next_, [&](ObjectId object, const Row* row) {
    if (objects == objects_max || bytes >= limits::kBackfillBytes) {
      build.next_ = object;
      return build.is_whole_ = false;
    }
    ++objects;
    if (row->is_tombstone) return true;
    key_after_.clear();
    build.append_key(key_after_, *row);
    bytes += key_after_.size();
    build.insert(*row, key_after_, object);
    return true;
  });
  build.taken_ += objects;
  bytes_ += build.index().bytes() - counted;
  return build.is_whole_;
}

void Store::drop_builds() {
  for (auto& table : tables_) {
    if (table == nullptr) continue;
    std::erase_if(table->builds_, [&](const auto& build) {
      if (build->is_wanted) return false;
      bytes_ -= build->index().bytes();
      --build_count_;
      return true;
    });
  }
}

void Store::record_changes(ChangeSet* changes) {
  ODB_CHECK(making_ == Step{0}, making_.value);
  changes_ = changes;
}

void Store::begin() {
  ODB_CHECK(making_ == Step{0}, making_.value);
  Step last = published().step;
  making_ = Step{last.value + 1};
  limbo_.start_bucket(last);
}

Status Store::apply(const Record& record) {
  ODB_CHECK(making_ != Step{0});
  Table* table = this->table(record.type);
  if (table == nullptr)
    return protocol_error("record of type " + std::to_string(record.type.value) + ", not known here");
  const Row* before = table->find(record.object, making_);
  auto does_not_fit = [&](const char* what) {
    return protocol_error(table->layout().qualified_name() + "(" + std::to_string(record.object.value) + ") " + what);
  };
  switch (record.op) {
    case Op::kCreate:
      if (before != nullptr) return does_not_fit("is created although it exists");
      [[fallthrough]];
    case Op::kWhole: link(*table, record.object, before, Row::of(making_, record.fields)); break;
    case Op::kUpdate:
      if (before == nullptr) return does_not_fit("is written although it does not exist");
      link(*table, record.object, before, Row::merge(making_, *before, record.fields));
      break;
    case Op::kDelete:
      if (before == nullptr) return does_not_fit("is deleted although it does not exist");
      link(*table, record.object, before, Row::tombstone(making_));
      break;
  }
  if (changes_ != nullptr) [[unlikely]]
    note(record, *table, before == nullptr);
  return Status::ok();
}

void Store::note_entry(const Table& table, ObjectId object) {
  Bytes exists;
  put_bool(exists, true);
  changes_->write(table.id(), object, ChangeSet::kExistence, exists);
  changes_->join(table.id(), ChangeSet::kTypeSet, {}, object);
}

void Store::note(const Record& record, const Table& table, bool is_new) {
  const std::vector<FieldLayout>& fields = table.layout().fields;
  if (record.op == Op::kDelete) {
    changes_->write(table.id(), record.object, ChangeSet::kExistence, {});
    changes_->leave(table.id(), ChangeSet::kTypeSet, {}, record.object);
    for (uint32_t i = 0; i < fields.size(); ++i) changes_->write(table.id(), record.object, FieldId{i}, {});
    return;
  }
  if (is_new) note_entry(table, record.object);
  for (const FieldValue& each : record.fields) {
    if (each.field.value >= fields.size()) continue;  // of a definition that is newer than this one
    const Bytes& otherwise = fields[each.field.value].default_value;
    changes_->write(table.id(), record.object, each.field, each.value.empty() ? BytesView(otherwise) : each.value);
  }
}

void Store::put(Table& table, ObjectId object, Row* row) {
  ODB_CHECK(making_ != Step{0});
  row->step = making_;
  const Row* before = table.find(object, making_);
  link(table, object, before, row);
  if (changes_ == nullptr) return;
  if (before == nullptr) note_entry(table, object);
  for (uint32_t i = 0; i < table.layout().fields.size(); ++i)
    changes_->write(table.id(), object, FieldId{i}, table.value_of(*row, FieldId{i}));
}

void Store::link(Table& table, ObjectId object, const Row* before, Row* after) {
  if (table.touching_ != making_) {
    table.touching_ = making_;
    touched_.push_back(&table);
  }
  size_t counted = table.structure_bytes() + Row::live_bytes(before);
  after->changes_keys = update_indexes(table, object, before, after);
  table.object_count_ += (after->is_tombstone ? 0 : 1) - (before == nullptr ? 0 : 1);
  link_row(table, object, after);
  bytes_ += table.structure_bytes() + Row::live_bytes(after) - counted;
}

void Store::link_row(Table& table, ObjectId object, Row* after) {
  Row* head = table.tree_.head(object);
  if (head != nullptr && head->step == making_) {  // written twice in one step: only the last one is history
    after->older.store(head->older.load(std::memory_order_relaxed), std::memory_order_relaxed);
    table.tree_.replace(object, after);
    if (after->is_tombstone || (after->changes_keys && !head->changes_keys)) add_stale(table, object);
    after->changes_keys |= head->changes_keys;
    limbo_.add(head, Row::destroy);
    return;
  }
  ODB_CHECK(head == nullptr || head->step < making_);  // V4
  table.tree_.push(object, after);
  if (head != nullptr || after->is_tombstone || after->changes_keys) add_stale(table, object);
}

void Store::add_stale(Table& table, ObjectId object) {
  if (!stale_.empty()) {
    Stale& last = stale_.back();
    if (last.since == making_ && last.table == &table && object.value - last.first.value == last.count) {
      ++last.count;
      return;
    }
  }
  stale_.push_back({making_, &table, object, 1});
}

/// Whether no view will read this index before the step begun is published.
bool Store::is_unread(const KeyIndex& index) const { return !has_readers_ || index.readable_from() == making_; }

/// True when members have to be settled for it later.
bool Store::update_indexes(Table& table, ObjectId object, const Row* before, const Row* after) {
  bool is_to_settle = false;
  const auto& indexes = table.indexes_;
  for (uint32_t i = 0; i < indexes.size(); ++i) {
    KeyIndex& index = *indexes[i];
    key_before_.clear();
    key_after_.clear();
    if (before != nullptr) table.append_index_key(key_before_, IndexId{i}, *before);
    if (!after->is_tombstone) table.append_index_key(key_after_, IndexId{i}, *after);
    if (key_before_ == key_after_) continue;  // no key is empty, so this also tells none from some
    if (has_readers_ && index.key_count() == 0 && !is_unread(index)) index.start_at(making_, limbo_);
    bool is_settled = is_unread(index);
    is_to_settle |= !is_settled;
    if (before != nullptr) {
      if (is_settled) {
        index.erase(key_before_, object, at_once_);
      } else {
        index.remove(key_before_, object, making_, limbo_);
      }
      if (changes_ != nullptr) changes_->leave(table.id(), IndexId{i}, key_before_, object);
    }
    if (after->is_tombstone) continue;
    if (is_settled) {
      index.insert_settled(key_after_, object, at_once_);
    } else {
      index.insert(key_after_, object, making_, limbo_);
    }
    if (changes_ != nullptr) changes_->join(table.id(), IndexId{i}, key_after_, object);
  }
  for (const auto& build : table.builds_) {
    if (!build->holds(object)) continue;
    key_before_.clear();
    key_after_.clear();
    if (before != nullptr) build->append_key(key_before_, *before);
    if (!after->is_tombstone) build->append_key(key_after_, *after);
    if (key_before_ == key_after_) continue;
    if (before != nullptr) build->erase(key_before_, object);
    if (!after->is_tombstone) build->insert(*after, key_after_, object);
  }
  return is_to_settle;
}

void Store::adopt(Staging& staging) {
  ODB_CHECK(making_ != Step{0});
  Table* table = this->table(staging.table_.id());
  ODB_CHECK(table == &staging.table_);
  ChangeSet* changes = std::exchange(changes_, nullptr);  // nothing has changed: it is only known from now on
  staging.tree_.take_all([&](ObjectId object, Row* row) { put(*table, object, row); });
  changes_ = changes;
  staging.object_count_ = 0;
}

/// Keeps bytes() true over f(), which changes what leads to the rows of a table.
template <class F>
void Store::counted(const Table& table, F&& f) {
  size_t before = table.structure_bytes();
  f();
  bytes_ += table.structure_bytes() - before;
}

void Store::cover_type(Table& table) {
  ODB_CHECK(making_ != Step{0});
  if (!table.is_complete_at(making_)) table.complete_from_.store(making_, std::memory_order_release);
  table.join();
}

void Store::cover_key(Table& table, IndexId index, BytesView key) {
  ODB_CHECK(making_ != Step{0});
  counted(table, [&] { table.coverage_.add_key(index, key, making_, limbo_); });
  table.join();
}

void Store::cover_object(Table& table, ObjectId object) {
  ODB_CHECK(making_ != Step{0});
  if (table.find(object, making_) == nullptr)
    counted(table, [&] { table.coverage_.add_object(object, making_, limbo_); });
  table.join();
}

void Store::remember_deleted(Table& table, ObjectId object) {
  ODB_CHECK(making_ != Step{0});
  std::optional<ObjectId> forgotten;
  counted(table, [&] { forgotten = table.coverage_.add_deleted(object, making_, limbo_); });
  if (forgotten) forgotten_.push_back({making_, &table, *forgotten});
}

void Store::publish(TransactionId tid) {
  ODB_CHECK(making_ != Step{0});
  Step floor, oldest_open = kNever;
  {
    std::lock_guard lock(mutex_);
    ODB_CHECK(tid >= published_.tid, tid.value, published_.tid.value);  // C3
    floor = pins_.empty() ? published_.step : std::min(pins_.front().version.step, published_.step);
  }
  cut(floor);
  {
    std::lock_guard lock(mutex_);
    published_ = {making_, tid};
    if (!pins_.empty()) oldest_open = pins_.front().version.step;
  }
  making_ = Step{0};
  for (Table* table : touched_) table->touched_at_.store(tid, std::memory_order_release);
  touched_.clear();
  limbo_.free_below(oldest_open);
  for (Bytes* key : {&key_before_, &key_after_})
    if (key->capacity() > kScratchBytesKept) *key = {};
}

void Store::advance(TransactionId tid) {
  ODB_CHECK(making_ == Step{0});
  std::lock_guard lock(mutex_);
  if (tid > published_.tid) published_.tid = tid;
}

void Store::trim() {
  ODB_CHECK(making_ == Step{0});
  auto oldest_open = [this](Step otherwise) {
    std::lock_guard lock(mutex_);
    return pins_.empty() ? otherwise : pins_.front().version.step;
  };
  Step last = published().step;
  limbo_.start_bucket(last);
  cut(oldest_open(last));
  limbo_.free_below(oldest_open(kNever));
}

void Store::cut(Step floor) {
  for (; !forgotten_.empty() && forgotten_.front().since <= floor; forgotten_.pop_front()) {
    Table& table = *forgotten_.front().table;
    counted(table, [&] { table.coverage_.expire(forgotten_.front().object, floor, limbo_); });
  }
  // The first time that an object is met does all of it. To find that out anew for each of its steps would take the
  // square of their number, where many of them follow the floor.
  std::set<std::pair<const Table*, ObjectId>> walked;
  for (; !stale_.empty() && stale_.front().since <= floor; stale_.pop_front()) {
    const Stale& stale = stale_.front();
    counted(*stale.table, [&] {
      for (int64_t i = 0; i < stale.count; ++i) {
        ObjectId object{stale.first.value + i};
        if (!walked.empty() && walked.contains({stale.table, object})) continue;
        if (cut_chain(*stale.table, object, stale.since, floor) >= kLongWalk) walked.emplace(stale.table, object);
      }
    });
  }
}

/// `since`: the step of the object's first row that this was not done for yet. Gives how many rows follow the floor.
size_t Store::cut_chain(Table& table, ObjectId object, Step since, Step floor) {
  Row* head = table.tree_.head(object);
  Row* oldest = head;
  size_t walked = 0;
  for (; oldest != nullptr && oldest->step > floor; ++walked) oldest = oldest->older.load(std::memory_order_relaxed);
  if (oldest == nullptr) return walked;
  bool have_keys_changed = false;
  for (const Row* row = oldest; row != nullptr && row->step >= since; row = row->older.load(std::memory_order_relaxed))
    have_keys_changed |= row->changes_keys;
  Row* dead = oldest->older.exchange(nullptr, std::memory_order_acq_rel);
  if (have_keys_changed) expire_keys(table, object, *oldest, dead, since, floor);
  add_rows_to_limbo(dead);
  if (oldest->is_tombstone && oldest == head) {
    table.tree_.remove(object, limbo_);
    limbo_.add(oldest, Row::destroy);
  }
  return walked;
}

/// Of the `oldest` row that can still be read, and of those behind it. An index that has the same key for all of them, and
/// for one that this was done for before, has nothing to expire.
void Store::expire_keys(Table& table, ObjectId object, const Row& oldest, const Row* dead, Step since, Step floor) {
  for (uint32_t i = 0; i < table.indexes_.size(); ++i) {
    std::set<Bytes, std::less<>> expired;
    size_t expired_count = 0;
    auto find_key = [&](Bytes& key, const Row& row) {
      key.clear();
      if (!row.is_tombstone) table.append_index_key(key, IndexId{i}, row);
    };
    auto expire = [&](BytesView key) {
      if (key.empty()) return;  // the index was dropped, or it is a tombstone
      if (++expired_count > kLongWalk && !expired.emplace(key).second) return;  // between few keys, to and fro
      table.indexes_[i]->expire(key, object, floor, limbo_);
    };
    find_key(key_after_, oldest);
    bool is_expired = false;
    Step last = oldest.step;
    for (const Row* row = dead; row != nullptr; row = row->older.load(std::memory_order_relaxed)) {
      find_key(key_before_, *row);
      last = row->step;
      if (key_before_ == key_after_) continue;
      expire(key_after_);
      is_expired = true;
      std::swap(key_before_, key_after_);
    }
    if (is_expired || last >= since) expire(key_after_);
  }
}

void Store::add_rows_to_limbo(Row* row) {
  while (row != nullptr) {
    Row* older = row->older.load(std::memory_order_relaxed);
    limbo_.add(row, Row::destroy);
    row = older;
  }
}

void Store::check() const {
  ODB_CHECK(making_ == Step{0});
  std::set<std::pair<const Table*, ObjectId>> stale;
  for (const Stale& run : stale_)
    for (int64_t i = 0; i < run.count; ++i) stale.emplace(run.table, ObjectId{run.first.value + i});
  size_t bytes = 0;
  for (const auto& table : tables_) {
    if (table == nullptr) continue;
    size_t live = 0;
    bytes += table->structure_bytes();
    std::vector<std::set<std::pair<Bytes, ObjectId>>> expected(table->indexes_.size());
    table->tree_.for_each([&](ObjectId object, const Row* row) {
      if (!row->is_tombstone) {
        ++live;
        bytes += Row::live_bytes(row);
        for (uint32_t i = 0; i < expected.size(); ++i) {
          Bytes key;
          table->append_index_key(key, IndexId{i}, *row);
          if (!key.empty()) expected[i].emplace(std::move(key), object);  // an index that was dropped has no keys
        }
      }
      bool is_history = row->is_tombstone || row->older.load(std::memory_order_relaxed) != nullptr;
      ODB_CHECK(!is_history || stale.contains({table.get(), object}), object.value);  // or it would be kept for ever
      for (Step newer = kNever; row != nullptr; row = row->older.load(std::memory_order_relaxed)) {
        ODB_CHECK(row->step < newer, object.value);  // V4
        newer = row->step;
      }
      return true;
    });
    ODB_CHECK(live == table->object_count_, live, table->object_count_);
    for (const auto& build : table->builds_) check_build(*table, *build);
    for (uint32_t i = 0; i < expected.size(); ++i) {
      size_t members = 0;
      table->indexes_[i]->for_each_word([&](BytesView key, ObjectId object, bool is_settled) {
        bool is_member = expected[i].contains({Bytes(key), object});
        members += is_member ? 1 : 0;
        ODB_CHECK(is_member || !is_settled, object.value);                             // S2
        ODB_CHECK(is_settled || stale.contains({table.get(), object}), object.value);  // or it would never be settled
      });
      ODB_CHECK(members == expected[i].size(), members, expected[i].size());  // S2
    }
  }
  ODB_CHECK(bytes == bytes_, bytes, bytes_);
}

/// S2, as far as it is made.
void Store::check_build(const Table& table, const IndexBuild& build) const {
  size_t expected = 0, members = 0;
  table.for_each(kNever, [&](ObjectId object, const Row&) {
    expected += build.holds(object) ? 1 : 0;
    return true;
  });
  build.index().for_each_word([&](BytesView key, ObjectId object, bool is_settled) {
    ++members;
    ODB_CHECK(is_settled, object.value);
    const Row* row = table.find(object, kNever);
    ODB_CHECK(row != nullptr, object.value);
    Bytes key_now;
    build.append_key(key_now, *row);
    ODB_CHECK(build.holds(object), object.value);
    ODB_CHECK(key_now == key, object.value);
  });
  ODB_CHECK(members == expected, members, expected);
}

// ---- staging

void Staging::put(const Record& record) {
  erase(record.object);
  tree_.push(record.object, Row::of(Step{0}, record.fields));
  ++object_count_;
}

void Staging::update(const Record& record) {
  const Row* before = tree_.head(record.object);
  if (before == nullptr) return;
  Row* after = Row::merge(Step{0}, *before, record.fields);
  erase(record.object);
  tree_.push(record.object, after);
  ++object_count_;
}

void Staging::erase(ObjectId object) {
  if (Row* row = take(object)) Row::destroy(row);
}

Row* Staging::take(ObjectId object) {
  Row* row = tree_.head(object);
  if (row == nullptr) return nullptr;
  Limbo at_once;  // nobody reads here: nodes are freed on return
  tree_.remove(object, at_once);
  --object_count_;
  return row;
}

}  // namespace odb
