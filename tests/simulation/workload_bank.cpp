#include "core/base/check.h"
#include "tests/simulation/workloads.h"

namespace odb::simulation {
namespace {

class Bank : public Workload {
 public:
  const char* name() const override { return "bank"; }

  std::vector<TypeDefinition> types() const override {
    return {
        {"Account", {{"balance", "int", {}}, {"branch", "int", {}}, {"note", "str", {}}}, {{"branch", {"branch"}}}},
        {"Receipt", {{"account", "ref(simulation.Account)", {}}, {"amount", "int", {}}}, {{"account", {"account"}}}}};
  }

  void found(Work& work) override {
    for (int64_t i = 0; i < kAccounts; ++i)
      work.create(kAccount, {int_value(kStart), int_value(i % kBranches), str_value("")});
  }

  void act(Work& work) override {
    Random& random = work.random;
    std::vector<ObjectId> accounts =
        random.one_in(3) ? work.some(kAccount) : work.some(kAccount, kByBranch, {int_value(random.below(kBranches))});
    if (accounts.size() < 2) return;
    ObjectId from = random.pick(accounts), to = random.pick(accounts);
    if (from == to) return work.write(kAccount, from, kNote, work.note());  // blind
    int64_t available = work.read_int(kAccount, from, kBalance), before = work.read_int(kAccount, to, kBalance);
    int64_t amount = random.below(available + 1);
    switch (random.below(12)) {
      case 0:
        work.create(kAccount, {int_value(amount), int_value(random.below(kBranches)), work.note()});
        return work.write(kAccount, from, kBalance, int_value(available - amount));
      case 1: work.erase(kAccount, from); return work.write(kAccount, to, kBalance, int_value(before + available));
      case 2: return work.write(kAccount, to, kBranch, int_value(random.below(kBranches)));
      case 3: return tidy(work, from);
      default:
        work.write(kAccount, from, kBalance, int_value(available - amount));
        work.write(kAccount, to, kBalance, int_value(before + amount));
        if (random.one_in(3)) work.write(kAccount, to, kNote, work.note());
        if (random.one_in(4)) work.create(kReceipt, {reference_value(kAccount, to), int_value(amount)});
    }
  }

  void verify(const View& view, const Store& store) const override {
    const Table& table = *store.table(kAccount);
    if (!view.is_complete(table)) return;
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
  static constexpr TypeId kAccount{1}, kReceipt{2};
  static constexpr FieldId kBalance{0}, kBranch{1}, kNote{2};
  static constexpr IndexId kByBranch{0}, kByAccount{0};
  static constexpr int64_t kAccounts = 20, kStart = 100, kBranches = 4;

  /// The receipts of an account are thrown away, as far as this client knows them.
  static void tidy(Work& work, ObjectId account) {
    for (ObjectId receipt : work.some(kReceipt, kByAccount, {reference_value(kAccount, account)}))
      work.erase(kReceipt, receipt);
  }
};

}  // namespace

std::unique_ptr<Workload> make_bank() { return std::make_unique<Bank>(); }

}  // namespace odb::simulation
