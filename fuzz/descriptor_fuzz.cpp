/// Any bytes as the text of a type: refused in words that can be shown, or the text of what was read (P1).
#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "core/codec/value.h"
#include "core/types/descriptor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace odb;
  BytesView input(reinterpret_cast<const char*>(bytes), size);
  Result<TypeDescriptor> parsed = TypeDescriptor::parse(input);
  if (!parsed.is_ok()) {
    ODB_CHECK(is_valid_utf8(parsed.status().message()));
    return 0;
  }
  TypeDescriptor& type = parsed.value();
  ODB_CHECK(type.text() == input);  // P1
  uint32_t types = 0;
  type.resolve([&](const std::string& name) {
    size_t dot = name.rfind('.');
    ODB_CHECK(is_valid_schema_name(name.substr(0, dot)));
    ODB_CHECK(is_valid_name(name.substr(dot + 1)));
    return TypeId{++types};
  });
  ODB_CHECK(type.holds(type.default_value()));
  ODB_CHECK(decode(type.default_value(), Mode::kValue).is_ok());
  return 0;
}
