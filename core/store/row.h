/// One version of one object: its values packed behind a small header, immutable once linked.
///
/// Layout behind the header: `field_count` end offsets (16 bit each, 32 bit when the values take 64 KiB or more), then
/// the V values one after the other. An absent value has size 0. A tombstone has no values.
/// Two fields, an int and a short str, take 40 bytes in all; an offset costs 2 and makes every read O(1).
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/codec/record.h"

namespace odb {

struct Row {
  Step step;
  std::atomic<Row*> older;
  uint32_t values_bytes;
  uint16_t field_count;
  bool is_wide : 1;
  bool is_tombstone : 1;
  /// Its index keys are not those of the row before it, and have to be settled (core/store/key_index.h).
  bool changes_keys : 1;

  /// The V value of a field; empty when absent, also for fields that were added after this row was written.
  BytesView value(FieldId field) const {
    if (field.value >= field_count) return {};
    uint32_t begin = field.value == 0 ? 0 : end_of(field.value - 1);
    return {values() + begin, end_of(field.value) - begin};
  }

  size_t bytes() const { return sizeof(Row) + offsets_bytes() + values_bytes; }
  /// What it counts for in the memory of a store: the present row of an object does, history and tombstones do not.
  static size_t live_bytes(const Row* row) {
    return row == nullptr || row->is_tombstone ? 0 : allocated_bytes(row->bytes());
  }

  static Row* tombstone(Step step);
  /// A row of these values, number 0 first.
  static Row* of(Step step, std::span<const FieldValue> values);
  /// `before` with some fields replaced; fields in between that neither has are absent.
  static Row* merge(Step step, const Row& before, std::span<const FieldValue> changes);
  static void destroy(void* row);

 private:
  static Row* make(Step step, size_t field_count, size_t values_bytes);
  void put(size_t index, BytesView value, uint32_t& end);
  const char* payload() const { return reinterpret_cast<const char*>(this + 1); }
  char* payload() { return reinterpret_cast<char*>(this + 1); }
  size_t offsets_bytes() const { return size_t{field_count} * (is_wide ? 4 : 2); }
  const char* values() const { return payload() + offsets_bytes(); }
  uint32_t end_of(uint32_t index) const {
    if (is_wide) {
      uint32_t end;
      std::memcpy(&end, payload() + 4 * size_t{index}, 4);
      return end;
    }
    uint16_t end;
    std::memcpy(&end, payload() + 2 * size_t{index}, 2);
    return end;
  }
};

/// Puts a row into a record's bytes: op create or whole.
void put_row_record(Bytes& out, Op op, TypeId type, ObjectId object, const Row& row);
/// What follows the head of such a record.
void put_row_values(Bytes& out, const Row& row);

}  // namespace odb
