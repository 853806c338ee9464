/// One conversion of a Python value into bytes. encode.cpp has unions and errors, encode_scalars.cpp, encode_containers.cpp,
/// encode_records.cpp and encode_objects.cpp the kinds.
///
/// Failures are told as deep as they happen: "shop.Order.lines[3].price: str was given, and the field takes int". In a
/// union, where several arms fail, the deepest one is told, or that none fits.
#pragma once

#include <Python.h>

#include <span>
#include <string>

#include "bindings/convert.h"
#include "bindings/fit.h"
#include "bindings/ref.h"
#include "core/base/limits.h"

namespace odb {

class Encoder {
 public:
  /// is_local: references get numbers of the process.
  Encoder(const Connection* connection, bool is_local, const std::string& where, Bytes& out)
      : connection_(connection), is_local_(is_local), where_(where), out_(out) {}

  /// False with an exception set; nothing is appended then.
  bool encode_whole(PyObject* value, const FieldType& type);
  bool has_pickle() const { return has_pickle_; }

 private:
  /// Items, or keys and values by turns, that stay whatever converting one of them does to where they came from.
  using Held = boost::container::small_vector<Ref, 16>;
  /// Where each item of those begins in the bytes.
  using Begins = boost::container::small_vector<size_t, 17>;

  /// A step of the path to what is converted now.
  struct Step {
    const Step* before;
    PyObject* name;    // of a field; nullptr
    PyObject* key;     // of a dict; nullptr
    Py_ssize_t index;  // of an item
  };
  /// Inside of a part of the value while it lives.
  class Inside {
   public:
    Inside(Encoder& encoder, PyObject* name, PyObject* key, Py_ssize_t index)
        : encoder_(encoder), step_{encoder.path_, name, key, index} {
      encoder_.path_ = &step_;
      ++encoder_.depth_;
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() {
      encoder_.path_ = step_.before;
      --encoder_.depth_;
    }

   private:
    Encoder& encoder_;
    Step step_;
  };

  Fit encode(PyObject* value, const FieldType& type);
  Fit encode_kind(PyObject* value, const FieldType& type);
  Fit encode_one_of(PyObject* value, const FieldType& type);
  size_t attempts_max() const;
  Fit encode_first_arm(PyObject* value, const FieldType& type, size_t start);

  // encode_scalars.cpp
  Fit encode_bool(PyObject* value, const FieldType& type);
  Fit encode_int(PyObject* value, const FieldType& type);
  Fit put_int_in_range(PyObject* number, const FieldType& type);
  Fit encode_float(PyObject* value, const FieldType& type);
  Fit encode_str(PyObject* value, const FieldType& type);
  Fit encode_bytes(PyObject* value, const FieldType& type);
  Fit encode_literal(PyObject* value, const FieldType& type);
  Fit encode_enum(PyObject* value, const FieldType& type);
  Fit encode_reference(PyObject* value, const FieldType& type);
  Fit encode_times(PyObject* value, const FieldType& type);
  Fit put_reference_to(PyObject* handle, const DatabaseType& target);

  // encode_containers.cpp
  Fit encode_tuple_of(PyObject* value, const FieldType& type);
  Fit encode_tuple(PyObject* value, const FieldType& type);
  Fit encode_set_of(PyObject* value, const FieldType& type);
  Fit leave_out_equals(const FieldType& type, size_t start);
  Fit encode_dict_of(PyObject* value, const FieldType& type);
  /// What an iterable or mapping of the program's own gives, as a list or dict, once; kNot: the value is none of these.
  Fit copy_foreign(PyObject* value, Ref& copy);
  /// The items of an iterable as a tuple or list; kNot: it is none.
  Fit items_of(PyObject* value, Ref& items);
  /// The same, to be sorted.
  Fit members_of(PyObject* value, Held& members);
  /// The keys and values of a mapping, one after the other; kNot: it is none.
  Fit pairs_of(PyObject* value, Held& pairs);
  Fit encode_item(PyObject* item, const FieldType& type, PyObject* key, Py_ssize_t index);

  // encode_records.cpp
  Fit encode_record(PyObject* value, const FieldType& type);
  Fit encode_alternative(PyObject* value, const FieldType& type);
  Fit put_own(PyObject* value, const PartGroup& group);
  Fit parts_by_name(PyObject* names, PyObject* items, const FieldType& type, Parts& parts);
  Fit parts_of_mapping(const Held& pairs, const FieldType& type, Parts& parts);
  /// part_at(position): borrowed from who holds it till the end; nullptr: not given.
  template <class PartAt>
  Fit put_group(const PartGroup& group, PartAt&& part_at);
  Fit put_marks(const PartGroup& group, std::span<const size_t> begins);
  bool put_default(const PartField& field, Bytes& out);

  // encode_objects.cpp
  Fit encode_object(PyObject* value, const FieldType& type);
  Fit encode_by_class(PyObject* value, const FieldType& type);
  Fit put_codec(PyObject* value, const FieldType& type);
  Fit put_pickle_of(PyObject* value);
  Fit failed_in(const std::string& whose);

  /// Counts the containers around what is converted now; not ok: too many of them.
  class Nested {
   public:
    explicit Nested(Encoder& encoder) : encoder_(encoder) { ++encoder_.nesting_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { --encoder_.nesting_; }
    bool is_ok() const;

   private:
    Encoder& encoder_;
  };

  /// The value's class is not one that the type takes.
  Fit not_a(PyObject* value, const FieldType& type);
  /// It is, and there is something wrong with this value.
  Fit wrong(const char* error, const std::string& what);
  /// Whether a failure here would be told.
  bool is_told() const { return !is_exact_ && depth_ > quiet_ && depth_ > failure_depth_; }
  std::string path() const;
  bool is_too_large() { return out_.size() - start_ > limits::kValueBytesMax && refuse_too_large(); }
  bool refuse_too_large();

  const Connection* connection_;
  bool is_local_;
  const std::string& where_;
  Bytes& out_;
  size_t start_ = 0;
  const Step* path_ = nullptr;
  int depth_ = 0;
  int nesting_ = 0;
  int level_ = 0;                 // of calls
  size_t attempts_ = 0;           // of arms that did not fit
  bool is_out_of_range_ = false;  // an int did not fit where one belongs
  bool is_exact_ = false;         // nothing is converted: the value's own type must be the field's
  int quiet_ = -1;                // failures up to this depth are a union's to tell
  int failure_depth_ = -1;
  const char* failure_error_ = nullptr;
  std::string failure_;
  bool has_pickle_ = false;
};

/// What most values are, without the machinery: exactly of a plain scalar type, or of such an arm, whose bytes are those
/// that every other arm would give. False, without an exception: it is something else, or does not fit.
bool put_plain(PyObject* value, const FieldType& type, Bytes& out);

/// From now on function(value) is asked about a value that no field takes as it is: the same as a value of Python's own
/// classes, or the value itself.
PyObject* translate_values_with(PyObject*, PyObject* function);

bool is_numpy_scalar(PyObject* value);
bool is_numpy_bool(PyObject* value);

/// For messages: 5, 'abc', or the name of a class that may do anything when it is asked.
std::string shown_value(PyObject* value);

/// The type that needs no more than its kind.
inline FieldType scalar_type(FieldKind kind) {
  FieldType type;
  type.kind = kind;
  return type;
}

}  // namespace odb
