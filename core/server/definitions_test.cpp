/// Indexes that are added to a type with objects (D17): definitions wait for them, commits go on.
#include <boost/test/unit_test.hpp>

#include "core/server/server_testing.h"
#include "core/view/read_set.h"

namespace odb {
namespace {

using namespace odb::testing;

ServerOptions slow_filling(size_t memory_bytes_max = SIZE_MAX) {
  ServerOptions with = options();
  with.backfill_objects = 4;
  with.memory_bytes_max = memory_bytes_max;
  return with;
}

struct DefinitionsFixture : ServerFixture {
  explicit DefinitionsFixture(ServerOptions with = slow_filling()) : ServerFixture(std::move(with)) {
    writer = join_shop();
    Records items;
    for (int64_t i = 0; i < 20; ++i) items.create(own(writer, i), {"cup", 1, i % 5});
    commit(writer, items);
    heard(writer);
  }
  SchemaDefinition with_index(bool is_unique = false, std::vector<std::string> fields = {"place"}) const {
    return {"shop",
            {{"Item",
              {{"name", "str", {}}, {"shelf", "int", {}}, {"place", "int", {}}},
              {{"shelf", {"shelf"}}, {"spot", {"shelf", "place"}}, {"added", std::move(fields), is_unique}}}}};
  }
  void define(ConnectionId id, const SchemaDefinition& definition, uint64_t request = 7) {
    say(id, DefineSchema{RequestId{request}, definition});
  }
  /// To the end, with the server checked after each turn.
  void work_all() {
    while (core.work()) core.check();
  }
  size_t members(int64_t place) const {
    size_t count = 0;
    const Table& items = *core.store().table(kItem);
    items.for_each_in(IndexId{2}, int_value(place), core.store().published().step,
                      [&](ObjectId) { return ++count > 0; });
    return count;
  }
  Bytes read_of_key(int64_t place) const {
    ReadSet reads;
    reads.add_index_key(kItem, IndexId{2}, int_value(place));
    std::vector<Bytes> parts;
    reads.encode(parts, 1 << 20);
    return parts.at(0);
  }
  std::string outcome_of(ConnectionId id, TransactionId as_of, const Records& records, const Bytes& reads) {
    CommitSeq seq{++seqs[id]};
    say(id, CommitPart{seq, records.bytes, reads});
    say(id, CommitEnd{seq, as_of, false});
    run_groups();
    for (const KeptFrame& frame : frames(id)) {
      if (!frame.is<CommitResult>()) continue;
      return std::to_string(static_cast<int>(frame.as<CommitResult>().outcome));
    }
    return "nothing";
  }

  ConnectionId writer;
};

const std::string kAccepted = "0", kConflict = "1", kTooOld = "2";

BOOST_FIXTURE_TEST_SUITE(definitions, DefinitionsFixture)

BOOST_AUTO_TEST_CASE(a_definition_waits_until_its_index_is_made_and_commits_go_on) {
  ConnectionId newer = join();
  define(newer, with_index());
  BOOST_TEST(heard(newer).empty());
  while (core.work()) {
    commit(writer, Records().update(own(writer, 19), kPlace, int_value(77)));
    heard(writer);
    BOOST_TEST(heard(newer).empty());
  }
  BOOST_TEST((heard(newer) == Lines{"SchemaMapping"}));
  core.check();
  BOOST_TEST(members(77) == 1u);
  BOOST_TEST(members(1) == 4u);
  commit(writer, Records().update(own(writer, 1), kPlace, int_value(77)));  // by a program that does not know it
  BOOST_TEST(members(77) == 2u);
}

BOOST_AUTO_TEST_CASE(reads_of_a_new_index_count_from_its_transaction_on) {
  ConnectionId newer = join();
  TransactionId before = core.store().published().tid;
  define(newer, with_index());
  commit(writer, Records().update(own(writer, 0), kPlace, int_value(9)));
  work_all();
  TransactionId since;
  for (const KeptFrame& frame : frames(newer))
    if (frame.is<SchemaMapping>()) since = frame.as<SchemaMapping>().through;
  BOOST_TEST((since == core.store().published().tid));
  BOOST_TEST((before < since));
  auto create = [&](int64_t number) { return Records().create(own(newer, number), {"new", 1, 100}); };
  BOOST_TEST(outcome_of(newer, before, create(0), read_of_key(3)) == kTooOld);
  BOOST_TEST(outcome_of(newer, since, create(1), read_of_key(3)) == kAccepted);
  commit(writer, Records().update(own(writer, 1), kPlace, int_value(3)));
  BOOST_TEST(outcome_of(newer, since, create(2), read_of_key(3)) == kConflict);
}

BOOST_AUTO_TEST_CASE(members_of_the_group_in_flight_are_in_an_index_that_is_taken_meanwhile) {
  ConnectionId newer = join();
  define(newer, with_index());
  while (core.work()) {}
  frames(newer);
  ConnectionId newest = join();
  send_commit(writer, Records().update(own(writer, 2), kPlace, int_value(55)));
  BOOST_TEST(core.start_group());
  define(newest, with_index(false, {"name", "place"}), 8);  // another program calls another index "added"
  BOOST_TEST((heard(newest) == Lines{"Refused 8"}));
  SchemaDefinition other = with_index(false, {"name", "place"});
  other.types[0].indexes[2].name = "other";
  define(newest, other, 9);
  work_all();
  BOOST_TEST((heard(newest) == Lines{"SchemaMapping"}));
  core.finish_group(true);
  core.check();
  BOOST_TEST(members(55) == 1u);
}

BOOST_AUTO_TEST_CASE(two_programs_that_bring_the_same_index_share_the_work) {
  ConnectionId one = join(), other = join();
  define(one, with_index());
  define(other, with_index());
  BOOST_TEST(core.store().build_count() == 1u);
  work_all();
  BOOST_TEST((heard(one) == Lines{"SchemaMapping"}));
  BOOST_TEST((heard(other) == Lines{"SchemaMapping"}));
  BOOST_TEST(core.store().table(kItem)->layout().indexes.size() == 3u);
}

BOOST_AUTO_TEST_CASE(an_index_that_nobody_waits_for_any_more_is_dropped) {
  ConnectionId one = join(), other = join();
  define(one, with_index());
  define(other, with_index());
  core.work();
  core.disconnected(one);
  BOOST_TEST(core.store().build_count() == 1u);
  core.check();
  core.disconnected(other);
  BOOST_TEST(core.store().build_count() == 0u);
  core.check();
  BOOST_TEST(!core.work());
  BOOST_TEST(core.store().table(kItem)->layout().indexes.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_unique_index_is_refused_at_the_first_clash_and_leaves_nothing) {
  ConnectionId newer = join();
  define(newer, with_index(true));
  work_all();
  BOOST_TEST((heard(newer) == Lines{"Refused 7"}));
  BOOST_TEST(core.store().build_count() == 0u);
  core.check();
  for (int64_t i = 0; i < 20; ++i) commit(writer, Records().update(own(writer, i), kPlace, int_value(i)));
  define(newer, with_index(true));
  commit(writer, Records().update(own(writer, 0), kPlace, int_value(40)));
  core.work();
  commit(writer, Records().update(own(writer, 0), kPlace, int_value(1)));  // while it is being made
  work_all();
  BOOST_TEST((heard(newer) == Lines{"Refused 7"}));
  commit(writer, Records().update(own(writer, 0), kPlace, int_value(0)));
  define(newer, with_index(true));
  work_all();
  BOOST_TEST((heard(newer) == Lines{"SchemaMapping"}));
  heard(writer);
  commit(writer, Records().update(own(writer, 0), kPlace, int_value(1)));
  BOOST_TEST(members(1) == 1u);
  core.check();
}

BOOST_AUTO_TEST_CASE(a_unique_index_waits_for_the_group_in_flight_too) {
  for (int64_t i = 0; i < 20; ++i) commit(writer, Records().update(own(writer, i), kPlace, int_value(i)));
  ConnectionId newer = join();
  send_commit(writer, Records().update(own(writer, 0), kPlace, int_value(1)));
  BOOST_TEST(core.start_group());
  define(newer, with_index(true));
  work_all();
  BOOST_TEST(heard(newer).empty());
  core.finish_group(true);
  BOOST_TEST((heard(newer) == Lines{"Refused 7"}));
  core.check();
}

BOOST_AUTO_TEST_CASE(definitions_that_wait_are_few_for_each_connection) {
  ConnectionId newer = join();
  for (uint64_t i = 0; i <= limits::kDefinitionsHeldMax; ++i) {
    SchemaDefinition definition = with_index();
    definition.types[0].indexes[2].name += std::to_string(i);
    define(newer, definition, 10 + i);
  }
  BOOST_TEST((heard(newer) == Lines{"Refused " + std::to_string(10 + limits::kDefinitionsHeldMax)}));
  work_all();
  BOOST_TEST(heard(newer).size() == limits::kDefinitionsHeldMax);
  core.check();
}

BOOST_AUTO_TEST_CASE(a_full_server_takes_no_index) {
  DefinitionsFixture full(slow_filling(core.store().bytes() + 300));
  ConnectionId newer = full.join();
  size_t bytes = full.core.store().bytes();
  full.define(newer, full.with_index());
  full.work_all();
  std::vector<KeptFrame> answers = full.frames(newer);
  BOOST_REQUIRE(answers.size() == 1u);
  BOOST_TEST(answers[0].as<Refused>().message.find("--memory-max") != std::string::npos);
  BOOST_TEST(full.core.store().bytes() == bytes);
  full.core.check();
}

BOOST_AUTO_TEST_CASE(the_catalogue_is_told_page_by_page) {
  SchemaDefinition large{"large", {}};
  for (int i = 0; i < 300; ++i) {
    TypeDefinition type{"Type" + std::to_string(i), {}, {}};
    for (int f = 0; f < 10; ++f) type.fields.push_back({std::string(100, 'f') + std::to_string(f), "int", {}});
    large.types.push_back(type);
  }
  define(writer, large);
  BOOST_TEST((heard(writer) == Lines{"SchemaMapping"}));
  std::vector<MappedType> types;
  int pages = 0;
  for (bool is_last = false; !is_last; ++pages) {
    say(writer, ListTypes{RequestId{9}, types.empty() ? TypeId{0} : types.back().id});
    std::vector<KeptFrame> answers = frames(writer);
    BOOST_REQUIRE(answers.size() == 1u);
    auto page = answers[0].as<TypeList>();
    BOOST_TEST(answers[0].payload.size() < 2 * limits::kPieceBytes);
    types.insert(types.end(), page.types.begin(), page.types.end());
    is_last = page.is_last;
  }
  BOOST_TEST(pages > 3);
  BOOST_TEST(types.size() == 301u);
  BOOST_TEST(types.back().name == "Type299");
  say(writer, ListTypes{RequestId{9}, TypeId{UINT32_MAX}});
  BOOST_TEST(frames(writer).at(0).as<TypeList>().types.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
