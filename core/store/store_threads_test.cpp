/// One writer and many readers of a store at once. These tests are worth most under ThreadSanitizer and
/// AddressSanitizer: they give every kind of unlinked memory (rows, tombstones, entries, keys, nodes, tables) a chance
/// to be read too late.
#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <exception>
#include <mutex>
#include <thread>

#include "core/store/store.h"
#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

/// Threads that work until everybody has done enough; the first complaint ends all of them. Boost.Test's own checks
/// are for one thread.
class Crew {
 public:
  Crew(size_t members, int turns_each) : turns_each_(turns_each), unfinished_(members) {}

  /// Runs `turn` until every member has done its turns.
  template <class Turn>
  void work(Turn&& turn) {
    try {
      for (int turns = 0; unfinished_ > 0 && !is_over_; ++turns) {
        turn();
        if (turns + 1 == turns_each_) --unfinished_;
      }
    } catch (const std::exception& error) { complain(error.what()); }
  }
  std::string complaint() {
    std::lock_guard lock(mutex_);
    return complaint_;
  }

 private:
  void complain(const std::string& what) {
    std::lock_guard lock(mutex_);
    if (complaint_.empty()) complaint_ = what;
    is_over_ = true;
  }

  const int turns_each_;
  std::atomic<size_t> unfinished_;
  std::atomic<bool> is_over_{false};
  std::mutex mutex_;
  std::string complaint_;
};

constexpr int64_t kShelves = 5;

/// Everything an item shop promises its readers: `place` moves between items and is never lost, and both indexes
/// agree with the fields.
void verify_shop(const Table& table, Step at, int64_t places) {
  int64_t sum = 0;
  for (const auto& [object, item] : items_at(table, at)) sum += item.place;
  ODB_CHECK(sum == places, sum, places, at.value);
}

/// Moves places about, deletes items, makes them again and lets them change shelves, all of it in one step.
Records random_changes(Random& random, Items& items) {
  Records records;
  int64_t in_hand = 0;
  std::map<ObjectId, Item> touched;
  for (int n = 0; n < 6; ++n) {
    ObjectId id{1 + below(random, 150) * (1 + below(random, 2) * 977)};
    if (touched.contains(id)) continue;
    auto at = items.find(id);
    if (at == items.end()) {
      Item made{"new", below(random, kShelves), in_hand};
      in_hand = 0;
      records.create(id.value, made);
      touched[id] = items[id] = made;
    } else if (below(random, 3) == 0) {
      in_hand += at->second.place;
      records.erase(id.value);
      touched[id] = {};
      items.erase(at);
    } else {
      int64_t taken = below(random, at->second.place + 1);
      in_hand += taken;
      at->second.place -= taken;
      at->second.shelf = below(random, kShelves);
      records.update(kItem, id.value, {{kShelf, int_value(at->second.shelf)}, {kPlace, int_value(at->second.place)}});
      touched[id] = at->second;
    }
  }
  if (in_hand > 0) {  // item 100,000 is the purse: it is touched here only
    Item& purse = items[ObjectId{100'000}];
    purse.place += in_hand;
    records.update(100'000, kPlace, int_value(purse.place));
  }
  return records;
}

void run_threads(uint64_t seed, size_t readers, int turns, bool keeps_old_views) {
  constexpr int64_t kPlaces = 10'000;
  Store store;
  Table& table = store.define(item_layout());
  Items items{{ObjectId{100'000}, {"purse", 0, kPlaces}}};
  step(store, 1, Records().create(100'000, items.begin()->second));
  Crew crew(readers + 1, turns);
  std::vector<std::atomic<uint64_t>> reads(readers);

  auto write = [&, random = Random(seed), tid = uint64_t{1}]() mutable {
    // A reader that the machine has stopped for seconds would find so much history that he never caught up.
    uint64_t slowest = *std::ranges::min_element(reads, {}, [](const auto& count) { return count.load(); });
    if (tid > 1'000 + 100 * slowest) return std::this_thread::yield();
    // Once in a while the purse is emptied into one item, so that places go both ways.
    Item& purse = items[ObjectId{100'000}];
    Records records;
    if (tid % 10 == 0 && items.size() > 1 && purse.place > 0) {
      auto& [other, item] = *items.begin();
      item.place += purse.place;
      purse.place = 0;
      records.update(other.value, kPlace, int_value(item.place)).update(100'000, kPlace, int_value(0));
    } else {
      records = random_changes(random, items);
    }
    step(store, ++tid, records);
    if (tid % 7 == 0) store.trim();
  };
  auto read = [&](Random& random, std::vector<std::pair<Version, Items>>& kept) {
    Version version = store.open();
    verify_shop(table, version.step, kPlaces);
    if (!keeps_old_views) return store.close(version.step);
    kept.emplace_back(version, items_at(table, version.step));
    auto at = kept.begin() + below(random, static_cast<int64_t>(kept.size()));
    ODB_CHECK(items_at(table, at->first.step) == at->second, at->first.step.value);
    Result<Version> again = store.open_at(at->first.tid);  // D7: this very version is pinned
    ODB_CHECK(again.is_ok());
    store.close(again.value().step);
    if (kept.size() < 6) return;
    store.close(at->first.step);
    kept.erase(at);
  };

  std::vector<std::thread> threads;
  for (size_t i = 0; i < readers; ++i) {
    threads.emplace_back([&, i] {
      Random random(seed + 1 + i);
      std::vector<std::pair<Version, Items>> kept;
      crew.work([&] {
        read(random, kept);
        ++reads[i];
      });
      for (const auto& [version, then] : kept) store.close(version.step);
    });
  }
  crew.work(write);
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(crew.complaint() == "");
  store.check();
  BOOST_TEST((items_at(table, store.published().step) == items));
}

BOOST_AUTO_TEST_SUITE(store_threads)

BOOST_AUTO_TEST_CASE(short_views_see_a_whole_version_while_a_writer_goes_on) {
  for (uint64_t seed = 1; seed <= 2; ++seed) BOOST_TEST_CONTEXT("seed " << seed) run_threads(seed, 3, 400, false);
}

BOOST_AUTO_TEST_CASE(views_that_stay_open_keep_their_version_while_a_writer_goes_on) {
  for (uint64_t seed = 11; seed <= 12; ++seed) BOOST_TEST_CONTEXT("seed " << seed) run_threads(seed, 3, 400, true);
}

BOOST_AUTO_TEST_CASE(readers_are_not_disturbed_while_indexes_are_filled_and_emptied) {
  constexpr int64_t kItems = 300;
  Store store;
  Table& table = store.define(item_layout());
  Crew crew(4, 60);
  auto read = [&] {
    Version version = store.open();
    size_t count = items_at(table, version.step).size();
    ODB_CHECK(count == (version.step.value % 2 == 0 ? kItems : 0), count, version.step.value);
    for (int64_t shelf = 0; shelf < kShelves && count == 0; ++shelf) {
      auto is_none = [&](ObjectId object) -> bool { throw InternalError("there is " + std::to_string(object.value)); };
      table.for_each_in(kByShelf, Item{"", shelf, 0}.key(kByShelf), version.step, is_none);
    }
    store.close(version.step);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { crew.work(read); });
  crew.work([&, tid = uint64_t{0}]() mutable {
    Records filled, emptied;
    for (int64_t object = 1; object <= kItems; ++object) {
      filled.create(object, {"cup", object % kShelves, object});
      emptied.erase(object);
    }
    step(store, ++tid, filled);
    step(store, ++tid, emptied);
    store.trim();  // where nobody reads both indexes are empty with that, and start again
  });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(crew.complaint() == "");
  store.check();
}

BOOST_AUTO_TEST_CASE(readers_are_not_disturbed_while_fields_and_indexes_are_added) {
  Store store;
  TypeLayout layout = item_layout();
  Table& table = store.define(layout);
  step(store, 1, Records().create(1, {"cup", 1, 1}).create(2, {"jug", 1, 2}));
  Crew crew(3, 100);
  auto read = [&] {
    Version version = store.open();
    BytesView last = table.value_of(*table.find(ObjectId{1}, version.step),
                                    FieldId{static_cast<uint32_t>(table.layout().fields.size() - 1)});
    ODB_CHECK(int_of(last) <= 1);
    std::vector<ObjectId> found;
    for (uint32_t i = 0; i < table.layout().indexes.size(); ++i) {
      if (!table.is_indexed_at(IndexId{i}, version.step)) continue;
      found.clear();
      table.for_each_in(IndexId{i}, Item{"", 1, 1}.key(kByShelf), version.step, [&](ObjectId object) {
        found.push_back(object);
        return true;
      });
      ODB_CHECK(found.size() == (i == 1 ? 0 : 2), i, found.size());
    }
    store.close(version.step);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { crew.work(read); });
  crew.work([&, tid = uint64_t{1}]() mutable {
    if (layout.indexes.size() < 100) {
      layout.fields.push_back(field_layout("f" + std::to_string(tid), "int"));
      layout.indexes.push_back({"i" + std::to_string(tid), {kShelf}});
      store.define(layout);
    }
    ++tid;
    step(store, tid, Records().update(2, kName, str_value(std::to_string(tid))));
  });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(crew.complaint() == "");
  store.check();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
