#include "bindings/connection.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings/commit.h"
#include "bindings/convert.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/lookup.h"
#include "bindings/module.h"
#include "bindings/view.h"
#include "core/base/check.h"
#include "core/net/server.h"

namespace nb = nanobind;

namespace odb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSignalCheck = std::chrono::milliseconds(100);

/// A client that is in, for the constructor of Connection.
struct Line {
  std::shared_ptr<Client> client;
};

Line line_of(const Result<std::shared_ptr<Client>>& client) {
  if (PyErr_Occurred()) throw_python_error();  // a signal's handler
  raise_if_failed(client.status());
  return {client.value()};
}

Line connect_tls(const std::string& host, int port, const std::string& token, double timeout_s, bool is_retrying) {
  ConnectOptions options{host, static_cast<uint16_t>(port), token, timeout_s, is_retrying};
  Result<std::shared_ptr<Client>> client = [&] {
    NoGil no_gil;
    return Client::connect(options, has_signal_raised);
  }();
  return line_of(client);
}

Line connect_memory(Server& server, const std::string& token, double timeout_s) {
  Result<std::shared_ptr<Client>> client = [&] {
    NoGil no_gil;
    return Client::connect(server, token, timeout_s);
  }();
  return line_of(client);
}

DatabaseType& database_type(nb::handle type) {
  DatabaseType* found =
      PyType_Check(type.ptr()) ? find_database_type(reinterpret_cast<PyTypeObject*>(type.ptr())) : nullptr;
  if (found == nullptr) throw nb::type_error("not a type of a schema");
  return *found;
}

}  // namespace

TypeDefinition definition_of(const DatabaseType& type) {
  TypeDefinition definition{type.name, {}, {}};
  for (const FieldSpec& field : type.fields) {
    Bytes default_value;
    if (field.default_value != nullptr &&
        !encode_value(field.default_value, *field.type, nullptr, field.where, default_value))
      throw_python_error();
    definition.fields.push_back({PyUnicode_AsUTF8(field.name), field.type->text(), std::move(default_value)});
  }
  for (const IndexSpec& index : type.indexes) {
    std::vector<std::string> fields;
    for (size_t position : index.fields) fields.emplace_back(PyUnicode_AsUTF8(type.fields[position].name));
    definition.indexes.push_back({PyUnicode_AsUTF8(index.name), std::move(fields), index.is_unique});
  }
  return definition;
}

namespace {

template <class Layouts>
uint32_t number_of(const Layouts& layouts, PyObject* name) {
  std::string wanted = PyUnicode_AsUTF8(name);
  for (uint32_t i = 0; i < layouts.size(); ++i) {
    if (layouts[i].name == wanted) return i;
  }
  throw InternalError("the server's answer lacks " + wanted);
}

/// Notes which numbers a type has on this connection, once.
void bind(Connection& connection, DatabaseType& type, bool is_defined) {
  if (connection.by_slot.size() <= type.slot) connection.by_slot.resize(type.slot + 1);
  auto& bound = connection.by_slot[type.slot];
  if (bound != nullptr && bound->is_defined >= is_defined) return;
  const Table* table = connection.store->find_table(type.qualified_name());
  if (table == nullptr) throw InternalError("the server's answer lacks " + type.qualified_name());
  if (bound == nullptr) {
    bound = std::make_unique<BoundType>();
    bound->type = &type;
    bound->table = table;
    connection.by_number.try_emplace(table->id(), &type);
  }
  if (!is_defined) return;
  const TypeLayout& layout = table->layout();
  for (const FieldSpec& field : type.fields) bound->fields.push_back(FieldId{number_of(layout.fields, field.name)});
  for (const IndexSpec& index : type.indexes) bound->indexes.push_back(IndexId{number_of(layout.indexes, index.name)});
  bound->is_defined = true;
}

/// Waits for an answer and raises what it says.
void await(const std::shared_ptr<Pending>& pending, double timeout_s, const char* timeout_error,
           const std::string& what) {
  if (!wait_for(*pending, timeout_s, timeout_error, what)) throw_python_error();
  raise_if_failed(pending->status());
}

void define_schema(Connection& connection, const std::string& name, nb::sequence types, double timeout_s) {
  SchemaDefinition definition{name, {}};
  std::vector<DatabaseType*> defined;
  for (nb::handle type : types) {
    defined.push_back(&database_type(type));
    definition.types.push_back(definition_of(*defined.back()));
  }
  await(connection.client->define_schema(std::move(definition)), timeout_s, "SchemaTimeoutError",
        "the server did not answer in time to the definition of schema '" + name + "'");
  for (DatabaseType* type : defined) {
    for (const FieldSpec& field : type->fields)
      each_part_of(*field.type, [&](const FieldType& part) {
        if (part.target != nullptr) bind(connection, *part.target, false);
      });
    bind(connection, *type, true);
  }
}

/// A subscription that somebody can wait for.
struct Subscription {
  std::shared_ptr<Pending> pending;
  std::string what;
};

const BoundType& defined_type(const Connection& connection, nb::handle type) {
  DatabaseType& database = database_type(type);
  const BoundType* bound = connection.bound(database);
  if (bound != nullptr && bound->is_defined) return *bound;
  set_error("SchemaNotAddedError", "type " + database.qualified_name() + " is not known to this connection");
  throw_python_error();
}

Subscription subscribe(Connection& connection, nb::handle type, bool is_whole_type) {
  const BoundType& bound = defined_type(connection, type);
  return {connection.client->subscribe({bound.table->id(), is_whole_type ? Scope::kType : Scope::kNone}),
          "the subscription to " + bound.type->qualified_name() + " was not complete in time"};
}

/// The number of an index and the V values of one of its keys.
std::pair<IndexId, Bytes> index_key(const Connection& connection, const BoundType& bound, nb::str name,
                                    nb::handle value) {
  const IndexSpec* index = find_index(*bound.type, name.ptr());
  Bytes values;
  if (index == nullptr || !append_index_values(*bound.type, *index, connection, value.ptr(), values))
    throw_python_error();
  return {bound.indexes[static_cast<size_t>(index - bound.type->indexes.data())], std::move(values)};
}

Subscription subscribe_key(Connection& connection, nb::handle type, nb::str name, nb::handle value) {
  const BoundType& bound = defined_type(connection, type);
  auto [index, values] = index_key(connection, bound, name, value);
  return {connection.client->subscribe({bound.table->id(), Scope::kIndexKey, index, std::move(values)}),
          "the subscription to " + bound.type->qualified_name() + " by " + name.c_str() + " was not complete in time"};
}

/// REQUIRES: handles of this type, at most LIST_ITEMS_MAX.
Subscription subscribe_objects(Connection& connection, nb::handle type, nb::sequence handles) {
  const BoundType& bound = defined_type(connection, type);
  SubscriptionKey wanted{bound.table->id(), Scope::kObjects};
  for (nb::handle handle : handles) {
    if (Py_TYPE(handle.ptr()) != bound.type->type) throw nb::type_error("objects of one type are expected");
    if (identity_of(handle.ptr()).value != 0) wanted.objects.push_back(identity_of(handle.ptr()));
  }
  return {connection.client->subscribe(std::move(wanted)),
          "the subscription to objects of " + bound.type->qualified_name() + " was not complete in time"};
}

nb::object type_named(const Connection& connection, const std::string& qualified_name) {
  const Table* table = connection.store->find_table(qualified_name);
  DatabaseType* type = table == nullptr ? nullptr : connection.type_of(table->id());
  if (type == nullptr) {
    set_error("SchemaNotAddedError", "type " + qualified_name + " is not known to this connection");
    throw_python_error();
  }
  return nb::borrow(reinterpret_cast<PyObject*>(type->type));
}

bool is_subscribed(const Connection& connection, nb::handle type) {
  const BoundType* bound = connection.bound(database_type(type));
  return bound != nullptr && bound->table->is_complete();
}

bool is_subscribed_to_key(const Connection& connection, nb::handle type, nb::str name, nb::handle value) {
  const BoundType* bound = connection.bound(database_type(type));
  if (bound == nullptr || !bound->is_defined) return false;
  auto [index, values] = index_key(connection, *bound, name, value);
  Bytes key;
  raise_if_failed(bound->table->key_of_values(index, values, key));
  return bound->table->covers_key(index, key, kLatest);
}

nb::object closed_reason(const Connection& connection) {
  std::optional<Status> closed = connection.client->closed();
  if (!closed) return nb::none();
  return nb::cast(closed->message());
}

nb::object make_view(nb::handle owner, bool is_transaction, nb::handle transaction_id) {
  PyObject* made = new_view(owner.ptr(), nb::cast<Connection&>(owner), is_transaction, transaction_id.ptr());
  if (made == nullptr) throw_python_error();
  return nb::steal(made);
}

/// Calls wait(deadline) without the GIL until it is true, or the time is over; looks after signals meanwhile.
template <class F>
void wait_in_slices(double timeout_s, F&& wait) {
  auto end = Clock::now() +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(timeout_s, 1e9)));
  bool has_come = false;
  while (!has_come && Clock::now() < end) {
    {
      NoGil no_gil;
      has_come = wait(std::min(end, Clock::now() + kSignalCheck));
    }
    if (PyErr_CheckSignals() != 0) throw_python_error();
  }
}

/// Waits for a step above `seen`; gives the latest one. Also returns at the timeout and when the connection is closed.
uint64_t wait_for_step(const Connection& connection, uint64_t seen, double timeout_s) {
  wait_in_slices(timeout_s, [&](Clock::time_point deadline) {
    return connection.client->wait_for_step_above(Step{seen}, deadline);
  });
  return connection.store->published().step.value;
}

/// Waits until views see a transaction; gives the last one that they see. Returns early as wait_for_step does.
uint64_t wait_for_transaction(const Connection& connection, uint64_t tid, double timeout_s) {
  wait_in_slices(timeout_s, [&](Clock::time_point deadline) {
    return connection.client->wait_for_transaction(TransactionId{tid}, deadline);
  });
  return connection.store->published().tid.value;
}

uint64_t touched_at(const Connection& connection, nb::handle type) {
  const BoundType* bound = connection.bound(database_type(type));
  return bound == nullptr ? 0 : bound->table->touched_at().value;
}

nb::dict facts(const Connection& connection) {
  const ConnectionFacts& facts = connection.client->facts();
  nb::dict out;
  if (facts.peer_port != 0) {
    out["peername"] = nb::make_tuple(facts.peer_host, facts.peer_port);
    out["sockname"] = nb::make_tuple(facts.own_host, facts.own_port);
    out["fingerprint"] = facts.fingerprint;
  }
  return out;
}

}  // namespace

bool has_signal_raised() {
  WithGil gil;
  return PyErr_CheckSignals() != 0;
}

bool wait_for(Pending& pending, double timeout_s, const char* timeout_error, const std::string& what) {
  Pending::Deadline deadline;
  if (timeout_s >= 0)
    deadline = Clock::now() +
               std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(timeout_s, 1e9)));
  while (true) {
    bool is_answered;
    {
      NoGil no_gil;
      auto slice = Clock::now() + kSignalCheck;
      is_answered = pending.wait_until(deadline ? std::min(*deadline, slice) : slice);
    }
    if (is_answered) return true;
    if (PyErr_CheckSignals() != 0) return false;
    if (deadline && Clock::now() >= *deadline) {
      set_error(timeout_error, what);
      return false;
    }
  }
}

void add_connection(nb::module_& module) {
  nb::class_<Line>(module, "Line");
  nb::class_<Subscription>(module, "Subscription")
      .def("wait", [](const Subscription& self,
                      double timeout_s) { await(self.pending, timeout_s, "SubscribeTimeoutError", self.what); })
      .def("is_answered", [](const Subscription& self) { return self.pending->is_answered(); });
  // Made by connect_tls() and connect_memory(); DatabaseConnection is its Python face.
  nb::class_<Connection>(module, "Connection")
      .def("__init__", [](Connection* self, const Line& line) { new (self) Connection(line.client); })
      .def(
          "view", [](nb::handle self, nb::handle transaction_id) { return make_view(self, false, transaction_id); },
          nb::arg("transaction_id") = nb::none(),
          "A read-only view of the latest version that has arrived here: `with db.view():`.\n\n"
          "Args:    transaction_id: a version that is still kept, because a view is open at it.\n"
          "Raises:  SnapshotTooOldError, FutureTransactionError, DisconnectedException.")
      .def(
          "transaction",
          [](nb::handle self, nb::handle transaction_id) { return make_view(self, true, transaction_id); },
          nb::arg("transaction_id") = nb::none(),
          "A transaction on the latest version that has arrived here: `with db.transaction():`. As view().")
      .def("_define_schema", &define_schema)
      .def("_subscribe", &subscribe)
      .def("_subscribe_key", &subscribe_key, nb::arg(), nb::arg(), nb::arg().none())  // None is a value like others
      .def("_subscribe_objects", &subscribe_objects)
      .def("_type_named", &type_named)
      .def("_is_subscribed", &is_subscribed)
      .def("_is_subscribed_to_key", &is_subscribed_to_key, nb::arg(), nb::arg(), nb::arg().none())
      .def("_is_bound",
           [](const Connection& self, nb::handle type) {
             const BoundType* bound = self.bound(database_type(type));
             return bound != nullptr && bound->is_defined;
           })
      .def("_closed_reason", &closed_reason)
      .def("_facts", &facts)
      .def("_flush",
           [](Connection& self, double timeout_s) {
             await(self.client->flush(), timeout_s, "FlushTimeoutError",
                   "the server did not answer in time to the flush");
           })
      .def("_disconnect",
           [](Connection& self) {
             self.client->disconnect();
             self.decoded.clear();
           })
      .def_rw("_allow_pickle", &Connection::allow_pickle)
      .def("_identity", [](const Connection& self) { return self.client->welcome().connection.value; })
      .def("_step", [](const Connection& self) { return self.store->published().step.value; })
      .def("_wait_for_step", &wait_for_step)
      .def("_wait_for_transaction", &wait_for_transaction)
      .def("_touched_at", &touched_at)
      .def("_catalogue",
           [](Connection& self, double timeout_s) {
             std::shared_ptr<Pending> pending = self.client->list_types();
             await(pending, timeout_s, "FlushTimeoutError", "the server did not tell its types in time");
             return nb::bytes(pending->bytes().data(), pending->bytes().size());
           })
      .def("_request_flush", [](Connection& self) { self.client->flush(); })
      .def("_check_may_wait",
           [](const Connection& self, const char* what) {
             if (!is_dispatcher_of(self)) return;
             set_blocking_error(what);
             throw_python_error();
           })
      .def("_transaction_id", [](const Connection& self) { return self.store->published().tid.value; });
  module.attr("LIST_ITEMS_MAX") = limits::kListItemsMax;
  module.def("connect_tls", &connect_tls);
  module.def("connect_memory", &connect_memory);
}

}  // namespace odb
