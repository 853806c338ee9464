/// What is covered of a type that is not complete here (D20), versioned by step: index keys, and objects that are not
/// there. An object that is there is covered by being there, so nothing has to be kept for it.
///
///   'k' varint:index key bytes -> from which step on lookups of this key see everything
///   'o' object                 -> from which step on its absence is known: it does not exist
///
/// Deleted objects are remembered for a while only (limits::kDeletedRememberedMax of a type): identities never come
/// back, and a client that covers a queue by an index key would remember for ever what it has long worked off.
/// Thread safety: one writer (the Store); readers of pinned steps take no lock.
#pragma once

#include <deque>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/store/key_index.h"

namespace odb {

class Coverage {
 public:
  bool has_key(IndexId index, BytesView key, Step step) const;
  bool has_object(ObjectId object, Step step) const;

  // -- the writer; adding what is there already changes nothing, so a coverage never starts later than it did
  void add_key(IndexId index, BytesView key, Step step, Limbo& limbo);
  /// The program asked for this object, and it does not exist.
  void add_object(ObjectId object, Step step, Limbo& limbo);
  /// A covered object was deleted in this step. Gives the one that is forgotten for it, which the caller expires.
  std::optional<ObjectId> add_deleted(ObjectId object, Step step, Limbo& limbo);

  size_t bytes() const { return entries_.bytes(); }
  bool is_empty() const { return entries_.key_count() == 0; }
  KeyIndex& entries() { return entries_; }
  static Bytes entry_of(ObjectId object);

 private:
  static void put_entry(Bytes& out, IndexId index, BytesView key);

  KeyIndex entries_;
  std::deque<ObjectId> deleted_;  // writer only
};

}  // namespace odb
