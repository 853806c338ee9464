/// What a store gives back at a start: a catalogue, reservations, rows. Whatever it is, the server starts from it or
/// refuses it; what it takes it gives to a store again as the same bytes (P1).
#include <cstdint>

#include "core/base/check.h"
#include "core/server/server_core.h"

namespace odb {
namespace {

constexpr TypeId kThing{1};

SchemaDefinition things() {
  return {
      "fuzz",
      {{"Thing",
        {{"number", "int", {}}, {"name", "oneof(none,str)", {}}, {"next", "ref(fuzz.Thing)", {}}, {"x", "float", {}}},
        {{"number", {"number"}}, {"both", {"name", "next"}}}}}};
}

void try_catalogue(BytesView bytes) {
  Store store;
  Catalogue catalogue(store);
  if (catalogue.restore(bytes).is_ok()) ODB_CHECK(catalogue.encoded() == bytes);
}

void try_reservations(BytesView bytes) {
  std::optional<Reservations> found = decode_reservations(bytes);
  if (found) ODB_CHECK(encode(*found) == bytes);
}

void try_row(BytesView bytes) {
  static const Bytes catalogue = [] {
    Store store;
    Catalogue made(store);
    ODB_CHECK(made.define(things()).is_ok());
    return made.encoded();
  }();
  ServerCore core(ServerOptions{Bytes(16, 'h')});
  ODB_CHECK(core.restore({Bytes(16, 'h'), {}, {{"catalogue", catalogue}}}).is_ok());
  if (!core.load({{kThing, ObjectId{100}, Bytes(bytes)}}).is_ok()) return;
  core.loaded();
  core.check();
  Bytes again;
  put_row_values(again, *core.store().table(kThing)->find(ObjectId{100}, kLatest));
  ODB_CHECK(again == bytes);
}

}  // namespace
}  // namespace odb

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  odb::BytesView rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: odb::try_catalogue(rest); break;
    case 1: odb::try_reservations(rest); break;
    default: odb::try_row(rest); break;
  }
  return 0;
}
