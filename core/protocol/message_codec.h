/// Encoding and decoding of messages, generically from their `each` functions.
/// Decoding is bounded and canonical (P1, P3): what it accepts encodes to the same bytes again.
#pragma once

#include <limits>
#include <type_traits>

#include "core/base/limits.h"
#include "core/codec/codec.h"
#include "core/protocol/messages.h"

namespace odb {

class MessageEncoder {
 public:
  explicit MessageEncoder(Bytes& out) : out_(out) {}
  template <class T>
  void operator()(const char*, const T& field) {
    put(field);
  }

 private:
  template <class Tag, class Rep>
  void put(Id<Tag, Rep> id) {
    put_varint(out_, static_cast<uint64_t>(id.value));
  }
  void put(bool value) { out_.push_back(value ? 1 : 0); }
  void put(BytesView bytes) {
    put_varint(out_, bytes.size());
    out_.append(bytes);
  }
  void put(const Bytes& bytes) { put(BytesView(bytes)); }
  template <class T>
  void put(const std::vector<T>& items) {
    put_varint(out_, items.size());
    for (const T& item : items) put(item);
  }
  void put(const FieldDefinition& f) { put(f.name), put(f.type), put(f.default_value); }
  void put(const IndexDefinition& i) { put(i.name), put(i.fields), put(i.is_unique); }
  void put(const TypeDefinition& t) { put(t.name), put(t.fields), put(t.indexes); }
  void put(const SchemaDefinition& s) { put(s.name), put(s.types); }
  template <class T>
    requires std::is_enum_v<T>
  void put(T value) {
    out_.push_back(static_cast<char>(value));
  }
  template <class T>
    requires std::is_unsigned_v<T>
  void put(T value) {
    put_varint(out_, value);
  }
  template <class T>
    requires requires(T& t, MessageEncoder& e) { t.each(e); }
  void put(const T& part) {
    const_cast<T&>(part).each(*this);  // `each` serves both directions; encoding only reads
  }

  Bytes& out_;
};

class MessageDecoder {
 public:
  explicit MessageDecoder(BytesView payload) : in_(payload) {}
  template <class T>
  void operator()(const char*, T& field) {
    take(field);
  }
  bool is_whole() const { return in_.is_ok() && in_.at_end(); }

 private:
  template <class Tag, class Rep>
  void take(Id<Tag, Rep>& id) {
    uint64_t value = in_.varint();
    if (value > static_cast<uint64_t>(std::numeric_limits<Rep>::max())) in_.fail();
    id.value = static_cast<Rep>(value);
  }
  void take(bool& value) {
    uint8_t byte = in_.byte();
    if (byte > 1) in_.fail();
    value = byte == 1;
  }
  void take(BytesView& bytes) { bytes = in_.text(); }
  void take(Bytes& bytes) { bytes = Bytes(in_.text()); }
  template <class T>
  void take(std::vector<T>& items) {
    size_t count = in_.count(1);
    if (count > limits::kListItemsMax) in_.fail();
    items.clear();
    while (items.size() < count && in_.is_ok()) take(items.emplace_back());  // grows with what has really come
  }
  void take(FieldDefinition& f) { take(f.name), take(f.type), take(f.default_value); }
  void take(IndexDefinition& i) { take(i.name), take(i.fields), take(i.is_unique); }
  void take(TypeDefinition& t) { take(t.name), take(t.fields), take(t.indexes); }
  void take(SchemaDefinition& s) { take(s.name), take(s.types); }
  void take(Scope& value) { take_enum(value, Scope::kNone, Scope::kObjects); }
  void take(Outcome& value) { take_enum(value, Outcome::kAccepted, Outcome::kTooLarge); }
  void take(KeyKind& value) { take_enum(value, KeyKind::kNone, KeyKind::kTypeSet); }
  void take(Refusal& value) { take_enum(value, Refusal::kSchemaMismatch, Refusal::kNotStored); }
  void take(Farewell& value) { take_enum(value, Farewell::kStopping, Farewell::kServer); }
  template <class T>
  void take_enum(T& value, T least, T greatest) {
    value = static_cast<T>(in_.byte());
    if (value < least || value > greatest) in_.fail();
  }
  template <class T>
    requires std::is_unsigned_v<T>
  void take(T& value) {
    uint64_t wide = in_.varint();
    if (wide > std::numeric_limits<T>::max()) in_.fail();
    value = static_cast<T>(wide);
  }
  template <class T>
    requires requires(T& t, MessageDecoder& d) { t.each(d); }
  void take(T& part) {
    part.each(*this);
  }

  Reader in_;
};

/// A message out of a frame's payload; its views point into the payload.
template <class Message>
Result<Message> decode_message(BytesView payload) {
  Message message;
  MessageDecoder decoder(payload);
  message.each(decoder);
  if (!decoder.is_whole()) return protocol_error(std::string("malformed ") + Message::kName);
  return message;
}

}  // namespace odb
