/// One index of one type: key bytes -> the objects that have this key, by identity (S2).
///
///   slots   open addressing; a slot is empty, a removed mark, or 16 bits of the hash and a Key that never moves
///   Key     hash, key bytes, and its members: one member as it is, more of them in a Chunk, many in a ChunkList
///   Chunk   an array of up to 128 members, ascending by identity
///   Word    a member in eight bytes: its identity, or where its History is
///
/// Almost all members are *settled*: they have the key at every step that can still be read, so no steps are kept. Others
/// have a History of (from, to), a member for every step with from <= step < to, newest first, until the floor has passed.
/// One is *gone* when no step has it any more, and waits for its chunk to be half gone.
///
/// Worked example, a view being open at step 2: object 7 gets key k at step 3, loses it at step 5 and gets it again at 6:
///   k: 7 (6, never) (3, 5)     a view at 4 finds 7 by the second pair, at 5 nothing, at 6 by the first
///   k: 7                       once every view is at 6 or later
///
/// Changes in place are three only: a word is appended behind the count or replaced, or a History's `to` is set. All else
/// is copied, published with release, and the old memory goes to limbo.
/// Thread safety: one writer; readers of pinned steps take no lock.
#pragma once

#include <algorithm>
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
    const Key* found = find(key, hash_of(key), step);
    if (found == nullptr) return;
    each_word(*found, from, [&](Word word) { return !is_member_at(word, step) || f(object_of(word)); });
  }

  /// Writer: calls f(key bytes, object, is settled) for all that are not gone, in no order. For check() and tools.
  template <class F>
  void for_each_word(F&& f) const;

  // -- the writer
  /// REQUIRES: key_count() is 0, and a step is in the making that nobody reads yet. Readers of earlier steps find
  /// nothing from now on, so what that step adds is settled at once, and what it replaces need not wait in limbo.
  void start_at(Step step, Limbo& limbo);
  Step readable_from() const { return readable_from_.load(std::memory_order_relaxed); }

  /// A member from `step` on. REQUIRES: it is none now. Settled with expire(), which is to be called once for each
  /// insert() and remove().
  void insert(BytesView key, ObjectId object, Step step, Limbo& limbo);
  /// No member from `step` on. REQUIRES: it is one now.
  void remove(BytesView key, ObjectId object, Step step, Limbo& limbo);
  /// Once every view is at a step >= floor: a member that was one by then and still is becomes settled, the steps before
  /// are forgotten. What is not here is left as it is.
  void expire(BytesView key, ObjectId object, Step floor, Limbo& limbo);

  // Where no reader can tell when it was. REQUIRES: the same.
  void insert_settled(BytesView key, ObjectId object, Limbo& limbo);
  void erase(BytesView key, ObjectId object, Limbo& limbo);

  /// Makes room for so many keys, so that insert() need not move those that are here when they become many: for a million
  /// that takes 20 ms.
  void reserve(size_t keys, Limbo& limbo);

  /// About what one more member of `key` will add to bytes().
  size_t entry_bytes(BytesView key) const {
    constexpr size_t kSlot = 3 * sizeof(Slot) / 2;  // slots are two thirds full
    return find(key, hash_of(key)) != nullptr ? 2 * sizeof(Word) : allocated_bytes(sizeof(Key) + key.size()) + kSlot;
  }

  size_t key_count() const { return used_; }
  /// Of memory that is linked in; what is in limbo does not count.
  size_t bytes() const { return bytes_; }

 private:
  /// Of a member: its identity * 4 + 1 when settled, + 3 when gone, or a History* + 2. In a Key also a Chunk*, or a
  /// ChunkList* + 4. Blocks lie at multiples of 8, so the last two bits tell a member from them.
  using Word = uint64_t;
  static constexpr Word kSettled = 1, kHistory = 2, kGone = 3, kListTag = 4;

  struct History {
    ObjectId object;
    Step from;
    std::atomic<Step> to;
    std::atomic<History*> older;
  };

  static Word settled(ObjectId object) { return static_cast<Word>(object.value) << 2 | kSettled; }
  static Word gone(ObjectId object) { return static_cast<Word>(object.value) << 2 | kGone; }
  static Word word_of(const History* history) { return reinterpret_cast<uintptr_t>(history) + kHistory; }
  static Word kind_of(Word word) { return word & 3; }
  static bool is_member(Word members) { return kind_of(members) != 0; }
  static History* history_of(Word word) { return reinterpret_cast<History*>(static_cast<uintptr_t>(word - kHistory)); }
  static ObjectId object_of(Word word) {
    return kind_of(word) == kHistory ? history_of(word)->object : ObjectId{static_cast<int64_t>(word >> 2)};
  }
  static bool is_member_at(Word word, Step step) {
    if (kind_of(word) != kHistory) return kind_of(word) == kSettled;
    const History* history = history_of(word);
    while (history != nullptr && history->from > step) history = history->older.load(std::memory_order_acquire);
    return history != nullptr && step < history->to.load(std::memory_order_acquire);
  }

  struct Chunk {  // words follow in memory
    std::atomic<uint32_t> count;
    uint32_t capacity;
    std::atomic<Word>* words() { return reinterpret_cast<std::atomic<Word>*>(this + 1); }
    const std::atomic<Word>* words() const { return reinterpret_cast<const std::atomic<Word>*>(this + 1); }
    /// The first one whose identity is not below this one.
    uint32_t position_of(ObjectId object, uint32_t words_count) const {
      auto* at = std::partition_point(words(), words() + words_count, [object](const std::atomic<Word>& word) {
        return object_of(word.load(std::memory_order_acquire)) < object;
      });
      return static_cast<uint32_t>(at - words());
    }
  };

  struct ChunkList {  // chunk pointers follow in memory
    std::atomic<uint32_t> count;
    uint32_t capacity;
    std::atomic<Chunk*>* chunks() { return reinterpret_cast<std::atomic<Chunk*>*>(this + 1); }
    const std::atomic<Chunk*>* chunks() const { return reinterpret_cast<const std::atomic<Chunk*>*>(this + 1); }
    /// The last chunk whose first member is not behind this one, or the very first. Readers pass nothing by that they
    /// can see: as long as a list is here, only the very first chunk gets a smaller first member.
    uint32_t index_of(ObjectId object, uint32_t chunks_count) const {
      auto* behind = std::partition_point(chunks(), chunks() + chunks_count, [object](const auto& chunk) {
        const Chunk* at = chunk.load(std::memory_order_acquire);
        return object_of(at->words()[0].load(std::memory_order_acquire)) <= object;
      });
      return static_cast<uint32_t>(std::max<ptrdiff_t>(behind - chunks() - 1, 0));
    }
  };

  struct Key {  // key bytes follow in memory
    std::atomic<Word> members;
    uint32_t hash;
    uint32_t size;
    BytesView bytes() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };

  /// A Key's address below, the last 16 bits of its hash above: other keys are passed without looking at them.
  using Slot = uint64_t;
  static constexpr Slot kEmpty = 0, kRemoved = 1;
  static constexpr int kAddressBits = 48;

  struct alignas(std::atomic<Slot>) Slots {  // slots follow in memory
    uint32_t size;
    std::atomic<Slot>* at() { return reinterpret_cast<std::atomic<Slot>*>(this + 1); }
    const std::atomic<Slot>* at() const { return reinterpret_cast<const std::atomic<Slot>*>(this + 1); }
    /// By the first bits of the hash, as the last ones are in the slot. The size need not be a power of two.
    uint32_t home_of(uint32_t hash) const { return static_cast<uint32_t>(uint64_t{hash} * size >> 32); }
    uint32_t behind(uint32_t i) const { return i + 1 == size ? 0 : i + 1; }
  };

  static constexpr uint32_t kChunkWordsMax = 128;

  static uint32_t hash_of(BytesView key) { return static_cast<uint32_t>(hash_bytes(key)); }
  static Slot slot_of(const Key* key) { return reinterpret_cast<uintptr_t>(key) | Slot{key->hash} << kAddressBits; }
  static Key* key_of(Slot slot) {
    return reinterpret_cast<Key*>(static_cast<uintptr_t>(slot & ((Slot{1} << kAddressBits) - 1)));
  }
  static bool is_key(Slot slot) { return slot > kRemoved; }

  Key* find(BytesView key, uint32_t hash, Step step = kNever) const {
    const Slots* slots = slots_.load(std::memory_order_acquire);
    if (slots == nullptr || step < readable_from_.load(std::memory_order_relaxed)) return nullptr;
    for (uint32_t i = slots->home_of(hash);; i = slots->behind(i)) {
      Slot slot = slots->at()[i].load(std::memory_order_acquire);
      if (slot == kEmpty) return nullptr;
      if (!is_key(slot) || slot >> kAddressBits != (hash & 0xffff)) continue;
      Key* found = key_of(slot);
      if (found->hash == hash && found->bytes() == key) return found;
    }
  }

  /// Calls f(word) for all from an identity on until it returns false.
  template <class F>
  static void each_word(const Key& key, ObjectId from, F&& f) {
    Word members = key.members.load(std::memory_order_acquire);
    if (is_member(members)) {
      if (object_of(members) >= from) f(members);
    } else if ((members & kListTag) == 0) {
      each_word(*chunk_of(members), from, f);
    } else {
      const ChunkList* list = list_of(members);
      uint32_t chunks = list->count.load(std::memory_order_acquire);
      for (uint32_t c = from.value > 0 ? list->index_of(from, chunks) : 0; c < chunks; ++c)
        if (!each_word(*list->chunks()[c].load(std::memory_order_acquire), from, f)) return;
    }
  }
  template <class F>
  static bool each_word(const Chunk& chunk, ObjectId from, F& f) {
    uint32_t count = chunk.count.load(std::memory_order_acquire);
    for (uint32_t i = from.value > 0 ? chunk.position_of(from, count) : 0; i < count; ++i)
      if (!f(chunk.words()[i].load(std::memory_order_acquire))) return false;
    return true;
  }

  static Chunk* chunk_of(Word members) { return reinterpret_cast<Chunk*>(static_cast<uintptr_t>(members)); }
  static ChunkList* list_of(Word members) {
    return reinterpret_cast<ChunkList*>(static_cast<uintptr_t>(members - kListTag));
  }
  static Word members_of(const Chunk* chunk) { return reinterpret_cast<uintptr_t>(chunk); }
  static Word members_of(const ChunkList* list) { return reinterpret_cast<uintptr_t>(list) + kListTag; }

  /// Where a member is, or would be: in the Key itself (no chunk), or at a position of one of its chunks.
  struct Place {
    ChunkList* list = nullptr;
    uint32_t index = 0;  // of the chunk in the list
    Chunk* chunk = nullptr;
    uint32_t position = 0;
    std::atomic<Word>* found = nullptr;
  };
  static Place place_of(Key& key, ObjectId object);

  void* allocate(size_t bytes);
  Key* new_key(BytesView key, uint32_t hash, Word member);
  History* new_history(ObjectId object, Step from, Step to, History* older);
  Chunk* new_chunk(uint32_t capacity);
  ChunkList* new_list(uint32_t capacity);
  Slots* new_slots(uint64_t size);
  static size_t size_of(const History&) { return sizeof(History); }
  static size_t size_of(const Key& key) { return sizeof(Key) + key.size; }
  static size_t size_of(const Chunk& chunk) { return sizeof(Chunk) + chunk.capacity * sizeof(Word); }
  static size_t size_of(const ChunkList& list) { return sizeof(ChunkList) + list.capacity * sizeof(Chunk*); }
  static size_t size_of(const Slots& slots) { return sizeof(Slots) + slots.size * sizeof(Slot); }
  template <class Head>
  static void free_block(void* block);
  static void free_member(Word word);
  template <class Head>
  void retire(Head* block, Limbo& limbo);
  static void append(Chunk& chunk, Word word);
  static void append(ChunkList& list, Chunk* chunk);

  void add_key(Key* key, Limbo& limbo);
  void drop_key(Key* key, Limbo& limbo);
  Slots* move_to_slots(uint64_t size, Limbo& limbo);
  void retire_history(History* history, Limbo& limbo);
  void erase_at(Key& key, const Place& place, ObjectId object, Limbo& limbo);
  void insert_word(Key& key, Word added, Limbo& limbo);
  void append_chunk(Key& key, const Place& place, Chunk* last, Limbo& limbo);
  void replace_chunk(Key& key, const Place& place, Chunk* first, Chunk* second, Limbo& limbo);
  void thin_out(Key& key, const Place& place, Limbo& limbo);

  std::atomic<Slots*> slots_{nullptr};
  std::atomic<Step> readable_from_{Step{0}};
  uint32_t used_ = 0;   // writer only: keys
  uint32_t marks_ = 0;  // writer only: removed marks
  size_t bytes_ = 0;    // writer only
};

template <class F>
void KeyIndex::for_each_word(F&& f) const {
  const Slots* slots = slots_.load(std::memory_order_acquire);
  if (slots == nullptr) return;
  for (uint32_t i = 0; i < slots->size; ++i) {
    Slot slot = slots->at()[i].load(std::memory_order_acquire);
    if (!is_key(slot)) continue;
    each_word(*key_of(slot), ObjectId{0}, [&](Word word) {
      if (kind_of(word) != kGone) f(key_of(slot)->bytes(), object_of(word), kind_of(word) == kSettled);
      return true;
    });
  }
}

}  // namespace odb
