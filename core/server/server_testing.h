/// A server core and the peers of a test: bytes in, bytes out, time by hand.
#pragma once

#include "core/protocol/protocol_testing.h"
#include "core/server/server_core.h"
#include "core/view/view_testing.h"

namespace odb::testing {

using Lines = std::vector<std::string>;

inline constexpr int64_t kBlock = limits::kIdentityBlockSize;
inline constexpr const char* kToken = "open sesame";

inline ServerOptions options() {
  ServerOptions options;
  options.history = Bytes(16, 'h');
  return options;
}

struct ServerFixture {
  explicit ServerFixture(ServerOptions with = options()) : core(std::move(with)) {}

  ConnectionId connect() {
    ConnectionId id{++last_id};
    core.connected(id, std::make_unique<MemoryServerAuthentication>(kToken), Bytes(16, 's'), now);
    return id;
  }
  template <class Message>
  void say(ConnectionId id, const Message& message) {
    core.received(id, framed(message), now);
  }
  /// What was sent to a connection since the last call.
  std::vector<KeptFrame> frames(ConnectionId id) {
    collect();
    return frames_in(std::exchange(received[id], {}));
  }
  std::vector<std::string> heard(ConnectionId id) {
    std::vector<std::string> out;
    for (const KeptFrame& frame : frames(id)) out.push_back(told(frame));
    return out;
  }
  void collect() {
    for (ConnectionId id : core.take_ready()) {
      Bytes bytes = core.take_output(id);
      core.sent(id, bytes.size());
      received[id] += bytes;
    }
    core.check();
  }
  ConnectionId connect_in_state(ServerState state) {
    ConnectionId id = connect();
    if (state >= ServerState::kAuth) say(id, Hello{1, 1, "memory", 0});
    if (state >= ServerState::kReady) say(id, Auth{kToken});
    if (state == ServerState::kClosing) say(id, Auth{kToken});
    frames(id);
    return id;
  }
  ConnectionId join() { return connect_in_state(ServerState::kReady); }
  /// A ready connection that has defined the shop, type 1.
  ConnectionId join_shop() {
    ConnectionId id = join();
    TypeDefinition item{"Item",
                        {{"name", "str", {}}, {"shelf", "int", {}}, {"place", "int", {}}},
                        {{"shelf", {"shelf"}}, {"spot", {"shelf", "place"}}}};
    say(id, DefineSchema{RequestId{1}, {"shop", {item}}});
    ODB_CHECK(heard(id) == std::vector<std::string>{"SchemaMapping"});
    return id;
  }
  void subscribe(ConnectionId id, uint64_t request = 2, Scope scope = Scope::kType) {
    say(id, Subscribe{RequestId{request}, kItem, scope});
  }
  void stream_all() {
    while (core.stream() | core.work()) collect();
  }
  ConnectionId join_subscribed() {
    ConnectionId id = join_shop();
    subscribe(id);
    stream_all();
    frames(id);
    return id;
  }
  void send_commit(ConnectionId id, const Records& records, const Bytes& reads = {}) {
    CommitSeq seq{++seqs[id]};
    BytesView rest = records.bytes;
    for (; rest.size() > limits::kCommitPieceBytesMax; rest.remove_prefix(limits::kCommitPieceBytesMax))
      say(id, CommitPart{seq, rest.substr(0, limits::kCommitPieceBytesMax), {}});
    say(id, CommitPart{seq, rest, reads});
    say(id, CommitEnd{seq, core.store().published().tid, false});
  }
  void run_groups(bool was_persisted = true) {
    while (core.start_group()) core.finish_group(was_persisted);
  }
  void commit(ConnectionId id, const Records& records) {
    send_commit(id, records);
    run_groups();
  }
  /// An identity of a connection's first block, by the order of connections.
  int64_t own(ConnectionId id, int64_t number) const { return static_cast<int64_t>(id.value) * kBlock + number; }
  bool is_alive(ConnectionId id) {
    say(id, Flush{RequestId{++last_flush}});
    run_groups();
    std::vector<std::string> lines = heard(id);
    return !lines.empty() && lines.back().starts_with("Flushed " + std::to_string(last_flush));
  }
  Items now_in_store() const { return items_at(*core.store().table(kItem), core.store().published().step); }

  ServerCore core;
  Instant now{1'000'000};
  std::map<ConnectionId, Bytes> received;
  std::map<ConnectionId, uint64_t> seqs;
  uint64_t last_id = 0, last_flush = 1000;
};

}  // namespace odb::testing
