#include "core/net/server.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/module.h"
#include "core/net/certificate.h"

namespace nb = nanobind;

namespace odb {
namespace {

std::unique_ptr<Server> start_server(const std::string& token, double heartbeat_s, std::optional<uint64_t> memory_max,
                                     double handshake_s, uint64_t conflict_window) {
  ServerConfig config;
  config.token = token;
  config.heartbeat_us = static_cast<int64_t>(heartbeat_s * 1e6);
  config.handshake_us = static_cast<int64_t>(handshake_s * 1e6);
  config.memory_bytes_max = memory_max.value_or(SIZE_MAX);
  config.conflict_window_bytes = conflict_window;
  return Server::start(std::move(config));
}

void listen(Server& server, const std::string& host, int port, const std::optional<std::string>& certificate_path,
            const std::optional<std::string>& key_path) {
  std::optional<CertificateFiles> files;
  if (certificate_path) files = CertificateFiles{*certificate_path, key_path.value_or("")};
  Status status = [&] {
    NoGil no_gil;
    return server.listen(host, static_cast<uint16_t>(port), files);
  }();
  raise_if_failed(status);
}

nb::dict figures(const Server& server) {
  ServerFigures figures = [&] {
    NoGil no_gil;
    return server.figures();
  }();
  nb::dict out;
  out["connections"] = figures.connections;
  out["objects"] = figures.objects;
  out["commits_accepted"] = figures.commits_accepted;
  out["commits_refused"] = figures.commits_refused;
  out["bytes"] = figures.bytes;
  return out;
}

/// (chain, key) of a new self-signed certificate, both PEM.
nb::tuple new_certificate() {
  Certificate made = [] {
    NoGil no_gil;
    return make_certificate();
  }();
  return nb::make_tuple(nb::bytes(made.chain_pem.data(), made.chain_pem.size()),
                        nb::bytes(made.key_pem.data(), made.key_pem.size()));
}

}  // namespace

void add_server(nb::module_& module) {
  nb::class_<Server>(module, "Server")
      .def("listen", &listen)
      .def("stop", &Server::stop, nb::call_guard<NoGil>())
      .def("check", &Server::check, nb::call_guard<NoGil>())
      .def("failure", &Server::failure, nb::call_guard<NoGil>())
      .def("figures", &figures)
      .def_prop_ro("port", &Server::port)
      .def_prop_ro("fingerprint", &Server::fingerprint);
  module.attr("HEARTBEAT_S") = static_cast<double>(limits::kHeartbeatUs) / 1e6;
  constexpr double kHandshakeS = static_cast<double>(limits::kHandshakeUs) / 1e6;
  module.attr("HANDSHAKE_S") = kHandshakeS;
  module.attr("CONFLICT_WINDOW") = limits::kConflictWindowBytes;
  module.def("start_server", &start_server, nb::arg("token"), nb::arg("heartbeat_s"),
             nb::arg("memory_max") = nb::none(), nb::arg("handshake_s") = kHandshakeS,
             nb::arg("conflict_window") = limits::kConflictWindowBytes);
  module.def("make_certificate", &new_certificate);
}

}  // namespace odb
