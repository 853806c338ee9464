#include "tests/simulation/history.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb::simulation {
namespace {

// Names of what can be read, for the dependency graph.
Bytes object_key(ObjectId object) { return "object " + std::to_string(object.value); }
Bytes field_key(ObjectId object, FieldId field) {
  return "field " + std::to_string(object.value) + "." + std::to_string(field.value);
}
Bytes type_key(TypeId type) { return "all of type " + std::to_string(type.value); }
Bytes index_key(TypeId type, IndexId index, BytesView key) {
  Bytes out = "key " + std::to_string(type.value) + "." + std::to_string(index.value) + " ";
  for (char c : key) {
    out += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    out += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

Bytes key_of(const Observation& seen) {
  switch (seen.kind) {
    case Observation::Kind::kField: return field_key(seen.object, seen.field);
    case Observation::Kind::kExistence: return object_key(seen.object);
    case Observation::Kind::kIndexKey: return index_key(seen.type, seen.index, seen.key);
    case Observation::Kind::kType: return type_key(seen.type);
  }
  return {};
}

}  // namespace

// ---- what is told

void History::saw(uint64_t number, uint64_t session, TransactionId as_of, std::vector<Observation> observations) {
  ODB_CHECK(as_of <= last(), as_of.value, last().value);
  verify_seen(at(as_of), as_of, observations);
  moments_.push_back({number, false});
  seen_[number] = {session, as_of, std::move(observations)};
}

void History::accepted(TransactionId tid, BytesView records) {
  ODB_CHECK(tid.value == models_.size(), tid.value, models_.size());  // C3, and nothing is missed
  const Model& before = models_.back();
  Model next = before;
  uint64_t number = 0;
  RecordReader reader(records);
  for (Record record; reader.next(record);) {
    std::shared_ptr<const Model::Object> old;
    if (record.op != Op::kCreate) old = before.objects().at(record.object);
    if (record.op == Op::kCreate) ODB_CHECK(created_.insert(record.object).second, record.object.value);  // D28
    next.apply(record, catalog_);
    note_writes(tid, record, old.get(), next.find(record.object));
    if (record.type == mark_type_) number = static_cast<uint64_t>(Reader(record.fields.at(0).value).integer());
  }
  ODB_CHECK(reader.is_ok());
  ODB_CHECK(seen_.contains(number), number, tid.value);
  ODB_CHECK(committed_.emplace(number, tid).second, number);  // carried out once
  verify_seen(before, tid, seen_[number].observations);
  ODB_CHECK(next.clashing(catalog_).empty(), tid.value);  // D15
  models_.push_back(std::move(next));
  numbers_.push_back(number);
}

void History::answered_accepted(uint64_t number, TransactionId tid) {
  auto at = committed_.find(number);
  ODB_CHECK(at != committed_.end(), number);
  ODB_CHECK(at->second == tid, at->second.value, tid.value);
  ends(number);
}

void History::verify_clash(const std::vector<Bytes>& records, TransactionId through, ObjectId object) const {
  Model next = at(through);
  for (const Bytes& part : records) {
    RecordReader reader(part);
    for (Record record; reader.next(record);) next.apply(record, catalog_);
  }
  std::vector<ObjectId> clashing = next.clashing(catalog_);
  ODB_CHECK(std::ranges::find(clashing, object) != clashing.end(), through.value, object.value, clashing.size());
}

void History::note_writes(TransactionId tid, const Record& record, const Model::Object* before,
                          const Model::Object* after) {
  auto note = [&](const Bytes& key) {
    std::vector<TransactionId>& writers = versions_[key];
    if (writers.empty() || writers.back() != tid) writers.push_back(tid);
  };
  if (record.op == Op::kUpdate) {
    for (const FieldValue& field : record.fields) note(field_key(record.object, field.field));
  } else {
    const Model::Object& object = before == nullptr ? *after : *before;
    for (uint32_t field = 0; field < object.values.size(); ++field) note(field_key(record.object, FieldId{field}));
    note(object_key(record.object));
    note(type_key(record.type));
  }
  const auto& indexes = catalog_.at(record.type).indexes;
  for (uint32_t i = 0; i < indexes.size(); ++i) {
    Bytes key_before = before == nullptr ? Bytes() : simulation::key_of(*before, indexes[i]);
    Bytes key_after = after == nullptr ? Bytes() : simulation::key_of(*after, indexes[i]);
    if (key_before == key_after) continue;
    if (before != nullptr) note(index_key(record.type, IndexId{i}, key_before));
    if (after != nullptr) note(index_key(record.type, IndexId{i}, key_after));
  }
}

// ---- what was seen

void History::verify_seen(const Model& model, TransactionId tid, const std::vector<Observation>& observations) const {
  for (const Observation& seen : observations) {
    if (seen.kind == Observation::Kind::kField) {
      const Model::Object* object = model.find(seen.object);
      ODB_CHECK(object != nullptr, tid.value, seen.object.value);
      ODB_CHECK(object->values[seen.field.value] == seen.value, tid.value, seen.object.value, seen.field.value);
    } else if (seen.kind == Observation::Kind::kExistence) {
      ODB_CHECK((model.find(seen.object) != nullptr) == seen.is_here, tid.value, seen.object.value);
    } else if (seen.kind == Observation::Kind::kType) {
      ODB_CHECK(model.of_type(seen.type) == seen.objects, tid.value, seen.objects.size());
    } else {
      ODB_CHECK(model.with_key(seen.type, seen.index, seen.key, catalog_) == seen.objects, tid.value, seen.index.value,
                seen.objects.size());
    }
  }
}

void History::verify(const View& view, const Store& store, const Granted& granted) const {
  ODB_CHECK(view.version().tid <= last(), view.version().tid.value, last().value);
  verify_granted(view, store, granted);
  for (const auto& [type, facts] : catalog_) {
    if (const Table* table = store.table(type)) verify_type(view, store, *table);
  }
}

/// S1: what was granted is covered, all of it.
void History::verify_granted(const View& view, const Store& store, const Granted& granted) const {
  auto [step, tid] = view.version();
  for (auto [type, since] : granted.types) {
    if (since <= step) ODB_CHECK(view.is_complete(*store.table(type)), tid.value, type.value);
  }
  std::vector<ObjectId> found;
  for (const auto& [wanted, since] : granted.keys) {
    if (since > step) continue;
    const Table& table = *store.table(wanted.type);
    ODB_CHECK(view.covers_key(table, wanted.index, wanted.key), tid.value, wanted.type.value, wanted.index.value);
    found.clear();
    view.lookup(table, wanted.index, wanted.key, SIZE_MAX, found);
    ODB_CHECK(found == at(tid).with_key(wanted.type, wanted.index, wanted.key, catalog_), tid.value, wanted.type.value,
              wanted.index.value, found.size());
  }
  for (auto [wanted, since] : granted.objects) {
    if (since > step) continue;
    auto [type, object] = wanted;
    Presence expected = at(tid).find(object) == nullptr ? Presence::kGone : Presence::kHere;
    ODB_CHECK(view.exists(*store.table(type), object) == expected, tid.value, object.value);
  }
}

/// V1: what the view shows is so; what it says is covered is there, and what it says is gone is gone.
void History::verify_type(const View& view, const Store& store, const Table& table) const {
  TransactionId tid = view.version().tid;
  TypeId type = table.id();
  const Model& model = at(tid);
  bool is_whole = view.is_complete(table);
  std::vector<ObjectId> here, found;
  view.lookup_type(table, SIZE_MAX, here);
  if (is_whole) ODB_CHECK(here == model.of_type(type), tid.value, type.value, here.size());
  for (ObjectId object : here) {
    const Model::Object* expected = model.find(object);
    ODB_CHECK(expected != nullptr, tid.value, object.value);  // nothing outlives its deletion
    verify_object(view, table, object, *expected);
  }
  if (!is_whole) {
    for (ObjectId object : model.of_type(type)) {
      Presence presence = view.exists(table, object);
      ODB_CHECK(presence != Presence::kGone, tid.value, object.value);
      if (store.owns(object)) ODB_CHECK(presence == Presence::kHere, tid.value, object.value);  // D20
    }
  }
  for (uint32_t i = 0; i < table.layout().indexes.size(); ++i) {
    if (!table.is_indexed_at(IndexId{i}, view.version().step)) continue;
    for (const auto& [key, members] : model.index(type, IndexId{i}, catalog_)) {
      found.clear();
      view.lookup(table, IndexId{i}, key, SIZE_MAX, found);
      bool is_right =
          view.covers_key(table, IndexId{i}, key) ? found == members : std::ranges::includes(members, found);
      ODB_CHECK(is_right, tid.value, type.value, i, found.size(), members.size());  // S2
    }
  }
}

void History::verify_object(const View& view, const Table& table, ObjectId object,
                            const Model::Object& expected) const {
  for (uint32_t field = 0; field < table.layout().fields.size(); ++field) {  // of this client's definition
    BytesView value;
    ODB_CHECK(view.read(table, object, FieldId{field}, value) == Presence::kHere, object.value);
    ODB_CHECK(value == expected.values[field], view.version().tid.value, object.value, field);
  }
}

// ---- the end

void History::verify_end() const {
  for (uint64_t number : refused_) ODB_CHECK(!committed_.contains(number), number);
  std::string anomaly = find_anomaly();
  ODB_CHECK(anomaly.empty(), anomaly);
}

TransactionId History::version_of(const Bytes& key, TransactionId as_of) const {
  auto found = versions_.find(key);
  if (found == versions_.end()) return TransactionId{0};
  auto after = std::ranges::upper_bound(found->second, as_of);
  return after == found->second.begin() ? TransactionId{0} : *std::prev(after);
}

/// Every committed transaction, and everything else that was run, refused transactions too: they saw something.
std::string History::find_anomaly() const {
  DependencyGraph graph;
  std::map<uint64_t, DependencyGraph::Node> nodes;  // number -> node
  for (const auto& [number, seen] : seen_) nodes[number] = graph.add("work " + std::to_string(number));
  for (const auto& [key, writers] : versions_) {
    for (TransactionId writer : writers) graph.wrote(nodes.at(numbers_[writer.value]), key);
  }
  for (const auto& [number, seen] : seen_) {
    for (const Observation& observation : seen.observations) {
      Bytes key = key_of(observation);
      TransactionId version = version_of(key, seen.as_of);
      bool is_first = version == TransactionId{0};
      graph.read(nodes.at(number), key, is_first ? DependencyGraph::kStart : nodes.at(numbers_[version.value]));
    }
  }
  std::map<uint64_t, DependencyGraph::Node> sessions;  // session -> everything that had ended there by now
  for (Moment moment : moments_) {
    auto [at, is_new] = sessions.try_emplace(seen_.at(moment.number).session, DependencyGraph::kStart);
    DependencyGraph::Node node = nodes.at(moment.number);
    if (!moment.is_end) {
      graph.session_order(at->second, node);
      continue;
    }
    DependencyGraph::Node now = graph.add("session " + std::to_string(at->first));
    graph.session_order(at->second, now);
    graph.session_order(node, now);
    at->second = now;
  }
  return graph.find_anomaly();
}

}  // namespace odb::simulation
