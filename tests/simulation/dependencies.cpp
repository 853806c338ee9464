#include "tests/simulation/dependencies.h"

#include <algorithm>

namespace odb::simulation {

DependencyGraph::Node DependencyGraph::add(std::string name) {
  names_.push_back(std::move(name));
  return names_.size() - 1;
}

std::string DependencyGraph::find_anomaly() const {
  Edges edges(names_.size());
  for (const auto& [key, makers] : versions_) {
    for (size_t i = 1; i < makers.size(); ++i) edges[makers[i - 1]].push_back({makers[i], "ww", &key});
  }
  for (auto [before, after] : session_orders_) edges[before].push_back({after, "so", nullptr});
  std::string unknown = add_reads(edges);
  return unknown.empty() ? find_cycle(edges) : unknown;
}

std::string DependencyGraph::add_reads(Edges& edges) const {
  static const std::vector<Node> kNobody;
  for (const Read& read : reads_) {
    auto found = versions_.find(read.key);
    const std::vector<Node>& makers = found == versions_.end() ? kNobody : found->second;
    size_t next = 0;  // position of the version after the one that was read
    if (read.writer != kStart) {
      auto maker = std::ranges::find(makers, read.writer);
      if (maker == makers.end())
        return names_[read.reader] + " read " + read.key + " of " + names_[read.writer] + ", which did not commit it";
      next = static_cast<size_t>(maker - makers.begin()) + 1;
      if (read.writer != read.reader) edges[read.writer].push_back({read.reader, "wr", &read.key});
    }
    if (next < makers.size() && makers[next] != read.reader)
      edges[read.reader].push_back({makers[next], "rw", &read.key});
  }
  return {};
}

/// Depth first, without recursion: an edge to a node that is still being walked closes a cycle.
std::string DependencyGraph::find_cycle(const Edges& edges) const {
  enum class Mark : uint8_t { kNew, kOnPath, kDone };
  struct Place {
    Node node;
    size_t next = 0;  // edge to be walked next
  };
  std::vector<Mark> marks(edges.size(), Mark::kNew);
  std::vector<Place> path;
  for (Node first = 0; first < edges.size(); ++first) {
    if (marks[first] != Mark::kNew) continue;
    path.push_back({first});
    marks[first] = Mark::kOnPath;
    while (!path.empty()) {
      Place& place = path.back();
      if (place.next == edges[place.node].size()) {
        marks[place.node] = Mark::kDone;
        path.pop_back();
        continue;
      }
      Node to = edges[place.node][place.next++].to;
      if (marks[to] == Mark::kNew) {
        marks[to] = Mark::kOnPath;
        path.push_back({to});
      } else if (marks[to] == Mark::kOnPath) {
        auto start = std::ranges::find(path, to, &Place::node);
        std::string told = "cycle: ";
        for (auto at = start; at != path.end(); ++at) {
          const Edge& edge = edges[at->node][at->next - 1];
          told += names_[at->node] + " -" + edge.kind + (edge.key == nullptr ? "" : " " + *edge.key) + "-> ";
        }
        return told + names_[to];
      }
    }
  }
  return {};
}

}  // namespace odb::simulation
