#include "core/store/coverage.h"

#include <array>

#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

Bytes entry_of(ObjectId object) {
  Bytes entry("o");
  entry.append(reinterpret_cast<const char*>(&object.value), sizeof object.value);
  return entry;
}

void put_entry(Bytes& out, IndexId index, BytesView key) {
  out.push_back('k');
  put_varint(out, index.value);
  out.append(key);
}

// A step at which something becomes covered, or no longer is, in the place of an identity.
ObjectId turn_of(Step step, bool is_covered) { return ObjectId{static_cast<int64_t>(step.value * 2 + is_covered)}; }
Step step_of(ObjectId turn) { return Step{static_cast<uint64_t>(turn.value) / 2}; }
bool is_covered_from(ObjectId turn) { return turn.value % 2 == 1; }

}  // namespace

bool Coverage::has(BytesView entry, Step step) const {
  bool is_covered = false;
  entries_.for_each(entry, kLatest, [&](ObjectId turn) {
    if (step_of(turn) > step) return false;
    is_covered = is_covered_from(turn);
    return true;
  });
  return is_covered;
}

bool Coverage::has_key(IndexId index, BytesView key, Step step) const {
  thread_local Bytes entry;
  entry.clear();
  put_entry(entry, index, key);
  return has(entry, step);
}

bool Coverage::has_object(ObjectId object, Step step) const { return has(entry_of(object), step); }

void Coverage::turn(BytesView entry, Step step, bool is_covered, Limbo& limbo) {
  ObjectId last;
  entries_.for_each(entry, kLatest, [&](ObjectId turn) {
    last = turn;
    return true;
  });
  if (last == turn_of(step, !is_covered)) {  // in this very step, which nobody has seen
    entries_.erase(entry, last, limbo);
  } else {
    entries_.insert_settled(entry, turn_of(step, is_covered), limbo);
  }
}

void Coverage::add_key(IndexId index, BytesView key, Step step, Limbo& limbo) {
  Bytes entry;
  put_entry(entry, index, key);
  if (!has(entry, step)) turn(entry, step, true, limbo);
}

void Coverage::add_object(ObjectId object, Step step, Limbo& limbo) {
  Bytes entry = entry_of(object);
  if (!has(entry, step)) turn(entry, step, true, limbo);
}

std::optional<ObjectId> Coverage::add_deleted(ObjectId object, Step step, Limbo& limbo) {
  Bytes entry = entry_of(object);
  if (has(entry, step)) return std::nullopt;
  turn(entry, step, true, limbo);
  deleted_.push_back(object);
  if (deleted_.size() <= limits::kDeletedRememberedMax) return std::nullopt;
  ObjectId oldest = deleted_.front();
  deleted_.pop_front();
  turn(entry_of(oldest), step, false, limbo);
  return oldest;
}

void Coverage::expire(ObjectId object, Step floor, Limbo& limbo) {
  Bytes entry = entry_of(object);
  for (;;) {
    std::array<ObjectId, 2> turns;
    size_t count = 0;
    entries_.for_each(entry, kLatest, [&](ObjectId turn) {
      turns[count++] = turn;
      return count < turns.size();
    });
    if (count < turns.size() || step_of(turns[1]) > floor) return;
    for (ObjectId turn : turns) entries_.erase(entry, turn, limbo);  // a reader in between sees the later one, or none
  }
}

}  // namespace odb
