/// Byte strings, and the one hash used for them.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/ids.h"

namespace odb {

using Bytes = std::string;
using BytesView = std::string_view;

/// Two lower-case digits a byte.
inline std::string hex_of(BytesView bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (char c : bytes)
    for (int nibble : {static_cast<unsigned char>(c) >> 4, c & 15}) out.push_back("0123456789abcdef"[nibble]);
  return out;
}

/// What the allocator takes for a block: a head, and no less than a small one. For counting memory, not to be exact.
constexpr size_t allocated_bytes(size_t size) {
  constexpr size_t kHead = 8, kStep = 16, kLeast = 32;
  size_t rounded = (size + kHead + kStep - 1) / kStep * kStep;
  return rounded < kLeast ? kLeast : rounded;
}

/// 64-bit hash of a byte string, the same on every machine: eight bytes a round through mix_hash.
inline uint64_t hash_bytes(BytesView bytes, uint64_t seed = 0) {
  uint64_t h = mix_hash(seed ^ (bytes.size() * 0x9e3779b97f4a7c15ULL));
  const char* p = bytes.data();
  size_t n = bytes.size();
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix_hash(h ^ word) + 0x9e3779b97f4a7c15ULL;
  }
  uint64_t tail = 0;
  for (size_t i = 0; i < n; ++i) tail |= static_cast<uint64_t>(static_cast<unsigned char>(p[i])) << (8 * i);
  return mix_hash(h ^ tail);
}

}  // namespace odb
