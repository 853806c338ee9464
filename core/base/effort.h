/// What the request of a peer may cost. A server has one engine thread, and a few bytes can ask for work without end: types that contain
/// themselves, unions that are compared arm by arm. Where bytes say little about the work, steps are counted while it is done.
/// Thread safety: none.
#pragma once

#include <algorithm>
#include <cstddef>

namespace odb {

class Effort {
 public:
  explicit Effort(size_t steps) : left_(steps) {}

  /// False when they are used up, and from then on: whoever counts gives up, and what it says then means nothing.
  bool take(size_t steps) {
    left_ -= std::min(left_, steps);
    return left_ > 0;
  }
  bool is_spent() const { return left_ == 0; }
  size_t left() const { return left_; }

 private:
  size_t left_;
};

}  // namespace odb
