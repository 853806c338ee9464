/// TLS 1.3 over a socket, as a Channel (D31, D37).
///
/// OpenSSL reads and writes the socket itself when Asio says that it is ready: one copy and one buffer less than with
/// asio::ssl, and an idle connection keeps no buffers at all. A connection that has not finished its handshake costs
/// about 40 KiB.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "core/base/status.h"
#include "core/net/certificate.h"
#include "core/net/channel_internal.h"
#include "core/net/loop_internal.h"

namespace odb {

using TlsContext = std::shared_ptr<SSL_CTX>;

/// kInvalidArgument: the certificate cannot be used.
Result<TlsContext> make_tls_server_context(const Certificate& certificate);
TlsContext make_tls_client_context();

/// `size` bytes that nobody can guess.
Bytes random_bytes(size_t size);

class TlsChannel final : public Channel, public std::enable_shared_from_this<TlsChannel> {
 public:
  enum class Role : uint8_t { kServer, kClient };

  TlsChannel(Loop& loop, asio::ip::tcp::socket socket, SSL_CTX& context, Role role);
  ~TlsChannel() override;

  /// Calls `done` once, later, unless abort() comes first. A failure's message is a clause for people.
  void handshake(std::function<void(Status)> done);
  // -- REQUIRES: the handshake is done.
  /// RFC 9266: the same at both ends of this channel and nowhere else.
  Bytes exporter() const;
  /// SHA-256 of the peer's certificate, hex; empty when it has none.
  std::string peer_fingerprint() const;

  void open(std::shared_ptr<ChannelEvents> owner) override;
  void send(Bytes bytes) override;
  size_t unsent_bytes() const override { return out_.size() - out_at_; }
  void finish(std::chrono::milliseconds bound) override;
  void abort() override;

 private:
  enum class State : uint8_t { kHandshake, kOpen, kFinishing, kDraining, kClosed };
  enum class Want : uint8_t { kNothing, kRead, kWrite, kFailed };

  void wait(asio::ip::tcp::socket::wait_type type, void (TlsChannel::*then)());
  void post(void (TlsChannel::*then)());
  Want want_after(int result, const char* doing);
  void shake_hands();
  void read();
  void write();
  void start_draining();
  void drain();
  void close(const std::string& reason);
  void release();

  Loop& loop_;
  asio::ip::tcp::socket socket_;
  SSL* ssl_;
  const Role role_;
  State state_ = State::kHandshake;
  std::function<void(Status)> handshake_done_;
  std::shared_ptr<ChannelEvents> owner_;
  Bytes out_;
  size_t out_at_ = 0;        // what lies before is sent
  bool is_writing_ = false;  // write() will be called by itself
  bool is_write_broken_ = false;
  bool is_read_paused_ = false;
  std::string failure_;  // of the last call of OpenSSL
  std::unique_ptr<asio::steady_timer> bound_;
};

}  // namespace odb
