/// Authentication as the cores see it (D31): an exchange of payloads that ends in a verdict. The exchanges themselves
/// need randomness and cryptography and live in core/net; the cores are handed one per connection.
#pragma once

#include <memory>
#include <string>

#include "core/base/bytes.h"

namespace odb {

enum class AuthVerdict : uint8_t { kContinue, kAccepted, kRefused };

struct AuthStep {
  AuthVerdict verdict;
  Bytes reply;  ///< to be sent to the peer; may be empty when the verdict is final
};

/// The server's half. `method` is what the client's Hello named.
class ServerAuthentication {
 public:
  virtual ~ServerAuthentication() = default;
  virtual bool knows(BytesView method) const = 0;
  virtual AuthStep advance(BytesView payload) = 0;
};

/// The client's half: start() gives the first payload, then each of the server's replies is fed to advance().
/// kAccepted: the server has proved that it knows the token too, where the method can tell.
class ClientAuthentication {
 public:
  virtual ~ClientAuthentication() = default;
  virtual std::string method() const = 0;
  virtual Bytes start() = 0;
  virtual AuthStep advance(BytesView payload) = 0;
};

/// Equality in a time that depends on the lengths only.
inline bool is_equal_in_constant_time(BytesView a, BytesView b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

/// Method "memory" (D31): the token itself, for channels that never leave the process.
class MemoryServerAuthentication : public ServerAuthentication {
 public:
  explicit MemoryServerAuthentication(Bytes token) : token_(std::move(token)) {}
  bool knows(BytesView method) const override { return method == "memory"; }
  AuthStep advance(BytesView payload) override {
    return {is_equal_in_constant_time(payload, token_) ? AuthVerdict::kAccepted : AuthVerdict::kRefused, {}};
  }

 private:
  Bytes token_;
};

class MemoryClientAuthentication : public ClientAuthentication {
 public:
  explicit MemoryClientAuthentication(Bytes token) : token_(std::move(token)) {}
  std::string method() const override { return "memory"; }
  Bytes start() override { return token_; }
  AuthStep advance(BytesView) override { return {AuthVerdict::kAccepted, {}}; }

 private:
  Bytes token_;
};

}  // namespace odb
