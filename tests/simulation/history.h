/// What really happened: the state after every transaction in the order in which the server accepted them, and for
/// every transaction and view of a client what it saw. From these alone follows what every view must show, and whether
/// everything could have run one after the other.
///
/// Three nets, from fine to coarse:
///   at once     what a transaction or view saw is the state as of the version that it claims; what a commit saw is
///               still true right before it (C1: the order of acceptance is a serial order)
///   every view  shows what it covers, all of it and nothing else, by fields and by indexes
///   at the end  the graph of all dependencies, with the order in each session, has no cycle (dependencies.h)
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/view/view.h"
#include "tests/simulation/dependencies.h"
#include "tests/simulation/model.h"

namespace odb::simulation {

/// Something that a transaction saw of the snapshot it ran on.
struct Observation {
  enum class Kind { kField, kExistence, kIndexKey, kType };
  Kind kind;
  TypeId type;
  ObjectId object;
  FieldId field;
  IndexId index;
  Bytes key;
  Bytes value;                    // of a field
  bool is_here;                   // existence
  std::vector<ObjectId> objects;  // of a lookup
};

/// What a connection was told that it covers, each with the step since when. Coverage never shrinks (D20), so views of
/// that step and later ones must show it, whatever the store says of itself.
struct Granted {
  struct Key {
    TypeId type;
    IndexId index;
    Bytes key;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  std::map<TypeId, Step> types;
  std::map<Key, Step> keys;
  std::map<std::pair<TypeId, ObjectId>, Step> objects;  // asked for, or seen
};

class History {
 public:
  /// Every transaction writes its number into the first field of an object of `mark_type`.
  History(Catalog catalog, TypeId mark_type) : catalog_(std::move(catalog)), mark_type_(mark_type) {}

  // -- told by clients; a session is one connection
  uint64_t next_number() { return ++last_number_; }
  /// A transaction ran, and is about to be committed. Throws when it saw what was not so.
  void saw(uint64_t number, uint64_t session, TransactionId as_of, std::vector<Observation> observations);
  /// It wrote nothing, so that was all.
  void finished_reading(uint64_t number) { ends(number); }
  void answered_accepted(uint64_t number, TransactionId tid);
  void answered_refused(uint64_t number) { refused_.insert(number); }
  /// Throws unless these writes on the state at `through` would give `object` a unique key that another one has (D15).
  void verify_clash(const std::vector<Bytes>& records, TransactionId through, ObjectId object) const;

  /// Told by the auditor: the server accepted a transaction. Throws unless what it saw was true right before it.
  void accepted(TransactionId tid, BytesView records);

  /// Throws unless the view shows the state at its transaction: all that it covers, and nothing that is not so.
  void verify(const View& view, const Store& store, const Granted& granted) const;
  /// Throws when a transaction happened although it was refused, or when there is no order of all that was seen.
  void verify_end() const;

  TransactionId last() const { return TransactionId{models_.size() - 1}; }
  const Model& at(TransactionId tid) const { return models_.at(tid.value); }
  const Catalog& catalog() const { return catalog_; }

 private:
  struct Seen {
    uint64_t session;
    TransactionId as_of;
    std::vector<Observation> observations;
  };
  struct Moment {  // in the life of a session
    uint64_t number;
    bool is_end;  // else the beginning
  };

  void ends(uint64_t number) { moments_.push_back({number, true}); }
  void verify_seen(const Model& model, TransactionId tid, const std::vector<Observation>& observations) const;
  void verify_type(const View& view, const Store& store, const Table& table) const;
  void verify_granted(const View& view, const Store& store, const Granted& granted) const;
  void verify_object(const View& view, const Table& table, ObjectId object, const Model::Object& expected) const;
  void note_writes(TransactionId tid, const Record& record, const Model::Object* before, const Model::Object* after);
  TransactionId version_of(const Bytes& key, TransactionId as_of) const;
  std::string find_anomaly() const;

  const Catalog catalog_;
  const TypeId mark_type_;
  std::vector<Model> models_{1};                          // tid -> state
  std::map<uint64_t, Seen> seen_;                         // number -> what it saw
  std::map<uint64_t, TransactionId> committed_;           // number -> tid
  std::vector<uint64_t> numbers_{0};                      // tid -> number
  std::map<Bytes, std::vector<TransactionId>> versions_;  // key -> who wrote it, ascending
  std::set<ObjectId> created_;                            // ever
  std::set<uint64_t> refused_;
  std::vector<Moment> moments_;
  uint64_t last_number_ = 0;
};

}  // namespace odb::simulation
