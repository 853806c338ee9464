/// Unique indexes (D15): judged on what is there now and after the whole transaction, in groups as well.
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <set>

#include "core/commit/commit_engine.h"
#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

constexpr FieldId kBadge{0}, kDesk{1}, kSeat{2};

Bytes none_value() {
  Bytes out;
  put_none(out);
  return out;
}

/// office.Person has a unique badge (an int or None), and sits alone at a seat of a desk.
TypeLayout person_layout() {
  return {TypeId{1},
          "office",
          "Person",
          {field_layout("badge", "oneof(none,int)"), field_layout("desk", "int"), field_layout("seat", "int")},
          {{"badge", {kBadge}, true}, {"desk", {kDesk}}, {"place", {kDesk, kSeat}, true}}};
}

struct Person {
  std::optional<int64_t> badge;
  int64_t desk = 0;
  int64_t seat = 0;
  std::vector<Bytes> values() const {
    return {badge ? int_value(*badge) : none_value(), int_value(desk), int_value(seat)};
  }
};

struct OfficeFixture {
  OfficeFixture() {
    commit(created(1, {1, 1, 1}));
    commit(created(2, {2, 1, 2}));
    commit(created(3, {std::nullopt, 2, 1}));
  }

  static Records created(int64_t object, const Person& person) {
    return Records().row(Op::kCreate, TypeId{1}, object, person.values());
  }
  static Records badge(int64_t object, const Bytes& value) { return Records().update(object, kBadge, value); }
  static Records all_of(const std::vector<Records>& parts) {
    Records joined;
    for (const Records& part : parts) joined.bytes += part.bytes;
    return joined;
  }
  void submit(const Records& records, TransactionId as_of) {
    CommitRequest request;
    request.as_of = as_of;
    request.records = records.bytes;
    Status status = engine.validate(request, [](TypeId, ObjectId) { return true; });
    ODB_CHECK(status.is_ok(), status.message());
    engine.submit(std::move(request));
  }
  void submit(const Records& records) { submit(records, engine.last_tid()); }
  std::vector<DecidedCommit> run_group(bool was_persisted = true) {
    engine.start_group(64);
    std::vector<DecidedCommit> decided;
    engine.finish_group(was_persisted, [&](const DecidedCommit& commit) { decided.push_back(commit); });
    store->check();
    return decided;
  }
  DecidedCommit commit(const Records& records) {
    submit(records);
    return run_group().at(0);
  }

  std::shared_ptr<Store> store = std::make_shared<Store>();
  Table& people = store->define(person_layout());
  CommitEngine engine{*store, 1 << 20};
};

/// "accepted", "2 has (1, 2), 3 wants it", or "refused".
std::string told(const DecidedCommit& commit) {
  if (commit.verdict == Verdict::kAccepted) return "accepted";
  if (commit.verdict != Verdict::kUniqueViolation) return "refused";
  return std::to_string(commit.decisive.object.value) + " has " + commit.decisive.shown + ", " +
         std::to_string(commit.decisive.claimant.value) + " wants it";
}

std::vector<std::string> told(const std::vector<DecidedCommit>& commits) {
  std::vector<std::string> out;
  for (const DecidedCommit& commit : commits) out.push_back(told(commit));
  return out;
}

using Told = std::vector<std::string>;

BOOST_FIXTURE_TEST_SUITE(commit_engine_unique, OfficeFixture)

BOOST_AUTO_TEST_CASE(a_value_that_another_object_has_is_refused_with_its_name) {
  DecidedCommit refused = commit(badge(3, int_value(2)));
  BOOST_TEST(told(refused) == "2 has 2, 3 wants it");
  BOOST_TEST((refused.decisive.kind == DecisiveKey::Kind::kIndexKey));
  BOOST_TEST(refused.decisive.number == 0u);
  BOOST_TEST(refused.decisive.key == int_value(2));
  BOOST_TEST(refused.tid.value == 0u);
  BOOST_TEST(told(commit(created(4, {7, 1, 2}))) == "2 has (1, 2), 4 wants it");
  BOOST_TEST(told(commit(created(4, {7, 1, 3}))) == "accepted");
}

BOOST_AUTO_TEST_CASE(an_object_does_not_clash_with_itself) {
  BOOST_TEST(told(commit(badge(1, int_value(1)))) == "accepted");
  BOOST_TEST(told(commit(Records().update(TypeId{1}, 2, {{kDesk, int_value(1)}, {kSeat, int_value(2)}}))) ==
             "accepted");
}

BOOST_AUTO_TEST_CASE(values_are_swapped_and_handed_on_within_a_transaction) {
  BOOST_TEST(told(commit(all_of({badge(1, int_value(2)), badge(2, int_value(1))}))) == "accepted");
  BOOST_TEST(told(commit(all_of({created(4, {2, 5, 5}), Records().erase(1)}))) == "accepted");
  BOOST_TEST(told(commit(badge(3, int_value(2)))) == "4 has 2, 3 wants it");
}

BOOST_AUTO_TEST_CASE(none_never_clashes) {
  BOOST_TEST(told(commit(created(4, {std::nullopt, 5, 5}))) == "accepted");
  BOOST_TEST(told(commit(badge(1, none_value()))) == "accepted");
  BOOST_TEST(told(commit(badge(4, int_value(1)))) == "accepted");
}

BOOST_AUTO_TEST_CASE(two_objects_of_one_transaction_clash) {
  BOOST_TEST(told(commit(all_of({created(4, {9, 5, 5}), created(5, {9, 5, 6})}))) == "4 has 9, 5 wants it");
  BOOST_TEST(told(commit(created(4, {9, 5, 5}))) == "accepted");  // nothing was left of them
}

BOOST_AUTO_TEST_CASE(an_index_that_is_not_unique_does_not_care) {
  BOOST_TEST(told(commit(all_of({created(4, {4, 1, 8}), created(5, {5, 1, 9})}))) == "accepted");
}

BOOST_AUTO_TEST_CASE(earlier_members_of_a_group_count) {
  submit(created(4, {9, 5, 5}));
  submit(badge(3, int_value(9)));  // taken by the one before
  submit(badge(4, int_value(1)));  // 1 has it
  submit(badge(1, int_value(8)));  // now it is free
  submit(badge(4, int_value(1)));
  submit(badge(3, int_value(9)));  // and so is this
  submit(Records().erase(2));
  submit(badge(1, int_value(2)));
  BOOST_TEST(told(run_group()) == (Told{"accepted", "4 has 9, 3 wants it", "1 has 1, 4 wants it", "accepted",
                                        "accepted", "accepted", "accepted", "accepted"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_a_refused_group_claimed_is_free) {
  submit(created(4, {9, 5, 5}));
  BOOST_TEST(told(run_group(false).at(0)) == "refused");
  BOOST_TEST(told(commit(badge(3, int_value(9)))) == "accepted");
}

BOOST_AUTO_TEST_CASE(an_old_transaction_is_judged_on_what_is_there_now) {
  TransactionId old = engine.last_tid();
  commit(badge(3, int_value(9)));
  submit(badge(2, int_value(9)), old);
  BOOST_TEST(told(run_group().at(0)) == "3 has 9, 2 wants it");
  commit(badge(3, none_value()));
  submit(badge(2, int_value(9)), old);
  BOOST_TEST(told(run_group().at(0)) == "accepted");
}

BOOST_AUTO_TEST_CASE(a_conflict_is_told_before_a_clash) {
  auto covered = [&] {
    Staging nothing(people);
    store->begin();
    store->adopt(nothing);
    store->publish(engine.last_tid());
  };
  covered();
  Transaction t(store);
  std::vector<ObjectId> found;
  t.lookup(people, IndexId{0}, int_value(9), SIZE_MAX, found);
  t.write(people, ObjectId{2}, kSeat, int_value(2));
  t.write(people, ObjectId{2}, kBadge, int_value(9));
  Batch batch = t.batch();
  commit(badge(3, int_value(9)));
  CommitRequest request;
  request.as_of = batch.as_of;
  request.records = joined(batch.records);
  request.reads = joined(batch.reads);
  engine.submit(std::move(request));
  BOOST_TEST((run_group().at(0).verdict == Verdict::kConflict));
}

BOOST_AUTO_TEST_CASE(what_is_shown_of_a_value_is_short_and_one_line) {
  store->define({TypeId{2}, "office", "Room", {field_layout("name", "str")}, {{"name", {FieldId{0}}, true}}});
  auto named = [](int64_t object, std::string_view name) {
    return Records().row(Op::kCreate, TypeId{2}, object, {str_value(name)});
  };
  std::string long_name;
  for (int i = 0; i < 100; ++i) long_name += "\xc3\xbc";  // an u with two dots
  BOOST_TEST(told(commit(all_of({named(10, "a\nb"), named(11, "a\nb")}))) == "10 has 'a?b', 11 wants it");
  std::string shown = commit(all_of({named(10, long_name), named(11, long_name)})).decisive.shown;
  BOOST_TEST(shown.size() <= 103u);
  BOOST_TEST(is_valid_utf8(shown));
}

// ---- against a simple judge

struct Judge {
  std::map<int64_t, Person> people;

  bool is_unique() const {
    std::set<int64_t> badges;
    std::set<std::pair<int64_t, int64_t>> places;
    for (const auto& [object, person] : people) {
      if (person.badge && !badges.insert(*person.badge).second) return false;
      if (!places.emplace(person.desk, person.seat).second) return false;
    }
    return true;
  }
};

BOOST_AUTO_TEST_CASE(random_transactions_are_accepted_exactly_when_their_end_is_unique) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      OfficeFixture f;
      Judge judge{{{1, {1, 1, 1}}, {2, {2, 1, 2}}, {3, {std::nullopt, 2, 1}}}};
      int64_t next_identity = 10;
      int accepted = 0, refused = 0;
      for (int round = 0; round < 60; ++round) {
        Judge planned = judge;
        std::vector<bool> expected;
        for (int64_t members = 1 + below(random, 5); members > 0; --members) {
          Judge after = planned;
          Records records;
          std::set<int64_t> written;
          for (int64_t writes = 1 + below(random, 3); writes > 0; --writes) {
            Person person{below(random, 4) == 0 ? std::nullopt : std::optional(below(random, 6)), below(random, 3),
                          below(random, 3)};
            auto at = after.people.begin();
            std::advance(at, below(random, static_cast<int64_t>(after.people.size()) + 1));
            if (at == after.people.end() || written.contains(at->first)) {
              written.insert(next_identity);
              after.people[next_identity] = person;
              records.bytes += created(next_identity++, person).bytes;
            } else if (written.insert(at->first); below(random, 3) == 0 && after.people.size() > 1) {
              records.erase(at->first, TypeId{1});
              after.people.erase(at);
            } else {
              std::vector<Bytes> values = person.values();
              records.update(TypeId{1}, at->first, {{kBadge, values[0]}, {kDesk, values[1]}, {kSeat, values[2]}});
              at->second = person;
            }
          }
          f.submit(records);
          expected.push_back(after.is_unique());
          if (expected.back()) planned = after;
        }
        bool was_persisted = below(random, 4) > 0;
        std::vector<DecidedCommit> decided = f.run_group(was_persisted);
        for (size_t i = 0; was_persisted && i < decided.size(); ++i) {
          BOOST_TEST_REQUIRE((decided[i].verdict == Verdict::kAccepted) == expected[i], told(decided[i]));
          ++(expected[i] ? accepted : refused);
        }
        if (was_persisted) judge = planned;
      }
      BOOST_TEST(accepted > 10);
      BOOST_TEST(refused > 10);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
