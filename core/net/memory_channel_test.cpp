/// The channel through memory, where its two ends live on two loops.
#include <boost/test/unit_test.hpp>
#include <future>

#include "core/net/memory_channel_internal.h"

namespace odb {
namespace {

struct Recorder : ChannelEvents {
  void on_received(BytesView bytes) override { received += bytes; }
  void on_sent(size_t) override {}
  void on_ended(const std::string& reason) override { ended.set_value(reason); }

  Bytes received;
  std::promise<std::string> ended;
};

/// Runs f on the loop's thread, behind everything that was posted to it before.
template <class F>
void run_on(Loop& loop, F&& f) {
  std::promise<void> done;
  loop.post([&] {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

BOOST_AUTO_TEST_SUITE(memory_channel)

BOOST_AUTO_TEST_CASE(who_opens_after_the_peer_has_spoken_and_hung_up_hears_both) {
  for (bool has_spoken : {false, true}) {
    Loop near("near"), far("far");
    auto [here, there] = MemoryChannel::make(near, far);
    run_on(far, [&] {
      if (has_spoken) there->send("goodbye");
      there->abort();
    });
    run_on(near, [] {});  // what the peer did has arrived
    auto owner = std::make_shared<Recorder>();
    run_on(near, [&] { here->open(owner); });
    BOOST_TEST(owner->ended.get_future().get() == "the peer hung up");
    BOOST_TEST(owner->received == (has_spoken ? "goodbye" : ""));
    near.join();
    far.join();
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
