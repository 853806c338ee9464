/// The certificate that a server shows: made for the process, or read from files. Clients do not verify it; the proof
/// of the token is bound to the TLS channel and does better (D31).
#pragma once

#include <string>

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace odb {

struct Certificate {
  Bytes chain_pem;  ///< the server's own first
  Bytes key_pem;
  std::string fingerprint;  ///< SHA-256 of the server's own, lower-case hex
};

/// A self-signed certificate for localhost (EC P-256, ten years), in memory only.
Certificate make_certificate();

/// kInvalidArgument: a file cannot be read, is not PEM, or the key is not the certificate's; one sentence for people.
Result<Certificate> load_certificate(const std::string& certificate_path, const std::string& key_path);

}  // namespace odb
