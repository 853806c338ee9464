/// ODB_CHECK: an invariant of ours. It stays on in release builds; when it breaks, the bug is in this code base,
/// never in what a user or a peer did, and going on would risk wrong answers.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace odb {

/// The only exception the core throws.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

template <class... Details>
[[noreturn]] void check_failed(const char* file, int line, const char* claim, const Details&... details) {
  std::ostringstream out;
  out << file << ":" << line << ": broken invariant: " << claim;
  ((out << " [" << details << "]"), ...);
  throw InternalError(out.str());
}

}  // namespace odb

/// ODB_CHECK(claim, details...): details are printed when the claim is false.
#define ODB_CHECK(claim, ...)                                                     \
  do {                                                                            \
    if (!(claim)) [[unlikely]]                                                    \
      ::odb::check_failed(__FILE__, __LINE__, #claim __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
