#include "core/store/index_build.h"

#include <algorithm>

#include "core/codec/codec.h"

namespace odb {

IndexBuild::Parts IndexBuild::parts_of(const TypeLayout& wanted, const IndexLayout& index) {
  Parts parts;
  for (FieldId field : index.fields) parts.push_back({field, wanted.fields[field.value].default_value});
  return parts;
}

BytesView IndexBuild::value_of(const Part& part, const Row& row) {
  BytesView value = row.value(part.field);
  return value.empty() ? BytesView(part.default_value) : value;
}

void IndexBuild::append_key(Bytes& out, const Row& row) const {
  for (const Part& part : parts_) odb::append_key(out, value_of(part, row));
}

bool IndexBuild::has_none(const Row& row) const {
  return std::ranges::any_of(
      parts_, [&](const Part& part) { return static_cast<uint8_t>(value_of(part, row).front()) == kind::kNone; });
}

void IndexBuild::insert(const Row& row, BytesView key, ObjectId object) {
  if (is_unique_ && !has_none(row)) {
    bool is_taken = false;
    index_->for_each(key, kLatest, [&](ObjectId) { return !(is_taken = true); });
    if (is_taken) suspects_.emplace_back(key);
  }
  index_->insert_settled(key, object, at_once_);
}

std::optional<std::pair<ObjectId, ObjectId>> IndexBuild::clash() {
  while (!suspects_.empty()) {
    std::vector<ObjectId> holders;
    index_->for_each(suspects_.back(), kLatest, [&](ObjectId object) {
      holders.push_back(object);
      return holders.size() < 2;
    });
    if (holders.size() == 2) return std::pair(holders[0], holders[1]);
    suspects_.pop_back();
  }
  return std::nullopt;
}

}  // namespace odb
