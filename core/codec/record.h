/// Object records: what happened to one object, self-delimited, encoded once and sent as slices (D21).
///
///   record = op varint:type int:object change
///   op     = 01 create | 02 update | 03 delete | 04 whole     (whole: the present row, in a subscription's stream)
///   change = varint:n (value | 00)*n                 create, whole: fields 0..n-1, 00 where nothing is stored
///          | varint:n (varint:field value)*n         update: n > 0, fields strictly ascending
///          |                                         delete
#pragma once

#include <cstdint>
#include <vector>

#include "core/codec/codec.h"

namespace odb {

enum class Op : uint8_t { kCreate = 1, kUpdate = 2, kDelete = 3, kWhole = 4 };

struct FieldValue {
  FieldId field;
  BytesView value;  ///< V value; empty: absent
};

/// A view into the bytes it was read from.
struct Record {
  Op op;
  TypeId type;
  ObjectId object;
  std::vector<FieldValue> fields;  ///< create, whole: every field number in order
  BytesView bytes;                 ///< the record itself
};

/// Reads records one after the other; the Record is reused, so steady state allocates nothing.
class RecordReader {
 public:
  explicit RecordReader(BytesView bytes) : in_(bytes) {}
  /// False at the end, and when the bytes are not canonical records (then is_ok() is false).
  bool next(Record& record);
  bool is_ok() const { return in_.is_ok(); }

 private:
  Reader in_;
};

void put_record_head(Bytes& out, Op op, TypeId type, ObjectId object);
inline void put_absent(Bytes& out) { out.push_back(static_cast<char>(kind::kAbsent)); }

}  // namespace odb
