/// A client connection as Python sees it: the client of core/net, and which numbers the Python types have there.
///
/// The GIL guards the tables below. They grow in addSchema only; entries never change or move.
#pragma once

#include <Python.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <vector>

#include "bindings/decoded_cache.h"
#include "bindings/object_type.h"
#include "core/net/client.h"

namespace odb {

/// A Python type on one connection.
struct BoundType {
  DatabaseType* type;
  const Table* table;
  std::vector<FieldId> fields;   // position in the Python type -> number in the catalogue
  std::vector<IndexId> indexes;  // likewise
  bool is_defined = false;       // false: only named by references so far
};

struct Connection {
  explicit Connection(std::shared_ptr<Client> client_) : client(std::move(client_)), store(client->store()) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::shared_ptr<Client> client;
  std::shared_ptr<Store> store;

  /// nullptr when the type's schema was not added to this connection.
  const BoundType* bound(const DatabaseType& type) const {
    return type.slot < by_slot.size() ? by_slot[type.slot].get() : nullptr;
  }
  TypeId number_of(const DatabaseType& type) const {
    const BoundType* found = bound(type);
    return found == nullptr ? TypeId{0} : found->table->id();
  }
  DatabaseType* type_of(TypeId number) const {
    auto found = by_number.find(number);
    return found == by_number.end() ? nullptr : found->second;
  }

  bool allow_pickle = false;                        // D33: in object fields, for writing and for reading
  DecodedCache decoded;                             // of its store's rows
  bool is_dispatching = false;                      // its events are taken by a thread, or were once
  std::vector<std::unique_ptr<BoundType>> by_slot;  // DatabaseType::slot -> type
  boost::unordered_flat_map<TypeId, DatabaseType*, HashId> by_number;
};

/// What goes into DefineSchema. Defaults of references are the type's own: they have no number yet. Throws the Python error.
TypeDefinition definition_of(const DatabaseType& type);

/// Waits without the GIL until the answer is there. False with an exception set: a timeout (class `timeout_error`), or
/// a signal's handler raised. `timeout_s` < 0: for ever.
bool wait_for(Pending& pending, double timeout_s, const char* timeout_error, const std::string& what);

}  // namespace odb
