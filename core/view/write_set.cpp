#include "core/view/write_set.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace odb {

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
  if (is_new) {
    auto slot_count = static_cast<uint32_t>(table.layout().fields.size());
    writes_.push_back({&table, object, slots_.size(), slot_count, state_if_new});
    slots_.resize(slots_.size() + slot_count, Slot{0, 0});
  }
  TableWrites& of_table = by_table_[&table];
  if (state_if_new == State::kCreated) of_table.created.push_back(found->second);
  // Writing the fields of one object in a row is one touch, unless a lookup has taken it in already.
  bool is_noted = of_table.touched.size() > of_table.folded && of_table.touched.back() == found->second;
  if (!is_noted) of_table.touched.push_back(found->second);
  return writes_[found->second];
}

void WriteSet::create(const Table& table, ObjectId object) {
  ODB_CHECK(state(object) == State::kUntouched, object.value);
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
      slots_.push_back(i < write.slot_count ? slots_[write.first_slot + i] : Slot{0, 0});
    write.first_slot = first_slot;
    write.slot_count = field.value + 1;
  }
  ODB_CHECK(arena_.size() + value.size() <= UINT32_MAX, arena_.size());
  Slot& slot = slots_[write.first_slot + field.value];
  if (value.size() > slot.size) {
    slot.offset = static_cast<uint32_t>(arena_.size());
    arena_.append(value);
  } else {
    arena_.replace(slot.offset, value.size(), value);
  }
  slot.size = static_cast<uint32_t>(value.size());
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

void WriteSet::overlay_lookup(const Table& table, IndexId index, BytesView key, Step step,
                              std::vector<ObjectId>& found) {
  auto of_table = by_table_.find(&table);
  if (of_table == by_table_.end()) return;
  fold(table, index, step, of_table->second);
  const Overlay& overlay = of_table->second.overlays[index.value];
  std::erase_if(found, [&](ObjectId object) { return overlay.key_of.contains(object); });
  auto members = overlay.members.find(key);
  if (members == overlay.members.end() || members->second.empty()) return;
  auto middle = static_cast<std::ptrdiff_t>(found.size());
  found.insert(found.end(), members->second.begin(), members->second.end());
  std::inplace_merge(found.begin(), found.begin() + middle, found.end());
}

void WriteSet::overlay_type(const Table& table, std::vector<ObjectId>& found) {
  auto of_table = by_table_.find(&table);
  if (of_table == by_table_.end()) return;
  std::erase_if(found, [&](ObjectId object) { return state(object) == State::kDeleted; });
  auto middle = static_cast<std::ptrdiff_t>(found.size());
  for (uint32_t position : of_table->second.created) {
    if (writes_[position].state == State::kCreated) found.push_back(writes_[position].object);
  }
  std::sort(found.begin() + middle, found.end());
  std::inplace_merge(found.begin(), found.begin() + middle, found.end());
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
