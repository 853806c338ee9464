#include "core/store/object_tree.h"

#include "core/base/check.h"

namespace odb {

ObjectTree::~ObjectTree() {
  take_all([](ObjectId, Row* row) {
    while (row != nullptr) {
      Row* older = row->older.load(std::memory_order_relaxed);
      Row::destroy(row);
      row = older;
    }
  });
}

std::atomic<void*>& ObjectTree::slot(ObjectId object) {
  ODB_CHECK(object.value > 0, object.value);
  auto key = static_cast<uint64_t>(object.value);
  Node* node = root_.load(std::memory_order_relaxed);
  if (node == nullptr) {
    node = new_node(0);
    root_.store(node, std::memory_order_release);
  }
  while (key >> 6 >> (6 * node->height) != 0) {  // the tree grows at its root, so that readers below are not disturbed
    Node* taller = new_node(node->height + 1);
    taller->children[0].store(node, std::memory_order_relaxed);
    taller->used = 1;
    root_.store(taller, std::memory_order_release);
    node = taller;
  }
  for (int level = node->height; level > 0; --level) {
    std::atomic<void*>& child = node->children[key >> (6 * level) & 63];
    void* below = child.load(std::memory_order_relaxed);
    if (below == nullptr) {
      below = new_node(level - 1);
      child.store(below, std::memory_order_release);
      ++node->used;
    }
    node = static_cast<Node*>(below);
  }
  std::atomic<void*>& slot = node->children[key & 63];
  if (slot.load(std::memory_order_relaxed) == nullptr) ++node->used;  // the caller stores a row at once
  return slot;
}

void ObjectTree::push(ObjectId object, Row* row) {
  std::atomic<void*>& head = slot(object);
  row->older.store(static_cast<Row*>(head.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  head.store(row, std::memory_order_release);
}

void ObjectTree::replace(ObjectId object, Row* row) { slot(object).store(row, std::memory_order_release); }

void ObjectTree::remove(ObjectId object, Limbo& limbo) {
  auto key = static_cast<uint64_t>(object.value);
  Node* path[12];
  Node* node = root_.load(std::memory_order_relaxed);
  ODB_CHECK(node != nullptr && key >> 6 >> (6 * node->height) == 0, object.value);
  int height = node->height;
  for (int level = height; level >= 0; --level) {
    path[level] = node;
    if (level > 0) node = static_cast<Node*>(node->children[key >> (6 * level) & 63].load(std::memory_order_relaxed));
    ODB_CHECK(node != nullptr, object.value);
  }
  for (int level = 0; level <= height; ++level) {
    std::atomic<void*>& child = path[level]->children[key >> (6 * level) & 63];
    ODB_CHECK(child.load(std::memory_order_relaxed) != nullptr, object.value);
    child.store(nullptr, std::memory_order_release);
    if (--path[level]->used > 0) return;
    if (level == height) root_.store(nullptr, std::memory_order_release);
    --node_count_;
    limbo.add(path[level], free_node);
  }
}

}  // namespace odb
