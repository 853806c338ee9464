/// Ids as distinct types, so that a type number cannot be passed where an object is meant.
/// Every id is a plain integer with a name: comparable, hashable, nothing more.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace odb {

template <class Tag, class Rep>
struct Id {
  Rep value{};
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

/// Number of a committed transaction, server-wide and increasing (C3). 0: before the first one.
using TransactionId = Id<struct TransactionTag, uint64_t>;
/// Identity of an object, unique over all types of one server. 0: no object (an unset reference).
using ObjectId = Id<struct ObjectTag, int64_t>;
/// Catalogue number of a database type, given by the server. 0: not known yet.
using TypeId = Id<struct TypeTag, uint32_t>;
/// Position of a field among the fields of its type in the catalogue; append-only.
using FieldId = Id<struct FieldTag, uint32_t>;
/// Position of an index among the indexes of its type in the catalogue; append-only.
using IndexId = Id<struct IndexTag, uint32_t>;
/// Local version counter of one store (D7): every applied message is one step.
using Step = Id<struct StepTag, uint64_t>;
/// One connection as its server (or simulator) numbers it; never travels.
using ConnectionId = Id<struct ConnectionTag, uint64_t>;
/// Number of a commit within its session (D25), from 1, without gaps.
using CommitSeq = Id<struct CommitSeqTag, uint64_t>;
/// Number of a request (schema, subscription, flush) within its connection, from 1.
using RequestId = Id<struct RequestTag, uint64_t>;

inline constexpr Step kNever{~uint64_t{0}};
inline constexpr Step kLatest{kNever.value - 1};  ///< not below any step that was made

/// Monotonic time as the shells tell it, in microseconds from an arbitrary origin (D29). The core has no clock.
struct Instant {
  int64_t us = 0;
  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
};

inline uint64_t mix_hash(uint64_t x) {  // the finalizer of splitmix64: every input bit reaches every output bit
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace odb

template <class Tag, class Rep>
struct std::hash<odb::Id<Tag, Rep>> {
  size_t operator()(const odb::Id<Tag, Rep>& id) const {
    return static_cast<size_t>(odb::mix_hash(static_cast<uint64_t>(id.value)));
  }
};
