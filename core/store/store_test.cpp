/// The versioned store: pins, steps, staging, indexes added later, and random histories against a model of every
/// pinned version, with check() after every step.
#include "core/store/store.h"

#include <boost/test/unit_test.hpp>
#include <chrono>

#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct ShopFixture {
  Store store;
  Table& items = store.define(item_layout());

  Items now() const { return items_at(items, store.published().step); }
};

std::vector<ObjectId> lookup(const Table& table, IndexId index, const Item& like, Step step) {
  std::vector<ObjectId> found;
  table.for_each_in(index, like.key(index), step, [&](ObjectId object) {
    found.push_back(object);
    return true;
  });
  return found;
}

BOOST_FIXTURE_TEST_SUITE(store, ShopFixture)

BOOST_AUTO_TEST_CASE(a_step_becomes_visible_when_it_is_published) {
  store.begin();
  BOOST_TEST(apply_all(store, Records().create(1, {"cup", 4, 2}).bytes).is_ok());
  BOOST_TEST(now().empty());
  store.publish(TransactionId{1});
  BOOST_TEST((now() == Items{{ObjectId{1}, {"cup", 4, 2}}}));
  BOOST_TEST((store.published() == Version{Step{2}, TransactionId{1}}));
}

BOOST_AUTO_TEST_CASE(a_pinned_version_keeps_its_state_while_others_are_made) {  // V1
  step(store, 1, Records().create(1, {"cup", 4, 2}).create(2, {"jug", 4, 3}));
  Version pinned = store.open();
  Items then = items_at(items, pinned.step);
  step(store, 2, Records().update(1, kShelf, int_value(9)).erase(2).create(3, {"pan", 1, 1}));
  step(store, 3, Records().erase(1));
  BOOST_TEST((items_at(items, pinned.step) == then));
  BOOST_TEST((now() == Items{{ObjectId{3}, {"pan", 1, 1}}}));
  store.close(pinned.step);
  store.check();
}

BOOST_AUTO_TEST_CASE(a_version_can_be_opened_again_by_its_transaction_while_it_is_pinned) {  // D7
  step(store, 10, Records().create(1, {"cup", 1, 1}));
  Version first = store.open();
  step(store, 20, Records().update(1, kShelf, int_value(2)));
  step(store, 30, Records().update(1, kShelf, int_value(3)));
  BOOST_TEST((store.open_at(TransactionId{10}).value() == first));
  BOOST_TEST((store.open_at(TransactionId{29}).value() == first));
  BOOST_TEST((store.open_at(TransactionId{99}).value() == store.published()));
  BOOST_TEST((store.open_at(TransactionId{9}).status().code() == Code::kSnapshotTooOld));
  for (int i = 0; i < 3; ++i) store.close(first.step);
  BOOST_TEST((store.open_at(TransactionId{10}).status().code() == Code::kSnapshotTooOld));
  store.close(store.published().step);
  BOOST_CHECK_THROW(store.close(store.published().step), InternalError);
}

BOOST_AUTO_TEST_CASE(advancing_moves_the_transaction_and_not_the_step) {
  step(store, 1, Records().create(1, {"cup", 1, 1}));
  store.advance(TransactionId{7});
  store.advance(TransactionId{5});
  BOOST_TEST((store.open() == Version{Step{2}, TransactionId{7}}));
  store.close(Step{2});
}

BOOST_AUTO_TEST_CASE(going_back_in_time_is_a_broken_invariant) {  // C3
  step(store, 5, Records().create(1, {"cup", 1, 1}));
  store.begin();
  BOOST_CHECK_THROW(store.publish(TransactionId{4}), InternalError);
}

BOOST_AUTO_TEST_CASE(a_record_that_does_not_fit_is_refused_without_effect) {
  step(store, 1, Records().create(1, {"cup", 1, 1}));
  store.begin();
  for (const Records& wrong : {Records().create(1, {"jug", 2, 2}), Records().update(2, kShelf, int_value(5)),
                               Records().erase(2), Records().row(Op::kCreate, TypeId{9}, 3, {})})
    BOOST_TEST((apply_all(store, wrong.bytes).code() == Code::kProtocol));
  store.publish(TransactionId{2});
  BOOST_TEST((now() == Items{{ObjectId{1}, {"cup", 1, 1}}}));
  store.check();
}

BOOST_AUTO_TEST_CASE(an_object_can_be_deleted_and_made_again) {
  step(store, 1, Records().create(1, {"cup", 1, 1}));
  step(store, 2, Records().erase(1));
  Version gone = store.open();
  step(store, 3, Records().create(1, {"jug", 1, 1}));
  BOOST_TEST(items_at(items, gone.step).empty());
  BOOST_TEST((now() == Items{{ObjectId{1}, {"jug", 1, 1}}}));
  store.close(gone.step);
  step(store, 4, Records().update(1, kShelf, int_value(2)));
  BOOST_TEST((lookup(items, kByShelf, {"", 2, 0}, store.published().step) == std::vector{ObjectId{1}}));
  store.check();
}

BOOST_AUTO_TEST_CASE(of_several_writes_in_one_step_the_last_one_counts) {
  step(store, 1, Records().create(1, {"cup", 1, 1}));
  Version before = store.open();
  step(store, 2,
       Records().update(1, kShelf, int_value(2)).update(1, kShelf, int_value(3)).update(1, kShelf, int_value(1)));
  BOOST_TEST((now() == Items{{ObjectId{1}, {"cup", 1, 1}}}));
  BOOST_TEST((items_at(items, before.step) == now()));
  store.close(before.step);
  store.check();
}

BOOST_AUTO_TEST_CASE(an_object_that_is_made_and_deleted_in_one_step_leaves_nothing_behind) {
  step(store, 1, Records().create(1, {"cup", 1, 1}).erase(1));
  store.check();
  step(store, 2, Records().create(2, {"jug", 1, 1}));
  store.check();
  BOOST_TEST((now() == Items{{ObjectId{2}, {"jug", 1, 1}}}));
}

BOOST_AUTO_TEST_CASE(values_are_read_from_defaults_when_a_field_is_added_later) {  // D18
  step(store, 1, Records().create(1, {"cup", 1, 1}));
  TypeLayout wider = item_layout();
  wider.fields.push_back(field_layout("weight", "int"));
  store.define(wider);
  const Row* row = items.find(ObjectId{1}, store.published().step);
  BOOST_TEST(items.value_of(*row, FieldId{3}) == int_value(0));
  step(store, 2, Records().update(1, FieldId{3}, int_value(250)));
  row = items.find(ObjectId{1}, store.published().step);
  BOOST_TEST(items.value_of(*row, FieldId{3}) == int_value(250));
}

BOOST_AUTO_TEST_CASE(an_index_that_is_added_later_answers_from_its_own_step_on) {  // D17
  step(store, 1, Records().create(1, {"cup", 1, 5}).create(2, {"jug", 2, 5}));
  Version before = store.open();
  TypeLayout indexed = item_layout();
  indexed.indexes.push_back({"place", {kPlace}});
  store.define(indexed);
  Version after = store.open();
  BOOST_TEST(!items.is_indexed_at(IndexId{2}, before.step));
  BOOST_TEST(items.is_indexed_at(IndexId{2}, after.step));
  BOOST_TEST(after.tid.value == before.tid.value);
  std::vector<ObjectId> found;
  items.for_each_in(IndexId{2}, int_value(5), after.step, [&](ObjectId object) {
    found.push_back(object);
    return true;
  });
  BOOST_TEST((found == std::vector{ObjectId{1}, ObjectId{2}}));
  store.close(before.step);
  store.close(after.step);
  store.check();
}

BOOST_AUTO_TEST_CASE(fields_that_share_an_index_are_read_together) {  // D13
  BOOST_TEST(items.fields_indexed_with(kName).empty());
  BOOST_TEST((items.fields_indexed_with(kPlace) == std::vector{kShelf, kPlace}));
}

BOOST_AUTO_TEST_CASE(what_was_staged_appears_as_one_step_and_the_type_is_complete_from_then_on) {  // D20, D22
  Staging staging(items);
  Records stream;
  stream.whole(1, {"cup", 1, 1}).whole(2, {"jug", 2, 2}).whole(1, {"cup", 7, 7}).whole(5, {"pan", 3, 3});
  Record record;
  for (RecordReader in(stream.bytes); in.next(record);) staging.put(record);
  Records late;
  late.update(2, kShelf, int_value(8)).update(4, kShelf, int_value(1));
  for (RecordReader in(late.bytes); in.next(record);) staging.update(record);
  staging.erase(ObjectId{5});
  staging.erase(ObjectId{6});
  BOOST_TEST(staging.object_count() == 2u);
  Version before = store.open();
  store.begin();
  store.adopt(staging);
  store.cover_type(items);
  store.publish(TransactionId{9});
  BOOST_TEST(!items.is_complete_at(before.step));
  BOOST_TEST(items.is_complete_at(store.published().step));
  BOOST_TEST(items.is_joined());
  BOOST_TEST((now() == Items{{ObjectId{1}, {"cup", 7, 7}}, {ObjectId{2}, {"jug", 8, 2}}}));
  BOOST_TEST(items_at(items, before.step).empty());
  store.close(before.step);
  store.check();
}

BOOST_AUTO_TEST_CASE(adopting_again_does_not_raise_the_step_from_which_a_type_is_complete) {  // D7
  Staging first(items), second(items);
  store.begin();
  store.adopt(first);
  store.cover_type(items);
  store.publish(TransactionId{1});
  Version complete = store.open();
  store.begin();
  store.adopt(second);
  store.cover_type(items);
  store.publish(TransactionId{2});
  BOOST_TEST(items.is_complete_at(complete.step));
  store.close(complete.step);
}

// ---- members of index keys: who was one when

/// Object 1 comes to shelf 1 and leaves it, and every pinned step tells whether it is there; object 9 always is.
struct ShelfFixture : ShopFixture {
  ShelfFixture() {
    step(store, 1, Records().create(9, {"stays", 1, 1}));
    pinned.push_back(store.open().step);
  }
  void next(const Records& records, bool is_pinned = true) {
    step(store, ++tid, records);
    if (is_pinned) pinned.push_back(store.open().step);
    store.check();
  }
  static Records put_on(int64_t shelf) { return Records().update(1, kShelf, int_value(shelf)); }
  static Records create_on(int64_t shelf) { return Records().create(1, {"cup", shelf, 1}); }

  /// '1' where object 1 is on shelf 1, for each pinned step.
  std::string told() {
    std::string out;
    for (Step at : pinned) {
      std::vector<ObjectId> found = lookup(items, kByShelf, {"", 1, 0}, at);
      bool is_member = std::ranges::count(found, ObjectId{1}) == 1;
      BOOST_TEST_REQUIRE(found.size() == (is_member ? 2u : 1u));
      out += is_member ? '1' : '.';
    }
    return out;
  }
  void close_oldest() {
    store.close(pinned.front());
    pinned.erase(pinned.begin());
    store.trim();
    store.check();
  }
  /// Every pinned step tells the same while others are closed one by one, from the oldest or the newest on.
  void close_all(bool is_oldest_first) {
    while (!pinned.empty()) {
      std::string before = told();
      if (is_oldest_first) {
        close_oldest();
        BOOST_TEST_REQUIRE(told() == before.substr(1));
      } else {
        store.close(pinned.back());
        pinned.pop_back();
        store.trim();
        store.check();
        BOOST_TEST_REQUIRE(told() == before.substr(0, before.size() - 1));
      }
    }
  }

  std::vector<Step> pinned;
  uint64_t tid = 1;
};

BOOST_FIXTURE_TEST_CASE(a_young_member_is_none_of_older_views, ShelfFixture) {
  next(create_on(1));
  BOOST_TEST(told() == ".1");
  close_oldest();  // settles it
  BOOST_TEST(told() == "1");
}

BOOST_FIXTURE_TEST_CASE(a_settled_member_that_leaves_stays_one_of_older_views, ShelfFixture) {
  next(create_on(1));
  close_oldest();
  next(put_on(2));
  BOOST_TEST(told() == "1.");
  close_all(true);
}

BOOST_FIXTURE_TEST_CASE(a_member_that_leaves_before_it_is_settled_is_one_in_between, ShelfFixture) {
  next(create_on(1));
  next(put_on(2));
  BOOST_TEST(told() == ".1.");
  close_all(true);
}

BOOST_FIXTURE_TEST_CASE(a_member_that_comes_again_in_the_same_step_never_left, ShelfFixture) {
  next(create_on(1));
  next(put_on(2).update(1, kShelf, int_value(1)));
  BOOST_TEST(told() == ".11");
  close_all(false);
}

BOOST_FIXTURE_TEST_CASE(a_member_that_comes_and_leaves_in_one_step_was_none, ShelfFixture) {
  next(create_on(2));
  next(put_on(1).update(1, kShelf, int_value(3)));
  BOOST_TEST(told() == "...");
  close_all(true);
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, store.published().step).size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_member_that_comes_again_in_a_later_step_is_none_in_between, ShelfFixture) {
  for (bool is_oldest_first : {true, false}) {
    next(create_on(1));
    next(put_on(2));
    next(put_on(1));
    next(Records().update(1, kPlace, int_value(5)));
    next(Records().erase(1));
    next(create_on(1));
    BOOST_TEST(told().ends_with(".1.11.1"));
    close_all(is_oldest_first);
    pinned.push_back(store.open().step);
    next(Records().erase(1));
    close_oldest();
  }
}

BOOST_FIXTURE_TEST_CASE(members_follow_when_several_steps_expire_at_once, ShelfFixture) {
  next(create_on(1), false);
  next(Records().update(1, kName, str_value("jug")), false);
  next(put_on(2), false);
  next(put_on(1), false);
  next(Records().update(1, kName, str_value("pan")));
  BOOST_TEST(told() == ".1");
  close_oldest();
  BOOST_TEST(told() == "1");
  next(put_on(2));
  BOOST_TEST(told() == "1.");
}

BOOST_AUTO_TEST_CASE(an_index_that_was_empty_shows_older_views_nothing_while_it_is_filled) {
  Version before = store.open();
  Records many;
  for (int64_t object = 1; object <= 1000; ++object) many.create(object, {"cup", object % 3, object});
  step(store, 1, many);
  store.check();
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, before.step).empty());
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, store.published().step).size() == 334u);
  Records fewer;
  for (int64_t object = 1; object <= 1000; ++object) fewer.erase(object);
  step(store, 2, fewer);
  Version emptied = store.open();
  step(store, 3, Records().create(1, {"jug", 1, 1}));  // its keys are still there, for `before` may be older
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, emptied.step).empty());
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, store.published().step).size() == 1u);
  store.check();
  store.close(before.step);
  store.close(emptied.step);
  step(store, 4, Records().erase(1));
  store.trim();
  Version empty = store.open();
  step(store, 5, many);  // now they are not
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, empty.step).empty());
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, store.published().step).size() == 334u);
  store.close(empty.step);
  store.check();
}

BOOST_AUTO_TEST_CASE(what_is_filled_and_emptied_again_in_one_step_leaves_nothing_behind) {
  step(store, 1, Records().create(1, {"cup", 1, 1}).update(1, kShelf, int_value(2)).erase(1));
  store.check();
  store.trim();
  store.check();
  step(store, 2, Records().create(2, {"jug", 1, 1}));
  BOOST_TEST(lookup(items, kByShelf, {"", 1, 0}, store.published().step).size() == 1u);
  store.check();
}

BOOST_AUTO_TEST_CASE(a_store_without_readers_cannot_be_opened_and_leaves_nothing_in_doubt) {
  Store alone(Store::Readers::kNone);
  Table& table = alone.define(item_layout());
  Random random(1);
  Items model;
  for (uint64_t tid = 1; tid <= 200; ++tid) {
    Records records;
    for (int i = 0; i < 5; ++i) {
      int64_t object = 1 + below(random, 30);
      Item item{"x", below(random, 3), below(random, 3)};
      if (below(random, 3) == 0 && model.erase(ObjectId{object}) > 0) {
        records.erase(object);
      } else {
        bool is_new = model.insert_or_assign(ObjectId{object}, item).second;
        is_new ? records.create(object, item) : records.whole(object, item);
      }
    }
    step(alone, tid, records);
    BOOST_TEST_REQUIRE((items_at(table, alone.published().step) == model));
    alone.check();
  }
  BOOST_CHECK_THROW(alone.open(), InternalError);
  BOOST_CHECK_THROW(alone.open_at(TransactionId{1}), InternalError);
}

/// A store and what it should show, for every version that is pinned.
struct History {
  explicit History(uint64_t seed) : random(seed) {}

  void change_something(int64_t objects, int64_t changes_max = 8, int64_t shelves = 4) {
    Records records;
    Items next = now;
    for (int64_t n = below(random, changes_max); n >= 0; --n) {
      int64_t object = 1 + below(random, objects);
      ObjectId id{object};
      Item item{std::string(static_cast<size_t>(below(random, 5)), 'n'), below(random, shelves), below(random, 4)};
      bool is_here = next.contains(id);
      if (!is_here) {
        records.create(object, item);
        next[id] = item;
      } else if (below(random, 3) == 0) {
        records.erase(object);
        next.erase(id);
      } else if (below(random, 3) == 0) {
        records.whole(object, item);
        next[id] = item;
      } else {
        records.update(kItem, object, {{kShelf, int_value(item.shelf)}, {kPlace, int_value(item.place)}});
        next[id].shelf = item.shelf;
        next[id].place = item.place;
      }
    }
    step(store, ++tid, records);
    now = std::move(next);
  }

  void pin_or_unpin() {
    if (below(random, 3) == 0) {
      Version version = store.open();
      pinned.push_back({version, now});
    }
    if (pinned.size() > 6 || (!pinned.empty() && below(random, 4) == 0)) {
      auto at = pinned.begin() + below(random, static_cast<int64_t>(pinned.size()));
      store.close(at->first.step);
      pinned.erase(at);
    }
    if (below(random, 5) == 0) store.trim();
    if (below(random, 5) == 0) store.advance(TransactionId{++tid});
  }

  void verify() const {
    store.check();
    for (const auto& [version, then] : pinned)
      BOOST_TEST_REQUIRE((items_at(items, version.step) == then), "step " << version.step.value << " has changed");
    BOOST_TEST_REQUIRE((items_at(items, store.published().step) == now));
    BOOST_TEST_REQUIRE(items.object_count() == now.size());
  }

  Random random;
  Store store;
  Table& items = store.define(item_layout());
  Items now;
  std::vector<std::pair<Version, Items>> pinned;
  uint64_t tid = 0;
};

BOOST_AUTO_TEST_CASE(random_histories_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      History history(seed);
      int64_t objects = int64_t{5} << (seed % 6);
      for (int i = 0; i < 200; ++i) {
        history.change_something(objects);
        history.pin_or_unpin();
        history.verify();
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(random_histories_of_keys_with_many_members_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 101; seed <= 106; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      History history(seed);
      for (int i = 0; i < 80; ++i) {
        history.change_something(1500, 200, 2);
        history.pin_or_unpin();
        if (i % 8 == 0) history.verify();
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(random_histories_of_objects_that_flicker_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 201; seed <= 220; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      History history(seed);
      for (int i = 0; i < 200; ++i) {
        history.change_something(4, 12, 2);
        history.pin_or_unpin();
        history.verify();
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(an_object_that_goes_to_and_fro_costs_its_moves_once_when_a_view_closes) {
  Store store;
  Table& table = store.define(item_layout());
  step(store, 1, Records().create(1, {"cup", 0, 1}));
  // 40,000 moves below and above the floor: seconds or milliseconds, by whether each looks at all the others.
  constexpr uint64_t kMoves = 40'000;
  auto move = [&, tid = uint64_t{1}]() mutable {
    for (uint64_t i = 0; i < kMoves; ++i, ++tid) step(store, tid + 1, Records().update(1, kShelf, int_value(tid % 2)));
  };
  Version oldest = store.open();
  move();
  Version middle = store.open();
  Items then = items_at(table, middle.step);
  move();
  auto begin = std::chrono::steady_clock::now();
  store.close(oldest.step);
  store.trim();
  BOOST_TEST((std::chrono::steady_clock::now() - begin < std::chrono::seconds(3)));
  BOOST_TEST((items_at(table, middle.step) == then));
  store.close(middle.step);
  store.trim();
  store.check();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
