#include "core/server/stored_types.h"

#include <set>

#include "core/base/limits.h"
#include "core/codec/value.h"
#include "core/protocol/mapping.h"

namespace odb {
namespace {

Status check_type(const std::set<std::string>& names, const TypeLayout& type) {
  std::string name = type.qualified_name();
  if (type.is_dropped()) return Status::ok();
  if (!is_valid_schema_name(type.schema) || !is_valid_name(type.name))
    return protocol_error("type " + std::to_string(type.id.value) + " has an impossible name");
  std::set<std::string> fields, indexes;
  for (const FieldLayout& field : type.fields) {
    if (field.name.empty()) continue;  // dropped
    if (!is_valid_name(field.name)) return protocol_error(name + " has a field with an impossible name");
    if (!fields.insert(field.name).second) return protocol_error(name + "." + field.name + " is there twice");
    Status unknown;
    field.type.each_type_name([&](const std::string& target) {
      if (!names.contains(target))
        unknown = protocol_error(name + "." + field.name + " refers to an unknown type " + target);
    });
    if (!unknown.is_ok()) return unknown;
    // A required field has None, which is then what an object reads as whose maker did not know the field.
    bool is_required = !field.type.has_default() && static_cast<uint8_t>(field.default_value.front()) == kind::kNone;
    if (!is_required && !field.type.holds(field.default_value))
      return protocol_error(name + "." + field.name + ": the default is not a " + field.type.text());
  }
  for (const IndexLayout& index : type.indexes) {
    if (index.name.empty()) continue;
    if (!is_valid_name(index.name)) return protocol_error(name + " has an index with an impossible name");
    if (!indexes.insert(index.name).second) return protocol_error(name + "." + index.name + " is there twice");
  }
  return Status::ok();
}

}  // namespace

Result<StoredTypes> StoredTypes::of(BytesView catalogue) {
  Result<std::vector<TypeLayout>> decoded = decode_catalogue(catalogue);
  if (!decoded.is_ok()) return decoded.status();
  StoredTypes types;
  types.types_ = std::move(decoded.value());
  std::set<std::string> names;
  for (const TypeLayout& type : types.types_) {
    if (!type.is_dropped()) names.insert(type.qualified_name());
  }
  for (const TypeLayout& type : types.types_) {
    Status status = check_type(names, type);
    if (!status.is_ok()) return status;
  }
  return types;
}

Status read_row(const TypeLayout& type, BytesView row, std::vector<BytesView>& values) {
  Reader in(row);
  values.assign(type.fields.size(), {});
  size_t count = in.count(1);
  if (count > values.size())
    return protocol_error("has " + std::to_string(count) + " values, and " + type.qualified_name() + " has " +
                          std::to_string(values.size()) + " fields");
  for (size_t i = 0; i < count && in.is_ok(); ++i) {
    if (in.remaining() > 0 && in.peek() == kind::kAbsent) {
      in.byte();
      continue;
    }
    values[i] = in.value();
    if (in.is_ok() && !type.fields[i].type.holds(values[i]))
      return protocol_error("field " + type.fields[i].name + " holds " + show(decode(values[i], Mode::kValue).value()) +
                            ", and takes " + type.fields[i].type.text());
  }
  if (!in.is_ok() || !in.at_end()) return protocol_error("is no row: its bytes are damaged");
  return Status::ok();
}

Bytes row_of(std::span<const Bytes> values) {
  Bytes out;
  put_varint(out, values.size());
  for (const Bytes& value : values) {
    if (value.empty()) {
      out.push_back(static_cast<char>(kind::kAbsent));
    } else {
      out.append(value);
    }
  }
  return out;
}

std::optional<Bytes> key_of(const TypeLayout& type, const IndexLayout& index, std::span<const BytesView> values) {
  Bytes key;
  for (FieldId field : index.fields) {
    BytesView value = values[field.value].empty() ? type.fields[field.value].default_value : values[field.value];
    if (static_cast<uint8_t>(value.front()) == kind::kNone) return std::nullopt;
    append_key(key, value);
  }
  return key;
}

}  // namespace odb
