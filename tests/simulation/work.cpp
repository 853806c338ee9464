#include "tests/simulation/work.h"

#include "core/base/check.h"
#include "core/codec/value.h"

namespace odb::simulation {

Bytes none_value() {
  Bytes out;
  put_none(out);
  return out;
}

Bytes bool_value(bool value) {
  Bytes out;
  put_bool(out, value);
  return out;
}

Bytes int_value(int64_t value) {
  Bytes out;
  put_int(out, value);
  return out;
}

Bytes str_value(std::string_view text) {
  Bytes out;
  put_str(out, text, Mode::kValue);
  return out;
}

Bytes reference_value(TypeId type, ObjectId object) {
  Bytes out;
  put_reference(out, type, object);
  return out;
}

Bytes Work::key_of(const std::vector<Bytes>& values) {
  Bytes key;
  for (const Bytes& value : values) append_key(key, value);
  return key;
}

std::vector<ObjectId> Work::all(TypeId type) {
  ODB_CHECK(covers(type), type.value);
  Observation seen{Observation::Kind::kType, type, {}, {}, {}, {}, {}, {}, {}};
  transaction_.lookup_type(table(type), SIZE_MAX, seen.objects);
  return observations_.emplace_back(std::move(seen)).objects;
}

std::vector<ObjectId> Work::find(TypeId type, IndexId index, const std::vector<Bytes>& values) {
  ODB_CHECK(covers(type, index, values), type.value, index.value);
  Observation seen{Observation::Kind::kIndexKey, type, {}, {}, index, key_of(values), {}, {}, {}};
  transaction_.lookup(table(type), index, seen.key, SIZE_MAX, seen.objects);
  return observations_.emplace_back(std::move(seen)).objects;
}

Bytes Work::read(TypeId type, ObjectId object, FieldId field) {
  Observation seen{Observation::Kind::kField, type, object, field, {}, {}, {}, {}, {}};
  BytesView value;
  ODB_CHECK(transaction_.read(table(type), object, field, value) == Presence::kHere, object.value);
  seen.value = Bytes(value);
  return observations_.emplace_back(std::move(seen)).value;
}

bool Work::exists(TypeId type, ObjectId object) {
  Presence presence = transaction_.exists(table(type), object);
  ODB_CHECK(presence != Presence::kNotCovered, object.value);
  bool is_here = presence == Presence::kHere;
  observations_.push_back({Observation::Kind::kExistence, type, object, {}, {}, {}, {}, is_here, {}});
  return is_here;
}

ObjectId Work::read_reference(TypeId type, ObjectId object, FieldId field) {
  return std::get<Reference>(decode(read(type, object, field), Mode::kValue).value()).object;
}

std::vector<ObjectId> Work::here(TypeId type) const {
  std::vector<ObjectId> found;
  static_cast<const View&>(transaction_).lookup_type(table(type), SIZE_MAX, found);
  return found;
}

std::vector<ObjectId> Work::some(TypeId type, IndexId index, const std::vector<Bytes>& values) {
  return covers(type, index, values) ? find(type, index, values) : here(type);
}

ObjectId Work::create(TypeId type, const std::vector<Bytes>& values) {
  ObjectId object = identities_.next(type).value();
  transaction_.create(table(type), object);
  for (uint32_t field = 0; field < values.size(); ++field) write(type, object, FieldId{field}, values[field]);
  return object;
}

void Work::write(TypeId type, ObjectId object, FieldId field, const Bytes& value) {
  ODB_CHECK(transaction_.write(table(type), object, field, value) == Presence::kHere, object.value);
}

void Work::erase(TypeId type, ObjectId object) {
  ODB_CHECK(transaction_.erase(table(type), object) == Presence::kHere, object.value);
}

Bytes Work::note() {
  int64_t size = random.below(random.one_in(3) ? note_bytes_max_ : 20);
  return str_value(std::string(static_cast<size_t>(size), static_cast<char>('a' + random.below(26))));
}

}  // namespace odb::simulation
