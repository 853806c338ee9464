/// What came of an attempt to convert a Python value.
#pragma once

#include <cstdint>

namespace odb {

enum class Fit : uint8_t {
  kTaken,
  kNot,     ///< the type does not take it; another one may
  kFailed,  ///< with an exception set
};

}  // namespace odb
