/// The server as its peers see it: bytes in, bytes out, time by hand.
#include "core/server/server_core.h"

#include <boost/test/unit_test.hpp>

#include "core/codec/value.h"
#include "core/server/server_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

BOOST_FIXTURE_TEST_SUITE(server_core, ServerFixture)

// ---- greeting

BOOST_AUTO_TEST_CASE(a_client_with_the_token_is_welcome) {
  ConnectionId id = connect();
  say(id, Hello{1, 1, "memory", 0});
  say(id, Auth{kToken});
  std::vector<KeptFrame> answers = frames(id);
  BOOST_TEST_REQUIRE(answers.size() == 2u);
  BOOST_TEST(answers[0].as<ServerHello>().version == 1u);
  auto welcome = answers[1].as<Welcome>();
  BOOST_TEST(welcome.session == Bytes(16, 's'));
  BOOST_TEST(welcome.history == Bytes(16, 'h'));
  BOOST_TEST(welcome.identities_begin.value == kBlock);
  BOOST_TEST(welcome.connection.value > 0);
}

BOOST_AUTO_TEST_CASE(a_wrong_token_method_or_version_ends_the_connection_with_its_reason) {
  ConnectionId wrong_token = connect(), wrong_method = connect(), wrong_version = connect();
  say(wrong_token, Hello{1, 1, "memory", 0});
  say(wrong_token, Auth{"open barley"});
  say(wrong_method, Hello{1, 1, "none", 0});
  say(wrong_version, Hello{2, 9, "memory", 0});
  BOOST_TEST((heard(wrong_token) == Lines{"ServerHello", "ServerGoodbye authentication"}));
  BOOST_TEST((heard(wrong_method) == Lines{"ServerGoodbye authentication"}));
  BOOST_TEST((heard(wrong_version) == Lines{"ServerGoodbye version"}));
  for (ConnectionId id : {wrong_token, wrong_method, wrong_version}) BOOST_TEST(core.is_closing(id));
}

// ---- P2, P3

BOOST_AUTO_TEST_CASE(every_message_has_an_answer_in_every_state) {
  ConnectionId bystander = join();
  for (ServerState state : {ServerState::kHello, ServerState::kAuth, ServerState::kReady, ServerState::kClosing}) {
    for_each_message([&]<class Message>() {
      BOOST_TEST_CONTEXT(Message::kName << " in state " << static_cast<int>(state)) {
        ConnectionId id = connect_in_state(state);
        say(id, Message{});
        std::vector<KeptFrame> answers = frames(id);
        bool is_refused = !answers.empty() && answers.back().is<ServerGoodbye>() &&
                          answers.back().as<ServerGoodbye>().reason.find("may not come now") != std::string::npos;
        BOOST_TEST(is_refused == (answer_of(state, Message::kKind) == Answer::kRefuse));
        if (is_refused) BOOST_TEST(core.is_closing(id));
        if (state == ServerState::kClosing) BOOST_TEST(answers.empty());
        core.disconnected(id);
      }
    });
  }
  BOOST_TEST(is_alive(bystander));
}

BOOST_AUTO_TEST_CASE(kinds_that_are_no_message_are_refused) {
  for (int kind : {0, 12, 64, 78, 200, 255}) {
    ConnectionId id = join();
    core.received(id, frame_of(static_cast<MessageKind>(kind), "x"), now);
    BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}), kind);
  }
}

BOOST_AUTO_TEST_CASE(a_malformed_payload_closes_that_connection_only) {
  ConnectionId bystander = join();
  Random random(7);
  for_each_message([&]<class Message>() {
    BOOST_TEST_CONTEXT(Message::kName) {
      RandomFields fields(random);
      Message message;
      message.each(fields);
      Bytes payload = payload_of(message);
      for (const Bytes& damaged : {payload + '\0', payload.substr(0, payload.empty() ? 0 : payload.size() - 1)}) {
        if (damaged == payload) continue;
        for (ServerState state : {ServerState::kHello, ServerState::kAuth, ServerState::kReady}) {
          ConnectionId id = connect_in_state(state);
          core.received(id, frame_of(Message::kKind, damaged), now);
          BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));
          core.disconnected(id);
        }
      }
    }
  });
  BOOST_TEST(is_alive(bystander));
}

BOOST_AUTO_TEST_CASE(a_frame_over_the_limit_closes_before_its_payload_comes) {
  auto head = [](size_t length) {
    return frame_of(MessageKind::kAuth, "")
        .replace(1, 3,
                 Bytes{static_cast<char>(length >> 16), static_cast<char>(length >> 8), static_cast<char>(length)});
  };
  ConnectionId stranger = connect(), member = join(), greedy = join();
  core.received(stranger, head(limits::kUnauthenticatedFrameBytesMax).substr(0, 4), now);
  BOOST_TEST((heard(stranger) == Lines{"ServerGoodbye protocol"}));
  core.received(member, head(limits::kUnauthenticatedFrameBytesMax).substr(0, 4), now);
  BOOST_TEST(heard(member).empty());
  core.received(greedy, head(limits::kFrameBytesMax - 3).substr(0, 4), now);
  BOOST_TEST((heard(greedy) == Lines{"ServerGoodbye protocol"}));
}

BOOST_AUTO_TEST_CASE(garbage_never_does_more_than_close_its_connection) {
  ConnectionId bystander = join_subscribed();
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      ConnectionId id = connect_in_state(static_cast<ServerState>(below(random, 3)));
      for (int i = 0; i < 30 && !core.is_closing(id); ++i) {
        if (below(random, 3) == 0) subscribe(id);
        for_each_message([&]<class Message>() {
          if (below(random, 8) > 0) return;
          RandomFields fields(random);
          Message message;
          message.each(fields);
          Bytes bytes = framed(message);
          if (below(random, 4) == 0)
            bytes[static_cast<size_t>(below(random, static_cast<int64_t>(bytes.size())))] ^=
                static_cast<char>(1 << below(random, 8));
          core.received(id, bytes, now);
        });
        run_groups();
        core.stream();
        collect();
      }
      core.disconnected(id);
    }
  }
  BOOST_TEST(is_alive(bystander));
}

// ---- time

BOOST_AUTO_TEST_CASE(who_does_not_prove_himself_in_time_is_closed) {  // D30
  ConnectionId silent = connect(), half = connect_in_state(ServerState::kAuth), member = join();
  now.us += limits::kHandshakeUs - 1;
  core.tick(now);
  BOOST_TEST(!core.is_closing(silent));
  say(half, Heartbeat{});  // does not help
  now.us += 1;
  core.tick(now);
  BOOST_TEST((heard(silent) == Lines{"ServerGoodbye silent"}));
  BOOST_TEST((heard(half) == Lines{"ServerGoodbye silent"}));
  BOOST_TEST(!core.is_closing(member));
}

BOOST_AUTO_TEST_CASE(who_falls_silent_is_closed_and_any_byte_counts_as_life) {  // D26
  ConnectionId silent = join(), lively = join();
  for (int i = 0; i < limits::kHeartbeatsMissedMax; ++i) {
    BOOST_TEST(!core.is_closing(silent));
    now.us += limits::kHeartbeatUs;
    core.received(lively, framed(Flush{RequestId{1}}).substr(static_cast<size_t>(i), 1), now);
    core.tick(now);
  }
  BOOST_TEST(core.is_closing(silent));
  BOOST_TEST(!core.is_closing(lively));
  BOOST_TEST((heard(lively) == Lines(limits::kHeartbeatsMissedMax, "ServerHeartbeat")));
}

BOOST_AUTO_TEST_CASE(a_stopping_server_says_so_to_everybody_and_to_who_comes_later) {
  ConnectionId member = join();
  core.stop();
  ConnectionId late = connect();
  BOOST_TEST((heard(member) == Lines{"ServerGoodbye stopping"}));
  BOOST_TEST((heard(late) == Lines{"ServerGoodbye stopping"}));
}

BOOST_AUTO_TEST_CASE(who_says_goodbye_is_closed_without_a_word) {
  ConnectionId id = join();
  say(id, Goodbye{});
  BOOST_TEST(heard(id).empty());
  BOOST_TEST(core.is_closing(id));
}

// ---- definitions

BOOST_AUTO_TEST_CASE(a_definition_that_does_not_agree_is_refused_and_the_connection_goes_on) {
  ConnectionId id = join_shop();
  say(id, DefineSchema{RequestId{7}, {"shop", {{"Item", {{"shelf", "str", {}}}, {}}}}});
  BOOST_TEST((heard(id) == Lines{"Refused 7"}));
  BOOST_TEST(is_alive(id));
  say(id, DefineSchema{RequestId{8}, {"shop", {{"Item", {{"x", "nonsense", {}}}, {}}}}});
  BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));
}

BOOST_AUTO_TEST_CASE(an_unknown_type_cannot_be_subscribed_and_a_session_not_resumed) {
  ConnectionId id = join();
  say(id, Subscribe{RequestId{5}, TypeId{44}, Scope::kType});
  say(id, Resume{});
  BOOST_TEST((heard(id) == Lines{"Refused 5", "Refused 0"}));
  BOOST_TEST(is_alive(id));
}

// ---- commits

BOOST_AUTO_TEST_CASE(a_commit_is_announced_to_its_audience_before_it_is_answered) {  // C4, D21
  ConnectionId writer = join_subscribed(), reader = join_subscribed(), stranger = join_shop();
  commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  BOOST_TEST((heard(writer) == Lines{"Section 1: create 1:" + std::to_string(own(writer, 64)),
                                     "CommitResult 1 accepted as 1 through 1"}));
  BOOST_TEST((heard(reader) == Lines{"Section 1: create 1:" + std::to_string(own(writer, 64))}));
  BOOST_TEST(heard(stranger).empty());
}

BOOST_AUTO_TEST_CASE(own_creations_are_announced_without_a_subscription_and_others_are_not) {  // D20
  ConnectionId writer = join_shop(), other = join_shop();
  std::string cup = std::to_string(own(writer, 64));
  commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  commit(other, Records().create(own(other, 64), {"jug", 1, 1}).update(own(writer, 64), kName, str_value("mug")));
  BOOST_TEST((heard(writer) == Lines{"Section 1: create 1:" + cup, "CommitResult 1 accepted as 1 through 1",
                                     "Section 2: update 1:" + cup}));
  BOOST_TEST((heard(other) == Lines{"Section 2: create 1:" + std::to_string(own(other, 64)),
                                    "CommitResult 1 accepted as 2 through 2"}));
}

BOOST_AUTO_TEST_CASE(parts_of_a_commit_may_be_cut_anywhere) {
  ConnectionId id = join_shop();
  Bytes bytes = Records().create(own(id, 64), {"cup", 1, 1}).create(own(id, 65), {"jug", 2, 2}).bytes;
  for (char c : bytes) say(id, CommitPart{CommitSeq{1}, BytesView(&c, 1), {}});
  say(id, CommitEnd{CommitSeq{1}, {}, false});
  run_groups();
  BOOST_TEST(heard(id).back() == "CommitResult 1 accepted as 1 through 1");
  BOOST_TEST(now_in_store().size() == 2u);
}

BOOST_AUTO_TEST_CASE(commits_out_of_order_or_without_parts_are_refused) {
  Records cup = Records().create(kBlock + 64, {"cup", 1, 1});
  auto said = [&](auto&&... messages) {
    ConnectionId id = join_shop();
    (say(id, messages), ...);
    return heard(id);
  };
  Lines refused{"ServerGoodbye protocol"};
  BOOST_TEST((said(CommitEnd{CommitSeq{1}, {}, false}) == refused));
  BOOST_TEST((said(CommitPart{CommitSeq{2}, cup.bytes, {}}) == refused));
  BOOST_TEST((said(CommitPart{CommitSeq{0}, cup.bytes, {}}) == refused));
  BOOST_TEST((said(CommitPart{CommitSeq{1}, cup.bytes, {}}, CommitEnd{CommitSeq{2}, {}, false}) == refused));
  BOOST_TEST((said(CommitPart{CommitSeq{1}, {}, {}}, CommitEnd{CommitSeq{1}, {}, false}) == refused));
  BOOST_TEST((said(CommitPart{CommitSeq{1}, "garbage", {}}, CommitEnd{CommitSeq{1}, {}, false}) == refused));
  run_groups();
  BOOST_TEST(now_in_store().empty());
}

BOOST_AUTO_TEST_CASE(nobody_creates_with_the_identity_of_another_or_of_nobody) {  // D13
  ConnectionId owner = join_shop();
  for (int64_t identity : {own(owner, 64), int64_t{5}, 1000 * kBlock}) {
    ConnectionId thief = join_shop();
    send_commit(thief, Records().create(identity, {"cup", 1, 1}));
    BOOST_TEST((heard(thief) == Lines{"ServerGoodbye protocol"}));
  }
}

BOOST_AUTO_TEST_CASE(a_run_of_identities_is_for_one_type) {
  ConnectionId id = join_shop();
  say(id, DefineSchema{RequestId{2}, {"shop", {{"Other", {{"size", "int", {}}}, {}}}}});
  commit(id, Records().create(own(id, 64), {"cup", 1, 1}).row(Op::kCreate, TypeId{2}, own(id, 128), {int_value(1)}));
  BOOST_TEST(heard(id).back() == "CommitResult 1 accepted as 1 through 1");
  send_commit(id, Records().row(Op::kCreate, TypeId{2}, own(id, 65), {int_value(1)}));
  BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));
}

BOOST_AUTO_TEST_CASE(at_half_a_block_the_next_one_is_given_whatever_the_commit_begins_with) {  // D28
  ConnectionId id = join_subscribed();
  commit(id, Records().create(own(id, 64), {"cup", 1, 1}));
  commit(id, Records().update(own(id, 64), kPlace, int_value(2)).create(own(id, kBlock / 2 + 64), {"jug", 1, 1}));
  std::vector<KeptFrame> answers = frames(id);
  auto block = std::ranges::find_if(answers, [](const KeptFrame& frame) { return frame.is<IdentityBlock>(); });
  BOOST_TEST_REQUIRE((block != answers.end()));
  int64_t begin = block->as<IdentityBlock>().identities_begin.value;
  commit(id, Records().create(begin, {"pan", 1, 1}));
  commit(id, Records().create(own(id, kBlock / 2 + 65), {"pot", 1, 1}));
  BOOST_TEST(heard(id).size() == 4u);  // no further block before half of the new one is used
}

BOOST_AUTO_TEST_CASE(a_conflict_is_answered_with_the_key_and_who_won) {
  ConnectionId winner = join_subscribed(), loser = join_subscribed();
  commit(winner, Records().create(own(winner, 64), {"cup", 1, 1}));
  ReadSet reads;
  reads.add_field(kItem, ObjectId{own(winner, 64)}, kPlace);
  std::vector<Bytes> encoded;
  reads.encode(encoded, SIZE_MAX);
  send_commit(loser, Records().update(own(winner, 64), kPlace, int_value(5)), encoded[0]);
  send_commit(winner, Records().update(own(winner, 64), kPlace, int_value(9)));
  // Both wait; the loser came first, so he is the winner. The next one with the same reads is not.
  send_commit(loser, Records().update(own(winner, 64), kPlace, int_value(6)), encoded[0]);
  run_groups();
  std::vector<KeptFrame> answers = frames(loser);
  auto result = answers.back().as<CommitResult>();
  BOOST_TEST(told(answers.back()) == "CommitResult 2 conflict through 3");
  BOOST_TEST((result.key_kind == KeyKind::kField));
  BOOST_TEST(result.object.value == own(winner, 64));
  BOOST_TEST(result.number == kPlace.value);
  BOOST_TEST(result.written_at.value == 3u);
  BOOST_TEST(result.won_by.value == 1);
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_is_too_old_is_answered_with_through) {  // C2
  ServerOptions small = options();
  small.conflict_window_bytes = 1000;
  ServerFixture f(small);
  ConnectionId id = f.join_subscribed();
  int64_t cup = f.own(id, 64);
  f.commit(id, Records().create(cup, {"cup", 1, 1}));
  for (int i = 0; i < 50; ++i) f.commit(id, Records().update(cup, kName, str_value("x")));
  f.frames(id);
  Bytes reads("\3\1", 2);
  f.say(id, CommitPart{CommitSeq{52}, Records().update(cup, kName, str_value("y")).bytes, reads});
  f.say(id, CommitEnd{CommitSeq{52}, TransactionId{1}, false});
  f.run_groups();
  BOOST_TEST((f.heard(id) == Lines{"CommitResult 52 too old through 51"}));
}

BOOST_AUTO_TEST_CASE(a_store_that_refuses_makes_a_server_error_and_nothing_else) {  // D11
  ConnectionId writer = join_subscribed(), reader = join_subscribed();
  send_commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  send_commit(writer, Records().update(own(writer, 64), kPlace, int_value(7)));
  run_groups(false);
  BOOST_TEST(
      (heard(writer) == Lines{"CommitResult 1 server error through 0", "CommitResult 2 server error through 0"}));
  BOOST_TEST(heard(reader).empty());
  commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  BOOST_TEST(heard(reader).size() == 1u);
}

BOOST_AUTO_TEST_CASE(commits_of_a_connection_that_left_are_carried_out_and_answered_to_nobody) {
  ConnectionId writer = join_subscribed(), reader = join_subscribed();
  send_commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  core.start_group();
  core.disconnected(writer);
  core.finish_group(true);
  BOOST_TEST(heard(reader).size() == 1u);
  BOOST_TEST(core.figures().objects == 1u);
}

// D15: the members of a group in flight were checked without the index.
BOOST_AUTO_TEST_CASE(a_new_unique_index_waits_for_the_group_in_flight) {
  ConnectionId writer = join_subscribed(), definer = join_shop(), gone = join_shop();
  send_commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}).create(own(writer, 65), {"cup", 1, 2}));
  core.start_group();
  DefineSchema wanted{RequestId{3}, {"shop", {{"Item", {{"name", "str", {}}}, {{"name", {"name"}, true}}}}}};
  say(definer, wanted);
  say(gone, wanted);
  core.disconnected(gone);
  BOOST_TEST(heard(definer).empty());
  core.finish_group(true);
  BOOST_TEST((heard(definer) == Lines{"Refused 3"}));
  commit(writer, Records().update(own(writer, 65), kName, str_value("jug")));
  say(definer, wanted);
  BOOST_TEST((heard(definer) == Lines{"SchemaMapping"}));
  frames(writer);
  commit(writer, Records().update(own(writer, 65), kName, str_value("cup")));
  std::vector<KeptFrame> answer = frames(writer);
  BOOST_TEST_REQUIRE(answer.size() == 1u);
  auto result = answer[0].as<CommitResult>();
  BOOST_TEST((result.outcome == Outcome::kUniqueViolation));
  BOOST_TEST(result.object.value == own(writer, 64));
  BOOST_TEST(result.message ==
             "shop.Item.name is unique: shop.Item(id=" + std::to_string(own(writer, 65)) +
                 ") cannot have the value 'cup', which shop.Item(id=" + std::to_string(own(writer, 64)) + ") has");
}

BOOST_AUTO_TEST_CASE(a_flush_is_answered_behind_every_commit_before_it) {
  ConnectionId writer = join_subscribed(), flusher = join_subscribed();
  send_commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  say(flusher, Flush{RequestId{9}});
  BOOST_TEST(heard(flusher).empty());
  core.start_group();
  send_commit(writer, Records().create(own(writer, 65), {"jug", 1, 1}));
  core.finish_group(true);
  BOOST_TEST(
      (heard(flusher) == Lines{"Section 1: create 1:" + std::to_string(own(writer, 64)), "Flushed 9 through 1"}));
}

BOOST_AUTO_TEST_CASE(a_large_transaction_travels_in_sections_cut_between_records) {
  ConnectionId writer = join_subscribed();
  Records records;
  for (int64_t i = 0; i < 100; ++i) records.create(own(writer, 64 + i), {std::string(100'000, 'x'), 1, i});
  commit(writer, records);
  std::vector<KeptFrame> answers = frames(writer);
  size_t objects = 0, sections = 0;
  for (const KeptFrame& frame : answers) {
    if (!frame.is<Section>()) continue;
    auto section = frame.as<Section>();
    ++sections;
    BOOST_TEST(section.is_last == (sections + 1 == answers.size()));
    RecordReader reader(section.records);
    for (Record record; reader.next(record);) ++objects;
    BOOST_TEST(reader.is_ok());
  }
  BOOST_TEST(objects == 100u);
  BOOST_TEST(sections > 1u);
}

// A row that no frame could carry would close every subscriber.
BOOST_AUTO_TEST_CASE(a_row_that_grows_too_large_to_travel_is_refused) {
  ConnectionId writer = join_subscribed();
  Bytes half = str_value(std::string(limits::kRowBytesMax / 2, 'x'));
  TypeDefinition blob{"Blob", {{"a", "str", {}}, {"b", "str", {}}}, {}};
  say(writer, DefineSchema{RequestId{3}, {"shop", {blob}}});
  int64_t object = own(writer, 64);
  commit(writer, Records().row(Op::kCreate, TypeId{2}, object, {half}));
  commit(writer, Records().update(TypeId{2}, object, {{FieldId{1}, half}}));
  BOOST_TEST(heard(writer).back() == "CommitResult 2 too large through 1");
  commit(writer, Records().update(TypeId{2}, object, {{FieldId{1}, str_value("small")}}));
  BOOST_TEST(heard(writer).back() == "CommitResult 3 accepted as 2 through 2");
}

// ---- streams (D22)

/// What a client would have, from the bytes alone.
struct Replica {
  Items items;
  bool is_complete = false;
  TransactionId through;

  void take(const KeptFrame& frame) {
    if (frame.is<Section>()) {
      auto section = frame.as<Section>();
      ODB_CHECK(section.tid > through);
      through = section.tid;
      apply(section.records);
    } else if (frame.is<Piece>()) {
      ODB_CHECK(!is_complete);
      apply(frame.as<Piece>().records);
    } else if (frame.is<Complete>()) {
      ODB_CHECK(frame.as<Complete>().through >= through);
      is_complete = true;
      through = frame.as<Complete>().through;
    }
  }

 private:
  void apply(BytesView records) {
    RecordReader reader(records);
    for (Record record; reader.next(record);) {
      bool is_here = items.contains(record.object);
      if (is_complete) ODB_CHECK(is_here == (record.op != Op::kCreate), record.object.value);
      if (record.op == Op::kDelete) items.erase(record.object);
      if (record.op == Op::kDelete || (record.op == Op::kUpdate && !is_here)) continue;
      Item& item = items[record.object];
      for (const FieldValue& field : record.fields) {
        if (field.field == kName) item.name = std::get<Text>(decode(field.value, Mode::kValue).value()).utf8;
        if (field.field == kShelf) item.shelf = int_of(field.value);
        if (field.field == kPlace) item.place = int_of(field.value);
      }
    }
    ODB_CHECK(reader.is_ok());
  }
};

BOOST_AUTO_TEST_CASE(a_subscription_that_streams_while_commits_go_on_misses_nothing) {  // S1
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      ServerFixture f;
      ConnectionId writer = f.join_shop();
      Items items;
      int64_t next = 64;
      auto change = [&](int64_t creations_of_10) {
        Records records;
        std::set<ObjectId> touched;
        for (int i = 0; i < 8; ++i) {
          auto at =
              items.empty() ? items.end() : std::next(items.begin(), below(random, static_cast<int64_t>(items.size())));
          if (at == items.end() || below(random, 10) < creations_of_10) {
            Item item{std::string(static_cast<size_t>(500 + below(random, 3000)), 'x'), below(random, 5), next};
            records.create(f.own(writer, next), item);
            items[ObjectId{f.own(writer, next++)}] = item;
          } else if (touched.insert(at->first).second) {
            bool is_deletion = below(random, 3) == 0;
            at->second.shelf = below(random, 5);
            is_deletion ? records.erase(at->first.value)
                        : records.update(at->first.value, kShelf, int_value(at->second.shelf));
            if (is_deletion) items.erase(at);
          }
          if (!items.empty()) touched.insert(std::prev(items.end())->first);
        }
        f.commit(writer, records);
      };
      for (int i = 0; i < 40; ++i) change(9);
      ConnectionId reader = f.join_shop();
      f.subscribe(reader);
      Replica replica;
      int pieces = 0;
      for (int rounds_after = 0; rounds_after < 3;) {
        change(3);
        f.core.stream();
        for (const KeptFrame& frame : f.frames(reader)) {
          pieces += frame.is<Piece>();
          replica.take(frame);
        }
        if (!replica.is_complete) continue;
        ++rounds_after;
        BOOST_TEST_REQUIRE((replica.items == f.now_in_store()));
      }
      BOOST_TEST(pieces > 3);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_second_subscription_to_a_type_completes_behind_the_first_one) {
  ConnectionId writer = join_shop(), reader = join_shop();
  for (int64_t i = 0; i < 10; ++i)
    commit(writer, Records().create(own(writer, 64 + i), {std::string(20'000, 'x'), 1, i}));
  subscribe(reader, 2);
  subscribe(reader, 3);
  subscribe(reader, 4, Scope::kNone);
  stream_all();
  Lines lines = heard(reader);
  BOOST_TEST_REQUIRE(lines.size() > 4u);
  for (size_t i = 0; i + 3 < lines.size(); ++i) BOOST_TEST(lines[i].starts_with("Piece 2"));
  BOOST_TEST((Lines(lines.end() - 3, lines.end()) ==
              Lines{"Complete 2 through 10", "Complete 3 through 10", "Complete 4 through 10"}));
  subscribe(reader, 5);
  BOOST_TEST((heard(reader) == Lines{"Complete 5 through 10"}));
  commit(writer, Records().erase(own(writer, 64)));
  BOOST_TEST(heard(reader).size() == 1u);  // announced once
}

BOOST_AUTO_TEST_CASE(a_subscription_to_nothing_of_a_type_is_complete_at_once_and_gets_nothing) {  // D20
  ConnectionId writer = join_shop(), reader = join_shop();
  subscribe(reader, 2, Scope::kNone);
  commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  BOOST_TEST((heard(reader) == Lines{"Complete 2 through 0"}));
}

BOOST_AUTO_TEST_CASE(streams_wait_for_a_client_that_reads_slowly_and_announcements_do_not) {
  ConnectionId writer = join_shop(), reader = join_shop();
  for (int64_t i = 0; i < 40; ++i)
    commit(writer, Records().create(own(writer, 64 + i), {std::string(60'000, 'x'), 1, i}));
  frames(writer);
  subscribe(reader);
  while (core.stream()) {}
  for (ConnectionId id : core.take_ready()) received[id] += core.take_output(id);  // taken, not yet sent
  size_t waiting = received[reader].size();
  BOOST_TEST(waiting > limits::kOutboxBytesHigh);
  BOOST_TEST(waiting < limits::kOutboxBytesHigh + 2 * limits::kPieceBytes);
  BOOST_TEST(!core.stream());
  commit(writer, Records().update(own(writer, 64), kPlace, int_value(7)));
  BOOST_TEST(!core.take_output(reader).empty());
  core.sent(reader, waiting);
  BOOST_TEST(core.stream());
}

BOOST_AUTO_TEST_CASE(a_client_for_whom_too_much_waits_is_closed_with_the_reason) {  // D24
  ServerOptions small = options();
  small.outbox_bytes_max = 100'000;
  ServerFixture f(small);
  ConnectionId writer = f.join_subscribed(), slow = f.join_subscribed();
  for (int64_t i = 0; i < 8; ++i) {
    f.send_commit(writer, Records().create(f.own(writer, 64 + i), {std::string(20'000, 'x'), 1, i}));
    f.run_groups();
    Bytes taken = f.core.take_output(writer);
    f.core.sent(writer, taken.size());
    f.core.check();
  }
  BOOST_TEST(f.core.is_closing(slow));
  BOOST_TEST((f.heard(slow) == Lines{"ServerGoodbye too slow"}));
  BOOST_TEST(!f.core.is_closing(writer));
}

BOOST_AUTO_TEST_CASE(a_connection_that_goes_leaves_nothing_behind) {
  ConnectionId writer = join_subscribed(), leaver = join_subscribed();
  subscribe(leaver, 9);
  say(leaver, CommitPart{CommitSeq{1}, Records().create(own(leaver, 64), {"cup", 1, 1}).bytes, {}});
  say(leaver, Flush{RequestId{1}});
  core.disconnected(leaver);
  core.check();
  BOOST_TEST(core.figures().connections == 1u);
  commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  stream_all();
  BOOST_TEST(is_alive(writer));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
