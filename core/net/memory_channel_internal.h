/// A channel between two Loops of one process: byte strings are posted from one to the other.
///
/// Both ends live in one process, so holding back a fast sender would only keep its bytes elsewhere: there is no
/// back-pressure. Deliveries are told to the sender in steps of kAckBytes, so that a small message costs one wake-up.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "core/net/channel_internal.h"
#include "core/net/loop_internal.h"

namespace odb {

class MemoryChannel final : public Channel, public std::enable_shared_from_this<MemoryChannel> {
 public:
  using Pair = std::pair<std::shared_ptr<MemoryChannel>, std::shared_ptr<MemoryChannel>>;
  /// An end that is dropped before open() counts as closed. REQUIRES: a loop lives until its end is closed.
  static Pair make(Loop& first, Loop& second);
  ~MemoryChannel() override { abort(); }

  void open(std::shared_ptr<ChannelEvents> owner) override;
  void send(Bytes bytes) override;
  size_t unsent_bytes() const override { return unsent_bytes_; }
  void finish(std::chrono::milliseconds bound) override;
  void abort() override;

 private:
  struct Wire;
  static constexpr size_t kAckBytes = 16 << 10;

  MemoryChannel(std::shared_ptr<Wire> wire, size_t side) : wire_(std::move(wire)), side_(side) {}
  template <class F>
  bool post_to_peer(F&& f);
  void deliver(Bytes bytes);
  void drain();
  void drain_later();
  void acknowledge(size_t bytes);
  void hang_up();
  void close(const std::string& reason);

  const std::shared_ptr<Wire> wire_;
  const size_t side_;
  bool is_closed_ = false;
  bool is_finishing_ = false;
  bool has_peer_hung_up_ = false;
  bool is_draining_ = false;  // drain() will be called by itself
  std::shared_ptr<ChannelEvents> owner_;
  size_t unsent_bytes_ = 0;
  size_t unacknowledged_bytes_ = 0;
  std::deque<Bytes> inbox_;
  size_t inbox_at_ = 0;  // of its first string, what lies before is delivered
};

}  // namespace odb
