/// Giving up the GIL and taking it back, safely for threads that are at it while the interpreter ends.
///
/// Up to Python 3.13 a daemon thread that asks for the GIL of a dying interpreter is ended by pthread_exit, which unwinds
/// its C++ frames: destructors, which may not throw, would end the process, and others would touch Python without the
/// GIL. Such a thread is kept asleep here instead, as later Pythons do; the process is about to be gone. Python code asks
/// for the GIL now and then, so whatever calls some does it through run_python(), unless nothing above it refers to
/// Python objects and no frame of nanobind, which would catch the unwinding, is there.
#pragma once

#include <Python.h>
#include <unistd.h>

namespace odb {

/// What f() gives.
template <class F>
auto run_python(F&& f) {
  try {
    return f();
  } catch (...) {  // the forced unwind of pthread_exit, which must not be left
    while (true) pause();
  }
}

/// Without the GIL as long as this lives.
class NoGil {
 public:
  NoGil() : saved_(PyEval_SaveThread()) {}
  NoGil(const NoGil&) = delete;
  NoGil& operator=(const NoGil&) = delete;
  ~NoGil() {
    run_python([this] { PyEval_RestoreThread(saved_); });
  }

 private:
  PyThreadState* saved_;
};

/// With the GIL, on a thread that may have given it up.
class WithGil {
 public:
  WithGil() {
    run_python([this] { state_ = PyGILState_Ensure(); });
  }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace odb
