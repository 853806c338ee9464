#include "core/types/definition.h"

#include <set>

#include "core/codec/codec.h"

namespace odb {

uint64_t fingerprint(const TypeLayout& type) {
  std::set<Bytes> parts;  // in an order that does not tell who was first
  auto put = [](Bytes& out, BytesView text) { put_str(out, text, Mode::kValue); };
  for (const FieldLayout& field : type.fields) {
    if (field.name.empty()) continue;
    Bytes part = "f";
    put(part, field.name);
    put(part, field.type.text());
    parts.insert(part);
  }
  for (const IndexLayout& index : type.indexes) {
    if (index.name.empty()) continue;
    Bytes part = index.is_unique ? "u" : "i";
    put(part, index.name);
    for (FieldId field : index.fields) put(part, type.fields[field.value].name);
    parts.insert(part);
  }
  Bytes whole;
  put(whole, type.qualified_name());
  for (const Bytes& part : parts) put(whole, part);
  return hash_bytes(whole);
}

}  // namespace odb
