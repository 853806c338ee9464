/// One index of one type: key bytes -> the objects that have this key, by identity, versioned by step (S2).
///
///   slots      open addressing; a slot is empty, a removed mark, or a Key that never moves
///   Key        hash, key bytes, and its entries: one entry lives in the Key itself; from the second on they are in
///              an EntryList, an array of chunks, each an array of up to 128 entries in ascending (object, from)
///   Entry      object, from, to: a member for every step with from <= step < to
///
/// Worked example: object 7 gets key k at step 3, loses it at step 5 and gets it again at step 6:
///   Key k: (7, 3, 5) (7, 6, never).  A view at 4 finds 7 by the first entry, at 5 nothing, at 6 by the second.
///
/// Changes in place are two only: an entry is appended behind the count, or its `to` is set. All else is copied,
/// published with release, and the old memory goes to limbo.
/// Thread safety: one writer; readers of pinned steps take no lock.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/store/limbo.h"

namespace odb {

class KeyIndex {
 public:
  KeyIndex() = default;
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;
  ~KeyIndex();

  /// Calls f(object) for every member of `key` at `step` with identity >= from, ascending, until f returns false.
  template <class F>
  void for_each(BytesView key, Step step, F&& f, ObjectId from = ObjectId{0}) const {
    const Key* found = find(key, hash_of(key));
    if (found == nullptr) return;
    const EntryList* list = found->more.load(std::memory_order_acquire);
    if (list == nullptr) {
      if (found->first.object >= from && found->first.is_member(step)) f(found->first.object);
      return;
    }
    uint32_t chunks = list->count.load(std::memory_order_acquire);
    for (uint32_t c = 0; c < chunks; ++c) {
      const Chunk* chunk = list->chunks()[c].load(std::memory_order_acquire);
      uint32_t count = chunk->count.load(std::memory_order_acquire);
      const Entry* entries = chunk->entries();
      if (count == 0 || entries[count - 1].object < from) continue;
      for (uint32_t i = 0; i < count; ++i) {
        if (entries[i].object >= from && entries[i].is_member(step) && !f(entries[i].object)) return;
      }
    }
  }

  /// Calls f(key bytes, object) for every member at `step`, in no order. For check() and tools.
  template <class F>
  void for_each_member(Step step, F&& f) const;

  // -- the writer
  /// REQUIRES: `object` is not a member of `key` now.
  void insert(BytesView key, ObjectId object, Step step, Limbo& limbo);
  /// REQUIRES: `object` is a member of `key` now. The entry stays until expire().
  void remove(BytesView key, ObjectId object, Step step);
  /// After remove(), once every view is at a step >= floor: makes room by unlinking entries with `to` <= floor near
  /// this one. To be called once for every remove(); an entry may wait until its chunk is half dead.
  void expire(BytesView key, ObjectId object, Step floor, Limbo& limbo);

  /// Makes room for so many keys, so that insert() need not move those that are here when they become many: for a
  /// million that takes 20 ms.
  void reserve(size_t keys, Limbo& limbo);

  /// About what one more member of `key` will add to bytes().
  size_t entry_bytes(BytesView key) const {
    constexpr size_t kSlot = 2 * sizeof(std::atomic<Key*>);  // slots are half empty
    return find(key, hash_of(key)) != nullptr ? 2 * sizeof(Entry) : allocated_bytes(sizeof(Key) + key.size()) + kSlot;
  }

  size_t key_count() const { return used_; }
  /// Of memory that is linked in; what is in limbo does not count.
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    ObjectId object;
    Step from;
    std::atomic<Step> to;

    Entry(ObjectId object_, Step from_, Step to_) : object(object_), from(from_), to(to_) {}
    Entry(const Entry& other) : Entry(other.object, other.from, other.to.load(std::memory_order_relaxed)) {}
    bool is_member(Step step) const { return from <= step && step < to.load(std::memory_order_acquire); }
  };

  struct Chunk {  // entries follow in memory
    std::atomic<uint32_t> count;
    uint32_t capacity;
    Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
    const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
  };

  struct EntryList {  // chunk pointers follow in memory
    std::atomic<uint32_t> count;
    uint32_t capacity;
    std::atomic<Chunk*>* chunks() { return reinterpret_cast<std::atomic<Chunk*>*>(this + 1); }
    const std::atomic<Chunk*>* chunks() const { return reinterpret_cast<const std::atomic<Chunk*>*>(this + 1); }
  };

  struct Key {  // key bytes follow in memory
    uint32_t hash;
    uint32_t size;
    Entry first;
    std::atomic<EntryList*> more;
    BytesView bytes() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };

  struct alignas(std::atomic<Key*>) Slots {  // mask + 1 slots follow in memory
    uint32_t mask;
    std::atomic<Key*>* at() { return reinterpret_cast<std::atomic<Key*>*>(this + 1); }
    const std::atomic<Key*>* at() const { return reinterpret_cast<const std::atomic<Key*>*>(this + 1); }
  };

  static constexpr uint32_t kChunkEntriesMax = 128;

  static uint32_t hash_of(BytesView key) { return static_cast<uint32_t>(hash_bytes(key)); }
  static Key* removed_mark() { return reinterpret_cast<Key*>(uintptr_t{1}); }
  static bool is_key(const Key* slot) { return reinterpret_cast<uintptr_t>(slot) > 1; }

  const Key* find(BytesView key, uint32_t hash) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    if (slots == nullptr) return nullptr;
    for (uint32_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
      const Key* slot = slots->at()[i].load(std::memory_order_acquire);
      if (slot == nullptr) return nullptr;
      if (is_key(slot) && slot->hash == hash && slot->bytes() == key) return slot;
    }
  }

  Key* new_key(BytesView key, uint32_t hash, ObjectId object, Step step);
  Chunk* new_chunk(uint32_t capacity);
  EntryList* new_list(uint32_t capacity);
  Slots* new_slots(uint32_t size);
  void* allocate(size_t bytes);
  static size_t size_of(const Key& key) { return sizeof(Key) + key.size; }
  static size_t size_of(const Chunk& chunk) { return sizeof(Chunk) + chunk.capacity * sizeof(Entry); }
  static size_t size_of(const EntryList& list) {
    return sizeof(EntryList) + list.capacity * sizeof(std::atomic<Chunk*>);
  }
  static size_t size_of(const Slots& slots) {
    return sizeof(Slots) + (size_t{slots.mask} + 1) * sizeof(std::atomic<Key*>);
  }
  template <class Head>
  static void free_block(void* block);
  template <class Head>
  void retire(Head* block, Limbo& limbo);
  static void append(Chunk& chunk, const Entry& entry);

  std::atomic<Key*>* slot_of(const Key* key);
  void add_key(Key* key, Limbo& limbo);
  void drop_key(Key* key, Limbo& limbo);
  Slots* move_to_slots(uint32_t size, Limbo& limbo);
  void insert_entry(Key& key, ObjectId object, Step step, Limbo& limbo);
  void replace_chunk(Key& key, uint32_t index, Chunk* first, Chunk* second, Limbo& limbo);
  template <class F>
  static bool find_chunk(EntryList& list, ObjectId object, F&& f);
  bool thin_out(Key& key, uint32_t index, Step floor, Limbo& limbo);

  std::atomic<Slots*> slots_{nullptr};
  uint32_t used_ = 0;   // writer only: keys
  uint32_t marks_ = 0;  // writer only: removed marks
  size_t bytes_ = 0;    // writer only
};

template <class F>
void KeyIndex::for_each_member(Step step, F&& f) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return;
  for (uint32_t i = 0; i <= slots->mask; ++i) {
    const Key* key = slots->at()[i].load(std::memory_order_acquire);
    if (!is_key(key)) continue;
    for_each(key->bytes(), step, [&](ObjectId object) {
      f(key->bytes(), object);
      return true;
    });
  }
}

}  // namespace odb
