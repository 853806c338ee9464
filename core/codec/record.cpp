#include "core/codec/record.h"

#include "core/base/limits.h"

namespace odb {

void put_record_head(Bytes& out, Op op, TypeId type, ObjectId object) {
  out.push_back(static_cast<char>(op));
  put_varint(out, type.value);
  put_int(out, object.value);
}

bool RecordReader::next(Record& record) {
  if (in_.at_end()) return false;
  const char* start = in_.position();
  uint8_t op = in_.byte();
  uint64_t type = in_.varint();
  int64_t object = in_.integer();
  if (op < 1 || op > 4 || type == 0 || type > INT32_MAX || object <= 0 || object > limits::kIdentityMax) in_.fail();
  record.op = static_cast<Op>(op);
  record.type = TypeId{static_cast<uint32_t>(type)};
  record.object = ObjectId{object};
  record.fields.clear();
  if (in_.is_ok() && record.op != Op::kDelete) {
    bool is_update = record.op == Op::kUpdate;
    size_t n = in_.count(is_update ? 2 : 1);
    if (n > limits::kFieldsPerTypeMax || (is_update && n == 0)) in_.fail();
    uint64_t next_field = 0;
    for (size_t i = 0; i < n && in_.is_ok(); ++i) {
      uint64_t field = is_update ? in_.varint() : i;
      if (field < next_field || field >= limits::kFieldsPerTypeMax) in_.fail();
      next_field = field + 1;
      bool is_absent = !is_update && in_.remaining() > 0 && in_.peek() == kind::kAbsent;
      BytesView value = is_absent ? (in_.byte(), BytesView()) : in_.value();
      record.fields.push_back({FieldId{static_cast<uint32_t>(field)}, value});
    }
  }
  if (!in_.is_ok()) return false;
  record.bytes = BytesView(start, static_cast<size_t>(in_.position() - start));
  return true;
}

}  // namespace odb
