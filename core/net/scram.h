/// SCRAM-SHA-256-PLUS (RFC 5802, 7677) bound to the TLS channel by tls-exporter (RFC 9266): the token never travels,
/// and somebody in the middle, who has two channels with two exporter values, can use nothing of what passes (D31).
///
///   client   p=tls-exporter,,n=odb,r=<client nonce>
///   server   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
///   client   c=<"p=tls-exporter,," exporter>,r=<both nonces>,p=<proof>
///   server   v=<signature> | e=<reason>
///
/// The user is always `odb`; the token is the password, byte for byte. Extensions are refused. Nonces, salts and
/// exporter values come from the caller: nothing here is random.
/// Thread safety: one connection's halves belong to one thread; ScramKeys are immutable.
#pragma once

#include <memory>

#include "core/base/bytes.h"
#include "core/protocol/auth.h"

namespace odb {

inline constexpr auto kScramMethod = "SCRAM-SHA-256-PLUS";
inline constexpr uint32_t kScramIterations = 4096;  // the least that RFC 7677 allows; tokens are random, not words
inline constexpr uint32_t kScramIterationsMax = 1'000'000;  // half a second of work: more is an attack on the client
inline constexpr size_t kScramNonceBytes = 24;
inline constexpr size_t kScramSaltBytes = 16;
inline constexpr size_t kExporterBytes = 32;

/// What a server keeps of a token: enough to check a proof, not enough to make one.
struct ScramKeys {
  Bytes salt;
  uint32_t iterations = 0;
  Bytes stored_key;
  Bytes server_key;
};
/// Costs `iterations` hashes, some milliseconds: once for each server.
ScramKeys derive_scram_keys(BytesView token, BytesView salt, uint32_t iterations = kScramIterations);

/// What both sides prove to each other about one exchange, whose messages `auth_message` joins.
struct ScramProofs {
  Bytes client_proof;
  Bytes server_signature;
};
ScramProofs prove_scram(BytesView token, BytesView salt, uint32_t iterations, BytesView auth_message);

class ScramServerAuthentication : public ServerAuthentication {
 public:
  /// `nonce`: kScramNonceBytes random bytes. `exporter`: of this connection's TLS channel.
  ScramServerAuthentication(std::shared_ptr<const ScramKeys> keys, Bytes exporter, BytesView nonce);
  bool knows(BytesView method) const override { return method == kScramMethod; }
  AuthStep advance(BytesView payload) override;

 private:
  enum class State : uint8_t { kFirst, kFinal, kOver };
  AuthStep first(BytesView payload);
  AuthStep final(BytesView payload);

  State state_ = State::kFirst;
  std::shared_ptr<const ScramKeys> keys_;
  Bytes exporter_;
  Bytes nonce_;  // its own; with the client's in front after the first message
  Bytes auth_message_;
};

class ScramClientAuthentication : public ClientAuthentication {
 public:
  ScramClientAuthentication(Bytes token, Bytes exporter, BytesView nonce);
  std::string method() const override { return kScramMethod; }
  Bytes start() override;
  AuthStep advance(BytesView payload) override;

 private:
  enum class State : uint8_t { kFirst, kFinal, kOver };
  AuthStep first(BytesView payload);

  State state_ = State::kFirst;
  Bytes token_;
  Bytes exporter_;
  Bytes nonce_;
  Bytes server_signature_;  // expected
};

}  // namespace odb
