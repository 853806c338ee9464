/// ViewWatcher: a callback for every view that is left in the extent of a `with` block, in its thread and task.
#pragma once

#include <Python.h>

#include "bindings/view.h"

namespace odb {

/// Whether a ViewWatcher is open in this thread and task. Costs nothing while none is open in the process.
bool is_watched();
/// Calls every open ViewWatcher with (view, had_exception), the innermost first; false with an exception set when one
/// raised.
bool tell_view_watchers(PyView& view, bool had_exception);

/// Adds ViewWatcher. False with an exception set.
bool add_watcher_type(PyObject* module);

}  // namespace odb
