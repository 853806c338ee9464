/// The objects of one type by identity: a radix tree with nodes of 64 that never move (D28).
///
/// object id -> chain of rows. Six bits of the id a level; the leaves are the pages of the store, and identities come
/// in runs of 64 per type, so pages are dense. Iteration is in ascending identity, as lookupAll promises.
/// Thread safety: one writer; readers of pinned steps take no lock (loads with acquire, unlinked nodes go to limbo).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/base/ids.h"
#include "core/store/limbo.h"
#include "core/store/row.h"

namespace odb {

class ObjectTree {
 public:
  ObjectTree() = default;
  ObjectTree(const ObjectTree&) = delete;
  ObjectTree& operator=(const ObjectTree&) = delete;
  ~ObjectTree();

  /// Of the nodes that are linked in.
  size_t bytes() const { return node_count_ * kNodeBytes; }
  /// What linking a row of this object would add to bytes(), but for nodes above its page.
  size_t page_bytes_missing(ObjectId object) const {
    const Node* node = root_.load(std::memory_order_relaxed);
    auto key = static_cast<uint64_t>(object.value);
    if (node == nullptr || key >> 6 >> (6 * node->height) != 0) return kNodeBytes;
    for (int level = node->height; level > 0; --level) {
      node = static_cast<const Node*>(node->children[key >> (6 * level) & 63].load(std::memory_order_relaxed));
      if (node == nullptr) return kNodeBytes;
    }
    return 0;
  }

  /// Newest row of an object, or nullptr.
  Row* head(ObjectId object) const {
    const Node* node = root_.load(std::memory_order_acquire);
    auto key = static_cast<uint64_t>(object.value);
    if (node == nullptr || key >> 6 >> (6 * node->height) != 0) return nullptr;
    for (int level = node->height; level > 0; --level) {
      node = static_cast<const Node*>(node->children[key >> (6 * level) & 63].load(std::memory_order_acquire));
      if (node == nullptr) return nullptr;
    }
    return static_cast<Row*>(node->children[key & 63].load(std::memory_order_acquire));
  }

  /// Calls f(object, head row) in ascending identity until it returns false.
  template <class F>
  void for_each(F&& f) const {
    const Node* root = root_.load(std::memory_order_acquire);
    if (root != nullptr) visit(*root, 0, 0, f);
  }
  /// The same, from the first object with identity >= `from`.
  template <class F>
  void for_each_from(ObjectId from, F&& f) const {
    const Node* root = root_.load(std::memory_order_acquire);
    auto key = static_cast<uint64_t>(from.value);
    if (root != nullptr && key >> 6 >> (6 * root->height) == 0) visit(*root, 0, key, f);
  }

  /// Writer: links a row as the newest; its `older` is set to the present head.
  void push(ObjectId object, Row* row);
  /// Writer: replaces the head without keeping it in the chain.
  void replace(ObjectId object, Row* row);
  /// Writer, and only while nobody reads: gives every (object, head row) away in ascending identity and is empty.
  template <class F>
  void take_all(F&& f) {
    Node* root = root_.exchange(nullptr, std::memory_order_relaxed);
    if (root != nullptr) give_all(root, 0, f);
    node_count_ = 0;
  }
  /// Writer: forgets an object; its rows are the caller's, emptied nodes go to limbo.
  void remove(ObjectId object, Limbo& limbo);

 private:
  struct Node {
    explicit Node(int height_) : height(static_cast<uint8_t>(height_)) {}
    std::array<std::atomic<void*>, 64> children{};  // of height 0: Row, else Node of the next lower height
    const uint8_t height;
    uint8_t used = 0;  // writer only: children that are not nullptr
  };

  static constexpr size_t kNodeBytes = allocated_bytes(sizeof(Node));

  template <class F>
  static bool visit(const Node& node, uint64_t prefix, uint64_t from, F& f) {
    uint64_t span = uint64_t{1} << (6 * node.height);  // ids below one child
    uint64_t first = from > prefix ? (from - prefix) / span : 0;
    for (uint64_t i = first; i < 64; ++i) {
      void* child = node.children[i].load(std::memory_order_acquire);
      if (child == nullptr) continue;
      uint64_t key = prefix + i * span;
      if (node.height == 0) {
        if (!f(ObjectId{static_cast<int64_t>(key)}, static_cast<Row*>(child))) return false;
      } else if (!visit(*static_cast<Node*>(child), key, from, f)) {
        return false;
      }
    }
    return true;
  }

  std::atomic<void*>& slot(ObjectId object);
  Node* new_node(int height) {
    ++node_count_;
    return new Node(height);
  }
  static void free_node(void* node) { delete static_cast<Node*>(node); }
  /// Frees a node as soon as its rows are given: the tree they go to can have its memory.
  template <class F>
  static void give_all(Node* node, uint64_t prefix, F& f) {
    uint64_t span = uint64_t{1} << (6 * node->height);
    for (uint64_t i = 0; i < 64; ++i) {
      void* child = node->children[i].load(std::memory_order_relaxed);
      if (child == nullptr) continue;
      if (node->height == 0) {
        f(ObjectId{static_cast<int64_t>(prefix + i)}, static_cast<Row*>(child));
      } else {
        give_all(static_cast<Node*>(child), prefix + i * span, f);
      }
    }
    delete node;
  }

  std::atomic<Node*> root_{nullptr};
  size_t node_count_ = 0;  // writer only
};

}  // namespace odb
