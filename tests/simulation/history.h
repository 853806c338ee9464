/// What really happened: the state after every transaction in the order in which the server accepted them, and for
/// every transaction what its client had seen before it wrote. From these alone follows what every view must show, and
/// whether the transactions could have run one after the other (serializability).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/codec/record.h"
#include "core/view/view.h"

namespace odb::simulation {

/// What one type looks like: all that is needed to compute its indexes from fields.
struct TypeFacts {
  std::vector<Bytes> defaults;
  std::vector<std::vector<FieldId>> indexes;
};

using Catalog = std::map<TypeId, TypeFacts>;

/// All objects at one transaction. Copies share what did not change.
class Model {
 public:
  struct Object {
    TypeId type;
    std::vector<Bytes> values;
  };

  /// Throws when a record does not fit.
  void apply(const Record& record, const Catalog& catalog);
  /// nullptr: it does not exist.
  const Object* find(ObjectId object) const {
    auto at = objects_.find(object);
    return at == objects_.end() ? nullptr : at->second.get();
  }
  std::vector<ObjectId> of_type(TypeId type) const;
  std::map<Bytes, std::vector<ObjectId>> index(TypeId type, const std::vector<FieldId>& fields) const;

 private:
  std::map<ObjectId, std::shared_ptr<const Object>> objects_;
};

/// Something that a transaction saw of the snapshot it ran on.
struct Observation {
  enum class Kind { kField, kIndexKey, kType };
  Kind kind;
  TypeId type;
  ObjectId object;
  FieldId field;
  IndexId index;
  Bytes key;
  Bytes value;                    // of a field
  std::vector<ObjectId> objects;  // of a lookup
};

class History {
 public:
  /// Every transaction writes its number into the first field of an object of `mark_type`.
  History(Catalog catalog, TypeId mark_type) : catalog_(std::move(catalog)), mark_type_(mark_type) {}

  /// A client is about to commit; gives the number to write into its mark. The observations follow with record_intent.
  uint64_t next_number() { return ++last_number_; }
  void record_intent(uint64_t number, std::vector<Observation> observations) {
    intents_[number] = std::move(observations);
  }
  /// The server accepted a transaction. Throws unless it saw what was true right before it.
  void accepted(TransactionId tid, BytesView records);
  /// A client was told what became of its transaction.
  void answered_accepted(uint64_t number, TransactionId tid) const;
  void answered_refused(uint64_t number) { refused_.insert(number); }

  /// Throws unless the view shows the state at its transaction, by fields and indexes, of every type it is complete in.
  void verify(const View& view, const Store& store) const;
  /// Throws when a transaction happened although it was refused.
  void verify_end() const;

  TransactionId last() const { return TransactionId{models_.size() - 1}; }
  const Model& at(TransactionId tid) const { return models_.at(tid.value); }

 private:
  void verify_serial(const Model& before, TransactionId tid, const std::vector<Observation>& observations) const;

  const Catalog catalog_;
  const TypeId mark_type_;
  std::vector<Model> models_{1};                          // tid -> state
  std::map<uint64_t, std::vector<Observation>> intents_;  // number -> what it saw
  std::map<uint64_t, TransactionId> committed_;           // number -> tid
  std::set<uint64_t> refused_;
  uint64_t last_number_ = 0;
};

}  // namespace odb::simulation
