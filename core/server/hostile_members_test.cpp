/// Members that say whatever the protocol can carry, in any order: a connection may be closed over it, the server goes on
/// and keeps every invariant.
#include <boost/test/unit_test.hpp>

#include "core/server/server_testing.h"

namespace odb {
namespace {

using namespace odb::testing;

/// Messages that mostly mean something: of a few types, objects and values, so that they meet each other.
class Member {
 public:
  Member(ServerFixture& server, Random& random) : server_(server), random_(random) { join(); }

  void say_something() {
    if (server_.core.is_closing(id_)) {
      server_.core.disconnected(id_);
      return join();
    }
    switch (below(random_, 16)) {
      case 0: return define();
      case 1: return server_.say(id_, Flush{RequestId{1}});
      case 2: return server_.say(id_, Resume{Bytes(16, 's'), Bytes(16, 'h'), TransactionId{1}});
      case 3:
        if (below(random_, 8) != 0) return;
        server_.core.disconnected(id_);
        return join();
      case 4:
      case 5:
      case 6:
      case 7: return subscribe();
      default: return commit();
    }
  }

 private:
  void join() {
    id_ = server_.join();
    seq_ = 0;
  }
  TypeId type() { return TypeId{static_cast<uint32_t>(below(random_, 100) == 0 ? 99 : 1 + below(random_, 4))}; }
  /// Mostly one that may exist, of this type; core.Connection objects are in block 0.
  ObjectId object(TypeId of) {
    if (below(random_, 100) == 0) return ObjectId{below(random_, 2) - 1};
    if (below(random_, 6) == 0) of = type();
    auto last = static_cast<int64_t>(server_.last_id);
    if (below(random_, 8) == 0) return ObjectId{1 + below(random_, last)};
    return own(of, std::max<int64_t>(1, last - below(random_, 5)));
  }
  ObjectId own(TypeId of, int64_t block) {
    return ObjectId{block * kBlock + 64 * static_cast<int64_t>(of.value) + below(random_, 4)};
  }
  Bytes value() {
    switch (below(random_, 30)) {
      case 0: return {};
      case 1: return Bytes("\xff\x01");
      default: return below(random_, 4) == 0 ? str_value("s") : int_value(below(random_, 3));
    }
  }
  void define() {
    auto pick = [&](auto... names) {
      return std::array{names...}[static_cast<size_t>(below(random_, sizeof...(names)))];
    };
    TypeDefinition thing{pick("Item", "Thing", "Connection"), {}, {}};
    thing.fields.push_back({pick("shelf", "heartbeats_suspended"), pick("int", "bool", "ref(shop.Thing)"), {}});
    if (below(random_, 2) == 0) thing.fields.push_back({"friend", pick("ref(core.Connection)", "oneof(none,int)"), {}});
    if (below(random_, 2) == 0)
      thing.indexes.push_back({pick("shelf", "other"), {thing.fields.back().name}, below(random_, 2) == 0});
    server_.say(id_, DefineSchema{RequestId{1}, {pick("shop", "core"), {thing}}});
  }
  void subscribe() {
    Bytes values = value();
    Subscribe wanted{RequestId{1}, type(), static_cast<Scope>(below(random_, 4))};
    if (wanted.scope == Scope::kIndexKey) {
      wanted.index = IndexId{static_cast<uint32_t>(below(random_, 3))};
      wanted.values = values;
    }
    if (wanted.scope == Scope::kObjects) {
      for (int64_t i = below(random_, 4); i > 0; --i) wanted.objects.push_back(object(wanted.type));
    }
    server_.say(id_, wanted);
  }
  void commit() {
    Bytes records, reads;
    for (int64_t i = below(random_, 4) == 0 ? 2 : 1; i > 0; --i) {
      auto op = static_cast<Op>(1 + below(random_, below(random_, 60) == 0 ? 4 : 3));
      TypeId of = type();
      bool is_own = op == Op::kCreate && below(random_, 20) != 0;
      put_record_head(records, op, of, is_own ? own(of, static_cast<int64_t>(id_.value)) : object(of));
      if (op == Op::kDelete) continue;
      const Table* table = server_.core.store().table(of);
      size_t fields = table == nullptr ? 1 : table->layout().fields.size();
      std::vector<std::pair<FieldId, Bytes>> written;
      for (uint32_t field = 0; field < fields; ++field) {
        if (op == Op::kUpdate && field + 1 < fields && below(random_, 2) == 0) continue;
        Bytes given = value();
        if (table != nullptr && !table->layout().fields[field].type.holds(given) && below(random_, 100) != 0)
          given = table->layout().fields[field].type.default_value();
        written.emplace_back(FieldId{field}, given);
      }
      put_varint(records, written.size());
      for (const auto& [field, given] : written) {
        if (op == Op::kUpdate) put_varint(records, field.value);
        records.append(given);
      }
    }
    ReadSet read;
    if (below(random_, 3) == 0) read.add_existence(TypeId{1}, own(TypeId{1}, static_cast<int64_t>(id_.value)));
    std::vector<Bytes> parts;
    read.encode(parts, SIZE_MAX);
    reads = joined(parts);
    CommitSeq seq{seq_ + (below(random_, 60) == 0 ? 2 : 1)};
    server_.say(id_, CommitPart{seq, records, reads});
    if (below(random_, 40) == 0) return;
    uint64_t last = server_.core.store().published().tid.value;
    server_.say(id_,
                CommitEnd{seq, TransactionId{last - static_cast<uint64_t>(below(random_, 4)) % (last + 1)}, false});
    ++seq_;
  }

  ServerFixture& server_;
  Random& random_;
  ConnectionId id_;
  uint64_t seq_ = 0;
};

BOOST_AUTO_TEST_SUITE(hostile_members)

BOOST_AUTO_TEST_CASE(whatever_members_say_the_server_goes_on) {
  uint64_t accepted = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      ServerFixture f;
      Random random(seed);
      f.join_shop();
      std::vector<Member> members;
      for (int i = 0; i < 4; ++i) members.emplace_back(f, random);
      for (int turn = 0; turn < 250; ++turn) {
        members[static_cast<size_t>(below(random, 4))].say_something();
        bool is_in_flight = below(random, 2) == 0 && f.core.start_group();
        if (is_in_flight) members[static_cast<size_t>(below(random, 4))].say_something();
        if (is_in_flight) f.core.finish_group(below(random, 8) != 0);
        if (below(random, 3) == 0) f.core.stream();
        f.collect();
      }
      f.run_groups();
      f.stream_all();
      BOOST_TEST(f.is_alive(f.join()));
      accepted += f.core.figures().commits_accepted;
    }
  }
  BOOST_TEST_MESSAGE(accepted << " commits");
  BOOST_TEST(accepted > 1000u);  // else it is no test of anything
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace odb
