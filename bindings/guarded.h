/// guarded<f>: a C function for CPython's slots that never lets a C++ exception out.
///
/// What the core throws is an InternalError, memory that cannot be had is a MemoryError; both become Python exceptions.
/// Nothing is caught by `...`: the forced unwind of a thread that the interpreter ends must pass.
#pragma once

#include <Python.h>

#include <exception>
#include <new>
#include <type_traits>

#include "bindings/errors.h"

namespace odb {

template <auto F>
struct Guarded;

template <class R, class... Args, R (*F)(Args...)>
struct Guarded<F> {
  static R call(Args... args) {
    try {
      return F(args...);
    } catch (const std::bad_alloc&) { PyErr_NoMemory(); } catch (const std::exception& error) {
      set_error("InternalError", error.what());
    }
    if constexpr (std::is_pointer_v<R>) {
      return nullptr;
    } else {
      return R(-1);
    }
  }
};

template <auto F>
constexpr auto guarded = &Guarded<F>::call;

/// The same as PyType_Slot and PyMethodDef want it.
template <auto F>
void* guarded_slot() {
  return reinterpret_cast<void*>(guarded<F>);
}
template <auto F>
PyCFunction guarded_method() {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded<F>));
}

}  // namespace odb
