/// What the in-process client needs of a server besides its public face.
#pragma once

#include <future>
#include <memory>
#include <mutex>

#include "core/net/engine_internal.h"

namespace odb {

class EngineServer final : public Server {
 public:
  explicit EngineServer(ServerConfig config);
  ~EngineServer() override;

  Status listen(const std::string& host, uint16_t port, const std::optional<CertificateFiles>& files) override;
  uint16_t port() const override;
  std::string fingerprint() const override;
  void stop() override;
  Status restored() const override;
  Status load(std::vector<DurableRow> rows) override;
  Status loaded() override;
  std::optional<DurableGroup> next_group(std::chrono::steady_clock::time_point deadline) override;
  bool is_done() const override;
  void group_done(bool was_persisted) override;
  void store_lost(const std::string& reason) override;
  ServerFigures figures() const override;
  std::optional<std::string> failure() const override;
  void check() const override;

  /// The client's end of a new memory channel; kDisconnected when the server is stopped.
  Result<std::shared_ptr<MemoryChannel>> open_memory_channel(Loop& client_loop);

 private:
  template <class F>
  auto on_engine(F&& f) const;

  mutable std::mutex mutex_;  // one caller at a time; the engine never takes it
  bool is_stopped_ = false;
  uint16_t port_ = 0;
  std::string fingerprint_;
  std::future<Status> loading_;  // the rows that were given last
  std::shared_ptr<Loop> loop_;
  std::shared_ptr<Engine> engine_;  // destroyed before the loop
};

}  // namespace odb
