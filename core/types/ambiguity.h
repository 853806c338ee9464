/// Whether two arms of a oneof may be stored as the same bytes and be read as different values.
///
/// Bytes say what they are, but for two things: a member of an enum is stored as its value, and a record by its name. So
/// OneOf(TupleOf(str), TupleOf(Colour)) would read Colour.RED as "red": nobody could tell afterwards which one was meant.
#pragma once

#include <utility>
#include <vector>

#include "core/types/scope.h"

namespace odb {

class Ambiguity {
 public:
  /// When the effort is spent the answer is true.
  explicit Ambiguity(Effort& effort) : effort_(effort) {}
  /// REQUIRES: the arms are those of one parsed descriptor.
  bool is_between(Placed a, Placed b);

 private:
  using Kind = TypeDescriptor::Kind;
  using Question = bool (Ambiguity::*)(const Placed&, const Placed&);

  /// Whether some value is held by both.
  bool meet(const Placed& a, const Placed& b);
  bool meet_alike(const Placed& a, const Placed& b);
  bool meets_constants(const TypeDescriptor& constants, const TypeDescriptor& other);
  /// Whether some such value is read differently.
  bool differ(const Placed& a, const Placed& b);
  bool differ_alike(const Placed& a, const Placed& b);
  bool differ_in_items(const Placed& a, const Placed& b);
  bool have_other_texts(const TypeDescriptor& a, const TypeDescriptor& b);
  bool differ_from_object(const Placed& type);
  /// The same of what stands behind names, and of the arms of a oneof; `again` of a pair that is being asked about.
  bool ask(Question question, Placed a, Placed b, bool again);

  Effort& effort_;
  std::vector<std::pair<const TypeDescriptor*, const TypeDescriptor*>> open_;
};

}  // namespace odb
