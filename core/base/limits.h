/// Every limit of the system (D29). Lengths are checked against these before anything is allocated (P3).
#pragma once

#include <cstddef>
#include <cstdint>

namespace odb::limits {

inline constexpr size_t kFrameBytesMax = 16 << 20;                    // four times the largest frame of a bulk load
inline constexpr size_t kUnauthenticatedFrameBytesMax = 4 << 10;      // SCRAM's longest message is below 400 bytes
inline constexpr size_t kValueBytesMax = (64 << 20) + 16;             // a text of 64 MiB and its head
inline constexpr size_t kRowBytesMax = kValueBytesMax + (1 << 20);    // one large value and whatever stands beside it
inline constexpr size_t kCommitPartBytes = 1 << 20;                   // a commit travels in parts of about this size
inline constexpr size_t kCommitPieceBytesMax = 2 * kCommitPartBytes;  // of one that is larger: a moment to take in
inline constexpr size_t kRecordsPartBytesMax =
    kRowBytesMax + kCommitPartBytes + (64 << 10);  // up to a part, then a row
inline constexpr size_t kMessageBytesMax = kRecordsPartBytesMax + (64 << 10);
inline constexpr size_t kPieceBytes = 64 << 10;  // one turn of a subscription's stream
inline constexpr size_t kTurnBytes = 64 << 10;   // what one connection may feed the engine in a turn
inline constexpr size_t kTransactionBytesMax = 256 << 20;
inline constexpr size_t kTransactionWritesMax = 2'000'000;
inline constexpr size_t kGroupBytesMax = 1 << 20;       // a group of commits is full at this, or at its first large one
inline constexpr size_t kGroupCommitsMax = 1024;        // likewise; for a store everything that waits is one write
inline constexpr size_t kUploadsBytesMax = 512 << 20;   // large commits of all connections that are not decided
inline constexpr size_t kOutboxBytesHigh = 1 << 20;     // streams wait above this; announcements do not
inline constexpr size_t kOutboxBytesMax = 256 << 20;    // a client this far behind is closed with a reason
inline constexpr size_t kOutboxesBytesMax = 1 << 30;    // of all clients together; then the one furthest behind is
inline constexpr size_t kRequestsWaitingMax = 65'536;   // subscriptions of a connection, and flushes, not answered yet
inline constexpr size_t kCoveredBytesMax = 256 << 20;   // of what a connection asks for by keys and by objects
inline constexpr size_t kUnansweredCommitsMax = 1024;   // of one connection; then commits wait (D19)
inline constexpr size_t kUnansweredBytesMax = 8 << 20;  // likewise; a larger commit goes when it is alone
inline constexpr size_t kWaitingChangesMax = 256;       // transactions a slow handler is behind before they merge
inline constexpr size_t kWaitingChangeBytesMax = 8 << 20;  // likewise
inline constexpr size_t kConflictWindowBytes = 64 << 20;   // D14
inline constexpr size_t kDeletedRememberedMax = 65'536;    // of a type that is covered in part, by a client (D20)
inline constexpr size_t kNameBytesMax = 1 << 10;           // schema, type, field and index names
inline constexpr size_t kShownBytesMax = 100;              // of a value in a message for people
inline constexpr int kValueDepthMax = 64;                  // containers within containers, in values and in types
inline constexpr size_t kDescriptorBytesMax = 64 << 10;    // text of one field's type
inline constexpr size_t kDescriptorDefaultsBytesMax = 256 << 10;  // of all fields in one, their types' own among them
inline constexpr size_t kDefinitionBytesMax = 4 << 20;      // of one schema's message: some 40 ms to read, at worst
inline constexpr size_t kDefinitionStepsMax = 3'000'000;    // of checking it: about as long again (core/base/effort.h)
inline constexpr size_t kDecimalDigitsMax = 1000;           // of a Decimal's coefficient
inline constexpr int64_t kDecimalExponentMax = 10'000'000;  // of its first digit, either way; Python's default: 999,999
inline constexpr size_t kDecodedCacheEntries = 32'768;      // places for decoded values of a connection, in its client
inline constexpr size_t kDecodedCacheBytesMax = 64 << 20;   // memory of these, about
inline constexpr size_t kFieldsPerTypeMax = 4096;
inline constexpr size_t kUnionArmsMax = 512;  // but for literals: so many can be passed by for a value of one byte
inline constexpr size_t kAlikeArmsMax = 24;   // of these, tuples, sets, dicts or enums: each has to be tried
inline constexpr size_t kTypesPerSchemaMax = 4096;
inline constexpr size_t kTypeBytesMax = 2 << 20;  // of a type with all that programs ever gave it, as it is stored
inline constexpr size_t kMappingBytesMax =
    4 << 20;  // of the answer to a definition: its types, and all that they lead to
inline constexpr size_t kCatalogueBytesMax = 64 << 20;  // of all types of a server: stored whole whenever one changes
inline constexpr size_t kReplacedBytesMax = 32 << 20;   // of types as they were before: kept for readers until it stops
inline constexpr uint32_t kTypeIdMax = 1 << 24;         // of all schemas of a server
inline constexpr size_t kIndexesPerTypeMax = 256;
inline constexpr size_t kBackfillObjects = 256;     // one turn of an index in the making: about 0.1 ms (D17)
inline constexpr size_t kBackfillBytes = 64 << 10;  // likewise, of its keys
inline constexpr size_t kIndexBuildsMax = 1024;     // in the making at once; each costs every write of its type
inline constexpr size_t kDefinitionsHeldMax = 16;   // of one connection, that wait for such indexes
inline constexpr size_t kFieldsPerIndexMax = 64;    // a write of one of them reads all of them (D13)
inline constexpr size_t kListItemsMax = 4096;       // of one list in a message: the greatest of the above
inline constexpr int64_t kIdentityMax = (int64_t{1} << 62) - 1;  // an index keeps two bits beside an identity
inline constexpr int64_t kIdentityBlockSize = 100'000'000;       // D28
inline constexpr int64_t kIdentityRun = 64;         // ids handed to one type at a time: one page of the store
inline constexpr int64_t kHandshakeUs = 2'000'000;  // for TLS, and again for authentication (D30)
inline constexpr int64_t kHeartbeatUs = 5'000'000;
inline constexpr int kHeartbeatsMissedMax = 4;  // D26
inline constexpr uint32_t kProtocolVersion = 1;

}  // namespace odb::limits
