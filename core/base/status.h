/// What a call that can fail returns. The core throws for one reason only, a broken invariant (check.h);
/// Python exceptions are made from codes in bindings/errors.cpp alone.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace odb {

enum class Code {
  kOk,
  kProtocol,         ///< a peer sent bytes or messages that are not allowed; its connection is closed
  kAuthentication,   ///< wrong token, or a peer in the middle
  kVersionMismatch,  ///< no common protocol version
  kDisconnected,     ///< the connection is gone
  kTimeout,
  kSchemaMismatch,  ///< a definition that does not agree with the server's catalogue
  kNotSubscribed,   ///< the data is outside of what this connection covers (D20)
  kObjectDoesNotExist,
  kRevisionConflict,     ///< somebody else wrote what the transaction had read; may be retried
  kTransactionTooOld,    ///< the snapshot is older than what the server remembers (C2); may be retried
  kSnapshotTooOld,       ///< view(tid) of a version that is no longer kept (D7)
  kTransactionTooLarge,  ///< over a limit of limits.h
  kServer,               ///< the server could not carry out a valid request
  kInvalidArgument,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status ok() { return {}; }

  bool is_ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status protocol_error(std::string message) { return {Code::kProtocol, std::move(message)}; }

/// A value, or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {}

  bool is_ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() { return *value_; }
  const T& value() const { return *value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace odb
