/// Which transaction last wrote a key, for every key of a bounded window of recent commits (D14).
///
///   hash of a key -> last tid that wrote it
///
/// Two keys with one 64-bit hash cost a needless conflict, never a missed one. When the window is full the oldest
/// commits leave whole, and floor() rises: an older snapshot can no longer be judged and is refused (C2).
/// Thread safety: none; it belongs to the engine.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace odb {

using KeyHash = uint64_t;

/// Mark 0 is the existence of the object, mark f + 1 its field f.
KeyHash object_key_hash(ObjectId object, uint32_t mark);
KeyHash index_key_hash(TypeId type, IndexId index, BytesView key);
/// The set of all objects of a type.
KeyHash type_key_hash(TypeId type);

class ConflictSet {
 public:
  explicit ConflictSet(size_t window_bytes) : window_bytes_(window_bytes) {}

  /// What a start sets: nothing is known of commits up to here.
  void forget_up_to(TransactionId tid) { floor_ = tid; }
  /// Snapshots before this one cannot be judged.
  TransactionId floor() const { return floor_; }

  /// The last transaction above floor() that wrote the key; 0 when none did.
  TransactionId last_write(KeyHash key) const {
    auto found = last_writes_.find(key);
    return found == last_writes_.end() ? TransactionId{0} : found->second;
  }
  /// The connection behind a transaction of the window; 0 when it is not known any more.
  ObjectId writer_of(TransactionId tid) const;

  /// REQUIRES: tid is greater than every one before (C3).
  void record(TransactionId tid, ObjectId writer, const std::vector<KeyHash>& keys);

  size_t bytes() const;

 private:
  struct Commit {
    TransactionId tid;
    ObjectId writer;
    size_t key_count;
  };
  struct KeepHash {  // keys are hashes already
    using is_avalanching = void;
    size_t operator()(KeyHash key) const { return key; }
  };

  void forget_oldest();

  const size_t window_bytes_;
  TransactionId floor_;
  boost::unordered_flat_map<KeyHash, TransactionId, KeepHash> last_writes_;
  std::deque<Commit> commits_;  // ascending by tid
  std::deque<KeyHash> keys_;    // of all commits, in their order
};

}  // namespace odb
