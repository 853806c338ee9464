/// Subscriptions by index key and by object: who is told what (D20 to D23), and core.Connection objects.
#include <boost/test/unit_test.hpp>

#include "core/server/server_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

struct Fixture : ServerFixture {
  void subscribe_to_shelf(ConnectionId id, int64_t shelf, uint64_t request = 2) {
    Bytes values = int_value(shelf);
    say(id, Subscribe{RequestId{request}, kItem, Scope::kIndexKey, kByShelf, values});
    stream_all();
  }
  void subscribe_to_objects(ConnectionId id, std::vector<int64_t> objects, uint64_t request = 2) {
    Subscribe subscribe{RequestId{request}, kItem, Scope::kObjects};
    for (int64_t object : objects) subscribe.objects.push_back(ObjectId{object});
    say(id, subscribe);
    stream_all();
  }
  ConnectionId writer = join_shop(), reader = join_shop();
  int64_t cup = own(writer, 64), jug = own(writer, 65), pan = own(writer, 66);

  Fixture() {
    commit(writer, Records().create(cup, {"cup", 4, 1}).create(jug, {"jug", 5, 1}).create(pan, {"pan", 4, 2}));
    frames(writer);
  }
  std::string named(const std::string& text) const {  // objects by their names
    std::string out = text;
    for (auto [object, name] : {std::pair{cup, "cup"}, {jug, "jug"}, {pan, "pan"}}) {
      std::string number = "1:" + std::to_string(object);
      for (size_t at; (at = out.find(number)) != std::string::npos;) out.replace(at, number.size(), name);
    }
    return out;
  }
  Lines heard_by(ConnectionId id) {
    Lines lines = heard(id);
    for (std::string& line : lines) line = named(line);
    return lines;
  }
};

BOOST_FIXTURE_TEST_SUITE(subscriptions, Fixture)

BOOST_AUTO_TEST_CASE(a_key_gives_the_objects_that_have_it) {
  subscribe_to_shelf(reader, 4);
  BOOST_TEST((heard_by(reader) == Lines{"Piece 2: whole cup, whole pan", "Complete 2 through 1"}));
}

BOOST_AUTO_TEST_CASE(a_key_that_nobody_has_gives_nothing_and_is_complete) {
  subscribe_to_shelf(reader, 9);
  BOOST_TEST((heard_by(reader) == Lines{"Complete 2 through 1"}));
}

BOOST_AUTO_TEST_CASE(an_object_that_gets_the_key_comes_in_whole_and_stays_when_it_loses_it) {  // D23
  subscribe_to_shelf(reader, 4);
  frames(reader);
  commit(writer, Records().update(jug, kPlace, int_value(9)));
  BOOST_TEST(heard_by(reader).empty());
  commit(writer, Records().update(jug, kShelf, int_value(4)));
  BOOST_TEST((heard_by(reader) == Lines{"Section 3: whole jug"}));
  commit(writer, Records().update(jug, kShelf, int_value(5)));
  commit(writer, Records().update(jug, kPlace, int_value(3)).update(cup, kPlace, int_value(3)));
  BOOST_TEST((heard_by(reader) == Lines{"Section 4: update jug", "Section 5: update jug, update cup"}));
  commit(writer, Records().update(jug, kShelf, int_value(4)));
  BOOST_TEST((heard_by(reader) == Lines{"Section 6: update jug"}));
}

BOOST_AUTO_TEST_CASE(creations_and_deletions_of_others_are_told_by_key) {
  subscribe_to_shelf(reader, 4);
  frames(reader);
  int64_t lid = own(writer, 67), rag = own(writer, 68);
  commit(writer, Records().create(lid, {"lid", 4, 7}).create(rag, {"rag", 6, 7}).erase(cup).erase(jug));
  Lines lines = heard_by(reader);
  BOOST_TEST_REQUIRE(lines.size() == 1u);
  BOOST_TEST(lines[0] == "Section 2: whole 1:" + std::to_string(lid) + ", delete cup");
}

BOOST_AUTO_TEST_CASE(objects_are_told_of_from_their_rows_on_also_those_that_come_later) {
  int64_t lid = own(writer, 67);
  subscribe_to_objects(reader, {jug, lid});
  BOOST_TEST((heard_by(reader) == Lines{"Piece 2: whole jug", "Complete 2 through 1"}));
  commit(writer, Records().create(lid, {"lid", 1, 1}).update(cup, kPlace, int_value(3)));
  commit(writer, Records().update(jug, kPlace, int_value(3)).update(lid, kPlace, int_value(3)));
  commit(writer, Records().erase(lid));
  Lines lines = heard_by(reader);
  BOOST_TEST_REQUIRE(lines.size() == 3u);
  BOOST_TEST(lines[0] == "Section 2: create 1:" + std::to_string(lid));
  BOOST_TEST(lines[1] == "Section 3: update jug, update 1:" + std::to_string(lid));
  BOOST_TEST(lines[2] == "Section 4: delete 1:" + std::to_string(lid));
}

BOOST_AUTO_TEST_CASE(the_type_takes_over_what_was_covered_in_part) {
  subscribe_to_shelf(reader, 4);
  subscribe_to_objects(reader, {jug}, 3);
  subscribe(reader, 4);
  stream_all();
  Lines lines = heard_by(reader);
  BOOST_TEST((lines == Lines{"Piece 2: whole cup, whole pan", "Complete 2 through 1", "Piece 3: whole jug",
                             "Complete 3 through 1", "Complete 4 through 1"}));
  subscribe_to_shelf(reader, 5, 5);
  BOOST_TEST((heard_by(reader) == Lines{"Complete 5 through 1"}));
  commit(writer, Records().update(jug, kShelf, int_value(4)).update(cup, kShelf, int_value(1)));
  BOOST_TEST((heard_by(reader) == Lines{"Section 2: update jug, update cup"}));
}

// While the type is on its way an object can get a key that is covered already: it must be seen with the key at once.
BOOST_AUTO_TEST_CASE(an_object_that_gets_a_key_while_the_type_streams_comes_in_whole) {  // S1
  for (int64_t i = 0; i < 8; ++i)
    commit(writer, Records().create(own(writer, 70 + i), {std::string(20'000, 'x'), 5, i}));
  subscribe_to_shelf(reader, 4);
  frames(reader);
  subscribe(reader, 3);
  core.stream();  // the first piece of several
  frames(reader);
  int64_t last = own(writer, 77);
  commit(writer, Records().update(last, kShelf, int_value(4)));
  BOOST_TEST((heard(reader) == Lines{"Section 10: whole 1:" + std::to_string(last)}));
  commit(writer, Records().update(last, kPlace, int_value(1)));
  BOOST_TEST((heard(reader) == Lines{"Section 11: update 1:" + std::to_string(last)}));
}

BOOST_AUTO_TEST_CASE(own_creations_are_told_once_whatever_else_covers_them) {
  subscribe_to_shelf(writer, 4);
  subscribe_to_objects(writer, {cup, jug}, 3);
  frames(writer);
  commit(writer, Records().update(cup, kPlace, int_value(3)).update(jug, kShelf, int_value(4)));
  BOOST_TEST((heard_by(writer)[0] == "Section 2: update cup, update jug"));
}

// A handle that a program made of another object's identity: there is no such object, whatever becomes of the other.
BOOST_AUTO_TEST_CASE(an_identity_of_another_type_is_an_object_that_does_not_exist) {
  TypeDefinition crate{"Crate", {{"place", "int", {}}}, {}};
  say(reader, DefineSchema{RequestId{5}, {"yard", {crate}}});
  frames(reader);
  say(reader, Subscribe{RequestId{2}, TypeId{2}, Scope::kObjects, {}, {}, {ObjectId{cup}, ObjectId{jug}}});
  stream_all();
  BOOST_TEST((heard_by(reader) == Lines{"Complete 2 through 1"}));
  subscribe_to_objects(reader, {jug}, 3);
  frames(reader);
  commit(writer, Records().update(cup, kPlace, int_value(3)).update(jug, kPlace, int_value(3)));
  commit(writer, Records().erase(cup).erase(jug));
  BOOST_TEST((heard_by(reader) == Lines{"Section 2: update jug", "Section 3: delete jug"}));
  core.disconnected(reader);
  BOOST_TEST(is_alive(writer));
}

// Created while a subscription to its type waits behind another one, which shows it as it completes.
BOOST_AUTO_TEST_CASE(a_creation_that_was_told_for_the_type_does_not_come_in_again_with_a_key) {
  int64_t lid = own(writer, 67);
  say(reader, Subscribe{RequestId{2}, kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  subscribe(reader, 3);
  commit(writer, Records().create(lid, {"lid", 9, 9}));
  core.stream();
  frames(reader);
  commit(writer, Records().update(lid, kShelf, int_value(4)));
  BOOST_TEST((heard(reader) == Lines{"Section 3: update 1:" + std::to_string(lid)}));
}

BOOST_AUTO_TEST_CASE(a_connection_that_goes_leaves_no_coverage_behind) {
  subscribe_to_shelf(reader, 4);
  subscribe_to_objects(reader, {jug}, 3);
  core.disconnected(reader);
  core.check();
  commit(writer, Records().update(cup, kPlace, int_value(3)).erase(jug));
  BOOST_TEST(is_alive(writer));
}

BOOST_AUTO_TEST_CASE(what_a_connection_covers_by_keys_and_objects_is_bounded) {
  ServerOptions small = options();
  small.covered_bytes_max = 1000;
  ServerFixture f(small);
  ConnectionId asker = f.join_shop(), writer = f.join_shop();
  auto ask = [&](uint64_t request, std::vector<int64_t> objects) {
    Subscribe subscribe{RequestId{request}, kItem, Scope::kObjects};
    for (int64_t object : objects) subscribe.objects.push_back(ObjectId{object});
    f.say(asker, subscribe);
  };
  for (int64_t i = 0; i < 5; ++i) f.commit(writer, Records().create(f.own(writer, 64 + i), {"n", 1, i}));
  std::vector<int64_t> five;
  for (int64_t i = 0; i < 5; ++i) five.push_back(f.own(writer, 64 + i));
  ask(2, five);
  ask(3, std::vector<int64_t>(6, 77));  // counted while the first ones wait as well
  f.stream_all();
  Lines lines = f.heard(asker);
  BOOST_TEST(lines.front() == "Refused 3");
  BOOST_TEST(lines.back() == "Complete 2 through 5");
  Bytes long_key = int_value(4);
  f.say(asker, Subscribe{RequestId{4}, kItem, Scope::kIndexKey, kByShelf, long_key});
  f.stream_all();
  BOOST_TEST(f.heard(asker).back().starts_with("Complete 4"));
  for (int64_t object : five) f.commit(writer, Records().erase(object));  // makes room
  f.heard(asker);
  ask(5, std::vector<int64_t>{71, 72, 73, 74, 75, 76, 77, 78});
  f.stream_all();
  BOOST_TEST(f.heard(asker).back().starts_with("Complete 5"));
  f.core.disconnected(asker);
  f.core.check();
}

BOOST_AUTO_TEST_CASE(subscriptions_that_make_no_sense_close_the_connection) {
  Bytes one = int_value(4), two = int_value(4) + int_value(5), text = str_value("4"), none;
  using S = Scope;
  std::vector<Subscribe> senseless = {
      {RequestId{2}, kItem, S::kIndexKey, IndexId{7}, one},
      {RequestId{2}, kItem, S::kIndexKey, kByShelf, two},
      {RequestId{2}, kItem, S::kIndexKey, kByShelf, text},
      {RequestId{2}, kItem, S::kIndexKey, kByShelf, none},
      {RequestId{2}, kItem, S::kType, kByShelf, one},
      {RequestId{2}, kItem, S::kType, {}, {}, {ObjectId{1}}},
      {RequestId{2}, kItem, S::kObjects, {}, {}, {ObjectId{0}}},
      {RequestId{2}, kItem, S::kNone, IndexId{1}, {}},
      {RequestId{2}, kItem, S::kIndexKey, kByShelfAndPlace, one},
  };
  for (const Subscribe& subscribe : senseless) {
    ConnectionId id = join();
    say(id, subscribe);
    BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));
  }
}

/// A client's picture by its own rules, to be compared with the server's at every step: what it covers, and with what.
BOOST_AUTO_TEST_CASE(every_receiver_can_follow_what_it_covers) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      ServerFixture f;
      Random random(seed);
      ConnectionId writer = f.join_shop(), reader = f.join_shop();
      std::set<int64_t> alive, covered_shelves, covered;
      int64_t next = f.own(writer, 64);
      std::map<int64_t, Item> seen;  // by the reader
      uint64_t request = 2;
      for (int turn = 0; turn < 120; ++turn) {
        int64_t kind = below(random, 10);
        if (kind == 0 && turn > 10) {
          int64_t shelf = below(random, 4);
          Bytes values = int_value(shelf);
          f.say(reader, Subscribe{RequestId{request++}, kItem, Scope::kIndexKey, kByShelf, values});
          covered_shelves.insert(shelf);
        } else if (kind == 1 && turn > 10 && !alive.empty()) {
          int64_t object = *std::next(alive.begin(), below(random, static_cast<int64_t>(alive.size())));
          f.say(reader, Subscribe{RequestId{request++}, kItem, Scope::kObjects, {}, {}, {ObjectId{object}}});
          covered.insert(object);
        } else {
          Records records;
          if (kind < 5 || alive.empty()) {
            records.create(next, {"n", below(random, 4), turn});
            alive.insert(next++);
          } else {
            int64_t object = *std::next(alive.begin(), below(random, static_cast<int64_t>(alive.size())));
            if (kind == 5) {
              records.erase(object);
              alive.erase(object);
            } else {
              records.update(object, kShelf, int_value(below(random, 4)));
            }
          }
          f.commit(writer, records);
        }
        f.stream_all();
        for (const KeptFrame& frame : f.frames(reader)) {
          Bytes records = frame.is<Section>() ? Bytes(frame.as<Section>().records)
                          : frame.is<Piece>() ? Bytes(frame.as<Piece>().records)
                                              : Bytes();
          Record record;
          for (RecordReader in(records); in.next(record);) {
            int64_t object = record.object.value;
            if (record.op == Op::kDelete) {
              BOOST_TEST_REQUIRE(seen.erase(object) == 1u);
              continue;
            }
            BOOST_TEST_REQUIRE(seen.contains(object) == (record.op == Op::kUpdate));
            for (const FieldValue& value : record.fields)
              if (value.field == kShelf) seen[object].shelf = int_of(value.value);
          }
        }
        for (const auto& [object, item] : f.now_in_store()) {
          bool is_due = covered_shelves.contains(item.shelf) || covered.contains(object.value);
          if (is_due) covered.insert(object.value);
          BOOST_TEST_REQUIRE(seen.contains(object.value) == covered.contains(object.value));
          if (seen.contains(object.value)) BOOST_TEST_REQUIRE(seen[object.value].shelf == item.shelf);
        }
        std::erase_if(covered, [&](int64_t object) { return !alive.contains(object); });
        BOOST_TEST_REQUIRE(seen.size() == covered.size());
        f.core.check();
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

// ---- core.Connection

struct ConnectionObjects : ServerFixture {
  static constexpr TypeId kConnection{1};

  ConnectionId join_core() {
    ConnectionId id = join();
    say(id, DefineSchema{RequestId{1}, {"core", {{"Connection", {{"heartbeats_suspended", "bool", {}}}, {}}}}});
    run_groups();
    BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
    say(id, Subscribe{RequestId{2}, kConnection});
    stream_all();
    return id;
  }
};

BOOST_FIXTURE_TEST_SUITE(connection_objects, ConnectionObjects)

BOOST_AUTO_TEST_CASE(there_is_one_for_each_connection_as_soon_as_somebody_asks) {
  ConnectionId early = join();
  BOOST_TEST(core.store().find_table("core.Connection") == nullptr);
  ConnectionId watcher = join_core();
  BOOST_TEST((heard(watcher) == Lines{"Piece 2: whole 1:1, whole 1:2", "Complete 2 through 1"}));
  core.disconnected(early);
  run_groups();
  BOOST_TEST((heard(watcher) == Lines{"Section 2: delete 1:1"}));
}

BOOST_AUTO_TEST_CASE(a_welcome_waits_until_its_object_is_there) {
  ConnectionId watcher = join_core();
  frames(watcher);
  ConnectionId late = connect();
  say(late, Hello{1, 1, "memory", 0});
  say(late, Auth{kToken});
  BOOST_TEST((heard(late) == Lines{"ServerHello"}));
  run_groups();
  std::vector<KeptFrame> answers = frames(late);
  BOOST_TEST_REQUIRE(answers.size() == 1u);
  BOOST_TEST(answers[0].as<Welcome>().connection.value == 2);
  BOOST_TEST(answers[0].as<Welcome>().tid.value == 2u);
  BOOST_TEST((heard(watcher) == Lines{"Section 2: create 1:2"}));
}

BOOST_AUTO_TEST_CASE(a_reference_to_one_is_enough_to_have_them) {
  ConnectionId id = join();
  TypeDefinition worker{"Worker", {{"connection", "ref(core.Connection)", {}}}, {}};
  say(id, DefineSchema{RequestId{1}, {"jobs", {worker}}});
  run_groups();
  BOOST_TEST((heard(id) == Lines{"SchemaMapping"}));
  const Table* table = core.store().find_table("core.Connection");
  BOOST_TEST_REQUIRE(table != nullptr);
  BOOST_TEST(table->object_count() == 1u);
}

BOOST_AUTO_TEST_CASE(nobody_adds_to_their_type) {
  ConnectionId id = join();
  FieldDefinition ours{"heartbeats_suspended", "bool", {}}, other{"name", "str", {}};
  for (const TypeDefinition& type :
       {TypeDefinition{"Connection", {ours}, {{"one", {"heartbeats_suspended"}, true}}},
        TypeDefinition{"Connection", {ours, other}, {}}, TypeDefinition{"Connection", {other}, {}}}) {
    say(id, DefineSchema{RequestId{1}, {"core", {type}}});
    run_groups();
    BOOST_TEST((heard(id) == Lines{"Refused 1"}));
  }
}

BOOST_AUTO_TEST_CASE(nobody_else_makes_them) {
  ConnectionId forger = join_core();
  Records records;
  records.row(Op::kCreate, kConnection, own(forger, 64), {});
  send_commit(forger, records);
  BOOST_TEST(core.is_closing(forger));
}

/// Its client refers to it, and others take one that is missing for a client that is gone.
BOOST_AUTO_TEST_CASE(a_full_server_makes_them_all_the_same) {
  ServerOptions full = options();
  full.memory_bytes_max = 1;
  ServerFixture f(full);
  ConnectionId early = f.join();
  f.say(early, DefineSchema{RequestId{1}, {"core", {{"Connection", {{"heartbeats_suspended", "bool", {}}}, {}}}}});
  f.run_groups();
  f.connect_in_state(ServerState::kReady);
  f.run_groups();
  BOOST_TEST(f.core.store().find_table("core.Connection")->object_count() == 2u);
}

BOOST_AUTO_TEST_CASE(one_that_says_so_may_be_silent) {
  ConnectionId debugged = join_core(), silent = join();
  run_groups();
  Bytes yes;
  put_bool(yes, true);
  send_commit(debugged, Records().update(kConnection, 1, {{FieldId{0}, yes}}));
  run_groups();
  now.us += limits::kHeartbeatUs * limits::kHeartbeatsMissedMax;
  core.tick(now);
  BOOST_TEST(!core.is_closing(debugged));
  BOOST_TEST(core.is_closing(silent));
}

BOOST_AUTO_TEST_CASE(one_that_a_program_has_deleted_does_not_trouble_its_end) {
  ConnectionId watcher = join_core(), victim = join();
  run_groups();
  send_commit(watcher, Records().erase(2, kConnection));
  run_groups();
  core.disconnected(victim);
  run_groups();
  BOOST_TEST(is_alive(watcher));
  BOOST_TEST(core.figures().objects == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
