/// The radix tree of objects against std::map.
#include "core/store/object_tree.h"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <map>

#include "core/store/store_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

using Model = std::map<int64_t, Row*>;
using Visited = std::vector<std::pair<int64_t, const Row*>>;

Visited visited(const ObjectTree& tree, int64_t from = 0) {
  Visited out;
  tree.for_each_from(ObjectId{from}, [&](ObjectId object, const Row* row) {
    out.emplace_back(object.value, row);
    return true;
  });
  return out;
}

Visited expected(const Model& model, int64_t from = 0) { return {model.lower_bound(from), model.end()}; }

/// Identities as they come: dense runs, far blocks, and the ends of the range.
int64_t random_identity(Random& random) {
  constexpr int64_t kBlock = 100'000'000;
  switch (below(random, 5)) {
    case 0: return 1 + below(random, 200);
    case 1: return kBlock * (1 + below(random, 5)) + below(random, 130);
    case 2: return 1 + below(random, int64_t{1} << (6 * (1 + below(random, 10))));
    case 3: return std::numeric_limits<int64_t>::max() - below(random, 70);
    default: return (int64_t{1} << below(random, 63));
  }
}

BOOST_AUTO_TEST_SUITE(object_tree)

BOOST_AUTO_TEST_CASE(an_empty_tree_has_nothing) {
  ObjectTree tree;
  BOOST_TEST(tree.head(ObjectId{1}) == nullptr);
  BOOST_TEST(visited(tree).empty());
}

BOOST_AUTO_TEST_CASE(pushing_again_makes_the_old_head_the_older_row) {
  ObjectTree tree;
  Row *first = Row::tombstone(Step{1}), *second = Row::tombstone(Step{2});
  tree.push(ObjectId{5}, first);
  tree.push(ObjectId{5}, second);
  BOOST_TEST(tree.head(ObjectId{5}) == second);
  BOOST_TEST(second->older.load() == first);
}

BOOST_AUTO_TEST_CASE(iteration_stops_when_told_to) {
  ObjectTree tree;
  for (int64_t object : {3, 70, 5000}) tree.push(ObjectId{object}, Row::tombstone(Step{1}));
  int calls = 0;
  tree.for_each([&](ObjectId object, const Row*) {
    ++calls;
    return object.value != 70;
  });
  BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(the_largest_identity_has_a_place) {
  ObjectTree tree;
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  tree.push(ObjectId{1}, Row::tombstone(Step{1}));
  tree.push(ObjectId{kLargest}, Row::tombstone(Step{1}));
  BOOST_TEST((visited(tree) == Visited{{1, tree.head(ObjectId{1})}, {kLargest, tree.head(ObjectId{kLargest})}}));
  BOOST_TEST(visited(tree, kLargest).size() == 1u);
}

BOOST_AUTO_TEST_CASE(taking_all_gives_every_row_away_and_leaves_an_empty_tree) {
  ObjectTree tree;
  for (int64_t object : {900, 3, 70}) tree.push(ObjectId{object}, Row::tombstone(Step{1}));
  std::vector<int64_t> taken;
  tree.take_all([&](ObjectId object, Row* row) {
    taken.push_back(object.value);
    Row::destroy(row);
  });
  BOOST_TEST(taken == (std::vector<int64_t>{3, 70, 900}), boost::test_tools::per_element());
  BOOST_TEST(visited(tree).empty());
}

BOOST_AUTO_TEST_CASE(random_trees_agree_with_a_map) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      Limbo limbo;
      ObjectTree tree;
      Model model;
      for (int i = 0; i < 600; ++i) {
        bool is_removal = !model.empty() && below(random, 5) < (i < 400 ? 1 : 4);
        if (is_removal) {
          auto at = model.lower_bound(random_identity(random));
          if (at == model.end()) at = model.begin();
          tree.remove(ObjectId{at->first}, limbo);
          Row::destroy(at->second);
          model.erase(at);
        } else {
          int64_t identity = random_identity(random);
          Row* row = Row::tombstone(Step{static_cast<uint64_t>(i)});
          auto [at, is_new] = model.try_emplace(identity, row);
          if (is_new) {
            tree.push(ObjectId{identity}, row);
          } else {
            tree.replace(ObjectId{identity}, row);
            Row::destroy(at->second);
            at->second = row;
          }
        }
        int64_t from = random_identity(random);
        auto known = model.find(from);
        BOOST_TEST_REQUIRE(tree.head(ObjectId{from}) == (known == model.end() ? nullptr : known->second));
        if (i % 7 == 0) BOOST_TEST_REQUIRE((visited(tree, from) == expected(model, from)));
        if (i % 50 == 0) BOOST_TEST_REQUIRE((visited(tree) == expected(model)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_tree_that_was_emptied_can_be_filled_again) {
  Limbo limbo;
  ObjectTree tree;
  for (int round = 0; round < 3; ++round) {
    for (int64_t object = 1; object < 300; object += 7) tree.push(ObjectId{object}, Row::tombstone(Step{1}));
    for (int64_t object = 1; object < 300; object += 7) {
      Row* row = tree.head(ObjectId{object});
      BOOST_TEST_REQUIRE(row != nullptr);
      tree.remove(ObjectId{object}, limbo);
      Row::destroy(row);
    }
    BOOST_TEST(visited(tree).empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
