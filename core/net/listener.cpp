#include <fcntl.h>

#include <boost/asio/ip/v6_only.hpp>

#include <algorithm>

#include "core/net/listener_internal.h"

namespace odb {
namespace {

using asio::ip::tcp;
using boost::system::error_code;
namespace errors = asio::error;

constexpr int kPortsTriedMax = 50;  // until one is free on IPv4 and IPv6

using Endpoints = std::vector<tcp::endpoint>;
using Acceptors = std::vector<tcp::acceptor>;

Result<Endpoints> endpoints_of(asio::io_context& context, const std::string& host, uint16_t port) {
  if (host == "localhost")  // whatever the machine's hosts file says
    return Endpoints{{asio::ip::address_v4::loopback(), port}, {asio::ip::address_v6::loopback(), port}};
  error_code error;
  tcp::resolver resolver(context);
  auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (host.empty() || error)
    return Status(Code::kInvalidArgument,
                  "'" + host + "' is not a host to listen on" + (error ? ": " + error.message() : std::string()));
  Endpoints endpoints;
  for (const auto& entry : found) {
    if (std::ranges::count(endpoints, entry.endpoint()) == 0) endpoints.push_back(entry.endpoint());
  }
  std::ranges::stable_sort(endpoints, {}, [](const tcp::endpoint& each) { return each.address().is_v6(); });
  return endpoints;
}

error_code open_acceptor(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (error) return error;
  close_on_exec(acceptor.native_handle());
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  return error;
}

/// Whether an IPv6 address is only missing because the machine has no IPv6.
bool is_no_ipv6(const tcp::endpoint& endpoint, const error_code& error) {
  return endpoint.address().is_v6() &&
         (error == errors::address_family_not_supported || error.value() == EADDRNOTAVAIL);
}

Status sentence_for(const error_code& error, const std::string& host, uint16_t port) {
  std::string where = "port " + std::to_string(port) + " on " + host;
  if (error == errors::address_in_use)
    return {Code::kServer, where + " is in use by another program; choose another port or stop that program"};
  if (error == errors::access_denied)
    return {Code::kServer, "this user is not allowed to listen on " + where + "; choose a port above 1023"};
  if (error.value() == EADDRNOTAVAIL)
    return {Code::kInvalidArgument, "'" + host + "' is not an address of this machine"};
  return {Code::kServer, "cannot listen on " + where + ": " + error.message()};
}

/// One try. An error of the first endpoint, or of a later one that cannot be left out.
error_code open_all(asio::io_context& context, Endpoints endpoints, Acceptors& acceptors) {
  acceptors.clear();
  error_code first_skipped;
  for (tcp::endpoint& endpoint : endpoints) {
    if (!acceptors.empty()) endpoint.port(acceptors.front().local_endpoint().port());
    tcp::acceptor acceptor(context);
    error_code error = open_acceptor(acceptor, endpoint);
    if (error && is_no_ipv6(endpoint, error)) {
      if (!first_skipped) first_skipped = error;
      continue;
    }
    if (error) return error;
    acceptors.push_back(std::move(acceptor));
  }
  return acceptors.empty() ? first_skipped : error_code();
}

}  // namespace

Result<Acceptors> listen_on(asio::io_context& context, const std::string& host, uint16_t port) {
  Result<Endpoints> endpoints = endpoints_of(context, host, port);
  if (!endpoints.is_ok()) return endpoints.status();
  Acceptors acceptors;
  error_code error = open_all(context, endpoints.value(), acceptors);
  for (int tried = 1; port == 0 && error == errors::address_in_use && tried < kPortsTriedMax; ++tried)
    error = open_all(context, endpoints.value(), acceptors);
  if (error) return sentence_for(error, host, port);
  return acceptors;
}

void close_on_exec(int socket) { ::fcntl(socket, F_SETFD, FD_CLOEXEC); }

}  // namespace odb
