#include "core/net/client.h"

#include <openssl/ssl.h>

#include <atomic>
#include <cmath>
#include <cstdlib>

#include "core/net/client_link_internal.h"
#include "core/net/server_internal.h"

namespace odb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGiveUpInterval{50};
constexpr std::chrono::milliseconds kExitBound{1500};
constexpr double kTimeoutSMax = 1e8;  // three years: as good as none

const Status& forked() {
  static const Status status(Code::kDisconnected,
                             "forked: this connection belongs to the process that opened it; connect again");
  return status;
}

/// The I/O thread of this process and what runs on it. A forked child makes its own; the parent's is left alone there.
struct ClientProcess {
  ClientProcess() : generation(fork_generation()), loop(std::make_shared<Loop>("odb-io")) {}

  const uint64_t generation;
  const std::shared_ptr<Loop> loop;
  std::mutex mutex;
  std::vector<std::weak_ptr<ClientLink>> links;  // guarded by mutex
  bool is_exiting = false;                       // guarded by mutex
};

std::atomic<ClientProcess*> process{nullptr};  // never destroyed: programs may hold clients until the very end

/// Leaves every server politely and ends the thread, before OpenSSL cleans up after itself.
void leave_at_exit() {
  ClientProcess* own = process.load();
  if (own == nullptr || own->generation != fork_generation()) return;
  std::vector<std::weak_ptr<ClientLink>> links;
  {
    std::lock_guard lock(own->mutex);
    own->is_exiting = true;
    links.swap(own->links);
  }
  for (const std::weak_ptr<ClientLink>& each : links) {
    if (std::shared_ptr<ClientLink> link = each.lock()) link->disconnect();
  }
  own->loop->join(kExitBound);  // a name that is still being looked up must not hold the process
}

ClientProcess& client_process() {
  ClientProcess* own = process.load(std::memory_order_acquire);
  if (own != nullptr && own->generation == fork_generation()) return *own;
  OPENSSL_init_ssl(0, nullptr);  // its own exit handler is registered before, and so runs after, ours
  static const int is_registered = std::atexit(leave_at_exit);
  static_cast<void>(is_registered);
  auto* made = new ClientProcess();
  if (process.compare_exchange_strong(own, made, std::memory_order_acq_rel)) return *made;
  made->loop->join();  // another thread was faster
  delete made;
  return *own;
}

std::shared_ptr<ClientLink> new_link(ClientProcess& own) {
  auto link = std::make_shared<ClientLink>(own.loop);
  std::lock_guard lock(own.mutex);
  if (own.is_exiting) return nullptr;
  std::erase_if(own.links, [](const std::weak_ptr<ClientLink>& each) { return each.expired(); });
  own.links.push_back(link);
  return link;
}

/// The connection as its program holds it: letting go of it leaves the server.
class LinkedClient final : public Client {
 public:
  explicit LinkedClient(std::shared_ptr<ClientLink> link) : link_(std::move(link)) {}
  ~LinkedClient() override {
    if (is_forked()) {
      leak(std::move(link_));
    } else {
      link_->disconnect();
    }
  }

  const std::shared_ptr<Store>& store() const override { return link_->core().store(); }
  Identities& identities() override { return link_->core().identities(); }
  const Welcome& welcome() const override { return link_->welcome(); }
  const ConnectionFacts& facts() const override { return link_->facts(); }

  std::shared_ptr<Pending> define_schema(SchemaDefinition definition) override { return ask(std::move(definition)); }
  std::shared_ptr<Pending> subscribe(SubscriptionKey wanted) override { return ask(std::move(wanted)); }
  std::shared_ptr<Pending> flush() override { return ask(FlushRequest{}); }
  std::shared_ptr<Pending> list_types() override { return ask(ListTypesRequest{}); }
  std::shared_ptr<Pending> collect_changes(bool is_wanted) override { return ask(CollectRequest{is_wanted}); }

  bool commit(Submission& request, Pending::Deadline deadline, const std::function<bool()>& should_give_up) override {
    if (!is_forked()) return link_->commit(request, deadline, should_give_up);
    refuse_forked(request);
    return true;
  }
  void commit_at_once(Submission request) override {
    is_forked() ? refuse_forked(request) : link_->commit_at_once(std::move(request));
  }
  const std::shared_ptr<EventQueue>& events() const override { return link_->events(); }

  bool wait_for_step_above(Step seen, Pending::Deadline deadline) override {
    return is_forked() || link_->wait_for_step_above(seen, deadline);
  }
  bool wait_for_transaction(TransactionId tid, Pending::Deadline deadline) override {
    return is_forked() || link_->wait_for_transaction(tid, deadline);
  }
  bool is_forked() const override { return link_->loop().is_forked(); }
  std::optional<Status> closed() const override { return is_forked() ? forked() : link_->closed(); }
  void disconnect() override {
    if (!is_forked()) link_->disconnect();
  }

 private:
  /// The queue is the parent's, and a lock of it may have been held at the fork: only those who wait are answered.
  static void refuse_forked(const Submission& request) {
    if (request.pending != nullptr) request.pending->answer(forked());
  }
  std::shared_ptr<Pending> ask(ClientRequest request) {
    if (!is_forked()) return link_->request(std::move(request));
    auto pending = std::make_shared<Pending>();
    pending->answer(forked());
    return pending;
  }

  std::shared_ptr<ClientLink> link_;
};

Pending::Deadline deadline_after(double timeout_s) {
  if (!(timeout_s < kTimeoutSMax)) return std::nullopt;
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::max(timeout_s, 0.0)));
}

std::string seconds(double timeout_s) {
  std::string text = std::to_string(std::round(timeout_s * 1000) / 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

/// Waits until the link is in; otherwise leaves it and says why.
Result<std::shared_ptr<Client>> await(const std::shared_ptr<ClientLink>& link, const std::string& place,
                                      double timeout_s, const std::function<bool()>& should_give_up) {
  const std::shared_ptr<Pending>& welcomed = link->welcomed();
  Pending::Deadline deadline = deadline_after(timeout_s);
  bool is_given_up = false;
  while (true) {
    Pending::Deadline next = deadline;
    if (should_give_up) {
      Clock::time_point soon = Clock::now() + kGiveUpInterval;
      next = deadline ? std::min(*deadline, soon) : soon;
    }
    if (welcomed->wait_until(next)) break;
    if (deadline && Clock::now() >= *deadline) break;
    if (should_give_up && should_give_up()) {
      is_given_up = true;
      break;
    }
  }
  if (welcomed->is_answered()) {
    if (!welcomed->status().is_ok()) return welcomed->status();
    return std::shared_ptr<Client>(std::make_shared<LinkedClient>(link));
  }
  std::string failure = link->last_failure();
  link->disconnect();
  if (is_given_up) return Status(Code::kDisconnected, "the program gave up connecting to " + place);
  if (failure.empty()) failure = "no answer from " + place;
  return Status(Code::kTimeout, failure + " within " + seconds(timeout_s));
}

}  // namespace

Result<std::shared_ptr<Client>> Client::connect(const ConnectOptions& options,
                                                const std::function<bool()>& should_give_up) {
  std::shared_ptr<ClientLink> link = new_link(client_process());
  if (link == nullptr) return Status(Code::kDisconnected, "the process is exiting");
  link->dial(options);
  return await(link, place_of(options.host, options.port), options.timeout_s, should_give_up);
}

Result<std::shared_ptr<Client>> Client::connect(Server& server, const std::string& token, double timeout_s) {
  std::shared_ptr<ClientLink> link = new_link(client_process());
  if (link == nullptr) return Status(Code::kDisconnected, "the process is exiting");
  // Server::start makes no other kind.
  auto channel = static_cast<EngineServer&>(server).open_memory_channel(link->loop());
  if (!channel.is_ok()) return channel.status();
  link->attach(std::move(channel.value()), token);
  return await(link, "the server in this process", timeout_s, nullptr);
}

}  // namespace odb
