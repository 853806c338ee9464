#include <set>

#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

/// A number is had by one badge at most; a badge has a name, and a place that is unique together with a floor.
class UniqueNumbers : public Workload {
 public:
  const char* name() const override { return "unique"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Badge",
             {{"number", "oneof(none,int)", {}}, {"floor", "int", {}}, {"place", "oneof(none,int)", {}}},
             {{"number", {"number"}, true}, {"seat", {"floor", "place"}, true}, {"floor", {"floor"}}}}};
  }

  void found(Work& work) override {
    for (int64_t i = 0; i < 8; ++i) work.create(kBadge, {int_value(i), int_value(i % kFloors), none_value()});
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> badges =
        random.one_in(3) ? work.some(kBadge) : work.some(kBadge, kByFloor, {int_value(random.below(kFloors))});
    Bytes number = int_value(random.below(kNumbers));
    if (badges.size() < 2 || (badges.size() < 15 && random.one_in(8))) return create(work, number);
    ObjectId a = random.pick(badges), b = random.pick(badges);
    switch (random.below(8)) {
      case 0: return work.erase(kBadge, a);
      case 1: return work.write(kBadge, a, kNumber, none_value());
      case 2: return work.write(kBadge, a, kNumber, number);  // without a look
      case 3: return claim(work, a, number);
      case 4: work.write(kBadge, a, kPlace, int_value(random.below(3))); [[fallthrough]];
      case 5: return work.write(kBadge, a, kFloor, int_value(random.below(kFloors)));
      default: return swap(work, a, b);
    }
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kBadge);
    std::vector<ObjectId> badges;
    view.lookup_type(table, SIZE_MAX, badges);
    std::set<Bytes> numbers;
    for (ObjectId badge : badges) {
      BytesView number;
      ODB_CHECK(view.read(table, badge, kNumber, number) == Presence::kHere, badge.value);
      if (number != none_value()) ODB_CHECK(numbers.insert(Bytes(number)).second, badge.value);
    }
  }

 private:
  static constexpr TypeId kBadge{1};
  static constexpr FieldId kNumber{0}, kFloor{1}, kPlace{2};
  static constexpr IndexId kByNumber{0}, kByFloor{2};
  static constexpr int64_t kNumbers = 20, kFloors = 3;

  static void create(Work& work, const Bytes& number) {
    work.create(kBadge, {number, int_value(work.random.below(kFloors)), none_value()});
  }

  static void claim(Work& work, ObjectId badge, const Bytes& number) {
    if (!work.covers(kBadge, kByNumber, {number})) return;
    if (work.find(kBadge, kByNumber, {number}).empty()) work.write(kBadge, badge, kNumber, number);
  }

  /// Judged on the whole transaction, so nobody is in the way. Who is deleted hands its number on.
  static void swap(Work& work, ObjectId a, ObjectId b) {
    if (a == b) return;
    Bytes of_a = work.read(kBadge, a, kNumber), of_b = work.read(kBadge, b, kNumber);
    work.write(kBadge, a, kNumber, of_b);
    if (work.random.one_in(4)) return work.erase(kBadge, b);
    work.write(kBadge, b, kNumber, of_a);
  }
};

}  // namespace

std::unique_ptr<Workload> make_unique_numbers() { return std::make_unique<UniqueNumbers>(); }

}  // namespace odb::simulation
