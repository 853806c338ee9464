/// The rows of a store for whoever reads or writes them without a server: the tools.
///
/// A store keeps a row as `varint:n (value | 00)*n` (durable.h), which says nothing without the catalogue that is kept beside
/// it. What is read here is checked like what a server loads, and catalogues more strictly: people may have written them.
/// Thread safety: const members may be used by many threads.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/types/definition.h"

namespace odb {

class StoredTypes {
 public:
  /// Of the fact "catalogue". kProtocol when it is damaged, or says what no program can have defined.
  static Result<StoredTypes> of(BytesView catalogue);

  const std::vector<TypeLayout>& all() const { return types_; }
  /// nullptr for a number that no type has.
  const TypeLayout* find(TypeId type) const {
    return type.value == 0 || type.value > types_.size() ? nullptr : &types_[type.value - 1];
  }

 private:
  std::vector<TypeLayout> types_;  // type number - 1 -> layout
};

/// The values of a row by field number, views into it; empty: absent. kProtocol when it is no row of that type.
Status read_row(const TypeLayout& type, BytesView row, std::vector<BytesView>& values);
/// The row of these values, field 0 first; empty: absent.
Bytes row_of(std::span<const Bytes> values);
/// The key that an object with these values has in an index; none where a value is None, which clashes with nobody (D15).
std::optional<Bytes> key_of(const TypeLayout& type, const IndexLayout& index, std::span<const BytesView> values);

}  // namespace odb
