/// What the conflict set remembers, and what it says about what it has forgotten.
#include "core/commit/conflict_set.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <random>

#include "core/base/check.h"

namespace odb {
namespace {

constexpr ObjectId kAlice{11}, kBob{12};

BOOST_AUTO_TEST_SUITE(conflict_set)

BOOST_AUTO_TEST_CASE(the_last_write_of_a_key_counts) {
  ConflictSet conflicts(1 << 20);
  conflicts.record(TransactionId{3}, kAlice, {10, 20});
  conflicts.record(TransactionId{5}, kBob, {20});
  BOOST_TEST(conflicts.last_write(10).value == 3u);
  BOOST_TEST(conflicts.last_write(20).value == 5u);
  BOOST_TEST(conflicts.last_write(30).value == 0u);
  BOOST_TEST((conflicts.writer_of(TransactionId{3}) == kAlice));
  BOOST_TEST((conflicts.writer_of(TransactionId{5}) == kBob));
  BOOST_TEST((conflicts.writer_of(TransactionId{4}) == ObjectId{0}));
}

BOOST_AUTO_TEST_CASE(tids_increase) {  // C3
  ConflictSet conflicts(1 << 20);
  conflicts.record(TransactionId{3}, kAlice, {1});
  BOOST_CHECK_THROW(conflicts.record(TransactionId{3}, kAlice, {1}), InternalError);
}

BOOST_AUTO_TEST_CASE(a_full_window_forgets_the_oldest_commits_and_raises_its_floor) {  // C2
  ConflictSet conflicts(1000);
  for (uint64_t tid = 1; tid <= 100; ++tid) conflicts.record(TransactionId{tid}, kAlice, {tid, 1000 + tid % 3});
  BOOST_TEST(conflicts.bytes() <= 1000u);
  uint64_t floor = conflicts.floor().value;
  BOOST_TEST(floor > 50u);
  BOOST_TEST(floor < 100u);
  BOOST_TEST(conflicts.last_write(floor).value == 0u);
  for (uint64_t tid = floor + 1; tid <= 100; ++tid) BOOST_TEST(conflicts.last_write(tid).value == tid);
  for (uint64_t key : {1000u, 1001u, 1002u}) BOOST_TEST(conflicts.last_write(key).value >= 98u);
}

BOOST_AUTO_TEST_CASE(a_commit_larger_than_the_window_is_remembered_all_the_same) {
  ConflictSet conflicts(100);
  std::vector<KeyHash> keys;
  for (KeyHash key = 1; key <= 1000; ++key) keys.push_back(key);
  conflicts.record(TransactionId{1}, kAlice, {77'777});
  conflicts.record(TransactionId{2}, kAlice, keys);
  BOOST_TEST(conflicts.last_write(1000).value == 2u);
  BOOST_TEST(conflicts.floor().value == 1u);
}

BOOST_AUTO_TEST_CASE(keys_of_different_kinds_have_different_hashes) {
  std::map<KeyHash, int> hashes;
  for (int64_t object = 1; object <= 300; ++object)
    for (uint32_t mark = 0; mark < 10; ++mark) ++hashes[object_key_hash(ObjectId{object}, mark)];
  for (uint32_t type = 1; type <= 300; ++type) {
    ++hashes[type_key_hash(TypeId{type})];
    for (uint32_t index = 0; index < 10; ++index) ++hashes[index_key_hash(TypeId{type}, IndexId{index}, "\x81\x05")];
  }
  BOOST_TEST(hashes.size() == 300u * 10 + 300 + 300 * 10);
}

BOOST_AUTO_TEST_CASE(random_windows_never_miss_a_write_above_their_floor) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      ConflictSet conflicts(500 + random() % 5000);
      std::map<KeyHash, uint64_t> model;
      for (uint64_t tid = 1; tid <= 300; ++tid) {
        std::vector<KeyHash> keys;
        for (uint64_t n = random() % 8; n > 0; --n) keys.push_back(random() % 50);
        for (KeyHash key : keys) model[key] = tid;
        conflicts.record(TransactionId{tid}, kAlice, keys);
        for (const auto& [key, written_at] : model)
          BOOST_TEST_REQUIRE(conflicts.last_write(key).value ==
                             (written_at > conflicts.floor().value ? written_at : 0));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
