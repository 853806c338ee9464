/// What the clients of a simulation do, and what must be true in every one of their views.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/work.h"

namespace odb::simulation {

class Workload {
 public:
  virtual ~Workload() = default;
  virtual const char* name() const = 0;
  /// Every type but the mark; numbered from 1 in this order.
  virtual std::vector<TypeDefinition> types() const = 0;
  /// What programs of older versions say instead, oldest first; each is the beginning of the next one.
  virtual std::vector<std::vector<TypeDefinition>> older_types() const { return {}; }
  /// The first transaction of all, by a client that covers everything.
  virtual void found(Work& work) = 0;
  /// One transaction, of a client that may cover little; it may turn out to write nothing.
  virtual void act(Work& work) = 0;
  /// Throws when a view shows what cannot be. Views that do not cover enough to tell are left alone.
  virtual void verify(const View& view, const Store& store) const = 0;
};

/// Money moves between accounts, which are opened and closed: the sum never changes.
std::unique_ptr<Workload> make_bank();
/// Objects with two indexes and a composite one are moved about, created and deleted: indexes agree with fields.
std::unique_ptr<Workload> make_index();
/// A ring of objects that refer to each other grows, shrinks and turns: it is always one ring, and visits all.
std::unique_ptr<Workload> make_ring();
/// Doctors go off duty if another one of their shift stays on: that is write skew, unless reads are checked.
std::unique_ptr<Workload> make_write_skew();
/// Objects come and go in masses: a batch is whole or not there, and no identity is used twice.
std::unique_ptr<Workload> make_create_delete();

/// Badges take numbers that no two may have; some look first, some do not, some swap.
std::unique_ptr<Workload> make_unique_numbers();

/// Programs of three versions work on the same objects; the newer ones bring fields and indexes with them.
std::unique_ptr<Workload> make_evolution();

struct NamedWorkload {
  const char* name;
  std::unique_ptr<Workload> (*make)();
};
/// Seeds take turns through these.
inline constexpr NamedWorkload kWorkloads[] = {
    {"bank", make_bank},
    {"index", make_index},
    {"ring", make_ring},
    {"write-skew", make_write_skew},
    {"create-delete", make_create_delete},
    {"unique", make_unique_numbers},
    {"evolution", make_evolution},
};

}  // namespace odb::simulation
