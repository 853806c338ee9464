#include "core/view/view.h"

#include "core/base/limits.h"

namespace odb {

void View::lookup(const Table& table, IndexId index, BytesView key, size_t limit, std::vector<ObjectId>& found) const {
  table.for_each_in(index, key, version_.step, [&](ObjectId object) {
    found.push_back(object);
    return found.size() < limit;
  });
}

void View::lookup_type(const Table& table, size_t limit, std::vector<ObjectId>& found) const {
  table.for_each(version_.step, [&](ObjectId object, const Row&) {
    found.push_back(object);
    return found.size() < limit;
  });
}

namespace {

auto into(View::Summary& summary) {
  return [&summary](ObjectId object) {
    ++summary.count;
    summary.last = object;
    return true;
  };
}

}  // namespace

View::Summary View::summary(const Table& table, IndexId index, BytesView key) const {
  Summary summary;
  table.for_each_in(index, key, version_.step, into(summary));
  return summary;
}

View::Summary View::summary_of_type(const Table& table) const {
  Summary summary;
  table.for_each(version_.step, [note = into(summary)](ObjectId object, const Row&) { return note(object); });
  return summary;
}

Presence Transaction::read(const Table& table, ObjectId object, FieldId field, BytesView& value) {
  using State = WriteSet::State;
  if (!writes_.is_empty()) {  // V3
    State state = writes_.state(table, object);
    if (state == State::kDeleted || state == State::kCancelled) return Presence::kGone;
    if (state != State::kUntouched) {
      value = writes_.value(object, field);
      if (!value.empty()) return Presence::kHere;
      if (state == State::kCreated) {
        value = table.layout().fields[field.value].default_value;
        return Presence::kHere;
      }
    }
  }
  Presence presence = View::read(table, object, field, value);
  if (presence == Presence::kHere) {
    reads_.add_field(table.id(), object, field);
  } else if (presence == Presence::kGone) {
    reads_.add_type(table.id());  // D14: the absence of an object is a fact about the type's set
  }
  return presence;
}

Presence Transaction::exists(const Table& table, ObjectId object) {
  using State = WriteSet::State;
  State state = writes_.state(table, object);
  if (state == State::kDeleted || state == State::kCancelled) return Presence::kGone;
  if (state == State::kCreated) return Presence::kHere;
  Presence presence = View::exists(table, object);
  if (presence == Presence::kHere) {
    reads_.add_existence(table.id(), object);
  } else if (presence == Presence::kGone) {
    reads_.add_type(table.id());
  }
  return presence;
}

void Transaction::lookup(const Table& table, IndexId index, BytesView key, size_t limit, std::vector<ObjectId>& found) {
  reads_.add_index_key(table.id(), index, key);
  if (!writes_.touches(table)) return View::lookup(table, index, key, limit, found);
  writes_.lookup(table, index, key, version_.step, limit, found);
}

void Transaction::lookup_type(const Table& table, size_t limit, std::vector<ObjectId>& found) {
  reads_.add_type(table.id());
  if (!writes_.touches(table)) return View::lookup_type(table, limit, found);
  writes_.lookup_type(table, version_.step, limit, found);
}

View::Summary Transaction::summary(const Table& table, IndexId index, BytesView key) {
  reads_.add_index_key(table.id(), index, key);
  if (!writes_.touches(table)) return View::summary(table, index, key);
  Summary summary;
  writes_.visit(table, index, key, version_.step, into(summary));
  return summary;
}

View::Summary Transaction::summary_of_type(const Table& table) {
  reads_.add_type(table.id());
  if (!writes_.touches(table)) return View::summary_of_type(table);
  Summary summary;
  writes_.visit_type(table, version_.step, into(summary));
  return summary;
}

void Transaction::create(const Table& table, ObjectId object) { writes_.create(table, object); }

Presence Transaction::write(const Table& table, ObjectId object, FieldId field, BytesView value) {
  using State = WriteSet::State;
  State state = writes_.state(table, object);
  if (state == State::kDeleted || state == State::kCancelled) return Presence::kGone;
  if (state != State::kCreated) {
    if (state == State::kUntouched) {
      Presence presence = View::exists(table, object);
      if (presence == Presence::kGone) reads_.add_type(table.id());
      if (presence != Presence::kHere) return presence;
    }
    for (FieldId together : table.fields_indexed_with(field)) reads_.add_field(table.id(), object, together);  // D13
  }
  writes_.write(table, object, field, value);
  return Presence::kHere;
}

Presence Transaction::erase(const Table& table, ObjectId object) {
  Presence presence = exists(table, object);
  if (presence == Presence::kHere) writes_.erase(table, object);
  return presence;
}

Batch Transaction::batch() const {
  Batch batch{version_.tid, {}, {}, false};
  writes_.encode(batch.records, limits::kCommitPartBytes);
  reads_.encode(batch.reads, limits::kCommitPartBytes);
  return batch;
}

}  // namespace odb
