#include <set>

#include "core/base/check.h"
#include "core/codec/value.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

class Ring : public Workload {
 public:
  const char* name() const override { return "ring"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Bead", {{"next", "ref(simulation.Bead)", {}}, {"note", "str", {}}}, {{"next", {"next"}}}}};
  }

  void found(Work& work) override {
    ObjectId first = work.create(kBead, {to({}), str_value("")}), last = first;
    for (int64_t i = 1; i < kBeads; ++i) last = work.create(kBead, {to(last), str_value("")});
    work.write(kBead, first, kNext, to(last));
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> beads = random.one_in(4) ? work.some(kBead) : work.here(kBead);
    if (beads.empty()) return;
    ObjectId a = random.pick(beads);
    ObjectId b = work.read_reference(kBead, a, kNext);
    switch (random.below(5)) {
      case 0: return work.write(kBead, a, kNote, work.note());
      case 1: return work.write(kBead, a, kNext, to(work.create(kBead, {to(b), work.note()})));
      case 2: return remove(work, a);
      case 3: return remove_behind(work, a, b);
      default: return swap_behind(work, a, b);
    }
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kBead);
    if (!view.is_complete(table)) return;
    std::vector<ObjectId> beads;
    view.lookup_type(table, SIZE_MAX, beads);
    if (beads.empty()) return;
    std::set<ObjectId> visited;
    ObjectId bead = beads.front();
    while (visited.insert(bead).second) {
      BytesView next;
      ODB_CHECK(view.read(table, bead, kNext, next) == Presence::kHere, bead.value, view.version().tid.value);
      bead = std::get<Reference>(decode(next, Mode::kValue).value()).object;
    }
    ODB_CHECK(bead == beads.front(), bead.value);
    ODB_CHECK(visited.size() == beads.size(), visited.size(), beads.size());
  }

 private:
  static constexpr TypeId kBead{1};
  static constexpr FieldId kNext{0}, kNote{1};
  static constexpr IndexId kByNext{0};
  static constexpr int64_t kBeads = 10;

  static Bytes to(ObjectId bead) { return reference_value(kBead, bead); }

  /// a -> b -> c becomes a -> c. Nobody reads c.
  static void remove_behind(Work& work, ObjectId a, ObjectId b) {
    if (b == a || !work.is_here(kBead, b)) return;
    Bytes c = work.read(kBead, b, kNext);
    work.erase(kBead, b);
    work.write(kBead, a, kNext, c);
  }

  /// The same from the removed one's side: who refers to it is looked up.
  static void remove(Work& work, ObjectId b) {
    if (!work.covers(kBead, kByNext, {to(b)})) return;
    std::vector<ObjectId> before = work.find(kBead, kByNext, {to(b)});
    ODB_CHECK(before.size() == 1, before.size(), b.value);
    remove_behind(work, before[0], b);
  }

  /// a -> b -> c -> d becomes a -> c -> b -> d.
  static void swap_behind(Work& work, ObjectId a, ObjectId b) {
    if (b == a || !work.is_here(kBead, b)) return;
    ObjectId c = work.read_reference(kBead, b, kNext);
    if (c == a || c == b || !work.is_here(kBead, c)) return;
    Bytes d = work.read(kBead, c, kNext);
    work.write(kBead, a, kNext, to(c));
    work.write(kBead, c, kNext, to(b));
    work.write(kBead, b, kNext, d);
  }
};

}  // namespace

std::unique_ptr<Workload> make_ring() { return std::make_unique<Ring>(); }

}  // namespace odb::simulation
