/// The client against servers that behave, and against servers that do not: whatever comes in, the worst that happens
/// is on_closed().
#include "core/client/client_core.h"

#include <boost/test/unit_test.hpp>
#include <optional>

#include "core/protocol/mapping.h"
#include "core/protocol/protocol_testing.h"
#include "core/view/view_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

constexpr int64_t kBlock = limits::kIdentityBlockSize;
using Lines = std::vector<std::string>;

/// Everything the client told its program, as lines.
struct Told : ClientEvents {
  Lines lines;
  std::optional<Status> closed;

  void on_welcome(const Welcome& welcome) override {
    lines.push_back("welcome at " + std::to_string(welcome.tid.value));
  }
  void on_answer(RequestId request, const Status& status) override {
    lines.push_back("answer " + std::to_string(request.value) + (status.is_ok() ? "" : " refused"));
  }
  void on_types(RequestId request, Bytes catalogue) override {
    size_t types = decode_catalogue(catalogue).value().size();
    lines.push_back("types " + std::to_string(request.value) + ": " + std::to_string(types));
  }
  void on_commit_result(const CommitResult& result) override {
    lines.push_back("result " + std::to_string(result.seq.value) + " " +
                    std::to_string(static_cast<int>(result.outcome)));
  }
  void on_changes(ChangeSet changes) override {
    lines.push_back("changes at " + std::to_string(changes.tid.value) + ": " + std::to_string(changes.count()));
  }
  void on_closed(const Status& reason) override {
    ODB_CHECK(!closed.has_value());
    closed = reason;
  }
};

MappedType mapped_item(uint32_t id = kItem.value) {
  return {TypeId{id},
          "shop",
          "Item",
          {{"name", "str", str_value("")}, {"shelf", "int", int_value(0)}, {"place", "int", int_value(0)}},
          {{"shelf", {kShelf}}, {"spot", {kShelf, kPlace}}}};
}

struct ClientFixture {
  ClientFixture() { core.connected(now); }

  template <class Message>
  void hear(const Message& message) {
    hear_bytes(framed(message));
  }
  void hear_bytes(BytesView bytes) {
    core.received(bytes, now);
    core.check();
  }
  Lines said() {
    Lines out;
    for (const KeptFrame& frame : frames_in(core.take_output())) out.push_back(name_of(frame.kind));
    return out;
  }
  Lines news() { return std::exchange(told.lines, {}); }
  static Welcome welcome_message(uint64_t tid = 10) {
    return {Bytes(16, 's'), Bytes(16, 'h'), TransactionId{tid}, ObjectId{1}, ObjectId{kBlock}, 5'000'000};
  }
  void be_welcome() {
    hear(ServerHello{1, limits::kFrameBytesMax});
    hear(welcome_message());
  }
  Table& be_in_shop() {
    be_welcome();
    core.define_schema(RequestId{1}, {"shop", {}});
    hear(SchemaMapping{RequestId{1}, {}, {mapped_item()}});
    news();
    return *core.store()->table(kItem);
  }
  Table& be_subscribed() {
    Table& items = be_in_shop();
    core.subscribe(RequestId{2}, {kItem, Scope::kType});
    hear(Piece{RequestId{2}, three_items().bytes});
    hear(Complete{RequestId{2}, TransactionId{10}});
    news();
    return items;
  }
  static Records three_items() {
    return Records().whole(1, {"cup", 4, 1}).whole(2, {"jug", 4, 2}).whole(3, {"pan", 5, 1});
  }
  Items now_in_store() const { return items_at(*core.store()->table(kItem), core.store()->published().step); }
  Section section(uint64_t tid, const Records& records, bool is_last = true) const {
    return {TransactionId{tid}, is_last, records.bytes};
  }
  bool broke_the_protocol() const { return told.closed.has_value() && told.closed->code() == Code::kProtocol; }

  Told told;
  Instant now{1'000'000};
  ClientCore core{std::make_unique<MemoryClientAuthentication>("open sesame"), told};
};

BOOST_FIXTURE_TEST_SUITE(client_core, ClientFixture)

// ---- servers that behave

BOOST_AUTO_TEST_CASE(a_client_greets_proves_itself_and_is_welcome) {
  BOOST_TEST((said() == Lines{"Hello"}));
  hear(ServerHello{1, limits::kFrameBytesMax});
  BOOST_TEST((said() == Lines{"Auth"}));
  hear(welcome_message(7));
  BOOST_TEST((news() == Lines{"welcome at 7"}));
  BOOST_TEST(core.store()->published().tid.value == 7u);
  BOOST_TEST(core.identities().next(kItem)->value == kBlock);
}

BOOST_AUTO_TEST_CASE(requests_made_before_the_welcome_wait_for_it) {
  core.define_schema(RequestId{1}, {"shop", {}});
  core.flush(RequestId{2});
  BOOST_TEST((said() == Lines{"Hello"}));
  be_welcome();
  BOOST_TEST((said() == Lines{"Auth", "DefineSchema", "Flush"}));
}

BOOST_AUTO_TEST_CASE(changes_are_told_of_from_the_next_step_on) {
  be_subscribed();
  hear(section(11, Records().update(1, kName, str_value("mug")), false));
  core.collect_changes(true);
  hear(section(11, Records().update(2, kName, str_value("mug"))));
  BOOST_TEST(news().empty());
  hear(section(12, Records().update(1, kName, str_value("pot"))));
  BOOST_TEST((news() == Lines{"changes at 12: 1"}));
  core.collect_changes(false);
  hear(section(13, Records().update(1, kName, str_value("pan"))));
  BOOST_TEST(news().empty());
}

BOOST_AUTO_TEST_CASE(a_subscription_appears_as_one_step_when_it_is_complete) {  // D22
  Table& items = be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kType});
  hear(Piece{RequestId{2}, Records().whole(1, {"cup", 4, 1}).whole(2, {"jug", 4, 2}).bytes});
  hear(section(
      11, Records().update(1, kShelf, int_value(9)).update(3, kShelf, int_value(9)).erase(2).create(7, {"new", 1, 1})));
  BOOST_TEST(now_in_store().empty());
  BOOST_TEST(!items.is_complete());
  hear(Piece{RequestId{2}, Records().whole(3, {"pan", 9, 1}).bytes});
  hear(Complete{RequestId{2}, TransactionId{11}});
  BOOST_TEST((now_in_store() ==
              Items{{ObjectId{1}, {"cup", 9, 1}}, {ObjectId{3}, {"pan", 9, 1}}, {ObjectId{7}, {"new", 1, 1}}}));
  BOOST_TEST(items.is_complete());
  BOOST_TEST((news() == Lines{"answer 2"}));
  BOOST_TEST((core.store()->published().tid == TransactionId{11}));
}

BOOST_AUTO_TEST_CASE(subscribing_again_is_answered_and_keeps_what_is_here) {  // D7
  Table& items = be_subscribed();
  View before(core.store());
  core.subscribe(RequestId{3}, {kItem, Scope::kType});
  hear(Complete{RequestId{3}, TransactionId{12}});
  BOOST_TEST((news() == Lines{"answer 3"}));
  BOOST_TEST(before.is_complete(items));
  BOOST_TEST(now_in_store().size() == 3u);
  hear(section(13, Records().erase(1)));
  BOOST_TEST(now_in_store().size() == 2u);
}

BOOST_AUTO_TEST_CASE(two_subscriptions_under_way_share_one_stream) {
  be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kType});
  core.subscribe(RequestId{3}, {kItem, Scope::kType});
  hear(Piece{RequestId{2}, three_items().bytes});
  hear(Complete{RequestId{2}, TransactionId{10}});
  hear(section(11, Records().erase(1)));
  hear(Complete{RequestId{3}, TransactionId{11}});
  BOOST_TEST((news() == Lines{"answer 2", "answer 3"}));
  BOOST_TEST(now_in_store().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_subscription_to_nothing_joins_the_type_without_completing_it) {  // D20
  Table& items = be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kNone});
  hear(Complete{RequestId{2}, TransactionId{10}});
  BOOST_TEST(items.is_joined());
  BOOST_TEST(!items.is_complete());
}

BOOST_AUTO_TEST_CASE(own_creations_are_applied_without_a_subscription_and_join_the_type) {  // D20
  Table& items = be_in_shop();
  BOOST_TEST(!items.is_joined());
  hear(section(11, Records().create(kBlock + 64, {"cup", 1, 1})));
  BOOST_TEST(items.is_joined());
  BOOST_TEST((now_in_store() == Items{{ObjectId{kBlock + 64}, {"cup", 1, 1}}}));
}

BOOST_AUTO_TEST_CASE(own_creations_are_not_staged_while_a_subscription_is_under_way) {
  be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kType});
  hear(section(11, Records().create(kBlock + 64, {"cup", 1, 1})));
  BOOST_TEST(now_in_store().size() == 1u);
  hear(section(12, Records().update(kBlock + 64, kShelf, int_value(2))));
  hear(Piece{RequestId{2}, Records().whole(1, {"jug", 4, 1}).whole(kBlock + 64, {"cup", 2, 1}).bytes});
  hear(Complete{RequestId{2}, TransactionId{12}});
  BOOST_TEST((now_in_store() == Items{{ObjectId{1}, {"jug", 4, 1}}, {ObjectId{kBlock + 64}, {"cup", 2, 1}}}));
}

// ---- coverage in part

BOOST_AUTO_TEST_CASE(an_index_key_is_covered_from_its_completion_on) {  // D7, D20
  Table& items = be_in_shop();
  Item four{"", 4, 0};
  core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  hear(Piece{RequestId{2}, Records().whole(1, {"cup", 4, 1}).whole(2, {"jug", 4, 2}).bytes});
  View before(core.store());
  hear(Complete{RequestId{2}, TransactionId{10}});
  View after(core.store());
  BOOST_TEST(!before.covers_key(items, kByShelf, four.key(kByShelf)));
  BOOST_TEST(after.covers_key(items, kByShelf, four.key(kByShelf)));
  BOOST_TEST(!after.covers_key(items, kByShelf, Item{"", 5, 0}.key(kByShelf)));
  BOOST_TEST(!after.is_complete(items));
  BOOST_TEST(items.is_joined());
  BOOST_TEST((before.exists(items, ObjectId{1}) == Presence::kNotCovered));
  BOOST_TEST((after.exists(items, ObjectId{1}) == Presence::kHere));
  BOOST_TEST((after.exists(items, ObjectId{3}) == Presence::kNotCovered));
}

BOOST_AUTO_TEST_CASE(an_object_that_comes_in_is_whole_and_stays_until_it_is_deleted) {  // D23
  Table& items = be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  hear(Complete{RequestId{2}, TransactionId{10}});
  hear(section(11, Records().whole(3, {"pan", 4, 9})));
  BOOST_TEST((now_in_store() == Items{{ObjectId{3}, {"pan", 4, 9}}}));
  hear(section(12, Records().update(3, kShelf, int_value(5))));
  BOOST_TEST((now_in_store() == Items{{ObjectId{3}, {"pan", 5, 9}}}));
  hear(section(13, Records().erase(3)));
  View after(core.store());
  BOOST_TEST((after.exists(items, ObjectId{3}) == Presence::kGone));
}

BOOST_AUTO_TEST_CASE(objects_asked_for_are_covered_also_when_they_do_not_exist) {
  Table& items = be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kObjects, {}, {}, {ObjectId{1}, ObjectId{2}}});
  hear(Piece{RequestId{2}, Records().whole(1, {"cup", 4, 1}).bytes});
  hear(Complete{RequestId{2}, TransactionId{10}});
  View now(core.store());
  BOOST_TEST((now.exists(items, ObjectId{1}) == Presence::kHere));
  BOOST_TEST((now.exists(items, ObjectId{2}) == Presence::kGone));
  BOOST_TEST((now.exists(items, ObjectId{3}) == Presence::kNotCovered));
  hear(section(11, Records().create(2, {"jug", 1, 1})));
  BOOST_TEST(now_in_store().size() == 2u);
}

// Object 5 is staged for shelf 5 when it moves to shelf 4, whose lookups are complete already: they must show it.
BOOST_AUTO_TEST_CASE(a_staged_object_that_gets_a_covered_key_is_visible_at_once) {  // S1
  be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  hear(Complete{RequestId{2}, TransactionId{10}});
  core.subscribe(RequestId{3}, {kItem, Scope::kIndexKey, kByShelf, int_value(5)});
  hear(Piece{RequestId{3}, Records().whole(5, {"pan", 5, 1}).whole(6, {"pot", 5, 1}).bytes});
  BOOST_TEST(now_in_store().empty());
  hear(section(11, Records().update(5, kShelf, int_value(4))));
  BOOST_TEST((now_in_store() == Items{{ObjectId{5}, {"pan", 4, 1}}}));
  hear(section(12, Records().update(5, kPlace, int_value(7)).update(6, kPlace, int_value(7))));
  hear(Complete{RequestId{3}, TransactionId{12}});
  BOOST_TEST((now_in_store() == Items{{ObjectId{5}, {"pan", 4, 7}}, {ObjectId{6}, {"pot", 5, 7}}}));
}

BOOST_AUTO_TEST_CASE(an_object_that_comes_in_replaces_what_was_staged_of_it) {
  be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  hear(Complete{RequestId{2}, TransactionId{10}});
  core.subscribe(RequestId{3}, {kItem, Scope::kType});
  hear(Piece{RequestId{3}, Records().whole(5, {"pan", 5, 1}).whole(6, {"pot", 5, 1}).bytes});
  hear(section(11, Records().whole(5, {"pan", 4, 2})));
  hear(section(12, Records().update(5, kPlace, int_value(3))));
  BOOST_TEST((now_in_store() == Items{{ObjectId{5}, {"pan", 4, 3}}}));
  hear(Complete{RequestId{3}, TransactionId{12}});
  BOOST_TEST((now_in_store() == Items{{ObjectId{5}, {"pan", 4, 3}}, {ObjectId{6}, {"pot", 5, 1}}}));
}

BOOST_AUTO_TEST_CASE(what_was_deleted_is_remembered_for_a_while) {
  Table& items = be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
  hear(Complete{RequestId{2}, TransactionId{10}});
  auto last = static_cast<int64_t>(limits::kDeletedRememberedMax) + 2;
  for (int64_t object = 1; object <= last; ++object) {
    auto tid = static_cast<uint64_t>(10 + object);
    core.received(framed(section(2 * tid, Records().whole(object, {"x", 4, 1}))), now);
    core.received(framed(section(2 * tid + 1, Records().erase(object))), now);
  }
  core.check();
  View after(core.store());
  BOOST_TEST((after.exists(items, ObjectId{last}) == Presence::kGone));
  BOOST_TEST((after.exists(items, ObjectId{3}) == Presence::kGone));
  BOOST_TEST((after.exists(items, ObjectId{1}) == Presence::kNotCovered));
}

BOOST_AUTO_TEST_CASE(records_of_what_is_not_covered_break_the_protocol) {
  for (const Records& records :
       {Records().update(9, kPlace, int_value(1)), Records().erase(9), Records().whole(9, {"x", 5, 1}),
        Records().create(9, {"x", 5, 1}), Records().whole(1, {"cup", 4, 1})}) {
    ClientFixture f;
    f.be_in_shop();
    f.core.subscribe(RequestId{2}, {kItem, Scope::kIndexKey, kByShelf, int_value(4)});
    f.hear(Piece{RequestId{2}, Records().whole(1, {"cup", 4, 1}).bytes});
    f.hear(Complete{RequestId{2}, TransactionId{10}});
    f.core.received(framed(f.section(11, records)), f.now);
    BOOST_TEST(f.broke_the_protocol());
  }
}

BOOST_AUTO_TEST_CASE(sections_of_one_transaction_are_one_step) {  // C5
  Table& items = be_subscribed();
  Step before = core.store()->published().step;
  hear(section(11, Records().update(1, kShelf, int_value(7)), false));
  BOOST_TEST((core.store()->published().step == before));
  View during(core.store());
  hear(section(11, Records().update(2, kShelf, int_value(7)), false));
  hear(section(11, Records().update(3, kShelf, int_value(7))));
  BOOST_TEST(core.store()->published().step.value == before.value + 1);
  BOOST_TEST((items_at(items, during.version().step)[ObjectId{1}] == Item{"cup", 4, 1}));
  for (const auto& [object, item] : now_in_store()) BOOST_TEST(item.shelf == 7);
}

BOOST_AUTO_TEST_CASE(answers_move_the_transaction_forward) {  // D21
  be_subscribed();
  core.flush(RequestId{5});
  hear(Flushed{RequestId{5}, TransactionId{20}});
  BOOST_TEST(core.store()->published().tid.value == 20u);
  hear(ServerHeartbeat{TransactionId{30}});
  BOOST_TEST(core.store()->published().tid.value == 30u);
  hear(ServerHeartbeat{TransactionId{25}});
  BOOST_TEST(core.store()->published().tid.value == 30u);
  BOOST_TEST((news() == Lines{"answer 5"}));
}

BOOST_AUTO_TEST_CASE(a_commit_travels_in_parts_and_its_result_is_told_after_its_section) {
  Table& items = be_subscribed();
  said();
  Transaction t(core.store());
  t.write(items, ObjectId{1}, kShelf, int_value(8));
  BOOST_TEST(core.commit(t.batch()).value == 1u);
  BOOST_TEST((said() == Lines{"CommitPart", "CommitPart", "CommitEnd"}));
  hear(section(11, Records().update(1, kShelf, int_value(8))));
  CommitResult result;
  result.seq = CommitSeq{1};
  result.tid = result.through = TransactionId{11};
  hear(result);
  BOOST_TEST((news() == Lines{"result 1 0"}));
  BOOST_TEST(now_in_store()[ObjectId{1}].shelf == 8);
}

BOOST_AUTO_TEST_CASE(a_part_that_no_frame_could_carry_is_cut) {
  be_welcome();
  said();
  core.commit(Batch{{}, {Bytes(limits::kFrameBytesMax + 10, 'x')}, {}, false});
  size_t bytes = 0;
  for (const KeptFrame& frame : frames_in(core.take_output()))
    if (frame.is<CommitPart>()) bytes += frame.as<CommitPart>().records.size();
  BOOST_TEST(bytes == limits::kFrameBytesMax + 10);
}

BOOST_AUTO_TEST_CASE(fields_and_indexes_that_others_added_are_taken_over) {
  Table& items = be_subscribed();
  MappedType wider = mapped_item();
  wider.fields.push_back({"weight", "int", int_value(3)});
  wider.indexes.push_back({"place", {kPlace}});
  core.define_schema(RequestId{5}, {"shop", {}});
  hear(SchemaMapping{RequestId{5}, {}, {wider}});
  View view(core.store());
  BytesView value;
  BOOST_TEST((view.read(items, ObjectId{1}, FieldId{3}, value) == Presence::kHere));
  BOOST_TEST(value == int_value(3));
  std::vector<ObjectId> found;
  view.lookup(items, IndexId{2}, int_value(1), SIZE_MAX, found);
  BOOST_TEST((found == std::vector{ObjectId{1}, ObjectId{3}}));
}

BOOST_AUTO_TEST_CASE(an_index_over_objects_that_are_here_is_made_turn_by_turn) {  // D17
  Table& items = be_subscribed();
  Records many;
  for (int64_t i = 0; i < 600; ++i) many.create(1000 + i, {"cup", 1, i % 3});
  hear(section(20, many));
  news();
  MappedType wider = mapped_item(), widest = mapped_item();
  for (MappedType* type : {&wider, &widest}) {
    type->fields.push_back({"weight", "int", int_value(3)});
    type->indexes.push_back({"place", {kPlace}});
    type->indexes.push_back({"weight", {FieldId{3}}});
  }
  widest.fields.push_back({"note", "str", str_value("")});
  for (uint64_t request : {5, 6}) core.define_schema(RequestId{request}, {"shop", {}});
  View before(core.store());
  hear(SchemaMapping{RequestId{5}, TransactionId{25}, {wider}});
  hear(SchemaMapping{RequestId{6}, TransactionId{25}, {widest}});
  BOOST_TEST(news().empty());
  BOOST_TEST((core.store()->published().tid == TransactionId{25}));
  int turns = 0;
  for (; core.has_work(); ++turns) {
    // Others know the new field already.
    hear(section(30 + static_cast<uint64_t>(turns), Records().update(1000 + turns, FieldId{3}, int_value(8))));
    core.work();
    core.check();
  }
  BOOST_TEST(turns > 2);
  BOOST_TEST((news() == Lines{"answer 5", "answer 6"}));
  BOOST_TEST(items.layout().fields.size() == 5u);
  View after(core.store());
  auto found = [&](IndexId index, int64_t value) {
    std::vector<ObjectId> objects;
    after.lookup(items, index, int_value(value), SIZE_MAX, objects);
    return objects.size();
  };
  BOOST_TEST(found(IndexId{3}, 8) == static_cast<size_t>(turns));
  BOOST_TEST(found(IndexId{2}, 2) == 201u);  // with one that was here
  BOOST_TEST(!items.is_indexed_at(IndexId{2}, before.version().step));
  core.check();
}

BOOST_AUTO_TEST_CASE(a_refusal_is_told_and_the_connection_goes_on) {
  be_in_shop();
  core.define_schema(RequestId{5}, {"shop", {}});
  core.subscribe(RequestId{6}, {kItem, Scope::kType});
  hear(Refused{RequestId{5}, Refusal::kSchemaMismatch, "no"});
  hear(Refused{RequestId{6}, Refusal::kUnknownType, "no"});
  BOOST_TEST((news() == Lines{"answer 5 refused", "answer 6 refused"}));
  BOOST_TEST(!core.is_closed());
}

BOOST_AUTO_TEST_CASE(the_catalogue_is_asked_for_page_by_page) {
  be_in_shop();
  said();
  core.list_types(RequestId{7});
  BOOST_TEST((said() == Lines{"ListTypes"}));
  hear(TypeList{RequestId{7}, false, {mapped_item(1)}});
  BOOST_TEST((said() == Lines{"ListTypes"}));
  MappedType other = mapped_item(2);
  other.name = "Other";
  hear(TypeList{RequestId{7}, true, {other}});
  BOOST_TEST((news() == Lines{"types 7: 2"}));
  core.list_types(RequestId{8});
  hear(Refused{RequestId{8}, Refusal::kTooLarge, "no"});
  BOOST_TEST((news() == Lines{"answer 8 refused"}));
  BOOST_TEST(!core.is_closed());
}

BOOST_AUTO_TEST_CASE(lists_of_types_that_nobody_can_mean_are_breaches) {
  for (const TypeList& wrong : {TypeList{RequestId{9}, true, {}}, TypeList{RequestId{7}, true, {mapped_item(2)}},
                                TypeList{RequestId{7}, false, {}}}) {
    ClientFixture f;
    f.be_in_shop();
    f.core.list_types(RequestId{7});
    f.hear(wrong);
    BOOST_TEST(f.broke_the_protocol());
  }
}

// ---- time and ends

BOOST_AUTO_TEST_CASE(a_silent_server_is_given_up_and_a_lively_one_hears_heartbeats) {  // D26
  be_welcome();
  said();
  for (int i = 1; i < limits::kHeartbeatsMissedMax; ++i) {
    now.us += 5'000'000;
    core.tick(now);
    BOOST_TEST((said() == Lines{"Heartbeat"}));
  }
  now.us += 5'000'000;
  core.tick(now);
  BOOST_TEST((told.closed->code() == Code::kDisconnected));
}

BOOST_AUTO_TEST_CASE(every_farewell_has_its_code) {
  std::map<Farewell, Code> codes{{Farewell::kStopping, Code::kDisconnected},
                                 {Farewell::kAuthentication, Code::kAuthentication},
                                 {Farewell::kVersion, Code::kVersionMismatch},
                                 {Farewell::kTooSlow, Code::kDisconnected}};
  for (auto [farewell, code] : codes) {
    for (bool is_welcome : {false, true}) {
      ClientFixture f;
      if (is_welcome) f.be_welcome();
      f.hear(ServerGoodbye{farewell, "because"});
      BOOST_TEST((f.told.closed->code() == code));
      BOOST_TEST(f.told.closed->message().find("because") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(leaving_says_goodbye_behind_everything_that_waits) {
  be_welcome();
  said();
  core.flush(RequestId{1});
  core.leave();
  BOOST_TEST(core.has_output());
  BOOST_TEST((said() == Lines{"Flush", "Goodbye"}));
  BOOST_TEST((told.closed->code() == Code::kDisconnected));
  hear(ServerHello{1, 1});
  core.disconnected("again");
  core.tick(now);
}

BOOST_AUTO_TEST_CASE(what_is_here_can_be_read_after_the_end) {
  Table& items = be_subscribed();
  View view(core.store());
  core.disconnected("cable cut");
  BOOST_TEST((view.exists(items, ObjectId{1}) == Presence::kHere));
  BOOST_TEST(now_in_store().size() == 3u);
}

// ---- servers that do not behave

BOOST_AUTO_TEST_CASE(every_message_has_an_answer_in_every_state) {  // P2
  for (ClientState state : {ClientState::kGreeting, ClientState::kProving, ClientState::kReady, ClientState::kClosed}) {
    for_each_message([&]<class Message>() {
      BOOST_TEST_CONTEXT(Message::kName << " in state " << static_cast<int>(state)) {
        ClientFixture f;
        if (state == ClientState::kProving) f.hear(ServerHello{1, limits::kFrameBytesMax});
        if (state >= ClientState::kReady) f.be_welcome();
        if (state == ClientState::kClosed) f.core.disconnected("gone");
        std::optional<Status> closed_before = f.told.closed;
        f.hear(Message{});
        bool is_refused =
            f.told.closed.has_value() && f.told.closed->message().find("may not come now") != std::string::npos;
        BOOST_TEST(is_refused == (answer_of(state, Message::kKind) == Answer::kRefuse));
        if (closed_before) BOOST_TEST(f.told.closed->message() == closed_before->message());
      }
    });
  }
}

/// What a server may not do to a client that is subscribed to three items.
struct Misdeed {
  const char* name;
  void (*commit)(ClientFixture&);
};

const Misdeed kMisdeeds[] = {
    {"a transaction again", [](ClientFixture& f) { f.hear(f.section(10, Records().erase(1))); }},
    {"a creation of what is here", [](ClientFixture& f) { f.hear(f.section(11, Records().create(1, {"cup", 1, 1}))); }},
    {"a write to what is not here",
     [](ClientFixture& f) { f.hear(f.section(11, Records().update(9, kShelf, int_value(1)))); }},
    {"a deletion of what is not here", [](ClientFixture& f) { f.hear(f.section(11, Records().erase(9))); }},
    {"a whole row in a section", [](ClientFixture& f) { f.hear(f.section(11, Records().whole(9, {"cup", 1, 1}))); }},
    {"an unknown type", [](ClientFixture& f) { f.hear(f.section(11, Records().erase(9, TypeId{5}))); }},
    {"malformed records", [](ClientFixture& f) { f.hear(Section{TransactionId{11}, true, "garbage"}); }},
    {"sections that are interrupted",
     [](ClientFixture& f) {
       f.hear(f.section(11, Records().erase(1), false)), f.hear(ServerHeartbeat{TransactionId{12}});
     }},
    {"sections that are mixed",
     [](ClientFixture& f) {
       f.hear(f.section(11, Records().erase(1), false)), f.hear(f.section(12, Records().erase(2)));
     }},
    {"a piece of no subscription", [](ClientFixture& f) { f.hear(Piece{RequestId{77}, {}}); }},
    {"a piece behind its end",
     [](ClientFixture& f) { f.hear(Piece{RequestId{2}, Records().whole(4, {"x", 1, 1}).bytes}); }},
    {"the end of no subscription", [](ClientFixture& f) { f.hear(Complete{RequestId{2}, TransactionId{12}}); }},
    {"the result of no commit", [](ClientFixture& f) { f.hear(CommitResult{}); }},
    {"a result that comes twice",
     [](ClientFixture& f) {
       f.core.commit(Batch{TransactionId{10}, {Records().erase(1).bytes}, {}, false});
       f.core.commit(Batch{TransactionId{10}, {Records().erase(1).bytes}, {}, false});
       CommitResult result;
       result.seq = CommitSeq{1};
       f.hear(result), f.hear(result);
     }},
    {"the end of no flush", [](ClientFixture& f) { f.hear(Flushed{RequestId{2}, TransactionId{11}}); }},
    {"a flush that ends twice",
     [](ClientFixture& f) {
       f.core.flush(RequestId{5});
       f.hear(Flushed{RequestId{5}, TransactionId{11}}), f.hear(Flushed{RequestId{5}, TransactionId{11}});
     }},
    {"a mapping of no definition", [](ClientFixture& f) { f.hear(SchemaMapping{RequestId{9}, {}, {}}); }},
    {"a refusal of no request", [](ClientFixture& f) { f.hear(Refused{RequestId{9}, Refusal::kUnknownType, ""}); }},
    {"no block of identities", [](ClientFixture& f) { f.hear(IdentityBlock{ObjectId{5}}); }},
    {"a block of identities again", [](ClientFixture& f) { f.hear(IdentityBlock{ObjectId{kBlock}}); }},
    {"a block of identities behind the end of numbers",
     [](ClientFixture& f) { f.hear(IdentityBlock{ObjectId{INT64_MAX / kBlock * kBlock}}); }},
    {"a frame over the limit", [](ClientFixture& f) { f.hear_bytes("\x7f\1\1\1"); }},
};

BOOST_AUTO_TEST_CASE(a_server_that_breaks_the_protocol_is_left_and_nothing_of_it_is_seen) {
  for (const Misdeed& misdeed : kMisdeeds) {
    BOOST_TEST_CONTEXT(misdeed.name) {
      ClientFixture f;
      Table& items = f.be_subscribed();
      View before(f.core.store());
      misdeed.commit(f);
      BOOST_TEST(f.broke_the_protocol());
      BOOST_TEST(f.now_in_store().size() == 3u);
      BOOST_TEST(items_at(items, before.version().step).size() == 3u);
      f.core.tick(f.now);
    }
  }
}

BOOST_AUTO_TEST_CASE(records_outside_of_what_is_covered_are_a_breach) {
  be_in_shop();
  hear(section(11, Records().create(1, {"cup", 1, 1})));
  BOOST_TEST(broke_the_protocol());
}

BOOST_AUTO_TEST_CASE(a_subscription_that_ends_in_the_past_is_a_breach) {
  be_in_shop();
  core.subscribe(RequestId{2}, {kItem, Scope::kType});
  hear(Complete{RequestId{2}, TransactionId{9}});
  BOOST_TEST(broke_the_protocol());
}

BOOST_AUTO_TEST_CASE(pieces_hold_whole_rows_of_their_type_only) {
  for (const Records& wrong :
       {Records().create(1, {"cup", 1, 1}), Records().erase(1), Records().row(Op::kWhole, TypeId{2}, 1, {})}) {
    ClientFixture f;
    f.be_in_shop();
    f.core.subscribe(RequestId{2}, {kItem, Scope::kType});
    f.hear(Piece{RequestId{2}, wrong.bytes});
    BOOST_TEST(f.broke_the_protocol());
  }
}

BOOST_AUTO_TEST_CASE(mappings_that_make_no_sense_are_breaches) {
  auto with = [](auto&& change) {
    MappedType type = mapped_item();
    change(type);
    return type;
  };
  std::vector<FieldId> many_fields(limits::kFieldsPerIndexMax + 1, kShelf);
  for (const MappedType& wrong :
       {with([](MappedType& t) { t.id = TypeId{0}; }),
        with([](MappedType& t) { t.id = TypeId{limits::kTypeIdMax + 1}; }),
        with([](MappedType& t) { t.fields[0].type = "nonsense"; }),
        with([](MappedType& t) { t.fields[0].default_value = ""; }),
        with([](MappedType& t) { t.fields[0].default_value = "\x81"; }),
        with([](MappedType& t) { t.indexes[0].fields = {}; }),
        with([](MappedType& t) { t.indexes[0].fields = {FieldId{3}}; }),
        with([&](MappedType& t) { t.indexes[0].fields = many_fields; }),
        with([](MappedType& t) { t.fields.resize(limits::kFieldsPerTypeMax + 1, t.fields[0]); }),
        with([](MappedType& t) { t.indexes.resize(limits::kIndexesPerTypeMax + 1, t.indexes[0]); }),
        with([](MappedType& t) { t.fields.pop_back(), t.indexes.pop_back(); }),
        with([](MappedType& t) { t.indexes.pop_back(); }), with([](MappedType& t) { t.name = "Thing"; }),
        with([](MappedType& t) { t.fields[1].name = "row"; })}) {
    ClientFixture f;
    f.be_subscribed();
    f.core.define_schema(RequestId{9}, {"shop", {}});
    f.hear(SchemaMapping{RequestId{9}, {}, {wrong}});
    BOOST_TEST(f.broke_the_protocol());
  }
}

BOOST_AUTO_TEST_CASE(a_version_that_was_not_offered_is_a_breach) {
  hear(ServerHello{2, limits::kFrameBytesMax});
  BOOST_TEST(broke_the_protocol());
}

BOOST_AUTO_TEST_CASE(before_the_welcome_frames_are_small) {  // D29
  hear_bytes(frame_of(MessageKind::kServerHello, Bytes(limits::kUnauthenticatedFrameBytesMax, 'x')).substr(0, 4));
  BOOST_TEST(broke_the_protocol());
}

/// Accepts nothing: a server that cannot prove that it knows the token.
struct Sceptic : ClientAuthentication {
  std::string method() const override { return "sceptic"; }
  Bytes start() override { return "prove it"; }
  AuthStep advance(BytesView) override { return {AuthVerdict::kRefused, {}}; }
};

BOOST_AUTO_TEST_CASE(a_server_that_does_not_prove_itself_gets_nothing) {  // D31
  for (bool is_trying : {false, true}) {
    Told told_here;
    ClientCore client(std::make_unique<Sceptic>(), told_here);
    client.connected(now);
    client.flush(RequestId{1});
    client.received(framed(ServerHello{1, limits::kFrameBytesMax}), now);
    client.received(is_trying ? framed(ServerAuth{"proof"}) : framed(welcome_message()), now);
    BOOST_TEST((told_here.closed->code() == Code::kAuthentication));
    for (const KeptFrame& frame : frames_in(client.take_output())) BOOST_TEST(!frame.is<Flush>());
  }
}

BOOST_AUTO_TEST_CASE(garbage_never_does_more_than_close) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      ClientFixture f;
      if (below(random, 8) > 0) f.be_subscribed();
      f.core.flush(RequestId{5});
      if (f.core.store()->table(kItem) != nullptr) f.core.subscribe(RequestId{6}, {kItem, Scope::kType});
      for (int i = 0; i < 40 && !f.core.is_closed(); ++i) {
        Records records;
        Item item{"x", below(random, 3), below(random, 3)};
        int64_t object = below(random, 3) > 0 ? 1 + below(random, 6) : kBlock + below(random, 100);
        switch (below(random, 4)) {
          case 0: records.create(object, item); break;
          case 1: records.update(object, kShelf, int_value(item.shelf)); break;
          case 2: records.erase(object); break;
          case 3: records.whole(object, item); break;
        }
        Bytes bytes =
            framed(f.section(static_cast<uint64_t>(11 + i + below(random, 2)), records, below(random, 4) > 0));
        for_each_message([&]<class Message>() {
          if (below(random, 60) > 0) return;
          RandomFields fields(random);
          Message message;
          message.each(fields);
          bytes = framed(message);
        });
        if (below(random, 10) == 0)
          bytes[static_cast<size_t>(below(random, static_cast<int64_t>(bytes.size())))] ^=
              static_cast<char>(1 << below(random, 8));
        f.hear_bytes(bytes);
        f.core.tick(f.now);
      }
      BOOST_TEST((!f.core.is_closed() || f.told.closed.has_value()));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_healthy_stream_cut_anywhere_is_the_same_stream) {
  Bytes stream = framed(ServerHello{1, limits::kFrameBytesMax}) + framed(welcome_message()) +
                 framed(SchemaMapping{RequestId{1}, {}, {mapped_item()}}) +
                 framed(section(11, Records().create(kBlock + 64, {"cup", 1, 1}))) +
                 framed(Flushed{RequestId{2}, TransactionId{12}});
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      ClientFixture f;
      f.core.define_schema(RequestId{1}, {"shop", {}});
      f.core.flush(RequestId{2});
      for (BytesView rest = stream; !rest.empty();) {
        size_t size = std::min(rest.size(), static_cast<size_t>(below(random, 40)));
        f.hear_bytes(rest.substr(0, size));
        rest.remove_prefix(size);
      }
      BOOST_TEST((f.news() == Lines{"welcome at 10", "answer 1", "answer 2"}));
      BOOST_TEST(f.now_in_store().size() == 1u);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
