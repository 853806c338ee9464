/// Who may say what when (P2): for every state of a connection and every message kind there is one answer.
///
///   server's end of a connection     may come in
///   kHello     nothing said yet      Hello
///   kAuth      proving itself        Auth, Heartbeat
///   kReady     in                    everything else but Hello and Auth
///   kClosing   farewell said         anything; it is not read any more
///
///   client's end of a connection     may come in
///   kGreeting  Hello sent            ServerHello
///   kProving   Auth sent             ServerAuth, Welcome
///   kReady     welcome               everything else but ServerHello, ServerAuth, Welcome
///   kClosed                          anything; it is not read any more
/// ServerGoodbye may come in every state of the client.
#pragma once

#include "core/protocol/messages.h"

namespace odb {

enum class ServerState : uint8_t { kHello, kAuth, kReady, kClosing };
enum class ClientState : uint8_t { kGreeting, kProving, kReady, kClosed };

enum class Answer : uint8_t { kHandle, kIgnore, kRefuse };

constexpr Answer answer_of(ServerState state, MessageKind kind) {
  bool is_from_client = kind >= MessageKind::kHello && kind <= MessageKind::kListTypes;
  bool is_greeting = kind == MessageKind::kHello || kind == MessageKind::kAuth;
  if (state == ServerState::kClosing) return Answer::kIgnore;
  if (!is_from_client) return Answer::kRefuse;
  if (state == ServerState::kHello) return kind == MessageKind::kHello ? Answer::kHandle : Answer::kRefuse;
  if (state == ServerState::kAuth) {
    bool may_come = kind == MessageKind::kAuth || kind == MessageKind::kHeartbeat;
    return may_come ? Answer::kHandle : Answer::kRefuse;
  }
  return is_greeting ? Answer::kRefuse : Answer::kHandle;
}

constexpr Answer answer_of(ClientState state, MessageKind kind) {
  bool is_from_server = kind >= MessageKind::kServerHello && kind <= MessageKind::kTypeList;
  if (state == ClientState::kClosed) return Answer::kIgnore;
  if (!is_from_server) return Answer::kRefuse;
  if (kind == MessageKind::kServerGoodbye) return Answer::kHandle;
  bool is_hello = kind == MessageKind::kServerHello;
  bool is_auth = kind == MessageKind::kServerAuth || kind == MessageKind::kWelcome;
  if (state == ClientState::kGreeting) return is_hello ? Answer::kHandle : Answer::kRefuse;
  if (state == ClientState::kProving) return is_auth ? Answer::kHandle : Answer::kRefuse;
  return is_hello || is_auth ? Answer::kRefuse : Answer::kHandle;
}

}  // namespace odb
