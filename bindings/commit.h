/// Sending a transaction to the server, and what its outcome looks like in Python.
#pragma once

#include <Python.h>

#include "bindings/view.h"
#include "core/net/events.h"

namespace odb {

/// Sends the writes, if any, and waits for the verdict unless nobody wants it; false with an exception set. The
/// transaction's pin is given back before any wait.
bool commit(PyView& view);

/// The exception that a confirmed commit with this outcome raises; nullptr without an exception when it was carried out.
PyObject* commit_error(const Connection& connection, const CommitEvent& event);

/// Whether this thread is the one that runs the connection's handlers: it must not wait for the connection.
bool is_dispatcher_of(const Connection& connection);
/// From now on this thread is the dispatcher of the connection that has these events.
void become_dispatcher(const EventQueue& events);
/// Sets what says that this thread must not wait.
void set_blocking_error(const char* what);

/// Asked by waits of the core about every 100 ms: whether a signal's handler raised.
bool has_signal_raised();

}  // namespace odb
