/// Python values to canonical bytes by a field's type, and back: one engine for construction, assignment, lookups and
/// the vocabulary's own constructors.
///
/// Numbers never wrap or lose anything (D10). A oneof takes the first arm whose exact type the value has, all the way
/// down, then the first arm that converts it. What was read is immutable all the way down (D9).
///
/// Both directions may run code of the program: iterators, constructors, codecs, a collector's finalizers. It may end
/// the current view, or write fields itself. So callers keep their view alive (Kept), look whether it is still open
/// afterwards, and convert into a Scratch of their own.
#pragma once

#include <Python.h>

#include <string>

#include "bindings/field_type.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace odb {

struct Connection;

/// What a conversion found out about a value.
struct Encoded {
  bool has_pickle = false;  // somewhere in it: it cannot be a key
};

/// Appends `value` converted to `type`. False with TypeError, OverflowError or ValueError set; `where` names the field.
/// Without a connection references have no number yet: none can be converted.
bool encode_value(PyObject* value, const FieldType& type, const Connection* connection, const std::string& where,
                  Bytes& out, Encoded* found = nullptr);

/// A new reference to the Python value of a canonical V value of a field; nullptr with an exception set:
/// SchemaMismatchError when the type does not hold it. `is_shared`: set to false when the value must not be given to
/// anybody else, because code of the program made it and may change it.
/// REQUIRES: the bytes stay where they are, whatever code of the program does (see is_plain).
PyObject* decode_value(BytesView value, const FieldType& type, const Connection& connection, const std::string& where,
                       bool* is_shared = nullptr);

/// `value` as a field of this type would give it; references need no connection.
PyObject* convert_value(PyObject* value, const FieldType& type, const std::string& where);

/// Appends None, a bool, int, float, str or bytes as what it is: of a literal, of an Enum member. False with an
/// exception set.
bool append_scalar(PyObject* value, const std::string& where, Bytes& out);

/// A dict with the same items, its keys in the order of the canonical encoding; those that no field holds come last, as
/// they were. Gives a new reference; nullptr with an exception set.
PyObject* sorted_by_key(PyObject* dict);

/// The catalogue's number of a type on a connection, 0 when it has none. Without a connection: a number of the process.
TypeId number_of_type(const DatabaseType& type, const Connection* connection);

/// Takes this thread's buffer for as long as it lives, so that conversions may nest.
class Scratch {
 public:
  Scratch() : Scratch(spare()) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (bytes.capacity() <= kKeptBytes) spare_ = std::move(bytes);  // after something large, small again
  }

  Bytes bytes;

 private:
  static constexpr size_t kKeptBytes = 1 << 20;
  explicit Scratch(Bytes& spare) : bytes(std::move(spare)), spare_(spare) { bytes.clear(); }
  static Bytes& spare() {
    thread_local Bytes kept;
    return kept;
  }
  Bytes& spare_;  // found once: finding what a thread has costs as much as a small value does
};

/// convert(spec, value, where): False with an exception set.
bool add_convert_functions(PyObject* module);

}  // namespace odb
