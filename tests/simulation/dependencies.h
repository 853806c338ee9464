/// Whether transactions could have run one after the other: the graph of who depends on whom, and a search for cycles.
///
/// The transactions that wrote a key made its versions, one after the other; the start made the first. Who read a
/// version comes
///   wr   after the one that made it,
///   rw   before the one that made the next;
///   ww   the makers of two versions come in the order of the versions;
///   so   what was confirmed comes before what its session began afterwards.
/// An order with all of that exists if and only if the graph has no cycle (Adya: G0 is a cycle of ww alone, G1c one of
/// ww and wr, lost update, write skew and long fork are cycles with rw). A view is a transaction that writes nothing.
///
/// It knows nothing of the engine: keys are bytes, and sets that were looked up are keys as well.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace odb::simulation {

class DependencyGraph {
 public:
  using Node = size_t;
  static constexpr Node kStart = 0;

  DependencyGraph() : names_{"the start"} {}

  /// A transaction, a view, or a moment of a session.
  Node add(std::string name);
  /// The writer made the newest version of the key. Once for each key.
  void wrote(Node writer, const Bytes& key) { versions_[key].push_back(writer); }
  /// The reader saw the version that `writer` made.
  void read(Node reader, const Bytes& key, Node writer) { reads_.push_back({reader, key, writer}); }
  void session_order(Node before, Node after) { session_orders_.emplace_back(before, after); }

  /// What is wrong, told as a cycle or as a version that never was; empty when nothing is.
  std::string find_anomaly() const;

 private:
  struct Read {
    Node reader;
    Bytes key;
    Node writer;
  };
  struct Edge {
    Node to;
    const char* kind;
    const Bytes* key;  // nullptr: session order
  };
  using Edges = std::vector<std::vector<Edge>>;  // node -> what comes after it

  std::string add_reads(Edges& edges) const;
  std::string find_cycle(const Edges& edges) const;

  std::vector<std::string> names_;
  std::map<Bytes, std::vector<Node>> versions_;  // key -> who made its versions, oldest first
  std::vector<Read> reads_;
  std::vector<std::pair<Node, Node>> session_orders_;
};

}  // namespace odb::simulation
