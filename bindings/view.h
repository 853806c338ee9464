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

/// What a view notes, and whom it tells, beyond what its commit needs (notes.h). Most views have none of it.
struct Notes {
  ReadSet reads;                 // of a read-only view; a transaction has its own
  PyObject* watchers = nullptr;  // addViewWatcher's callables: a tuple, or nullptr
  bool is_partial = false;       // the view had been read before it began to note

  Notes() = default;
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;
  ~Notes() { Py_XDECREF(watchers); }
};

struct PyView {
  enum class State : uint8_t {
    kFresh,
    kOpen,
    kLeft,  // after nocommit(): can be entered again, or committed
    kDone,
  };
  PyObject_HEAD PyObject* owner;  // the Python connection, kept alive
  Connection* connection;
  std::optional<View> view;                  // a view's
  std::unique_ptr<Transaction> transaction;  // a transaction's
  std::unique_ptr<Notes> notes;
  State state;
  bool has_read;         // a read-only view: something was read
  bool commits_on_exit;  // entered by itself, not by nocommit()
  bool is_unconfirmed;
  bool is_unlogged;
  PyThreadState* thread;    // that entered it
  PyObject* context;        // that entered it; borrowed and compared only: owning it would be a cycle
  PyObject* previous;       // what the ContextVar held before
  double commit_timeout_s;  // < 0: none
  PyObject* on_confirmed;   // or nullptr
  PyObject* serialization_context;

  const View& reading() const { return transaction != nullptr ? *transaction : *view; }
  bool is_transaction() const;
};

/// The current view, borrowed; nullptr without an exception when there is none.
PyView* current_view();
/// Gives up the pin, and a transaction's writes. In a forked child the store is left alone: its lock may have been held
/// at the fork, for ever (D28).
void release_pin(PyView& view);

/// Adds View, Transaction, ViewWatcher and their functions. False with an exception set.
bool add_view_types(PyObject* module);

/// A new View or Transaction of a connection, at a transaction id or (None) at the latest one; nullptr with an exception
/// set.
PyObject* new_view(PyObject* owner, Connection& connection, bool is_transaction, PyObject* transaction_id);

}  // namespace odb
