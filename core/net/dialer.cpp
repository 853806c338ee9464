#include <algorithm>

#include "core/net/dialer_internal.h"
#include "core/net/listener_internal.h"

namespace odb {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{10}, kPauseMax{250};  // between tries, doubling
constexpr milliseconds kAddressBound{3000};            // for one address of several: the next one may answer

SSL_CTX& client_context() {
  static TlsContext& context = *new TlsContext(make_tls_client_context());  // used until the very end of the process
  return *context;
}

std::string sentence_for(const error_code& error, const std::string& place) {
  if (error == asio::error::connection_refused) return "nobody listens on " + place + " (connection refused)";
  return "no connection to " + place + " (" + error.message() + ")";
}

}  // namespace

std::string place_of(const std::string& host, uint16_t port) {
  bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Dialer::Dialer(Loop& loop, std::string host, uint16_t port, bool is_retrying)
    : loop_(loop),
      host_(std::move(host)),
      port_(port),
      is_retrying_(is_retrying),
      resolver_(loop.context),
      socket_(loop.context),
      timer_(loop.context),
      pause_(kPauseMin) {}

void Dialer::start(Done done) {
  done_ = std::move(done);
  resolve();
}

void Dialer::abort() {
  is_over_ = true;
  done_ = nullptr;
  error_code ignored;
  resolver_.cancel();
  socket_.close(ignored);
  timer_.cancel();
  if (channel_ != nullptr) channel_->abort();
}

std::string Dialer::last_failure() const {
  std::lock_guard lock(mutex_);
  return last_failure_;
}

void Dialer::resolve() {
  auto use = [self = shared_from_this()](error_code error, tcp::resolver::results_type found) {
    if (self->is_over_) return;
    if (error) return self->fail("the name of " + self->place() + " cannot be resolved (" + error.message() + ")");
    for (const auto& entry : found) {
      if (std::ranges::count(self->endpoints_, entry.endpoint()) == 0) self->endpoints_.push_back(entry.endpoint());
    }
    std::ranges::reverse(self->endpoints_);
    self->try_next_endpoint();
  };
  resolver_.async_resolve(host_, std::to_string(port_), tcp::resolver::numeric_service, std::move(use));
}

void Dialer::try_next_endpoint() {
  Endpoint endpoint = endpoints_.back();
  endpoints_.pop_back();
  error_code ignored;
  socket_.close(ignored);
  socket_.open(endpoint.protocol(), ignored);
  if (socket_.is_open()) close_on_exec(socket_.native_handle());
  if (!endpoints_.empty()) {
    timer_.expires_after(kAddressBound);
    timer_.async_wait([self = shared_from_this()](error_code cancelled) {
      error_code ignored_too;
      if (!cancelled && !self->is_over_ && self->channel_ == nullptr) self->socket_.close(ignored_too);
    });
  }
  socket_.async_connect(endpoint, [self = shared_from_this()](error_code error) {
    if (self->is_over_) return;
    self->timer_.cancel();
    if (!error) return self->shake_hands();
    if (error == asio::error::operation_aborted) error = asio::error::timed_out;
    if (!self->endpoints_.empty()) return self->try_next_endpoint();
    self->fail(sentence_for(error, self->place()));
  });
}

void Dialer::shake_hands() {
  Found found;
  error_code ignored;
  tcp::endpoint peer = socket_.remote_endpoint(ignored), own = socket_.local_endpoint(ignored);
  found.facts = {peer.address().to_string(), own.address().to_string(), peer.port(), own.port(), {}};
  // To connect, Asio has asked for events of writability, and would go on getting one for every wait to read. A
  // descriptor that it is given anew has none.
  tcp::socket fresh(loop_.context);
  fresh.assign(peer.protocol(), socket_.release(ignored), ignored);
  channel_ = std::make_shared<TlsChannel>(loop_, std::move(fresh), client_context(), TlsChannel::Role::kClient);
  found.channel = channel_;
  channel_->handshake([self = shared_from_this(), found = std::move(found)](const Status& status) mutable {
    if (self->is_over_) return;
    if (!status.is_ok()) return self->end(Status(status.code(), self->place() + ": " + status.message()));
    found.facts.fingerprint = found.channel->peer_fingerprint();
    self->end(std::move(found));
  });
}

/// Nobody is there.
void Dialer::fail(std::string why) {
  {
    std::lock_guard lock(mutex_);
    last_failure_ = why;
  }
  if (!is_retrying_) return end(Status(Code::kDisconnected, std::move(why)));
  timer_.expires_after(pause_);
  pause_ = std::min(pause_ * 2, kPauseMax);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled && !self->is_over_) self->resolve();
  });
}

void Dialer::end(Result<Found> found) {
  is_over_ = true;
  channel_.reset();
  std::exchange(done_, nullptr)(std::move(found));
}

}  // namespace odb
