/// The words of descriptors, by kind.
#pragma once

#include <array>
#include <string_view>

#include "core/types/descriptor.h"

namespace odb {

inline constexpr std::array<std::string_view, static_cast<size_t>(TypeDescriptor::Kind::kAgain) + 1> kKindWords = {
    "none",      "bool",    "int",     "float",       "str",     "bytes",   "datetime", "date",  "time",
    "timedelta", "decimal", "uuid",    "object",      "int8",    "int16",   "int32",    "uint8", "uint16",
    "uint32",    "uint64",  "float32", "ref",         "oneof",   "literal", "tupleof",  "setof", "dictof",
    "tuple",     "enum",    "record",  "alternative", "forward", "again"};

constexpr std::string_view word_of(TypeDescriptor::Kind kind) { return kKindWords[static_cast<size_t>(kind)]; }

}  // namespace odb
