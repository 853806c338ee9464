/// Finds a server: name, TCP, TLS handshake; every address of the name in turn, and all over again while nobody
/// listens when that is wished.
/// Thread safety: the Loop's thread, but for last_failure().
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/net/client.h"
#include "core/net/loop_internal.h"
#include "core/net/tls_internal.h"

namespace odb {

/// "localhost:8000", "[::1]:8000".
std::string place_of(const std::string& host, uint16_t port);

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  struct Found {
    std::shared_ptr<TlsChannel> channel;  ///< its handshake is done
    ConnectionFacts facts;
  };
  using Done = std::function<void(Result<Found>)>;

  Dialer(Loop& loop, std::string host, uint16_t port, bool is_retrying);

  /// Calls `done` once, later, unless abort() comes first.
  void start(Done done);
  void abort();
  /// Why there is no connection yet, for people; empty before the first failure.
  std::string last_failure() const;

 private:
  using Endpoint = asio::ip::tcp::endpoint;

  void resolve();
  void try_next_endpoint();
  void shake_hands();
  void fail(std::string why);
  void end(Result<Found> found);
  std::string place() const { return place_of(host_, port_); }

  Loop& loop_;
  const std::string host_;
  const uint16_t port_;
  const bool is_retrying_;
  Done done_;
  bool is_over_ = false;
  asio::ip::tcp::resolver resolver_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  std::vector<Endpoint> endpoints_;  // not tried yet, last one first
  std::chrono::milliseconds pause_;
  std::shared_ptr<TlsChannel> channel_;
  mutable std::mutex mutex_;
  std::string last_failure_;  // guarded by mutex_
};

}  // namespace odb
