/// A channel: one ordered stream of bytes to a peer, over TLS or through memory, driven on one Loop's thread.
///
/// Worked example, an owner's life:
///   channel->open(owner);          // on_received() from now on
///   channel->send(bytes);          // taken at once, on_sent() as the channel gets rid of them
///   channel->finish(1s);           // the rest is sent, the peer is told; then on_ended(), within the bound
///
/// on_received() and on_ended() never come from inside a call of the owner's; on_sent() may come from inside send().
/// After abort() nothing comes any more. Owner and channel hold each other until then.
/// Thread safety: none; the Loop's thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "core/base/bytes.h"

namespace odb {

class ChannelEvents {
 public:
  virtual ~ChannelEvents() = default;
  /// `bytes` are valid during the call.
  virtual void on_received(BytesView bytes) = 0;
  virtual void on_sent(size_t bytes) = 0;
  /// The last call. `reason`: a clause for people, such as "the peer hung up".
  virtual void on_ended(const std::string& reason) = 0;
};

class Channel {
 public:
  virtual ~Channel() = default;
  virtual void open(std::shared_ptr<ChannelEvents> owner) = 0;
  virtual void send(Bytes bytes) = 0;
  virtual size_t unsent_bytes() const = 0;
  /// Nothing is received any more. Calls after the first one, or after abort(), do nothing.
  virtual void finish(std::chrono::milliseconds bound) = 0;
  virtual void abort() = 0;
};

}  // namespace odb
