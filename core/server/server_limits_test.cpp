/// The limits that the server keeps for the good of all (D29): uploads, requests, outboxes, memory.
#include <boost/test/unit_test.hpp>

#include "core/server/server_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

BOOST_FIXTURE_TEST_SUITE(server_limits, ServerFixture)

/// Records that create `count` items of about a mebibyte each.
Records large_items(int64_t first, int64_t count) {
  Records records;
  for (int64_t i = 0; i < count; ++i) records.create(first + i, {std::string(1 << 20, 'x'), 1, i});
  return records;
}

BOOST_AUTO_TEST_CASE(where_too_much_is_sent_at_once_a_large_commit_is_refused_and_a_small_one_is_not) {
  ServerOptions small = options();
  small.uploads_bytes_max = 8 << 20;
  ServerFixture f(small);
  ConnectionId first = f.join_shop(), second = f.join_shop();
  f.say(first, CommitPart{CommitSeq{1}, large_items(f.own(first, 64), 5).bytes, {}});
  f.send_commit(second, Records().create(f.own(second, 64), {"cup", 1, 1}));
  f.send_commit(second, large_items(f.own(second, 65), 5));
  f.send_commit(second, Records().create(f.own(second, 70), {"jug", 1, 1}));
  f.run_groups();
  std::vector<KeptFrame> answers;
  for (KeptFrame& frame : f.frames(second))
    if (frame.is<CommitResult>()) answers.push_back(std::move(frame));
  BOOST_TEST_REQUIRE(answers.size() == 3u);  // in the order of the commits
  BOOST_TEST(told(answers[0]) == "CommitResult 1 accepted as 1 through 1");
  BOOST_TEST(told(answers[1]).starts_with("CommitResult 2 too large"));
  BOOST_TEST(answers[1].as<CommitResult>().message.find("too many large transactions") == 0u);
  BOOST_TEST(told(answers[2]).starts_with("CommitResult 3 accepted as 2"));
  f.say(first, CommitEnd{CommitSeq{1}, {}, false});  // the one that had its room is carried out
  f.run_groups();
  BOOST_TEST(f.heard(first).back() == "CommitResult 1 accepted as 3 through 3");
  f.send_commit(second, large_items(f.own(second, 80), 5));
  f.run_groups();
  BOOST_TEST(f.heard(second).back() == "CommitResult 4 accepted as 4 through 4");
}

BOOST_AUTO_TEST_CASE(frames_that_are_coming_in_count_as_uploads) {
  ServerOptions small = options();
  small.uploads_bytes_max = 20 << 20;
  ServerFixture f(small);
  Bytes most = frame_of(MessageKind::kCommitPart, Bytes(15 << 20, 'x')).substr(0, 14 << 20);
  ConnectionId first = f.join(), second = f.join();
  f.core.received(first, most, f.now);
  BOOST_TEST(f.heard(first).empty());
  f.core.received(second, most, f.now);
  BOOST_TEST((f.heard(second) == Lines{"ServerGoodbye server"}));
  f.core.disconnected(first);
  f.core.disconnected(second);
  f.core.check();
}

BOOST_AUTO_TEST_CASE(a_large_commit_is_checked_while_it_comes_in_wherever_it_is_cut) {
  ConnectionId id = join_shop();
  Bytes bytes = large_items(own(id, 64), 3).bytes;
  size_t cut = 70'001;
  for (size_t at = 0; at < bytes.size(); at += cut)
    say(id, CommitPart{CommitSeq{1}, BytesView(bytes).substr(at, cut), {}});
  say(id, CommitEnd{CommitSeq{1}, {}, false});
  run_groups();
  BOOST_TEST(heard(id).back() == "CommitResult 1 accepted as 1 through 1");
  BOOST_TEST(now_in_store().size() == 3u);
  Bytes twice = large_items(own(id, 80), 1).bytes + large_items(own(id, 80), 1).bytes;
  say(id, CommitPart{CommitSeq{2}, twice, {}});
  BOOST_TEST((heard(id) == Lines{"ServerGoodbye protocol"}));  // before its end
}

BOOST_AUTO_TEST_CASE(who_begins_a_commit_and_does_not_go_on_is_closed) {
  ConnectionId id = join_shop();
  say(id, CommitPart{CommitSeq{1}, Records().create(own(id, 64), {"cup", 1, 1}).bytes, {}});
  for (int i = 0; i < limits::kHeartbeatsMissedMax; ++i) {
    BOOST_TEST(!core.is_closing(id));
    now.us += limits::kHeartbeatUs;
    say(id, Heartbeat{});  // alive, but what it sent is kept for nothing
    core.tick(now);
  }
  BOOST_TEST(heard(id).back() == "ServerGoodbye silent");
}

BOOST_AUTO_TEST_CASE(a_commit_over_a_slow_line_is_waited_for) {
  ConnectionId id = join_shop();
  Records records = Records().create(own(id, 64), {"cup", 1, 1});
  say(id, CommitPart{CommitSeq{1}, records.bytes, {}});
  Bytes next = framed(CommitPart{CommitSeq{1}, Records().create(own(id, 65), {"jug", 1, 1}).bytes, {}});
  for (char byte : next) {
    now.us += limits::kHeartbeatUs;
    core.received(id, BytesView(&byte, 1), now);
    core.tick(now);
  }
  for (int i = 0; i < 10; ++i) {  // now it is not read from, but takes what it is sent
    now.us += limits::kHeartbeatUs;
    core.received(id, {}, now);
    core.tick(now);
  }
  say(id, CommitEnd{CommitSeq{1}, {}, false});
  run_groups();
  BOOST_TEST(heard(id).back() == "CommitResult 1 accepted as 1 through 1");
}

BOOST_AUTO_TEST_CASE(more_flushes_than_anybody_needs_close_the_connection_that_asks) {
  ConnectionId writer = join_subscribed(), greedy = join();
  send_commit(writer, Records().create(own(writer, 64), {"cup", 1, 1}));
  core.start_group();
  Bytes flushes;
  for (uint64_t i = 1; i <= limits::kRequestsWaitingMax; ++i) put_frame(flushes, Flush{RequestId{i}});
  core.received(greedy, flushes, now);
  BOOST_TEST(heard(greedy).empty());
  ConnectionId patient = join();
  core.received(patient, flushes, now);
  say(greedy, Flush{RequestId{limits::kRequestsWaitingMax + 1}});
  BOOST_TEST((heard(greedy) == Lines{"ServerGoodbye server"}));
  core.finish_group(true);
  BOOST_TEST(heard(patient).size() == limits::kRequestsWaitingMax);
  BOOST_TEST(is_alive(patient));
}

BOOST_AUTO_TEST_CASE(more_subscriptions_than_anybody_needs_are_refused) {
  ConnectionId writer = join_shop(), greedy = join_shop();
  commit(writer, large_items(own(writer, 64), 2));
  Bytes requests;
  for (uint64_t i = 2; i < limits::kRequestsWaitingMax + 3; ++i)
    put_frame(requests, Subscribe{RequestId{i}, kItem, Scope::kType});
  core.received(greedy, requests, now);
  BOOST_TEST((heard(greedy) == Lines{"Refused " + std::to_string(limits::kRequestsWaitingMax + 2)}));
  for (size_t turn = 1; core.stream(); ++turn) {
    if (turn % 1024 == 0)
      collect();  // it checks the whole server: 65,536 times would take minutes under ThreadSanitizer
  }
  stream_all();
  BOOST_TEST(is_alive(greedy));
}

// Each of them stays below what one client may have waiting, but together they would fill the memory.
BOOST_AUTO_TEST_CASE(when_too_much_waits_for_all_clients_the_one_furthest_behind_is_closed) {
  ServerOptions small = options();
  small.outboxes_bytes_max = 250'000;
  ServerFixture f(small);
  ConnectionId writer = f.join_subscribed(), far = f.join_subscribed(), near = f.join_shop();
  auto commit_to_nobody_who_reads = [&](int64_t i) {
    f.send_commit(writer, Records().create(f.own(writer, 64 + i), {std::string(20'000, 'x'), 1, i}));
    f.run_groups();
    f.core.sent(writer, f.core.take_output(writer).size());
  };
  for (int64_t i = 0; i < 5; ++i) commit_to_nobody_who_reads(i);
  f.subscribe(near);
  while (f.core.stream()) {}
  Bytes kept = f.core.take_output(near);
  f.core.sent(near, kept.size());
  for (int64_t i = 5; i < 9; ++i) commit_to_nobody_who_reads(i);
  BOOST_TEST(f.core.is_closing(far));
  BOOST_TEST(!f.core.is_closing(near));
  BOOST_TEST(!f.core.is_closing(writer));
  f.core.check();
  BOOST_TEST((f.heard(far) == Lines{"ServerGoodbye too slow"}));
  for (int64_t i = 9; i < 13; ++i) commit_to_nobody_who_reads(i);  // what the closed one had does not count any more
  BOOST_TEST(!f.core.is_closing(near));
}

/// A shop with a type without indexes, whose memory is known to the byte.
struct FullServer : ServerFixture {
  explicit FullServer(size_t memory_bytes_max) : ServerFixture(with_limit(memory_bytes_max)) {
    id = join_shop();
    say(id, DefineSchema{RequestId{3}, {"shop", {{"Note", {{"text", "str", {}}}, {}}}}});
    for (int64_t i = 0; i < 2; ++i) results.push_back(write(Op::kCreate, i, 1000));
  }
  static ServerOptions with_limit(size_t memory_bytes_max) {
    ServerOptions limited = options();
    limited.memory_bytes_max = memory_bytes_max;
    return limited;
  }
  CommitResult write(Op op, int64_t number, size_t size) {
    Bytes text = str_value(std::string(size, 'x'));
    Records records;
    if (op == Op::kCreate) records.row(op, TypeId{2}, own(id, 64 + number), {text});
    if (op == Op::kUpdate) records.update(TypeId{2}, own(id, 64 + number), {{FieldId{0}, text}});
    if (op == Op::kDelete) records.erase(own(id, 64 + number), TypeId{2});
    commit(id, records);
    return frames(id).back().as<CommitResult>();
  }
  bool is_accepted(Op op, int64_t number, size_t size = 0) {
    return write(op, number, size).outcome == Outcome::kAccepted;
  }
  ConnectionId id;
  std::vector<CommitResult> results;
};

BOOST_AUTO_TEST_CASE(a_commit_that_needs_more_memory_than_there_may_be_is_refused_to_the_byte) {
  size_t needed = FullServer(SIZE_MAX).core.figures().bytes;
  FullServer enough(needed), too_little(needed - 1);
  BOOST_TEST((enough.results[1].outcome == Outcome::kAccepted));
  BOOST_TEST(enough.core.figures().bytes == needed);
  BOOST_TEST((too_little.results[1].outcome == Outcome::kServerError));
  BOOST_TEST(too_little.results[1].message ==
             "the server's memory is full: with this transaction its objects would take more than the " +
                 std::to_string(needed - 1) +
                 " bytes that it was started with (--memory-max); delete objects, or start it with a larger limit");
  BOOST_TEST(too_little.core.figures().objects == 1u);
}

BOOST_AUTO_TEST_CASE(the_members_of_a_group_share_the_memory_that_is_left) {
  FullServer f(FullServer(SIZE_MAX).core.figures().bytes);
  f.write(Op::kDelete, 1, 0);
  f.write(Op::kUpdate, 0, 1000);  // a step later: what was deleted is gone
  for (int64_t i = 2; i < 4; ++i)
    f.send_commit(f.id, Records().row(Op::kCreate, TypeId{2}, f.own(f.id, 64 + i), {str_value(std::string(900, 'x'))}));
  f.run_groups();
  Lines lines = f.heard(f.id);
  BOOST_TEST_REQUIRE(lines.size() == 3u);
  BOOST_TEST(lines[1].starts_with("CommitResult 5 accepted"));
  BOOST_TEST(lines[2].starts_with("CommitResult 6 server error"));
}

BOOST_AUTO_TEST_CASE(a_full_server_takes_what_needs_no_more_and_deletions_make_room) {
  FullServer f(FullServer(SIZE_MAX).core.figures().bytes);
  BOOST_TEST(!f.is_accepted(Op::kCreate, 2, 1));
  BOOST_TEST(!f.is_accepted(Op::kUpdate, 0, 1100));
  BOOST_TEST(f.is_accepted(Op::kUpdate, 0, 1000));
  BOOST_TEST(f.is_accepted(Op::kUpdate, 0, 500));
  BOOST_TEST(f.is_accepted(Op::kUpdate, 1, 1400));
  BOOST_TEST(!f.is_accepted(Op::kUpdate, 1, 1600));
  BOOST_TEST(f.is_accepted(Op::kDelete, 1));
  BOOST_TEST(f.is_accepted(Op::kCreate, 2, 1000));
}

BOOST_AUTO_TEST_CASE(a_server_with_indexes_is_full_near_its_limit_and_gives_everything_back) {
  constexpr size_t kLimit = 1 << 20;
  ServerFixture f(FullServer::with_limit(kLimit));
  ConnectionId id = f.join_shop();
  size_t empty = f.core.figures().bytes;
  int64_t count = 0;
  for (bool is_full = false; !is_full;) {
    Records records;
    for (int64_t i = 0; i < 10; ++i) records.create(f.own(id, 64 + count + i), {"some text", (count + i) % 100, count});
    f.commit(id, records);
    is_full = f.frames(id).back().as<CommitResult>().outcome != Outcome::kAccepted;
    if (!is_full) count += 10;
    BOOST_TEST_REQUIRE(f.core.figures().bytes < kLimit + kLimit / 16);
  }
  BOOST_TEST(f.core.figures().bytes > kLimit * 15 / 16);
  for (int64_t i = 0; i < count; ++i) f.commit(id, Records().erase(f.own(id, 64 + i)));
  f.core.tick(f.now);
  BOOST_TEST(f.core.figures().bytes <=
             empty + kLimit / 4);  // slots of the indexes are made smaller at their next growth
  BOOST_TEST(f.core.figures().objects == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
