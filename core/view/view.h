/// A pinned version, read-only (View) or with writes of its own (Transaction).
///
/// Both answer from the local store alone. What they cannot know they say: an object or a lookup outside of what the
/// store covers is `kNotCovered` (D20), never a silent "nothing".
/// Thread safety: one thread at a time; any number of views side by side, no lock on the read path.
#pragma once

#include <memory>
#include <vector>

#include "core/store/store.h"
#include "core/view/read_set.h"
#include "core/view/write_set.h"

namespace odb {

enum class Presence : uint8_t {
  kHere,
  kGone,        ///< does not exist in this version
  kNotCovered,  ///< may exist; this store does not hold it
};

class View {
 public:
  /// Pins the latest version.
  explicit View(std::shared_ptr<Store> store) : store_(std::move(store)), version_(store_->open()) {}
  /// Takes over a pin.
  View(std::shared_ptr<Store> store, Version pinned) : store_(std::move(store)), version_(pinned) {}
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() { release(); }

  /// Gives the pin back early; nothing may be read afterwards.
  void release() {
    if (store_ != nullptr) store_->close(version_.step);
    store_ = nullptr;
  }

  /// Keeps the pin for ever, without a word to the store: for a process that must not touch it.
  void abandon() { new std::shared_ptr<Store>(std::move(store_)); }

  Version version() const { return version_; }

  /// The V value of a field. `value` stays valid while the view is pinned (a transaction: until its next write).
  Presence read(const Table& table, ObjectId object, FieldId field, BytesView& value) const {
    const Row* row = table.find(object, version_.step);
    if (row == nullptr) return absence(table, object);
    value = table.value_of(*row, field);
    return Presence::kHere;
  }
  Presence exists(const Table& table, ObjectId object) const {
    return table.find(object, version_.step) != nullptr ? Presence::kHere : absence(table, object);
  }

  /// The objects with an index key, ascending by identity, at most `limit`. REQUIRES: `found` is empty.
  void lookup(const Table& table, IndexId index, BytesView key, size_t limit, std::vector<ObjectId>& found) const;
  /// All objects of a type, likewise.
  void lookup_type(const Table& table, size_t limit, std::vector<ObjectId>& found) const;
  /// How many lookup() would find, and the last of them (0: none), without gathering them. O(members).
  struct Summary {
    size_t count = 0;
    ObjectId last;
  };
  Summary summary(const Table& table, IndexId index, BytesView key) const;
  Summary summary_of_type(const Table& table) const;
  /// D20: whether lookups in this type see everything; lookups of one index key.
  bool is_complete(const Table& table) const { return table.is_complete_at(version_.step); }
  bool covers_key(const Table& table, IndexId index, BytesView key) const {
    return table.covers_key(index, key, version_.step);
  }

 protected:
  Presence absence(const Table& table, ObjectId object) const {
    bool is_covered = table.covers_object(object, version_.step) || store_->owns(object);
    return is_covered ? Presence::kGone : Presence::kNotCovered;
  }

  std::shared_ptr<Store> store_;
  Version version_;
};

/// The writes and reads of a transaction on their way to the server.
struct Batch {
  TransactionId as_of;
  std::vector<Bytes> records;  ///< encoded records, each part of about limits::kCommitPartBytes
  std::vector<Bytes> reads;    ///< encoded reads, likewise
  bool no_log = false;         ///< the server's transaction watcher is not told, unless something goes wrong

  size_t bytes() const {
    size_t sum = 0;
    for (const auto* parts : {&records, &reads}) {
      for (const Bytes& part : *parts) sum += part.size();
    }
    return sum;
  }
};

class Transaction : public View {
 public:
  using View::View;

  /// V3: own writes first. Records the read unless an own write answered it.
  Presence read(const Table& table, ObjectId object, FieldId field, BytesView& value);
  Presence exists(const Table& table, ObjectId object);
  /// As View's, with own writes seen; records the read.
  void lookup(const Table& table, IndexId index, BytesView key, size_t limit, std::vector<ObjectId>& found);
  void lookup_type(const Table& table, size_t limit, std::vector<ObjectId>& found);
  Summary summary(const Table& table, IndexId index, BytesView key);
  Summary summary_of_type(const Table& table);

  /// A new object; the caller writes every field of its definition next. REQUIRES: a fresh identity of this connection.
  void create(const Table& table, ObjectId object);
  /// Takes back a creation of this transaction as if it had not been: the creator's __init__ failed.
  void cancel(ObjectId object) { writes_.cancel(object); }
  Presence write(const Table& table, ObjectId object, FieldId field, BytesView value);
  Presence erase(const Table& table, ObjectId object);

  bool has_writes() const { return writes_.count() > 0; }
  size_t write_count() const { return writes_.count(); }
  /// Bytes of all written values, against limits::kTransactionBytesMax.
  size_t written_bytes() const { return writes_.bytes(); }
  Batch batch() const;

  const ReadSet& reads() const { return reads_; }
  /// For dependencies that only the program knows of.
  ReadSet& reads() { return reads_; }
  const WriteSet& writes() const { return writes_; }
  /// The key of an object in an index, own writes seen; empty when it is in none.
  Bytes key_of(const Table& table, ObjectId object, IndexId index) const {
    return writes_.key_of(table, object, index, version_.step);
  }

 private:
  ReadSet reads_;
  WriteSet writes_;
};

}  // namespace odb
