/// Any bytes as a value, stored and as a key: refused, or they are the bytes of what was read (P1). Two values in a row: their order is that
/// of their keys.
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/codec/value.h"

namespace {

using namespace odb;

void check_mode(BytesView bytes, Mode mode) {
  Result<Value> decoded = decode(bytes, mode);
  if (decoded.is_ok()) ODB_CHECK(encode(decoded.value(), mode) == bytes);  // P1
}

Bytes key_of(BytesView value) {
  Bytes key;
  append_key(key, value);
  return key;
}

/// Reader::value and decode agree on what a stored value is, and append_key and encode on what its key is.
void check_stored(BytesView bytes) {
  Reader in(bytes);
  BytesView value = in.value();
  Result<Value> decoded = decode(bytes, Mode::kValue);
  ODB_CHECK((in.is_ok() && in.at_end()) == decoded.is_ok());
  if (!in.is_ok()) return;
  ODB_CHECK(value.data() == bytes.data());
  Result<Value> first = decode(value, Mode::kValue);
  ODB_CHECK(first.is_ok());
  ODB_CHECK(!show(first.value()).empty());
  Bytes key = key_of(value);
  ODB_CHECK(key == encode(first.value(), Mode::kKey));
  ODB_CHECK(decode(key, Mode::kKey).is_ok());
  ODB_CHECK(compare_values(value, value) == 0);
  contains_pickle(value);
  BytesView second = in.value();
  if (!in.is_ok()) return;
  int order = compare_values(value, second), expected = key.compare(key_of(second));
  ODB_CHECK((order < 0) == (expected < 0));
  ODB_CHECK((order > 0) == (expected > 0));
  ODB_CHECK((compare_values(second, value) < 0) == (order > 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  check_mode(input, Mode::kValue);
  check_mode(input, Mode::kKey);
  check_stored(input);
  return 0;
}
