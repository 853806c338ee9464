/// View and Transaction as Python types, and which of them is current.
///
/// A view is current from `with view:` on, in the thread and context (asyncio task) that entered it and nowhere else
/// (D8): it is kept in a ContextVar, and a thread or task that inherited the variable does not count.
#pragma once

#include <Python.h>

#include <memory>
#include <optional>

#include "bindings/connection.h"
#include "core/view/view.h"

namespace odb {

struct PyView {
  enum class State : uint8_t { kFresh, kOpen, kDone };
  PyObject_HEAD PyObject* owner;  // the Python connection, kept alive
  Connection* connection;
  std::optional<View> view;                  // a view's
  std::unique_ptr<Transaction> transaction;  // a transaction's
  State state;
  PyThreadState* thread;    // that entered it
  PyObject* context;        // that entered it; borrowed and compared only: owning it would be a cycle
  PyObject* previous;       // what the ContextVar held before
  double commit_timeout_s;  // < 0: none

  const View& reading() const { return transaction != nullptr ? *transaction : *view; }
};

/// The current view, borrowed; nullptr without an exception when there is none.
PyView* current_view();

/// Adds View, Transaction and current_transaction(). False with an exception set.
bool add_view_types(PyObject* module);

/// A new View or Transaction of a connection; throws through nanobind.
PyObject* new_view(PyObject* owner, Connection& connection, bool is_transaction);

}  // namespace odb
