/// Written values, their encoding, and random transactions against a model that computes every lookup anew.
#include "core/view/write_set.h"

#include <boost/test/unit_test.hpp>
#include <optional>

#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct WriteSetFixture {
  Store store;
  Table& items = store.define(item_layout());
  WriteSet writes;

  Bytes encoded() const {
    std::vector<Bytes> parts;
    writes.encode(parts, SIZE_MAX);
    return joined(parts);
  }
};

BOOST_FIXTURE_TEST_SUITE(write_set, WriteSetFixture)

BOOST_AUTO_TEST_CASE(the_last_value_of_a_field_counts_whether_it_grew_or_shrank) {
  for (std::string_view text : {"a", "somewhat longer", "b", "", "the longest of all of them"}) {
    writes.write(items, ObjectId{1}, kName, str_value(text));
    writes.write(items, ObjectId{1}, kShelf, int_value(static_cast<int64_t>(text.size())));
    BOOST_TEST(writes.value(ObjectId{1}, kName) == str_value(text));
  }
  BOOST_TEST(
      encoded() ==
      Records().update(kItem, 1, {{kName, str_value("the longest of all of them")}, {kShelf, int_value(26)}}).bytes);
  BOOST_TEST(writes.count() == 1u);
}

BOOST_AUTO_TEST_CASE(values_that_become_short_give_their_room_back) {
  constexpr int64_t kObjects = 40;
  writes.write(items, ObjectId{kObjects + 1}, kName, str_value(std::string(8 << 20, 'y')));
  for (int64_t object = 1; object <= kObjects; ++object) {
    writes.write(items, ObjectId{object}, kName, writes.value(ObjectId{kObjects + 1}, kName));  // lies in the arena
    BOOST_TEST((writes.value(ObjectId{object}, kName) == str_value(std::string(8 << 20, 'y'))));
    writes.write(items, ObjectId{object}, kName, str_value(std::to_string(object)));
    writes.write(items, ObjectId{object}, kShelf, int_value(object));
  }
  BOOST_TEST(writes.arena_bytes() < size_t{140} << 20);
  Records expected;
  expected.update(kObjects + 1, kName, str_value(std::string(8 << 20, 'y')));
  for (int64_t object = 1; object <= kObjects; ++object)
    expected.update(kItem, object, {{kName, str_value(std::to_string(object))}, {kShelf, int_value(object)}});
  BOOST_TEST((encoded() == expected.bytes));
}

BOOST_AUTO_TEST_CASE(a_value_may_be_copied_from_another_written_field) {
  writes.write(items, ObjectId{1}, kName, str_value(std::string(100, 'x')));
  for (int64_t object = 2; object < 50; ++object)
    writes.write(items, ObjectId{object}, kName, writes.value(ObjectId{object - 1}, kName));
  BOOST_TEST(writes.value(ObjectId{49}, kName) == str_value(std::string(100, 'x')));
}

BOOST_AUTO_TEST_CASE(a_field_that_the_type_got_meanwhile_can_be_written) {
  writes.write(items, ObjectId{1}, kShelf, int_value(5));
  TypeLayout wider = item_layout();
  for (int i = 0; i < 4; ++i) wider.fields.push_back(field_layout("more" + std::to_string(i), "int"));
  store.define(wider);
  writes.write(items, ObjectId{1}, FieldId{6}, int_value(7));
  BOOST_TEST(writes.value(ObjectId{1}, FieldId{5}).empty());
  BOOST_TEST(encoded() == Records().update(kItem, 1, {{kShelf, int_value(5)}, {FieldId{6}, int_value(7)}}).bytes);
}

BOOST_AUTO_TEST_CASE(records_travel_in_the_order_of_first_writes_in_parts_cut_between_them) {
  Records expected;
  for (int64_t object : {9, 3, 5, 3, 9, 1}) writes.write(items, ObjectId{object}, kShelf, int_value(object));
  for (int64_t object : {9, 3, 5, 1}) expected.update(object, kShelf, int_value(object));
  std::vector<Bytes> parts;
  writes.encode(parts, 1);
  BOOST_TEST(parts.size() == 4u);
  BOOST_TEST(joined(parts) == expected.bytes);
}

BOOST_AUTO_TEST_CASE(creating_what_was_written_already_is_a_broken_invariant) {
  writes.create(items, ObjectId{1});
  BOOST_CHECK_THROW(writes.create(items, ObjectId{1}), InternalError);
  writes.write(items, ObjectId{2}, kShelf, int_value(1));
  BOOST_CHECK_THROW(writes.create(items, ObjectId{2}), InternalError);
  BOOST_CHECK_THROW(writes.cancel(ObjectId{2}), InternalError);
}

/// A transaction beside what it should see.
struct Checked {
  explicit Checked(uint64_t seed) : random(seed) {
    store->begin();
    store->cover_type(items);
    store->publish(TransactionId{1});
    Records records;
    for (int64_t object = 1; object <= 12; ++object) {
      snapshot[ObjectId{object}] = random_item();
      records.create(object, snapshot[ObjectId{object}]);
    }
    step(*store, 2, records);
    seen = snapshot;
    transaction.emplace(store);
  }

  Item random_item() {
    return {std::string(static_cast<size_t>(below(random, 9)), 'n'), below(random, 3), below(random, 3)};
  }

  void write_something() {
    ObjectId object{1 + below(random, 20)};
    Item item = random_item();
    bool is_here = seen.contains(object);
    switch (below(random, 6)) {
      case 0:
        if (is_here) {
          BOOST_TEST_REQUIRE((transaction->erase(items, object) == Presence::kHere));
          seen.erase(object);
        }
        break;
      case 1:
        if (is_here && created.contains(object)) {
          transaction->cancel(object);
          seen.erase(object);
        }
        break;
      case 2:
        if (!created.contains(ObjectId{object.value + 100})) {
          object = ObjectId{object.value + 100};
          transaction->create(items, object);
          created.insert(object);
          seen[object] = {};
        }
        break;
      default:
        if (below(random, 2) == 0 && !created.empty())
          object = *std::next(created.begin(), below(random, static_cast<int64_t>(created.size())));
        is_here = seen.contains(object);
        auto write = [&](FieldId field, const Bytes& value) {
          Presence presence = transaction->write(items, object, field, value);
          BOOST_TEST_REQUIRE((presence == (is_here ? Presence::kHere : Presence::kGone)));
        };
        int64_t fields = 1 + below(random, 7);
        if (fields & 1) write(kName, str_value(item.name));
        if (fields & 2) write(kShelf, int_value(item.shelf));
        if (fields & 4) write(kPlace, int_value(item.place));
        if (!is_here) break;
        if (fields & 1) seen[object].name = item.name;
        if (fields & 2) seen[object].shelf = item.shelf;
        if (fields & 4) seen[object].place = item.place;
    }
  }

  void look_something_up() {
    Item like = random_item();
    IndexId index = below(random, 2) == 0 ? kByShelf : kByShelfAndPlace;
    bool is_type = below(random, 4) == 0;
    std::vector<ObjectId> expected, found;
    for (const auto& [object, item] : seen)
      if (is_type || item.key(index) == like.key(index)) expected.push_back(object);
    if (is_type) {
      transaction->lookup_type(items, SIZE_MAX, found);
    } else {
      transaction->lookup(items, index, like.key(index), SIZE_MAX, found);
    }
    BOOST_TEST_REQUIRE((found == expected));
  }

  void read_something() {
    ObjectId object{1 + below(random, 20) + 100 * below(random, 2)};
    auto at = seen.find(object);
    BytesView value;
    Presence presence = transaction->read(items, object, kShelf, value);
    BOOST_TEST_REQUIRE((presence == (at == seen.end() ? Presence::kGone : Presence::kHere)));
    if (at != seen.end()) BOOST_TEST_REQUIRE(int_of(value) == at->second.shelf);
    BOOST_TEST_REQUIRE((transaction->exists(items, object) == presence));
  }

  Random random;
  std::shared_ptr<Store> store = std::make_shared<Store>();
  Table& items = store->define(item_layout());
  Items snapshot, seen;
  std::set<ObjectId> created;
  std::optional<Transaction> transaction;
};

BOOST_AUTO_TEST_CASE(random_transactions_see_what_a_model_sees_and_their_batch_makes_it_true) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Checked checked(seed);
      for (int i = 0; i < 60; ++i) {
        checked.write_something();
        if (below(checked.random, 2) == 0) checked.look_something_up();
        if (below(checked.random, 3) == 0) checked.read_something();
      }
      Batch batch = checked.transaction->batch();
      BOOST_TEST(batch.records.empty() == !checked.transaction->has_writes());
      Records records;
      records.bytes = joined(batch.records);
      step(*checked.store, 3, records);
      BOOST_TEST_REQUIRE((items_at(checked.items, checked.store->published().step) == checked.seen));
      BOOST_TEST_REQUIRE((items_at(checked.items, batch.as_of == TransactionId{2} ? checked.transaction->version().step
                                                                                  : Step{}) == checked.snapshot));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
