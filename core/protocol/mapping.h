/// Types as they travel (messages.h) and as a store wants them (core/types/definition.h).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/protocol/messages.h"
#include "core/types/definition.h"

namespace odb {

/// The layout of a type that came from a server or out of a store, every part of it checked; kProtocol when it cannot
/// be. `number_of` gives the type that a reference names, 0 for one that is not known.
Result<TypeLayout> layout_of(const MappedType& type, const std::function<TypeId(const std::string&)>& number_of);
MappedType mapped(const TypeLayout& layout);

/// What was dropped has the empty name, so that its number is not given again: types, fields, and indexes, which then
/// have no fields.
/// A catalogue as a store keeps it: (varint:size MappedType)*, types in the order of their numbers, which begin at 1.
Bytes encode_catalogue(std::span<const MappedType> types);
/// Back, with every reference resolved; kProtocol when it cannot be.
Result<std::vector<TypeLayout>> decode_catalogue(BytesView encoded);

}  // namespace odb
