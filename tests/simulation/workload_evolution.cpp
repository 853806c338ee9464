#include <algorithm>

#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

/// Tasks have a state. The second version of the program finds them by it; the third one gives them an owner, by whom
/// and whose state they are found, and a ticket that is unique.
class Evolution : public Workload {
 public:
  const char* name() const override { return "evolution"; }

  std::vector<TypeDefinition> types() const override { return version(2); }
  std::vector<std::vector<TypeDefinition>> older_types() const override { return {version(0), version(1)}; }

  void found(Work& work) override {
    for (int64_t i = 0; i < 15; ++i) create(work);
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> tasks = some(work);
    if (tasks.empty() || (tasks.size() < 20 && random.one_in(6))) return create(work);
    for (int64_t n = random.between(1, 3); n > 0 && !tasks.empty(); --n) {
      auto at = tasks.begin() + random.below(static_cast<int64_t>(tasks.size()));
      ObjectId task = *at;
      tasks.erase(at);
      switch (random.below(8)) {
        case 0: work.erase(kTask, task); break;
        case 1: work.write(kTask, task, kNote, work.note()); break;
        case 2:
          if (work.knows(kTask, kOwner)) work.write(kTask, task, kOwner, owner(random));
          break;
        case 3:
          if (work.knows(kTask, kTicket)) work.write(kTask, task, kTicket, ticket(random));
          break;
        default: work.write(kTask, task, kState, state(random)); break;
      }
    }
  }

  /// That lookups of whatever index is known agree with fields; what both must be is checked for every workload.
  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kTask);
    std::vector<ObjectId> tasks, found;
    view.lookup_type(table, SIZE_MAX, tasks);
    for (uint32_t index = 0; index < table.layout().indexes.size(); ++index) {
      if (!table.is_indexed_at(IndexId{index}, view.version().step)) continue;
      for (ObjectId task : tasks) {
        Bytes key;
        for (FieldId field : table.layout().indexes[index].fields) {
          BytesView value;
          ODB_CHECK(view.read(table, task, field, value) == Presence::kHere, task.value);
          append_key(key, value);
        }
        found.clear();
        view.lookup(table, IndexId{index}, key, SIZE_MAX, found);
        ODB_CHECK(std::ranges::binary_search(found, task), task.value, index);
      }
    }
  }

 private:
  static constexpr TypeId kTask{1};
  static constexpr FieldId kState{0}, kNote{1}, kOwner{2}, kTicket{3};
  static constexpr IndexId kByState{0}, kByOwnerAndState{1}, kByTicket{2};

  static std::vector<TypeDefinition> version(int number) {
    TypeDefinition task{"Task", {{"state", "int", {}}, {"note", "str", {}}}, {}};
    if (number >= 1) task.indexes.push_back({"state", {"state"}});
    if (number >= 2) {
      task.fields.push_back({"owner", "oneof(none,int)", int_value(3)});
      task.fields.push_back({"ticket", "oneof(none,int)", {}});
      task.indexes.push_back({"owned", {"owner", "state"}});
      task.indexes.push_back({"ticket", {"ticket"}, true});
    }
    return {task};
  }

  static Bytes state(Random& random) { return int_value(random.below(4)); }
  static Bytes owner(Random& random) { return random.one_in(4) ? none_value() : int_value(random.below(5)); }
  static Bytes ticket(Random& random) { return random.one_in(4) ? none_value() : int_value(random.below(30)); }

  static std::vector<ObjectId> some(Work& work) {
    Random& random = work.random;
    if (work.knows(kTask, kByOwnerAndState) && random.one_in(2))
      return work.some(kTask, kByOwnerAndState, {owner(random), state(random)});
    if (work.knows(kTask, kByTicket) && random.one_in(4)) return work.some(kTask, kByTicket, {ticket(random)});
    if (work.knows(kTask, kByState) && random.one_in(2)) return work.some(kTask, kByState, {state(random)});
    return work.some(kTask);
  }

  static void create(Work& work) {
    std::vector<Bytes> values{state(work.random), work.note()};
    if (work.knows(kTask, kOwner)) values.push_back(owner(work.random));
    if (work.knows(kTask, kTicket)) values.push_back(none_value());
    work.create(kTask, values);
  }
};

}  // namespace

std::unique_ptr<Workload> make_evolution() { return std::make_unique<Evolution>(); }

}  // namespace odb::simulation
