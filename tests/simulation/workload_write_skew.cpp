#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

/// `is_on` is indexed, `is_awake` is not: of the one a reader looks keys up, of the other it reads fields.
class WriteSkew : public Workload {
 public:
  const char* name() const override { return "write-skew"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Doctor",
             {{"shift", "int", {}}, {"is_on", "bool", {}}, {"is_awake", "bool", {}}},
             {{"shift", {"shift"}}, {"duty", {"shift", "is_on"}}}}};
  }

  void found(Work& work) override {
    for (int64_t shift = 0; shift < kShifts; ++shift)
      for (int64_t i = 0; i < 2 + shift % 2; ++i)
        work.create(kDoctor, {int_value(shift), bool_value(true), bool_value(true)});
  }

  void act(Work& work) override {
    Random& random = work.random;
    Bytes shift = int_value(random.below(kShifts));
    if (!work.covers(kDoctor, kByShift, {shift})) return act_on_what_is_here(work);
    std::vector<ObjectId> doctors = work.find(kDoctor, kByShift, {shift});
    if (doctors.empty()) return;
    ObjectId doctor = random.pick(doctors);
    switch (random.below(6)) {
      case 0: return work.write(kDoctor, doctor, kIsOn, bool_value(true));
      case 1: return work.write(kDoctor, doctor, kIsAwake, bool_value(true));  // blind
      case 2:
      case 3:
        if (!work.covers(kDoctor, kByDuty, {shift, bool_value(true)})) return;
        for (ObjectId other : work.find(kDoctor, kByDuty, {shift, bool_value(true)}))
          if (other != doctor) return work.write(kDoctor, doctor, kIsOn, bool_value(false));
        return;
      default:
        for (ObjectId other : doctors)
          if (other != doctor && work.read_bool(kDoctor, other, kIsAwake))
            return work.write(kDoctor, doctor, kIsAwake, bool_value(false));
    }
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kDoctor);
    if (!view.is_complete(table)) return;
    std::vector<ObjectId> doctors;
    view.lookup_type(table, SIZE_MAX, doctors);
    int64_t on[kShifts] = {}, awake[kShifts] = {};
    for (ObjectId doctor : doctors) {
      BytesView shift, is_on, is_awake;
      ODB_CHECK(view.read(table, doctor, kShift, shift) == Presence::kHere, doctor.value);
      ODB_CHECK(view.read(table, doctor, kIsOn, is_on) == Presence::kHere, doctor.value);
      ODB_CHECK(view.read(table, doctor, kIsAwake, is_awake) == Presence::kHere, doctor.value);
      on[Reader(shift).integer()] += is_on == bool_value(true);
      awake[Reader(shift).integer()] += is_awake == bool_value(true);
    }
    for (int64_t shift = 0; shift < kShifts && !doctors.empty(); ++shift) {
      ODB_CHECK(on[shift] > 0, shift, view.version().tid.value);
      ODB_CHECK(awake[shift] > 0, shift, view.version().tid.value);
    }
  }

 private:
  static constexpr TypeId kDoctor{1};
  static constexpr FieldId kShift{0}, kIsOn{1}, kIsAwake{2};
  static constexpr IndexId kByShift{0}, kByDuty{1};
  static constexpr int64_t kShifts = 4;

  /// Two doctors are known by themselves: one may sleep while the other, of the same shift, is awake.
  static void act_on_what_is_here(Work& work) {
    std::vector<ObjectId> doctors = work.here(kDoctor);
    if (doctors.size() < 2) return;
    ObjectId doctor = work.random.pick(doctors), other = work.random.pick(doctors);
    if (doctor == other) return work.write(kDoctor, doctor, kIsAwake, bool_value(true));
    if (work.read(kDoctor, doctor, kShift) != work.read(kDoctor, other, kShift)) return;
    if (work.read_bool(kDoctor, other, kIsAwake)) work.write(kDoctor, doctor, kIsAwake, bool_value(false));
  }
};

}  // namespace

std::unique_ptr<Workload> make_write_skew() { return std::make_unique<WriteSkew>(); }

}  // namespace odb::simulation
