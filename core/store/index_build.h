/// An index in the making, of a type that has objects already (D17).
///
/// Objects are taken in turn by turn, ascending by identity, while commits go on. What lies below the next one to take
/// is in the index and follows every write; what lies above is taken as it is by then:
///
///   objects   1  2  3  5 | 8  9  12        next = 8: a write to 5 moves its entry, a write to 9 changes nothing here
///
/// No reader knows of it, so it holds what is so now, and no steps. Store::define() makes it an index of the type as soon as a layout asks for it.
/// Thread safety: none; it belongs to the store's writer.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/store/key_index.h"
#include "core/store/row.h"
#include "core/types/definition.h"

namespace odb {

class IndexBuild {
 public:
  /// What a key is made of. The field may be one that the type will only get with the index: a client's rows can have
  /// values of it all the same, from programs that know it.
  struct Part {
    FieldId field;
    Bytes default_value;
    friend bool operator==(const Part&, const Part&) = default;
  };
  using Parts = std::vector<Part>;

  static Parts parts_of(const TypeLayout& wanted, const IndexLayout& index);

  IndexBuild(Parts parts, bool is_unique) : parts_(std::move(parts)), is_unique_(is_unique) {}

  const Parts& parts() const { return parts_; }
  bool is_unique() const { return is_unique_; }
  bool is_whole() const { return is_whole_; }
  bool holds(ObjectId object) const { return is_whole_ || object < next_; }
  const KeyIndex& index() const { return *index_; }
  void append_key(Bytes& out, const Row& row) const;

  /// D15: two objects that have one key now, with none of its values None. REQUIRES: no step is begun.
  /// O(keys that were given to a second object since the last call).
  std::optional<std::pair<ObjectId, ObjectId>> clash();

  bool is_wanted = true;  ///< the maker's mark: somebody still waits for it

 private:
  friend class Store;

  static BytesView value_of(const Part& part, const Row& row);
  bool has_none(const Row& row) const;
  void insert(const Row& row, BytesView key, ObjectId object);
  void erase(BytesView key, ObjectId object) { index_->erase(key, object, at_once_); }

  const Parts parts_;
  const bool is_unique_;
  std::unique_ptr<KeyIndex> index_ = std::make_unique<KeyIndex>();
  Limbo at_once_{true};
  ObjectId next_;
  size_t taken_ = 0;  // objects that were taken in
  bool is_whole_ = false;
  std::vector<Bytes> suspects_;  // keys that were given to a second object: within a step that may pass
};

}  // namespace odb
