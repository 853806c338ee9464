/// Stored values as tools have them, who know none of a program's classes: plain Python, and back bit by bit.
///
///   None, bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID     themselves
///   reference      (type number, object id)
///   tuple, set     {"tuple": [value, ...]}, {"set": [value, ...]}
///   dict           {"dict": [(key, value), ...]}
///   record         {"record": (tag, fields)}              fields: [(mark, value), ...], as codec.h has them
///   Alternative    {"alternative": (tag, arm, fields)}
///   of a codec     {"codec": (name, value)}
///   pickle         {"pickle": bytes}
#pragma once

#include <Python.h>

#include "core/base/bytes.h"

namespace odb {

/// A new reference; nullptr with an exception set. REQUIRES: one whole valid V value.
PyObject* tool_value_of(BytesView value);

/// The value's bytes by its own class; empty, without an exception, for what is no such value.
Bytes bytes_of_tool_value(PyObject* value);

}  // namespace odb
