/// One conversion of bytes into a Python value by a field's type. decode.cpp.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/ref.h"
#include "core/codec/codec.h"

namespace odb {

class Decoder {
 public:
  /// Without a connection references have the numbers of the process.
  explicit Decoder(const Connection* connection) : connection_(connection) {}

  /// A new reference. nullptr without an exception: the type does not hold the value, and fault() may say more.
  PyObject* decode(Reader& in, const FieldType& type);

  const std::string& fault() const { return fault_; }
  /// Names the field, and the place in it, when an exception is set that code of the program raised while it was decoded.
  void tell(const std::string& where) const;
  bool is_shared() const { return is_shared_; }

 private:
  PyObject* decode_kind(Reader& in, const FieldType& type);
  PyObject* decode_int(Reader& in, const FieldType& type);
  PyObject* decode_one_of(Reader& in, const FieldType& type);
  PyObject* decode_literal(Reader& in, const FieldType& type);
  PyObject* decode_enum(Reader& in, const FieldType& type);
  PyObject* decode_reference(Reader& in, const FieldType& type);
  PyObject* decode_tuple(Reader& in, const FieldType& type);
  PyObject* decode_set(Reader& in, const FieldType& type);
  PyObject* decode_key(Reader& in, const FieldType& type);
  PyObject* decode_dict(Reader& in, const FieldType& type);
  PyObject* decode_record(Reader& in, const FieldType& type);
  PyObject* decode_alternative(Reader& in, const FieldType& type);
  PyObject* decode_group(Reader& in, const PartGroup& group);
  template <class Put>
  bool decode_fields(Reader& in, const PartGroup& group, Put&& put);
  PyObject* default_of(const PartField& field);
  PyObject* decode_object(Reader& in, const FieldType& type);
  PyObject* decode_known(Reader& in, bool is_record);
  PyObject* decode_codec(Reader& in, const FieldType& type);
  PyObject* decode_pickle(Reader& in);

  // Without a value, for whoever could not decode it: `step` is the way to the part that failed, `whose` the code that did.
  PyObject* failed_at(const std::string& step);
  PyObject* failed_in(const std::string& whose);

  /// What raised an exception that is set.
  struct Raised {
    explicit Raised(std::string whose) : by(std::move(whose)) {}
    std::string by;  // code of the program
    std::string at;  // ".lines[3]"
  };

  const Connection* connection_;
  std::string fault_;
  std::unique_ptr<Raised> raised_;
  bool is_shared_ = true;
  int level_ = 0;
  size_t attempts_ = 0, attempts_max_ = 0;
};

/// No value is the beginning of another one, nor is the head of one.
inline bool starts_with(const Reader& in, const Bytes& stored) {
  return in.remaining() >= stored.size() && BytesView(in.position(), stored.size()) == stored;
}

/// A str of valid UTF-8; nullptr with an exception set.
PyObject* new_str(BytesView utf8);

}  // namespace odb
