/// What object fields know beyond the closed set (D33): classes with a codec, and records by their tags.
///
/// Codecs are registered by name: the name is stored with the value, and whoever reads it must have registered one of
/// that name. Records and Alternatives are known from the definitions of database types and from register_record,
/// which also chooses between two of one name.
/// Nothing is ever taken away. The GIL guards everything here.
#pragma once

#include <Python.h>

#include <string>
#include <vector>

#include "bindings/field_type.h"

namespace odb {

struct Codec {
  std::string name;
  Ref cls, encode, decode;
};

/// nullptr: none.
const Codec* codec_of(PyTypeObject* cls);
const Codec* codec_named(BytesView name);

/// The record or Alternative that has a class, its own or an arm's; nullptr: none.
const FieldType* record_of_class(PyTypeObject* cls);
/// The record (or else Alternative) that object fields mean by a tag: the registered one, or the only one known;
/// nullptr: none, or several, between which nobody has chosen.
const FieldType* record_of_tag(uint32_t tag, bool is_record);
/// Takes in every record and Alternative of a type that lives for ever.
void know_records(const FieldType& type);

/// False with an exception set.
bool add_codec_functions(PyObject* module);

}  // namespace odb
