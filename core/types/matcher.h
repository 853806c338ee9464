/// Whether a value is one that a type holds: both are walked together, once where a type has no arms that begin alike.
#pragma once

#include <algorithm>

#include "core/types/scope.h"

namespace odb {

class Matcher {
 public:
  /// REQUIRES: value came through Reader::value or the put_ functions.
  explicit Matcher(BytesView value, size_t steps_max = SIZE_MAX)
      : in_(value), steps_left_(std::min(steps_max, kStepsLeast + kStepsEach * value.size())) {}
  bool matches(Placed at) { return match(at) && in_.at_end(); }
  /// The same for a value and a type that may both have been made to take long.
  static bool matches(BytesView value, Placed at, Effort& effort) {
    Matcher matcher(value, effort.left());
    size_t steps = matcher.steps_left_;
    bool is_match = matcher.matches(at);
    return effort.take(1 + steps - matcher.steps_left_) && is_match;
  }

 private:
  bool match(Placed at);
  bool match_items(Placed at);
  bool match_arms(Placed at);
  bool match_fields(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope);
  bool take_int(int64_t least, int64_t greatest);

  // Arms that begin alike are tried in turn, and so at every level below: a peer could have 2^64 things tried for one value. One union
  // never gets there: its kAlikeArmsMax and its kUnionArmsMax / kPassedByInStep are less than kStepsEach together.
  static constexpr size_t kStepsLeast = 4096, kStepsEach = 64, kPassedByInStep = 16, kObjectBytesInStep = 16,
                          kComparedBytesInStep = 64;
  Reader in_;
  size_t steps_left_;
  static_assert(limits::kUnionArmsMax / kPassedByInStep + limits::kAlikeArmsMax < kStepsEach);
};

}  // namespace odb
