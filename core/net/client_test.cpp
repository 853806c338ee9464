#include "core/net/client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "core/net/net_testing.h"

namespace odb {

using namespace testing;

namespace {

/// A port of 127.0.0.1 that is taken but on which nobody listens.
struct QuietPort {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  uint16_t number = 0;
  QuietPort() {
    int on = 1;  // a server that says the same may listen beside it
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    BOOST_REQUIRE(bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
    getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    number = ntohs(address.sin_port);
  }
  ~QuietPort() { close(socket); }
};

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(client)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_one_client_commits_another_one_sees, Transport, Transports) {
  auto server = serve<Transport>();
  auto writer = join<Transport>(*server), reader = join<Transport>(*server);
  open_bank(*writer);
  ObjectId account = add_account(*writer, 1, 100);
  const Table& accounts = open_bank(*reader);  // comes with the subscription
  BOOST_TEST(balance_now(*reader, account) == 100);
  Transaction transaction(writer->store());
  transaction.write(accounts, account, kBalance, int_value(90));
  BOOST_TEST((commit(*writer, transaction).outcome == Outcome::kAccepted));
  BOOST_TEST(balance_now(*writer, account) == 90);
  require_ok(reader->flush());  // behind what was committed before
  BOOST_TEST(balance_now(*reader, account) == 90);
  server->check();
}

// Lost update: both read the balance, both write it. The second commit is refused, and told which key.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_lost_update_is_refused, Transport, Transports) {
  auto server = serve<Transport>();
  auto one = join<Transport>(*server), other = join<Transport>(*server);
  const Table& accounts = open_bank(*one);
  ObjectId account = add_account(*one, 1, 100);
  const Table& same_accounts = open_bank(*other);
  Transaction first(one->store()), second(other->store());
  first.write(accounts, account, kBalance, int_value(balance_of(first, accounts, account) - 10));
  second.write(same_accounts, account, kBalance, int_value(balance_of(second, same_accounts, account) - 20));
  BOOST_TEST((commit(*one, first).outcome == Outcome::kAccepted));
  CommitResult refused = commit(*other, second);
  BOOST_TEST((refused.outcome == Outcome::kConflict));
  BOOST_TEST((refused.key_kind == KeyKind::kField));
  BOOST_TEST((refused.object == account));
  BOOST_TEST((refused.won_by == one->welcome().connection));
  BOOST_TEST(balance_now(*other, account) == 90);  // what it lost against came before the refusal (D21)
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_wrong_token_is_refused_as_such, Transport, Transports) {
  auto server = serve<Transport>();
  for (const std::string& token : {std::string(), kToken + "x", std::string("wrong")}) {
    auto client = Transport::connect(*server, token);
    BOOST_REQUIRE(!client.is_ok());
    BOOST_TEST((client.status().code() == Code::kAuthentication), client.status().message());
  }
  join<Transport>(*server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_large_transaction_arrives_whole, Transport, Transports) {
  auto server = serve<Transport>();
  auto writer = join<Transport>(*server);
  open_bank(*writer);
  constexpr size_t kCount = 100'000;  // some megabytes: many parts, many records of TLS
  Transaction transaction(writer->store());
  for (size_t i = 0; i < kCount; ++i) create_account(*writer, transaction, static_cast<int64_t>(i), 7);
  BOOST_TEST((commit(*writer, transaction).outcome == Outcome::kAccepted));
  auto reader = join<Transport>(*server);
  const Table& accounts = open_bank(*reader);
  std::vector<ObjectId> found;
  View(reader->store()).lookup_type(accounts, SIZE_MAX, found);
  BOOST_TEST(found.size() == kCount);
  BOOST_TEST(server->figures().objects == kCount);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_transaction_that_does_not_fit_is_refused_and_the_connection_goes_on, Transport,
                              Transports) {
  auto server = serve<Transport>();
  auto client = join<Transport>(*server);
  open_bank(*client);
  Batch too_large{client->store()->published().tid, {Bytes(limits::kRecordsPartBytesMax + 1, 'x')}, {}, false};
  BOOST_TEST((outcome_of(client->commit(too_large)).code() == Code::kTransactionTooLarge));
  Batch too_many_parts{client->store()->published().tid, {}, {}, false};
  too_many_parts.records.assign(limits::kTransactionBytesMax / (8 << 20) + 1, Bytes(8 << 20, 'x'));
  BOOST_TEST((outcome_of(client->commit(std::move(too_many_parts))).code() == Code::kTransactionTooLarge));
  BOOST_TEST((outcome_of(client->commit({})).code() == Code::kInvalidArgument));
  BOOST_TEST((outcome_of(client->subscribe({TypeId{77}})).code() == Code::kInvalidArgument));
  add_account(*client, 1, 100);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_schema_that_disagrees_is_refused_and_the_connection_goes_on, Transport, Transports) {
  auto server = serve<Transport>();
  auto client = join<Transport>(*server);
  open_bank(*client);
  Status status = outcome_of(client->define_schema({"bank", {{"Account", {{"balance", "str", {}}}, {}}}}));
  BOOST_TEST((status.code() == Code::kSchemaMismatch), status.message());
  add_account(*client, 1, 100);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_waits_is_answered_when_the_server_stops, Transport, Transports) {
  auto server = serve<Transport>();
  auto client = join<Transport>(*server);
  const Table& accounts = open_bank(*client);
  ObjectId account = add_account(*client, 1, 0);
  std::vector<std::shared_ptr<Pending>> commits;
  for (int i = 0; i < 2000; ++i) {
    Transaction transaction(client->store());
    transaction.write(accounts, account, kBalance, int_value(i));
    commits.push_back(client->commit(transaction.batch()));
    if (i == 1000) server->stop();
  }
  size_t disconnected = 0;
  for (const auto& pending : commits) {
    Status status = outcome_of(pending);
    if (!status.is_ok()) BOOST_TEST((status.code() == Code::kDisconnected), status.message());
    disconnected += status.is_ok() ? 0 : 1;
  }
  BOOST_TEST(disconnected >= 999u);
  BOOST_REQUIRE(client->closed().has_value());
  BOOST_TEST((client->closed()->code() == Code::kDisconnected));
  BOOST_TEST(client->closed()->message().find("the server stops") != std::string::npos, client->closed()->message());
  BOOST_TEST(balance_now(*client, account) >= 0);  // what was read stays readable
  BOOST_TEST((Transport::connect(*server, kToken).status().code() == Code::kDisconnected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_waits_is_answered_when_the_program_disconnects, Transport, Transports) {
  auto server = serve<Transport>();
  auto client = join<Transport>(*server);
  const Table& accounts = open_bank(*client);
  ObjectId account = add_account(*client, 1, 0);
  std::vector<std::shared_ptr<Pending>> requests;
  for (int i = 0; i < 1000; ++i) {
    Transaction transaction(client->store());
    transaction.write(accounts, account, kBalance, int_value(i));
    requests.push_back(client->commit(transaction.batch()));
    requests.push_back(client->flush());
  }
  client->disconnect();
  BOOST_TEST(client->closed().has_value());
  for (const auto& pending : requests) {
    Code code = outcome_of(pending).code();
    BOOST_TEST((code == Code::kOk || code == Code::kDisconnected));
  }
  BOOST_TEST((outcome_of(client->flush()).code() == Code::kDisconnected));
  client->disconnect();
  BOOST_TEST(eventually([&] { return server->figures().connections == 0; }));
}

// Money moves between accounts; no view ever sees a sum that is not the one they started with.
BOOST_AUTO_TEST_CASE_TEMPLATE(threads_share_clients_that_commit_while_others_read, Transport, Transports) {
  constexpr int kThreadsPerClient = 4, kAccounts = 4, kTransfers = 100;
  auto server = serve<Transport>();
  std::shared_ptr<Client> clients[] = {join<Transport>(*server), join<Transport>(*server)};
  open_bank(*clients[0]);
  std::vector<ObjectId> accounts;
  for (int i = 0; i < kAccounts; ++i) accounts.push_back(add_account(*clients[0], i, 1000));
  open_bank(*clients[1]);
  std::atomic<int> transfers{0}, wrong_sums{0};
  auto work = [&](Client& client, int seed) {
    const Table& table = *client.store()->table(TypeId{1});
    for (int i = 0; i < kTransfers; ++i) {
      ObjectId from = accounts[static_cast<size_t>(seed + i) % kAccounts];
      ObjectId to = accounts[static_cast<size_t>(seed + i + 1 + i % (kAccounts - 1)) % kAccounts];
      for (bool is_done = false; !is_done;) {
        Transaction transaction(client.store());
        int64_t left = balance_of(transaction, table, from) - 1, got = balance_of(transaction, table, to) + 1;
        if (from != to) transaction.write(table, from, kBalance, int_value(left));
        transaction.write(table, to, kBalance, int_value(from == to ? got - 1 : got));
        auto pending = client.commit(transaction.batch());
        if (!outcome_of(pending).is_ok()) return;
        is_done = pending->commit_result().outcome == Outcome::kAccepted;
        View view(client.store());
        int64_t sum = 0;
        for (ObjectId account : accounts) sum += balance_of(view, table, account);
        if (sum != kAccounts * 1000) ++wrong_sums;
      }
      ++transfers;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreadsPerClient * 2; ++i) threads.emplace_back(work, std::ref(*clients[i % 2]), i);
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(transfers == kThreadsPerClient * 2 * kTransfers);
  BOOST_TEST(wrong_sums == 0);
  BOOST_TEST(server->figures().commits_accepted == static_cast<uint64_t>(transfers + kAccounts));
  server->check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_connections_leave_nothing_behind, Transport, Transports) {
  auto server = serve<Transport>();
  join<Transport>(*server);  // the I/O thread and its descriptors
  BOOST_REQUIRE(eventually([&] { return server->figures().connections == 0; }));
  size_t before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    auto client = join<Transport>(*server);
    if (i % 2 == 0) client->disconnect();
  }
  BOOST_TEST(eventually([&] { return server->figures().connections == 0; }));
  BOOST_TEST(eventually([&] { return open_descriptors() <= before; }));
  server->check();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(who_waits_for_news_hears_of_commits_of_others_and_of_the_end, Transport, Transports) {
  auto server = serve<Transport>();
  auto writer = join<Transport>(*server), reader = join<Transport>(*server);
  open_bank(*writer);
  open_bank(*reader);
  Step seen = reader->store()->published().step;
  BOOST_TEST(!reader->wait_for_step_above(seen, std::chrono::steady_clock::now()));
  bool has_heard = false;
  std::thread waiting([&] { has_heard = reader->wait_for_step_above(seen, patience()); });
  ObjectId account = add_account(*writer, 1, 100);
  waiting.join();
  BOOST_TEST(has_heard);
  BOOST_TEST(balance_now(*reader, account) == 100);
  seen = reader->store()->published().step;
  waiting = std::thread([&] { has_heard = reader->wait_for_step_above(seen, std::nullopt); });
  server->stop();
  waiting.join();
  BOOST_TEST(reader->closed().has_value());
}

BOOST_AUTO_TEST_CASE(a_connection_knows_its_addresses_and_the_servers_certificate) {
  auto server = serve<OverTls>();
  auto client = join<OverTls>(*server);
  BOOST_TEST(client->facts().peer_port == server->port());
  BOOST_TEST(client->facts().own_port != 0);
  BOOST_TEST(!client->facts().peer_host.empty());
  BOOST_TEST(client->facts().fingerprint == server->fingerprint());
  BOOST_TEST(client->facts().fingerprint.size() == 64u);
}

BOOST_AUTO_TEST_CASE(where_nobody_listens_is_said) {
  QuietPort port;
  auto client = Client::connect(ConnectOptions{"127.0.0.1", port.number, kToken, 60.0, false});
  BOOST_REQUIRE(!client.is_ok());
  BOOST_TEST((client.status().code() == Code::kDisconnected));
  BOOST_TEST(client.status().message() ==
             "nobody listens on 127.0.0.1:" + std::to_string(port.number) + " (connection refused)");
}

BOOST_AUTO_TEST_CASE(a_name_that_is_none_is_said) {
  auto client = Client::connect(ConnectOptions{"no host", 1, kToken, 60.0, false});
  BOOST_REQUIRE(!client.is_ok());
  BOOST_TEST((client.status().code() == Code::kDisconnected));
  BOOST_TEST(client.status().message().find("no host:1") != std::string::npos, client.status().message());
}

BOOST_AUTO_TEST_CASE(a_client_that_retries_finds_a_server_that_comes_later) {
  QuietPort port;
  auto server = start_server();
  bool is_listening = false;
  auto listen_once_asked = [&] {
    if (!std::exchange(is_listening, true)) {
      Status status = server->listen("127.0.0.1", port.number, std::nullopt);
      BOOST_TEST(status.is_ok(), status.message());
    }
    return false;
  };
  auto client = Client::connect(ConnectOptions{"127.0.0.1", port.number, kToken, 60.0, true}, listen_once_asked);
  BOOST_TEST(is_listening);
  BOOST_TEST(client.is_ok(), client.status().message());
}

BOOST_AUTO_TEST_CASE(a_client_that_retries_in_vain_says_what_it_met) {
  QuietPort port;
  auto client = Client::connect(ConnectOptions{"127.0.0.1", port.number, kToken, 0.1, true});
  BOOST_REQUIRE(!client.is_ok());
  BOOST_TEST((client.status().code() == Code::kTimeout));
  BOOST_TEST(client.status().message().find("nobody listens on 127.0.0.1:") == 0u, client.status().message());
}

BOOST_AUTO_TEST_CASE(a_server_that_never_answers_is_given_up_in_time) {
  QuietPort port;
  BOOST_REQUIRE(listen(port.socket, 8) == 0);  // the kernel takes connections, nobody speaks on them
  auto client = Client::connect(ConnectOptions{"127.0.0.1", port.number, kToken, 0.1, false});
  BOOST_REQUIRE(!client.is_ok());
  BOOST_TEST((client.status().code() == Code::kTimeout));
  BOOST_TEST(client.status().message() == "no answer from 127.0.0.1:" + std::to_string(port.number) + " within 0.1 s");
  int asked = 0;
  auto give_up = [&asked] { return ++asked == 2; };
  client = Client::connect(ConnectOptions{"127.0.0.1", port.number, kToken, 60.0, false}, give_up);
  BOOST_TEST((client.status().code() == Code::kDisconnected));
  BOOST_TEST(asked == 2);
}

BOOST_AUTO_TEST_CASE(a_forked_child_is_told_so_and_does_not_disturb_its_parent) {
  auto server = serve<OverTls>();
  auto client = join<OverTls>(*server), neighbour = join<ThroughMemory>(*server);
  const Table& accounts = open_bank(*client);
  ObjectId account = add_account(*client, 1, 0);
  pid_t child = fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);
    auto pending = client->flush();
    bool is_told = pending->is_answered() && pending->status().code() == Code::kDisconnected &&
                   pending->status().message().find("forked") == 0 && client->closed().has_value();
    uint16_t port = server->port();
    client->disconnect();
    client.reset();
    neighbour.reset();
    server->stop();
    server.reset();
#ifndef __SANITIZE_THREAD__  // it does not support threads after such a fork
    auto own = Client::connect(ConnectOptions{"localhost", port, kToken, 60.0, false});
    is_told = is_told && own.is_ok() && outcome_of(own.value()->flush()).is_ok();
#else
    static_cast<void>(port);
#endif
    _exit(is_told ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);
  Transaction transaction(client->store());
  transaction.write(accounts, account, kBalance, int_value(5));
  BOOST_TEST((commit(*client, transaction).outcome == Outcome::kAccepted));
  BOOST_TEST(!client->closed().has_value());
  require_ok(neighbour->flush());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace odb
