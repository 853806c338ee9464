/// What applied steps did, for those who want to be told: the values that were written, and the index keys that gained
/// and lost members.
///
/// A store fills one while it is asked to (Store::record_changes). Sets of several steps can be merged: then each key
/// has what happened to it last, and the memory is bounded by the data that changed, not by how often it did.
/// Thread safety: none.
#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace odb {

class ChangeSet {
 public:
  /// In place of a field's number: that the object exists. In place of an index's: the set of all objects.
  static constexpr FieldId kExistence{UINT32_MAX};
  static constexpr IndexId kTypeSet{UINT32_MAX};

  struct Write {
    TypeId type;
    ObjectId object;
    FieldId field;
    BytesView value;  // V value; empty: deleted
  };
  struct Membership {
    TypeId type;
    IndexId index;
    BytesView key;  // K value; empty for the set of all objects
    ObjectId object;
    bool is_added;
  };

  void write(TypeId type, ObjectId object, FieldId field, BytesView value) {
    writes_.push_back({type, object, field, put(value)});
  }
  void join(TypeId type, IndexId index, BytesView key, ObjectId object) {
    memberships_.push_back({type, index, put(key), object, true});
  }
  void leave(TypeId type, IndexId index, BytesView key, ObjectId object) {
    memberships_.push_back({type, index, put(key), object, false});
  }

  /// The last transaction of those that are in here.
  TransactionId tid;

  /// Appends what happened later. Now and then forgets what is overwritten, at a cost in proportion to what came.
  void merge(ChangeSet&& later);
  /// Forgets all but the last change of every key.
  void compact();

  /// Calls f(Write) for each, in order; a key may come several times, the last one holds.
  template <class F>
  void each_write(F&& f) const {
    for (const StoredWrite& write : writes_) f(Write{write.type, write.object, write.field, get(write.value)});
  }
  /// Calls f(Membership) likewise.
  template <class F>
  void each_membership(F&& f) const {
    for (const StoredMembership& m : memberships_) f(Membership{m.type, m.index, get(m.key), m.object, m.is_added});
  }

  size_t count() const { return writes_.size() + memberships_.size(); }
  /// Memory that it takes, about.
  size_t bytes() const {
    return arena_.size() + writes_.size() * sizeof(StoredWrite) + memberships_.size() * sizeof(StoredMembership);
  }

 private:
  struct Slice {
    size_t offset, size;
  };
  struct StoredWrite {
    TypeId type;
    ObjectId object;
    FieldId field;
    Slice value;
  };
  struct StoredMembership {
    TypeId type;
    IndexId index;
    Slice key;
    ObjectId object;
    bool is_added;
  };

  Slice put(BytesView bytes) {
    Slice slice{arena_.size(), bytes.size()};
    arena_.append(bytes);
    return slice;
  }
  BytesView get(Slice slice) const { return {arena_.data() + slice.offset, slice.size}; }

  std::vector<StoredWrite> writes_;
  std::vector<StoredMembership> memberships_;
  Bytes arena_;
  size_t compact_bytes_ = 0;  // after the last compact()
};

}  // namespace odb
