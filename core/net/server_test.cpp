#include "core/net/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "core/net/net_testing.h"
#include "core/net/scram.h"
#include "core/net/tls_internal.h"

namespace odb {

using namespace testing;

namespace {

constexpr int kPatienceS = 60;

void set_patience(int socket) {
  timeval bound{kPatienceS, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
}

/// A blocking socket that speaks to the server without any of our client's code.
struct RawPeer {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  ~RawPeer() { close(socket); }
  void connect(uint16_t port) const {
    set_patience(socket);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  void send(BytesView bytes) const {
    BOOST_REQUIRE(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  /// True once the server has hung up, false when it has not within our patience.
  bool is_hung_up_on() const {
    char bytes[1024];
    while (true) {
      ssize_t got = recv(socket, bytes, sizeof bytes, 0);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
      if (got < 0) return false;
    }
  }
};

/// The same with TLS, and frames cut.
struct TlsPeer : RawPeer {
  TlsContext context = make_tls_client_context();
  SSL* tls = SSL_new(context.get());
  FrameReader frames{limits::kFrameBytesMax, limits::kMessageBytesMax};
  Bytes buffer = Bytes(64 << 10, '\0');

  explicit TlsPeer(uint16_t port) {
    connect(port);
    SSL_set_fd(tls, socket);
    BOOST_REQUIRE(SSL_connect(tls) == 1);
  }
  ~TlsPeer() { SSL_free(tls); }

  void send(BytesView bytes) {
    while (!bytes.empty()) {
      int put = SSL_write(tls, bytes.data(), static_cast<int>(bytes.size()));
      BOOST_REQUIRE(put > 0);
      bytes.remove_prefix(static_cast<size_t>(put));
    }
  }
  template <class Message>
  void say(const Message& message) {
    Bytes frame;
    put_frame(frame, message);
    send(frame);
  }
  /// The next message but heartbeats, of the kind that is due; its views are valid until the next call.
  template <class Message>
  Message hear() {
    while (true) {
      if (auto frame = frames.next()) {
        if (frame->kind == MessageKind::kServerHeartbeat) continue;
        BOOST_REQUIRE(static_cast<int>(frame->kind) == static_cast<int>(Message::kKind));
        auto message = decode_message<Message>(frame->payload);
        BOOST_REQUIRE(message.is_ok());
        return message.value();
      }
      BOOST_REQUIRE(frames.status().is_ok());
      int got = SSL_read(tls, buffer.data(), static_cast<int>(buffer.size()));
      BOOST_REQUIRE(got > 0);
      frames.feed(BytesView(buffer).substr(0, static_cast<size_t>(got)));
    }
  }
  void authenticate() {
    Bytes exporter(kExporterBytes, '\0');
    const char label[] = "EXPORTER-Channel-Binding";
    SSL_export_keying_material(tls, reinterpret_cast<unsigned char*>(exporter.data()), exporter.size(), label,
                               sizeof label - 1, nullptr, 0, 0);
    ScramClientAuthentication authentication(kToken, exporter, random_bytes(kScramNonceBytes));
    say(Hello{limits::kProtocolVersion, limits::kProtocolVersion, kScramMethod, 0});
    hear<ServerHello>();
    say(Auth{authentication.start()});
    say(Auth{authentication.advance(hear<ServerAuth>().payload).reply});
    BOOST_REQUIRE((authentication.advance(hear<ServerAuth>().payload).verdict == AuthVerdict::kAccepted));
    hear<Welcome>();
  }
};

/// Takes one connection, answers it with a TLS handshake of its own, and passes on what is said between it and the
/// server: the man in the middle.
class Relay {
 public:
  explicit Relay(uint16_t server_port) : server_port_(server_port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    BOOST_REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    BOOST_REQUIRE(listen(listener_, 1) == 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { pass_on(); });
  }
  ~Relay() {
    thread_.join();
    close(listener_);
  }
  uint16_t port = 0;
  std::atomic<size_t> bytes_to_server{0}, bytes_to_client{0};

 private:
  void pass_on() {
    signal(SIGPIPE, SIG_IGN);
    int socket = accept(listener_, nullptr, nullptr);
    set_patience(socket);
    auto context = make_tls_server_context(make_certificate());
    SSL* client = SSL_new(context.value().get());
    SSL_set_fd(client, socket);
    if (SSL_accept(client) == 1) {
      TlsPeer server(server_port_);
      while (has_input(client, server.tls)) {
        if (SSL_has_pending(client) || is_readable(client)) {
          if (!move(client, server.tls, bytes_to_server)) break;
        } else if (!move(server.tls, client, bytes_to_client)) {
          break;
        }
      }
    }
    SSL_free(client);
    close(socket);
  }
  static bool is_readable(SSL* tls) {
    pollfd ready{SSL_get_fd(tls), POLLIN, 0};
    return poll(&ready, 1, 0) == 1;
  }
  static bool has_input(SSL* one, SSL* other) {
    if (SSL_has_pending(one) || SSL_has_pending(other)) return true;
    pollfd ready[] = {{SSL_get_fd(one), POLLIN, 0}, {SSL_get_fd(other), POLLIN, 0}};
    return poll(ready, 2, kPatienceS * 1000) > 0;
  }
  static bool move(SSL* from, SSL* to, std::atomic<size_t>& counter) {
    char bytes[4096];
    int got = SSL_read(from, bytes, sizeof bytes);
    if (got <= 0 || SSL_write(to, bytes, got) != got) return false;
    counter += static_cast<size_t>(got);
    return true;
  }

  const uint16_t server_port_;
  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  std::thread thread_;
};

/// Passes bytes on between a client and the server as they are, until told to hold back one direction: both ends then
/// have a connection that is open and on which nothing comes.
class Muffler {
 public:
  explicit Muffler(uint16_t server_port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    BOOST_REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    BOOST_REQUIRE(listen(listener_, 1) == 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    server_.connect(server_port);
    thread_ = std::thread([this] { pass_on(); });
  }
  ~Muffler() {
    is_over = true;
    thread_.join();
    close(listener_);
  }
  uint16_t port = 0;
  std::atomic<bool> holds_to_client{false}, holds_to_server{false}, is_over{false};

 private:
  void pass_on() {
    int client = accept(listener_, nullptr, nullptr);
    while (!is_over) {
      pollfd ready[] = {{client, static_cast<short>(holds_to_server ? 0 : POLLIN), 0},
                        {server_.socket, static_cast<short>(holds_to_client ? 0 : POLLIN), 0}};
      if (poll(ready, 2, 5) <= 0) continue;
      if ((ready[0].revents & POLLIN) != 0 && !move(client, server_.socket)) break;
      if ((ready[1].revents & POLLIN) != 0 && !move(server_.socket, client)) break;
    }
    close(client);
  }
  static bool move(int from, int to) {
    char bytes[16384];
    ssize_t got = recv(from, bytes, sizeof bytes, 0);
    return got > 0 && ::send(to, bytes, static_cast<size_t>(got), MSG_NOSIGNAL) == got;
  }

  RawPeer server_;
  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  std::thread thread_;
};

constexpr int64_t kShortHeartbeatUs = 50'000;

}  // namespace

BOOST_AUTO_TEST_SUITE(server)

BOOST_AUTO_TEST_CASE(a_client_notices_that_its_server_has_fallen_silent) {  // D26
  auto server = start_server(limits::kHandshakeUs, kShortHeartbeatUs);
  OverTls::prepare(*server);
  Muffler line(server->port());
  auto client = Client::connect(ConnectOptions{"127.0.0.1", line.port, kToken, 60.0, false});
  BOOST_REQUIRE(client.is_ok());
  BOOST_TEST(client.value()->welcome().heartbeat_us == static_cast<uint64_t>(kShortHeartbeatUs));
  line.holds_to_client = true;
  BOOST_TEST(!outcome_of(client.value()->flush()).is_ok());  // not answered, and not waited for for ever
  BOOST_TEST(client.value()->closed()->message().find("nothing was heard of the server for 2") != std::string::npos,
             client.value()->closed()->message());  // 200 ms and a little: four intervals
}

BOOST_AUTO_TEST_CASE(a_server_notices_that_a_client_has_fallen_silent) {  // D26
  auto server = start_server(limits::kHandshakeUs, kShortHeartbeatUs);
  OverTls::prepare(*server);
  Muffler line(server->port());
  auto client = Client::connect(ConnectOptions{"127.0.0.1", line.port, kToken, 60.0, false});
  BOOST_REQUIRE(client.is_ok());
  line.holds_to_server = true;  // the server's heartbeats still arrive
  BOOST_TEST(eventually([&] { return client.value()->closed().has_value(); }));
  BOOST_TEST(client.value()->closed()->message().find("nothing was heard of this client for 2") != std::string::npos,
             client.value()->closed()->message());
  BOOST_TEST(eventually([&] { return server->figures().connections == 0; }));
}

BOOST_AUTO_TEST_CASE(quiet_connections_with_short_heartbeats_stay) {
  auto server = start_server(limits::kHandshakeUs, kShortHeartbeatUs);
  OverTls::prepare(*server);
  auto client = join<OverTls>(*server), neighbour = join<ThroughMemory>(*server);
  TlsPeer silent(server->port());
  silent.authenticate();
  BOOST_TEST(silent.is_hung_up_on());  // by then the others have been quiet for as long
  for (const auto& each : {client, neighbour}) require_ok(each->flush());
}

BOOST_AUTO_TEST_CASE(members_that_send_garbage_or_stop_in_the_middle_are_closed_with_the_reason) {
  auto server = start_server(limits::kHandshakeUs, kShortHeartbeatUs);
  OverTls::prepare(*server);
  auto client = join<OverTls>(*server);
  for (const Bytes& garbage : {Bytes("GET / HTTP/1.1\r\n\r\n"), Bytes(1000, '\0'), Bytes("\0\0\0\2\x08\1", 6)}) {
    TlsPeer peer(server->port());
    peer.authenticate();
    peer.send(garbage);
    BOOST_TEST((peer.hear<ServerGoodbye>().farewell == Farewell::kProtocol));
    BOOST_TEST(peer.is_hung_up_on());
  }
  TlsPeer peer(server->port());
  peer.authenticate();
  peer.send(BytesView("\0\0\1\0\x05\0half of it", 16));
  BOOST_TEST((peer.hear<ServerGoodbye>().farewell == Farewell::kSilent));
  BOOST_TEST(peer.is_hung_up_on());
  require_ok(client->flush());
}

BOOST_AUTO_TEST_CASE(a_man_in_the_middle_is_detected) {
  auto server = serve<OverTls>();
  Relay relay(server->port());
  auto client = Client::connect(ConnectOptions{"127.0.0.1", relay.port, kToken, 60.0, false});
  BOOST_REQUIRE(!client.is_ok());
  BOOST_TEST((client.status().code() == Code::kAuthentication), client.status().message());
  BOOST_TEST(relay.bytes_to_server > 0u);  // it did pass on what both said
  BOOST_TEST(relay.bytes_to_client > 0u);
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_tls_close_that_connection_only) {
  auto server = serve<OverTls>();
  auto client = join<OverTls>(*server);
  for (const Bytes& garbage : {Bytes("GET / HTTP/1.1\r\n\r\n"), Bytes(1000, '\0'), Bytes(5000, '\xff')}) {
    RawPeer peer;
    peer.connect(server->port());
    peer.send(garbage);
    BOOST_TEST(peer.is_hung_up_on());
  }
  require_ok(client->flush());
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_frames_close_that_connection_only) {
  auto server = serve<OverTls>();
  auto client = join<OverTls>(*server);
  for (const Bytes& garbage : {Bytes("GET / HTTP/1.1\r\n\r\n"), Bytes(1000, '\0'), Bytes(100'000, '\xff')}) {
    TlsPeer peer(server->port());
    peer.send(garbage);
    BOOST_TEST((peer.hear<ServerGoodbye>().farewell == Farewell::kProtocol));
    BOOST_TEST(peer.is_hung_up_on());
  }
  BOOST_TEST(eventually([&] { return server->figures().connections == 1; }));
  require_ok(client->flush());
}

BOOST_AUTO_TEST_CASE(a_frame_of_four_gigabytes_is_refused_when_it_is_announced) {
  auto server = serve<OverTls>();
  TlsPeer stranger(server->port());
  stranger.send(BytesView("\xff\xff\xff\xff\x01\x00", 6));
  BOOST_TEST((stranger.hear<ServerGoodbye>().farewell == Farewell::kProtocol));
  BOOST_TEST(stranger.is_hung_up_on());
  TlsPeer member(server->port());
  member.authenticate();
  member.send(BytesView("\xff\xff\xff\xff\x05\x00", 6));
  BOOST_TEST((member.hear<ServerGoodbye>().farewell == Farewell::kProtocol));
  BOOST_TEST(member.is_hung_up_on());
}

BOOST_AUTO_TEST_CASE(a_client_of_another_protocol_version_is_told_both) {
  auto server = serve<OverTls>();
  TlsPeer peer(server->port());
  peer.say(Hello{1000, 1001, kScramMethod, 0});
  ServerGoodbye goodbye = peer.hear<ServerGoodbye>();
  BOOST_TEST((goodbye.farewell == Farewell::kVersion));
  BOOST_TEST(goodbye.reason.find("1000 to 1001") != std::string::npos, goodbye.reason);
  BOOST_TEST(peer.is_hung_up_on());
}

BOOST_AUTO_TEST_CASE(a_peer_that_is_silent_before_tls_is_hung_up_on) {
  auto server = start_server(50'000);
  OverTls::prepare(*server);
  RawPeer peer;
  peer.connect(server->port());
  BOOST_TEST(peer.is_hung_up_on());
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_authenticate_is_hung_up_on) {
  auto server = start_server(50'000);
  OverTls::prepare(*server);
  TlsPeer peer(server->port());
  BOOST_TEST((peer.hear<ServerGoodbye>().farewell == Farewell::kSilent));
  BOOST_TEST(peer.is_hung_up_on());
}

// Its answers would fill the server's memory: the server stops reading from it until it reads, and loses nothing.
BOOST_AUTO_TEST_CASE(a_peer_that_asks_and_does_not_read_is_not_listened_to) {
  auto server = serve<OverTls>();
  TlsPeer peer(server->port());
  peer.authenticate();
  auto bound_sending = [&peer](long bound_us) {
    timeval bound{0, bound_us};
    setsockopt(peer.socket, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  };
  bound_sending(500'000);
  Bytes requests;
  uint64_t asked = 0, sent_bytes = 0;
  bool is_blocked = false;
  constexpr size_t kEnough = 256 << 20;  // far more than the kernel's buffers hold
  while (!is_blocked && sent_bytes < kEnough) {
    requests.clear();
    while (requests.size() < 12'000) put_frame(requests, Flush{RequestId{++asked}});
    int put = SSL_write(peer.tls, requests.data(), static_cast<int>(requests.size()));
    is_blocked = put <= 0;
    sent_bytes += requests.size();
  }
  BOOST_TEST(is_blocked);
  // The record that was cut off goes out while the answers are read.
  bound_sending(1'000);
  uint64_t answered = 0;
  while (answered < asked) {
    if (is_blocked) is_blocked = SSL_write(peer.tls, requests.data(), static_cast<int>(requests.size())) <= 0;
    for (int i = 0; i < 10'000 && answered < asked; ++i) {
      if (peer.hear<Flushed>().request.value != ++answered) BOOST_FAIL("answers out of order");
    }
  }
  BOOST_TEST(answered == asked);
}

BOOST_AUTO_TEST_CASE(a_server_out_of_descriptors_accepts_again_when_it_has_some) {
  auto server = serve<OverTls>();
  RawPeer peer;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;
  BOOST_REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  int refused = socket(AF_INET, SOCK_STREAM, 0);
  int cause = errno;
  peer.connect(server->port());  // the kernel takes it; accept() fails
  server->check();               // a turn of the engine
  setrlimit(RLIMIT_NOFILE, &before);
  BOOST_TEST(refused == -1);
  BOOST_TEST(cause == EMFILE);
  peer.send("this is no TLS, so it is hung up on once it is seen");
  BOOST_TEST(peer.is_hung_up_on());
}

BOOST_AUTO_TEST_CASE(localhost_is_both_ipv4_and_ipv6_on_one_port) {
  auto server = serve<OverTls>();
  BOOST_TEST(Client::connect(ConnectOptions{"127.0.0.1", server->port(), kToken, 60.0, false}).is_ok());
  int probe = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_addr = in6addr_loopback;
  bool has_ipv6 = probe >= 0 && bind(probe, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0;
  close(probe);
  if (has_ipv6) BOOST_TEST(Client::connect(ConnectOptions{"::1", server->port(), kToken, 60.0, false}).is_ok());
}

BOOST_AUTO_TEST_CASE(a_port_that_is_taken_is_said_in_a_sentence) {
  auto first = serve<OverTls>();
  auto second = start_server();
  Status status = second->listen("localhost", first->port(), std::nullopt);
  BOOST_TEST((status.code() == Code::kServer));
  BOOST_TEST(status.message() ==
             "port " + std::to_string(first->port()) +
                 " on localhost is in use by another program; choose another port or stop that program");
  BOOST_TEST(second->port() == 0);
  BOOST_TEST(second->listen("localhost", 0, std::nullopt).is_ok());  // and it can be tried again
}

BOOST_AUTO_TEST_CASE(what_cannot_be_listened_on_is_said) {
  auto server = start_server();
  for (const char* host : {"", "no host", "192.0.2.1"}) {
    Status status = server->listen(host, 0, std::nullopt);
    BOOST_TEST((status.code() == Code::kInvalidArgument), status.message());
    BOOST_TEST(status.message().find("'" + std::string(host) + "'") == 0u, status.message());
  }
  Status status = server->listen("localhost", 0, CertificateFiles{"missing.crt", "missing.key"});
  BOOST_TEST((status.code() == Code::kInvalidArgument), status.message());
  BOOST_TEST(server->listen("localhost", 0, std::nullopt).is_ok());
  BOOST_TEST((server->listen("localhost", 0, std::nullopt).code() == Code::kInvalidArgument));
}

BOOST_AUTO_TEST_CASE(a_stopped_server_keeps_its_figures_and_its_port_is_free) {
  auto server = serve<OverTls>();
  uint16_t port = server->port();
  auto client = join<OverTls>(*server);
  open_bank(*client);
  add_account(*client, 1, 1);
  server->stop();
  server->stop();
  BOOST_TEST(server->figures().commits_accepted == 1u);
  server->check();
  BOOST_TEST((server->listen("localhost", 0, std::nullopt).code() == Code::kServer));
  auto next = start_server();
  Status status = next->listen("localhost", port, std::nullopt);
  BOOST_TEST(status.is_ok(), status.message());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace odb
