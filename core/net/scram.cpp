#include "core/net/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <charconv>
#include <optional>
#include <utility>

#include "core/base/check.h"

namespace odb {
namespace {

constexpr BytesView kGs2Header = "p=tls-exporter,,";
constexpr BytesView kClientFirstHead = "p=tls-exporter,,n=odb,r=";
constexpr BytesView kClientFirstBareHead = "n=odb,r=";
constexpr size_t kHashBytes = SHA256_DIGEST_LENGTH;
constexpr size_t kNonceTextMax = 256;
constexpr size_t kSaltBytesMax = 256;

const unsigned char* unsigned_of(BytesView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* unsigned_of(Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

Bytes hmac(BytesView key, BytesView message) {
  Bytes mac(kHashBytes, '\0');
  unsigned int size = 0;
  const void* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), unsigned_of(message), message.size(),
                          unsigned_of(mac), &size);
  ODB_CHECK(made != nullptr);
  ODB_CHECK(size == kHashBytes, size);
  return mac;
}

Bytes hash(BytesView message) {
  Bytes digest(kHashBytes, '\0');
  SHA256(unsigned_of(message), message.size(), unsigned_of(digest));
  return digest;
}

Bytes exclusive_or(Bytes a, BytesView b) {
  ODB_CHECK(a.size() == b.size(), a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i]);
  return a;
}

Bytes salted_password(BytesView token, BytesView salt, uint32_t iterations) {
  Bytes salted(kHashBytes, '\0');
  int made =
      PKCS5_PBKDF2_HMAC(token.data(), static_cast<int>(token.size()), unsigned_of(salt), static_cast<int>(salt.size()),
                        static_cast<int>(iterations), EVP_sha256(), static_cast<int>(kHashBytes), unsigned_of(salted));
  ODB_CHECK(made == 1, iterations);
  return salted;
}

constexpr BytesView kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Bytes base64_of(BytesView bytes) {
  Bytes text((bytes.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(unsigned_of(text), unsigned_of(bytes), static_cast<int>(bytes.size()));
  return text;
}

/// The bytes of a canonical base64 text: OpenSSL's own decoder also takes blanks, line ends and stray bits.
std::optional<Bytes> bytes_of_base64(BytesView text) {
  Bytes bytes;
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t digit = i < text.size() - padding ? kDigits.find(text[i]) : 0;
    if (digit == BytesView::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 == 3) {
      for (int shift : {16, 8, 0}) bytes.push_back(static_cast<char>(bits >> shift));
      bits = 0;
    }
  }
  bytes.resize(bytes.size() - padding);
  if (base64_of(bytes) != text) return std::nullopt;
  return bytes;
}

bool is_nonce(BytesView nonce) {
  if (nonce.empty() || nonce.size() > kNonceTextMax) return false;
  for (char c : nonce) {
    if (c < '!' || c > '~' || c == ',') return false;
  }
  return true;
}

/// Takes `x=value` off the front, up to the next comma or the end; the comma goes too.
std::optional<BytesView> take_attribute(BytesView& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  size_t comma = message.find(',');
  BytesView value = message.substr(2, comma == BytesView::npos ? comma : comma - 2);
  message.remove_prefix(comma == BytesView::npos ? message.size() : comma + 1);
  return value;
}

/// True when a comma was left over by take_attribute: the message ends with an empty attribute.
bool ends_well(BytesView whole) { return !whole.ends_with(','); }

AuthStep refused(BytesView reason = {}) {
  return {AuthVerdict::kRefused, reason.empty() ? Bytes() : "e=" + Bytes(reason)};
}

}  // namespace

ScramKeys derive_scram_keys(BytesView token, BytesView salt, uint32_t iterations) {
  Bytes salted = salted_password(token, salt, iterations);
  return {Bytes(salt), iterations, hash(hmac(salted, "Client Key")), hmac(salted, "Server Key")};
}

ScramProofs prove_scram(BytesView token, BytesView salt, uint32_t iterations, BytesView auth_message) {
  Bytes salted = salted_password(token, salt, iterations);
  Bytes client_key = hmac(salted, "Client Key");
  Bytes client_signature = hmac(hash(client_key), auth_message);
  return {exclusive_or(std::move(client_key), client_signature), hmac(hmac(salted, "Server Key"), auth_message)};
}

// ---- server

ScramServerAuthentication::ScramServerAuthentication(std::shared_ptr<const ScramKeys> keys, Bytes exporter,
                                                     BytesView nonce)
    : keys_(std::move(keys)), exporter_(std::move(exporter)), nonce_(base64_of(nonce)) {
  ODB_CHECK(exporter_.size() == kExporterBytes, exporter_.size());
  ODB_CHECK(nonce.size() == kScramNonceBytes, nonce.size());
}

AuthStep ScramServerAuthentication::advance(BytesView payload) {
  State state = std::exchange(state_, State::kOver);
  switch (state) {
    case State::kFirst: return first(payload);
    case State::kFinal: return final(payload);
    case State::kOver: break;
  }
  return refused("other-error");
}

AuthStep ScramServerAuthentication::first(BytesView payload) {
  if (!payload.starts_with(kGs2Header)) return refused("channel-binding-not-supported");
  if (!payload.starts_with(kClientFirstHead)) return refused("unknown-user");
  BytesView client_nonce = payload.substr(kClientFirstHead.size());
  if (!is_nonce(client_nonce)) return refused("other-error");
  nonce_.insert(0, client_nonce);
  Bytes server_first = "r=" + nonce_ + ",s=" + base64_of(keys_->salt) + ",i=" + std::to_string(keys_->iterations);
  auth_message_ = Bytes(payload.substr(kGs2Header.size())) + "," + server_first;
  state_ = State::kFinal;
  return {AuthVerdict::kContinue, server_first};
}

AuthStep ScramServerAuthentication::final(BytesView payload) {
  BytesView rest = payload;
  std::optional<BytesView> binding = take_attribute(rest, 'c');
  std::optional<BytesView> nonce = take_attribute(rest, 'r');
  BytesView without_proof = payload.substr(0, payload.size() - rest.size() - (rest.empty() ? 0 : 1));
  std::optional<BytesView> proof_text = take_attribute(rest, 'p');
  if (!binding || !nonce || !proof_text || !rest.empty() || !ends_well(payload)) return refused("invalid-encoding");
  std::optional<Bytes> proof = bytes_of_base64(*proof_text);
  if (!proof || proof->size() != kHashBytes) return refused("invalid-encoding");
  bool is_same_nonce = is_equal_in_constant_time(*nonce, nonce_);
  bool is_same_channel = is_equal_in_constant_time(*binding, base64_of(Bytes(kGs2Header) + exporter_));
  auth_message_ += "," + Bytes(without_proof);
  Bytes client_key = exclusive_or(std::move(*proof), hmac(keys_->stored_key, auth_message_));
  bool is_proved = is_equal_in_constant_time(hash(client_key), keys_->stored_key);
  if (!is_same_channel) return refused("channel-bindings-dont-match");
  if (!is_same_nonce || !is_proved) return refused("invalid-proof");
  return {AuthVerdict::kAccepted, "v=" + base64_of(hmac(keys_->server_key, auth_message_))};
}

// ---- client

ScramClientAuthentication::ScramClientAuthentication(Bytes token, Bytes exporter, BytesView nonce)
    : token_(std::move(token)), exporter_(std::move(exporter)), nonce_(base64_of(nonce)) {
  ODB_CHECK(exporter_.size() == kExporterBytes, exporter_.size());
  ODB_CHECK(nonce.size() == kScramNonceBytes, nonce.size());
}

Bytes ScramClientAuthentication::start() { return Bytes(kClientFirstHead) + nonce_; }

AuthStep ScramClientAuthentication::advance(BytesView payload) {
  State state = std::exchange(state_, State::kOver);
  if (state == State::kFirst) return first(payload);
  if (state == State::kOver) return refused();
  // A peer that does not know the token cannot make this signature, whatever it accepts from us.
  bool is_proved = is_equal_in_constant_time(payload, "v=" + base64_of(server_signature_));
  return {is_proved ? AuthVerdict::kAccepted : AuthVerdict::kRefused, {}};
}

AuthStep ScramClientAuthentication::first(BytesView payload) {
  BytesView rest = payload;
  std::optional<BytesView> nonce = take_attribute(rest, 'r');
  std::optional<BytesView> salt_text = take_attribute(rest, 's');
  std::optional<BytesView> iterations_text = take_attribute(rest, 'i');
  if (!nonce || !salt_text || !iterations_text || !rest.empty() || !ends_well(payload)) return refused();
  if (!is_nonce(*nonce) || !nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) return refused();
  std::optional<Bytes> salt = bytes_of_base64(*salt_text);
  if (!salt || salt->empty() || salt->size() > kSaltBytesMax) return refused();
  uint32_t iterations = 0;
  const char* end = iterations_text->data() + iterations_text->size();
  auto [parsed_to, error] = std::from_chars(iterations_text->data(), end, iterations);
  if (error != std::errc() || parsed_to != end || iterations_text->front() == '0') return refused();
  if (iterations < kScramIterations || iterations > kScramIterationsMax) return refused();
  Bytes without_proof = "c=" + base64_of(Bytes(kGs2Header) + exporter_) + ",r=" + Bytes(*nonce);
  Bytes auth_message = Bytes(kClientFirstBareHead) + nonce_ + "," + Bytes(payload) + "," + without_proof;
  ScramProofs proofs = prove_scram(token_, *salt, iterations, auth_message);
  server_signature_ = proofs.server_signature;
  state_ = State::kFinal;
  return {AuthVerdict::kContinue, without_proof + ",p=" + base64_of(proofs.client_proof)};
}

}  // namespace odb
