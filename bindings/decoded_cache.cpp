#include "bindings/decoded_cache.h"

#include <utility>
#include <vector>

#include "bindings/ref.h"
#include "core/base/limits.h"

namespace odb {
namespace {

/// Of a value in memory: what Python has for a small int or a str of a letter, and of its parts, is many times what is
/// stored.
size_t memory_of(size_t stored_bytes) { return 64 + 16 * stored_bytes; }

}  // namespace

size_t DecodedCache::place_of(const FieldType& type, ObjectId object) {
  uint64_t start = mix_hash(reinterpret_cast<uintptr_t>(&type));
  return (start + static_cast<uint64_t>(object.value)) % limits::kDecodedCacheEntries;
}

void DecodedCache::put(const FieldType& type, ObjectId object, Step step, PyObject* value, size_t stored_bytes) {
  size_t bytes = memory_of(stored_bytes);
  if (bytes > limits::kDecodedCacheBytesMax) return;
  if (entries_ == nullptr) entries_ = std::make_unique<Entry[]>(limits::kDecodedCacheEntries);
  std::vector<Ref> evicted;  // given up last: that may run code of the program, which may come back here
  auto empty = [&](Entry& entry) {
    if (entry.value == nullptr) return;
    bytes_ -= entry.bytes;
    evicted.push_back(Ref::steal(entry.value));
    entry = {};
  };
  Entry& entry = entries_[place_of(type, object)];
  empty(entry);
  while (bytes_ + bytes > limits::kDecodedCacheBytesMax) {
    empty(entries_[hand_]);
    hand_ = (hand_ + 1) % limits::kDecodedCacheEntries;
  }
  entry = {&type, object, step, Py_NewRef(value), bytes};
  bytes_ += bytes;
}

void DecodedCache::clear() {
  std::unique_ptr<Entry[]> entries = std::move(entries_);
  bytes_ = 0;
  for (size_t i = 0; entries != nullptr && i < limits::kDecodedCacheEntries; ++i) Py_XDECREF(entries[i].value);
}

}  // namespace odb
