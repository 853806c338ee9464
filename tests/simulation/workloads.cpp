#include "tests/simulation/workloads.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb::simulation {

Bytes int_value(int64_t value) {
  Bytes out;
  put_int(out, value);
  return out;
}

Bytes str_value(std::string_view text) {
  Bytes out;
  put_str(out, text, Mode::kValue);
  return out;
}

// ---- work

std::vector<ObjectId> Work::all(TypeId type) {
  Observation seen{Observation::Kind::kType, type, {}, {}, {}, {}, {}, {}};
  transaction_.lookup_type(table(type), SIZE_MAX, seen.objects);
  return observations_.emplace_back(std::move(seen)).objects;
}

std::vector<ObjectId> Work::find(TypeId type, IndexId index, const std::vector<Bytes>& values) {
  Observation seen{Observation::Kind::kIndexKey, type, {}, {}, index, {}, {}, {}};
  for (const Bytes& value : values) append_key(seen.key, value);
  transaction_.lookup(table(type), index, seen.key, SIZE_MAX, seen.objects);
  return observations_.emplace_back(std::move(seen)).objects;
}

int64_t Work::read_int(TypeId type, ObjectId object, FieldId field) {
  Observation seen{Observation::Kind::kField, type, object, field, {}, {}, {}, {}};
  BytesView value;
  ODB_CHECK(transaction_.read(table(type), object, field, value) == Presence::kHere, object.value);
  seen.value = Bytes(value);
  return Reader(observations_.emplace_back(std::move(seen)).value).integer();
}

ObjectId Work::create(TypeId type, const std::vector<Bytes>& values) {
  ObjectId object = identities_.next(type).value();
  transaction_.create(table(type), object);
  for (uint32_t field = 0; field < values.size(); ++field) write(type, object, FieldId{field}, values[field]);
  return object;
}

void Work::write(TypeId type, ObjectId object, FieldId field, const Bytes& value) {
  ODB_CHECK(transaction_.write(table(type), object, field, value) == Presence::kHere, object.value);
}

void Work::erase(TypeId type, ObjectId object) {
  ODB_CHECK(transaction_.erase(table(type), object) == Presence::kHere, object.value);
}

// ---- bank

namespace {

constexpr TypeId kFirstType{1};

/// Mostly short; now and then long enough that a subscription takes several pieces.
Bytes random_note(Random& random) {
  return str_value(std::string(static_cast<size_t>(random.one_in(4) ? random.below(50'000) : random.below(20)), 'n'));
}

class Bank : public Workload {
 public:
  const char* name() const override { return "bank"; }

  std::vector<TypeDefinition> types() const override {
    return {
        {"Account", {{"balance", "int", {}}, {"branch", "int", {}}, {"note", "str", {}}}, {{"branch", {"branch"}}}}};
  }

  void found(Work& work) override {
    for (int64_t i = 0; i < kAccounts; ++i)
      work.create(kAccount, {int_value(kStart), int_value(i % kBranches), random_note(work.random)});
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> accounts = random.one_in(3) ? work.all(kAccount) : branch(work, random.below(kBranches));
    if (accounts.size() < 2) return;
    ObjectId from = random.pick(accounts), to = random.pick(accounts);
    if (from == to) return work.write(kAccount, from, kNote, random_note(random));  // blind
    int64_t available = work.read_int(kAccount, from, kBalance), before = work.read_int(kAccount, to, kBalance);
    int64_t amount = random.below(available + 1);
    switch (random.below(12)) {
      case 0:
        work.create(kAccount, {int_value(amount), int_value(random.below(kBranches)), random_note(random)});
        return work.write(kAccount, from, kBalance, int_value(available - amount));
      case 1: work.erase(kAccount, from); return work.write(kAccount, to, kBalance, int_value(before + available));
      case 2: return work.write(kAccount, to, kBranch, int_value(random.below(kBranches)));
      default:
        work.write(kAccount, from, kBalance, int_value(available - amount));
        return work.write(kAccount, to, kBalance, int_value(before + amount));
    }
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kAccount);
    std::vector<ObjectId> accounts;
    view.lookup_type(table, SIZE_MAX, accounts);
    int64_t sum = 0;
    for (ObjectId account : accounts) {
      BytesView balance;
      ODB_CHECK(view.read(table, account, kBalance, balance) == Presence::kHere, account.value);
      sum += Reader(balance).integer();
    }
    ODB_CHECK(accounts.empty() || sum == kAccounts * kStart, sum, view.version().tid.value);
  }

 private:
  static constexpr TypeId kAccount = kFirstType;
  static constexpr FieldId kBalance{0}, kBranch{1}, kNote{2};
  static constexpr int64_t kAccounts = 20, kStart = 100, kBranches = 4;

  static std::vector<ObjectId> branch(Work& work, int64_t number) {
    return work.find(kAccount, IndexId{0}, {int_value(number)});
  }
};

// ---- index

class Index : public Workload {
 public:
  const char* name() const override { return "index"; }

  std::vector<TypeDefinition> types() const override {
    return {{"Thing",
             {{"shelf", "int", {}}, {"colour", "oneof(none,int,str)", {}}, {"note", "str", {}}},
             {{"shelf", {"shelf"}}, {"colour", {"colour"}}, {"both", {"colour", "shelf"}}}}};
  }

  void found(Work& work) override {
    for (int64_t i = 0; i < 15; ++i) create(work);
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> things = random.one_in(3)   ? work.all(kThing)
                                   : random.one_in(2) ? work.find(kThing, IndexId{0}, {shelf(random)})
                                   : random.one_in(2) ? work.find(kThing, IndexId{1}, {colour(random)})
                                                      : work.find(kThing, IndexId{2}, {colour(random), shelf(random)});
    if (things.empty() || (things.size() < 20 && random.one_in(6))) return create(work);
    for (int64_t n = random.between(1, 3); n > 0 && !things.empty(); --n) {
      size_t at = static_cast<size_t>(random.below(static_cast<int64_t>(things.size())));
      ObjectId thing = things[at];
      things.erase(things.begin() + static_cast<std::ptrdiff_t>(at));
      switch (random.below(6)) {
        case 0: work.erase(kThing, thing); break;
        case 1: work.write(kThing, thing, kNote, random_note(random)); break;
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
  static constexpr TypeId kThing = kFirstType;
  static constexpr FieldId kShelf{0}, kColour{1}, kNote{2};

  static Bytes shelf(Random& random) { return int_value(random.below(4)); }
  static Bytes colour(Random& random) {
    if (random.one_in(4)) return str_value(random.one_in(2) ? "red" : std::string_view("b\0e", 3));
    if (random.one_in(3)) return int_value(random.between(-2, 2));
    Bytes none;
    put_none(none);
    return none;
  }
  static void create(Work& work) {
    work.create(kThing, {shelf(work.random), colour(work.random), random_note(work.random)});
  }
};

}  // namespace

std::unique_ptr<Workload> make_bank() { return std::make_unique<Bank>(); }
std::unique_ptr<Workload> make_index() { return std::make_unique<Index>(); }

}  // namespace odb::simulation
