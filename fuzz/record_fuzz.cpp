/// Any bytes as records: up to the first that is refused they are what their parts give when put together again (P1).
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/codec/record.h"
#include "core/codec/value.h"

namespace {

using namespace odb;

void put_again(Bytes& out, const Record& record) {
  put_record_head(out, record.op, record.type, record.object);
  if (record.op == Op::kDelete) return;
  put_varint(out, record.fields.size());
  for (const FieldValue& field : record.fields) {
    if (record.op == Op::kUpdate) put_varint(out, field.field.value);
    if (field.value.empty()) {
      put_absent(out);
    } else {
      Result<Value> value = decode(field.value, Mode::kValue);
      ODB_CHECK(value.is_ok());
      out += encode(value.value(), Mode::kValue);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  Bytes again;
  RecordReader in(input);
  for (Record record; in.next(record);) {
    size_t start = again.size();
    put_again(again, record);
    ODB_CHECK(record.bytes == BytesView(again).substr(start));
  }
  ODB_CHECK(input.starts_with(again));
  if (in.is_ok()) ODB_CHECK(again == input);  // P1
  return 0;
}
