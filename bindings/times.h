/// Values of the standard library's classes: datetime, date, time, timedelta, Decimal, UUID, as bytes and back.
///
/// The classes are looked up once, when the first type or value asks for them: importing them takes milliseconds.
/// Subclasses are read through the slots of their base, never through what a program has overridden; only a tzinfo
/// that a program wrote is asked for its offset.
#pragma once

#include <Python.h>

#include <string>

#include "bindings/field_type.h"
#include "bindings/fit.h"
#include "core/codec/codec.h"

namespace odb {

/// False with an exception set.
bool load_standard_classes();

/// The kind of these that a value's class is, kNone for any other. Imports nothing.
FieldKind standard_kind_of(PyObject* value);

/// Appends the value; `fault` says what is wrong with one of the right class that cannot be stored (then kNot, and
/// nothing is appended).
Fit encode_standard(PyObject* value, FieldKind kind, Bytes& out, std::string& fault);

/// A new reference to what comes after a kind byte; nullptr with an exception set.
PyObject* decode_standard(Reader& in, uint8_t kind);
/// The kind of a value with this head, kNone for any other.
FieldKind standard_kind_of_head(uint8_t head);

}  // namespace odb
