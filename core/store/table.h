/// The objects of one type with its indexes, as of any pinned step, and how much of them this store holds.
/// Thread safety: one writer (the Store); readers of pinned steps take no lock.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/store/coverage.h"
#include "core/store/index_build.h"
#include "core/store/key_index.h"
#include "core/store/object_tree.h"
#include "core/store/row.h"
#include "core/types/definition.h"

namespace odb {

class Table {
 public:
  explicit Table(TypeLayout layout);

  const TypeLayout& layout() const { return shape().layout; }
  TypeId id() const { return id_; }

  /// V1: the newest row with row.step <= step; nullptr when there is none or the object is deleted by then.
  const Row* find(ObjectId object, Step step) const {
    const Row* row = tree_.head(object);
    while (row != nullptr && row->step > step) row = row->older.load(std::memory_order_acquire);
    return row == nullptr || row->is_tombstone ? nullptr : row;
  }

  /// Calls f(object, row) for every object that exists at `step`, ascending by identity, until f returns false.
  template <class F>
  void for_each(Step step, F&& f, ObjectId from = ObjectId{0}) const {
    tree_.for_each_from(from, [&](ObjectId object, const Row* row) {
      while (row != nullptr && row->step > step) row = row->older.load(std::memory_order_acquire);
      return row == nullptr || row->is_tombstone || f(object, *row);
    });
  }

  /// Calls f(object) for every object with this index key at `step`, ascending by identity, until f returns false.
  template <class F>
  void for_each_in(IndexId index, BytesView key, Step step, F&& f, ObjectId from = ObjectId{0}) const {
    shape().indexes[index.value]->for_each(key, step, f, from);
  }

  /// The value of a field, its default when the row has none.
  BytesView value_of(const Row& row, FieldId field) const {
    BytesView value = row.value(field);
    return value.empty() ? BytesView(layout().fields[field.value].default_value) : value;
  }

  /// S2: the key of a row in an index, from the field values alone.
  void append_index_key(Bytes& out, IndexId index, const Row& row) const;

  /// Whether every value of a record is one of its field's.
  bool fits(const Record& record) const;
  /// The key that a V value for each field of an index makes. kInvalidArgument: there is no such index, or the values
  /// are not such values.
  Status key_of_values(IndexId index, BytesView values, Bytes& key) const;

  /// D13: the fields that a write of `field` reads, because an index holds them together: empty when it is in none.
  const std::vector<FieldId>& fields_indexed_with(FieldId field) const { return shape().indexed_with[field.value]; }

  /// D20: whether everything of this type that existed at `step` is here.
  bool is_complete_at(Step step) const { return complete_from_.load(std::memory_order_acquire) <= step; }
  bool is_complete() const { return complete_from_.load(std::memory_order_acquire) != kNever; }
  /// D20: what is covered beside complete types: lookups of this key; the absence of this object.
  bool covers_key(IndexId index, BytesView key, Step step) const {
    return is_complete_at(step) || coverage_.has_key(index, key, step);
  }
  bool covers_object(ObjectId object, Step step) const {
    return is_complete_at(step) || coverage_.has_object(object, step);
  }
  /// Writer: whether a row has an index key that is covered by itself at `step`.
  bool is_in_covered_key(const Row& row, Step step) const;
  /// Whether an index answers for views at `step`: one that was added to a type with objects does from then on.
  bool is_indexed_at(IndexId index, Step step) const { return shape().indexed_from[index.value] <= step; }
  /// D17: reads of an index are judged by the conflict set as of this transaction and later ones.
  TransactionId is_indexed_since(IndexId index) const { return shape().indexed_since[index.value]; }
  /// D20: whether the program has said that it works with this type at all.
  bool is_joined() const { return is_joined_.load(std::memory_order_acquire); }
  void join() { is_joined_.store(true, std::memory_order_release); }

  /// The last transaction that is known to have changed objects of this type here; 0: none.
  TransactionId touched_at() const { return touched_at_.load(std::memory_order_acquire); }

  size_t object_count() const { return object_count_; }

  /// Writer: memory of what leads to the rows. Rows are counted by the store.
  size_t structure_bytes() const {
    size_t bytes = tree_.bytes() + coverage_.bytes();
    for (const auto& index : indexes_) bytes += index->bytes();
    for (const auto& build : builds_) bytes += build->index().bytes();
    return bytes;
  }
  /// About what the next row of an object that is not here, or the next member of an index key, will add to that.
  size_t page_bytes_missing(ObjectId object) const { return tree_.page_bytes_missing(object); }
  size_t entry_bytes(IndexId index, BytesView key) const { return indexes_[index.value]->entry_bytes(key); }

 private:
  friend class Store;

  struct Shape {  // replaced whole when fields or indexes are added; old ones stay for readers
    TypeLayout layout;
    std::vector<KeyIndex*> indexes;                  // id -> index
    std::vector<Step> indexed_from;                  // index -> first step that it answers for
    std::vector<TransactionId> indexed_since;        // index -> from which transaction on its keys are recorded
    std::vector<std::vector<FieldId>> indexed_with;  // field -> the fields of all indexes that contain it
  };
  const Shape& shape() const { return *shape_.load(std::memory_order_acquire); }
  /// New indexes answer from `indexed_from`, and follow writes from `now` on. Those that are not made yet are empty: the
  /// caller fills them.
  void extend(TypeLayout layout, Step indexed_from, TransactionId now);

  const TypeId id_;
  ObjectTree tree_;
  std::vector<std::unique_ptr<KeyIndex>> indexes_;
  std::vector<std::unique_ptr<IndexBuild>> builds_;  // writer only
  std::vector<std::unique_ptr<Shape>> shapes_;
  std::atomic<const Shape*> shape_{nullptr};
  std::atomic<Step> complete_from_{kNever};
  std::atomic<bool> is_joined_{false};
  std::atomic<TransactionId> touched_at_{};
  Coverage coverage_;
  size_t object_count_ = 0;  // writer only
  Step touching_;            // writer only: the last step that changed something here
};

}  // namespace odb
