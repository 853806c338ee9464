/// Every message of the protocol, defined once: encoding, decoding, the documentation's table and the state tables
/// all come from the `each` functions below.
///
///   message = its fields one after the other
///   integers and ids: varint    bool: one byte    text, bytes: varint length, then bytes    list: varint count, items
///
/// A frame (frame.h) carries one message. A connection speaks Hello, Auth, then anything (connection states in
/// states.h). `through` (D21) is a promise: everything up to that transaction in what this client covers was sent
/// earlier on this channel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/types/definition.h"

namespace odb {

enum class MessageKind : uint8_t {
  // client to server
  kHello = 1,
  kAuth = 2,
  kDefineSchema = 3,
  kSubscribe = 4,
  kCommitPart = 5,
  kCommitEnd = 6,
  kAcknowledge = 7,
  kFlush = 8,
  kResume = 9,
  kHeartbeat = 10,
  kGoodbye = 11,
  kListTypes = 12,
  // server to client
  kServerHello = 65,
  kServerAuth = 66,
  kWelcome = 67,
  kSchemaMapping = 68,
  kSection = 69,
  kPiece = 70,
  kComplete = 71,
  kCommitResult = 72,
  kFlushed = 73,
  kIdentityBlock = 74,
  kServerHeartbeat = 75,
  kRefused = 76,
  kServerGoodbye = 77,
  kTypeList = 78,
};

// ---- client to server

/// First message of a connection: what the client can speak and how it will prove that it may.
struct Hello {
  static constexpr auto kKind = MessageKind::kHello;
  static constexpr auto kName = "Hello";
  uint32_t version_min = 0;
  uint32_t version_max = 0;
  std::string method;     ///< "SCRAM-SHA-256-PLUS", or "memory" within one process (D31)
  uint64_t resume_s = 0;  ///< seconds for which the session shall outlive its connection (D25)
  void each(auto&& f) {
    f("version_min", version_min), f("version_max", version_max), f("method", method), f("resume_s", resume_s);
  }
};

/// One step of the authentication method.
struct Auth {
  static constexpr auto kKind = MessageKind::kAuth;
  static constexpr auto kName = "Auth";
  Bytes payload;
  void each(auto&& f) { f("payload", payload); }
};

/// What the client's program says about one schema. Answered by SchemaMapping or Refused.
struct DefineSchema {
  static constexpr auto kKind = MessageKind::kDefineSchema;
  static constexpr auto kName = "DefineSchema";
  RequestId request;
  SchemaDefinition definition;
  void each(auto&& f) { f("request", request), f("definition", definition); }
};

enum class Scope : uint8_t {
  kNone = 0,      ///< works with the type, wants nothing of it: sees its own creations only
  kType = 1,      ///< every object of the type
  kIndexKey = 2,  ///< the objects with an index key; one that once had it stays covered when it loses it
  kObjects = 3,   ///< these objects
};

/// Wants to know of a type from now on. Answered by Piece* and Complete, or by Refused.
struct Subscribe {
  static constexpr auto kKind = MessageKind::kSubscribe;
  static constexpr auto kName = "Subscribe";
  RequestId request;
  TypeId type;
  Scope scope = Scope::kType;
  IndexId index = {};                  ///< kIndexKey: which one, else 0
  BytesView values = {};               ///< kIndexKey: a V value for each field of the index, else empty
  std::vector<ObjectId> objects = {};  ///< kObjects: which ones, else empty
  void each(auto&& f) {
    f("request", request), f("type", type), f("scope", scope), f("index", index), f("values", values),
        f("objects", objects);
  }
};

/// A part of a transaction, before its CommitEnd.
struct CommitPart {
  static constexpr auto kKind = MessageKind::kCommitPart;
  static constexpr auto kName = "CommitPart";
  CommitSeq seq;
  BytesView records;  ///< codec/record.h
  BytesView reads;    ///< view/read_set.h
  void each(auto&& f) { f("seq", seq), f("records", records), f("reads", reads); }
};

/// The transaction is whole: check and carry it out. Answered by CommitResult.
struct CommitEnd {
  static constexpr auto kKind = MessageKind::kCommitEnd;
  static constexpr auto kName = "CommitEnd";
  CommitSeq seq;        ///< one more than the session's last one (D25)
  TransactionId as_of;  ///< the version that was read
  bool no_log = false;
  void each(auto&& f) { f("seq", seq), f("as_of", as_of), f("no_log", no_log); }
};

/// Results up to this one have arrived: the server may forget them (D25).
struct Acknowledge {
  static constexpr auto kKind = MessageKind::kAcknowledge;
  static constexpr auto kName = "Acknowledge";
  CommitSeq seq;
  void each(auto&& f) { f("seq", seq); }
};

/// Answered by Flushed, behind everything that was committed before.
struct Flush {
  static constexpr auto kKind = MessageKind::kFlush;
  static constexpr auto kName = "Flush";
  RequestId request;
  void each(auto&& f) { f("request", request); }
};

/// Continue a session whose connection was lost (D25).
struct Resume {
  static constexpr auto kKind = MessageKind::kResume;
  static constexpr auto kName = "Resume";
  Bytes session;
  Bytes history;
  TransactionId from;
  void each(auto&& f) { f("session", session), f("history", history), f("from", from); }
};

struct Heartbeat {
  static constexpr auto kKind = MessageKind::kHeartbeat;
  static constexpr auto kName = "Heartbeat";
  void each(auto&&) {}
};

/// The client leaves on purpose: its session ends now (D25).
struct Goodbye {
  static constexpr auto kKind = MessageKind::kGoodbye;
  static constexpr auto kName = "Goodbye";
  void each(auto&&) {}
};

/// What does the catalogue hold? For tools; a program defines its schemas. Answered by TypeList.
struct ListTypes {
  static constexpr auto kKind = MessageKind::kListTypes;
  static constexpr auto kName = "ListTypes";
  RequestId request;
  TypeId after;  ///< types with greater numbers; 0: from the first one
  void each(auto&& f) { f("request", request), f("after", after); }
};

// ---- server to client

/// The version that both will speak, and the limits to keep.
struct ServerHello {
  static constexpr auto kKind = MessageKind::kServerHello;
  static constexpr auto kName = "ServerHello";
  uint32_t version = 0;
  uint64_t frame_bytes_max = 0;
  void each(auto&& f) { f("version", version), f("frame_bytes_max", frame_bytes_max); }
};

struct ServerAuth {
  static constexpr auto kKind = MessageKind::kServerAuth;
  static constexpr auto kName = "ServerAuth";
  Bytes payload;
  void each(auto&& f) { f("payload", payload); }
};

/// The client is in.
struct Welcome {
  static constexpr auto kKind = MessageKind::kWelcome;
  static constexpr auto kName = "Welcome";
  Bytes session;              ///< 16 bytes, for Resume
  Bytes history;              ///< 16 bytes: tids of another history mean nothing here (D12)
  TransactionId tid;          ///< the last transaction so far
  ObjectId connection;        ///< identity of this connection's core.Connection object
  ObjectId identities_begin;  ///< the client's first block of identities (D28)
  uint64_t heartbeat_us = 0;  ///< how often either side shows that it lives (D26)
  void each(auto&& f) {
    f("session", session), f("history", history), f("tid", tid), f("connection", connection),
        f("identities_begin", identities_begin), f("heartbeat_us", heartbeat_us);
  }
};

struct MappedField {
  std::string name;
  std::string type;  ///< descriptor text
  Bytes default_value;
  void each(auto&& f) { f("name", name), f("type", type), f("default_value", default_value); }
};

struct MappedIndex {
  std::string name;
  std::vector<FieldId> fields;
  bool is_unique = false;
  void each(auto&& f) { f("name", name), f("fields", fields), f("is_unique", is_unique); }
};

/// One type as the catalogue has it, fields and indexes in the order of their numbers.
struct MappedType {
  TypeId id;
  std::string schema;
  std::string name;
  std::vector<MappedField> fields;
  std::vector<MappedIndex> indexes;
  void each(auto&& f) { f("id", id), f("schema", schema), f("name", name), f("fields", fields), f("indexes", indexes); }
};

/// The schema's types, and the types its references name (of other schemas perhaps without fields yet).
struct SchemaMapping {
  static constexpr auto kKind = MessageKind::kSchemaMapping;
  static constexpr auto kName = "SchemaMapping";
  RequestId request;
  TransactionId through;  ///< from here on keys of its indexes are recorded: older versions cannot be judged by them
  std::vector<MappedType> types;
  void each(auto&& f) { f("request", request), f("through", through), f("types", types); }
};

/// What a transaction did, as far as this client covers it. All sections of a tid are one step of the client.
struct Section {
  static constexpr auto kKind = MessageKind::kSection;
  static constexpr auto kName = "Section";
  TransactionId tid;
  bool is_last = true;
  BytesView records;
  void each(auto&& f) { f("tid", tid), f("is_last", is_last), f("records", records); }
};

/// A part of a subscription's stream: whole rows.
struct Piece {
  static constexpr auto kKind = MessageKind::kPiece;
  static constexpr auto kName = "Piece";
  RequestId request;
  BytesView records;
  void each(auto&& f) { f("request", request), f("records", records); }
};

/// The subscription is whole; with what was announced meanwhile it is the state at `through`.
struct Complete {
  static constexpr auto kKind = MessageKind::kComplete;
  static constexpr auto kName = "Complete";
  RequestId request;
  TransactionId through;
  void each(auto&& f) { f("request", request), f("through", through); }
};

enum class Outcome : uint8_t {
  kAccepted = 0,
  kConflict = 1,         ///< a read key was written after as_of
  kTooOld = 2,           ///< as_of lies before what the server remembers (C2)
  kNoSuchObject = 3,     ///< a written object does not exist
  kServerError = 4,      ///< the store refused
  kUniqueViolation = 5,  ///< another object has a value that may be there once (D15)
  kTooLarge = 6,         ///< over a limit of the server
};

enum class KeyKind : uint8_t { kNone = 0, kField = 1, kExistence = 2, kIndexKey = 3, kTypeSet = 4 };

/// What became of a commit; for a refused one the key that decided.
struct CommitResult {
  static constexpr auto kKind = MessageKind::kCommitResult;
  static constexpr auto kName = "CommitResult";
  CommitSeq seq;
  Outcome outcome = Outcome::kAccepted;
  TransactionId tid;  ///< of this commit when accepted
  TransactionId through;
  KeyKind key_kind = KeyKind::kNone;
  TypeId type;
  ObjectId object;           ///< field, existence: the object; unique violation: the one that has the value
  uint32_t number = 0;       ///< field: its number; index key: the index's
  Bytes key;                 ///< index key: its beginning
  TransactionId written_at;  ///< the transaction that wrote the key
  ObjectId won_by;           ///< connection that committed it; 0: not known any more
  std::string message;       ///< server error, unique violation
  void each(auto&& f) {
    f("seq", seq), f("outcome", outcome), f("tid", tid), f("through", through), f("key_kind", key_kind),
        f("type", type), f("object", object), f("number", number), f("key", key), f("written_at", written_at),
        f("won_by", won_by), f("message", message);
  }
};

struct Flushed {
  static constexpr auto kKind = MessageKind::kFlushed;
  static constexpr auto kName = "Flushed";
  RequestId request;
  TransactionId through;
  void each(auto&& f) { f("request", request), f("through", through); }
};

/// A further block of identities, sent when half of the present one is used (D28).
struct IdentityBlock {
  static constexpr auto kKind = MessageKind::kIdentityBlock;
  static constexpr auto kName = "IdentityBlock";
  ObjectId identities_begin;
  void each(auto&& f) { f("identities_begin", identities_begin); }
};

struct ServerHeartbeat {
  static constexpr auto kKind = MessageKind::kServerHeartbeat;
  static constexpr auto kName = "ServerHeartbeat";
  TransactionId through;
  void each(auto&& f) { f("through", through); }
};

enum class Refusal : uint8_t {
  kSchemaMismatch = 1,
  kUnknownType = 2,
  kUnknownSession = 3,
  kTooLarge = 4,
};

/// A request that cannot be fulfilled; the connection goes on.
struct Refused {
  static constexpr auto kKind = MessageKind::kRefused;
  static constexpr auto kName = "Refused";
  RequestId request;  ///< 0: a Resume
  Refusal refusal = Refusal::kUnknownType;
  std::string message;
  void each(auto&& f) { f("request", request), f("refusal", refusal), f("message", message); }
};

enum class Farewell : uint8_t {
  kStopping = 1,  ///< the server stops
  kProtocol = 2,  ///< this client sent something that is not allowed
  kAuthentication = 3,
  kVersion = 4,  ///< no common version
  kSilent = 5,   ///< nothing was heard of this client
  kTooSlow = 6,  ///< more waits for this client than the server keeps (D24)
  kServer = 7,
};

/// The server closes this connection, and why.
struct ServerGoodbye {
  static constexpr auto kKind = MessageKind::kServerGoodbye;
  static constexpr auto kName = "ServerGoodbye";
  Farewell farewell = Farewell::kStopping;
  std::string reason;
  void each(auto&& f) { f("farewell", farewell), f("reason", reason); }
};

/// Types in the order of their numbers, as many as fit into about limits::kPieceBytes, and one at least.
struct TypeList {
  static constexpr auto kKind = MessageKind::kTypeList;
  static constexpr auto kName = "TypeList";
  RequestId request;
  bool is_last = true;
  std::vector<MappedType> types;
  void each(auto&& f) { f("request", request), f("is_last", is_last), f("types", types); }
};

/// Calls f.template operator()<M>() for every message type, in the order of their numbers.
void for_each_message(auto&& f) {
  f.template operator()<Hello>(), f.template operator()<Auth>(), f.template operator()<DefineSchema>();
  f.template operator()<Subscribe>(), f.template operator()<CommitPart>(), f.template operator()<CommitEnd>();
  f.template operator()<Acknowledge>(), f.template operator()<Flush>(), f.template operator()<Resume>();
  f.template operator()<Heartbeat>(), f.template operator()<Goodbye>(), f.template operator()<ListTypes>();
  f.template operator()<ServerHello>(), f.template operator()<ServerAuth>(), f.template operator()<Welcome>();
  f.template operator()<SchemaMapping>(), f.template operator()<Section>(), f.template operator()<Piece>();
  f.template operator()<Complete>(), f.template operator()<CommitResult>(), f.template operator()<Flushed>();
  f.template operator()<IdentityBlock>(), f.template operator()<ServerHeartbeat>();
  f.template operator()<Refused>(), f.template operator()<ServerGoodbye>(), f.template operator()<TypeList>();
}

}  // namespace odb
