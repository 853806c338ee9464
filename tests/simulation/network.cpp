#include "tests/simulation/network.h"

#include <algorithm>

#include "core/base/check.h"

namespace odb::simulation {

// ---- weather

Weather Weather::fair(Random& random) {
  Weather weather;
  weather.delay_us_max = random.one_in(2) ? 500 : 20'000;
  weather.persist_us_max = random.one_in(2) ? 50 : 5'000;
  weather.server.history = Bytes(16, 'h');
  weather.server.heartbeat_us = weather.delay_us_max * random.between(20, 60);
  weather.server.handshake_us = weather.delay_us_max * 200;
  weather.server.backfill_objects = static_cast<size_t>(random.between(1, 5));
  return weather;
}

Weather Weather::any(Random& random) {
  Weather weather = fair(random);
  auto sometimes = [&](int64_t least, int64_t greatest) {
    return random.one_in(2) ? 0 : random.between(least, greatest);
  };
  weather.cut_one_in = sometimes(20, 200);
  weather.silence_one_in = sometimes(50, 300);
  weather.nap_one_in = sometimes(30, 200);
  weather.deaf_one_in = sometimes(30, 200);
  weather.refuse_one_in = sometimes(3, 40);
  weather.outage_one_in = sometimes(50, 300);
  weather.stall_one_in = sometimes(10, 50);
  weather.has_slow_readers = random.one_in(2);
  weather.server.conflict_window_bytes = static_cast<size_t>(random.one_in(3) ? 1'000 : 1 << 20);
  if (random.one_in(3)) {
    // Small enough for clients that stop reading, who must have the time to fall behind: silence is noticed late. One
    // group must fit, or it would close everybody: 2 commits of at most 3 long notes.
    weather.server.outbox_bytes_max = 256'000;
    weather.note_bytes_max = 40'000;
    weather.group_commits_max = 2;
    weather.server.heartbeat_us *= 20;
    weather.silence_one_in = 0;
    weather.nap_delays_max = 6'000;
  } else if (random.one_in(2)) {
    weather.note_bytes_max = 100'000;  // subscriptions take several pieces, between which much happens
  }
  return weather;
}

// ---- links

Network::Network(Random& random, Events& events, Weather weather)
    : random_(random), events_(events), weather_(std::move(weather)), server_(weather_.server) {
  tick();
}

Network::LinkPtr Network::connect(End& end, bool is_slow) {
  auto link = std::make_shared<Link>();
  link->id = ConnectionId{++last_connection_.value};
  link->end = &end;
  link->is_slow = is_slow;
  links_[link->id] = link;
  server_.connected(link->id, std::make_unique<MemoryServerAuthentication>(kToken), Bytes(16, 's'), events_.now());
  return link;
}

void Network::send(const LinkPtr& link, Bytes bytes) {
  link->to_server += bytes;
  carry_to_server(link);
}

void Network::leave(const LinkPtr& link) {
  link->is_up_for_client = false;
  link->to_client.clear();
  if (link->is_silent) return;  // the server finds out by itself
  events_.after(delay_us(true), [this, link] { end_for_server(link); });
}

void Network::cut(const LinkPtr& link) {
  if (!link->is_up_for_client) return;
  leave(link);
  link->end->lost();
}

void Network::calm() {
  is_calm_ = true;
  for (const auto& [id, link] : links_) link->deaf_until = {};
}

/// Bytes arrive in order, in pieces that nobody chose.
Bytes Network::take_some(Bytes& waiting, bool is_slow) {
  size_t size = waiting.size();
  if (is_slow) size = std::min<size_t>(size, 10'000);
  if (random_.one_in(3)) size = static_cast<size_t>(random_.between(1, static_cast<int64_t>(size)));
  Bytes taken = waiting.substr(0, size);
  waiting.erase(0, size);
  return taken;
}

void Network::carry_to_server(const LinkPtr& link) {
  if (link->is_going_to_server || link->to_server.empty()) return;
  link->is_going_to_server = true;
  events_.after(delay_us(), [this, link] {
    link->is_going_to_server = false;
    if (!link->is_up_for_server || link->is_silent) return;
    server_.received(link->id, take_some(link->to_server, false), events_.now());
    pump();
    carry_to_server(link);
  });
}

void Network::carry_to_client(const LinkPtr& link) {
  if (link->is_going_to_client || link->to_client.empty() || !link->is_up_for_client) return;
  link->is_going_to_client = true;
  bool is_slow = link->is_slow && !is_calm_;
  events_.after(delay_us(is_slow), [this, link, is_slow] {
    link->is_going_to_client = false;
    if (!link->is_up_for_client || link->is_silent) return;
    if (events_.now() < link->deaf_until) return hear_later(link);
    if (link->to_client.empty()) return;
    Bytes taken = take_some(link->to_client, is_slow);
    if (link->is_up_for_server) server_.sent(link->id, taken.size());
    link->end->received(taken);
    pump();
    carry_to_client(link);
    close_if_said(link);
  });
}

void Network::hear_later(const LinkPtr& link) {
  link->is_going_to_client = true;
  int64_t wait_us = std::min(link->deaf_until.us - events_.now().us, 20 * weather_.delay_us_max);
  events_.after(wait_us, [this, link] {  // looks again now and then: calm() ends deafness early
    link->is_going_to_client = false;
    carry_to_client(link);
  });
}

/// A channel whose farewell was said is closed when everything was read, or when nobody is there to read it.
void Network::close_if_said(const LinkPtr& link) {
  if (!link->is_up_for_server || !server_.is_closing(link->id)) return;
  if (link->is_up_for_client && !link->is_silent && !link->to_client.empty()) return;
  ++closed_by_server;
  end_for_server(link);
  if (!link->is_up_for_client || link->is_silent) return;
  link->is_up_for_client = false;
  link->end->lost();
}

void Network::end_for_server(const LinkPtr& link) {
  if (!link->is_up_for_server) return;
  link->is_up_for_server = false;
  server_.disconnected(link->id);
  links_.erase(link->id);
}

// ---- server

void Network::pump() {
  start_group();
  send_output();
  if (is_streaming_) return;
  is_streaming_ = true;  // pieces of a subscription go out between other things
  events_.after(1 + random_.below(weather_.delay_us_max / 4), [this] {
    is_streaming_ = false;
    bool has_more = server_.work();
    if (has_more) after_step();
    if (server_.stream() || has_more) return pump();
    send_output();
  });
}

void Network::start_group() {
  auto commits_max = static_cast<int64_t>(weather_.group_commits_max);
  if (is_persisting_ || !server_.start_group(static_cast<size_t>(random_.between(1, commits_max)))) return;
  is_persisting_ = true;
  if (happens(weather_.outage_one_in)) {
    outage_until_ = Instant{events_.now().us + random_.between(10, 100) * weather_.delay_us_max};
    ++outages;
  }
  bool is_refused = happens(weather_.refuse_one_in) || (events_.now() < outage_until_ && !is_calm_);
  bool is_stalled = happens(weather_.stall_one_in);
  stalls += is_stalled;
  events_.after((1 + random_.below(weather_.persist_us_max)) * (is_stalled ? 100 : 1), [this, is_refused] {
    is_persisting_ = false;
    if (is_refused) say("the store refuses");
    server_.finish_group(!is_refused);
    after_step();
    pump();
  });
}

void Network::send_output() {
  std::vector<ConnectionId> ready = server_.take_ready();
  // The auditor first: what others hear is in the history already.
  if (std::erase(ready, auditor_) > 0) {
    Bytes bytes = server_.take_output(auditor_);
    server_.sent(auditor_, bytes.size());
    auditor_hears_(bytes);
  }
  for (ConnectionId id : ready) {
    LinkPtr link = links_.at(id);
    Bytes bytes = server_.take_output(id);
    if (link->is_up_for_client && !link->is_silent) {
      link->to_client += bytes;
      carry_to_client(link);
    }
    close_if_said(link);
  }
}

void Network::tick() {
  int64_t interval_us = weather_.server.heartbeat_us / 4;
  events_.after(random_.between(interval_us / 2, interval_us), [this] {
    if (auditor_.value > 0) {
      Bytes alive;
      put_frame(alive, Heartbeat{});
      auditor_says(alive);
    }
    server_.tick(events_.now());
    pump();
    tick();
  });
}

// ---- auditor

void Network::attach_auditor(std::function<void(const Bytes&)> hear) {
  ODB_CHECK(auditor_.value == 0);
  auditor_ = ConnectionId{++last_connection_.value};
  auditor_hears_ = std::move(hear);
  server_.connected(auditor_, std::make_unique<MemoryServerAuthentication>(kToken), Bytes(16, 'a'), events_.now());
}

void Network::auditor_says(const Bytes& bytes) {
  server_.received(auditor_, bytes, events_.now());
  while (server_.stream() | server_.work()) {}
  ODB_CHECK(!server_.is_closing(auditor_));
}

}  // namespace odb::simulation
