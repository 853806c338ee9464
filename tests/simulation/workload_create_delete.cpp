#include <map>

#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

class CreateDelete : public Workload {
 public:
  const char* name() const override { return "create-delete"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Item", {{"batch", "int", {}}, {"batch_size", "int", {}}}, {{"batch", {"batch"}}}},
            {"Tag", {{"item", "ref(simulation.Item)", {}}, {"note", "str", {}}}, {{"item", {"item"}}}}};
  }

  void found(Work& work) override {
    for (int64_t batch = 0; batch < kBatches; batch += 2) create(work, batch);
  }

  void act(Work& work) override {
    Random& random = work.random;
    int64_t batch = random.below(kBatches);
    if (!work.covers(kItem, kByBatch, {int_value(batch)})) return tag(work);
    if (random.one_in(5)) return tag(work);
    if (random.one_in(8) && work.covers(kItem) && work.all(kItem).size() > 80) return erase_everything(work);
    std::vector<ObjectId> items = work.find(kItem, kByBatch, {int_value(batch)});
    if (items.empty()) return create(work, batch);
    for (ObjectId item : items) erase(work, item);
    if (random.one_in(3)) create(work, batch);  // replaced: other identities under the same key
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kItem);
    if (!view.is_complete(table)) return;
    std::vector<ObjectId> items;
    view.lookup_type(table, SIZE_MAX, items);
    std::map<int64_t, int64_t> counts, sizes;
    for (ObjectId item : items) {
      BytesView batch, size;
      ODB_CHECK(view.read(table, item, kBatch, batch) == Presence::kHere, item.value);
      ODB_CHECK(view.read(table, item, kBatchSize, size) == Presence::kHere, item.value);
      ++counts[Reader(batch).integer()];
      sizes.try_emplace(Reader(batch).integer(), Reader(size).integer());
    }
    ODB_CHECK(counts == sizes, counts.size(), view.version().tid.value);  // C5
  }

 private:
  static constexpr TypeId kItem{1}, kTag{2};
  static constexpr FieldId kBatch{0}, kBatchSize{1}, kItemOfTag{0};
  static constexpr IndexId kByBatch{0}, kByItem{0};
  static constexpr int64_t kBatches = 6;

  /// The key was looked up, so nobody else makes the same batch meanwhile.
  static void create(Work& work, int64_t batch) {
    int64_t size = work.random.one_in(4) ? work.random.between(20, 70) : work.random.between(1, 8);
    for (int64_t i = 0; i < size; ++i) work.create(kItem, {int_value(batch), int_value(size)});
  }

  /// Takes the tags along that are known here, so that sometimes a tag outlives its item.
  static void erase(Work& work, ObjectId item) {
    Bytes reference = reference_value(kItem, item);
    if (work.covers(kTag, kByItem, {reference}))
      for (ObjectId tag : work.find(kTag, kByItem, {reference})) work.erase(kTag, tag);
    work.erase(kItem, item);
  }

  static void erase_everything(Work& work) {
    for (ObjectId item : work.all(kItem)) work.erase(kItem, item);
    for (ObjectId tag : work.here(kTag)) work.erase(kTag, tag);
  }

  static void tag(Work& work) {
    std::vector<ObjectId> items = work.here(kItem), tags = work.here(kTag);
    if (!tags.empty() && work.random.one_in(3)) return erase_if_loose(work, work.random.pick(tags));
    if (items.empty()) return;
    ObjectId item = work.random.pick(items);
    if (work.exists(kItem, item)) work.create(kTag, {reference_value(kItem, item), work.note()});
  }

  /// A tag whose item is there may stay.
  static void erase_if_loose(Work& work, ObjectId tag) {
    ObjectId item = work.read_reference(kTag, tag, kItemOfTag);
    if (!work.covers_object(kItem, item) || !work.exists(kItem, item) || work.random.one_in(2)) work.erase(kTag, tag);
  }
};

}  // namespace

std::unique_ptr<Workload> make_create_delete() { return std::make_unique<CreateDelete>(); }

}  // namespace odb::simulation
