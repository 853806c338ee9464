/// Any bytes as the text of a type, and behind a zero byte a value and behind another one the text of a second type: refused in words that can be
/// shown, or the text of what was read (P1); a type holds its own default, and what a wider type does not hold the narrower one does not hold either.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/codec/value.h"
#include "core/types/descriptor.h"

namespace {

using namespace odb;

BytesView take_part(BytesView& input) {
  BytesView part = input.substr(0, input.find('\0'));
  input.remove_prefix(std::min(part.size() + 1, input.size()));
  return part;
}

Result<TypeDescriptor> checked_type(BytesView text) {
  Result<TypeDescriptor> parsed = TypeDescriptor::parse(text);
  if (!parsed.is_ok()) {
    ODB_CHECK(is_valid_utf8(parsed.status().message()));
    return parsed;
  }
  TypeDescriptor& type = parsed.value();
  ODB_CHECK(type.text() == text);  // P1
  type.resolve([&](const std::string& name) {
    size_t dot = name.rfind('.');
    ODB_CHECK(is_valid_schema_name(name.substr(0, dot)));
    ODB_CHECK(is_valid_name(name.substr(dot + 1)));
    return TypeId{static_cast<uint32_t>(1 + hash_bytes(name) % 3)};
  });
  Bytes value = type.default_value();
  ODB_CHECK(type.has_default() == !value.empty());
  if (type.has_default()) {
    ODB_CHECK(type.holds(value));
    ODB_CHECK(decode(value, Mode::kValue).is_ok());
  }
  ODB_CHECK(is_valid_utf8(type.shown()));
  ODB_CHECK(is_valid_utf8(type.shown_in_full()));
  ODB_CHECK(type.widens_to(type));
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  Result<TypeDescriptor> type = checked_type(take_part(input));
  if (!type.is_ok()) return 0;
  Result<TypeDescriptor> other = checked_type(take_part(input));
  bool is_wider = other.is_ok() && type.value().widens_to(other.value());
  Bytes value = type.value().default_value();
  if (is_wider && !value.empty()) ODB_CHECK(other.value().holds(value));
  Reader in(input);
  BytesView read = in.value();
  if (!in.is_ok() || !type.value().holds(read)) return 0;
  if (is_wider) ODB_CHECK(other.value().holds(read));
  return 0;
}
