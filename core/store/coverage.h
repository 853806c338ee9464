/// What is covered of a type that is not complete here (D20), versioned by step: index keys, and objects that are not
/// there. An object that is there is covered by being there, so nothing has to be kept for it.
///
///   'k' varint:index key bytes -> the step from which on lookups of this key see everything
///   'o' object                 -> the step from which on its absence is known: it does not exist
///
/// They are keys of a KeyIndex, and its members are steps instead of identities: of what is forgotten the step from which
/// it is no longer covered is there as well. A reader goes by the last one that is not behind his own.
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
  /// To be called for an object that was forgotten, once every view is at a step >= floor: makes room.
  void expire(ObjectId object, Step floor, Limbo& limbo);

  size_t bytes() const { return entries_.bytes(); }
  bool is_empty() const { return entries_.key_count() == 0; }

 private:
  bool has(BytesView entry, Step step) const;
  void turn(BytesView entry, Step step, bool is_covered, Limbo& limbo);

  KeyIndex entries_;
  std::deque<ObjectId> deleted_;  // writer only
};

}  // namespace odb
