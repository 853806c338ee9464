#include "core/net/server.h"

#include <future>

#include "core/net/certificate.h"
#include "core/net/listener_internal.h"
#include "core/net/server_internal.h"

namespace odb {

std::unique_ptr<Server> Server::start(ServerConfig config) { return std::make_unique<EngineServer>(std::move(config)); }

EngineServer::EngineServer(ServerConfig config)
    : loop_(std::make_shared<Loop>("odb-engine")), engine_(std::make_shared<Engine>(*loop_, std::move(config))) {
  loop_->post([engine = engine_.get()] { engine->start(); });
}

EngineServer::~EngineServer() {
  if (loop_->is_forked()) {  // the engine's thread stayed with the parent
    leak(std::move(engine_));
    leak(std::move(loop_));
    return;
  }
  stop();
}

Status EngineServer::listen(const std::string& host, uint16_t port, const std::optional<CertificateFiles>& files) {
  if (loop_->is_forked()) return {Code::kServer, "forked: this server belongs to the process that started it"};
  std::lock_guard lock(mutex_);
  if (is_stopped_) return {Code::kServer, "the server is stopped"};
  if (port_ != 0) return {Code::kInvalidArgument, "the server listens already, on port " + std::to_string(port_)};
  Result<Certificate> certificate =
      files ? load_certificate(files->certificate_path, files->key_path) : Result<Certificate>(make_certificate());
  if (!certificate.is_ok()) return certificate.status();
  Result<TlsContext> context = make_tls_server_context(certificate.value());
  if (!context.is_ok()) return context.status();
  Result<std::vector<asio::ip::tcp::acceptor>> acceptors = listen_on(loop_->context, host, port);
  if (!acceptors.is_ok()) return acceptors.status();
  port_ = acceptors.value().front().local_endpoint().port();
  fingerprint_ = certificate.value().fingerprint;
  loop_->post([engine = engine_.get(), opened = std::move(acceptors.value()), tls = context.value()]() mutable {
    engine->accept_on(std::move(opened), std::move(tls));
  });
  return Status::ok();
}

uint16_t EngineServer::port() const {
  if (loop_->is_forked()) return port_;
  std::lock_guard lock(mutex_);
  return port_;
}

std::string EngineServer::fingerprint() const {
  if (loop_->is_forked()) return fingerprint_;
  std::lock_guard lock(mutex_);
  return fingerprint_;
}

void EngineServer::stop() {
  if (loop_->is_forked()) return;
  std::lock_guard lock(mutex_);
  if (std::exchange(is_stopped_, true)) return;
  loop_->post([engine = engine_.get()] { engine->stop(); });
  loop_->join();
}

/// Runs f on the engine's thread, or here when that has ended.
template <class F>
auto EngineServer::on_engine(F&& f) const {
  std::lock_guard lock(mutex_);
  if (is_stopped_) return f();
  auto task = std::make_shared<std::packaged_task<std::invoke_result_t<F>()>>(std::forward<F>(f));
  loop_->post([task] { (*task)(); });
  return task->get_future().get();
}

Status EngineServer::restored() const {
  return on_engine([this] { return engine_->restored(); });
}

Status EngineServer::load(std::vector<DurableRow> rows) {
  std::lock_guard lock(mutex_);
  Status before = loading_.valid() ? loading_.get() : Status::ok();
  if (!before.is_ok() || is_stopped_) return before;
  auto task = std::make_shared<std::packaged_task<Status()>>(
      [engine = engine_.get(), rows = std::move(rows)] { return engine->load(rows); });
  loading_ = task->get_future();
  loop_->post([task] { (*task)(); });
  return before;
}

Status EngineServer::loaded() {
  return on_engine([this] {
    Status last = loading_.valid() ? loading_.get() : Status::ok();  // on the same thread, after it
    if (last.is_ok()) engine_->loaded();
    return last;
  });
}

std::optional<DurableGroup> EngineServer::next_group(std::chrono::steady_clock::time_point deadline) {
  return loop_->is_forked() ? std::nullopt : engine_->desk().next(deadline);
}

bool EngineServer::is_done() const { return loop_->is_forked() || engine_->desk().is_closed(); }

void EngineServer::group_done(bool was_persisted) {
  if (!loop_->is_forked()) loop_->post([engine = engine_.get(), was_persisted] { engine->group_done(was_persisted); });
}

void EngineServer::store_lost(const std::string& reason) {
  if (!loop_->is_forked()) loop_->post([engine = engine_.get(), reason] { engine->store_lost(reason); });
}

ServerFigures EngineServer::figures() const {
  if (loop_->is_forked()) return {};
  return on_engine([this] { return engine_->figures(); });
}

std::optional<std::string> EngineServer::failure() const {
  if (loop_->is_forked()) return std::nullopt;
  return on_engine([this] { return engine_->failure(); });
}

void EngineServer::check() const {
  if (loop_->is_forked()) return;
  on_engine([this] { engine_->check(); });
}

Result<std::shared_ptr<MemoryChannel>> EngineServer::open_memory_channel(Loop& client_loop) {
  if (loop_->is_forked())
    return Status(Code::kDisconnected, "forked: this server belongs to the process that started it");
  std::lock_guard lock(mutex_);
  if (is_stopped_) return Status(Code::kDisconnected, "the server is stopped");
  auto [client_end, server_end] = MemoryChannel::make(client_loop, *loop_);
  loop_->post([engine = engine_.get(), end = std::move(server_end)]() mutable { engine->accept(std::move(end)); });
  return client_end;
}

}  // namespace odb
