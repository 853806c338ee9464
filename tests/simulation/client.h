/// One connection of a simulated program: it connects, defines its schema, subscribes to some of it, now or later,
/// runs transactions and looks at views, loses its connection and starts again.
///
/// What it covers is drawn anew each time, type by type: all of it, some index keys, some objects, nothing. The first client covers everything, so that somebody
/// can found the world. Connections of one process take naps and lose their links together.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "core/client/client_core.h"
#include "tests/simulation/run.h"

namespace odb::simulation {

class Client : public ClientEvents, public Network::End {
 public:
  Client(Run& run, size_t number, size_t process);

  ClientCore& core() { return *core_; }
  bool is_down() const { return stage_ == Stage::kDown; }
  /// Ready, and nothing is left to be answered.
  bool is_settled() const { return stage_ == Stage::kReady && open_requests_.empty() && unanswered_.empty(); }
  void flush();
  /// A new view shows what it must, and so does one of the old ones.
  void verify_view();
  void wake() { asleep_until_ = {}; }

  // -- Network::End
  void received(const Bytes& bytes) override;
  void lost() override { core_->disconnected("cut"); }

  // -- ClientEvents
  void on_welcome(const Welcome&) override;
  void on_answer(RequestId request, const Status& status) override;
  void on_commit_result(const CommitResult& result) override;
  void on_changes(ChangeSet) override {}
  void on_closed(const Status& reason) override;

 private:
  enum class Stage { kDown, kGreeting, kDefining, kSubscribing, kReady };
  struct Unanswered {
    uint64_t number;
    ObjectId mark;
    std::vector<Bytes> records;
  };

  void say(const std::string& line) const;
  void connect();
  void turn();
  /// True when something happened that ends this turn.
  bool suffer();
  void subscribe_to_some();
  void subscribe(SubscriptionKey wanted);
  void subscribe_to_key(TypeId type, const Model& model);
  void subscribe_to_objects(TypeId type, const Model& model);
  void grant(const SubscriptionKey& wanted);
  void commit();
  void pump();
  void work_later();
  RequestId new_request();
  void verify(const View& view) const;
  template <class F>
  void each_of_process(F&& f);

  Run& run_;
  const size_t number_;
  const size_t process_;
  const bool is_slow_;
  Stage stage_ = Stage::kDown;
  size_t version_ = 0;  // of the program's definitions
  std::unique_ptr<ClientCore> core_;
  Network::LinkPtr link_;
  bool is_work_scheduled_ = false;
  Instant asleep_until_;
  ObjectId mark_;
  RequestId last_request_;
  std::set<RequestId> open_requests_;
  std::map<RequestId, SubscriptionKey> subscribing_;
  Granted granted_;
  std::map<CommitSeq, Unanswered> unanswered_;
  std::vector<std::unique_ptr<View>> views_;
  Step verified_step_;
};

}  // namespace odb::simulation
