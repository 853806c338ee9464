/// A versioned store of objects: one writer makes steps, any number of threads read pinned steps without a lock.
///
/// The scheme (V1, V2, V4), n being the step in the making:
///   open    lock; pin the published step
///   apply   link new rows and index members of step n: no pinned reader can see them yet
///   publish lock; floor = min(pinned steps, published)
///           cut chains behind their first row <= floor, settle index members, unlink those that have left by then and
///           tombstones: all into limbo[n-1]
///           lock; published = n; free limbo[k] for every k below the oldest pinned step
///   close   lock; unpin
/// A view that opens between the two locks opens at a step >= floor, so nothing it needs was cut.
///
/// Server and client use the same store; a server opens no views, so its chains have one row and its index members no
/// history.
/// Thread safety: open, close and published from any thread; everything else from the writer's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/codec/record.h"
#include "core/store/change_set.h"
#include "core/store/limbo.h"
#include "core/store/table.h"

namespace odb {

/// A step and what it stands for: the state of the covered objects at this transaction.
struct Version {
  Step step;
  TransactionId tid;
  friend bool operator==(const Version&, const Version&) = default;
};

/// Objects of one type on their way into a store: a subscription's stream, not visible to anyone until adopted (D22).
class Staging {
 public:
  explicit Staging(const Table& table) : table_(table) {}

  /// A piece of the stream, or the creation of an object: replaces what is staged of it.
  void put(const Record& record);
  /// A write to an object that is not staged yet is ignored: its piece comes later and has it.
  void update(const Record& record);
  void erase(ObjectId object);
  /// nullptr when the object is not staged.
  const Row* find(ObjectId object) const { return tree_.head(object); }
  /// Takes an object out, and gives its row away; nullptr when it is not staged.
  Row* take(ObjectId object);
  size_t object_count() const { return object_count_; }

 private:
  friend class Store;

  const Table& table_;
  ObjectTree tree_;
  size_t object_count_ = 0;
};

class Store {
 public:
  enum class Readers : uint8_t { kMany, kNone };

  /// Without readers nobody may open it: what is known to be so now is all that it has to tell.
  explicit Store(Readers readers = Readers::kMany) : has_readers_(readers == Readers::kMany) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // -- any thread
  /// Pins the latest version: it can be read until close().
  Version open();
  /// Pins the newest retained version with tid <= the given one (D7).
  Result<Version> open_at(TransactionId tid);
  void close(Step step);
  Version published() const;
  /// D20: whether this store's connection creates in this range of identities: then it covers the object, always.
  bool owns(ObjectId object) const;
  /// A type by its names; nullptr when it is not known here. Tables live as long as the store.
  const Table* find_table(const std::string& qualified_name) const;

  // -- the writer
  /// Identities from `begin` on, `size` of them, are this connection's.
  void add_own_identities(ObjectId begin, int64_t size);
  /// Adds a type, or fields and indexes to it. REQUIRES: no step is begun.
  Table& define(TypeLayout layout);
  // Indexes in the making (D17): define() takes those that its layout asks for, and fills at once what is not made.
  /// nullptr: nobody makes such an index of this table.
  IndexBuild* find_build(const Table& table, const IndexBuild::Parts& parts, bool is_unique);
  IndexBuild& start_build(Table& table, IndexBuild::Parts parts, bool is_unique);
  /// Takes in objects for one of them: so many, or until their keys take limits::kBackfillBytes. True when it is whole
  /// with that. REQUIRES: no step is begun.
  bool fill(size_t objects_max);
  bool fill(IndexBuild& build, Table& table, size_t objects_max);
  bool is_filling() const;
  bool has_builds() const { return build_count_ > 0; }
  size_t build_count() const { return build_count_; }
  /// Calls f(build) for each.
  template <class F>
  void each_build(F&& f) {
    for (auto& table : tables_) {
      if (table == nullptr) continue;
      for (auto& build : table->builds_) f(*build);
    }
  }
  /// Drops those that are not wanted.
  void drop_builds();
  Table* table(TypeId type) const { return type.value < tables_.size() ? tables_[type.value].get() : nullptr; }

  /// From now on applied records are noted here; nullptr: not any more. Subscriptions that complete are not noted.
  /// REQUIRES: no step is begun.
  void record_changes(ChangeSet* changes);
  /// Starts step published + 1.
  void begin();
  /// Carries out one record in the step begun. Fails, without effect, on a record that does not fit what is here.
  Status apply(const Record& record);
  /// Makes `row` the newest one of an object in the step begun, and owns it.
  void put(Table& table, ObjectId object, Row* row);
  /// Moves what was staged into the step begun.
  void adopt(Staging& staging);
  /// D20: from the step begun on the type is complete, a key of an index, an object covered.
  void cover_type(Table& table);
  void cover_key(Table& table, IndexId index, BytesView key);
  void cover_object(Table& table, ObjectId object);
  /// A covered object was deleted in the step begun: for a while its absence stays known.
  void remember_deleted(Table& table, ObjectId object);
  /// Ends the step begun: from now on new views see it.
  void publish(TransactionId tid);
  /// Nothing that is covered here changed up to `tid`.
  void advance(TransactionId tid);
  /// Frees what closed views kept alive. publish() does it too; this is for quiet times.
  void trim();

  /// Memory of the objects as they are now, with what leads to them.
  size_t bytes() const { return bytes_; }

  /// Every invariant, in O(n): V4, S2, counts. REQUIRES: no step is begun.
  void check() const;

 private:
  struct Stale {  // objects that got a row in one step, by consecutive identities: bulk loads are few of these
    Step since;   // their chains can be cut behind the row of this step, and its index keys be settled
    Table* table;
    ObjectId first;
    int64_t count;
  };
  struct Forgotten {
    Step since;
    Table* table;
    ObjectId object;
  };
  struct Pin {
    Version version;
    uint32_t count;
  };

  void fill_new_indexes(Table& table, TypeLayout layout);
  void check_build(const Table& table, const IndexBuild& build) const;
  void link(Table& table, ObjectId object, const Row* before, Row* after);
  void note_entry(const Table& table, ObjectId object);
  void note(const Record& record, const Table& table, bool is_new);
  template <class F>
  void counted(const Table& table, F&& f);
  void link_row(Table& table, ObjectId object, Row* after);
  bool update_indexes(Table& table, ObjectId object, const Row* before, const Row* after);
  bool is_unread(const KeyIndex& index) const;
  void add_stale(Table& table, ObjectId object);
  void cut(Step floor);
  size_t cut_chain(Table& table, ObjectId object, Step since, Step floor);
  void expire_keys(Table& table, ObjectId object, const Row& oldest, const Row* dead, Step since, Step floor);
  void add_rows_to_limbo(Row* row);

  const bool has_readers_;
  std::vector<std::unique_ptr<Table>> tables_;  // type id -> table; writer only
  size_t build_count_ = 0;
  Limbo limbo_;
  Limbo at_once_{true};              // for index memory that nobody can be reading
  std::deque<Stale> stale_;          // ascending by since
  std::deque<Forgotten> forgotten_;  // ascending by since
  Step making_;                      // the step begun; 0: none
  std::vector<Table*> touched_;      // in the step begun
  ChangeSet* changes_ = nullptr;     // what wants to know of them; usually nobody does
  size_t bytes_ = 0;
  Bytes key_before_, key_after_;  // scratch

  mutable std::mutex mutex_;  // guards what follows; held for a few instructions
  Version published_{Step{1}, TransactionId{0}};
  std::vector<Pin> pins_;                          // ascending by step
  std::vector<std::pair<ObjectId, int64_t>> own_;  // first identity, how many
  std::map<std::string, const Table*> by_name_;    // "schema.Type" -> table
};

}  // namespace odb
