#include "tests/simulation/history.h"

#include "core/base/check.h"

namespace odb::simulation {

void Model::apply(const Record& record, const Catalog& catalog) {
  auto at = objects_.find(record.object);
  ODB_CHECK((at == objects_.end()) == (record.op == Op::kCreate), record.object.value);
  if (record.op == Op::kDelete) {
    objects_.erase(at);
    return;
  }
  Object object = record.op == Op::kCreate ? Object{record.type, catalog.at(record.type).defaults} : *at->second;
  ODB_CHECK(object.type == record.type, record.object.value);
  for (const FieldValue& field : record.fields)
    if (!field.value.empty()) object.values.at(field.field.value) = Bytes(field.value);
  objects_[record.object] = std::make_shared<const Object>(std::move(object));
}

std::vector<ObjectId> Model::of_type(TypeId type) const {
  std::vector<ObjectId> found;
  for (const auto& [id, object] : objects_)
    if (object->type == type) found.push_back(id);
  return found;
}

std::map<Bytes, std::vector<ObjectId>> Model::index(TypeId type, const std::vector<FieldId>& fields) const {
  std::map<Bytes, std::vector<ObjectId>> out;
  for (const auto& [id, object] : objects_) {
    if (object->type != type) continue;
    Bytes key;
    for (FieldId field : fields) append_key(key, object->values[field.value]);
    out[key].push_back(id);
  }
  return out;
}

void History::accepted(TransactionId tid, BytesView records) {
  ODB_CHECK(tid.value == models_.size(), tid.value, models_.size());  // C3, and nothing is missed
  Model next = models_.back();
  uint64_t number = 0;
  RecordReader reader(records);
  for (Record record; reader.next(record);) {
    next.apply(record, catalog_);
    if (record.type == mark_type_) number = static_cast<uint64_t>(Reader(record.fields.at(0).value).integer());
  }
  ODB_CHECK(reader.is_ok());
  ODB_CHECK(intents_.contains(number), number, tid.value);
  ODB_CHECK(committed_.emplace(number, tid).second, number);  // carried out once
  verify_serial(models_.back(), tid, intents_[number]);
  models_.push_back(std::move(next));
}

void History::verify_serial(const Model& before, TransactionId tid,
                            const std::vector<Observation>& observations) const {
  for (const Observation& seen : observations) {
    if (seen.kind == Observation::Kind::kField) {
      const Model::Object* object = before.find(seen.object);
      ODB_CHECK(object != nullptr, tid.value, seen.object.value);
      ODB_CHECK(object->values[seen.field.value] == seen.value, tid.value, seen.object.value, seen.field.value);
    } else if (seen.kind == Observation::Kind::kType) {
      ODB_CHECK(before.of_type(seen.type) == seen.objects, tid.value, seen.objects.size());
    } else {
      auto index = before.index(seen.type, catalog_.at(seen.type).indexes[seen.index.value]);
      ODB_CHECK(index[seen.key] == seen.objects, tid.value, seen.index.value, seen.objects.size());
    }
  }
}

void History::answered_accepted(uint64_t number, TransactionId tid) const {
  auto at = committed_.find(number);
  ODB_CHECK(at != committed_.end(), number);
  ODB_CHECK(at->second == tid, at->second.value, tid.value);
}

void History::verify_end() const {
  for (uint64_t number : refused_) ODB_CHECK(!committed_.contains(number), number);
}

void History::verify(const View& view, const Store& store) const {
  TransactionId tid = view.version().tid;
  ODB_CHECK(tid <= last(), tid.value, last().value);
  const Model& model = at(tid);
  for (const auto& [type, facts] : catalog_) {
    const Table* table = store.table(type);
    if (table == nullptr || !view.is_complete(*table)) continue;
    std::vector<ObjectId> found;
    view.lookup_type(*table, SIZE_MAX, found);
    ODB_CHECK(found == model.of_type(type), tid.value, type.value, found.size());  // V1, S1
    for (ObjectId id : found) {
      const Model::Object& expected = *model.find(id);
      for (uint32_t field = 0; field < expected.values.size(); ++field) {
        BytesView value;
        ODB_CHECK(view.read(*table, id, FieldId{field}, value) == Presence::kHere, tid.value, id.value);
        ODB_CHECK(value == expected.values[field], tid.value, id.value, field);
      }
    }
    for (uint32_t i = 0; i < facts.indexes.size(); ++i) {
      for (const auto& [key, members] : model.index(type, facts.indexes[i])) {
        found.clear();
        view.lookup(*table, IndexId{i}, key, SIZE_MAX, found);
        ODB_CHECK(found == members, tid.value, type.value, i, found.size(), members.size());  // S2
      }
    }
  }
}

}  // namespace odb::simulation
