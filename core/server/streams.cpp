// Subscriptions, from their acceptance to Complete: whole rows in pieces, while commits go on (D22).

#include "core/server/server_core.h"

namespace odb {

void ServerCore::on(Connection& c, const Subscribe& subscribe) {
  const Table* table = store_.table(subscribe.type);
  if (table == nullptr)
    return refuse(c, subscribe.request, Refusal::kUnknownType,
                  "there is no type " + std::to_string(subscribe.type.value) + " on this server");
  if (c.streams.size() >= limits::kRequestsWaitingMax)
    return refuse(c, subscribe.request, Refusal::kTooLarge,
                  "more than " + std::to_string(limits::kRequestsWaitingMax) + " subscriptions wait to be carried out");
  bool has_key = subscribe.index.value > 0 || !subscribe.values.empty();
  if ((has_key && subscribe.scope != Scope::kIndexKey) ||
      (!subscribe.objects.empty() && subscribe.scope != Scope::kObjects))
    return say_goodbye(c, Farewell::kProtocol, "a subscription with something that is none of its scope's");
  Stream stream{subscribe.request, subscribe.type, subscribe.scope};
  if (subscribe.scope == Scope::kIndexKey) {
    stream.index = subscribe.index;
    Status status = table->key_of_values(subscribe.index, subscribe.values, stream.key);
    if (!status.is_ok()) return say_goodbye(c, Farewell::kProtocol, status.message());
  }
  stream.objects = subscribe.objects;
  for (ObjectId object : stream.objects) {
    if (object.value <= 0) return say_goodbye(c, Farewell::kProtocol, "a subscription to an object that is none");
  }
  if (c.covered_bytes + bytes_of(stream) > options_.covered_bytes_max)
    return refuse(c, subscribe.request, Refusal::kTooLarge,
                  "this connection is subscribed to more keys and objects than the server keeps for one (" +
                      std::to_string(options_.covered_bytes_max >> 20) +
                      " MiB of them); subscribe to the type instead");
  const Covered& covered = c.covered[subscribe.type];
  bool is_covered =
      covered.is_whole || (stream.scope == Scope::kIndexKey && covered.keys.contains({stream.index, stream.key}));
  if (is_covered) stream.scope = Scope::kNone;  // but a second subscription may have to wait for the first one's stream
  switch (stream.scope) {                       // D22: in the audience from acceptance
    case Scope::kNone: break;
    case Scope::kType: cover_type(c, stream.type); break;
    case Scope::kIndexKey: cover_key(c, stream); break;
    case Scope::kObjects: break;  // each one is, as soon as its row is sent
  }
  if (stream.scope == Scope::kNone && c.streams.empty()) return send(c, Complete{subscribe.request, last_tid()});
  open_stream(c, std::move(stream));
}

// ---- streams

/// What a subscription asks to be kept, beside its rows.
size_t ServerCore::bytes_of(const Stream& stream) {
  return (stream.scope == Scope::kIndexKey ? kCoveredItemBytes + stream.key.size() : 0) +
         stream.objects.size() * kCoveredItemBytes;
}

void ServerCore::open_stream(Connection& c, Stream stream) {
  c.covered_bytes += bytes_of(stream);
  c.streams.push_back(std::move(stream));
  ++streams_open_;
}

/// One round: a piece for every connection that waits for some.
bool ServerCore::stream() {
  if (streams_open_ == 0) return false;
  bool has_more = false;
  for (auto& [id, c] : connections_) has_more |= stream_piece(*c);
  return has_more;
}

/// D22: one piece of the first unfinished subscription, unless the client has enough to read already.
bool ServerCore::stream_piece(Connection& c) {
  if (c.streams.empty() || c.state != ServerState::kReady || unsent_bytes(c) >= limits::kOutboxBytesHigh) return false;
  Stream& stream = c.streams.front();
  Bytes& piece = gathered_;
  piece.clear();
  bool is_done = fill_piece(c, stream, piece);
  if (!piece.empty()) send(c, Piece{stream.request, piece});
  if (is_done) end_stream(c);
  return !c.streams.empty();
}

/// Whole rows up to about limits::kPieceBytes; true when these were the last ones.
bool ServerCore::fill_piece(Connection& c, Stream& stream, Bytes& piece) {
  const Table& table = *store_.table(stream.type);
  auto put = [&](ObjectId object, const Row& row) { put_row_record(piece, Op::kWhole, stream.type, object, row); };
  auto is_full_before = [&](ObjectId object) {
    if (piece.size() < limits::kPieceBytes) return false;
    stream.next = object;
    return true;
  };
  bool is_done = true;
  switch (stream.scope) {
    case Scope::kNone: break;
    case Scope::kType:
      table.for_each(
          kNever,
          [&](ObjectId object, const Row& row) {
            if (is_full_before(object)) return is_done = false;
            if (!covers(c, stream.type, object)) put(object, row);
            return true;
          },
          stream.next);
      break;
    case Scope::kIndexKey:
      table.for_each_in(
          stream.index, stream.key, kLatest,
          [&](ObjectId object) {
            if (is_full_before(object)) return is_done = false;
            if (covers(c, stream.type, object)) return true;
            cover_object(c, stream.type, object);
            put(object, *table.find(object, kNever));
            return true;
          },
          stream.next);
      break;
    case Scope::kObjects:
      for (; stream.next_object < stream.objects.size(); ++stream.next_object) {
        if (piece.size() >= limits::kPieceBytes) return false;
        ObjectId object = stream.objects[stream.next_object];
        if (covers(c, stream.type, object)) continue;
        cover_object(c, stream.type, object);
        if (const Row* row = table.find(object, kNever)) put(object, *row);
      }
      break;
  }
  return is_done;
}

void ServerCore::end_stream(Connection& c) {
  Stream& stream = c.streams.front();
  if (stream.scope == Scope::kType) {  // what was covered in part is so as part of the whole now
    Covered& covered = c.covered.at(stream.type);
    covered.is_streaming = false;
    forget_keys(c, stream.type, covered);
    forget_objects(c, stream.type, covered);
  }
  send(c, Complete{stream.request, last_tid()});
  c.covered_bytes -= bytes_of(stream);
  c.streams.pop_front();
  --streams_open_;
}

}  // namespace odb
