#include "core/store/coverage.h"

#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

bool has(const KeyIndex& entries, BytesView entry, Step step) {
  bool is_member = false;
  entries.for_each(entry, step, [&](ObjectId) {
    is_member = true;
    return false;
  });
  return is_member;
}

}  // namespace

Bytes Coverage::entry_of(ObjectId object) {
  Bytes entry("o");
  entry.append(reinterpret_cast<const char*>(&object.value), sizeof object.value);
  return entry;
}

void Coverage::put_entry(Bytes& out, IndexId index, BytesView key) {
  out.push_back('k');
  put_varint(out, index.value);
  out.append(key);
}

bool Coverage::has_key(IndexId index, BytesView key, Step step) const {
  thread_local Bytes entry;
  entry.clear();
  put_entry(entry, index, key);
  return has(entries_, entry, step);
}

bool Coverage::has_object(ObjectId object, Step step) const { return has(entries_, entry_of(object), step); }

void Coverage::add_key(IndexId index, BytesView key, Step step, Limbo& limbo) {
  Bytes entry;
  put_entry(entry, index, key);
  if (!has(entries_, entry, step)) entries_.insert(entry, ObjectId{0}, step, limbo);
}

void Coverage::add_object(ObjectId object, Step step, Limbo& limbo) {
  Bytes entry = entry_of(object);
  if (!has(entries_, entry, step)) entries_.insert(entry, object, step, limbo);
}

std::optional<ObjectId> Coverage::add_deleted(ObjectId object, Step step, Limbo& limbo) {
  Bytes entry = entry_of(object);
  if (has(entries_, entry, step)) return std::nullopt;
  entries_.insert(entry, object, step, limbo);
  deleted_.push_back(object);
  if (deleted_.size() <= limits::kDeletedRememberedMax) return std::nullopt;
  ObjectId oldest = deleted_.front();
  deleted_.pop_front();
  entries_.remove(entry_of(oldest), oldest, step);
  return oldest;
}

}  // namespace odb
