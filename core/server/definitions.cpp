// Definitions of schemas: checked, held while the indexes that they add are made (D17), taken and answered.

#include <algorithm>

#include "core/server/server_core.h"

namespace odb {

/// One that is too long to be read: a frame may have millions of fields.
void ServerCore::refuse_definition(Connection& c, BytesView payload) {
  Reader in(payload);
  RequestId request{in.varint()};
  if (!in.is_ok()) return say_goodbye(c, Farewell::kProtocol, "a definition without a request");
  refuse(c, request, Refusal::kTooLarge,
         "the definition of a schema has " + std::to_string(payload.size()) + " bytes; it may have " +
             std::to_string(limits::kDefinitionBytesMax) +
             " (kDefinitionBytesMax). Divide its types among several schemas");
}

void ServerCore::on(Connection& c, const DefineSchema& define) {
  take(c, define);
  drop_unwanted_builds();
}

/// Gives the steps that it took.
size_t ServerCore::take(Connection& c, const DefineSchema& define) {
  if (adds_to_connection_type(define.definition)) {
    refuse(c, define.request, Refusal::kSchemaMismatch,
           "core.Connection is the server's own type: it has the field heartbeats_suspended and no index. Leave "
           "its definition as it is, and refer to it from types of a schema of your own");
    return 0;
  }
  uint64_t changes = catalogue_.changes();
  Draft draft(define.definition);
  provide_connection_objects(define.definition);
  bool is_ready = false;
  Status status = catalogue_.prepare(draft, options_.backfill_objects, is_ready);
  // Members of a group in flight were checked without the index.
  bool waits_for_group = is_group_in_flight_ && catalogue_.adds_unique_index(define.definition);
  if (status.is_ok() && (!is_ready || waits_for_group)) {
    if (catalogue_.changes() > changes) change_fact("catalogue");
    hold(c, {c.id, define, std::move(draft.builds)});
  } else {
    Result<std::vector<TypeId>> types = status.is_ok() ? catalogue_.define(draft) : status;
    if (catalogue_.changes() > changes) change_fact("catalogue");
    answer(c, define, types);
  }
  return limits::kDefinitionStepsMax - draft.effort.left();
}

void ServerCore::answer(Connection& c, const DefineSchema& define, const Result<std::vector<TypeId>>& types) {
  if (!types.is_ok()) {
    Code code = types.status().code();
    if (code == Code::kProtocol) return say_goodbye(c, Farewell::kProtocol, types.status().message());
    return refuse(c, define.request, code == Code::kSchemaMismatch ? Refusal::kSchemaMismatch : Refusal::kTooLarge,
                  types.status().message());
  }
  provide_connection_objects(define.definition);
  SchemaMapping mapping{define.request, last_tid(), {}};
  for (TypeId type : types.value()) mapping.types.push_back(catalogue_.mapped(type));
  gathered_.clear();
  put_frame(gathered_, mapping);
  bool has_objects = commits_accepted_ + commits_refused_ >= connection_objects_due_;  // that it may speak of
  if (has_objects && is_fact_kept("catalogue")) return send(c, mapping);
  answer_behind_commits(c, std::move(mapping));
}

void ServerCore::on(Connection& c, const ListTypes& list) {
  TypeList page{list.request, true, {}};
  size_t bytes = 0;
  for (uint32_t id = list.after.value; id < catalogue_.type_count(); ++id) {
    if (bytes >= limits::kPieceBytes || page.types.size() == limits::kListItemsMax) {
      page.is_last = false;
      break;
    }
    const MappedType& type = page.types.emplace_back(catalogue_.mapped(TypeId{id + 1}));
    for (const MappedField& field : type.fields)
      bytes += field.name.size() + field.type.size() + field.default_value.size();
    bytes += type.schema.size() + type.name.size() + type.indexes.size() * sizeof(MappedIndex);
  }
  gathered_.clear();
  put_frame(gathered_, page);
  if (gathered_.size() > limits::kMessageBytesMax)
    return refuse(c, list.request, Refusal::kTooLarge, "a type of this server does not fit into a message");
  send(c, page);
}

void ServerCore::hold(Connection& c, HeldDefinition held) {
  auto of_this_one = std::ranges::count(held_definitions_, c.id, &HeldDefinition::connection);
  if (static_cast<size_t>(of_this_one) < limits::kDefinitionsHeldMax)
    return held_definitions_.push_back(std::move(held));
  refuse(c, held.define.request, Refusal::kTooLarge,
         std::to_string(limits::kDefinitionsHeldMax) + " definitions of this connection wait for new indexes already");
}

void ServerCore::find_due_definitions() {
  for (HeldDefinition& held : held_definitions_) held.is_due = held.is_due || catalogue_.are_decided(held.builds);
}

/// Each from its beginning: what it was held for may be done, and much may have changed meanwhile. No more of them at once than one
/// definition may take; gives whether there are others.
bool ServerCore::take_due_definitions() {
  for (size_t steps = 0; steps < limits::kDefinitionStepsMax / 2;) {
    auto due = std::ranges::find(held_definitions_, true, &HeldDefinition::is_due);
    if (due == held_definitions_.end()) break;
    HeldDefinition held = std::move(*due);
    held_definitions_.erase(due);
    auto at = connections_.find(held.connection);
    if (at != connections_.end() && at->second->state == ServerState::kReady) steps += take(*at->second, held.define);
  }
  drop_unwanted_builds();
  return std::ranges::any_of(held_definitions_, &HeldDefinition::is_due);
}

/// Those that no definition waits for any more.
void ServerCore::drop_unwanted_builds() {
  if (!store_.has_builds()) return;
  store_.each_build([](IndexBuild& build) { build.is_wanted = false; });
  for (const HeldDefinition& held : held_definitions_) catalogue_.want_builds(held.builds);
  store_.drop_builds();
}

bool ServerCore::work() {
  if (store_.has_builds()) {
    bool is_one_whole = store_.fill(options_.backfill_objects);
    if (store_.bytes() > options_.memory_bytes_max) refuse_for_memory();
    bool has_clash = false;
    store_.each_build([&](IndexBuild& build) { has_clash = has_clash || build.clash().has_value(); });
    if (is_one_whole || has_clash) find_due_definitions();
  }
  bool has_more = take_due_definitions();
  return has_more || store_.is_filling();
}

/// A full server takes no index: it would have to refuse commits instead.
void ServerCore::refuse_for_memory() {
  for (const HeldDefinition& held : std::exchange(held_definitions_, {})) {
    auto at = connections_.find(held.connection);
    if (at == connections_.end()) continue;
    refuse(*at->second, held.define.request, Refusal::kTooLarge,
           "the server's memory is full: with the new indexes of schema '" + held.define.definition.name +
               "' its objects would take more than the " + std::to_string(options_.memory_bytes_max) +
               " bytes that it was started with (--memory-max); delete objects, or start it with a larger limit");
  }
  drop_unwanted_builds();
}

}  // namespace odb
