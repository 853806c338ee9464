#include "bindings/stored_values.h"

#include <vector>

#include "bindings/ref.h"
#include "bindings/times.h"
#include "core/base/limits.h"
#include "core/codec/codec.h"

namespace odb {
namespace {

// ---- out of bytes

PyObject* read(Reader& in);

PyObject* tagged(const char* word, PyObject* content) {
  return content == nullptr ? nullptr : Py_BuildValue("{s:N}", word, content);
}

PyObject* read_list(Reader& in, bool is_dict) {
  in.byte();
  size_t count = in.count(is_dict ? 2 : 1);
  Ref list = Ref::steal(PyList_New(0));
  for (size_t i = 0; list && i < count; ++i) {
    Ref item = Ref::steal(read(in));
    if (item && is_dict) {
      Ref value = Ref::steal(read(in));
      item = value ? Ref::steal(PyTuple_Pack(2, item.get(), value.get())) : Ref();
    }
    if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* read_fields(Reader& in) {
  Ref list = Ref::steal(PyList_New(0));
  while (list && in.is_ok()) {
    uint8_t mark = in.byte();
    if (mark == mark::kEnd) break;
    Ref value = Ref::steal(read(in));
    Ref field = value ? Ref::steal(Py_BuildValue("(iO)", mark, value.get())) : Ref();
    if (!field || PyList_Append(list.get(), field.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* read(Reader& in) {
  uint8_t head = in.peek();
  if (head >= kind::kIntMin && head <= kind::kIntMax) {
    if (in.is_large_integer()) return PyLong_FromUnsignedLongLong(in.unsigned_integer());
    return PyLong_FromLongLong(in.integer());
  }
  if (head == kind::kTuple) return tagged("tuple", read_list(in, false));
  if (head == kind::kSet) return tagged("set", read_list(in, false));
  if (head == kind::kDict) return tagged("dict", read_list(in, true));
  in.byte();
  if (standard_kind_of_head(head) != FieldKind::kNone) return decode_standard(in, head);
  switch (head) {
    case kind::kNone: Py_RETURN_NONE;
    case kind::kFalse: Py_RETURN_FALSE;
    case kind::kTrue: Py_RETURN_TRUE;
    case kind::kFloat: return PyFloat_FromDouble(in.float_after_kind());
    case kind::kStr: {
      BytesView text = in.text();
      return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
    }
    case kind::kBytes:
    case kind::kPickle: {
      BytesView bytes = in.text();
      PyObject* made = PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
      return head == kind::kBytes ? made : tagged("pickle", made);
    }
    case kind::kRecord: {
      uint32_t tag = in.tag();
      PyObject* fields = read_fields(in);
      return fields == nullptr ? nullptr : tagged("record", Py_BuildValue("(IN)", tag, fields));
    }
    case kind::kAlternative: {
      uint32_t tag = in.tag(), arm = in.arm();
      PyObject* fields = read_fields(in);
      return fields == nullptr ? nullptr : tagged("alternative", Py_BuildValue("(IIN)", tag, arm, fields));
    }
    case kind::kCodec: {
      BytesView name = in.text();
      PyObject* value = read(in);
      if (value == nullptr) return nullptr;
      PyObject* text = PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), nullptr);
      return tagged("codec", Py_BuildValue("(NN)", text, value));
    }
    default: {
      long long type = in.integer(), object = in.integer();
      return Py_BuildValue("(LL)", type, object);
    }
  }
}

// ---- into bytes: false for what is no value

bool put(PyObject* value, Bytes& out, int depth_left);

bool read_number(PyObject* item, int64_t most, int64_t& number) {
  if (!PyLong_CheckExact(item)) return false;
  int overflow = 0;
  number = PyLong_AsLongLongAndOverflow(item, &overflow);
  return overflow == 0 && number >= 0 && number <= most;
}

bool is_pair(PyObject* item, Py_ssize_t size) {
  return (PyTuple_CheckExact(item) || PyList_CheckExact(item)) && PySequence_Fast_GET_SIZE(item) == size;
}

bool put_reference_of(PyObject* pair, Bytes& out) {
  int64_t type, object;
  if (PyTuple_GET_SIZE(pair) != 2 || !read_number(PyTuple_GET_ITEM(pair, 0), limits::kTypeIdMax, type) || type < 1 ||
      !read_number(PyTuple_GET_ITEM(pair, 1), INT64_MAX, object))
    return false;
  put_reference(out, TypeId{static_cast<uint32_t>(type)}, ObjectId{object});
  return true;
}

bool put_int_of(PyObject* value, Bytes& out) {
  int overflow = 0;
  int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) return put_int(out, number), true;
  uint64_t large = overflow > 0 ? PyLong_AsUnsignedLongLong(value) : 0;
  if (overflow < 0 || PyErr_Occurred()) return PyErr_Clear(), false;
  put_unsigned(out, large);
  return true;
}

bool put_str_of(PyObject* value, Bytes& out) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
  if (utf8 == nullptr) return PyErr_Clear(), false;  // lone surrogates
  put_str(out, {utf8, static_cast<size_t>(size)}, Mode::kValue);
  return true;
}

bool put_list_of(PyObject* list, uint8_t kind, Bytes& out, int depth_left) {
  if (!PyList_CheckExact(list)) return false;
  Py_ssize_t count = PyList_GET_SIZE(list);
  std::vector<Bytes> parts;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* item = PyList_GET_ITEM(list, i);
    if (kind != kind::kDict) {
      if (!put(item, parts.emplace_back(), depth_left)) return false;
      continue;
    }
    if (!is_pair(item, 2) || !put(PySequence_Fast_GET_ITEM(item, 0), parts.emplace_back(), depth_left) ||
        !put(PySequence_Fast_GET_ITEM(item, 1), parts.emplace_back(), depth_left))
      return false;
  }
  if (kind == kind::kTuple) {
    put_tuple_head(out, parts.size());
    for (const Bytes& part : parts) out += part;
    return true;
  }
  if (kind == kind::kSet) {
    std::vector<BytesView> items(parts.begin(), parts.end());
    return put_set(out, items) == parts.size();
  }
  std::vector<std::pair<BytesView, BytesView>> items;
  for (size_t i = 0; i + 1 < parts.size(); i += 2) items.emplace_back(parts[i], parts[i + 1]);
  return put_dict(out, items);
}

bool put_fields_of(PyObject* fields, Bytes& out, int depth_left) {
  if (!PyList_CheckExact(fields)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(fields); ++i) {
    PyObject* field = PyList_GET_ITEM(fields, i);
    int64_t mark;
    if (!is_pair(field, 2) || !read_number(PySequence_Fast_GET_ITEM(field, 0), mark::kGreater, mark) || mark == 0)
      return false;
    out.push_back(static_cast<char>(mark));
    if (!put(PySequence_Fast_GET_ITEM(field, 1), out, depth_left)) return false;
  }
  out.push_back(static_cast<char>(mark::kEnd));
  return true;
}

bool put_tagged(PyObject* word, PyObject* content, Bytes& out, int depth_left) {
  if (PyUnicode_CompareWithASCIIString(word, "tuple") == 0) return put_list_of(content, kind::kTuple, out, depth_left);
  if (PyUnicode_CompareWithASCIIString(word, "set") == 0) return put_list_of(content, kind::kSet, out, depth_left);
  if (PyUnicode_CompareWithASCIIString(word, "dict") == 0) return put_list_of(content, kind::kDict, out, depth_left);
  if (PyUnicode_CompareWithASCIIString(word, "pickle") == 0) {
    if (!PyBytes_CheckExact(content)) return false;
    put_pickle(out, {PyBytes_AS_STRING(content), static_cast<size_t>(PyBytes_GET_SIZE(content))});
    return true;
  }
  if (PyUnicode_CompareWithASCIIString(word, "codec") == 0) {
    PyObject* name = is_pair(content, 2) ? PySequence_Fast_GET_ITEM(content, 0) : nullptr;
    Py_ssize_t size = 0;
    const char* utf8 = name != nullptr && PyUnicode_CheckExact(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
    if (utf8 == nullptr) return PyErr_Clear(), false;
    put_codec_head(out, {utf8, static_cast<size_t>(size)});
    return put(PySequence_Fast_GET_ITEM(content, 1), out, depth_left);
  }
  bool is_record = PyUnicode_CompareWithASCIIString(word, "record") == 0;
  if (!is_record && PyUnicode_CompareWithASCIIString(word, "alternative") != 0) return false;
  int64_t tag, arm = 0;
  if (!is_pair(content, is_record ? 2 : 3) || !read_number(PySequence_Fast_GET_ITEM(content, 0), UINT32_MAX, tag))
    return false;
  if (!is_record && !read_number(PySequence_Fast_GET_ITEM(content, 1), limits::kFieldsPerTypeMax - 1, arm))
    return false;
  if (is_record) {
    put_record_value_head(out, static_cast<uint32_t>(tag));
  } else {
    put_alternative_head(out, static_cast<uint32_t>(tag), static_cast<uint32_t>(arm));
  }
  return put_fields_of(PySequence_Fast_GET_ITEM(content, is_record ? 1 : 2), out, depth_left);
}

bool put(PyObject* value, Bytes& out, int depth_left) {
  if (value == Py_None) return put_none(out), true;
  if (PyBool_Check(value)) return put_bool(out, value == Py_True), true;
  if (PyLong_CheckExact(value)) return put_int_of(value, out);
  if (PyFloat_CheckExact(value)) return put_float(out, PyFloat_AS_DOUBLE(value), Mode::kValue), true;
  if (PyUnicode_CheckExact(value)) return put_str_of(value, out);
  if (PyBytes_CheckExact(value)) {
    put_bytes(out, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))}, Mode::kValue);
    return true;
  }
  if (PyTuple_CheckExact(value)) return put_reference_of(value, out);
  if (PyDict_CheckExact(value)) {
    PyObject *word, *content;
    Py_ssize_t at = 0;
    return depth_left > 0 && PyDict_GET_SIZE(value) == 1 && PyDict_Next(value, &at, &word, &content) &&
           PyUnicode_CheckExact(word) && put_tagged(word, content, out, depth_left - 1);
  }
  std::string fault;
  bool is_taken = encode_standard(value, standard_kind_of(value), out, fault) == Fit::kTaken;
  PyErr_Clear();
  return is_taken;
}

}  // namespace

PyObject* tool_value_of(BytesView value) {
  Reader in(value);
  return read(in);
}

Bytes bytes_of_tool_value(PyObject* value) {
  Bytes out;
  if (!put(value, out, limits::kValueDepthMax)) return {};
  Reader in(out);  // marks and tags that no encoder would have put
  in.value();
  return in.is_ok() && in.at_end() ? out : Bytes();
}

}  // namespace odb
