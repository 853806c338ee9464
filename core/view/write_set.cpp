#include "core/view/write_set.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace odb {
namespace {

constexpr size_t kArenaBytesSpare = 64 << 20;  // room of values that became shorter, beside what is in proportion

}  // namespace

BytesView WriteSet::value(ObjectId object, FieldId field) const {
  auto found = by_object_.find(object);
  if (found == by_object_.end()) return {};
  const Write& write = writes_[found->second];
  if (field.value >= write.slot_count) return {};
  Slot slot = slots_[write.first_slot + field.value];
  return {arena_.data() + slot.offset, slot.size};
}

WriteSet::Write& WriteSet::touch(const Table& table, ObjectId object, State state_if_new) {
  auto [found, is_new] = by_object_.try_emplace(object, static_cast<uint32_t>(writes_.size()));
  ODB_CHECK(is_new || writes_[found->second].table == &table, object.value);
  if (is_new) {
    auto slot_count = static_cast<uint32_t>(table.layout().fields.size());
    writes_.push_back({&table, object, slots_.size(), slot_count, state_if_new});
    slots_.resize(slots_.size() + slot_count, Slot{0, 0, 0});
  }
  TableWrites& of_table = by_table_[&table];
  if (state_if_new == State::kCreated) of_table.created.push_back(object);
  // Writing the fields of one object in a row is one touch, unless a lookup has taken it in already.
  bool is_noted = of_table.touched.size() > of_table.folded && of_table.touched.back() == found->second;
  if (!is_noted) of_table.touched.push_back(found->second);
  return writes_[found->second];
}

void WriteSet::create(const Table& table, ObjectId object) {
  ODB_CHECK(!by_object_.contains(object), object.value);
  touch(table, object, State::kCreated);
}

void WriteSet::cancel(ObjectId object) {
  auto found = by_object_.find(object);
  ODB_CHECK(found != by_object_.end(), object.value);
  Write& write = writes_[found->second];
  if (write.state == State::kCancelled) return;
  ODB_CHECK(write.state == State::kCreated, object.value);
  write.state = State::kCancelled;
  ++cancelled_;
  by_table_[write.table].touched.push_back(found->second);
}

void WriteSet::write(const Table& table, ObjectId object, FieldId field, BytesView value) {
  Write& write = touch(table, object, State::kUpdated);
  if (field.value >= write.slot_count) {  // the type got fields since this object was first written here
    size_t first_slot = slots_.size();
    for (uint32_t i = 0; i <= field.value; ++i)
      slots_.push_back(i < write.slot_count ? slots_[write.first_slot + i] : Slot{0, 0, 0});
    write.first_slot = first_slot;
    write.slot_count = field.value + 1;
  }
  Slot& slot = slots_[write.first_slot + field.value];
  if (value.size() > slot.capacity) {
    // The first value gets just its size; one that grows gets twice what it had, so that the arena holds at most a few
    // times what is written in the end.
    size_t capacity = std::max(value.size(), 2 * size_t{slot.capacity});
    if (arena_.size() + capacity > 4 * (value_bytes_ + value.size()) + kArenaBytesSpare) [[unlikely]] {
      Bytes own(value);  // it may lie in the arena
      compact();
      arena_.reserve(arena_.size() + own.size());
      slot.offset = static_cast<uint32_t>(arena_.size());
      slot.capacity = static_cast<uint32_t>(own.size());
      arena_.append(own);
      value_bytes_ += own.size() - slot.size;
      slot.size = static_cast<uint32_t>(own.size());
      return;
    }
    ODB_CHECK(arena_.size() + capacity <= UINT32_MAX, arena_.size());
    slot.offset = static_cast<uint32_t>(arena_.size());
    slot.capacity = static_cast<uint32_t>(capacity);
    arena_.append(value);
    arena_.resize(slot.offset + capacity);
  } else {
    arena_.replace(slot.offset, value.size(), value);
  }
  value_bytes_ += value.size() - slot.size;
  slot.size = static_cast<uint32_t>(value.size());
}

/// Gives back the room of values that were overwritten by longer ones, or became shorter.
void WriteSet::compact() {
  Bytes arena;
  arena.reserve(value_bytes_);
  for (const Write& write : writes_) {
    for (uint32_t i = 0; i < write.slot_count; ++i) {
      Slot& slot = slots_[write.first_slot + i];
      BytesView value(arena_.data() + slot.offset, slot.size);
      slot.offset = static_cast<uint32_t>(arena.size());
      slot.capacity = slot.size;
      arena.append(value);
    }
  }
  arena_ = std::move(arena);
}

void WriteSet::erase(const Table& table, ObjectId object) {
  Write& write = touch(table, object, State::kDeleted);
  if (write.state == State::kCreated) {
    write.state = State::kCancelled;
    ++cancelled_;
  } else {
    write.state = State::kDeleted;
  }
}

// ---- lookups

Bytes WriteSet::key_now(const Write& write, IndexId index, Step step) const {
  Bytes key;
  if (write.state == State::kDeleted || write.state == State::kCancelled) return key;
  const Row* row = write.table->find(write.object, step);
  const TypeLayout& layout = write.table->layout();
  for (FieldId field : layout.indexes[index.value].fields) {
    BytesView value = this->value(write.object, field);
    if (value.empty() && row != nullptr) value = row->value(field);
    append_key(key, value.empty() ? BytesView(layout.fields[field.value].default_value) : value);
  }
  return key;
}

void WriteSet::fold(const Table& table, IndexId index, Step step, TableWrites& writes) {
  if (writes.overlays.size() <= index.value) writes.overlays.resize(table.layout().indexes.size());
  Overlay& overlay = writes.overlays[index.value];
  for (; overlay.folded < writes.touched.size(); ++overlay.folded) {
    const Write& write = writes_[writes.touched[overlay.folded]];
    Bytes key = key_now(write, index, step);
    auto [known, is_new] = overlay.key_of.try_emplace(write.object);
    if (!is_new && known->second == key) continue;
    if (!known->second.empty()) overlay.members[known->second].erase(write.object);
    if (!key.empty()) overlay.members[key].insert(write.object);
    known->second = std::move(key);
  }
  writes.folded = writes.touched.size();
}

namespace {

auto into(std::vector<ObjectId>& found, size_t limit) {
  return [&found, limit](ObjectId object) {
    found.push_back(object);
    return found.size() < limit;
  };
}

}  // namespace

void WriteSet::lookup(const Table& table, IndexId index, BytesView key, Step step, size_t limit,
                      std::vector<ObjectId>& found) {
  visit(table, index, key, step, into(found, limit));
}

void WriteSet::lookup_type(const Table& table, Step step, size_t limit, std::vector<ObjectId>& found) {
  visit_type(table, step, into(found, limit));
}

const std::vector<ObjectId>& WriteSet::sorted_creations(TableWrites& writes) {
  std::vector<ObjectId>& own = writes.created;
  auto middle = own.begin() + static_cast<std::ptrdiff_t>(writes.sorted);
  if (!std::is_sorted(middle == own.begin() ? middle : middle - 1, own.end())) {
    std::sort(middle, own.end());
    std::inplace_merge(own.begin(), middle, own.end());
  }
  writes.sorted = own.size();
  return own;
}

Bytes WriteSet::key_of(const Table& table, ObjectId object, IndexId index, Step step) const {
  if (const Write* write = find(table, object)) return key_now(*write, index, step);
  Bytes key;
  if (const Row* row = table.find(object, step)) table.append_index_key(key, index, *row);
  return key;
}

// ---- commit

void WriteSet::encode(std::vector<Bytes>& parts, size_t part_bytes) const {
  Bytes out;
  for (const Write& write : writes_) {
    const Slot* slots = slots_.data() + write.first_slot;
    auto put_slot = [&](const Slot& slot) { out.append(arena_, slot.offset, slot.size); };
    switch (write.state) {
      case State::kCreated:
        put_record_head(out, Op::kCreate, write.table->id(), write.object);
        put_varint(out, write.slot_count);
        for (uint32_t i = 0; i < write.slot_count; ++i) {
          if (slots[i].size == 0) {
            put_absent(out);
          } else {
            put_slot(slots[i]);
          }
        }
        break;
      case State::kUpdated:
        put_record_head(out, Op::kUpdate, write.table->id(), write.object);
        put_varint(out, static_cast<uint64_t>(
                            std::count_if(slots, slots + write.slot_count, [](Slot s) { return s.size > 0; })));
        for (uint32_t i = 0; i < write.slot_count; ++i) {
          if (slots[i].size == 0) continue;
          put_varint(out, i);
          put_slot(slots[i]);
        }
        break;
      case State::kDeleted: put_record_head(out, Op::kDelete, write.table->id(), write.object); break;
      case State::kCancelled:
      case State::kUntouched: break;
    }
    if (out.size() < part_bytes) continue;
    parts.push_back(std::move(out));
    out.clear();
  }
  if (!out.empty()) parts.push_back(std::move(out));
}

}  // namespace odb
