#include "core/protocol/mapping.h"

#include "core/base/limits.h"

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
    if (index.fields.empty() || index.fields.size() > limits::kFieldsPerIndexMax)
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

}  // namespace odb
