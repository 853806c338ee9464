// Who covers what, and what each of them is told of a transaction (D20, D21, D23).

#include <algorithm>

#include "core/base/check.h"
#include "core/server/server_core.h"

namespace odb {

// ---- coverage

bool ServerCore::covers(const Connection& c, TypeId type, ObjectId object) {
  if (owner_of(object) == &c) return true;  // its own creations are covered in any case (D20)
  auto at = c.covered.find(type);
  if (at == c.covered.end()) return false;
  const Covered& covered = at->second;
  return (covered.is_whole && !covered.is_streaming) || covered.objects.contains(object);
}

void ServerCore::cover_type(Connection& c, TypeId type) {
  Covered& covered = c.covered[type];
  covered.is_whole = covered.is_streaming = true;
  audiences_[type].whole.push_back(&c);
}

void ServerCore::cover_key(Connection& c, const Stream& stream) {
  if (c.covered[stream.type].keys.emplace(stream.index, stream.key).second)
    c.covered_bytes += kCoveredItemBytes + stream.key.size();
  audiences_[stream.type].keys[stream.index][stream.key].push_back(&c);
}

void ServerCore::cover_object(Connection& c, TypeId type, ObjectId object) {
  if (!c.covered[type].objects.insert(object).second) return;
  object_audiences_[{type, object}].push_back(&c);
  c.covered_bytes += kCoveredItemBytes;
}

/// A deleted object does not come back.
void ServerCore::forget_object(TypeId type, ObjectId object) {
  auto audience = object_audiences_.find({type, object});
  if (audience == object_audiences_.end()) return;
  for (Connection* c : audience->second) {
    c->covered.at(type).objects.erase(object);
    c->covered_bytes -= kCoveredItemBytes;
  }
  object_audiences_.erase(audience);
}

void ServerCore::forget_keys(Connection& c, TypeId type, Covered& covered) {
  for (const auto& [index, key] : covered.keys) {
    auto& of_index = audiences_.at(type).keys;
    auto& of_key = of_index.at(index);
    c.covered_bytes -= kCoveredItemBytes + key.size();
    std::erase(of_key.at(key), &c);
    if (of_key.at(key).empty()) of_key.erase(key);
    if (of_key.empty()) of_index.erase(index);
  }
  covered.keys.clear();
}

void ServerCore::forget_objects(Connection& c, TypeId type, Covered& covered) {
  c.covered_bytes -= covered.objects.size() * kCoveredItemBytes;
  for (ObjectId object : covered.objects) {
    auto audience = object_audiences_.find({type, object});
    std::erase(audience->second, &c);
    if (audience->second.empty()) object_audiences_.erase(audience);
  }
  covered.objects = {};
}

// ---- announcements

void ServerCore::add_slice(Connection& c, Slice slice) {
  if (c.state != ServerState::kReady) return;
  if (c.slices.empty()) receivers_.push_back(&c);
  bool goes_on = !c.slices.empty() && c.slices.back().is_entry == slice.is_entry && c.slices.back().end == slice.begin;
  if (goes_on) {
    c.slices.back().end = slice.end;
  } else {
    c.slices.push_back(slice);
  }
}

/// D21: every receiver gets exactly the records it covers, as slices of the one encoded buffer.
void ServerCore::announce(const DecidedCommit& commit) {
  BytesView records = commit.request.records;
  receivers_.clear();
  entries_.clear();
  RecordReader reader(records);
  Record& record = scratch_record_;
  while (reader.next(record)) {
    auto begin = static_cast<size_t>(record.bytes.data() - records.data());
    Slice slice{begin, begin + record.bytes.size(), false};
    entered_.clear();
    auto audience = audiences_.find(record.type);
    if (audience != audiences_.end() && !audience->second.keys.empty()) announce_entries(audience->second, record);
    auto tell = [&](Connection& c) {
      if (entered_.empty() || std::ranges::find(entered_, &c) == entered_.end()) add_slice(c, slice);
    };
    auto is_told = [&](const Connection& c) {  // as one who covers the whole type
      auto covered = c.covered.find(record.type);
      return covered != c.covered.end() && covered->second.is_whole;
    };
    if (audience != audiences_.end()) {
      for (Connection* c : audience->second.whole) {
        // Created while the type is on its way: the client has it whole from here on, and it must not come in again.
        bool is_early = record.op == Op::kCreate && !c->streams.empty();
        if (is_early && !covers(*c, record.type, record.object)) cover_object(*c, record.type, record.object);
        tell(*c);
      }
    }
    Connection* owner = owner_of(record.object);  // its own creations are covered in any case (D20)
    if (owner != nullptr && !is_told(*owner)) tell(*owner);
    if (object_audiences_.empty()) continue;
    auto one_by_one = object_audiences_.find({record.type, record.object});
    if (one_by_one == object_audiences_.end()) continue;
    for (Connection* c : one_by_one->second) {
      if (c != owner && !is_told(*c)) tell(*c);
    }
    if (record.op == Op::kDelete) forget_object(record.type, record.object);
  }
  auto bytes_of = [&](Slice slice) {
    return (slice.is_entry ? BytesView(entries_) : records).substr(slice.begin, slice.end - slice.begin);
  };
  for (Connection* c : receivers_) {
    if (c->slices.size() == 1) {
      send_sections(*c, commit.tid, bytes_of(c->slices[0]));
    } else {
      gathered_.clear();
      for (Slice slice : c->slices) gathered_.append(bytes_of(slice));
      send_sections(*c, commit.tid, gathered_);
    }
    c->slices.clear();
  }
}

/// D23: an object that has got a key somebody covers, and is new to them, goes to them whole.
void ServerCore::announce_entries(const Audience& audience, const Record& record) {
  const Table& table = *store_.table(record.type);
  const Row* row = table.find(record.object, kNever);
  if (row == nullptr) return;
  Slice whole{0, 0, true};
  Bytes key;
  for (const auto& [index, subscribers] : audience.keys) {
    key.clear();
    table.append_index_key(key, index, *row);
    auto of_key = subscribers.find(key);
    if (of_key == subscribers.end()) continue;
    for (Connection* c : of_key->second) {
      if (covers(*c, record.type, record.object)) continue;
      cover_object(*c, record.type, record.object);
      entered_.push_back(c);
      if (whole.end == 0) {
        whole.begin = entries_.size();
        put_row_record(entries_, Op::kWhole, record.type, record.object, *row);
        whole.end = entries_.size();
      }
      add_slice(*c, whole);
    }
  }
}

/// One section when the records fit into a frame; else several, cut between records.
void ServerCore::send_sections(Connection& c, TransactionId tid, BytesView records) {
  while (records.size() > limits::kFrameBytesMax / 2) {
    RecordReader reader(records);
    size_t size = 0;
    Record& record = scratch_record_;
    while (size < limits::kCommitPartBytes && reader.next(record)) size += record.bytes.size();
    if (size == records.size()) break;
    send(c, Section{tid, false, records.substr(0, size)});
    records.remove_prefix(size);
  }
  send(c, Section{tid, true, records});
}

}  // namespace odb
