/// What a transaction read, which is what it conflicts on (D13), and the bytes in which it travels:
///
///   reads = (01 varint:type int:object varint:n varint*n      n > 0 marks ascending: 0 existence, f + 1 field f
///           |02 varint:type varint:index text:key             an index key that was looked up
///           |03 varint:type)*                                 the set of all objects of a type
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <set>
#include <vector>

#include "core/codec/codec.h"

namespace odb {

struct IndexKey {
  TypeId type;
  IndexId index;
  Bytes key;
  friend bool operator==(const IndexKey&, const IndexKey&) = default;
  friend size_t hash_value(const IndexKey& k) {
    return hash_bytes(k.key, uint64_t{k.type.value} << 32 | k.index.value);
  }
};

struct HashId {
  using is_avalanching = void;
  template <class Tag, class Rep>
  size_t operator()(Id<Tag, Rep> id) const {
    return std::hash<Id<Tag, Rep>>()(id);
  }
};

class ReadSet {
 public:
  void add_existence(TypeId type, ObjectId object) { add_mark(type, object, 0); }
  void add_field(TypeId type, ObjectId object, FieldId field) { add_mark(type, object, field.value + 1); }
  void add_index_key(TypeId type, IndexId index, BytesView key) { index_keys_.insert({type, index, Bytes(key)}); }
  void add_type(TypeId type) { types_.insert(type); }

  /// Calls f(type, object, mark) for every mark of an object: 0 existence, m field m - 1.
  template <class F>
  void each_mark(F&& f) const {
    for (const auto& [object, reads] : objects_) {
      for (uint32_t mark = 0; mark < kMaskMarks; ++mark) {
        if (reads.marks >> mark & 1) f(reads.type, object, mark);
      }
    }
    for (const auto& [object, mark] : high_marks_) f(objects_.at(object).type, object, mark);
  }
  template <class F>
  void each_index_key(F&& f) const {
    for (const IndexKey& key : index_keys_) f(key);
  }
  template <class F>
  void each_type(F&& f) const {
    for (TypeId type : types_) f(type);
  }

  bool is_empty() const { return objects_.empty() && index_keys_.empty() && types_.empty(); }
  /// Appends the encoded reads to `parts`, each part of about `part_bytes`.
  void encode(std::vector<Bytes>& parts, size_t part_bytes) const;

 private:
  static constexpr uint32_t kMaskMarks = 64;
  struct ObjectReads {
    TypeId type;
    uint64_t marks = 0;  // bit m: mark m
  };

  void add_mark(TypeId type, ObjectId object, uint32_t mark) {
    ObjectReads& reads = objects_[object];
    reads.type = type;
    if (mark < kMaskMarks) {
      reads.marks |= uint64_t{1} << mark;
    } else {
      high_marks_.emplace(object, mark);
    }
  }

  boost::unordered_flat_map<ObjectId, ObjectReads, HashId> objects_;
  std::set<std::pair<ObjectId, uint32_t>> high_marks_;  // of types with more than 63 fields
  boost::unordered_flat_set<IndexKey> index_keys_;
  std::set<TypeId> types_;
};

/// One entry of encoded reads.
struct Read {
  enum class Kind : uint8_t { kObject = 1, kIndexKey = 2, kType = 3 };
  Kind kind;
  TypeId type;
  ObjectId object;
  std::vector<uint32_t> marks;
  IndexId index;
  BytesView key;
};

class ReadsReader {
 public:
  explicit ReadsReader(BytesView bytes) : in_(bytes) {}
  /// False at the end, and when the bytes are not canonical (then is_ok() is false).
  bool next(Read& read);
  bool is_ok() const { return in_.is_ok(); }

 private:
  Reader in_;
};

}  // namespace odb
