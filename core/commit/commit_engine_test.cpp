/// Transactions against each other, by the textbook names of what must not happen, each with its moral first.
#include "core/commit/commit_engine.h"

#include <boost/test/unit_test.hpp>
#include <optional>

#include "core/codec/value.h"
#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

constexpr ObjectId kAlice{11}, kBob{12};

/// A server's store with its engine. Transactions are made against the store itself, as if everything were covered.
struct EngineFixture {
  explicit EngineFixture(size_t window_bytes = 1 << 20) : engine(*store, window_bytes) {
    store->begin();
    store->cover_type(items);
    store->publish(TransactionId{0});
    commit(Records().create(1, {"cup", 4, 1}).create(2, {"jug", 4, 2}).create(3, {"pan", 5, 1}));
  }

  static CommitRequest request(Bytes records, Bytes reads, TransactionId as_of, ObjectId committer = kAlice) {
    CommitRequest request;
    request.committer = committer;
    request.as_of = as_of;
    request.records = std::move(records);
    request.reads = std::move(reads);
    return request;
  }
  static CommitRequest request(const Transaction& t, ObjectId committer = kAlice) {
    Batch batch = t.batch();
    return request(joined(batch.records), joined(batch.reads), batch.as_of, committer);
  }
  Status validate(const CommitRequest& request) const {
    return engine.validate(request, [](TypeId, ObjectId) { return true; });
  }
  void submit(CommitRequest request) {
    Status status = validate(request);
    ODB_CHECK(status.is_ok(), status.message());
    engine.submit(std::move(request));
  }
  std::vector<DecidedCommit> run_group(bool was_persisted = true) {
    engine.start_group(64);
    std::vector<DecidedCommit> decided;
    engine.finish_group(was_persisted, [&](const DecidedCommit& commit) { decided.push_back(commit); });
    store->check();
    return decided;
  }
  DecidedCommit commit(const Transaction& t, ObjectId committer = kAlice) {
    submit(request(t, committer));
    return run_group().at(0);
  }
  DecidedCommit commit(const Records& blind_writes) {
    submit(request(blind_writes.bytes, {}, engine.last_tid()));
    return run_group().at(0);
  }
  Items now() const { return items_at(items, store->published().step); }
  static int64_t read(Transaction& t, const Table& table, int64_t object, FieldId field) {
    BytesView value;
    t.read(table, ObjectId{object}, field, value);
    return int_of(value);
  }
  int64_t read(Transaction& t, int64_t object, FieldId field) const { return read(t, items, object, field); }
  void write(Transaction& t, int64_t object, FieldId field, int64_t value) const {
    Presence presence = t.write(items, ObjectId{object}, field, int_value(value));
    ODB_CHECK(presence == Presence::kHere, object);
  }
  size_t count_on_shelf(Transaction& t, int64_t shelf) const {
    std::vector<ObjectId> found;
    t.lookup(items, kByShelf, Item{"", shelf, 0}.key(kByShelf), SIZE_MAX, found);
    return found.size();
  }
  void create(Transaction& t, int64_t object, const Item& item) const {
    t.create(items, ObjectId{object});
    t.write(items, ObjectId{object}, kName, str_value(item.name));
    t.write(items, ObjectId{object}, kShelf, int_value(item.shelf));
    t.write(items, ObjectId{object}, kPlace, int_value(item.place));
  }

  std::shared_ptr<Store> store = std::make_shared<Store>();
  Table& items = store->define(item_layout());
  CommitEngine engine;
};

bool is_accepted(const DecidedCommit& commit) { return commit.verdict == Verdict::kAccepted; }

/// "conflict on field 1:7.2 written at 5", and the like.
std::string told(const DecidedCommit& commit) {
  if (is_accepted(commit)) return "accepted";
  const DecisiveKey& key = commit.decisive;
  std::string out = commit.verdict == Verdict::kConflict        ? "conflict"
                    : commit.verdict == Verdict::kTooOld        ? "too old"
                    : commit.verdict == Verdict::kNoSuchObject  ? "no such object"
                    : commit.verdict == Verdict::kIdentityInUse ? "identity in use"
                                                                : "refused";
  std::string object = std::to_string(key.object.value), number = std::to_string(key.number);
  switch (key.kind) {
    case DecisiveKey::Kind::kNone: break;
    case DecisiveKey::Kind::kField: out += " on field " + object + "." + number; break;
    case DecisiveKey::Kind::kExistence: out += " on existence of " + object; break;
    case DecisiveKey::Kind::kIndexKey: out += " on index " + number; break;
    case DecisiveKey::Kind::kTypeSet: out += " on the set of type " + std::to_string(key.type.value); break;
  }
  return key.written_at.value == 0 ? out : out + " written at " + std::to_string(key.written_at.value);
}

BOOST_FIXTURE_TEST_SUITE(commit_engine, EngineFixture)

// Lost update: both read place, both write it. The second commit is refused, and told which key and by whom.
BOOST_AUTO_TEST_CASE(lost_update) {
  Transaction t1(store), t2(store);
  for (Transaction* t : {&t1, &t2}) write(*t, 1, kPlace, read(*t, 1, kPlace) + 1);
  BOOST_TEST(told(commit(t1, kBob)) == "accepted");
  DecidedCommit second = commit(t2);
  BOOST_TEST(told(second) == "conflict on field 1.2 written at 2");
  BOOST_TEST((second.decisive.won_by == kBob));
  BOOST_TEST(second.tid.value == 0u);
  BOOST_TEST(now()[ObjectId{1}].place == 2);
}

// Write skew: each reads both and writes the other one. They cannot both be right.
BOOST_AUTO_TEST_CASE(write_skew) {
  Transaction t1(store), t2(store);
  for (Transaction* t : {&t1, &t2}) read(*t, 1, kPlace), read(*t, 2, kPlace);
  write(t1, 1, kPlace, 100);
  write(t2, 2, kPlace, 200);
  BOOST_TEST(told(commit(t1)) == "accepted");
  BOOST_TEST(told(commit(t2)) == "conflict on field 1.2 written at 2");
}

// Phantom, entering: an object comes into a shelf that somebody counted.
BOOST_AUTO_TEST_CASE(phantom_that_enters_an_index_key) {
  Transaction counts(store), moves(store), creates(store);
  write(counts, 3, kPlace, static_cast<int64_t>(count_on_shelf(counts, 6)));
  create(creates, 50, {"new", 6, 0});
  BOOST_TEST(told(commit(creates)) == "accepted");
  BOOST_TEST(told(commit(counts)) == "conflict on index 0 written at 2");
  Transaction counts_again(store);
  write(counts_again, 3, kPlace, static_cast<int64_t>(count_on_shelf(counts_again, 6)));
  write(moves, 1, kShelf, 6);
  BOOST_TEST(told(commit(moves)) == "accepted");
  DecidedCommit refused = commit(counts_again);
  BOOST_TEST(told(refused) == "conflict on index 0 written at 3");
  BOOST_TEST(refused.decisive.key == (Item{"", 6, 0}.key(kByShelf)));
}

// Phantom, leaving: an object leaves a shelf that somebody counted, by a move or by its deletion.
BOOST_AUTO_TEST_CASE(phantom_that_leaves_an_index_key) {
  for (bool is_deletion : {false, true}) {
    Transaction counts(store), leaves(store);
    write(counts, 3, kPlace, static_cast<int64_t>(count_on_shelf(counts, 4)));
    is_deletion ? void(leaves.erase(items, ObjectId{1})) : write(leaves, 2, kShelf, 7);
    BOOST_TEST(told(commit(leaves)) == "accepted");
    BOOST_TEST(!is_accepted(commit(counts)));
  }
}

// Phantom in the set of a type: a creation or a deletion, and nothing else, changes what lookupAll said.
BOOST_AUTO_TEST_CASE(phantom_in_the_set_of_a_type) {
  for (int change = 0; change < 3; ++change) {
    Transaction counts(store), changes(store);
    std::vector<ObjectId> found;
    counts.lookup_type(items, SIZE_MAX, found);
    write(counts, 3, kPlace, static_cast<int64_t>(found.size()));
    if (change == 0) write(changes, 1, kShelf, 40);
    if (change == 1) create(changes, 50, {"new", 9, 9});
    if (change == 2) changes.erase(items, ObjectId{2});
    BOOST_TEST(told(commit(changes)) == "accepted");
    BOOST_TEST(is_accepted(commit(counts)) == (change == 0), change);
  }
}

// The absence of an object is read, too: whoever relied on it is refused when it appears.
BOOST_AUTO_TEST_CASE(phantom_object_by_identity) {
  Transaction relies(store), creates(store);
  BOOST_TEST((relies.exists(items, ObjectId{50}) == Presence::kGone));
  write(relies, 1, kPlace, 9);
  create(creates, 50, {"new", 9, 9});
  BOOST_TEST(told(commit(creates)) == "accepted");
  BOOST_TEST(told(commit(relies)) == "conflict on the set of type 1 written at 2");
}

// Blind writes: of two writers that read nothing the last one wins.
BOOST_AUTO_TEST_CASE(blind_writes_do_not_conflict) {
  Transaction t1(store), t2(store);
  t1.write(items, ObjectId{1}, kName, str_value("first"));
  t2.write(items, ObjectId{1}, kName, str_value("second"));
  BOOST_TEST(is_accepted(commit(t1)));
  BOOST_TEST(is_accepted(commit(t2)));
  BOOST_TEST(now()[ObjectId{1}].name == "second");
}

// D13: of an indexed field there are no blind writes.
BOOST_AUTO_TEST_CASE(writers_of_fields_that_share_an_index_conflict) {
  Transaction t1(store), t2(store);
  write(t1, 1, kShelf, 8);
  write(t2, 1, kPlace, 8);
  BOOST_TEST(is_accepted(commit(t1)));
  BOOST_TEST(told(commit(t2)) == "conflict on field 1.1 written at 2");
}

// Writers of different fields that no index joins leave each other alone.
BOOST_AUTO_TEST_CASE(writers_of_different_fields_do_not_conflict) {
  Transaction t1(store), t2(store);
  read(t1, 1, kShelf);
  write(t1, 1, kShelf, 8);
  t2.write(items, ObjectId{1}, kName, str_value("mug"));
  BOOST_TEST(is_accepted(commit(t1)));
  BOOST_TEST(is_accepted(commit(t2)));
  BOOST_TEST((now()[ObjectId{1}] == Item{"mug", 8, 1}));
}

// Creations never conflict with each other, into whatever index key they go.
BOOST_AUTO_TEST_CASE(creations_do_not_conflict) {
  Transaction t1(store), t2(store);
  create(t1, 50, {"a", 4, 4});
  create(t2, 51, {"b", 4, 4});
  BOOST_TEST(is_accepted(commit(t1)));
  BOOST_TEST(is_accepted(commit(t2)));
}

// Delete against read: whoever read a field relied on the object being there.
BOOST_AUTO_TEST_CASE(a_deletion_conflicts_with_every_reader_of_the_object) {
  Transaction reads_field(store), asks(store), deletes(store);
  read(reads_field, 1, kPlace);
  asks.exists(items, ObjectId{1});
  for (Transaction* t : {&reads_field, &asks}) write(*t, 3, kPlace, 5);
  deletes.erase(items, ObjectId{1});
  BOOST_TEST(is_accepted(commit(deletes)));
  for (Transaction* t : {&reads_field, &asks})
    BOOST_TEST(told(commit(*t)) == "conflict on existence of 1 written at 2");
}

// Delete against delete: the second one is refused.
BOOST_AUTO_TEST_CASE(two_deletions_of_one_object_conflict) {
  Transaction t1(store), t2(store);
  t1.erase(items, ObjectId{1});
  t2.erase(items, ObjectId{1});
  BOOST_TEST(is_accepted(commit(t1)));
  BOOST_TEST(told(commit(t2)) == "conflict on existence of 1 written at 2");
}

// A blind write to a field does not keep others from deleting the object.
BOOST_AUTO_TEST_CASE(a_write_of_an_unread_field_does_not_conflict_with_a_later_deletion) {
  Transaction writes(store), deletes(store);
  writes.write(items, ObjectId{1}, kName, str_value("mug"));
  deletes.erase(items, ObjectId{1});
  BOOST_TEST(is_accepted(commit(writes)));
  BOOST_TEST(is_accepted(commit(deletes)));
}

// Zombie: a blind write to an object that was deleted meanwhile must not leave a value behind (D13).
BOOST_AUTO_TEST_CASE(zombie_write_is_a_conflict) {
  Transaction writes(store), deletes(store);
  writes.write(items, ObjectId{1}, kName, str_value("zombie"));
  deletes.erase(items, ObjectId{1});
  BOOST_TEST(is_accepted(commit(deletes)));
  BOOST_TEST(told(commit(writes)) == "conflict on existence of 1 written at 2");
  BOOST_TEST(!now().contains(ObjectId{1}));
}

// A write to what was never there is no conflict: no retry would help.
BOOST_AUTO_TEST_CASE(a_write_to_an_object_that_never_was_is_an_error) {
  BOOST_TEST(told(commit(Records().update(77, kName, str_value("x")))) == "no such object on existence of 77");
  BOOST_TEST(told(commit(Records().erase(77))) == "no such object on existence of 77");
}

BOOST_AUTO_TEST_CASE(a_creation_with_an_identity_in_use_is_refused) {
  BOOST_TEST(told(commit(Records().create(1, {"twin", 1, 1}))) == "identity in use on existence of 1");
  BOOST_TEST(now()[ObjectId{1}].name == "cup");
}

BOOST_AUTO_TEST_CASE(a_refused_commit_takes_no_tid_and_a_later_one_the_next) {  // C3
  Transaction late(store);
  write(late, 1, kPlace, 5);
  BOOST_TEST(commit(Records().update(1, kPlace, int_value(3))).tid.value == 2u);
  BOOST_TEST(!is_accepted(commit(late)));
  BOOST_TEST(commit(Records().update(1, kPlace, int_value(4))).tid.value == 3u);
}

BOOST_AUTO_TEST_CASE(one_refused_write_refuses_the_whole_commit) {  // C5
  Items before = now();
  commit(Records().update(1, kName, str_value("x")).create(60, {"y", 1, 1}).update(77, kName, str_value("z")));
  BOOST_TEST((now() == before));
}

// ---- too old (C2)

struct SmallWindow : EngineFixture {
  SmallWindow() : EngineFixture(2000) {}
  void commit_much() {
    for (int64_t i = 0; i < 200; ++i) commit(Records().update(3, kName, str_value(std::to_string(i))));
  }
};

BOOST_FIXTURE_TEST_CASE(a_snapshot_behind_the_window_is_too_old_and_a_fresh_one_works, SmallWindow) {
  Transaction old(store);
  write(old, 1, kPlace, read(old, 1, kPlace) + 1);
  commit_much();
  BOOST_TEST(told(commit(old)) == "too old");
  Transaction fresh(store);
  write(fresh, 1, kPlace, read(fresh, 1, kPlace) + 1);
  BOOST_TEST(is_accepted(commit(fresh)));
}

BOOST_FIXTURE_TEST_CASE(blind_writes_are_never_too_old, SmallWindow) {
  Transaction old(store);
  old.write(items, ObjectId{1}, kName, str_value("blind"));
  commit_much();
  BOOST_TEST(is_accepted(commit(old)));
}

BOOST_FIXTURE_TEST_CASE(whether_an_object_was_deleted_before_the_window_cannot_be_told_so_it_is_too_old, SmallWindow) {
  Transaction old(store);
  old.write(items, ObjectId{1}, kName, str_value("zombie"));
  commit(Records().erase(1));
  commit_much();
  BOOST_TEST(told(commit(old)) == "too old on existence of 1");
}

// ---- groups (D11)

BOOST_AUTO_TEST_CASE(members_of_a_group_are_checked_against_the_members_before_them) {
  Transaction t1(store), t2(store), t3(store);
  for (Transaction* t : {&t1, &t2}) write(*t, 1, kPlace, read(*t, 1, kPlace) + 1);
  write(t3, 3, kPlace, 30);
  submit(request(t1, kBob));
  submit(request(t2));
  submit(request(t3));
  std::vector<DecidedCommit> decided = run_group();
  BOOST_TEST(told(decided[0]) == "accepted");
  BOOST_TEST(told(decided[1]) == "conflict on field 1.2 written at 2");
  BOOST_TEST((decided[1].decisive.won_by == kBob));
  BOOST_TEST(told(decided[2]) == "accepted");
  BOOST_TEST((decided[0].tid.value == 2u && decided[2].tid.value == 3u));
}

BOOST_AUTO_TEST_CASE(members_of_a_group_build_on_the_members_before_them) {
  submit(request(Records().create(50, {"new", 1, 1}).bytes, {}, engine.last_tid()));
  submit(request(Records().update(50, kShelf, int_value(2)).bytes, {}, engine.last_tid()));
  submit(request(Records().update(50, kPlace, int_value(3)).bytes, {}, engine.last_tid()));
  submit(request(Records().erase(1).bytes, {}, engine.last_tid()));
  submit(request(Records().update(1, kName, str_value("zombie")).bytes, {}, engine.last_tid()));
  submit(request(Records().create(1, {"again", 9, 9}).bytes, {}, engine.last_tid()));
  std::vector<DecidedCommit> decided = run_group();
  for (size_t i : {0u, 1u, 2u, 3u, 5u}) BOOST_TEST(told(decided[i]) == "accepted", i);
  BOOST_TEST(told(decided[4]) == "conflict on existence of 1 written at 5");
  BOOST_TEST((now()[ObjectId{50}] == Item{"new", 2, 3}));
  BOOST_TEST((now()[ObjectId{1}] == Item{"again", 9, 9}));
}

BOOST_AUTO_TEST_CASE(phantoms_within_a_group_are_found) {
  Transaction counts(store), moves(store);
  write(counts, 3, kPlace, static_cast<int64_t>(count_on_shelf(counts, 4)));
  write(moves, 1, kShelf, 5);
  submit(request(moves));
  submit(request(counts));
  std::vector<DecidedCommit> decided = run_group();
  BOOST_TEST(told(decided[1]) == "conflict on index 0 written at 2");
}

BOOST_AUTO_TEST_CASE(a_group_is_seen_by_nobody_before_it_is_persisted) {
  submit(request(Records().update(1, kPlace, int_value(9)).bytes, {}, engine.last_tid()));
  engine.start_group(64);
  BOOST_TEST(engine.is_in_flight());
  BOOST_TEST(now()[ObjectId{1}].place == 1);
  BOOST_TEST(engine.last_tid().value == 1u);
  engine.finish_group(true, [&](const DecidedCommit& commit) {
    BOOST_TEST((engine.last_tid() == commit.tid));  // C4: recorded, then announced
    BOOST_TEST(now()[ObjectId{1}].place == 9);
  });
  BOOST_TEST(!engine.is_in_flight());
}

BOOST_AUTO_TEST_CASE(what_comes_in_while_a_group_is_in_flight_waits_for_the_next_one) {
  submit(request(Records().update(1, kPlace, int_value(2)).bytes, {}, engine.last_tid()));
  engine.start_group(64);
  Transaction t(store);
  write(t, 1, kPlace, read(t, 1, kPlace) + 1);
  submit(request(t));
  BOOST_TEST(engine.waiting_count() == 1u);
  engine.finish_group(true, [](const DecidedCommit&) {});
  BOOST_TEST(told(run_group().at(0)) == "conflict on field 1.2 written at 2");
}

BOOST_AUTO_TEST_CASE(a_group_takes_no_more_than_it_may) {
  for (int64_t i = 0; i < 5; ++i)
    submit(request(Records().update(1, kPlace, int_value(i)).bytes, {}, engine.last_tid()));
  BOOST_TEST(engine.start_group(3).size() == 3u);
  engine.finish_group(true, [](const DecidedCommit&) {});
  BOOST_TEST(engine.waiting_count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_group_is_full_at_its_first_large_member) {
  auto sized = [&](size_t bytes) {
    return request(Records().update(1, kName, str_value(std::string(bytes, 'x'))).bytes, {}, engine.last_tid());
  };
  size_t pending = 0;
  for (size_t bytes : {size_t{10}, limits::kGroupBytesMax / 2, limits::kGroupBytesMax, size_t{10}, size_t{10}}) {
    submit(sized(bytes));
    pending += sized(bytes).bytes();
  }
  BOOST_TEST(engine.pending_bytes() == pending);
  BOOST_TEST(run_group().size() == 3u);
  BOOST_TEST(engine.pending_bytes() == 2 * sized(10).bytes());
  BOOST_TEST(run_group().size() == 2u);
  BOOST_TEST(engine.pending_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(a_group_that_the_store_refuses_leaves_nothing_behind) {
  Items before = now();
  Transaction kept(store);  // read before the refused group, committed after it
  write(kept, 1, kPlace, read(kept, 1, kPlace) + 1);
  count_on_shelf(kept, 6);
  Transaction conflicting(store);
  write(conflicting, 1, kPlace, 77);
  submit(request(Records().update(1, kPlace, int_value(9)).create(50, {"new", 6, 6}).erase(2).bytes, {},
                 engine.last_tid()));
  submit(request(conflicting));
  for (const DecidedCommit& commit : run_group(false)) {
    BOOST_TEST(told(commit) == "refused");
    BOOST_TEST(commit.tid.value == 0u);
  }
  BOOST_TEST((now() == before));
  BOOST_TEST(engine.last_tid().value == 1u);
  BOOST_TEST(told(commit(kept)) == "accepted");  // no conflict with what never happened
  BOOST_TEST(told(commit(Records().create(50, {"new", 1, 1}))) == "accepted");
}

// An index that is added while a group is in flight must not miss what that group does to its keys.
BOOST_AUTO_TEST_CASE(an_index_added_while_a_group_is_in_flight_misses_no_phantom) {
  Table& others = store->define(TypeLayout{TypeId{2}, "shop", "Other", {field_layout("size", "int")}, {}});
  store->begin();
  store->cover_type(others);
  store->publish(engine.last_tid());
  submit(request(Records().row(Op::kCreate, TypeId{2}, 70, {int_value(5)}).bytes, {}, engine.last_tid()));
  engine.start_group(64);
  store->define(TypeLayout{TypeId{2}, "shop", "Other", {field_layout("size", "int")}, {{"size", {FieldId{0}}}}});
  Transaction counts(store);
  std::vector<ObjectId> found;
  counts.lookup(others, IndexId{0}, int_value(5), SIZE_MAX, found);
  BOOST_TEST(found.empty());
  write(counts, 3, kPlace, 0);
  engine.finish_group(true, [](const DecidedCommit&) {});
  store->check();
  BOOST_TEST(told(commit(counts)) == "conflict on index 0 written at 2");
}

// One identity is one object, also when a peer claims it for two types in one group.
BOOST_AUTO_TEST_CASE(a_planned_object_of_one_type_is_not_taken_for_one_of_another_type) {
  store->define(TypeLayout{TypeId{2}, "shop", "Other", {field_layout("size", "int")}, {}});
  submit(request(Records().create(50, {"new", 1, 1}).bytes, {}, engine.last_tid()));
  submit(request(Records().update(TypeId{2}, 50, {{FieldId{0}, int_value(5)}}).bytes, {}, engine.last_tid()));
  std::vector<DecidedCommit> decided = run_group();
  BOOST_TEST(told(decided[0]) == "accepted");
  BOOST_TEST(told(decided[1]) == "no such object on existence of 50");
}

// ---- what is not a commit at all

BOOST_AUTO_TEST_CASE(commits_that_do_not_fit_the_catalogue_are_breaches_of_the_protocol) {
  Records good = Records().update(1, kPlace, int_value(5));
  Bytes read_field("\1\1\x81\1\1", 5);
  auto code = [&](const Records& records, const Bytes& reads = {}, uint64_t as_of = 1) {
    return validate(request(records.bytes, reads, TransactionId{as_of})).code();
  };
  Bytes mark(read_field), far_mark(read_field), far_index("\2\1\2\0", 4), other_type("\3\7", 2);
  mark.push_back(3);
  far_mark.push_back(4);
  BOOST_TEST((code(good, mark) == Code::kOk));
  for (const Bytes& reads : {far_mark, far_index, other_type, Bytes("\1", 1)})
    BOOST_TEST((code(good, reads) == Code::kProtocol));
  BOOST_TEST((code(good, {}, 2) == Code::kProtocol));  // as of the future
  Records cut = good;
  cut.bytes.pop_back();
  for (const Records& wrong :
       {Records(), cut, Records().whole(1, {"cup", 1, 1}), Records(good).update(1, kName, str_value("twice")),
        Records().update(1, kPlace, str_value("no int")), Records().update(1, FieldId{3}, int_value(5)),
        Records().update(TypeId{7}, 1, {{kName, str_value("x")}}), Records().erase(1, TypeId{0}),
        Records().row(Op::kCreate, kItem, 80, {"", "", "", int_value(1)})})
    BOOST_TEST((code(wrong) == Code::kProtocol));
}

BOOST_AUTO_TEST_CASE(a_creation_needs_an_identity_of_its_own_connection) {  // D13
  CommitRequest creates = request(Records().create(50, {"new", 1, 1}).bytes, {}, engine.last_tid());
  auto owns_49 = [](TypeId, ObjectId object) { return object == ObjectId{49}; };
  BOOST_TEST((engine.validate(creates, owns_49).code() == Code::kProtocol));
  CommitRequest updates = request(Records().update(1, kPlace, int_value(5)).bytes, {}, engine.last_tid());
  BOOST_TEST(engine.validate(updates, owns_49).is_ok());
}

// ---- random

/// Decides by definition: everything read must have been written last at or before as_of (C1), and every object that
/// is written or deleted must be there.
class Judge {
 public:
  explicit Judge(Items items) : items_(std::move(items)) {}

  bool would_accept(const CommitRequest& request) const {
    ReadsReader reads(request.reads);
    for (Read read; reads.next(read);) {
      for (const std::string& key : keys_of(read)) {
        auto at = last_write_.find(key);
        if (at != last_write_.end() && at->second > request.as_of) return false;
      }
    }
    RecordReader records(request.records);
    for (Record record; records.next(record);)
      if (items_.contains(record.object) == (record.op == Op::kCreate)) return false;
    return true;
  }

  void carry_out(const DecidedCommit& commit) {
    RecordReader records(commit.request.records);
    for (Record record; records.next(record);) {
      std::optional<Item> before, after;
      if (items_.contains(record.object)) before = items_[record.object];
      if (record.op != Op::kDelete) after = changed(before.value_or(Item{}), record);
      std::string object = std::to_string(record.object.value);
      if (record.op == Op::kUpdate) {
        for (const FieldValue& field : record.fields)
          wrote(object + "." + std::to_string(field.field.value), commit.tid);
      } else {
        wrote("type", commit.tid);
        wrote(object, commit.tid);
      }
      for (IndexId index : {kByShelf, kByShelfAndPlace}) {
        if (before && after && before->key(index) == after->key(index)) continue;
        if (before) wrote(std::to_string(index.value) + before->key(index), commit.tid);
        if (after) wrote(std::to_string(index.value) + after->key(index), commit.tid);
      }
      after ? void(items_[record.object] = *after) : void(items_.erase(record.object));
    }
  }
  const Items& items() const { return items_; }

 private:
  static Item changed(Item item, const Record& record) {
    for (const FieldValue& field : record.fields) {
      if (field.value.empty()) continue;
      if (field.field == kShelf) item.shelf = int_of(field.value);
      if (field.field == kPlace) item.place = int_of(field.value);
      if (field.field == kName) item.name = std::get<Text>(decode(field.value, Mode::kValue).value()).utf8;
    }
    return item;
  }
  static std::vector<std::string> keys_of(const Read& read) {
    if (read.kind == Read::Kind::kType) return {"type"};
    if (read.kind == Read::Kind::kIndexKey) return {std::to_string(read.index.value) + Bytes(read.key)};
    std::vector<std::string> keys{std::to_string(read.object.value)};
    for (uint32_t mark : read.marks)
      if (mark > 0) keys.push_back(keys[0] + "." + std::to_string(mark - 1));
    return keys;
  }
  void wrote(const std::string& key, TransactionId tid) { last_write_[key] = tid; }

  Items items_;
  std::map<std::string, TransactionId> last_write_;
};

/// Reads and writes a few things at random, deciding nothing.
void act_at_random(Random& random, const EngineFixture& f, Transaction& t, int64_t& next_identity) {
  auto some_object = [&] { return ObjectId{1 + below(random, 12)}; };
  Item item{"x", below(random, 4), below(random, 3)};
  BytesView value;
  std::vector<ObjectId> found;
  for (int64_t n = 1 + below(random, 4); n > 0; --n) {
    ObjectId object = some_object();
    switch (below(random, 8)) {
      case 0: t.read(f.items, object, FieldId{static_cast<uint32_t>(below(random, 3))}, value); break;
      case 1: t.lookup(f.items, kByShelf, item.key(kByShelf), SIZE_MAX, found); break;
      case 2: t.lookup(f.items, kByShelfAndPlace, item.key(kByShelfAndPlace), SIZE_MAX, found); break;
      case 3:
        if (below(random, 4) == 0) t.lookup_type(f.items, SIZE_MAX, found);
        t.exists(f.items, object);
        break;
      case 4: t.write(f.items, object, kName, str_value(std::to_string(below(random, 1000)))); break;
      case 5: t.write(f.items, object, kPlace, int_value(item.place)); break;
      case 6: t.write(f.items, object, kShelf, int_value(item.shelf)); break;
      case 7:
        if (below(random, 2) == 0) {
          t.erase(f.items, object);
        } else {
          f.create(t, next_identity++, item);
        }
    }
  }
}

BOOST_AUTO_TEST_CASE(random_commits_are_accepted_exactly_when_everything_they_read_is_current) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      EngineFixture f;
      Judge judge(f.now());
      int64_t next_identity = 4;
      int accepted = 0, refused = 0;
      for (int round = 0; round < 60; ++round) {
        std::vector<Transaction*> open;
        std::vector<std::unique_ptr<Transaction>> owned;
        for (int64_t n = 1 + below(random, 5); n > 0; --n) {
          owned.push_back(std::make_unique<Transaction>(f.store));
          act_at_random(random, f, *owned.back(), next_identity);
          if (owned.back()->has_writes()) open.push_back(owned.back().get());
        }
        bool is_grouped = below(random, 2) == 0, was_persisted = below(random, 4) > 0;
        for (size_t i = 0; i < open.size(); ++i) {
          f.submit(EngineFixture::request(*open[i]));
          if (is_grouped && i + 1 < open.size()) continue;
          for (const DecidedCommit& commit : f.run_group(was_persisted)) {
            bool is_expected = was_persisted && judge.would_accept(commit.request);
            BOOST_TEST_REQUIRE(is_accepted(commit) == is_expected, told(commit));
            if (is_expected) judge.carry_out(commit);
            ++(is_expected ? accepted : refused);
          }
        }
        BOOST_TEST_REQUIRE((f.now() == judge.items()));
      }
      BOOST_TEST(accepted > 20);
      BOOST_TEST(refused > 5);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
