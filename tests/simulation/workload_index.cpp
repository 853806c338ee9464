#include <algorithm>

#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

class Index : public Workload {
 public:
  const char* name() const override { return "index"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Thing",
             {{"shelf", "int", {}}, {"colour", "oneof(none,int,str)", {}}, {"note", "str", {}}},
             {{"shelf", {"shelf"}}, {"colour", {"colour"}}, {"both", {"colour", "shelf"}}}}};
  }

  void found(Work& work) override {
    for (int64_t i = 0; i < 15; ++i) create(work, str_value(""));
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> things = random.one_in(3)   ? work.some(kThing)
                                   : random.one_in(2) ? work.some(kThing, IndexId{0}, {shelf(random)})
                                   : random.one_in(2) ? work.some(kThing, IndexId{1}, {colour(random)})
                                                      : work.some(kThing, IndexId{2}, {colour(random), shelf(random)});
    if (things.empty() || (things.size() < 20 && random.one_in(6))) return create(work, work.note());
    for (int64_t n = random.between(1, 3); n > 0 && !things.empty(); --n) {
      auto at = things.begin() + random.below(static_cast<int64_t>(things.size()));
      ObjectId thing = *at;
      things.erase(at);
      switch (random.below(6)) {
        case 0: work.erase(kThing, thing); break;
        case 1: work.write(kThing, thing, kNote, work.note()); break;
        case 2: work.write(kThing, thing, kColour, colour(random)); break;
        case 3: work.write(kThing, thing, kColour, colour(random)); [[fallthrough]];
        default: work.write(kThing, thing, kShelf, shelf(random)); break;
      }
    }
  }

  /// That lookups agree with fields; that both agree with what happened is checked for every workload.
  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kThing);
    std::vector<ObjectId> things, found;
    view.lookup_type(table, SIZE_MAX, things);
    for (uint32_t index = 0; index < 3; ++index) {
      for (ObjectId thing : things) {
        Bytes key;
        for (FieldId field : table.layout().indexes[index].fields) {
          BytesView value;
          ODB_CHECK(view.read(table, thing, field, value) == Presence::kHere, thing.value);
          append_key(key, value);
        }
        found.clear();
        view.lookup(table, IndexId{index}, key, SIZE_MAX, found);
        ODB_CHECK(std::ranges::binary_search(found, thing), thing.value, index);
      }
    }
  }

 private:
  static constexpr TypeId kThing{1};
  static constexpr FieldId kShelf{0}, kColour{1}, kNote{2};

  static Bytes shelf(Random& random) { return int_value(random.below(4)); }
  static Bytes colour(Random& random) {
    if (random.one_in(4)) return str_value(random.one_in(2) ? "red" : std::string_view("b\0e", 3));
    if (random.one_in(3)) return int_value(random.between(-2, 2));
    return none_value();
  }
  static void create(Work& work, const Bytes& note) {
    work.create(kThing, {shelf(work.random), colour(work.random), note});
  }
};

}  // namespace

std::unique_ptr<Workload> make_index() { return std::make_unique<Index>(); }

}  // namespace odb::simulation
