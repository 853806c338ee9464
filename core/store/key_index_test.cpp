/// Indexes against a model that keeps every version, with memory given back as the store does it.
#include "core/store/key_index.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <set>

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
    now_[key].insert(object);
  }
  void remove(const Bytes& key, ObjectId object) {
    index_.remove(key, object, making());
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
    index_.for_each_member(step, [&](BytesView, ObjectId) { ++count; });
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
  BOOST_TEST(index.key_count() == 0u);  // every dead entry was found again
}

BOOST_AUTO_TEST_SUITE(key_index)

BOOST_AUTO_TEST_CASE(a_member_is_seen_between_its_steps_only) {  // the worked example of the header
  Limbo limbo;
  KeyIndex index;
  index.insert("k", ObjectId{7}, Step{3}, limbo);
  index.remove("k", ObjectId{7}, Step{5});
  index.insert("k", ObjectId{7}, Step{6}, limbo);
  std::vector<size_t> counts;
  for (uint64_t step = 2; step <= 7; ++step) counts.push_back(members(index, "k", Step{step}).size());
  BOOST_TEST(counts == (std::vector<size_t>{0, 1, 1, 0, 1, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(members_come_in_ascending_identity_whatever_the_order_they_entered) {
  Limbo limbo;
  KeyIndex index;
  std::vector<ObjectId> expected;
  for (int64_t object = 1; object <= 1000; ++object) expected.push_back(ObjectId{object});
  for (int64_t i = 0; i < 1000; ++i) index.insert("k", ObjectId{1 + i * 379 % 1000}, Step{2}, limbo);
  BOOST_TEST((members(index, "k", Step{2}) == expected));
}

BOOST_AUTO_TEST_CASE(a_lookup_stops_when_told_to) {
  Limbo limbo;
  KeyIndex index;
  for (int64_t object = 1; object <= 500; ++object) index.insert("k", ObjectId{object}, Step{2}, limbo);
  int calls = 0;
  index.for_each("k", Step{2}, [&](ObjectId) { return ++calls < 3; });
  BOOST_TEST(calls == 3);
}

BOOST_AUTO_TEST_CASE(removing_what_is_no_member_is_a_broken_invariant) {
  Limbo limbo;
  KeyIndex index;
  BOOST_CHECK_THROW(index.remove("k", ObjectId{1}, Step{2}), InternalError);
  index.insert("k", ObjectId{1}, Step{2}, limbo);
  index.insert("k", ObjectId{3}, Step{2}, limbo);
  BOOST_CHECK_THROW(index.remove("k", ObjectId{2}, Step{3}), InternalError);
  index.remove("k", ObjectId{1}, Step{3});
  BOOST_CHECK_THROW(index.remove("k", ObjectId{1}, Step{3}), InternalError);
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
