// core.Connection: one object for each connection that is in, which other programs can refer to and see vanish.
//
// They cost nothing until somebody defines schema "core" or refers to one of its types: only then does the server make
// them, for those that are here and for everyone who comes later, by transactions of its own that pass through the
// engine like everybody's (C3). An answer that promises such an object waits until its transaction is decided.
// They live in the memory of this server only (D26).

#include <algorithm>

#include "core/base/check.h"
#include "core/server/server_core.h"

namespace odb {
namespace {

constexpr auto kSchemaName = "core";
constexpr auto kTypeName = "core.Connection";
constexpr FieldId kHeartbeatsSuspended{0};

SchemaDefinition connection_definition() {
  return {kSchemaName, {{"Connection", {{"heartbeats_suspended", "bool", {}}}, {}}}};
}

}  // namespace

void ServerCore::find_connection_table() {
  const Table* table = store_.find_table(kTypeName);
  if (table != nullptr && !table->layout().fields.empty()) connection_table_ = table;
}

/// To be called before and after a definition is taken: ours is the first one of the type.
void ServerCore::provide_connection_objects(const SchemaDefinition& definition) {
  bool is_wanted = definition.name == kSchemaName || store_.find_table(kTypeName) != nullptr;
  if (!is_wanted || connection_table_ != nullptr) return;
  Result<std::vector<TypeId>> defined = catalogue_.define(connection_definition());
  ODB_CHECK(defined.is_ok(), defined.status().message());
  connection_table_ = store_.find_table(kTypeName);
  Bytes records;
  for (const auto& [id, c] : connections_) {
    if (c->identity.value > 0) put_connection_object(records, *c);
  }
  submit_own(std::move(records));
  connection_objects_due_ = commits_submitted_;
}

/// Programs cannot add to the server's own type: an index of theirs could refuse its objects.
bool ServerCore::adds_to_connection_type(const SchemaDefinition& definition) {
  if (definition.name != kSchemaName) return false;
  const SchemaDefinition ours = connection_definition();
  return std::ranges::any_of(definition.types, [&](const TypeDefinition& type) {
    bool is_other = type.fields.size() > 1 || !type.indexes.empty() ||
                    (!type.fields.empty() && type.fields[0].name != ours.types[0].fields[0].name);
    return type.name == ours.types[0].name && is_other;
  });
}

void ServerCore::put_connection_object(Bytes& records, const Connection& c) const {
  put_record_head(records, Op::kCreate, connection_table_->id(), c.identity);
  put_varint(records, 1);
  put_bool(records, false);
}

void ServerCore::remove_connection_object(const Connection& c) {
  if (connection_table_ == nullptr || c.identity.value == 0) return;
  Bytes records;
  put_record_head(records, Op::kDelete, connection_table_->id(), c.identity);
  submit_own(std::move(records));  // refused, if a program has deleted it before
}

/// A transaction of the server's own.
void ServerCore::submit_own(Bytes records) {
  if (records.empty()) return;
  CommitRequest request;
  request.as_of = last_tid();
  request.records = std::move(records);
  request.is_the_servers = true;
  engine_.submit(std::move(request));
  ++commits_submitted_;
}

/// For debuggers: nobody is closed for silence while its object says so.
bool ServerCore::has_suspended_heartbeats(const Connection& c) const {
  if (connection_table_ == nullptr) return false;
  const Row* row = connection_table_->find(c.identity, kNever);
  Bytes suspended;
  put_bool(suspended, true);
  return row != nullptr && row->value(kHeartbeatsSuspended) == suspended;
}

}  // namespace odb
