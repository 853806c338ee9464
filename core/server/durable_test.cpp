/// A server whose store outlives it: what the store is given, and what a start makes of it.
#include "core/server/durable.h"

#include <boost/test/unit_test.hpp>

#include "core/server/server_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

/// What a store keeps, by the rules of durable.h.
struct Kept {
  TransactionId last;
  std::map<std::string, Bytes> facts;
  std::map<ObjectId, std::pair<TypeId, Bytes>> rows;
  std::vector<DurableCommit> commits;

  void take(const DurableGroup& group) {
    ODB_CHECK(group.previous == last, group.previous.value, last.value);
    last = group.last;
    for (const auto& [name, value] : group.facts) facts[name] = value;
    for (const DurableRow& row : group.rows) {
      if (row.row) {
        rows[row.object] = {row.type, *row.row};
      } else {
        ODB_CHECK(rows.erase(row.object) <= 1);
      }
    }
    commits.insert(commits.end(), group.commits.begin(), group.commits.end());
  }
  DurableState state() const { return {Bytes(16, 'h'), last, facts}; }
  std::vector<DurableRow> all() const {
    std::vector<DurableRow> out;
    for (const auto& [object, row] : rows) out.push_back({row.first, object, row.second});
    return out;
  }
};

struct DurableFixture : ServerFixture {
  explicit DurableFixture(const Kept& found = {}) : kept(found) {
    Status status = core.restore(kept.state());
    if (status.is_ok()) status = core.load(kept.all());
    ODB_CHECK(status.is_ok(), status.message());
    core.loaded();
  }
  /// Carries out what waits, as the shell does.
  void work(bool was_persisted = true) {
    while (core.start_group()) {
      DurableGroup group = core.durable_group();
      groups.push_back(group);
      if (was_persisted && !group.is_empty()) kept.take(group);
      core.finish_group(was_persisted);
      if (!was_persisted) return;
    }
  }
  ConnectionId enter() {
    ConnectionId id = connect();
    say(id, Hello{1, 1, "memory", 0});
    say(id, Auth{kToken});
    work();
    for (const KeptFrame& frame : frames(id))
      if (frame.is<Welcome>()) blocks[id] = frame.as<Welcome>().identities_begin.value;
    return id;
  }
  ConnectionId enter_shop() {
    ConnectionId id = enter();
    TypeDefinition item{"Item",
                        {{"name", "str", {}}, {"shelf", "int", {}}, {"place", "int", {}}},
                        {{"shelf", {"shelf"}}, {"spot", {"shelf", "place"}}}};
    say(id, DefineSchema{RequestId{1}, {"shop", {item}}});
    work();
    BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
    return id;
  }
  int64_t own_object(ConnectionId id, int64_t number) { return blocks.at(id) + 64 + number; }

  Kept kept;
  std::vector<DurableGroup> groups;
  std::map<ConnectionId, int64_t> blocks;
};

BOOST_FIXTURE_TEST_SUITE(durable, DurableFixture)

BOOST_AUTO_TEST_CASE(a_definition_is_answered_when_it_is_kept) {
  ConnectionId id = enter();
  say(id, DefineSchema{RequestId{1}, {"shop", {{"Item", {{"name", "str", {}}}, {}}}}});
  BOOST_TEST(heard(id).empty());
  work();
  BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
  BOOST_TEST(kept.facts.contains("catalogue"));
  say(id, DefineSchema{RequestId{2}, {"shop", {{"Item", {{"name", "str", {}}}, {}}}}});
  BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));  // nothing new, so at once
}

BOOST_AUTO_TEST_CASE(who_comes_while_the_store_is_away_gets_in_and_reads) {
  ConnectionId id = enter_shop();
  send_commit(id, Records().create(own_object(id, 0), {"cup", 4, 1}));
  work();
  send_commit(id, Records().create(own_object(id, 1), {"jug", 4, 2}));
  BOOST_TEST_REQUIRE(core.start_group());
  kept.take(core.durable_group());  // and no answer of the store
  ConnectionId late = connect();
  say(late, Hello{1, 1, "memory", 0});
  say(late, Auth{kToken});
  say(late, DefineSchema{RequestId{1}, {"shop", {{"Item", {{"name", "str", {}}}, {}}}}});
  subscribe(late);
  stream_all();
  BOOST_TEST((heard(late) == Lines{"ServerHello", "Welcome", "SchemaMapping",
                                   "Piece 2: whole 1:" + std::to_string(own_object(id, 0)), "Complete 2 through 1"}));
  say(late, Flush{RequestId{3}});  // behind what is in the store
  say(late, DefineSchema{RequestId{4}, {"more", {{"Thing", {{"x", "int", {}}}, {}}}}});
  BOOST_TEST(heard(late).empty());
  core.finish_group(true);
  work();
  BOOST_TEST((heard(late) == Lines{"Section 2: create 1:" + std::to_string(own_object(id, 1)), "Flushed 3 through 2",
                                   "SchemaMapping"}));
}

BOOST_AUTO_TEST_CASE(nobody_is_given_numbers_that_the_next_start_may_give_again) {
  enter();
  work();
  std::vector<ConnectionId> all;
  for (int i = 0; i < 3000; ++i) {
    ConnectionId id = connect();
    say(id, Hello{1, 1, "memory", 0});
    say(id, Auth{kToken});
    all.push_back(id);
  }
  std::optional<Reservations> reserved = decode_reservations(kept.facts.at("reservations"));
  int64_t welcome = 0;
  for (ConnectionId id : all) {
    for (const KeptFrame& frame : frames(id)) {
      if (!frame.is<Welcome>()) continue;
      ++welcome;
      BOOST_TEST_REQUIRE(frame.as<Welcome>().identities_begin.value / kBlock <= reserved->blocks);
      BOOST_TEST_REQUIRE(frame.as<Welcome>().connection.value <= reserved->identities);
    }
  }
  BOOST_TEST(welcome > 500);
  BOOST_TEST(welcome < 3000);
  work();  // the others come in with a write of the store
  for (ConnectionId id : all)
    for (const KeptFrame& frame : frames(id)) welcome += frame.is<Welcome>();
  BOOST_TEST(welcome == 3000);
}

BOOST_AUTO_TEST_CASE(a_group_holds_each_object_once_as_it_is_in_the_end) {
  ConnectionId one = enter_shop(), two = enter_shop();
  int64_t cup = own_object(one, 0), jug = own_object(two, 0), pan = own_object(two, 1);
  groups.clear();
  send_commit(one, Records().create(cup, {"cup", 1, 1}));
  send_commit(two, Records().create(jug, {"jug", 1, 1}).create(pan, {"pan", 1, 1}));
  send_commit(one, Records().update(cup, kShelf, int_value(7)));
  send_commit(two, Records().erase(pan));
  work();
  BOOST_TEST_REQUIRE(groups.size() == 1u);
  const DurableGroup& group = groups[0];
  BOOST_TEST_REQUIRE(group.rows.size() == 3u);
  BOOST_TEST(group.rows[0].object.value == cup);
  BOOST_TEST(group.rows[0].row.has_value());
  BOOST_TEST(!group.rows[2].row.has_value());
  BOOST_TEST(group.last.value == group.previous.value + 4);
  BOOST_TEST(group.commits.size() == 4u);
  BOOST_TEST(group.commits[2].seq.value == 2u);
  BOOST_TEST(kept.rows.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_start_finds_what_was_kept_and_goes_on_above_it) {
  ConnectionId id = enter_shop();
  int64_t cup = own_object(id, 0);
  send_commit(id, Records().create(cup, {"cup", 4, 1}).create(cup + 1, {"jug", 4, 2}));
  work();
  send_commit(id, Records().update(cup, kPlace, int_value(9)));
  work();
  Items before = now_in_store();
  uint64_t last = core.store().published().tid.value;

  DurableFixture next(kept);
  BOOST_TEST((next.now_in_store() == before));
  BOOST_TEST(next.core.store().published().tid.value > last);  // D12
  next.core.check();
  ConnectionId other = next.enter_shop();
  BOOST_TEST(next.blocks[other] > blocks[id]);
  next.send_commit(other, Records().update(cup, kPlace, int_value(10)));
  next.work();
  BOOST_TEST(next.heard(other).back().starts_with("CommitResult 1 accepted"));
  BOOST_TEST(next.now_in_store()[ObjectId{cup}].place == 10);
}

BOOST_AUTO_TEST_CASE(a_refused_group_has_not_happened_and_its_facts_come_again) {
  ConnectionId id = enter_shop();
  int64_t cup = own_object(id, 0);
  send_commit(id, Records().create(cup, {"cup", 4, 1}));
  say(id, DefineSchema{RequestId{2}, {"more", {{"Thing", {{"x", "int", {}}}, {}}}}});
  work(false);
  BOOST_TEST((heard(id) == Lines{"CommitResult 1 server error through 0", "Refused 2"}));
  BOOST_TEST(now_in_store().empty());
  BOOST_TEST(!core.start_group());  // not in a busy loop
  core.tick(now);
  work();
  say(id, DefineSchema{RequestId{3}, {"more", {{"Thing", {{"x", "int", {}}}, {}}}}});
  BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
  DurableFixture next(kept);
  BOOST_TEST(next.core.store().find_table("more.Thing") != nullptr);
  BOOST_TEST(next.now_in_store().empty());
}

BOOST_AUTO_TEST_CASE(a_full_store_keeps_nobody_waiting) {
  ConnectionId id = connect();  // before anything is reserved
  say(id, Hello{1, 1, "memory", 0});
  say(id, Auth{kToken});
  work(false);
  BOOST_TEST((heard(id) == Lines{"ServerHello", "ServerGoodbye server"}));
  core.tick(now);
  work();
  ConnectionId other = enter();
  core.tick(now);
  work();
  say(other, DefineSchema{RequestId{2}, {"more", {{"Thing", {{"x", "int", {}}}, {}}}}});
  say(other, Flush{RequestId{3}});
  work(false);
  BOOST_TEST((heard(other) == Lines{"Refused 2", "Flushed 3 through 0"}));
}

BOOST_AUTO_TEST_CASE(connection_objects_are_not_kept_and_their_numbers_do_not_come_back) {
  ConnectionId id = enter();
  say(id, DefineSchema{RequestId{1}, {"core", {{"Connection", {{"heartbeats_suspended", "bool", {}}}, {}}}}});
  work();
  BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
  groups.clear();
  ConnectionId other = enter();
  core.disconnected(other);
  work();
  for (const DurableGroup& group : groups) BOOST_TEST(group.is_empty());
  BOOST_TEST(kept.rows.empty());
  const Table& first = *core.store().find_table("core.Connection");
  BOOST_TEST(first.object_count() == 1u);

  DurableFixture next(kept);
  ConnectionId late = next.enter();
  const Table& second = *next.core.store().find_table("core.Connection");
  BOOST_TEST(second.object_count() == 1u);
  BOOST_TEST((first.find(ObjectId{1}, kLatest) != nullptr));
  BOOST_TEST((second.find(ObjectId{1}, kLatest) == nullptr));
  next.core.disconnected(late);
}

BOOST_AUTO_TEST_CASE(a_snapshot_from_before_the_start_is_too_old) {  // D12, C2
  ConnectionId id = enter_shop();
  send_commit(id, Records().create(own_object(id, 0), {"cup", 4, 1}));
  work();
  DurableFixture next(kept);
  ConnectionId other = next.enter_shop();
  Bytes read;
  ReadSet reads;
  reads.add_type(kItem);
  std::vector<Bytes> parts;
  reads.encode(parts, 1 << 20);
  next.say(other, CommitPart{CommitSeq{1}, Records().create(next.own_object(other, 0), {"x", 1, 1}).bytes, parts[0]});
  next.say(other, CommitEnd{CommitSeq{1}, kept.last, false});
  next.work();
  BOOST_TEST(next.heard(other).back().starts_with("CommitResult 1 too old"));
}

BOOST_AUTO_TEST_CASE(what_is_no_state_is_refused_with_what_is_wrong) {
  ConnectionId id = enter_shop();
  int64_t cup = own_object(id, 0);
  send_commit(id, Records().create(cup, {"cup", 4, 1}));
  work();
  auto refused = [](const Kept& kept, const std::vector<DurableRow>& rows) {
    ServerCore core(options());
    Status status = core.restore(kept.state());
    if (status.is_ok()) status = core.load(rows);
    return status.code() == Code::kServer ? status.message() : std::string("accepted");
  };
  BOOST_TEST(refused(kept, kept.all()) == "accepted");
  Kept torn = kept;
  torn.facts["catalogue"].pop_back();
  BOOST_TEST(refused(torn, {}).starts_with("the store is damaged: type 1 of its catalogue"));
  torn = kept;
  torn.facts["reservations"] += 'x';
  BOOST_TEST(refused(torn, {}) == "the store is damaged: its reservations are none");
  torn = kept;
  torn.last = TransactionId{uint64_t{1} << 40};
  BOOST_TEST(refused(torn, {}).ends_with("a transaction that was never reserved"));
  for (const Bytes& row : {Bytes(), Bytes("\x01", 1), kept.all()[0].row->substr(1), *kept.all()[0].row + "x"})
    BOOST_TEST(refused(kept, {{kItem, ObjectId{cup}, row}}).ends_with("is no row of its type"));
  BOOST_TEST(refused(kept, {{TypeId{9}, ObjectId{cup}, kept.all()[0].row}}).ends_with("is no row of its type"));
  std::vector<DurableRow> twice = kept.all();
  twice.push_back(twice[0]);
  BOOST_TEST(refused(kept, twice) == "accepted");  // redis may give an object twice
  twice.back().row = Bytes(1, 3) + str_value("cup") + int_value(4) + int_value(2);
  BOOST_TEST(refused(kept, twice).ends_with("is there twice, with different values"));
}

BOOST_AUTO_TEST_CASE(random_histories_survive_restarts_at_every_moment) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      Kept store;
      Items expected;
      for (int start = 0; start < 4; ++start) {
        DurableFixture f(store);
        ConnectionId id = f.enter_shop();
        BOOST_TEST_REQUIRE((f.now_in_store() == expected));
        int64_t next = f.own_object(id, 0);
        for (int64_t groups = below(random, 12); groups > 0; --groups) {
          Items planned = expected;
          for (int64_t members = 1 + below(random, 3); members > 0; --members) {
            Records records;
            int64_t kind = planned.empty() ? 0 : below(random, 3);
            auto at = planned.begin();
            if (kind > 0) std::advance(at, below(random, static_cast<int64_t>(planned.size())));
            if (kind == 0) {
              planned[ObjectId{next}] = {"n", below(random, 4), below(random, 4)};
              records.create(next, planned[ObjectId{next}]);
              ++next;
            } else if (kind == 1) {
              at->second.shelf = below(random, 9);
              records.update(at->first.value, kShelf, int_value(at->second.shelf));
            } else {
              records.erase(at->first.value);
              planned.erase(at);
            }
            f.send_commit(id, records);
          }
          bool was_persisted = below(random, 4) > 0;
          f.work(was_persisted);
          if (was_persisted) expected = planned;
          BOOST_TEST_REQUIRE((f.now_in_store() == expected));
        }
        f.core.check();
        store = f.kept;
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
