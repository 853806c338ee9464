// Containers, records, and the values of object fields: bytes into immutable Python values (D9).

#include <array>
#include <cstring>

#include "bindings/codecs.h"
#include "bindings/connection.h"
#include "bindings/decoder.h"
#include "bindings/encoder.h"
#include "bindings/errors.h"
#include "bindings/frozen_dict.h"
#include "bindings/gil.h"
#include "bindings/object_type.h"
#include "bindings/times.h"
#include "core/base/limits.h"

namespace odb {
namespace {

using Kind = FieldKind;

const FieldType& part_of(const FieldType& type, size_t position) {
  return type.kind == Kind::kObject ? type : *type.parts[position];
}

/// A str that is a key of a dict. The same few keys come again and again, so the last ones are kept: a str that is at hand need
/// not be made, has its hash already, and is found in a dict by its identity.
PyObject* key_str(BytesView utf8) {
  constexpr size_t kPlaces = 512, kKeptBytesMax = 32;
  static auto* kept = new std::array<Ref, kPlaces>();  // lives for ever; the GIL guards it
  if (utf8.size() > kKeptBytesMax) return new_str(utf8);
  Ref& place = (*kept)[hash_bytes(utf8) % kPlaces];
  PyObject* before = place.get();
  bool is_it = before != nullptr && static_cast<size_t>(PyUnicode_GET_LENGTH(before)) == utf8.size() &&
               std::memcmp(PyUnicode_DATA(before), utf8.data(), utf8.size()) == 0;
  if (is_it) return place.share();
  PyObject* made = new_str(utf8);
  if (made != nullptr && PyUnicode_IS_COMPACT_ASCII(made)) place = Ref::borrow(made);
  return made;
}

/// An object of a class out of the values of its fields, without code of the program but for a Struct's.
PyObject* build(const PartGroup& group, Parts& parts) {
  auto* cls = reinterpret_cast<PyTypeObject*>(group.cls.get());
  auto count = static_cast<Py_ssize_t>(parts.size());
  if (group.shape == Shape::kStruct) {
    boost::container::small_vector<PyObject*, 8> values;
    for (const Ref& part : parts) values.push_back(part.get());
    size_t by_position = group.is_positional ? parts.size() : 0;
    PyObject* names = group.is_positional ? nullptr : group.field_names.get();
    return run_python([&] { return PyObject_Vectorcall(group.cls.get(), values.data(), by_position, names); });
  }
  if (group.shape == Shape::kObject) {
    Ref nothing = Ref::steal(PyTuple_New(0));
    Ref made = nothing ? Ref::steal(PyBaseObject_Type.tp_new(cls, nothing.get(), nullptr)) : Ref();
    for (size_t i = 0; made && i < parts.size(); ++i) {
      if (PyObject_GenericSetAttr(made.get(), group.fields[i].name.get(), parts[i].get()) < 0) return nullptr;
    }
    return made.release();
  }
  Ref items = Ref::steal(PyTuple_New(count));
  for (Py_ssize_t i = 0; items && i < count; ++i)
    PyTuple_SET_ITEM(items.get(), i, parts[static_cast<size_t>(i)].release());
  Ref args = items ? Ref::steal(PyTuple_Pack(1, items.get())) : Ref();
  return args ? PyTuple_Type.tp_new(cls, args.get(), nullptr) : nullptr;
}

}  // namespace

PyObject* Decoder::decode_tuple(Reader& in, const FieldType& type) {
  in.byte();
  size_t count = in.count(1);
  if (type.kind == Kind::kTuple && count != type.parts.size()) return nullptr;
  Ref tuple = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; tuple && i < count; ++i) {
    PyObject* item = decode(in, part_of(type, type.kind == Kind::kTuple ? i : 0));
    if (item == nullptr) return raised_ == nullptr ? nullptr : failed_at("[" + std::to_string(i) + "]");
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), item);
  }
  return tuple.release();
}

PyObject* Decoder::decode_set(Reader& in, const FieldType& type) {
  in.byte();
  size_t count = in.count(1);
  Ref set = Ref::steal(PyFrozenSet_New(nullptr));
  for (size_t i = 0; set && i < count; ++i) {
    Ref item = Ref::steal(decode(in, part_of(type, 0)));
    bool is_added = item && run_python([&] { return PySet_Add(set.get(), item.get()); }) == 0;
    if (item && !is_added) failed_in("putting it into a set");
    if (!is_added) return raised_ == nullptr ? nullptr : failed_at(" (an item)");
  }
  return set.release();
}

PyObject* Decoder::decode_key(Reader& in, const FieldType& type) {
  bool is_str = in.peek() == kind::kStr && (type.kind == Kind::kStr || type.kind == Kind::kObject);
  if (!is_str) return decode(in, type);
  in.byte();
  return key_str(in.text());
}

PyObject* Decoder::decode_dict(Reader& in, const FieldType& type) {
  in.byte();
  size_t count = in.count(2);
  Ref dict = Ref::steal(PyDict_New());
  for (size_t i = 0; dict && i < count; ++i) {
    Ref key = Ref::steal(decode_key(in, part_of(type, 0)));
    Ref value = key ? Ref::steal(decode(in, part_of(type, 1))) : Ref();
    bool is_set = value && run_python([&] { return PyDict_SetItem(dict.get(), key.get(), value.get()); }) == 0;
    if (value && !is_set) failed_in("putting it into a dict");
    if (!is_set && raised_ == nullptr) return nullptr;
    if (!is_set) return failed_at(!key || value ? " (a key)" : "[" + shown_value(key.get()) + "]");
  }
  return dict ? new_frozen_dict(dict.release()) : nullptr;
}

PyObject* Decoder::decode_record(Reader& in, const FieldType& type) {
  if (!starts_with(in, type.stored)) return nullptr;
  in.take(type.stored.size());
  return decode_group(in, type.groups[0]);
}

PyObject* Decoder::decode_alternative(Reader& in, const FieldType& type) {
  Reader from_here = in;
  in.byte();
  uint32_t tag = in.tag(), arm = in.arm();
  if (tag == type.tag && arm < type.groups.size()) return decode_group(in, type.groups[arm]);
  if (tag == type.tag)
    fault_ = type.name + " has an arm number " + std::to_string(arm) + " that this program does not know";
  in = from_here;
  return nullptr;
}

PyObject* Decoder::decode_group(Reader& in, const PartGroup& group) {
#if PY_VERSION_HEX < 0x030e0000  // what tuple.__new__ does; later ones keep a hash in there
  if (group.shape == Shape::kTuple) {
    auto* cls = reinterpret_cast<PyTypeObject*>(group.cls.get());
    Ref made = Ref::steal(cls->tp_alloc(cls, static_cast<Py_ssize_t>(group.fields.size())));
    bool is_whole = made && decode_fields(in, group, [&](size_t position, PyObject* part) {
                      PyTuple_SET_ITEM(made.get(), static_cast<Py_ssize_t>(position), part);
                    });
    return is_whole ? made.release() : nullptr;
  }
#endif
  Parts parts(group.fields.size());
  bool is_whole =
      decode_fields(in, group, [&](size_t position, PyObject* part) { parts[position] = Ref::steal(part); });
  PyObject* built = is_whole ? build(group, parts) : nullptr;
  if (is_whole && built == nullptr) failed_in("the constructor of " + group.name);
  return built;
}

/// Calls put(position, new reference) for each field. False as decode() gives nullptr.
template <class Put>
bool Decoder::decode_fields(Reader& in, const PartGroup& group, Put&& put) {
  size_t count = group.fields.size(), position = 0;
  auto told = [&](size_t failed) {
    if (raised_ != nullptr) failed_at("." + std::string(PyUnicode_AsUTF8(group.fields[failed].name.get())));
    return false;
  };
  for (; in.byte() != mark::kEnd && in.is_ok(); ++position) {
    if (position >= count) {
      in.value();  // of a later definition, which has more fields
      continue;
    }
    PyObject* part = decode(in, *group.fields[position].type);
    if (part == nullptr) return told(position);
    put(position, part);
  }
  for (; position < count; ++position) {
    const PartField& field = group.fields[position];
    if (field.is_required) {
      fault_ = "the field " + std::string(PyUnicode_AsUTF8(field.name.get())) + " is not stored, and has no default";
      return false;
    }
    PyObject* part = default_of(field);
    if (part == nullptr) return told(position);
    put(position, part);
  }
  return true;
}

PyObject* Decoder::default_of(const PartField& field) {
  if (field.default_value) return field.default_value.share();
  Bytes of_connection;
  if (field.default_bytes.empty()) append_default(*field.type, connection_, of_connection);
  Reader in(field.default_bytes.empty() ? of_connection : field.default_bytes);
  bool was_shared = std::exchange(is_shared_, true);
  Ref read = Ref::steal(decode(in, *field.type));
  if (read && is_shared_ && !field.default_bytes.empty() && !field.default_value)
    field.default_value = Ref::borrow(read.get());
  is_shared_ = is_shared_ && was_shared;
  return read.release();
}

// ---- object fields

PyObject* Decoder::decode_object(Reader& in, const FieldType& type) {
  static const FieldType kInt = scalar_type(Kind::kInt), kUint64 = scalar_type(Kind::kUint64),
                         kNone = scalar_type(Kind::kNone), kBool = scalar_type(Kind::kBool),
                         kFloat = scalar_type(Kind::kFloat), kStr = scalar_type(Kind::kStr),
                         kBytes = scalar_type(Kind::kBytes);
  uint8_t head = in.peek();
  if (head >= kind::kIntMin && head <= kind::kIntMax) return decode(in, in.is_large_integer() ? kUint64 : kInt);
  if (standard_kind_of_head(head) != Kind::kNone) {
    in.byte();
    return decode_standard(in, head);
  }
  switch (head) {
    case kind::kNone: return decode(in, kNone);
    case kind::kFalse:
    case kind::kTrue: return decode(in, kBool);
    case kind::kFloat: return decode(in, kFloat);
    case kind::kStr: return decode(in, kStr);
    case kind::kBytes: return decode(in, kBytes);
    case kind::kTuple: return decode_tuple(in, type);
    case kind::kSet: return decode_set(in, type);
    case kind::kDict: return decode_dict(in, type);
    case kind::kRecord: return decode_known(in, true);
    case kind::kAlternative: return decode_known(in, false);
    case kind::kCodec: return decode_codec(in, type);
    case kind::kPickle: return decode_pickle(in);
    case kind::kReference: break;
    default: return nullptr;
  }
  in.byte();
  auto number = TypeId{static_cast<uint32_t>(in.integer())};
  ObjectId object{in.integer()};
  DatabaseType* target =
      connection_ != nullptr ? connection_->type_of(number) : database_type_in_slot(number.value - size_t{1});
  if (target != nullptr) return new_handle(*target, object);
  fault_ = "it refers to a type that this connection does not know; call addSchema for its schema";
  return nullptr;
}

/// A record or an Alternative of the class that its tag means here.
PyObject* Decoder::decode_known(Reader& in, bool is_record) {
  Reader ahead = in;
  ahead.byte();
  if (const FieldType* known = record_of_tag(ahead.tag(), is_record)) {
    PyObject* read = decode(in, *known);
    if (read == nullptr && !PyErr_Occurred() && fault_.empty())
      fault_ = "the class of its name that this program knows has other fields";
    return read;
  }
  if (fault_.empty())
    fault_ =
        "this program does not know its class, or several of that name: call register_record for the one that is meant";
  return nullptr;
}

PyObject* Decoder::decode_codec(Reader& in, const FieldType& type) {
  in.byte();
  BytesView name = in.text();
  const Codec* codec = codec_named(name);
  if (codec == nullptr) {
    fault_ = "it is of the codec '" + std::string(name) + "', which is not registered here: call register_codec";
    return nullptr;
  }
  Ref made = Ref::steal(decode(in, type));
  if (!made) return nullptr;
  is_shared_ = false;
  PyObject* read = run_python([&] { return PyObject_CallOneArg(codec->decode.get(), made.get()); });
  return read != nullptr ? read : failed_in("decode of the codec '" + codec->name + "'");
}

PyObject* Decoder::decode_pickle(Reader& in) {
  in.byte();
  BytesView text = in.text();
  if (connection_ == nullptr || !connection_->allow_pickle) {
    fault_ = "it is a pickle, which runs code of whoever wrote it: connect(..., allow_pickle=True) reads it";
    return nullptr;
  }
  Ref loads = Ref::borrow(member_of("pickle", "loads"));
  Ref bytes = loads ? Ref::steal(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()))) : Ref();
  if (!bytes) return nullptr;
  is_shared_ = false;
  PyObject* read = run_python([&] { return PyObject_CallOneArg(loads.get(), bytes.get()); });
  return read != nullptr ? read : failed_in("pickle.loads");
}

}  // namespace odb
