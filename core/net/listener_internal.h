/// Listening sockets.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/net/loop_internal.h"

namespace odb {

/// One acceptor for each address of `host`, all on one port; port 0: one that is free on all of them.
/// `localhost` is 127.0.0.1 and, where the machine has IPv6, ::1. Codes as for Server::listen.
Result<std::vector<asio::ip::tcp::acceptor>> listen_on(asio::io_context& context, const std::string& host,
                                                       uint16_t port);

/// Programs that this process starts do not inherit the socket.
void close_on_exec(int socket);

}  // namespace odb
