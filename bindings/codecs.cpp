#include "bindings/codecs.h"

#include <boost/unordered/unordered_flat_map.hpp>

#include "bindings/errors.h"
#include "bindings/frozen_dict.h"
#include "bindings/guarded.h"
#include "bindings/object_type.h"
#include "core/base/limits.h"

namespace odb {
namespace {

/// Records, or Alternatives, of one name.
struct Namesakes {
  std::vector<const FieldType*> known;    // of different classes
  const FieldType* registered = nullptr;  // one of them
};

struct Registry {
  boost::unordered_flat_map<PyTypeObject*, const Codec*> codec_by_class;
  boost::unordered_flat_map<std::string, const Codec*> codec_by_name;
  boost::unordered_flat_map<PyTypeObject*, const FieldType*> record_by_class;
  boost::unordered_flat_map<uint64_t, Namesakes> records_by_tag;  // key: key_of()
};

Registry& registry() {
  static auto* known = new Registry();
  return *known;
}

PyTypeObject* as_type(const Ref& cls) { return reinterpret_cast<PyTypeObject*>(cls.get()); }

uint64_t key_of(uint32_t tag, bool is_record) { return uint64_t{tag} << 1 | (is_record ? 1 : 0); }
uint64_t key_of(const FieldType& type) { return key_of(type.tag, type.kind == FieldKind::kRecord); }

/// Whether two classes are the same one, of which a module that was loaded again has made a second.
bool is_same_anew(PyTypeObject* one, PyTypeObject* other) {
  if (one == other) return true;
  for (const char* part : {"__module__", "__qualname__"}) {
    Ref a = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(one), part));
    Ref b = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(other), part));
    int is_equal = a && b ? PyObject_RichCompareBool(a.get(), b.get(), Py_EQ) : -1;
    if (is_equal < 0) PyErr_Clear();
    if (is_equal != 1) return false;
  }
  return true;
}

PyTypeObject* class_of(const FieldType& record) { return as_type(record.groups[0].cls); }

/// Whether encode_object takes a value of the class before it asks for a codec.
bool is_held_as_it_is(PyTypeObject* type) {
  return type == Py_TYPE(Py_None) || type == &PyBool_Type || type == &PyLong_Type || type == &PyFloat_Type ||
         type == &PyUnicode_Type || type == &PyBytes_Type || type == &PyTuple_Type || type == &PyList_Type ||
         type == &PyDict_Type || type == &PySet_Type || type == &PyFrozenSet_Type || type == frozen_dict_type();
}

/// register_codec(cls, encode, decode, name)
PyObject* register_codec(PyObject*, PyObject* args) {
  PyObject *cls, *encode, *decode;
  PyObject* text;
  if (!PyArg_ParseTuple(args, "O!OOU", &PyType_Type, &cls, &encode, &decode, &text)) return nullptr;
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) return nullptr;
  std::string name(utf8, static_cast<size_t>(size));
  if (!PyCallable_Check(encode) || !PyCallable_Check(decode)) {
    set_error("ValueTypeError", "register_codec takes two functions: encode(object) and decode(value)");
    return nullptr;
  }
  if (name.empty() || name.size() > limits::kNameBytesMax) {
    set_error("ValueTypeError", "a codec's name has 1 to " + std::to_string(limits::kNameBytesMax) + " bytes");
    return nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  const Codec* known = codec_named(name);
  if ((known != nullptr && as_type(known->cls) != type) || (codec_of(type) != nullptr && codec_of(type) != known)) {
    set_error("SchemaError", "a codec named '" + name + "' or for " + type->tp_name + " is registered already");
    return nullptr;
  }
  if (is_held_as_it_is(type)) {
    set_error("SchemaError",
              std::string("object fields hold a ") + type->tp_name + " as it is; a codec for it would never be asked");
    return nullptr;
  }
  if (find_database_type(type) != nullptr) {
    set_error("SchemaError", std::string("object fields hold references to ") + type->tp_name +
                                 " objects; a codec for it would store copies");
    return nullptr;
  }
  auto* codec = new Codec{name, Ref::borrow(cls), Ref::borrow(encode), Ref::borrow(decode)};  // lives for ever
  registry().codec_by_class[type] = codec;
  registry().codec_by_name[name] = codec;
  Py_RETURN_NONE;
}

/// register_record(spec): of a record or an Alternative.
PyObject* register_record(PyObject*, PyObject* spec) {
  auto type = std::make_unique<FieldType>();
  if (!parse_field_type(spec, *type, "register_record")) return nullptr;
  if (type->kind != FieldKind::kRecord && type->kind != FieldKind::kAlternative) {
    set_error("SchemaError",
              "register_record takes a NamedTuple, a frozen dataclass, a msgspec.Struct or an Alternative");
    return nullptr;
  }
  if (type->tag == 0) {
    set_error("SchemaError", "register_record: " + describe(*type) +
                                 " has no name that its values could be known by; " +
                                 "write a class that derives from it");
    return nullptr;
  }
  Namesakes& namesakes = registry().records_by_tag[key_of(*type)];
  if (namesakes.registered != nullptr && !is_same_anew(class_of(*namesakes.registered), class_of(*type))) {
    set_error("SchemaError",
              std::string("register_record: another ") + class_of(*type)->tp_name +
                  " is registered already, and object fields tell records apart by their names; rename one");
    return nullptr;
  }
  namesakes.registered = type.get();
  know_records(*type.release());  // lives for ever
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"register_codec", guarded_method<register_codec>(), METH_VARARGS,
     "register_codec(cls, encode, decode, name)\n--\n\nLet object fields hold objects of a class."},
    {"register_record", guarded_method<register_record>(), METH_O,
     "register_record(spec)\n--\n\nLet object fields hold a record or an Alternative."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

const Codec* codec_of(PyTypeObject* cls) {
  auto found = registry().codec_by_class.find(cls);
  return found == registry().codec_by_class.end() ? nullptr : found->second;
}

const Codec* codec_named(BytesView name) {
  auto found = registry().codec_by_name.find(std::string(name));
  return found == registry().codec_by_name.end() ? nullptr : found->second;
}

const FieldType* record_of_class(PyTypeObject* cls) {
  auto found = registry().record_by_class.find(cls);
  return found == registry().record_by_class.end() ? nullptr : found->second;
}

const FieldType* record_of_tag(uint32_t tag, bool is_record) {
  auto found = registry().records_by_tag.find(key_of(tag, is_record));
  if (found == registry().records_by_tag.end()) return nullptr;
  const Namesakes& namesakes = found->second;
  if (namesakes.registered != nullptr) return namesakes.registered;
  return namesakes.known.size() == 1 ? namesakes.known.front() : nullptr;
}

void know_records(const FieldType& type) {
  each_part_of(type, [](const FieldType& part) {
    if ((part.kind != FieldKind::kRecord && part.kind != FieldKind::kAlternative) || part.tag == 0) return;
    if (!registry().record_by_class.try_emplace(class_of(part), &part).second) return;
    for (const PartGroup& arm : part.groups) registry().record_by_class.try_emplace(as_type(arm.cls), &part);
    std::vector<const FieldType*>& known = registry().records_by_tag[key_of(part)].known;
    std::erase_if(known, [&](const FieldType* other) { return is_same_anew(class_of(*other), class_of(part)); });
    known.push_back(&part);
  });
}

bool add_codec_functions(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace odb
