/// One transaction of a client, as workloads write them: it reads and writes, and notes what it sees.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/client/identities.h"
#include "tests/simulation/events.h"
#include "tests/simulation/history.h"

namespace odb::simulation {

Bytes none_value();
Bytes bool_value(bool value);
Bytes int_value(int64_t value);
Bytes str_value(std::string_view text);
Bytes reference_value(TypeId type, ObjectId object);

/// Reads come before writes, so that everything seen is of the snapshot.
class Work {
 public:
  Work(std::shared_ptr<Store> store, Identities& identities, Random& random, int64_t note_bytes_max)
      : store_(std::move(store)),
        identities_(identities),
        random(random),
        note_bytes_max_(note_bytes_max),
        transaction_(store_) {}

  // -- what can be asked here (D17, D20)
  bool knows(TypeId type, FieldId field) const { return field.value < table(type).layout().fields.size(); }
  bool knows(TypeId type, IndexId index) const {
    return index.value < table(type).layout().indexes.size() &&
           table(type).is_indexed_at(index, transaction_.version().step);
  }
  bool covers(TypeId type) const { return transaction_.is_complete(table(type)); }
  bool covers(TypeId type, IndexId index, const std::vector<Bytes>& values) const {
    return knows(type, index) && transaction_.covers_key(table(type), index, key_of(values));
  }

  bool covers_object(TypeId type, ObjectId object) const {
    return static_cast<const View&>(transaction_).exists(table(type), object) != Presence::kNotCovered;
  }

  // -- observations
  /// REQUIRES: covers(type).
  std::vector<ObjectId> all(TypeId type);
  /// REQUIRES: covers(type, index, values).
  std::vector<ObjectId> find(TypeId type, IndexId index, const std::vector<Bytes>& values);
  /// REQUIRES: is_here(object).
  Bytes read(TypeId type, ObjectId object, FieldId field);
  int64_t read_int(TypeId type, ObjectId object, FieldId field) { return Reader(read(type, object, field)).integer(); }
  bool read_bool(TypeId type, ObjectId object, FieldId field) { return read(type, object, field) == bool_value(true); }
  /// REQUIRES: covers_object(object).
  bool exists(TypeId type, ObjectId object);
  ObjectId read_reference(TypeId type, ObjectId object, FieldId field);

  // -- no observations: whether and where something could be read or written
  bool is_here(TypeId type, ObjectId object) const {
    return static_cast<const View&>(transaction_).exists(table(type), object) == Presence::kHere;
  }
  std::vector<ObjectId> here(TypeId type) const;

  /// find() or all() where that can be asked, else what happens to be here.
  std::vector<ObjectId> some(TypeId type, IndexId index, const std::vector<Bytes>& values);
  std::vector<ObjectId> some(TypeId type) { return covers(type) ? all(type) : here(type); }

  ObjectId create(TypeId type, const std::vector<Bytes>& values);
  void write(TypeId type, ObjectId object, FieldId field, const Bytes& value);
  void erase(TypeId type, ObjectId object);
  /// Mostly short; now and then long.
  Bytes note();

  Transaction& transaction() { return transaction_; }
  std::vector<Observation> take_observations() { return std::move(observations_); }

 private:
  static Bytes key_of(const std::vector<Bytes>& values);
  Table& table(TypeId type) const { return *store_->table(type); }

  std::shared_ptr<Store> store_;
  Identities& identities_;

 public:
  Random& random;

 private:
  const int64_t note_bytes_max_;
  Transaction transaction_;
  std::vector<Observation> observations_;
};

}  // namespace odb::simulation
