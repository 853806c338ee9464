/// Words for tests of views and commits: a store that can be shared, and reads told as text.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "core/store/store_testing.h"
#include "core/view/view.h"

namespace odb::testing {

/// Encoded reads for people, sorted: "1:7 exists", "1:7.2", "key 1.0", "type 1". "!" at the end: not canonical.
inline std::set<std::string> told_reads(BytesView bytes) {
  std::set<std::string> out;
  ReadsReader reader(bytes);
  for (Read read; reader.next(read);) {
    std::string type = std::to_string(read.type.value);
    if (read.kind == Read::Kind::kType) out.insert("type " + type);
    if (read.kind == Read::Kind::kIndexKey) out.insert("key " + type + "." + std::to_string(read.index.value));
    if (read.kind != Read::Kind::kObject) continue;
    std::string object = type + ":" + std::to_string(read.object.value);
    for (uint32_t mark : read.marks)
      out.insert(mark == 0 ? object + " exists" : object + "." + std::to_string(mark - 1));
  }
  if (!reader.is_ok()) out.insert("!");
  return out;
}

inline Bytes joined(const std::vector<Bytes>& parts) {
  Bytes out;
  for (const Bytes& part : parts) out += part;
  return out;
}

inline std::set<std::string> told_reads(const Transaction& transaction) {
  return told_reads(joined(transaction.batch().reads));
}

using Told = std::set<std::string>;

}  // namespace odb::testing
