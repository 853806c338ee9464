/// Views and transactions over a store: what they see, what they say they do not know, and what is recorded as read.
#include "core/view/view.h"

#include <boost/test/unit_test.hpp>

#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct ShopFixture {
  std::shared_ptr<Store> store = std::make_shared<Store>();
  Table& items = store->define(item_layout());

  ShopFixture() {
    store->begin();
    store->cover_type(items);
    store->publish(TransactionId{1});
    step(*store, 2, Records().create(1, {"cup", 4, 1}).create(2, {"jug", 4, 2}).create(3, {"pan", 5, 1}));
  }
  static Bytes shelf(int64_t number) { return Item{"", number, 0}.key(kByShelf); }
};

template <class AnyView>
std::vector<int64_t> lookup(AnyView& view, const Table& table, IndexId index, const Bytes& key,
                            size_t limit = SIZE_MAX) {
  std::vector<ObjectId> found;
  view.lookup(table, index, key, limit, found);
  std::vector<int64_t> out;
  for (ObjectId object : found) out.push_back(object.value);
  return out;
}

template <class AnyView>
std::vector<int64_t> lookup_type(AnyView& view, const Table& table, size_t limit = SIZE_MAX) {
  std::vector<ObjectId> found;
  view.lookup_type(table, limit, found);
  std::vector<int64_t> out;
  for (ObjectId object : found) out.push_back(object.value);
  return out;
}

using Ids = std::vector<int64_t>;

BOOST_FIXTURE_TEST_SUITE(view, ShopFixture)

// An identity is one object, of one type; a program may make a handle of it with another one.
BOOST_AUTO_TEST_CASE(own_writes_are_seen_in_their_own_type_only) {
  TypeLayout crate{TypeId{2}, "shop", "Crate", {field_layout("place", "int")}, {}};
  Table& crates = store->define(crate);
  store->begin();
  store->cover_type(crates);
  store->publish(TransactionId{3});
  Transaction t(store);
  t.create(items, ObjectId{9});
  t.write(items, ObjectId{9}, kName, str_value("lid"));
  t.write(items, ObjectId{1}, kName, str_value("mug"));
  for (ObjectId object : {ObjectId{9}, ObjectId{1}}) {
    BytesView value;
    BOOST_TEST((t.read(crates, object, FieldId{0}, value) == Presence::kGone));
    BOOST_TEST((t.exists(crates, object) == Presence::kGone));
    BOOST_TEST((t.write(crates, object, FieldId{0}, int_value(7)) == Presence::kGone));
    BOOST_TEST((t.erase(crates, object) == Presence::kGone));
    BOOST_TEST((t.read(items, object, kName, value) == Presence::kHere));
  }
  BOOST_TEST(t.write_count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_summary_counts_what_a_lookup_finds) {
  auto agrees = [&](auto& view) {
    Ids all = lookup_type(view, items), on_shelf = lookup(view, items, kByShelf, shelf(4));
    View::Summary of_all = view.summary_of_type(items), of_shelf = view.summary(items, kByShelf, shelf(4));
    BOOST_TEST(of_all.count == all.size());
    BOOST_TEST(of_all.last.value == (all.empty() ? 0 : all.back()));
    BOOST_TEST(of_shelf.count == on_shelf.size());
    BOOST_TEST(of_shelf.last.value == (on_shelf.empty() ? 0 : on_shelf.back()));
  };
  View view(store);
  agrees(view);
  Transaction transaction(store);
  agrees(transaction);
  transaction.write(items, ObjectId{3}, kShelf, int_value(4));
  transaction.erase(items, ObjectId{1});
  transaction.create(items, ObjectId{9});
  for (FieldId field : {kShelf, kPlace}) transaction.write(items, ObjectId{9}, field, int_value(4));
  agrees(transaction);
  for (int64_t object : {2, 3, 9}) transaction.erase(items, ObjectId{object});
  agrees(transaction);
  BOOST_TEST(told_reads(transaction).contains("key 1.0"));
  BOOST_TEST(told_reads(transaction).contains("type 1"));
}

BOOST_AUTO_TEST_CASE(a_view_keeps_its_version_while_others_commit) {  // V1
  View before(store);
  step(*store, 3, Records().update(1, kShelf, int_value(9)).erase(2));
  View after(store);
  BytesView value;
  BOOST_TEST((before.read(items, ObjectId{1}, kShelf, value) == Presence::kHere));
  BOOST_TEST(value == int_value(4));
  BOOST_TEST((after.read(items, ObjectId{1}, kShelf, value) == Presence::kHere));
  BOOST_TEST(value == int_value(9));
  BOOST_TEST((before.exists(items, ObjectId{2}) == Presence::kHere));
  BOOST_TEST((after.exists(items, ObjectId{2}) == Presence::kGone));
  BOOST_TEST((lookup(before, items, kByShelf, shelf(4)) == Ids{1, 2}));
  BOOST_TEST(lookup(after, items, kByShelf, shelf(4)).empty());
  BOOST_TEST((lookup_type(after, items) == Ids{1, 3}));
}

BOOST_AUTO_TEST_CASE(a_view_gives_its_pin_back) {
  Version version = View(store).version();
  step(*store, 3, Records().erase(1));
  BOOST_TEST((store->open_at(version.tid).status().code() == Code::kSnapshotTooOld));
}

BOOST_AUTO_TEST_CASE(lookups_stop_at_their_limit) {
  View view(store);
  BOOST_TEST((lookup(view, items, kByShelf, shelf(4), 1) == Ids{1}));
  BOOST_TEST((lookup_type(view, items, 2) == Ids{1, 2}));
  Transaction t(store);
  t.erase(items, ObjectId{1});
  BOOST_TEST((lookup(t, items, kByShelf, shelf(4), 1) == Ids{2}));
  BOOST_TEST((lookup_type(t, items, 1) == Ids{2}));
}

BOOST_AUTO_TEST_CASE(what_a_store_does_not_cover_is_never_said_to_be_absent) {  // D20
  Table& others = store->define(item_layout(TypeId{2}));
  View view(store);
  BytesView value;
  BOOST_TEST((view.exists(others, ObjectId{1}) == Presence::kNotCovered));
  BOOST_TEST((view.read(others, ObjectId{1}, kShelf, value) == Presence::kNotCovered));
  BOOST_TEST(!view.is_complete(others));
  Transaction t(store);
  BOOST_TEST((t.write(others, ObjectId{1}, kShelf, int_value(1)) == Presence::kNotCovered));
  BOOST_TEST((t.erase(others, ObjectId{1}) == Presence::kNotCovered));
  BOOST_TEST(!t.has_writes());
  BOOST_TEST(told_reads(t).empty());
}

BOOST_AUTO_TEST_CASE(own_writes_come_first_and_are_no_reads) {  // V3
  Transaction t(store);
  t.write(items, ObjectId{1}, kName, str_value("mug"));
  BytesView value;
  BOOST_TEST((t.read(items, ObjectId{1}, kName, value) == Presence::kHere));
  BOOST_TEST(value == str_value("mug"));
  BOOST_TEST(told_reads(t).empty());  // a blind write of a field that no index holds
  BOOST_TEST((t.read(items, ObjectId{1}, kShelf, value) == Presence::kHere));
  BOOST_TEST(value == int_value(4));
  BOOST_TEST((told_reads(t) == Told{"1:1.1"}));
}

BOOST_AUTO_TEST_CASE(reads_that_the_snapshot_answers_are_recorded) {
  Transaction t(store);
  BytesView value;
  t.read(items, ObjectId{1}, kName, value);
  t.exists(items, ObjectId{2});
  lookup(t, items, kByShelf, shelf(77));
  BOOST_TEST((told_reads(t) == Told{"1:1.0", "1:2 exists", "key 1.0"}));
  lookup_type(t, items);
  BOOST_TEST(told_reads(t).contains("type 1"));
}

BOOST_AUTO_TEST_CASE(the_absence_of_an_object_is_a_read_of_the_types_set) {  // D14
  BytesView value;
  Transaction reads(store), asks(store), writes(store), erases(store);
  BOOST_TEST((reads.read(items, ObjectId{9}, kName, value) == Presence::kGone));
  BOOST_TEST((asks.exists(items, ObjectId{9}) == Presence::kGone));
  BOOST_TEST((writes.write(items, ObjectId{9}, kName, str_value("x")) == Presence::kGone));
  BOOST_TEST((erases.erase(items, ObjectId{9}) == Presence::kGone));
  for (const Transaction* t : {&reads, &asks, &writes, &erases}) BOOST_TEST((told_reads(*t) == Told{"type 1"}));
}

BOOST_AUTO_TEST_CASE(writing_an_indexed_field_reads_the_fields_that_share_its_indexes) {  // D13
  Transaction t(store);
  t.write(items, ObjectId{1}, kPlace, int_value(8));
  BOOST_TEST((told_reads(t) == Told{"1:1.1", "1:1.2"}));
}

BOOST_AUTO_TEST_CASE(deleting_reads_existence) {
  Transaction t(store);
  BOOST_TEST((t.erase(items, ObjectId{1}) == Presence::kHere));
  BOOST_TEST((told_reads(t) == Told{"1:1 exists"}));
}

BOOST_AUTO_TEST_CASE(a_deleted_object_is_gone_for_its_transaction_and_cannot_be_written) {
  Transaction t(store);
  t.write(items, ObjectId{1}, kName, str_value("mug"));
  t.erase(items, ObjectId{1});
  BytesView value;
  BOOST_TEST((t.exists(items, ObjectId{1}) == Presence::kGone));
  BOOST_TEST((t.read(items, ObjectId{1}, kName, value) == Presence::kGone));
  BOOST_TEST((t.write(items, ObjectId{1}, kName, str_value("x")) == Presence::kGone));
  BOOST_TEST((t.erase(items, ObjectId{1}) == Presence::kGone));
  BOOST_TEST(joined(t.batch().records) == Records().erase(1).bytes);
}

BOOST_AUTO_TEST_CASE(a_created_object_reads_defaults_until_it_is_written_and_records_nothing) {
  Transaction t(store);
  t.create(items, ObjectId{50});
  BytesView value;
  BOOST_TEST((t.read(items, ObjectId{50}, kShelf, value) == Presence::kHere));
  BOOST_TEST(value == int_value(0));
  t.write(items, ObjectId{50}, kShelf, int_value(6));
  t.read(items, ObjectId{50}, kShelf, value);
  BOOST_TEST(value == int_value(6));
  BOOST_TEST((t.exists(items, ObjectId{50}) == Presence::kHere));
  BOOST_TEST(told_reads(t).empty());
  BOOST_TEST(joined(t.batch().records) == Records().row(Op::kCreate, kItem, 50, {"", int_value(6), ""}).bytes);
}

BOOST_AUTO_TEST_CASE(creating_and_deleting_in_one_transaction_leaves_no_write) {
  Transaction erased(store), cancelled(store);
  erased.create(items, ObjectId{50});
  erased.erase(items, ObjectId{50});
  cancelled.create(items, ObjectId{50});
  cancelled.cancel(ObjectId{50});
  for (Transaction* t : {&erased, &cancelled}) {
    BOOST_TEST(!t->has_writes());
    BOOST_TEST(t->batch().records.empty());
    BOOST_TEST((t->exists(items, ObjectId{50}) == Presence::kGone));
    BOOST_TEST((lookup_type(*t, items) == Ids{1, 2, 3}));
  }
}

BOOST_AUTO_TEST_CASE(lookups_see_the_transactions_own_writes) {
  Transaction t(store);
  t.write(items, ObjectId{3}, kShelf, int_value(4));
  t.write(items, ObjectId{1}, kShelf, int_value(6));
  t.create(items, ObjectId{50});
  t.write(items, ObjectId{50}, kShelf, int_value(4));
  t.erase(items, ObjectId{2});
  BOOST_TEST((lookup(t, items, kByShelf, shelf(4)) == Ids{3, 50}));
  BOOST_TEST((lookup(t, items, kByShelf, shelf(6)) == Ids{1}));
  BOOST_TEST((lookup_type(t, items) == Ids{1, 3, 50}));
}

BOOST_AUTO_TEST_CASE(a_write_behind_a_lookup_is_seen_by_the_next_lookup) {
  Transaction t(store);
  t.write(items, ObjectId{1}, kShelf, int_value(6));
  BOOST_TEST((lookup(t, items, kByShelf, shelf(6)) == Ids{1}));
  t.write(items, ObjectId{1}, kShelf, int_value(7));
  BOOST_TEST(lookup(t, items, kByShelf, shelf(6)).empty());
  BOOST_TEST((lookup(t, items, kByShelf, shelf(7)) == Ids{1}));
  t.erase(items, ObjectId{1});
  BOOST_TEST(lookup(t, items, kByShelf, shelf(7)).empty());
}

BOOST_AUTO_TEST_CASE(a_batch_says_which_version_was_read) {
  Transaction t(store);
  step(*store, 3, Records().update(1, kShelf, int_value(9)));
  BOOST_TEST(t.batch().as_of.value == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
