/// Random values over all kinds, and how values sort, told without a look at bytes. For tests.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/codec/value.h"

namespace odb::testing {

using Random = std::mt19937_64;

inline size_t below(Random& random, size_t bound) { return static_cast<size_t>(random() % bound); }

template <class List>
auto one_of(Random& random, const List& list) {
  return list[below(random, std::size(list))];
}

/// Blanks may separate the parts.
Bytes from_hex(std::string_view digits);

/// Few distinct ones near each other and at the edges, so that equal ones and neighbours meet often, and now and then any at all.
int64_t random_int(Random& random);
double random_float(Random& random);
/// Any value at all, nested at most `depth` deep; few distinct ones near each other, so that equal ones and neighbours meet often.
Value random_value(Random& random, int depth);
/// The same value with one thing in it replaced.
Value nearby(const Value& value, Random& random);
/// One small damage: a bit, a byte, a byte more, a byte less, or the end cut off.
Bytes damaged(Bytes bytes, Random& random);

/// How values sort, below, at or above 0: kinds first; NaN last, -0.0 as 0.0, Decimals as numbers, aware datetimes as instants.
int order_of(const Value& a, const Value& b);

}  // namespace odb::testing
