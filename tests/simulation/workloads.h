/// What the clients of a simulation do, and what must be true in every one of their views.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/client/identities.h"
#include "core/types/definition.h"
#include "tests/simulation/events.h"
#include "tests/simulation/history.h"

namespace odb::simulation {

/// One transaction of a client, which notes what it sees. Reads come before writes.
class Work {
 public:
  Work(std::shared_ptr<Store> store, Identities& identities, Random& random)
      : store_(std::move(store)), identities_(identities), random(random), transaction_(store_) {}

  std::vector<ObjectId> all(TypeId type);
  std::vector<ObjectId> find(TypeId type, IndexId index, const std::vector<Bytes>& values);
  int64_t read_int(TypeId type, ObjectId object, FieldId field);

  /// Not an observation: whether a write could go there.
  bool is_here(TypeId type, ObjectId object) {
    return static_cast<const View&>(transaction_).exists(table(type), object) == Presence::kHere;
  }
  ObjectId create(TypeId type, const std::vector<Bytes>& values);
  void write(TypeId type, ObjectId object, FieldId field, const Bytes& value);
  void erase(TypeId type, ObjectId object);

  Transaction& transaction() { return transaction_; }
  std::vector<Observation> take_observations() { return std::move(observations_); }

 private:
  Table& table(TypeId type) const { return *store_->table(type); }

  std::shared_ptr<Store> store_;
  Identities& identities_;

 public:
  Random& random;

 private:
  Transaction transaction_;
  std::vector<Observation> observations_;
};

Bytes int_value(int64_t value);
Bytes str_value(std::string_view text);

class Workload {
 public:
  virtual ~Workload() = default;
  virtual const char* name() const = 0;
  /// Every type but the mark; numbered from 1 in this order.
  virtual std::vector<TypeDefinition> types() const = 0;
  /// The first transaction of all.
  virtual void found(Work& work) = 0;
  /// One transaction; it may turn out to write nothing.
  virtual void act(Work& work) = 0;
  /// Throws when a view shows what cannot be.
  virtual void verify(const View& view, const Store& store) const = 0;
};

/// Money moves between accounts, which are opened and closed: the sum never changes.
std::unique_ptr<Workload> make_bank();
/// Objects with two indexes and a composite one are moved about, created and deleted: indexes agree with fields.
std::unique_ptr<Workload> make_index();

}  // namespace odb::simulation
