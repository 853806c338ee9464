/// Indexes against a model that keeps every version, with memory given back as the store does it.
#include "core/store/key_index.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <set>

#include "core/base/limits.h"
#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

using Members = std::map<Bytes, std::set<ObjectId>>;

std::vector<ObjectId> members(const KeyIndex& index, BytesView key, Step step) {
  std::vector<ObjectId> found;
  index.for_each(key, step, [&](ObjectId object) {
    found.push_back(object);
    return true;
  });
  return found;
}

/// An index with the bookkeeping of its store: steps, pins, what expires when.
class VersionedIndex {
 public:
  void insert(const Bytes& key, ObjectId object) {
    index_.insert(key, object, making(), limbo_);
    stale_.push_back({making(), key, object});
    now_[key].insert(object);
  }
  void remove(const Bytes& key, ObjectId object) {
    index_.remove(key, object, making(), limbo_);
    stale_.push_back({making(), key, object});
    now_[key].erase(object);
  }
  void publish() {
    Step floor = pinned_.empty() ? last_ : std::min(pinned_.begin()->first, last_);
    expire(floor);
    last_ = making();
    limbo_.free_below(pinned_.empty() ? kNever : pinned_.begin()->first);
    limbo_.start_bucket(last_);
  }
  void pin() { pinned_[last_] = now_; }
  void unpin(size_t position) { pinned_.erase(std::next(pinned_.begin(), static_cast<std::ptrdiff_t>(position))); }
  void unpin_all() {
    pinned_.clear();
    expire(last_);
    limbo_.free_below(kNever);
  }

  void verify(const std::vector<Bytes>& keys) const {
    for (const auto& [step, then] : pinned_) verify(keys, step, then);
    verify(keys, last_, now_);
  }
  /// Of all that is here, settled or not.
  std::vector<bool> settled() const {
    std::vector<bool> found;
    index_.for_each_word([&](BytesView, ObjectId, bool is_settled) { found.push_back(is_settled); });
    return found;
  }
  const Members& now() const { return now_; }
  size_t pin_count() const { return pinned_.size(); }
  size_t key_count() const { return index_.key_count(); }

 private:
  struct Stale {
    Step since;
    Bytes key;
    ObjectId object;
  };
  Step making() const { return Step{last_.value + 1}; }
  void expire(Step floor) {
    for (; !stale_.empty() && stale_.front().since <= floor; stale_.pop_front())
      index_.expire(stale_.front().key, stale_.front().object, floor, limbo_);
  }
  void verify(const std::vector<Bytes>& keys, Step step, const Members& then) const {
    size_t total = 0, count = 0;
    for (const Bytes& key : keys) {
      auto at = then.find(key);
      std::vector<ObjectId> expected;
      if (at != then.end()) expected.assign(at->second.begin(), at->second.end());
      total += expected.size();
      BOOST_TEST_REQUIRE((members(index_, key, step) == expected), "a key differs at step " << step.value);
    }
    if (step != last_) return;
    index_.for_each_word([&](BytesView key, ObjectId object, bool is_settled) {
      auto at = then.find(Bytes(key));
      bool is_member = at != then.end() && at->second.contains(object);
      count += is_member ? 1 : 0;
      BOOST_TEST_REQUIRE((is_member || !is_settled));
    });
    BOOST_TEST_REQUIRE(count == total);
  }

  Limbo limbo_;
  KeyIndex index_;
  Step last_{1};
  Members now_;
  std::map<Step, Members> pinned_;
  std::deque<Stale> stale_;
};

struct Shape {
  int64_t keys;
  int64_t objects;
  int64_t changes_per_step;
  bool is_ascending;  // new members come with growing identities, as creations do
};

void run_random_history(uint64_t seed, Shape shape) {
  Random random(seed);
  VersionedIndex index;
  std::vector<Bytes> keys;
  for (int64_t i = 0; i < shape.keys; ++i) keys.push_back(Item{"", i % 7, i}.key(kByShelfAndPlace));
  auto random_key = [&] { return keys[static_cast<size_t>(below(random, shape.keys))]; };
  int64_t newest = 0;
  for (int i = 0; i < 150; ++i) {
    bool is_shrinking = i % 60 > 40;
    for (int64_t n = below(random, shape.changes_per_step); n >= 0; --n) {
      Bytes key = random_key();
      ObjectId object{1 + (shape.is_ascending ? newest++ : below(random, shape.objects))};
      auto at = index.now().find(key);
      bool is_empty = at == index.now().end() || at->second.empty();
      if (is_shrinking && !is_empty) object = *at->second.begin();
      if (!is_empty && at->second.contains(object)) {
        index.remove(key, object);
      } else if (!is_shrinking) {
        index.insert(key, object);
      }
    }
    index.publish();
    if (below(random, 4) == 0) index.pin();
    if (index.pin_count() > 5) index.unpin(static_cast<size_t>(below(random, 6)));
    if (i % 5 == 0) index.verify(keys);
  }
  index.verify(keys);
  Members rest = index.now();
  for (const auto& [key, objects] : rest)
    for (ObjectId object : objects) index.remove(key, object);
  index.publish();
  index.verify(keys);
  index.unpin_all();
  BOOST_TEST(index.key_count() == 0u);  // every member that has left was found again
}

BOOST_AUTO_TEST_SUITE(key_index)

BOOST_AUTO_TEST_CASE(a_member_is_seen_between_its_steps_only) {  // the worked example of the header
  Limbo limbo;
  KeyIndex index;
  index.insert("k", ObjectId{7}, Step{3}, limbo);
  index.remove("k", ObjectId{7}, Step{5}, limbo);
  index.insert("k", ObjectId{7}, Step{6}, limbo);
  auto told = [&] {
    std::vector<size_t> counts;
    for (uint64_t step = 2; step <= 7; ++step) counts.push_back(members(index, "k", Step{step}).size());
    return counts;
  };
  BOOST_TEST(told() == (std::vector<size_t>{0, 1, 1, 0, 1, 1}), boost::test_tools::per_element());
  index.expire("k", ObjectId{7}, Step{2}, limbo);
  BOOST_TEST(told() == (std::vector<size_t>{0, 1, 1, 0, 1, 1}), boost::test_tools::per_element());
  index.expire("k", ObjectId{7}, Step{4}, limbo);  // (3, 5) is still read
  BOOST_TEST(told() == (std::vector<size_t>{0, 1, 1, 0, 1, 1}), boost::test_tools::per_element());
  index.expire("k", ObjectId{7}, Step{5}, limbo);  // it is not any more
  BOOST_TEST(told() == (std::vector<size_t>{0, 0, 0, 0, 1, 1}), boost::test_tools::per_element());
  index.expire("k", ObjectId{7}, Step{6}, limbo);
  BOOST_TEST(told() == (std::vector<size_t>{1, 1, 1, 1, 1, 1}), boost::test_tools::per_element());
}

/// What every step from 1 to 6 finds of object 7 among others under one key, with the floor rising as far as it may.
class Story {
 public:
  explicit Story(int64_t others) {
    for (int64_t object = 1; object <= others; ++object)
      if (object != 7) index_.insert_settled("k", ObjectId{object}, limbo_);
  }
  Story& insert(uint64_t step) {
    index_.insert("k", ObjectId{7}, Step{step}, limbo_);
    return *this;
  }
  Story& remove(uint64_t step) {
    index_.remove("k", ObjectId{7}, Step{step}, limbo_);
    return *this;
  }
  Story& expire(uint64_t floor) {
    index_.expire("k", ObjectId{7}, Step{floor}, limbo_);
    return *this;
  }
  std::string told() const {
    std::string out;
    for (uint64_t step = 1; step <= 6; ++step) {
      bool is_member = false;
      index_.for_each("k", Step{step}, [&](ObjectId object) { return !(is_member = object == ObjectId{7}); });
      out += is_member ? '7' : '.';
    }
    return out;
  }

 private:
  Limbo limbo_;
  KeyIndex index_;
};

BOOST_AUTO_TEST_CASE(a_member_is_told_by_its_steps_alone_and_beside_few_and_many_others) {
  for (int64_t others : {0, 1, 2, 8, 127, 128, 129, 500}) {
    BOOST_TEST_CONTEXT(others << " others") {
      BOOST_TEST(Story(others).insert(3).told() == "..7777");                                // young
      BOOST_TEST(Story(others).insert(3).expire(2).told() == "..7777");                      // not yet settled
      BOOST_TEST(Story(others).insert(3).expire(3).told() == "777777");                      // settled
      BOOST_TEST(Story(others).insert(1).expire(1).remove(4).told() == "777...");            // settled, then removed
      BOOST_TEST(Story(others).insert(1).expire(1).remove(4).expire(3).told() == "777...");  // still read
      BOOST_TEST(Story(others).insert(1).expire(1).remove(4).expire(4).told() == "......");  // gone
      BOOST_TEST(Story(others).insert(2).remove(4).told() == ".77...");                      // removed before settled
      BOOST_TEST(Story(others).insert(2).remove(4).expire(2).told() == ".77...");
      BOOST_TEST(Story(others).insert(2).remove(4).expire(4).told() == "......");
      BOOST_TEST(Story(others).insert(2).remove(2).told() == "......");            // came and left in one step
      BOOST_TEST(Story(others).insert(2).remove(4).insert(4).told() == ".77777");  // left and came in one step
      BOOST_TEST(Story(others).insert(2).remove(4).insert(4).remove(4).told() == ".77...");
      BOOST_TEST(Story(others).insert(2).remove(4).insert(5).remove(5).told() == ".77...");
      BOOST_TEST(Story(others).insert(2).remove(3).insert(5).told() == ".7..77");  // again in a later step
      BOOST_TEST(Story(others).insert(2).remove(3).insert(5).expire(3).told() == "....77");
      BOOST_TEST(Story(others).insert(2).remove(3).expire(3).insert(5).told() == "....77");  // once it was gone
      BOOST_TEST(Story(others).insert(1).expire(1).remove(2).insert(4).remove(5).told() == "7..7..");
      BOOST_TEST(Story(others).insert(1).remove(2).insert(3).remove(4).insert(5).expire(3).told() == "..7.77");
    }
  }
}

BOOST_AUTO_TEST_CASE(members_are_settled_when_the_floor_has_passed_them) {
  VersionedIndex index;
  index.insert("k", ObjectId{1});
  index.insert("k", ObjectId{2});
  index.insert("l", ObjectId{2});
  index.publish();
  BOOST_TEST(index.settled() == std::vector<bool>(3, false), boost::test_tools::per_element());
  index.pin();
  index.publish();
  BOOST_TEST(index.settled() == std::vector<bool>(3, true), boost::test_tools::per_element());
  index.remove("k", ObjectId{2});
  BOOST_TEST(std::ranges::count(index.settled(), false) == 1);
  index.insert("k", ObjectId{2});  // in the same step: it never left
  BOOST_TEST(index.settled() == std::vector<bool>(3, true), boost::test_tools::per_element());
  index.verify({"k", "l"});
}

BOOST_AUTO_TEST_CASE(members_come_in_ascending_identity_whatever_the_order_they_entered) {
  Limbo limbo;
  KeyIndex index;
  std::vector<ObjectId> expected;
  for (int64_t object = 1; object <= 1000; ++object) expected.push_back(ObjectId{object});
  for (int64_t i = 0; i < 1000; ++i) index.insert("k", ObjectId{1 + i * 379 % 1000}, Step{2}, limbo);
  BOOST_TEST((members(index, "k", Step{2}) == expected));
}

BOOST_AUTO_TEST_CASE(a_lookup_begins_and_stops_where_it_is_told_to) {
  Limbo limbo;
  KeyIndex index;
  for (int64_t object = 1; object <= 500; ++object) index.insert("k", ObjectId{10 * object}, Step{2}, limbo);
  std::vector<int64_t> found;
  auto add = [&](ObjectId object) {
    found.push_back(object.value);
    return found.size() < 3;
  };
  index.for_each("k", Step{2}, add, ObjectId{4971});
  index.for_each("k", Step{2}, add, ObjectId{5001});
  BOOST_TEST(found == (std::vector<int64_t>{4980, 4990, 5000}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_a_broken_invariant) {
  Limbo limbo;
  KeyIndex index;
  BOOST_CHECK_THROW(index.remove("k", ObjectId{1}, Step{2}, limbo), InternalError);
  for (int64_t object : {1, 3, 5}) index.insert("k", ObjectId{object}, Step{2}, limbo);
  BOOST_CHECK_THROW(index.insert("k", ObjectId{3}, Step{3}, limbo), InternalError);
  BOOST_CHECK_THROW(index.remove("k", ObjectId{2}, Step{3}, limbo), InternalError);
  index.remove("k", ObjectId{1}, Step{3}, limbo);
  BOOST_CHECK_THROW(index.remove("k", ObjectId{1}, Step{3}, limbo), InternalError);
  BOOST_CHECK_THROW(index.start_at(Step{3}, limbo), InternalError);
  BOOST_CHECK_THROW(index.insert("k", ObjectId{limits::kIdentityMax + 1}, Step{3}, limbo), InternalError);
  index.insert("k", ObjectId{limits::kIdentityMax}, Step{3}, limbo);
  index.expire("k", ObjectId{limits::kIdentityMax}, Step{3}, limbo);
  BOOST_TEST((members(index, "k", Step{3}).back() == ObjectId{limits::kIdentityMax}));
}

BOOST_AUTO_TEST_CASE(an_empty_index_can_start_at_a_step_and_is_empty_before_it) {
  Limbo limbo, at_once(true);
  KeyIndex index;
  index.insert_settled("k", ObjectId{1}, limbo);
  index.erase("k", ObjectId{1}, limbo);
  index.start_at(Step{5}, limbo);
  for (int64_t object = 1; object <= 1000; ++object) {
    index.insert_settled("k", ObjectId{object}, at_once);
    index.insert_settled(std::to_string(object), ObjectId{object}, at_once);
  }
  BOOST_TEST(members(index, "k", Step{4}).empty());
  BOOST_TEST(members(index, "7", Step{4}).empty());
  BOOST_TEST(members(index, "k", Step{5}).size() == 1000u);
  BOOST_TEST(members(index, "7", Step{5}).size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_member_takes_little_memory_and_is_told_so_before_it_comes) {
  Limbo limbo;
  KeyIndex unique, shared;
  size_t told = 0;
  for (int64_t object = 1; object <= 100'000; ++object) {
    told += unique.entry_bytes(int_value(object));
    unique.insert_settled(int_value(object), ObjectId{object}, limbo);
  }
  BOOST_TEST(unique.bytes() <= 48u * 100'000);
  BOOST_TEST(told * 10 >= unique.bytes() * 8);
  BOOST_TEST(told * 10 <= unique.bytes() * 14);
  told = 0;
  for (int64_t object = 1; object <= 100'000; ++object) {
    told += shared.entry_bytes(int_value(object / 100));
    shared.insert_settled(int_value(object / 100), ObjectId{object}, limbo);
  }
  BOOST_TEST(shared.bytes() <= 12u * 100'000);
  BOOST_TEST(told >= shared.bytes());
}

BOOST_AUTO_TEST_CASE(memory_that_was_taken_is_given_back) {
  Limbo limbo;
  KeyIndex index;
  for (uint64_t round = 0; round < 3; ++round) {
    Step step{2 + 2 * round};
    for (int64_t object = 1; object <= 10'000; ++object)
      index.insert(int_value(object % 500), ObjectId{object}, step, limbo);
    size_t young = index.bytes();
    for (int64_t object = 1; object <= 10'000; ++object)
      index.expire(int_value(object % 500), ObjectId{object}, step, limbo);
    BOOST_TEST(index.bytes() + 10'000 * 32 <= young);  // of histories
    for (int64_t object = 1; object <= 10'000; ++object)
      index.remove(int_value(object % 500), ObjectId{object}, Step{step.value + 1}, limbo);
    for (int64_t object = 1; object <= 10'000; ++object)
      index.expire(int_value(object % 500), ObjectId{object}, Step{step.value + 1}, limbo);
    BOOST_TEST(index.key_count() == 0u);
    BOOST_TEST(index.bytes() <= 3u * 8 * 500);  // slots are all that is left
  }
}

BOOST_AUTO_TEST_CASE(room_that_is_reserved_is_not_made_again) {
  Limbo limbo;
  KeyIndex index;
  index.reserve(10'000, limbo);
  size_t slots = index.bytes(), keys = 0;
  for (int64_t object = 1; object <= 10'000; ++object) {
    Bytes key = int_value(object);
    keys += allocated_bytes(16 + key.size());
    index.insert_settled(key, ObjectId{object}, limbo);
  }
  BOOST_TEST(index.bytes() == slots + keys);
}

BOOST_AUTO_TEST_CASE(an_object_that_flickers_fills_chunks_and_is_found_again) {
  VersionedIndex index;
  index.insert("k", ObjectId{1});
  index.insert("k", ObjectId{3});
  index.publish();
  index.pin();  // keeps every dead entry alive: they reach over several chunks
  for (int i = 0; i < 500; ++i) {
    index.insert("k", ObjectId{2});
    index.publish();
    index.remove("k", ObjectId{2});
    index.publish();
    if (i % 100 == 0) index.verify({"k"});
  }
  index.unpin_all();
  index.verify({"k"});
}

BOOST_AUTO_TEST_CASE(many_keys_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) run_random_history(seed, {300, 40, 30, false});
}

BOOST_AUTO_TEST_CASE(few_keys_with_many_members_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) run_random_history(seed, {2, 2000, 60, false});
}

BOOST_AUTO_TEST_CASE(few_objects_that_flicker_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) run_random_history(seed, {1, 6, 12, false});
}

BOOST_AUTO_TEST_CASE(ascending_identities_agree_with_a_model_at_every_pinned_step) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) run_random_history(seed, {3, 0, 60, true});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
