/// What a store notes of its steps, and what is left of it when steps are merged.
#include "core/store/change_set.h"

#include <boost/test/unit_test.hpp>
#include <map>

#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct NotedFixture {
  Store store;
  Table& items = store.define(item_layout());
  ChangeSet changes;

  NotedFixture() {
    store.begin();
    store.cover_type(items);
    store.publish(TransactionId{1});
    store.record_changes(&changes);
  }

  /// "3.1=<bytes>", "3.exists", "-3.1" for a value that is gone
  std::vector<std::string> writes() const {
    std::vector<std::string> out;
    changes.each_write([&](const ChangeSet::Write& w) {
      std::string what = w.field == ChangeSet::kExistence ? "exists" : std::to_string(w.field.value);
      out.push_back((w.value.empty() ? "-" : "") + std::to_string(w.object.value) + "." + what);
    });
    return out;
  }
  /// "+0:3" for index 0 and object 3; * for the set of all
  std::vector<std::string> memberships() const {
    std::vector<std::string> out;
    changes.each_membership([&](const ChangeSet::Membership& m) {
      std::string index = m.index == ChangeSet::kTypeSet ? "*" : std::to_string(m.index.value);
      out.push_back((m.is_added ? "+" : "-") + index + ":" + std::to_string(m.object.value));
    });
    return out;
  }
};

using Lines = std::vector<std::string>;

BOOST_FIXTURE_TEST_SUITE(change_set, NotedFixture)

BOOST_AUTO_TEST_CASE(a_creation_writes_every_field_and_joins_every_index) {
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  BOOST_TEST((writes() == Lines{"1.exists", "1.0", "1.1", "1.2"}));
  BOOST_TEST((memberships() == Lines{"+0:1", "+1:1", "+*:1"}));
}

BOOST_AUTO_TEST_CASE(an_update_moves_between_index_keys) {
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  changes = {};
  step(store, 3, Records().update(1, kName, str_value("mug")));
  BOOST_TEST((writes() == Lines{"1.0"}));
  BOOST_TEST(memberships().empty());
  step(store, 4, Records().update(1, kPlace, int_value(2)));
  BOOST_TEST((memberships() == Lines{"-1:1", "+1:1"}));
}

BOOST_AUTO_TEST_CASE(a_deletion_takes_everything_away) {
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  changes = {};
  step(store, 3, Records().erase(1));
  BOOST_TEST((writes() == Lines{"-1.exists", "-1.0", "-1.1", "-1.2"}));
  BOOST_TEST((memberships() == Lines{"-0:1", "-1:1", "-*:1"}));
}

BOOST_AUTO_TEST_CASE(a_subscription_that_completes_changes_nothing) {
  Staging staging(items);
  Bytes bytes = Records().whole(7, {"pan", 5, 1}).bytes;
  RecordReader reader(bytes);
  Record record;
  BOOST_TEST(reader.next(record));
  staging.put(record);
  store.begin();
  store.adopt(staging);
  store.publish(TransactionId{2});
  BOOST_TEST(changes.count() == 0u);
  BOOST_TEST(items.find(ObjectId{7}, store.published().step) != nullptr);
}

BOOST_AUTO_TEST_CASE(what_is_not_asked_for_is_not_noted) {
  store.record_changes(nullptr);
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  BOOST_TEST(changes.count() == 0u);
}

BOOST_AUTO_TEST_CASE(merged_sets_have_the_last_change_of_every_key) {
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  changes.tid = TransactionId{2};
  for (uint64_t tid = 3; tid < 20; ++tid) {
    ChangeSet later;
    later.tid = TransactionId{tid};
    later.write(kItem, ObjectId{1}, kShelf, int_value(static_cast<int64_t>(tid)));
    changes.merge(std::move(later));
  }
  changes.compact();
  BOOST_TEST(changes.tid.value == 19u);
  BOOST_TEST((writes() == Lines{"1.exists", "1.0", "1.2", "1.1"}));
  changes.each_write([](const ChangeSet::Write& w) {
    if (w.field == kShelf) BOOST_TEST(w.value == int_value(19));
  });
}

BOOST_AUTO_TEST_CASE(merging_is_bounded_by_the_data_and_not_by_its_changes) {
  size_t largest = 0;
  for (int64_t round = 0; round < 20'000; ++round) {
    ChangeSet later;
    for (int64_t object = 1; object <= 5; ++object) {
      later.write(kItem, ObjectId{object}, kName, str_value(std::string(100, 'x')));
      later.join(kItem, kByShelf, Item{"", round % 3, 0}.key(kByShelf), ObjectId{object});
    }
    changes.merge(std::move(later));
    largest = std::max(largest, changes.bytes());
  }
  BOOST_TEST(largest < 256u << 10);
  changes.compact();
  BOOST_TEST(changes.count() == 5u + 15u);
}

BOOST_AUTO_TEST_CASE(a_table_knows_its_last_transaction) {
  BOOST_TEST(items.touched_at().value == 0u);
  step(store, 2, Records().create(1, {"cup", 4, 1}));
  BOOST_TEST(items.touched_at().value == 2u);
  store.advance(TransactionId{9});
  BOOST_TEST(items.touched_at().value == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
