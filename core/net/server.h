/// A server: one engine thread that drives the pure server core, its listening sockets and its connections, over TLS
/// 1.3 or through memory. Commits are persisted at once, in memory, or by a store that outlives the server: then one
/// thread of the caller's takes groups with next_group() and answers with group_done() (D11).
///
/// Thread safety: every method from any thread but the engine's.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/server/server_core.h"

namespace odb {

struct ServerConfig {
  std::string token;
  int64_t heartbeat_us = limits::kHeartbeatUs;
  int64_t handshake_us = limits::kHandshakeUs;
  size_t memory_bytes_max = SIZE_MAX;  ///< of the objects with their indexes
  size_t conflict_window_bytes = limits::kConflictWindowBytes;
  std::optional<DurableState> durable;  ///< of a store that outlives the server; none: objects live in memory only
};

struct CertificateFiles {
  std::string certificate_path;  ///< PEM, the server's own first, then its chain
  std::string key_path;          ///< PEM
};

class Server {
 public:
  virtual ~Server() = default;  ///< stops

  /// Starts the engine thread.
  static std::unique_ptr<Server> start(ServerConfig config);

  // -- with ServerConfig::durable
  /// kServer: the state that the server was started with is damaged, or these rows are. Before load() and listen().
  virtual Status restored() const = 0;
  /// Loads them while the caller brings the next ones: gives the status of the rows before.
  virtual Status load(std::vector<DurableRow> rows) = 0;
  /// Everything is loaded: the status of the last rows.
  virtual Status loaded() = 0;
  /// What the store has to take next; none at the deadline, or when the server has stopped (is_done()).
  virtual std::optional<DurableGroup> next_group(std::chrono::steady_clock::time_point deadline) = 0;
  virtual bool is_done() const = 0;
  /// The store has taken the group of the last next_group() for ever, or has not and never will.
  virtual void group_done(bool was_persisted) = 0;
  /// Nobody knows what the store holds: says farewell to everybody; failure() gives the reason from then on.
  virtual void store_lost(const std::string& reason) = 0;

  /// Listens for TLS connections: on every address of `host` (`localhost`: IPv4 and IPv6) and one port; 0 picks a free
  /// one. Without files a certificate is made for this process. kInvalidArgument: a bad host, certificate or key;
  /// kServer: the port is taken or not allowed. The message is one sentence for people.
  virtual Status listen(const std::string& host, uint16_t port, const std::optional<CertificateFiles>& files) = 0;
  virtual uint16_t port() const = 0;
  /// SHA-256 of the certificate, hex; empty before listen().
  virtual std::string fingerprint() const = 0;

  /// Says farewell to every client, closes everything and ends the thread. Takes a second at most. Idempotent.
  virtual void stop() = 0;

  virtual ServerFigures figures() const = 0;
  /// The internal error that ended the service; none while all is well. Programs that only serve should end then.
  virtual std::optional<std::string> failure() const = 0;
  /// Checks every invariant on the engine thread; throws InternalError.
  virtual void check() const = 0;
};

}  // namespace odb
