#include "core/store/change_set.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <tuple>

namespace odb {
namespace {

constexpr size_t kCompactBytesMin = 64 << 10;  // below this forgetting costs more than it saves

struct WriteKey {
  ObjectId object;
  TypeId type;
  FieldId field;
  friend bool operator==(const WriteKey&, const WriteKey&) = default;
  friend size_t hash_value(const WriteKey& key) {
    return mix_hash(static_cast<uint64_t>(key.object.value) ^
                    mix_hash(uint64_t{key.type.value} << 32 | key.field.value));
  }
};

struct MembershipKey {
  BytesView key;
  ObjectId object;
  TypeId type;
  IndexId index;
  friend bool operator==(const MembershipKey&, const MembershipKey&) = default;
  friend size_t hash_value(const MembershipKey& key) {
    return hash_bytes(
        key.key, static_cast<uint64_t>(key.object.value) ^ mix_hash(uint64_t{key.type.value} << 32 | key.index.value));
  }
};

}  // namespace

void ChangeSet::merge(ChangeSet&& later) {
  later.each_write([this](const Write& w) { write(w.type, w.object, w.field, w.value); });
  later.each_membership(
      [this](const Membership& m) { memberships_.push_back({m.type, m.index, put(m.key), m.object, m.is_added}); });
  tid = later.tid;
  if (bytes() > std::max(kCompactBytesMin, 2 * compact_bytes_)) compact();
}

void ChangeSet::compact() {
  std::vector<StoredWrite> writes = std::move(writes_);
  std::vector<StoredMembership> memberships = std::move(memberships_);
  Bytes arena = std::move(arena_);
  writes_.clear();
  memberships_.clear();
  arena_.clear();
  auto old = [&arena](Slice slice) { return BytesView(arena).substr(slice.offset, slice.size); };

  // From the end, so that the first one met of a key is the last one that happened.
  boost::unordered_flat_set<WriteKey> written;
  for (auto w = writes.rbegin(); w != writes.rend(); ++w) {
    if (written.insert({w->object, w->type, w->field}).second) write(w->type, w->object, w->field, old(w->value));
  }
  boost::unordered_flat_set<MembershipKey> changed;
  for (auto m = memberships.rbegin(); m != memberships.rend(); ++m) {
    if (changed.insert({old(m->key), m->object, m->type, m->index}).second)
      memberships_.push_back({m->type, m->index, put(old(m->key)), m->object, m->is_added});
  }
  std::ranges::reverse(writes_);
  std::ranges::reverse(memberships_);
  compact_bytes_ = bytes();
}

}  // namespace odb
