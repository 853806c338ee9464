/// Words for tests of the store and of what stands on it: one type, its values, records, and steps of a store.
///
/// shop.Item has a name (str, in no index), a shelf and a place (int). Index 0 is over the shelf, index 1 over both.
#pragma once

#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/store/store.h"

namespace odb::testing {

using Random = std::mt19937_64;

inline int64_t below(Random& random, int64_t end) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(end));
}

inline Bytes int_value(int64_t value) {
  Bytes out;
  put_int(out, value);
  return out;
}

inline Bytes str_value(std::string_view text) {
  Bytes out;
  put_str(out, text, Mode::kValue);
  return out;
}

inline int64_t int_of(BytesView value) { return Reader(value).integer(); }

inline constexpr TypeId kItem{1};
inline constexpr FieldId kName{0}, kShelf{1}, kPlace{2};
inline constexpr IndexId kByShelf{0}, kByShelfAndPlace{1};

inline FieldLayout field_layout(std::string name, std::string_view type) {
  TypeDescriptor descriptor = TypeDescriptor::parse(type).value();
  Bytes default_value = descriptor.default_value();
  return {std::move(name), std::move(descriptor), std::move(default_value)};
}

inline TypeLayout item_layout(TypeId id = kItem) {
  return {id,
          "shop",
          "Item",
          {field_layout("name", "str"), field_layout("shelf", "int"), field_layout("place", "int")},
          {{"shelf", {kShelf}}, {"spot", {kShelf, kPlace}}}};
}

/// An item without its identity.
struct Item {
  std::string name;
  int64_t shelf = 0;
  int64_t place = 0;
  friend bool operator==(const Item&, const Item&) = default;

  Bytes key(IndexId index) const {
    Bytes key;
    append_key(key, int_value(shelf));
    if (index == kByShelfAndPlace) append_key(key, int_value(place));
    return key;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Item& item) {
  return out << item.name << "@" << item.shelf << "." << item.place;
}

using Items = std::map<ObjectId, Item>;

inline Item item_of(const Table& table, const Row& row) {
  Reader name(table.value_of(row, kName));
  name.byte();
  return {std::string(name.text()), int_of(table.value_of(row, kShelf)), int_of(table.value_of(row, kPlace))};
}

/// Encoded records, one call after the other.
struct Records {
  Bytes bytes;

  Records& row(Op op, TypeId type, int64_t object, const std::vector<Bytes>& values) {
    put_record_head(bytes, op, type, ObjectId{object});
    put_varint(bytes, values.size());
    for (const Bytes& value : values) value.empty() ? put_absent(bytes) : void(bytes.append(value));
    return *this;
  }
  Records& create(int64_t object, const Item& item) {
    return row(Op::kCreate, kItem, object, {str_value(item.name), int_value(item.shelf), int_value(item.place)});
  }
  Records& whole(int64_t object, const Item& item) {
    return row(Op::kWhole, kItem, object, {str_value(item.name), int_value(item.shelf), int_value(item.place)});
  }
  Records& update(TypeId type, int64_t object, const std::vector<std::pair<FieldId, Bytes>>& changes) {
    put_record_head(bytes, Op::kUpdate, type, ObjectId{object});
    put_varint(bytes, changes.size());
    for (const auto& [field, value] : changes) {
      put_varint(bytes, field.value);
      bytes.append(value);
    }
    return *this;
  }
  Records& update(int64_t object, FieldId field, const Bytes& value) { return update(kItem, object, {{field, value}}); }
  Records& erase(int64_t object, TypeId type = kItem) {
    put_record_head(bytes, Op::kDelete, type, ObjectId{object});
    return *this;
  }
};

/// The status of the first record that does not fit; carries out those before it.
inline Status apply_all(Store& store, BytesView records) {
  RecordReader reader(records);
  Record record;
  Status status;
  while (status.is_ok() && reader.next(record)) status = store.apply(record);
  ODB_CHECK(reader.is_ok());
  return status;
}

/// One step of a store; the records must fit.
inline void step(Store& store, uint64_t tid, const Records& records) {
  store.begin();
  Status status = apply_all(store, records.bytes);
  ODB_CHECK(status.is_ok(), status.message());
  store.publish(TransactionId{tid});
}

/// Every item at a step, and an error when an index disagrees with the fields (S2) or the order is not ascending.
inline Items items_at(const Table& table, Step at) {
  Items items;
  std::map<std::pair<uint32_t, Bytes>, std::vector<ObjectId>> expected;
  ObjectId last;
  table.for_each(at, [&](ObjectId object, const Row& row) {
    ODB_CHECK(last < object, last.value, object.value);
    last = object;
    Item item = item_of(table, row);
    for (uint32_t i = 0; i < table.layout().indexes.size(); ++i)
      if (table.is_indexed_at(IndexId{i}, at)) expected[{i, item.key(IndexId{i})}].push_back(object);
    items.emplace(object, std::move(item));
    return true;
  });
  for (const auto& [key, objects] : expected) {
    std::vector<ObjectId> found;
    table.for_each_in(IndexId{key.first}, key.second, at, [&](ObjectId object) {
      found.push_back(object);
      return true;
    });
    ODB_CHECK(found == objects, key.first, found.size(), objects.size());
  }
  return items;
}

}  // namespace odb::testing
