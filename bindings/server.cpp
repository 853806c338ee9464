#include "core/net/server.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>

#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/module.h"
#include "core/net/certificate.h"

namespace nb = nanobind;

namespace odb {
namespace {

std::string_view view_of(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }
nb::bytes bytes_of(const Bytes& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

/// `durable`: what a store that outlives the server gave back: (history, last transaction, {fact: bytes}); or None.
std::unique_ptr<Server> start_server(const std::string& token, double heartbeat_s, std::optional<uint64_t> memory_max,
                                     double handshake_s, uint64_t conflict_window,
                                     const std::optional<std::tuple<nb::bytes, uint64_t, nb::dict>>& durable) {
  ServerConfig config;
  config.token = token;
  config.heartbeat_us = static_cast<int64_t>(heartbeat_s * 1e6);
  config.handshake_us = static_cast<int64_t>(handshake_s * 1e6);
  config.memory_bytes_max = memory_max.value_or(SIZE_MAX);
  config.conflict_window_bytes = conflict_window;
  if (durable) {
    const auto& [history, last, facts] = *durable;
    config.durable = DurableState{Bytes(view_of(history)), TransactionId{last}, {}};
    for (auto [name, value] : facts)
      config.durable->facts.emplace(nb::cast<std::string>(name), Bytes(view_of(nb::cast<nb::bytes>(value))));
  }
  std::unique_ptr<Server> server = Server::start(std::move(config));
  Status restored = [&] {
    NoGil no_gil;
    return server->restored();
  }();
  raise_if_failed(restored);
  return server;
}

/// rows: [(object id, type number, row)]. What is wrong with them is said by the next call, or by loaded().
void load(Server& server, const nb::list& rows) {
  std::vector<DurableRow> taken;
  taken.reserve(rows.size());
  for (nb::handle each : rows) {
    auto row = nb::cast<nb::tuple>(each);
    auto type = nb::cast<uint32_t>(row[1]);
    taken.push_back({TypeId{type}, ObjectId{nb::cast<int64_t>(row[0])}, Bytes(view_of(nb::cast<nb::bytes>(row[2])))});
  }
  Status status = [&] {
    NoGil no_gil;
    return server.load(std::move(taken));
  }();
  raise_if_failed(status);
}

/// (previous, last, [(object id, type number, row or None)], {fact: bytes}, [(session, seq, tid)]), or None.
nb::object next_group(Server& server, double timeout_s) {
  std::optional<DurableGroup> group = [&] {
    NoGil no_gil;
    auto timeout =
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(timeout_s));
    return server.next_group(std::chrono::steady_clock::now() + timeout);
  }();
  if (!group) return nb::none();
  nb::list rows, commits;
  for (const DurableRow& row : group->rows) {
    nb::object bytes = row.row ? nb::object(bytes_of(*row.row)) : nb::none();
    rows.append(nb::make_tuple(row.object.value, row.type.value, bytes));
  }
  nb::dict facts;
  for (const auto& [name, value] : group->facts) facts[name.c_str()] = bytes_of(value);
  for (const DurableCommit& commit : group->commits)
    commits.append(nb::make_tuple(bytes_of(commit.session), commit.seq.value, commit.tid.value));
  return nb::make_tuple(group->previous.value, group->last.value, rows, facts, commits);
}

void loaded(Server& server) {
  Status status = [&] {
    NoGil no_gil;
    return server.loaded();
  }();
  raise_if_failed(status);
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
      .def("load", &load)
      .def("loaded", &loaded)
      .def("next_group", &next_group)
      .def("group_done", &Server::group_done, nb::call_guard<NoGil>())
      .def("store_lost", &Server::store_lost, nb::call_guard<NoGil>())
      .def("is_done", &Server::is_done, nb::call_guard<NoGil>())
      .def_prop_ro("port", &Server::port)
      .def_prop_ro("fingerprint", &Server::fingerprint);
  module.attr("HEARTBEAT_S") = static_cast<double>(limits::kHeartbeatUs) / 1e6;
  constexpr double kHandshakeS = static_cast<double>(limits::kHandshakeUs) / 1e6;
  module.attr("HANDSHAKE_S") = kHandshakeS;
  module.attr("CONFLICT_WINDOW") = limits::kConflictWindowBytes;
  module.attr("IDENTITY_MAX") = limits::kIdentityMax;
  module.def("start_server", &start_server, nb::arg("token"), nb::arg("heartbeat_s"),
             nb::arg("memory_max") = nb::none(), nb::arg("handshake_s") = kHandshakeS,
             nb::arg("conflict_window") = limits::kConflictWindowBytes, nb::arg("durable") = nb::none());
  module.def("make_certificate", &new_certificate);
}

}  // namespace odb
