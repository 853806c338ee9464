/// What a transaction wrote: per object, the last value of each field.
///
/// Values lie one behind the other in one arena; an object has one slot per field in one array of slots, so creating
/// an object allocates nothing of its own. Lookups inside the transaction see the writes through overlays, which are
/// brought up to date at the lookup and not at the write: bulk loads pay nothing for them.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <set>
#include <vector>

#include "core/store/store.h"
#include "core/view/read_set.h"

namespace odb {

class WriteSet {
 public:
  enum class State : uint8_t {
    kUntouched,
    kCreated,
    kUpdated,
    kDeleted,    // existed before
    kCancelled,  // created and deleted in here: never was
  };

  /// Untouched too when the identity is that of an object of another type: a program can make a handle of any.
  State state(const Table& table, ObjectId object) const {
    const Write* write = find(table, object);
    return write == nullptr ? State::kUntouched : write->state;
  }
  /// The value that was written to a field of an object, or empty.
  BytesView value(ObjectId object, FieldId field) const;

  void create(const Table& table, ObjectId object);
  void cancel(ObjectId object);
  void write(const Table& table, ObjectId object, FieldId field, BytesView value);
  void erase(const Table& table, ObjectId object);

  bool is_empty() const { return writes_.empty(); }
  /// Objects that are written in the end.
  size_t count() const { return writes_.size() - cancelled_; }
  /// Of the values as they are now; what was overwritten does not count.
  size_t bytes() const { return value_bytes_; }
  /// Memory of the values: a few times bytes() and some spare room at most.
  size_t arena_bytes() const { return arena_.size(); }
  bool touches(const Table& table) const { return by_table_.contains(&table); }

  /// What a lookup finds in the snapshot at `step` with the writes over it: ascending by identity, at most `limit`.
  /// Stops as soon as it has enough. REQUIRES: touches(table); `found` is empty.
  void lookup(const Table& table, IndexId index, BytesView key, Step step, size_t limit, std::vector<ObjectId>& found);
  void lookup_type(const Table& table, Step step, size_t limit, std::vector<ObjectId>& found);
  /// The same one by one: calls f(object) until it returns false.
  template <class F>
  void visit(const Table& table, IndexId index, BytesView key, Step step, F&& f);
  template <class F>
  void visit_type(const Table& table, Step step, F&& f);

  /// Calls f(table, object, state) for every object that is written in the end.
  template <class F>
  void each(F&& f) const {
    for (const Write& write : writes_) {
      if (write.state != State::kCancelled && write.state != State::kUntouched)
        f(*write.table, write.object, write.state);
    }
  }
  /// The key that an object has in an index with the writes so far; empty when it is in none.
  Bytes key_of(const Table& table, ObjectId object, IndexId index, Step step) const;

  /// Appends the encoded records to `parts`, each part of about `part_bytes`.
  void encode(std::vector<Bytes>& parts, size_t part_bytes) const;

 private:
  struct Slot {
    uint32_t offset;
    uint32_t size;      // 0: not written
    uint32_t capacity;  // bytes of the arena that are this slot's
  };
  struct Write {
    const Table* table;
    ObjectId object;
    size_t first_slot;
    uint32_t slot_count;
    State state;
  };
  /// Where the written objects of one type are in one index now.
  struct Overlay {
    size_t folded = 0;                                          // touches taken in so far
    std::map<Bytes, std::set<ObjectId>, std::less<>> members;   // key -> written objects that have it
    boost::unordered_flat_map<ObjectId, Bytes, HashId> key_of;  // written object -> its key; empty: deleted
  };
  struct TableWrites {
    std::vector<ObjectId> created;  // ascending up to `sorted`, then in the order of creation
    size_t sorted = 0;
    std::vector<uint32_t> touched;  // positions in writes_, with repetitions, in order
    size_t folded = 0;              // touches that some overlay has taken in
    std::vector<Overlay> overlays;  // index -> overlay
  };

  const Write* find(const Table& table, ObjectId object) const {
    auto found = by_object_.find(object);
    if (found == by_object_.end() || writes_[found->second].table != &table) return nullptr;
    return &writes_[found->second];
  }
  Write& touch(const Table& table, ObjectId object, State state_if_new);
  /// The created objects of a table, in ascending order.
  static const std::vector<ObjectId>& sorted_creations(TableWrites& writes);
  void fold(const Table& table, IndexId index, Step step, TableWrites& writes);
  void compact();
  Bytes key_now(const Write& write, IndexId index, Step step) const;

  std::vector<Write> writes_;
  std::vector<Slot> slots_;
  Bytes arena_;
  size_t value_bytes_ = 0;
  size_t cancelled_ = 0;
  boost::unordered_flat_map<ObjectId, uint32_t, HashId> by_object_;  // object -> position in writes_
  std::map<const Table*, TableWrites> by_table_;
};

template <class F>
void WriteSet::visit(const Table& table, IndexId index, BytesView key, Step step, F&& f) {
  TableWrites& writes = by_table_.at(&table);
  fold(table, index, step, writes);
  const Overlay& overlay = writes.overlays[index.value];
  static const std::set<ObjectId> kNone;
  auto of_key = overlay.members.find(key);
  const std::set<ObjectId>& own = of_key == overlay.members.end() ? kNone : of_key->second;
  auto next_own = own.begin();
  bool wants_more = true;
  table.for_each_in(index, key, step, [&](ObjectId object) {
    for (; wants_more && next_own != own.end() && *next_own < object; ++next_own) wants_more = f(*next_own);
    if (wants_more && !overlay.key_of.contains(object)) wants_more = f(object);
    return wants_more;
  });
  for (; wants_more && next_own != own.end(); ++next_own) wants_more = f(*next_own);
}

template <class F>
void WriteSet::visit_type(const Table& table, Step step, F&& f) {
  const std::vector<ObjectId>& own = sorted_creations(by_table_.at(&table));
  auto next_own = own.begin();
  bool wants_more = true;
  auto take_own = [&](auto&& is_due) {
    for (; wants_more && next_own != own.end() && is_due(*next_own); ++next_own) {
      if (state(table, *next_own) == State::kCreated) wants_more = f(*next_own);
    }
  };
  table.for_each(step, [&](ObjectId object, const Row&) {
    take_own([object](ObjectId created) { return created < object; });
    if (wants_more && state(table, object) != State::kDeleted) wants_more = f(object);
    return wants_more;
  });
  take_own([](ObjectId) { return true; });
}

}  // namespace odb
