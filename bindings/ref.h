/// An owned reference to a Python object, or none.
#pragma once

#include <Python.h>

#include <boost/container/small_vector.hpp>
#include <utility>

namespace odb {

class Ref {
 public:
  Ref() = default;
  /// Takes over a new reference; nullptr: none.
  static Ref steal(PyObject* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  static Ref borrow(PyObject* object) { return steal(Py_XNewRef(object)); }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* before = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(before);  // last: it may run code of the program
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  /// A new reference for somebody else.
  PyObject* share() const { return Py_XNewRef(object_); }
  /// Gives the reference away.
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

/// The fields of a record. Few records have more of them than fit without an allocation.
using Parts = boost::container::small_vector<Ref, 8>;

}  // namespace odb
