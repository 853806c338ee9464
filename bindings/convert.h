/// Python values to canonical bytes by a field's type, and back.
///
/// Numbers never wrap or lose anything (D10). A oneof takes the first arm whose exact type the value has, then the
/// first arm that converts it. Reading needs no type: values describe themselves (D38).
#pragma once

#include <Python.h>

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/types/descriptor.h"

namespace odb {

struct DatabaseType;
struct Connection;

/// A field's type as the bindings need it: the descriptor's tree with Python types at the references.
struct FieldType {
  TypeDescriptor::Kind kind = TypeDescriptor::Kind::kNone;
  DatabaseType* target = nullptr;  // kReference
  std::vector<FieldType> arms;     // kOneOf

  /// The descriptor's canonical text.
  std::string text() const;
};

/// For people: "int or None".
std::string describe(const FieldType& type);

/// Out of what types.py makes: "int", a database type, or a tuple of these for a oneof. False with an exception set.
bool parse_field_type(PyObject* spec, FieldType& type);

/// Appends `value` converted to `type`. False with TypeError, OverflowError or ValueError set; `where` names the field.
/// No code of the program runs, which could end the current view, unless an error is set.
/// Without a connection references have no number yet: only unset ones would, and nothing is appended for them.
bool encode_value(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where,
                  Bytes& out);

/// A new reference to the Python value of a canonical V value of a field; nullptr with an exception set. Only references
/// look at the field's type: of several Python types that are one type of the server, they give the one it names.
PyObject* decode_value(BytesView value, const FieldType& type, const Connection& connection);

}  // namespace odb
