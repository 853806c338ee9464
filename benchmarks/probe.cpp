// What this machine can do at best: a blocking ping-pong over TLS 1.3 on loopback, 100 bytes each way, between two
// processes. Every benchmark of the network is read as a ratio to this one.
//
//   bench_probe [seconds]   ->   {"round_trips_per_s": ..., "p50_us": ..., "p99_us": ...}

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMessageBytes = 100;

void require(bool is_fine, const char* what) {
  if (is_fine) return;
  std::perror(what);
  std::exit(1);
}

SSL* tls_over(int socket, SSL_CTX* context) {
  int on = 1;
  require(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
  SSL* tls = SSL_new(context);
  require(tls != nullptr && SSL_set_fd(tls, socket) == 1, "SSL_new");
  return tls;
}

bool read_message(SSL* tls) {
  char message[kMessageBytes];
  for (int at = 0; at < kMessageBytes;) {
    int got = SSL_read(tls, message + at, kMessageBytes - at);
    if (got <= 0) return false;
    at += got;
  }
  return true;
}

bool write_message(SSL* tls) {
  const char message[kMessageBytes] = {};
  return SSL_write(tls, message, kMessageBytes) == kMessageBytes;
}

[[noreturn]] void echo(int listener) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 60 * 60);
  X509_set_pubkey(certificate, key);
  require(X509_sign(certificate, key, EVP_sha256()) > 0, "X509_sign");
  require(SSL_CTX_use_certificate(context, certificate) == 1, "certificate");
  require(SSL_CTX_use_PrivateKey(context, key) == 1, "key");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(context, 0);
  SSL* tls = tls_over(accept(listener, nullptr, nullptr), context);
  require(SSL_accept(tls) == 1, "SSL_accept");
  while (read_message(tls) && write_message(tls)) {}
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 2.0;
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(listener, generic, size) == 0, "bind");
  require(listen(listener, 1) == 0, "listen");
  require(getsockname(listener, generic, &size) == 0, "getsockname");
  pid_t server = fork();
  require(server >= 0, "fork");
  if (server == 0) echo(listener);

  int connection = socket(AF_INET, SOCK_STREAM, 0);
  require(connect(connection, generic, size) == 0, "connect");
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL* tls = tls_over(connection, context);
  require(SSL_connect(tls) == 1, "SSL_connect");

  std::vector<double> round_trips_us;
  round_trips_us.reserve(static_cast<size_t>(seconds * 200'000));
  Clock::time_point start = Clock::now(), before = start;
  while (std::chrono::duration<double>(before - start).count() < seconds) {
    require(write_message(tls) && read_message(tls), "round trip");
    Clock::time_point after = Clock::now();
    round_trips_us.push_back(std::chrono::duration<double, std::micro>(after - before).count());
    before = after;
  }
  double elapsed_s = std::chrono::duration<double>(before - start).count();
  require(!round_trips_us.empty(), "seconds");
  std::ranges::sort(round_trips_us);
  auto at = [&](double share) {
    return round_trips_us[static_cast<size_t>(share * static_cast<double>(round_trips_us.size() - 1))];
  };
  std::printf("{\"round_trips_per_s\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
              static_cast<double>(round_trips_us.size()) / elapsed_s, at(0.5), at(0.99));
  close(connection);
  waitpid(server, nullptr, 0);
}
