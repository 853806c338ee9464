/// P2: every (state, message) pair has an answer; here it is written down once more, name by name.
#include "core/protocol/states.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "core/protocol/protocol_testing.h"

namespace odb {
namespace {

using namespace odb::testing;
using Names = std::set<std::string>;

const Names kRequests{"DefineSchema", "Subscribe", "CommitPart", "CommitEnd", "Acknowledge",
                      "Flush",        "Resume",    "Heartbeat",  "Goodbye",   "ListTypes"};
const std::map<ServerState, Names> kServerHandles{
    {ServerState::kHello, {"Hello"}},
    {ServerState::kAuth, {"Auth", "Heartbeat"}},
    {ServerState::kReady, kRequests},
};
const Names kNews{"SchemaMapping", "Section",         "Piece",   "Complete",      "CommitResult", "Flushed",
                  "IdentityBlock", "ServerHeartbeat", "Refused", "ServerGoodbye", "TypeList"};
const std::map<ClientState, Names> kClientHandles{
    {ClientState::kGreeting, {"ServerHello", "ServerGoodbye"}},
    {ClientState::kProving, {"ServerAuth", "Welcome", "ServerGoodbye"}},
    {ClientState::kReady, kNews},
};

template <class State>
void verify(const std::map<State, Names>& handles, State silent) {
  for (int kind = 0; kind <= 255; ++kind) {
    BOOST_TEST((answer_of(silent, static_cast<MessageKind>(kind)) == Answer::kIgnore));
    std::string name = name_of(static_cast<MessageKind>(kind));
    for (const auto& [state, names] : handles) {
      Answer expected = names.contains(name) ? Answer::kHandle : Answer::kRefuse;
      BOOST_TEST((answer_of(state, static_cast<MessageKind>(kind)) == expected),
                 name << " (" << kind << ") in state " << static_cast<int>(state));
    }
  }
}

BOOST_AUTO_TEST_SUITE(states)

BOOST_AUTO_TEST_CASE(the_server_has_an_answer_for_every_message_in_every_state) {
  verify(kServerHandles, ServerState::kClosing);
}

BOOST_AUTO_TEST_CASE(the_client_has_an_answer_for_every_message_in_every_state) {
  verify(kClientHandles, ClientState::kClosed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
