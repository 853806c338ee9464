#include "core/commit/conflict_set.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb {

KeyHash object_key_hash(ObjectId object, uint32_t mark) {
  return mix_hash(mix_hash(static_cast<uint64_t>(object.value)) + mark);
}

KeyHash index_key_hash(TypeId type, IndexId index, BytesView key) {
  return hash_bytes(key, mix_hash(uint64_t{type.value} << 32 | (index.value + 1)));
}

KeyHash type_key_hash(TypeId type) { return mix_hash(~(uint64_t{type.value} << 32)); }

ObjectId ConflictSet::writer_of(TransactionId tid) const {
  auto found = std::ranges::lower_bound(commits_, tid, {}, &Commit::tid);
  return found != commits_.end() && found->tid == tid ? found->writer : ObjectId{0};
}

void ConflictSet::record(TransactionId tid, ObjectId writer, const std::vector<KeyHash>& keys) {
  ODB_CHECK(commits_.empty() || commits_.back().tid < tid, tid.value);  // C3
  for (KeyHash key : keys) last_writes_[key] = tid;
  keys_.insert(keys_.end(), keys.begin(), keys.end());
  commits_.push_back({tid, writer, keys.size()});
  while (bytes() > window_bytes_ && commits_.size() > 1) forget_oldest();
}

void ConflictSet::forget_oldest() {
  const Commit& oldest = commits_.front();
  for (size_t i = 0; i < oldest.key_count; ++i, keys_.pop_front()) {
    auto found = last_writes_.find(keys_.front());
    if (found != last_writes_.end() && found->second == oldest.tid) last_writes_.erase(found);
  }
  floor_ = oldest.tid;
  commits_.pop_front();
}

size_t ConflictSet::bytes() const {
  constexpr size_t kMapEntryBytes = 24;  // 16 and the map's spare room
  return last_writes_.size() * kMapEntryBytes + keys_.size() * sizeof(KeyHash) + commits_.size() * sizeof(Commit);
}

}  // namespace odb
