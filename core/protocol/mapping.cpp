#include "core/protocol/mapping.h"

#include <map>

#include "core/base/limits.h"
#include "core/protocol/message_codec.h"

namespace odb {

Result<TypeLayout> layout_of(const MappedType& type, const std::function<TypeId(const std::string&)>& number_of) {
  TypeLayout layout{type.id, type.schema, type.name, {}, {}};
  if (type.id.value == 0 || type.id.value > limits::kTypeIdMax) return protocol_error("a type number that is none");
  if (type.fields.size() > limits::kFieldsPerTypeMax || type.indexes.size() > limits::kIndexesPerTypeMax)
    return protocol_error("a type with too many fields or indexes");
  for (const MappedField& field : type.fields) {
    Result<TypeDescriptor> descriptor = TypeDescriptor::parse(field.type);
    if (!descriptor.is_ok()) return descriptor.status();
    descriptor.value().resolve(number_of);
    Reader in(field.default_value);
    if (in.value().empty() || !in.at_end()) return protocol_error("a default that is not a value");
    layout.fields.push_back({field.name, std::move(descriptor.value()), field.default_value});
  }
  for (const MappedIndex& index : type.indexes) {
    for (FieldId field : index.fields) {
      if (field.value >= layout.fields.size()) return protocol_error("an index over a field that is not there");
    }
    bool is_dropped = index.name.empty() && index.fields.empty() && !index.is_unique;
    if (index.fields.empty() != is_dropped || index.fields.size() > limits::kFieldsPerIndexMax)
      return protocol_error("an index over no field, or over too many");
    layout.indexes.push_back({index.name, index.fields, index.is_unique});
  }
  return layout;
}

MappedType mapped(const TypeLayout& layout) {
  MappedType mapped{layout.id, layout.schema, layout.name, {}, {}};
  for (const FieldLayout& field : layout.fields)
    mapped.fields.push_back({field.name, field.type.text(), field.default_value});
  for (const IndexLayout& index : layout.indexes) mapped.indexes.push_back({index.name, index.fields, index.is_unique});
  return mapped;
}

Bytes encode_catalogue(std::span<const MappedType> types) {
  Bytes out, bytes;
  for (MappedType type : types) {
    bytes.clear();
    MessageEncoder encoder(bytes);
    type.each(encoder);
    put_varint(out, bytes.size());
    out.append(bytes);
  }
  return out;
}

Result<std::vector<TypeLayout>> decode_catalogue(BytesView encoded) {
  std::vector<MappedType> types;
  std::map<std::string, TypeId> by_name;
  for (Reader in(encoded); !in.at_end();) {
    BytesView bytes = in.text();
    MessageDecoder decoder(bytes);
    types.emplace_back().each(decoder);
    bool is_next = in.is_ok() && decoder.is_whole() && types.back().id.value == types.size();
    if (!is_next) return protocol_error("type " + std::to_string(types.size()) + " of its catalogue cannot be read");
    const MappedType& type = types.back();
    bool is_dropped = type.name.empty();
    if (is_dropped && (!type.schema.empty() || !type.fields.empty() || !type.indexes.empty()))
      return protocol_error("type " + std::to_string(types.size()) + " of its catalogue has no name, and is not empty");
    if (!is_dropped && !by_name.try_emplace(type.schema + "." + type.name, type.id).second)
      return protocol_error(type.schema + "." + type.name + " is in its catalogue twice");
  }
  std::vector<TypeLayout> layouts;
  for (const MappedType& type : types) {
    Result<TypeLayout> layout = layout_of(type, [&](const std::string& name) {
      auto known = by_name.find(name);
      return known == by_name.end() ? TypeId{0} : known->second;
    });
    if (!layout.is_ok()) return layout.status();
    layouts.push_back(std::move(layout.value()));
  }
  return layouts;
}

}  // namespace odb
