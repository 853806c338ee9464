#include "core/store/key_index.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "core/base/check.h"

namespace odb {

template <class Head>
void KeyIndex::free_block(void* block) {
  static_cast<Head*>(block)->~Head();
  if constexpr (std::is_same_v<Head, Slots>) {
    std::free(block);
  } else {
    ::operator delete(block);
  }
}

/// Takes a block that was unlinked out of the count.
template <class Head>
void KeyIndex::retire(Head* block, Limbo& limbo) {
  bytes_ -= allocated_bytes(size_of(*block));
  limbo.add(block, free_block<Head>);
}

void* KeyIndex::allocate(size_t bytes) {
  void* memory = ::operator new(bytes);
  bytes_ += allocated_bytes(bytes);
  return memory;
}

KeyIndex::~KeyIndex() {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr) return;
  for (uint32_t i = 0; i <= slots->mask; ++i) {
    Key* key = slots->at()[i].load(std::memory_order_relaxed);
    if (!is_key(key)) continue;
    if (EntryList* list = key->more.load(std::memory_order_relaxed)) {
      for (uint32_t c = 0; c < list->count.load(std::memory_order_relaxed); ++c)
        free_block<Chunk>(list->chunks()[c].load(std::memory_order_relaxed));
      free_block<EntryList>(list);
    }
    free_block<Key>(key);
  }
  free_block<Slots>(slots);
}

KeyIndex::Key* KeyIndex::new_key(BytesView key, uint32_t hash, ObjectId object, Step step) {
  void* memory = allocate(sizeof(Key) + key.size());
  Key* made = new (memory) Key{hash, static_cast<uint32_t>(key.size()), Entry(object, step, kNever), nullptr};
  std::memcpy(static_cast<void*>(made + 1), key.data(), key.size());
  return made;
}

KeyIndex::Chunk* KeyIndex::new_chunk(uint32_t capacity) {
  return new (allocate(sizeof(Chunk) + capacity * sizeof(Entry))) Chunk{0, capacity};
}

KeyIndex::EntryList* KeyIndex::new_list(uint32_t capacity) {
  void* memory = allocate(sizeof(EntryList) + capacity * sizeof(std::atomic<Chunk*>));
  auto* list = new (memory) EntryList{0, capacity};
  for (uint32_t i = 0; i < capacity; ++i) new (&list->chunks()[i]) std::atomic<Chunk*>(nullptr);
  return list;
}

KeyIndex::Slots* KeyIndex::new_slots(uint32_t size) {
  // Zeroed memory is empty slots, and much of it comes so from the system, page by page as it is used: to write it all
  // at once would take milliseconds.
  static_assert(std::atomic<Key*>::is_always_lock_free && sizeof(std::atomic<Key*>) == sizeof(Key*));
  size_t bytes = sizeof(Slots) + size * sizeof(std::atomic<Key*>);
  void* memory = std::calloc(1, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  bytes_ += allocated_bytes(bytes);
  return new (memory) Slots{size - 1};
}

void KeyIndex::append(Chunk& chunk, const Entry& entry) {
  uint32_t count = chunk.count.load(std::memory_order_relaxed);
  ODB_CHECK(count < chunk.capacity, count);
  new (&chunk.entries()[count]) Entry(entry);
  chunk.count.store(count + 1, std::memory_order_release);
}

void KeyIndex::insert(BytesView key, ObjectId object, Step step, Limbo& limbo) {
  ODB_CHECK(key.size() <= UINT32_MAX, key.size());
  uint32_t hash = hash_of(key);
  auto* found = const_cast<Key*>(find(key, hash));
  if (found == nullptr) {
    add_key(new_key(key, hash, object, step), limbo);
  } else {
    insert_entry(*found, object, step, limbo);
  }
}

void KeyIndex::add_key(Key* key, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  uint64_t taken = uint64_t{used_} + marks_ + 1;
  if (slots == nullptr || taken * 3 > uint64_t{slots->mask} * 2) {  // at most two thirds taken
    slots = move_to_slots(std::max<uint32_t>(8, std::bit_ceil(2 * used_ + 2)), limbo);
  }
  uint32_t at = key->hash & slots->mask;
  while (is_key(slots->at()[at].load(std::memory_order_relaxed))) at = (at + 1) & slots->mask;
  if (slots->at()[at].load(std::memory_order_relaxed) == removed_mark()) --marks_;
  slots->at()[at].store(key, std::memory_order_release);
  ++used_;
}

void KeyIndex::reserve(size_t keys, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  keys = std::min<size_t>(keys, uint32_t{1} << 29);
  bool is_enough = slots != nullptr && keys * 3 <= uint64_t{slots->mask} * 2;
  if (!is_enough) move_to_slots(std::max<uint32_t>(8, std::bit_ceil(static_cast<uint32_t>(keys * 3 / 2 + 2))), limbo);
}

KeyIndex::Slots* KeyIndex::move_to_slots(uint32_t size, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  Slots* larger = new_slots(size);
  for (uint32_t i = 0; slots != nullptr && i <= slots->mask; ++i) {
    Key* moved = slots->at()[i].load(std::memory_order_relaxed);
    if (!is_key(moved)) continue;
    uint32_t at = moved->hash & larger->mask;
    while (larger->at()[at].load(std::memory_order_relaxed) != nullptr) at = (at + 1) & larger->mask;
    larger->at()[at].store(moved, std::memory_order_relaxed);
  }
  slots_.store(larger, std::memory_order_release);
  if (slots != nullptr) retire(slots, limbo);
  marks_ = 0;
  return larger;
}

std::atomic<KeyIndex::Key*>* KeyIndex::slot_of(const Key* key) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  uint32_t at = key->hash & slots->mask;
  while (slots->at()[at].load(std::memory_order_relaxed) != key) at = (at + 1) & slots->mask;
  return &slots->at()[at];
}

void KeyIndex::drop_key(Key* key, Limbo& limbo) {
  slot_of(key)->store(removed_mark(), std::memory_order_release);
  --used_;
  ++marks_;
  retire(key, limbo);
}

void KeyIndex::insert_entry(Key& key, ObjectId object, Step step, Limbo& limbo) {
  Entry added(object, step, kNever);
  EntryList* list = key.more.load(std::memory_order_relaxed);
  if (list == nullptr) {  // the second entry: both move into a list, and the one in the Key is history
    Chunk* chunk = new_chunk(4);
    bool is_behind = key.first.object <= object;
    append(*chunk, is_behind ? key.first : added);
    append(*chunk, is_behind ? added : key.first);
    EntryList* made = new_list(2);
    made->chunks()[0].store(chunk, std::memory_order_relaxed);
    made->count.store(1, std::memory_order_relaxed);
    key.more.store(made, std::memory_order_release);
    return;
  }
  // The chunk it belongs to: the last one whose first object is <= object, or the very first.
  uint32_t chunks = list->count.load(std::memory_order_relaxed);
  auto starts_behind = [object](const std::atomic<Chunk*>& chunk) {
    return object < chunk.load(std::memory_order_relaxed)->entries()[0].object;
  };
  auto* begin = list->chunks();
  auto* behind = std::partition_point(begin, begin + chunks, [&](const auto& chunk) { return !starts_behind(chunk); });
  auto index = static_cast<uint32_t>(behind == begin ? 0 : behind - begin - 1);
  Chunk* chunk = begin[index].load(std::memory_order_relaxed);
  uint32_t count = chunk->count.load(std::memory_order_relaxed);
  const Entry* entries = chunk->entries();
  auto at =
      static_cast<uint32_t>(std::upper_bound(entries, entries + count, object,
                                             [](ObjectId left, const Entry& entry) { return left < entry.object; }) -
                            entries);
  if (at == count && count < chunk->capacity) return append(*chunk, added);
  if (at == count && index + 1 == chunks && count == kChunkEntriesMax) {  // ascending identities: a fresh last chunk
    Chunk* last = new_chunk(kChunkEntriesMax);
    append(*last, added);
    if (chunks < list->capacity) {
      list->chunks()[chunks].store(last, std::memory_order_release);
      list->count.store(chunks + 1, std::memory_order_release);
      return;
    }
    EntryList* longer = new_list(2 * chunks);
    for (uint32_t c = 0; c < chunks; ++c)
      longer->chunks()[c].store(begin[c].load(std::memory_order_relaxed), std::memory_order_relaxed);
    longer->chunks()[chunks].store(last, std::memory_order_relaxed);
    longer->count.store(chunks + 1, std::memory_order_relaxed);
    key.more.store(longer, std::memory_order_release);
    retire(list, limbo);
    return;
  }
  bool is_split = count == kChunkEntriesMax;
  uint32_t left_count = is_split ? count / 2 : count;
  uint32_t capacity = is_split ? kChunkEntriesMax : std::min(kChunkEntriesMax, std::max(4u, 2 * count));
  Chunk* left = new_chunk(capacity);
  Chunk* right = is_split ? new_chunk(capacity) : nullptr;
  for (uint32_t i = 0; i <= count; ++i) {
    bool goes_left = !is_split || i < left_count || (i == left_count && at <= left_count);
    const Entry& entry = i < at ? entries[i] : i == at ? added : entries[i - 1];
    append(goes_left ? *left : *right, entry);
  }
  replace_chunk(key, index, left, right, limbo);
}

/// Puts `first` and `second` (either may be missing) in the place of one chunk.
void KeyIndex::replace_chunk(Key& key, uint32_t index, Chunk* first, Chunk* second, Limbo& limbo) {
  EntryList* list = key.more.load(std::memory_order_relaxed);
  auto* chunks = list->chunks();
  retire(chunks[index].load(std::memory_order_relaxed), limbo);
  if (first != nullptr && second == nullptr) return chunks[index].store(first, std::memory_order_release);
  uint32_t count = list->count.load(std::memory_order_relaxed);
  EntryList* made = new_list(std::max(2u, count + (count + 3) / 4));
  uint32_t to = 0;
  for (uint32_t c = 0; c < count; ++c) {
    Chunk* kept = c == index ? first : chunks[c].load(std::memory_order_relaxed);
    if (kept != nullptr) made->chunks()[to++].store(kept, std::memory_order_relaxed);
    if (c == index && second != nullptr) made->chunks()[to++].store(second, std::memory_order_relaxed);
  }
  made->count.store(to, std::memory_order_relaxed);
  key.more.store(made, std::memory_order_release);
  retire(list, limbo);
}

/// Calls f(chunk index) for the chunks that may hold entries of `object`, newest first, until it returns true.
template <class F>
bool KeyIndex::find_chunk(EntryList& list, ObjectId object, F&& f) {
  auto* begin = list.chunks();
  auto* behind = std::partition_point(begin, begin + list.count.load(std::memory_order_relaxed), [&](const auto& c) {
    return c.load(std::memory_order_relaxed)->entries()[0].object <= object;
  });
  while (behind != begin) {  // entries of one object may reach over a chunk's border
    --behind;
    if (f(static_cast<uint32_t>(behind - begin))) return true;
    if (behind->load(std::memory_order_relaxed)->entries()[0].object < object) return false;
  }
  return false;
}

void KeyIndex::remove(BytesView key, ObjectId object, Step step) {
  auto* found = const_cast<Key*>(find(key, hash_of(key)));
  ODB_CHECK(found != nullptr, object.value);  // S2
  auto close = [&](Entry& entry) {
    bool is_it = entry.object == object && entry.to.load(std::memory_order_relaxed) == kNever;
    if (is_it) entry.to.store(step, std::memory_order_release);
    return is_it;
  };
  EntryList* list = found->more.load(std::memory_order_relaxed);
  if (list == nullptr) {
    ODB_CHECK(close(found->first), object.value);  // S2
    return;
  }
  bool was_member = find_chunk(*list, object, [&](uint32_t index) {
    Chunk* chunk = list->chunks()[index].load(std::memory_order_relaxed);
    Entry* end = chunk->entries() + chunk->count.load(std::memory_order_relaxed);
    Entry* at = std::lower_bound(chunk->entries(), end, object,
                                 [](const Entry& entry, ObjectId right) { return entry.object < right; });
    for (; at != end && at->object == object; ++at) {
      if (close(*at)) return true;
    }
    return false;
  });
  ODB_CHECK(was_member, object.value);  // S2: an object leaves only a key that it has
}

void KeyIndex::expire(BytesView key_bytes, ObjectId object, Step floor, Limbo& limbo) {
  auto* key = const_cast<Key*>(find(key_bytes, hash_of(key_bytes)));
  if (key == nullptr) return;  // an earlier call took all of it
  EntryList* list = key->more.load(std::memory_order_relaxed);
  if (list == nullptr) {
    if (key->first.to.load(std::memory_order_relaxed) <= floor) drop_key(key, limbo);
    return;
  }
  find_chunk(*list, object, [&](uint32_t index) { return thin_out(*key, index, floor, limbo); });
  list = key->more.load(std::memory_order_relaxed);
  if (list->count.load(std::memory_order_relaxed) > 0) return;
  retire(list, limbo);
  drop_key(key, limbo);
}

/// Copies a chunk without its dead entries once these are half of it; true when it did.
bool KeyIndex::thin_out(Key& key, uint32_t index, Step floor, Limbo& limbo) {
  Chunk* chunk = key.more.load(std::memory_order_relaxed)->chunks()[index].load(std::memory_order_relaxed);
  uint32_t count = chunk->count.load(std::memory_order_relaxed);
  auto is_dead = [floor](const Entry& entry) { return entry.to.load(std::memory_order_relaxed) <= floor; };
  auto dead = static_cast<uint32_t>(std::count_if(chunk->entries(), chunk->entries() + count, is_dead));
  if (dead * 2 < count) return false;
  Chunk* kept = nullptr;
  if (dead < count) {
    kept = new_chunk(std::min(kChunkEntriesMax, std::max(4u, std::bit_ceil(count - dead))));
    for (uint32_t i = 0; i < count; ++i) {
      if (!is_dead(chunk->entries()[i])) append(*kept, chunk->entries()[i]);
    }
  }
  replace_chunk(key, index, kept, nullptr, limbo);
  return true;
}

}  // namespace odb
