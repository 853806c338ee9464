#include "core/store/table.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb {

Table::Table(TypeLayout layout) : id_(layout.id) { extend(std::move(layout), Step{0}, TransactionId{0}); }

void Table::extend(TypeLayout layout, Step indexed_from, TransactionId now) {
  ODB_CHECK(layout.id == id_, layout.id.value, id_.value);
  if (!shapes_.empty()) {
    ODB_CHECK(layout.fields.size() >= shape().layout.fields.size());
    ODB_CHECK(layout.indexes.size() >= shape().layout.indexes.size());
  }
  auto made = std::make_unique<Shape>();
  if (!shapes_.empty()) {
    made->indexed_from = shape().indexed_from;
    made->indexed_since = shape().indexed_since;
  }
  made->indexed_from.resize(layout.indexes.size(), indexed_from);
  made->indexed_since.resize(layout.indexes.size(), now);
  while (indexes_.size() < layout.indexes.size()) indexes_.push_back(std::make_unique<KeyIndex>());
  for (const auto& index : indexes_) made->indexes.push_back(index.get());
  made->indexed_with.resize(layout.fields.size());
  for (const IndexLayout& index : layout.indexes) {
    for (FieldId field : index.fields) {
      auto& together = made->indexed_with[field.value];
      together.insert(together.end(), index.fields.begin(), index.fields.end());
    }
  }
  for (auto& together : made->indexed_with) {
    std::ranges::sort(together);
    together.erase(std::ranges::unique(together).begin(), together.end());
  }
  made->layout = std::move(layout);
  shape_.store(made.get(), std::memory_order_release);
  shapes_.push_back(std::move(made));
}

void Table::append_index_key(Bytes& out, IndexId index, const Row& row) const {
  for (FieldId field : layout().indexes[index.value].fields) append_key(out, value_of(row, field));
}

bool Table::fits(const Record& record) const {
  return std::ranges::all_of(record.fields, [this](const FieldValue& value) {
    const FieldLayout* field = layout().field(value.field);
    return field != nullptr && (value.value.empty() || field->type.holds(value.value));
  });
}

Status Table::key_of_values(IndexId index, BytesView values, Bytes& key) const {
  const TypeLayout& layout = this->layout();
  if (index.value >= layout.indexes.size())
    return {Code::kInvalidArgument, layout.qualified_name() + " has no index " + std::to_string(index.value)};
  if (layout.indexes[index.value].fields.empty())
    return {Code::kInvalidArgument,
            "index " + std::to_string(index.value) + " of " + layout.qualified_name() + " was dropped"};
  Reader in(values);
  for (FieldId field : layout.indexes[index.value].fields) {
    BytesView value = in.value();
    if (value.empty() || !layout.fields[field.value].type.holds(value))
      return {Code::kInvalidArgument, "values that are not those of the index " + layout.qualified_name() + "." +
                                          layout.indexes[index.value].name};
    append_key(key, value);
  }
  if (!in.at_end() || !in.is_ok()) return {Code::kInvalidArgument, "more values than the index has fields"};
  return Status::ok();
}

bool Table::is_in_covered_key(const Row& row, Step step) const {
  if (coverage_.is_empty()) return false;
  Bytes key;
  for (uint32_t i = 0; i < indexes_.size(); ++i) {
    key.clear();
    append_index_key(key, IndexId{i}, row);
    if (coverage_.has_key(IndexId{i}, key, step)) return true;
  }
  return false;
}

}  // namespace odb
