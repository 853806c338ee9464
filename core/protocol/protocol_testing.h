/// Words for tests that speak the protocol: any message with any content, and a stream of frames told as text.
#pragma once

#include <deque>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "core/protocol/frame.h"
#include "core/store/store_testing.h"

namespace odb::testing {

/// Fills every field of a message at random; keeps what its views point to.
class RandomFields {
 public:
  explicit RandomFields(Random& random) : random_(random) {}

  template <class T>
  void operator()(const char*, T& field) {
    fill(field);
  }

 private:
  template <class Tag, class Rep>
  void fill(Id<Tag, Rep>& id) {
    id.value = static_cast<Rep>(number() & static_cast<uint64_t>(std::numeric_limits<Rep>::max()));
  }
  void fill(bool& value) { value = random_() % 2 == 0; }
  void fill(Bytes& bytes) {
    bytes.resize(random_() % 5 == 0 ? random_() % 300 : random_() % 6);
    for (char& c : bytes) c = static_cast<char>(random_());
  }
  void fill(BytesView& bytes) { fill(kept_.emplace_back()), bytes = kept_.back(); }
  void fill(Scope& value) { value = static_cast<Scope>(random_() % 4); }
  void fill(Outcome& value) { value = static_cast<Outcome>(random_() % 7); }
  void fill(KeyKind& value) { value = static_cast<KeyKind>(random_() % 5); }
  void fill(Refusal& value) { value = static_cast<Refusal>(1 + random_() % 5); }
  void fill(Farewell& value) { value = static_cast<Farewell>(1 + random_() % 7); }
  void fill(FieldDefinition& f) { fill(f.name), fill(f.type), fill(f.default_value); }
  void fill(IndexDefinition& i) { fill(i.name), fill(i.fields), fill(i.is_unique); }
  void fill(TypeDefinition& t) { fill(t.name), fill(t.fields), fill(t.indexes); }
  void fill(SchemaDefinition& s) { fill(s.name), fill(s.types); }
  template <class T>
  void fill(std::vector<T>& items) {
    items.resize(random_() % 4);
    for (T& item : items) fill(item);
  }
  template <class T>
    requires std::is_unsigned_v<T>
  void fill(T& value) {
    value = static_cast<T>(number());
  }
  template <class T>
    requires requires(T& t, RandomFields& f) { t.each(f); }
  void fill(T& part) {
    part.each(*this);
  }
  uint64_t number() { return random_() >> (random_() % 64); }

  Random& random_;
  std::deque<Bytes> kept_;
};

template <class Message>
Bytes framed(const Message& message) {
  Bytes out;
  put_frame(out, message);
  return out;
}

template <class Message>
Bytes payload_of(const Message& message) {
  return framed(message).substr(kFrameHeadBytes);
}

inline Bytes frame_of(MessageKind kind, BytesView payload, char flags = 0) {
  Bytes out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((payload.size() + 2) >> shift));
  out.push_back(static_cast<char>(kind));
  out.push_back(flags);
  return out.append(payload);
}

/// Frames with their payloads kept.
struct KeptFrame {
  MessageKind kind;
  Bytes payload;

  template <class Message>
  bool is() const {
    return kind == Message::kKind;
  }
  /// Its views point into this frame.
  template <class Message>
  Message as() const {
    ODB_CHECK(is<Message>(), static_cast<int>(kind));
    Result<Message> message = decode_message<Message>(payload);
    ODB_CHECK(message.is_ok(), message.status().message());
    return message.value();
  }
};

inline std::vector<KeptFrame> frames_in(BytesView bytes) {
  std::vector<KeptFrame> out;
  FrameReader reader(limits::kFrameBytesMax, limits::kMessageBytesMax);
  reader.feed(bytes);
  while (auto frame = reader.next()) out.push_back({frame->kind, Bytes(frame->payload)});
  ODB_CHECK(reader.status().is_ok(), reader.status().message());
  ODB_CHECK(reader.buffered_bytes() == 0, reader.buffered_bytes());
  return out;
}

inline const char* name_of(MessageKind kind) {
  const char* name = "?";
  for_each_message([&]<class Message>() { name = Message::kKind == kind ? Message::kName : name; });
  return name;
}

/// "create 1:7", "update 1:8", joined by ", ".
inline std::string told_records(BytesView bytes) {
  static const char* const kNames[] = {"", "create", "update", "delete", "whole"};
  std::string out;
  RecordReader reader(bytes);
  for (Record record; reader.next(record);) {
    out += (out.empty() ? "" : ", ") + std::string(kNames[static_cast<size_t>(record.op)]) + " ";
    out += std::to_string(record.type.value) + ":" + std::to_string(record.object.value);
  }
  return reader.is_ok() ? out : out + "!";
}

/// One line for a message: its name and what tests ask about.
inline std::string told(const KeptFrame& frame) {
  std::ostringstream out;
  out << name_of(frame.kind);
  if (frame.is<Section>()) {
    auto section = frame.as<Section>();
    out << " " << section.tid.value << (section.is_last ? "" : "+") << ": " << told_records(section.records);
  } else if (frame.is<Piece>()) {
    auto piece = frame.as<Piece>();
    out << " " << piece.request.value << ": " << told_records(piece.records);
  } else if (frame.is<Complete>()) {
    auto complete = frame.as<Complete>();
    out << " " << complete.request.value << " through " << complete.through.value;
  } else if (frame.is<CommitResult>()) {
    static const char* const kOutcomes[] = {"accepted",     "conflict",         "too old",  "no such object",
                                            "server error", "unique violation", "too large"};
    auto result = frame.as<CommitResult>();
    out << " " << result.seq.value << " " << kOutcomes[static_cast<size_t>(result.outcome)];
    if (result.tid.value > 0) out << " as " << result.tid.value;
    out << " through " << result.through.value;
  } else if (frame.is<Flushed>()) {
    auto flushed = frame.as<Flushed>();
    out << " " << flushed.request.value << " through " << flushed.through.value;
  } else if (frame.is<ServerGoodbye>()) {
    static const char* const kFarewells[] = {"",        "stopping", "protocol", "authentication",
                                             "version", "silent",   "too slow", "server"};
    out << " " << kFarewells[static_cast<size_t>(frame.as<ServerGoodbye>().farewell)];
  } else if (frame.is<Refused>()) {
    out << " " << frame.as<Refused>().request.value;
  }
  return out.str();
}

}  // namespace odb::testing
