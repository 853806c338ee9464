/// Which type each run of identities of a connection is used for (D28): an identity is one object, of one type.
///
///   first run -> (run behind the last one, type)         runs that follow each other for one type are one entry
///
/// A bulk load of one type takes one entry however long it is.
#pragma once

#include <map>

#include "core/base/ids.h"

namespace odb {

class IdentityRuns {
 public:
  /// Uses a run for a type; false when it is used for another one.
  bool use(int64_t run, TypeId type) {
    auto after = spans_.upper_bound(run);
    if (after != spans_.begin()) {
      Span& before = std::prev(after)->second;
      if (run < before.end) return before.type == type;
      if (run == before.end && type == before.type) {
        bool closes_gap = after != spans_.end() && after->first == run + 1 && after->second.type == type;
        before.end = closes_gap ? after->second.end : run + 1;
        if (closes_gap) spans_.erase(after);
        return true;
      }
    }
    int64_t end = run + 1;
    if (after != spans_.end() && after->first == end && after->second.type == type) {
      end = after->second.end;
      after = spans_.erase(after);
    }
    spans_.emplace_hint(after, run, Span{end, type});
    return true;
  }
  size_t span_count() const { return spans_.size(); }

 private:
  struct Span {
    int64_t end;
    TypeId type;
  };
  std::map<int64_t, Span> spans_;
};

}  // namespace odb
