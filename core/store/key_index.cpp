#include "core/store/key_index.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace odb {
namespace {

constexpr uint32_t kSlotsMin = 8;
constexpr uint32_t kPrefetched = 16;  // keys ahead of the one that is moved: each lies somewhere else in memory

/// At most four fifths are taken: with the bits of the hash a reader rarely looks at a key in vain.
bool is_room(uint64_t taken, uint64_t slots) { return taken * 5 <= slots * 4; }

/// Half as much again, in whole steps of the allocator.
uint32_t grown(uint32_t capacity) { return (capacity + capacity / 2 + 1) / 2 * 2; }

}  // namespace

// ---- blocks of memory

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

void KeyIndex::free_member(Word word) {
  if (kind_of(word) != kHistory) return;
  for (History* history = history_of(word); history != nullptr;) {
    History* older = history->older.load(std::memory_order_relaxed);
    free_block<History>(history);
    history = older;
  }
}

KeyIndex::~KeyIndex() {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr) return;
  auto free_chunk = [](Chunk* chunk) {
    for (uint32_t i = 0; i < chunk->count.load(std::memory_order_relaxed); ++i)
      free_member(chunk->words()[i].load(std::memory_order_relaxed));
    free_block<Chunk>(chunk);
  };
  for (uint32_t i = 0; i < slots->size; ++i) {
    Slot slot = slots->at()[i].load(std::memory_order_relaxed);
    if (!is_key(slot)) continue;
    Word members = key_of(slot)->members.load(std::memory_order_relaxed);
    if (is_member(members)) {
      free_member(members);
    } else if ((members & kListTag) == 0) {
      free_chunk(chunk_of(members));
    } else {
      ChunkList* list = list_of(members);
      for (uint32_t c = 0; c < list->count.load(std::memory_order_relaxed); ++c)
        free_chunk(list->chunks()[c].load(std::memory_order_relaxed));
      free_block<ChunkList>(list);
    }
    free_block<Key>(key_of(slot));
  }
  free_block<Slots>(slots);
}

KeyIndex::Key* KeyIndex::new_key(BytesView key, uint32_t hash, Word member) {
  void* memory = allocate(sizeof(Key) + key.size());
  ODB_CHECK(reinterpret_cast<uintptr_t>(memory) >> kAddressBits == 0);
  Key* made = new (memory) Key{member, hash, static_cast<uint32_t>(key.size())};
  std::memcpy(static_cast<void*>(made + 1), key.data(), key.size());
  return made;
}

KeyIndex::History* KeyIndex::new_history(ObjectId object, Step from, Step to, History* older) {
  return new (allocate(sizeof(History))) History{object, from, to, older};
}

KeyIndex::Chunk* KeyIndex::new_chunk(uint32_t capacity) {
  return new (allocate(sizeof(Chunk) + capacity * sizeof(Word))) Chunk{0, capacity};
}

KeyIndex::ChunkList* KeyIndex::new_list(uint32_t capacity) {
  return new (allocate(sizeof(ChunkList) + capacity * sizeof(Chunk*))) ChunkList{0, capacity};
}

KeyIndex::Slots* KeyIndex::new_slots(uint64_t size) {
  ODB_CHECK(size <= UINT32_MAX, size);
  // Zeroed memory is empty slots, and much of it comes so from the system, page by page as it is used: to write it all
  // at once would take milliseconds.
  static_assert(std::atomic<Slot>::is_always_lock_free && sizeof(std::atomic<Slot>) == sizeof(Slot));
  size_t bytes = sizeof(Slots) + size * sizeof(Slot);
  void* memory = std::calloc(1, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  bytes_ += allocated_bytes(bytes);
  return new (memory) Slots{static_cast<uint32_t>(size)};
}

void KeyIndex::append(Chunk& chunk, Word word) {
  uint32_t count = chunk.count.load(std::memory_order_relaxed);
  ODB_CHECK(count < chunk.capacity, count);
  new (&chunk.words()[count]) std::atomic<Word>(word);
  chunk.count.store(count + 1, std::memory_order_release);
}

void KeyIndex::append(ChunkList& list, Chunk* chunk) {
  uint32_t count = list.count.load(std::memory_order_relaxed);
  ODB_CHECK(count < list.capacity, count);
  new (&list.chunks()[count]) std::atomic<Chunk*>(chunk);
  list.count.store(count + 1, std::memory_order_release);
}

// ---- keys

void KeyIndex::start_at(Step step, Limbo& limbo) {
  ODB_CHECK(used_ == 0, used_);
  // A reader of an earlier step may stand on the slots that are here. Those that are made from now on it passes by: it
  // gets at them by what is stored behind this.
  if (Slots* slots = slots_.exchange(nullptr, std::memory_order_relaxed)) retire(slots, limbo);
  marks_ = 0;
  readable_from_.store(step, std::memory_order_relaxed);
}

void KeyIndex::add_key(Key* key, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  if (slots == nullptr || !is_room(uint64_t{used_} + marks_ + 1, slots->size))
    slots = move_to_slots(std::max<uint64_t>(kSlotsMin, uint64_t{used_} * 15 / 8 + 2), limbo);  // to 1.5 times as many
  uint32_t at = slots->home_of(key->hash);
  while (is_key(slots->at()[at].load(std::memory_order_relaxed))) at = slots->behind(at);
  if (slots->at()[at].load(std::memory_order_relaxed) == kRemoved) --marks_;
  slots->at()[at].store(slot_of(key), std::memory_order_release);
  ++used_;
}

void KeyIndex::reserve(size_t keys, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  keys = std::min<size_t>(keys, uint32_t{1} << 31);
  if (slots == nullptr || !is_room(keys, slots->size))
    move_to_slots(std::max<uint64_t>(kSlotsMin, uint64_t{keys} * 4 / 3 + 2), limbo);
}

KeyIndex::Slots* KeyIndex::move_to_slots(uint64_t size, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  Slots* larger = new_slots(size);
  for (uint32_t i = 0; slots != nullptr && i < slots->size; ++i) {
    if (i + kPrefetched < slots->size)
      __builtin_prefetch(key_of(slots->at()[i + kPrefetched].load(std::memory_order_relaxed)));
    Slot moved = slots->at()[i].load(std::memory_order_relaxed);
    if (!is_key(moved)) continue;
    uint32_t at = larger->home_of(key_of(moved)->hash);
    while (larger->at()[at].load(std::memory_order_relaxed) != kEmpty) at = larger->behind(at);
    larger->at()[at].store(moved, std::memory_order_relaxed);
  }
  slots_.store(larger, std::memory_order_release);
  if (slots != nullptr) retire(slots, limbo);
  marks_ = 0;
  return larger;
}

void KeyIndex::drop_key(Key* key, Limbo& limbo) {
  Slots* slots = slots_.load(std::memory_order_relaxed);
  uint32_t at = slots->home_of(key->hash);
  while (slots->at()[at].load(std::memory_order_relaxed) != slot_of(key)) at = slots->behind(at);
  slots->at()[at].store(kRemoved, std::memory_order_release);
  --used_;
  ++marks_;
  retire(key, limbo);
}

// ---- members

KeyIndex::Place KeyIndex::place_of(Key& key, ObjectId object) {
  Place place;
  Word members = key.members.load(std::memory_order_relaxed);
  if (is_member(members)) {
    if (object_of(members) == object) place.found = &key.members;
    return place;
  }
  if ((members & kListTag) == 0) {
    place.chunk = chunk_of(members);
  } else {
    place.list = list_of(members);
    place.index = place.list->index_of(object, place.list->count.load(std::memory_order_relaxed));
    place.chunk = place.list->chunks()[place.index].load(std::memory_order_relaxed);
  }
  uint32_t count = place.chunk->count.load(std::memory_order_relaxed);
  place.position = place.chunk->position_of(object, count);
  std::atomic<Word>* at = place.chunk->words() + place.position;
  if (place.position < count && object_of(at->load(std::memory_order_relaxed)) == object) place.found = at;
  return place;
}

void KeyIndex::insert(BytesView key_bytes, ObjectId object, Step step, Limbo& limbo) {
  ODB_CHECK(key_bytes.size() <= UINT32_MAX, key_bytes.size());
  ODB_CHECK(object.value >= 0 && object.value <= limits::kIdentityMax, object.value);
  uint32_t hash = hash_of(key_bytes);
  Key* key = find(key_bytes, hash);
  Place place = key == nullptr ? Place{} : place_of(*key, object);
  Word before = place.found == nullptr ? gone(object) : place.found->load(std::memory_order_relaxed);
  ODB_CHECK(kind_of(before) != kSettled, object.value);  // S2
  History* older = kind_of(before) == kHistory ? history_of(before) : nullptr;
  if (older != nullptr) {
    Step to = older->to.load(std::memory_order_relaxed);
    ODB_CHECK(to <= step, object.value);         // S2
    if (to == step && older->from == Step{0}) {  // left in this very step: it never did
      place.found->store(settled(object), std::memory_order_relaxed);
      return retire(older, limbo);
    }
    if (to == step) return older->to.store(kNever, std::memory_order_release);
  }
  Word added = word_of(new_history(object, step, kNever, older));
  if (key == nullptr) return add_key(new_key(key_bytes, hash, added), limbo);
  if (place.found != nullptr) return place.found->store(added, std::memory_order_release);
  insert_word(*key, added, limbo);
}

void KeyIndex::insert_settled(BytesView key_bytes, ObjectId object, Limbo& limbo) {
  ODB_CHECK(key_bytes.size() <= UINT32_MAX, key_bytes.size());
  ODB_CHECK(object.value >= 0 && object.value <= limits::kIdentityMax, object.value);
  uint32_t hash = hash_of(key_bytes);
  Key* key = find(key_bytes, hash);
  if (key == nullptr) return add_key(new_key(key_bytes, hash, settled(object)), limbo);
  Place place = place_of(*key, object);
  if (place.found == nullptr) return insert_word(*key, settled(object), limbo);
  ODB_CHECK(kind_of(place.found->load(std::memory_order_relaxed)) == kGone, object.value);  // S2
  place.found->store(settled(object), std::memory_order_relaxed);
}

void KeyIndex::remove(BytesView key_bytes, ObjectId object, Step step, Limbo& limbo) {
  Key* key = find(key_bytes, hash_of(key_bytes));
  ODB_CHECK(key != nullptr, object.value);  // S2
  Place place = place_of(*key, object);
  ODB_CHECK(place.found != nullptr, object.value);  // S2: an object leaves only a key that it has
  Word word = place.found->load(std::memory_order_relaxed);
  ODB_CHECK(kind_of(word) != kGone, object.value);
  if (kind_of(word) == kSettled) {
    Word left = word_of(new_history(object, Step{0}, step, nullptr));
    return place.found->store(left, std::memory_order_release);
  }
  History* newest = history_of(word);
  ODB_CHECK(newest->to.load(std::memory_order_relaxed) == kNever, object.value);
  if (newest->from < step) return newest->to.store(step, std::memory_order_release);
  History* older = newest->older.load(std::memory_order_relaxed);  // it came in this very step: it never did
  if (older == nullptr) return erase_at(*key, place, object, limbo);
  place.found->store(word_of(older), std::memory_order_release);
  retire(newest, limbo);
}

void KeyIndex::expire(BytesView key_bytes, ObjectId object, Step floor, Limbo& limbo) {
  Key* key = find(key_bytes, hash_of(key_bytes));
  if (key == nullptr) return;
  Place place = place_of(*key, object);
  if (place.found == nullptr) return;
  Word word = place.found->load(std::memory_order_relaxed);
  if (kind_of(word) != kHistory) return;
  History* newest = history_of(word);
  Step to = newest->to.load(std::memory_order_relaxed);
  if (to <= floor) return erase_at(*key, place, object, limbo);
  if (newest->from <= floor && to == kNever) {
    place.found->store(settled(object), std::memory_order_relaxed);
    return retire_history(newest, limbo);
  }
  History* kept = newest;  // the one that a view at the floor looks at
  while (kept->from > floor) {
    History* older = kept->older.load(std::memory_order_relaxed);
    if (older == nullptr || older->to.load(std::memory_order_relaxed) <= floor) break;
    kept = older;
  }
  retire_history(kept->older.exchange(nullptr, std::memory_order_relaxed), limbo);
}

void KeyIndex::erase(BytesView key_bytes, ObjectId object, Limbo& limbo) {
  Key* key = find(key_bytes, hash_of(key_bytes));
  ODB_CHECK(key != nullptr, object.value);  // S2
  Place place = place_of(*key, object);
  ODB_CHECK(place.found != nullptr, object.value);  // S2
  ODB_CHECK(kind_of(place.found->load(std::memory_order_relaxed)) == kSettled, object.value);
  erase_at(*key, place, object, limbo);
}

void KeyIndex::erase_at(Key& key, const Place& place, ObjectId object, Limbo& limbo) {
  Word word = place.found->load(std::memory_order_relaxed);
  if (kind_of(word) == kHistory) retire_history(history_of(word), limbo);
  if (place.chunk == nullptr) return drop_key(&key, limbo);
  place.found->store(gone(object), std::memory_order_relaxed);
  thin_out(key, place, limbo);
}

void KeyIndex::retire_history(History* history, Limbo& limbo) {
  while (history != nullptr) {
    History* older = history->older.load(std::memory_order_relaxed);
    retire(history, limbo);
    history = older;
  }
}

void KeyIndex::insert_word(Key& key, Word added, Limbo& limbo) {
  Place place = place_of(key, object_of(added));
  if (place.chunk == nullptr) {  // the second member: both move into a chunk
    Word first = key.members.load(std::memory_order_relaxed);
    Chunk* chunk = new_chunk(2);
    bool is_behind = object_of(first) < object_of(added);
    append(*chunk, is_behind ? first : added);
    append(*chunk, is_behind ? added : first);
    return key.members.store(members_of(chunk), std::memory_order_release);
  }
  Chunk& chunk = *place.chunk;
  uint32_t count = chunk.count.load(std::memory_order_relaxed);
  bool is_last_chunk = place.list == nullptr || place.index + 1 == place.list->count.load(std::memory_order_relaxed);
  if (place.position == count && count < chunk.capacity) return append(chunk, added);
  if (place.position == count && is_last_chunk && count == kChunkWordsMax) {  // ascending identities: one more chunk
    Chunk* last = new_chunk(kChunkWordsMax / 4);
    append(*last, added);
    return append_chunk(key, place, last, limbo);
  }
  bool is_split = count == kChunkWordsMax;
  uint32_t left_count = is_split ? count / 2 : count;
  uint32_t capacity = is_split ? kChunkWordsMax * 3 / 4 : std::min(kChunkWordsMax, grown(count));
  Chunk* left = new_chunk(capacity);
  Chunk* right = is_split ? new_chunk(capacity) : nullptr;
  for (uint32_t i = 0; i <= count; ++i) {
    bool goes_left = !is_split || i < left_count || (i == left_count && place.position <= left_count);
    Word word =
        i == place.position ? added : chunk.words()[i < place.position ? i : i - 1].load(std::memory_order_relaxed);
    append(goes_left ? *left : *right, word);
  }
  replace_chunk(key, place, left, right, limbo);
}

void KeyIndex::append_chunk(Key& key, const Place& place, Chunk* last, Limbo& limbo) {
  uint32_t count = place.list == nullptr ? 1 : place.list->count.load(std::memory_order_relaxed);
  if (place.list != nullptr && count < place.list->capacity) return append(*place.list, last);
  ChunkList* longer = new_list(1 + grown(count));
  for (uint32_t c = 0; c < count; ++c)
    append(*longer, place.list == nullptr ? place.chunk : place.list->chunks()[c].load(std::memory_order_relaxed));
  append(*longer, last);
  key.members.store(members_of(longer), std::memory_order_release);
  if (place.list != nullptr) retire(place.list, limbo);
}

/// Puts `first` and `second` (either may be missing) in the place of one chunk; the key is dropped with its last one.
void KeyIndex::replace_chunk(Key& key, const Place& place, Chunk* first, Chunk* second, Limbo& limbo) {
  uint32_t count = place.list == nullptr ? 1 : place.list->count.load(std::memory_order_relaxed);
  uint32_t count_after = count - 1 + (first != nullptr) + (second != nullptr);
  if (place.list != nullptr && count_after == count && first != nullptr) {
    place.list->chunks()[place.index].store(first, std::memory_order_release);
  } else if (count_after == 0) {
    drop_key(&key, limbo);
  } else if (place.list == nullptr && second == nullptr) {
    key.members.store(members_of(first), std::memory_order_release);
  } else {
    ChunkList* made = new_list(1 + grown(count_after));
    for (uint32_t c = 0; c < count; ++c) {
      Chunk* kept = c == place.index ? first : place.list->chunks()[c].load(std::memory_order_relaxed);
      if (kept != nullptr) append(*made, kept);
      if (c == place.index && second != nullptr) append(*made, second);
    }
    key.members.store(members_of(made), std::memory_order_release);
  }
  bool is_new_list = count_after != count || first == nullptr;
  if (place.list != nullptr && is_new_list) retire(place.list, limbo);
  retire(place.chunk, limbo);
}

/// Copies a chunk without the members that are gone once these are half of it.
void KeyIndex::thin_out(Key& key, const Place& place, Limbo& limbo) {
  const std::atomic<Word>* words = place.chunk->words();
  uint32_t count = place.chunk->count.load(std::memory_order_relaxed);
  auto is_gone = [](const std::atomic<Word>& word) { return kind_of(word.load(std::memory_order_relaxed)) == kGone; };
  auto gone = static_cast<uint32_t>(std::count_if(words, words + count, is_gone));
  if (gone * 2 < count) return;
  if (gone + 1 == count && place.list == nullptr) {
    const auto* last = std::find_if_not(words, words + count, is_gone);
    key.members.store(last->load(std::memory_order_relaxed), std::memory_order_release);
    return retire(place.chunk, limbo);
  }
  Chunk* kept = gone == count ? nullptr : new_chunk(std::max(2u, grown(count - gone)));
  for (uint32_t i = 0; i < count; ++i)
    if (!is_gone(words[i])) append(*kept, words[i].load(std::memory_order_relaxed));
  replace_chunk(key, place, kept, nullptr, limbo);
}

}  // namespace odb
