#include <array>

#include "core/base/limits.h"
#include "core/net/memory_channel_internal.h"

namespace odb {

/// What both ends share. An end takes its entry back before its loop may go.
struct MemoryChannel::Wire {
  struct End {
    Loop* loop = nullptr;  // nullptr: closed
    std::weak_ptr<MemoryChannel> channel;
  };
  std::mutex mutex;
  std::array<End, 2> ends;
};

MemoryChannel::Pair MemoryChannel::make(Loop& first, Loop& second) {
  auto wire = std::make_shared<Wire>();
  Pair pair{std::shared_ptr<MemoryChannel>(new MemoryChannel(wire, 0)),
            std::shared_ptr<MemoryChannel>(new MemoryChannel(wire, 1))};
  wire->ends = {Wire::End{&first, pair.first}, Wire::End{&second, pair.second}};
  return pair;
}

template <class F>
bool MemoryChannel::post_to_peer(F&& f) {
  std::lock_guard lock(wire_->mutex);
  Wire::End& peer = wire_->ends[1 - side_];
  std::shared_ptr<MemoryChannel> channel = peer.channel.lock();
  if (peer.loop == nullptr || channel == nullptr) return false;
  peer.loop->post([channel = std::move(channel), f = std::forward<F>(f)]() mutable {
    if (!channel->is_closed_) f(*channel);
  });
  return true;
}

/// The peer may have spoken and hung up before anybody was here to be told.
void MemoryChannel::open(std::shared_ptr<ChannelEvents> owner) {
  owner_ = std::move(owner);
  if (!inbox_.empty() || has_peer_hung_up_) drain_later();
}

void MemoryChannel::send(Bytes bytes) {
  if (is_closed_ || is_finishing_ || bytes.empty()) return;
  unsent_bytes_ += bytes.size();
  post_to_peer([bytes = std::move(bytes)](MemoryChannel& peer) mutable { peer.deliver(std::move(bytes)); });
}

void MemoryChannel::deliver(Bytes bytes) {
  inbox_.push_back(std::move(bytes));
  if (!is_draining_) drain();
}

/// One turn: a long string is fed in parts, so that others on this loop are served in between.
void MemoryChannel::drain() {
  is_draining_ = false;
  if (owner_ == nullptr) return;
  if (inbox_.empty()) return has_peer_hung_up_ ? close("the peer hung up") : void();
  Bytes whole;  // keeps what on_received() looks at
  BytesView turn = BytesView(inbox_.front()).substr(inbox_at_, limits::kTurnBytes);
  inbox_at_ += turn.size();
  bool is_last_of_string = inbox_at_ == inbox_.front().size();
  if (is_last_of_string) {
    whole = std::move(inbox_.front());
    turn = BytesView(whole).substr(inbox_at_ - turn.size());
    inbox_.pop_front();
    inbox_at_ = 0;
  }
  unacknowledged_bytes_ += turn.size();
  std::shared_ptr<ChannelEvents> owner = owner_;
  if (!is_finishing_) owner->on_received(turn);
  if (is_closed_) return;
  if (unacknowledged_bytes_ >= kAckBytes) {
    size_t bytes = std::exchange(unacknowledged_bytes_, 0);
    post_to_peer([bytes](MemoryChannel& peer) { peer.acknowledge(bytes); });
  }
  if (!inbox_.empty()) {
    drain_later();
  } else if (has_peer_hung_up_) {
    close("the peer hung up");
  }
}

void MemoryChannel::drain_later() {
  is_draining_ = true;
  wire_->ends[side_].loop->post([self = shared_from_this()] {
    if (!self->is_closed_) self->drain();
  });
}

void MemoryChannel::acknowledge(size_t bytes) {
  unsent_bytes_ -= bytes;
  if (owner_ != nullptr && !is_finishing_) std::shared_ptr<ChannelEvents>(owner_)->on_sent(bytes);
}

void MemoryChannel::hang_up() {
  has_peer_hung_up_ = true;
  if (inbox_.empty() && owner_ != nullptr) close("the peer hung up");
}

/// Everything that was sent is on its way already, so nothing has to be waited for.
void MemoryChannel::finish(std::chrono::milliseconds) {
  if (is_closed_ || is_finishing_) return;
  is_finishing_ = true;
  wire_->ends[side_].loop->post([self = shared_from_this()] { self->close("closed by this side"); });
}

void MemoryChannel::close(const std::string& reason) {
  if (is_closed_) return;
  std::shared_ptr<ChannelEvents> owner = owner_;
  abort();
  if (owner != nullptr) owner->on_ended(reason);
}

void MemoryChannel::abort() {
  if (is_closed_) return;
  is_closed_ = true;
  post_to_peer([](MemoryChannel& peer) { peer.hang_up(); });
  {
    std::lock_guard lock(wire_->mutex);
    wire_->ends[side_] = {};
  }
  owner_.reset();  // the inbox stays: drain() may be showing it to the owner
}

}  // namespace odb
