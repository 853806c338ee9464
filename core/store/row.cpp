#include "core/store/row.h"

#include <algorithm>
#include <new>

#include "core/base/check.h"

namespace odb {

Row* Row::make(Step step, size_t field_count, size_t values_bytes) {
  ODB_CHECK(field_count <= UINT16_MAX, field_count);
  ODB_CHECK(values_bytes <= UINT32_MAX, values_bytes);
  bool is_wide = values_bytes > UINT16_MAX;
  size_t size = sizeof(Row) + field_count * (is_wide ? 4 : 2) + values_bytes;
  return new (::operator new(size)) Row{
      step, nullptr, static_cast<uint32_t>(values_bytes), static_cast<uint16_t>(field_count), is_wide, false, false};
}

void Row::put(size_t index, BytesView value, uint32_t& end) {
  std::copy(value.begin(), value.end(), payload() + offsets_bytes() + end);  // memcpy may not be given an absent value
  end += static_cast<uint32_t>(value.size());
  if (is_wide) {
    std::memcpy(payload() + 4 * index, &end, 4);
  } else {
    auto narrow = static_cast<uint16_t>(end);
    std::memcpy(payload() + 2 * index, &narrow, 2);
  }
}

Row* Row::tombstone(Step step) {
  Row* row = make(step, 0, 0);
  row->is_tombstone = true;
  return row;
}

Row* Row::of(Step step, std::span<const FieldValue> values) {
  size_t bytes = 0;
  for (const FieldValue& field : values) bytes += field.value.size();
  Row* row = make(step, values.size(), bytes);
  uint32_t end = 0;
  for (size_t i = 0; i < values.size(); ++i) row->put(i, values[i].value, end);
  return row;
}

Row* Row::merge(Step step, const Row& before, std::span<const FieldValue> changes) {
  size_t count = std::max<size_t>(before.field_count, changes.empty() ? 0 : changes.back().field.value + 1);
  size_t bytes = before.values_bytes;
  for (const FieldValue& change : changes) bytes = bytes + change.value.size() - before.value(change.field).size();
  Row* row = make(step, count, bytes);
  uint32_t end = 0;
  auto change = changes.begin();
  for (size_t i = 0; i < count; ++i) {
    FieldId field{static_cast<uint32_t>(i)};
    bool is_changed = change != changes.end() && change->field == field;
    row->put(i, is_changed ? (change++)->value : before.value(field), end);
  }
  return row;
}

void Row::destroy(void* row) {
  static_cast<Row*>(row)->~Row();
  ::operator delete(row);
}

void put_row_record(Bytes& out, Op op, TypeId type, ObjectId object, const Row& row) {
  put_record_head(out, op, type, object);
  put_row_values(out, row);
}

void put_row_values(Bytes& out, const Row& row) {
  put_varint(out, row.field_count);
  for (uint32_t i = 0; i < row.field_count; ++i) {
    BytesView value = row.value(FieldId{i});
    if (value.empty()) {
      put_absent(out);
    } else {
      out.append(value);
    }
  }
}

}  // namespace odb
