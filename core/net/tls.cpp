#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/base/check.h"
#include "core/net/scram.h"
#include "core/net/tls_internal.h"

namespace odb {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kReadTurnBytes = 16 << 10;     // one record of TLS: a fair turn, and little to keep for a stranger
constexpr size_t kWriteTurnBytes = 256 << 10;   // then others have their turn
constexpr size_t kUnsentBytesPause = 8 << 20;   // a server reads nothing more from a client this far behind
constexpr size_t kBufferBytesKept = 256 << 10;  // an emptied buffer larger than this is given back
constexpr auto kExporterLabel = "EXPORTER-Channel-Binding";

TlsContext make_context(const SSL_METHOD* method) {
  TlsContext context(SSL_CTX_new(method), SSL_CTX_free);
  ODB_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);  // head and body of a record in one system call
  return context;
}

int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Result<TlsContext> make_tls_server_context(const Certificate& certificate) {
  TlsContext context = make_context(TLS_server_method());
  SSL_CTX_set_num_tickets(context.get(), 0);
  std::unique_ptr<BIO, decltype(&BIO_free)> chain(
      BIO_new_mem_buf(certificate.chain_pem.data(), static_cast<int>(certificate.chain_pem.size())), BIO_free);
  std::unique_ptr<BIO, decltype(&BIO_free)> secret(
      BIO_new_mem_buf(certificate.key_pem.data(), static_cast<int>(certificate.key_pem.size())), BIO_free);
  bool is_usable = true;
  for (bool is_own = true;; is_own = false) {
    X509* each = PEM_read_bio_X509(chain.get(), nullptr, no_passphrase, nullptr);
    if (each == nullptr) break;
    if (is_own) {
      is_usable = SSL_CTX_use_certificate(context.get(), each) == 1;
      X509_free(each);
    } else {
      is_usable = SSL_CTX_add0_chain_cert(context.get(), each) == 1;  // takes it over
      if (!is_usable) X509_free(each);
    }
    if (!is_usable) break;
  }
  EVP_PKEY* key = PEM_read_bio_PrivateKey(secret.get(), nullptr, no_passphrase, nullptr);
  is_usable = is_usable && key != nullptr && SSL_CTX_use_PrivateKey(context.get(), key) == 1;
  EVP_PKEY_free(key);
  const char* reason = is_usable ? nullptr : ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  if (!is_usable)
    return Status(Code::kInvalidArgument, std::string("the certificate cannot be used for TLS 1.3: ") +
                                              (reason == nullptr ? "unknown" : reason));
  return context;
}

TlsContext make_tls_client_context() { return make_context(TLS_client_method()); }

Bytes random_bytes(size_t size) {
  Bytes bytes(size, '\0');
  ODB_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1, size);
  return bytes;
}

// ---- handshake

TlsChannel::TlsChannel(Loop& loop, tcp::socket socket, SSL_CTX& context, Role role)
    : loop_(loop), socket_(std::move(socket)), ssl_(SSL_new(&context)), role_(role) {
  ODB_CHECK(ssl_ != nullptr);
  error_code ignored;
  socket_.native_non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  ODB_CHECK(SSL_set_fd(ssl_, socket_.native_handle()) == 1);
  role == Role::kServer ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
}

TlsChannel::~TlsChannel() { release(); }

void TlsChannel::handshake(std::function<void(Status)> done) {
  handshake_done_ = std::move(done);
  post(&TlsChannel::shake_hands);
}

void TlsChannel::shake_hands() {
  ERR_clear_error();
  switch (want_after(SSL_do_handshake(ssl_), "during the TLS handshake")) {
    case Want::kRead: return wait(tcp::socket::wait_read, &TlsChannel::shake_hands);
    case Want::kWrite: return wait(tcp::socket::wait_write, &TlsChannel::shake_hands);
    case Want::kNothing: return std::exchange(handshake_done_, nullptr)(Status::ok());
    case Want::kFailed: break;
  }
  auto done = std::exchange(handshake_done_, nullptr);
  std::string failure = std::move(failure_);
  abort();
  done({Code::kDisconnected, std::move(failure)});
}

Bytes TlsChannel::exporter() const {
  Bytes value(kExporterBytes, '\0');
  int made = SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(value.data()), value.size(),
                                        kExporterLabel, std::strlen(kExporterLabel), nullptr, 0, 0);
  ODB_CHECK(made == 1);
  return value;
}

std::string TlsChannel::peer_fingerprint() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  return hex_of({reinterpret_cast<const char*>(digest), size});
}

/// What a call of OpenSSL that gave `result` needs before it can go on.
TlsChannel::Want TlsChannel::want_after(int result, const char* doing) {
  int cause = errno;
  if (result > 0) return Want::kNothing;
  int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return Want::kRead;
  if (error == SSL_ERROR_WANT_WRITE) return Want::kWrite;
  unsigned long detail = ERR_peek_last_error();
  bool is_end = error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && cause == 0) ||
                (error == SSL_ERROR_SSL && ERR_GET_REASON(detail) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
  const char* reason = ERR_reason_error_string(detail);
  if (is_end) {
    failure_ = "the peer hung up";
  } else if (error == SSL_ERROR_SYSCALL) {
    failure_ = std::string("the connection broke (") + std::strerror(cause) + ")";
  } else {
    failure_ =
        std::string("the peer does not speak TLS 1.3 as it should (") + (reason ? reason : "no reason known") + ")";
  }
  failure_ += std::string(*doing == '\0' ? "" : " ") + doing;
  ERR_clear_error();
  return Want::kFailed;
}

// ---- reading

void TlsChannel::open(std::shared_ptr<ChannelEvents> owner) {
  ODB_CHECK(state_ == State::kHandshake);
  state_ = State::kOpen;
  owner_ = std::move(owner);
  post(&TlsChannel::read);  // a record may have come together with the end of the handshake
}

void TlsChannel::read() {
  if (state_ != State::kOpen) return;
  if (role_ == Role::kServer && unsent_bytes() > kUnsentBytesPause && !is_write_broken_) {
    is_read_paused_ = true;
    return;
  }
  size_t filled = 0;
  Want want = Want::kNothing;
  while (filled < kReadTurnBytes && want == Want::kNothing) {
    ERR_clear_error();
    errno = 0;
    int got = SSL_read(ssl_, loop_.scratch.data() + filled, static_cast<int>(kReadTurnBytes - filled));
    want = want_after(got, "");
    if (got > 0) filled += static_cast<size_t>(got);
    if (got > 0 && SSL_has_pending(ssl_) == 0) break;  // the next call would find nothing; waiting looks again anyway
  }
  std::shared_ptr<ChannelEvents> owner = owner_;
  if (filled > 0) owner->on_received(BytesView(loop_.scratch).substr(0, filled));
  if (state_ != State::kOpen) return;
  if (want == Want::kFailed) return close(failure_);
  if (want == Want::kWrite) return wait(tcp::socket::wait_write, &TlsChannel::read);
  if (want == Want::kNothing && SSL_has_pending(ssl_) != 0) return post(&TlsChannel::read);
  wait(tcp::socket::wait_read, &TlsChannel::read);
}

// ---- writing

void TlsChannel::send(Bytes bytes) {
  if (state_ != State::kOpen || is_write_broken_ || bytes.empty()) return;
  if (unsent_bytes() == 0) {
    out_ = std::move(bytes);
    out_at_ = 0;
  } else {
    if (out_at_ > out_.size() / 2) {
      out_.erase(0, out_at_);
      out_at_ = 0;
    }
    out_ += bytes;
  }
  if (!is_writing_) write();
}

void TlsChannel::write() {
  is_writing_ = false;
  if (state_ != State::kOpen && state_ != State::kFinishing) return;
  size_t turn = 0;
  Want want = Want::kNothing;
  while (unsent_bytes() > 0 && turn < kWriteTurnBytes) {
    ERR_clear_error();
    errno = 0;
    size_t size = std::min<size_t>(unsent_bytes(), kWriteTurnBytes);
    int put = SSL_write(ssl_, out_.data() + out_at_, static_cast<int>(size));
    want = want_after(put, "");
    if (want != Want::kNothing) break;
    out_at_ += static_cast<size_t>(put);
    turn += static_cast<size_t>(put);
  }
  if (want == Want::kFailed) {
    // What the peer said before it went is still to be read; reading then comes to the end by itself.
    is_write_broken_ = true;
    out_at_ = out_.size();
  }
  bool is_empty = unsent_bytes() == 0;
  if (is_empty) {
    out_at_ = 0;
    out_.clear();
    if (out_.capacity() > kBufferBytesKept) out_.shrink_to_fit();
  } else {
    is_writing_ = true;
    if (want == Want::kNothing) {
      post(&TlsChannel::write);
    } else {
      wait(want == Want::kRead ? tcp::socket::wait_read : tcp::socket::wait_write, &TlsChannel::write);
    }
  }
  if (is_read_paused_ && (is_write_broken_ || unsent_bytes() < kUnsentBytesPause / 2)) {
    is_read_paused_ = false;
    post(&TlsChannel::read);
  }
  std::shared_ptr<ChannelEvents> owner = owner_;
  if (turn > 0) owner->on_sent(turn);
  if (is_empty && state_ == State::kFinishing) start_draining();
}

// ---- the end

void TlsChannel::finish(std::chrono::milliseconds bound) {
  if (state_ != State::kOpen) return;
  state_ = State::kFinishing;
  bound_ = std::make_unique<asio::steady_timer>(loop_.context, bound);
  bound_->async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->close("closed by this side");
  });
  if (!is_writing_) start_draining();
}

/// Closing a socket with unread bytes in it resets the connection, and the peer might never see our last words. So the
/// peer is told first, and what it still sends is read and dropped until it hangs up.
void TlsChannel::start_draining() {
  state_ = State::kDraining;
  ERR_clear_error();
  if (!is_write_broken_) SSL_shutdown(ssl_);
  ERR_clear_error();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  wait(tcp::socket::wait_read, &TlsChannel::drain);
}

void TlsChannel::drain() {
  if (state_ != State::kDraining) return;
  ssize_t got = ::recv(socket_.native_handle(), loop_.scratch.data(), loop_.scratch.size(), MSG_DONTWAIT);
  bool is_waiting = got < 0 && (errno == EAGAIN || errno == EINTR);
  if (got > 0 || is_waiting) return wait(tcp::socket::wait_read, &TlsChannel::drain);
  close("closed by this side");
}

void TlsChannel::close(const std::string& reason) {
  if (state_ == State::kClosed) return;
  std::shared_ptr<ChannelEvents> owner = owner_;
  std::string why = reason;
  abort();
  if (owner != nullptr) owner->on_ended(why);
}

void TlsChannel::abort() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  handshake_done_ = nullptr;
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);  // also for copies of the socket in forked children
  socket_.close(ignored);
  if (bound_ != nullptr) bound_->cancel();
  release();
  out_ = Bytes();
  out_at_ = 0;
  owner_.reset();
}

void TlsChannel::release() {
  SSL_free(ssl_);
  ssl_ = nullptr;
}

void TlsChannel::wait(tcp::socket::wait_type type, void (TlsChannel::*then)()) {
  socket_.async_wait(type, [self = shared_from_this(), then](error_code) {
    // An error of the socket shows in the next call of OpenSSL.
    if (self->state_ != State::kClosed) (self.get()->*then)();
  });
}

void TlsChannel::post(void (TlsChannel::*then)()) {
  loop_.post([self = shared_from_this(), then] {
    if (self->state_ != State::kClosed) (self.get()->*then)();
  });
}

}  // namespace odb
