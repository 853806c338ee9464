#include "bindings/commit.h"

#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/object_type.h"

namespace odb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSlowCommit = std::chrono::seconds(1);

thread_local const EventQueue* dispatched = nullptr;  // whose events this thread takes; compared only

/// object_database.errors.commit_error(...) for a refused commit; nullptr with an exception set.
PyObject* refusal(const Connection& connection, const CommitResult& result, TransactionId as_of) {
  PyObject* make = error_class("commit_error");
  if (make == nullptr) return nullptr;
  DatabaseType* type = connection.type_of(result.type);
  PyObject* handle =
      type != nullptr && result.object.value != 0 ? new_handle(*type, result.object) : Py_NewRef(Py_None);
  std::string type_name, member;
  if (type != nullptr) {
    type_name = type->qualified_name();
    const TypeLayout& layout = connection.bound(*type)->table->layout();
    if (result.key_kind == KeyKind::kField && result.number < layout.fields.size())
      member = layout.fields[result.number].name;
    if (result.key_kind == KeyKind::kIndexKey && result.number < layout.indexes.size())
      member = layout.indexes[result.number].name;
  }
  PyObject* error = run_python([&] {
    return PyObject_CallFunction(make, "iissOKKLs", static_cast<int>(result.outcome), static_cast<int>(result.key_kind),
                                 type_name.c_str(), member.c_str(), handle,
                                 static_cast<unsigned long long>(as_of.value),
                                 static_cast<unsigned long long>(result.written_at.value),
                                 static_cast<long long>(result.won_by.value), result.message.c_str());
  });
  Py_XDECREF(handle);
  return error;
}

/// Takes the exception that is set as an object.
PyObject* taken_error() {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  PyErr_NormalizeException(&type, &error, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return error;
}

/// Registers the callback with the connection's dispatcher; false with an exception set.
bool expect_result(const PyView& view, uint64_t& token) {
  PyObject* number =
      run_python([&] { return PyObject_CallMethod(view.owner, "_expect_result", "O", view.on_confirmed); });
  if (number == nullptr) return false;
  token = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  return !PyErr_Occurred();
}

/// The callback will not be called: its program is told by an exception, which is set.
void forget_result(const PyView& view, uint64_t token) {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  PyObject* result = run_python(
      [&] { return PyObject_CallMethod(view.owner, "_forget_result", "K", static_cast<unsigned long long>(token)); });
  if (result == nullptr) PyErr_Clear();
  Py_XDECREF(result);
  PyErr_Restore(type, error, trace);
}

/// Hands a commit to the I/O thread; while as many as D19 allows are unanswered it waits first. False with an exception
/// set: nothing was sent.
bool submit(const PyView& view, Submission& submission, Pending::Deadline deadline) {
  Client& client = *view.connection->client;
  if (is_dispatcher_of(*view.connection)) {
    client.commit_at_once(std::move(submission));
    return true;
  }
  if (client.commit(submission, Clock::time_point::min(), nullptr)) [[likely]]
    return true;
  bool is_taken;
  {
    NoGil no_gil;
    is_taken = client.commit(submission, deadline, has_signal_raised);
  }
  if (is_taken || PyErr_Occurred()) return is_taken;
  set_error("CommitTimeoutError", "the commit was not sent: the server did not answer in time to the " +
                                      std::to_string(limits::kUnansweredCommitsMax) + " commits or " +
                                      std::to_string(limits::kUnansweredBytesMax >> 20) +
                                      " MiB of this connection before it");
  return false;
}

void log_if_slow(Clock::duration taken, bool is_ok) {
  if (taken < kSlowCommit) return;
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  PyObject* module = PyImport_ImportModule("object_database.view");
  PyObject* result = nullptr;
  if (module != nullptr) {
    double seconds = std::chrono::duration<double>(taken).count();
    result = run_python(
        [&] { return PyObject_CallMethod(module, "_log_slow_commit", "dO", seconds, is_ok ? Py_True : Py_False); });
  }
  if (result == nullptr) PyErr_Clear();
  Py_XDECREF(result);
  Py_XDECREF(module);
  PyErr_Restore(type, error, trace);
}

bool await_verdict(const Connection& connection, Pending& pending, TransactionId as_of, Pending::Deadline deadline) {
  double left_s = -1;
  if (deadline) left_s = std::max(0.0, std::chrono::duration<double>(*deadline - Clock::now()).count());
  if (!wait_for(pending, left_s, "CommitTimeoutError",
                "the commit was sent but not answered in time; it may still succeed"))
    return false;
  if (!pending.status().is_ok()) {
    set_error(pending.status());
    return false;
  }
  if (pending.commit_result().outcome == Outcome::kAccepted) [[likely]]
    return true;
  PyObject* error = refusal(connection, pending.commit_result(), as_of);
  if (error == nullptr) return false;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  Py_DECREF(error);
  return false;
}

bool commit_confirmed(PyView& view, Submission& submission, TransactionId as_of) {
  if (is_dispatcher_of(*view.connection)) {
    set_blocking_error("a commit that waits for its outcome");
    return false;
  }
  Clock::time_point began = Clock::now();
  Pending::Deadline deadline;
  if (view.commit_timeout_s >= 0)
    deadline = began + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(std::min(view.commit_timeout_s, 1e9)));
  submission.pending = std::make_shared<Pending>();
  std::shared_ptr<Pending> pending = submission.pending;
  bool is_ok = submit(view, submission, deadline) && await_verdict(*view.connection, *pending, as_of, deadline);
  log_if_slow(Clock::now() - began, is_ok);
  return is_ok;
}

}  // namespace

bool commit(PyView& view) {
  bool is_told = view.on_confirmed != nullptr;
  Client& client = *view.connection->client;
  if (!view.transaction->has_writes()) {
    TransactionId as_of = view.transaction->version().tid;
    release_pin(view);
    if (!is_told) return true;
    uint64_t token;
    if (!expect_result(view, token)) return false;
    client.events()->put(CommitEvent{token, as_of, Status::ok(), {}});  // nothing was to be done, and it is
    return true;
  }
  Submission submission{view.transaction->batch(), nullptr};
  submission.batch.no_log = view.is_unlogged;
  TransactionId as_of = submission.batch.as_of;
  release_pin(view);
  if (!is_told && !view.is_unconfirmed) return commit_confirmed(view, submission, as_of);
  if (client.is_forked()) {
    set_error(*client.closed());
    return false;
  }
  if (is_told ? !expect_result(view, submission.token) : !view.connection->is_dispatching) {
    if (is_told) return false;
    PyObject* started = run_python([&] { return PyObject_CallMethod(view.owner, "_expect_losses", nullptr); });
    if (started == nullptr) return false;
    Py_DECREF(started);
    view.connection->is_dispatching = true;
  }
  Pending::Deadline deadline;
  if (view.commit_timeout_s >= 0)
    deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(std::min(view.commit_timeout_s, 1e9)));
  uint64_t token = submission.token;
  bool is_sent = submit(view, submission, deadline);
  if (!is_sent && is_told) forget_result(view, token);
  return is_sent;
}

PyObject* commit_error(const Connection& connection, const CommitEvent& event) {
  if (event.status.is_ok()) {
    if (event.result.outcome == Outcome::kAccepted) return nullptr;
    return refusal(connection, event.result, event.as_of);
  }
  set_error(event.status);
  return taken_error();
}

bool is_dispatcher_of(const Connection& connection) {
  return dispatched != nullptr && dispatched == connection.client->events().get();
}

void become_dispatcher(const EventQueue& events) { dispatched = &events; }

void set_blocking_error(const char* what) {
  set_error("BlockingCallError",
            std::string(what) +
                " would wait on the thread that runs this connection's handlers, and so keep them all waiting; use "
                "noconfirm() or onConfirmed(), or a thread of your own");
}

}  // namespace odb
