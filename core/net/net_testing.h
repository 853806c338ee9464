/// What the tests of this floor share: a server with clients over either transport, and a small schema.
#pragma once

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "core/net/client.h"
#include "core/net/server.h"

namespace odb::testing {

inline const std::string kToken = "correct horse battery staple";

/// Long enough for a slow machine under a sanitizer: only a failing test waits for it.
inline Pending::Deadline patience() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

/// Waits for what another thread brings about; false when it does not come.
template <class F>
bool eventually(F&& is_so) {
  auto deadline = *patience();
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

struct OverTls {
  static void prepare(Server& server) {
    Status status = server.listen("localhost", 0, std::nullopt);
    BOOST_REQUIRE_MESSAGE(status.is_ok(), status.message());
  }
  static Result<std::shared_ptr<Client>> connect(Server& server, const std::string& token) {
    return Client::connect(ConnectOptions{"localhost", server.port(), token, 60.0, false});
  }
};

struct ThroughMemory {
  static void prepare(Server&) {}
  static Result<std::shared_ptr<Client>> connect(Server& server, const std::string& token) {
    return Client::connect(server, token, 60.0);
  }
};

using Transports = std::tuple<OverTls, ThroughMemory>;

inline std::unique_ptr<Server> start_server(int64_t handshake_us = limits::kHandshakeUs,
                                            int64_t heartbeat_us = limits::kHeartbeatUs) {
  ServerConfig config;
  config.token = kToken;
  config.heartbeat_us = heartbeat_us;
  config.handshake_us = handshake_us;
  return Server::start(std::move(config));
}

template <class Transport>
std::unique_ptr<Server> serve() {
  auto server = start_server();
  Transport::prepare(*server);
  return server;
}

template <class Transport>
std::shared_ptr<Client> join(Server& server) {
  auto client = Transport::connect(server, kToken);
  BOOST_REQUIRE_MESSAGE(client.is_ok(), client.status().message());
  return client.value();
}

inline Status outcome_of(const std::shared_ptr<Pending>& pending) {
  if (!pending->wait_until(patience())) return {Code::kTimeout, "not answered"};
  return pending->status();
}

inline void require_ok(const std::shared_ptr<Pending>& pending) {
  Status status = outcome_of(pending);
  BOOST_REQUIRE_MESSAGE(status.is_ok(), status.message());
}

inline Bytes int_value(int64_t value) {
  Bytes bytes;
  put_int(bytes, value);
  return bytes;
}

inline constexpr FieldId kNumber{0}, kBalance{1};

/// bank.Account{number: int, indexed; balance: int}, in whole from now on.
inline const Table& open_bank(Client& client) {
  require_ok(client.define_schema(
      {"bank", {{"Account", {{"number", "int", {}}, {"balance", "int", {}}}, {{"number", {"number"}}}}}}));
  require_ok(client.subscribe({TypeId{1}}));
  return *client.store()->table(TypeId{1});
}

inline ObjectId create_account(Client& client, Transaction& transaction, int64_t number, int64_t balance) {
  const Table& accounts = *client.store()->table(TypeId{1});
  ObjectId account = *client.identities().next(accounts.id());
  transaction.create(accounts, account);
  transaction.write(accounts, account, kNumber, int_value(number));
  transaction.write(accounts, account, kBalance, int_value(balance));
  return account;
}

template <class AnyView>
int64_t balance_of(AnyView& view, const Table& accounts, ObjectId account) {
  BytesView value;
  if (view.read(accounts, account, kBalance, value) != Presence::kHere) return -1;
  return Reader(value).integer();
}

inline int64_t balance_now(Client& client, ObjectId account) {
  View view(client.store());
  return balance_of(view, *client.store()->table(TypeId{1}), account);
}

inline CommitResult commit(Client& client, const Transaction& transaction) {
  auto pending = client.commit(transaction.batch());
  require_ok(pending);
  return pending->commit_result();
}

/// An account that is there for everybody.
inline ObjectId add_account(Client& client, int64_t number, int64_t balance) {
  Transaction transaction(client.store());
  ObjectId account = create_account(client, transaction, number, balance);
  BOOST_REQUIRE(commit(client, transaction).outcome == Outcome::kAccepted);
  return account;
}

}  // namespace odb::testing
