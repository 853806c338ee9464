#include "bindings/errors.h"

#include <nanobind/nanobind.h>

#include "bindings/gil.h"

namespace odb {
namespace {

const char* class_of(Code code) {
  switch (code) {
    case Code::kProtocol: return "ProtocolError";
    case Code::kAuthentication: return "AuthenticationError";
    case Code::kVersionMismatch: return "ProtocolVersionError";
    case Code::kDisconnected: return "DisconnectedException";
    case Code::kTimeout: return "ConnectTimeoutError";
    case Code::kSchemaMismatch: return "SchemaMismatchError";
    case Code::kNotSubscribed: return "NotSubscribedError";
    case Code::kObjectDoesNotExist: return "ObjectDoesntExistException";
    case Code::kRevisionConflict: return "RevisionConflictException";
    case Code::kTransactionTooOld: return "TransactionTooOldError";
    case Code::kSnapshotTooOld: return "SnapshotTooOldError";
    case Code::kTransactionTooLarge: return "TransactionTooLargeError";
    case Code::kServer: return "ServerError";
    case Code::kInvalidArgument: return "InvalidArgumentError";
    case Code::kOk: break;
  }
  return "InternalError";
}

}  // namespace

void throw_python_error() { throw nanobind::python_error(); }

PyObject* error_class(const char* name) { return member_of("object_database.errors", name); }

PyObject* member_of(const char* module_name, const char* name) {
  PyObject* module = PyImport_ImportModule(module_name);
  if (module == nullptr) return nullptr;
  PyObject* found = PyObject_GetAttrString(module, name);
  Py_DECREF(module);
  Py_XDECREF(found);  // the module keeps it
  return found;
}

void set_error(const char* name, const std::string& message) {
  PyObject* type = error_class(name);
  if (type == nullptr) return;
  PyObject* text = PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "replace");
  if (text == nullptr) return;
  PyErr_SetObject(type, text);
  Py_DECREF(text);
}

void set_error(const Status& status) { set_error(class_of(status.code()), status.message()); }

void set_codec_error(const std::string& where) {
  if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return;
  PyObject *type, *cause, *trace;
  PyErr_Fetch(&type, &cause, &trace);
  PyErr_NormalizeException(&type, &cause, &trace);
  if (trace != nullptr) PyException_SetTraceback(cause, trace);
  PyObject* make = error_class("codec_error");
  PyObject* text = PyUnicode_DecodeUTF8(where.data(), static_cast<Py_ssize_t>(where.size()), "replace");
  PyObject* error = nullptr;
  if (make != nullptr && text != nullptr)
    error = run_python([&] { return PyObject_CallFunctionObjArgs(make, text, cause, nullptr); });
  Py_XDECREF(text);
  if (error == nullptr) {  // no memory, say: then it is told as it was
    PyErr_Clear();
    return PyErr_Restore(type, cause, trace);
  }
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  Py_DECREF(error);
  Py_XDECREF(type);
  Py_XDECREF(cause);
  Py_XDECREF(trace);
}

void raise_if_failed(const Status& status) {
  if (status.is_ok()) return;
  set_error(status);
  throw_python_error();
}

}  // namespace odb
