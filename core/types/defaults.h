/// Values of fields that nobody set: of a whole type, and what records and alternatives need to know of their fields' to tell which values
/// are stored.
#pragma once

#include <vector>

#include "core/types/scope.h"

namespace odb {

class Defaults {
 public:
  /// `bytes_max`: of what fill() fills in, all fields together.
  explicit Defaults(Effort& effort, size_t bytes_max = SIZE_MAX) : effort_(effort), bytes_left_(bytes_max) {}

  /// Appends the default of a node, or gives false (and may have appended something).
  bool put(Bytes& out, Placed at);
  /// Fills in default_value of every field in a descriptor: what is given, or what put() puts. False when a field has to have one
  /// and there is none.
  bool fill(TypeDescriptor& whole) { return fill(whole, nullptr); }
  /// Whether they are too large, or took too long: descriptors can be made whose defaults grow without end.
  bool is_given_up() const { return is_given_up_; }

 private:
  bool put_kind(Bytes& out, Placed at);
  bool put_items(Bytes& out, Placed at);
  bool have_all(const std::vector<TypeDescriptor::Field>& fields, const Scope* scope);
  bool fill(TypeDescriptor& type, const Scope* scope);
  bool fill(std::vector<TypeDescriptor::Field>& fields, const Scope* scope);

  Effort& effort_;
  size_t bytes_left_;
  bool is_given_up_ = false;
  static constexpr int kLevelsMax = 4 * limits::kValueDepthMax;  // an `again` leads out, and in again elsewhere
  int levels_ = 0;
  int depth_ = 0;                            ///< of tuples in what is put
  std::vector<const TypeDescriptor*> open_;  ///< binders whose default is being made: one that needs itself has none
};

}  // namespace odb
