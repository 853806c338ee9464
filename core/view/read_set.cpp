#include "core/view/read_set.h"

#include <bit>

#include "core/base/limits.h"

namespace odb {

void ReadSet::encode(std::vector<Bytes>& parts, size_t part_bytes) const {
  Bytes out;
  auto end_entry = [&] {
    if (out.size() < part_bytes) return;
    parts.push_back(std::move(out));
    out.clear();
  };
  for (const auto& [object, reads] : objects_) {
    auto high = high_marks_.lower_bound({object, 0});
    auto high_end = high_marks_.upper_bound({object, UINT32_MAX});
    out.push_back(static_cast<char>(Read::Kind::kObject));
    put_varint(out, reads.type.value);
    put_int(out, object.value);
    put_varint(out, static_cast<uint64_t>(std::popcount(reads.marks) + std::distance(high, high_end)));
    for (uint64_t rest = reads.marks; rest != 0; rest &= rest - 1)
      put_varint(out, static_cast<uint64_t>(std::countr_zero(rest)));
    for (; high != high_end; ++high) put_varint(out, high->second);
    end_entry();
  }
  for (const IndexKey& read : index_keys_) {
    out.push_back(static_cast<char>(Read::Kind::kIndexKey));
    put_varint(out, read.type.value);
    put_varint(out, read.index.value);
    put_varint(out, read.key.size());
    out.append(read.key);
    end_entry();
  }
  for (TypeId type : types_) {
    out.push_back(static_cast<char>(Read::Kind::kType));
    put_varint(out, type.value);
    end_entry();
  }
  if (!out.empty()) parts.push_back(std::move(out));
}

bool ReadsReader::next(Read& read) {
  if (in_.at_end()) return false;
  uint8_t kind = in_.byte();
  uint64_t type = in_.varint();
  if (kind < 1 || kind > 3 || type == 0 || type > INT32_MAX) in_.fail();
  read.kind = static_cast<Read::Kind>(kind);
  read.type = TypeId{static_cast<uint32_t>(type)};
  if (!in_.is_ok()) return false;
  if (read.kind == Read::Kind::kObject) {
    read.object = ObjectId{in_.integer()};
    read.marks.clear();
    size_t n = in_.count(1);
    if (n == 0 || n > limits::kFieldsPerTypeMax + 1 || read.object.value <= 0) in_.fail();
    uint64_t next_mark = 0;
    for (size_t i = 0; i < n && in_.is_ok(); ++i) {
      uint64_t mark = in_.varint();
      if (mark < next_mark || mark > limits::kFieldsPerTypeMax) in_.fail();
      next_mark = mark + 1;
      read.marks.push_back(static_cast<uint32_t>(mark));
    }
  } else if (read.kind == Read::Kind::kIndexKey) {
    uint64_t index = in_.varint();
    if (index >= limits::kIndexesPerTypeMax) in_.fail();
    read.index = IndexId{static_cast<uint32_t>(index)};
    read.key = in_.text();
  }
  return in_.is_ok();
}

}  // namespace odb
