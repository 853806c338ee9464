/// Values of fields that nobody set: of a whole type, and what records and alternatives need to know of their fields' to tell which values
/// are stored.
#pragma once

#include <vector>

#include "core/types/scope.h"

namespace odb {

class Defaults {
 public:
  /// Appends the default of a node, or gives false (and may have appended something).
  bool put(Bytes& out, Placed at);
  /// Fills in default_value of every field in a descriptor: what is given, or what put() puts. False when a field has to have one
  /// and there is none.
  bool fill(TypeDescriptor& whole) { return fill(whole, nullptr); }
  /// Whether it took so many steps that it was given up: descriptors can be made whose defaults grow without end.
  bool is_given_up() const { return steps_left_ == 0; }

 private:
  bool put_kind(Bytes& out, Placed at);
  bool put_items(Bytes& out, Placed at);
  bool have_all(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope);
  bool fill(TypeDescriptor& type, const Scope* scope);
  bool fill(std::vector<TypeDescriptor::Field>& fields, const Scope* scope);

  static constexpr int kSteps = 1'000'000;  // milliseconds; a descriptor of the greatest length has some 10,000 nodes
  int steps_left_ = kSteps;
  static constexpr int kLevelsMax = 4 * limits::kValueDepthMax;  // an `again` leads out, and in again elsewhere
  int levels_ = 0;
  int depth_ = 0;                            ///< of tuples in what is put
  std::vector<const TypeDescriptor*> open_;  ///< binders whose default is being made: one that needs itself has none
};

}  // namespace odb
