/// What a server asks of a store that outlives it, and what it gets back at its next start (D11, D12).
///
/// The store keeps rows, each object's as it is now, and a few named facts. It takes them in groups, each whole or not
/// at all, one after the other:
///
///   fact "catalogue"     the types with their numbers: a list of MappedType, encoded as in a message
///   fact "reservations"  varint:transactions varint:blocks varint:identities: numbers up to these may have been told to
///                        somebody, so a start begins above them
///
/// A row is what follows the head of a `whole` record (core/codec/record.h). core.Connection objects live in the memory
/// of one server only (D26) and are not kept.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace odb {

struct DurableRow {
  TypeId type;
  ObjectId object;
  std::optional<Bytes> row;  ///< none: deleted
};

/// The outcome of a commit, by which its session can ask for it later (D25).
struct DurableCommit {
  Bytes session;
  CommitSeq seq;
  TransactionId tid;
};

struct DurableGroup {
  TransactionId previous;  ///< the last transaction that the store holds
  TransactionId last;      ///< the last one of this group
  std::vector<DurableRow> rows;
  std::map<std::string, Bytes> facts;
  std::vector<DurableCommit> commits;
  bool is_empty() const { return rows.empty() && facts.empty(); }
};

/// What the store gives back at the start, beside the rows.
struct DurableState {
  Bytes history;  ///< 16 bytes (D12)
  TransactionId last;
  std::map<std::string, Bytes> facts;
};

/// Numbers that may have been told to somebody: a later start begins above them.
struct Reservations {
  TransactionId transactions;
  int64_t blocks = 0;
  int64_t identities = 0;  ///< of the server's own block
};

Bytes encode(const Reservations& reservations);
/// None when the bytes are no reservations.
std::optional<Reservations> decode_reservations(BytesView bytes);

}  // namespace odb
