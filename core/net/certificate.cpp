#include "core/net/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/base/check.h"

namespace odb {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

constexpr long kSecondsPerDay = 24 * 60 * 60;
constexpr long kSerialBits = 159;  // RFC 5280: positive, at most 20 bytes

Bytes text_of(BIO* memory) {
  char* text = nullptr;
  long size = BIO_get_mem_data(memory, &text);
  return Bytes(text, static_cast<size_t>(size));
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ODB_CHECK(X509_digest(certificate, EVP_sha256(), digest, &size) == 1);
  return hex_of({reinterpret_cast<const char*>(digest), size});
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  ODB_CHECK(extension != nullptr, nid);
  ODB_CHECK(X509_add_ext(certificate, extension.get(), -1) == 1, nid);
}

Result<Bytes> contents_of(const std::string& path, const char* what) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  if (file.is_open()) contents << file.rdbuf();
  if (!file.is_open() || file.bad() || contents.fail()) {
    const char* reason = errno != 0 ? std::strerror(errno) : "it is empty or no file";
    return Status(Code::kInvalidArgument, std::string("the ") + what + " file " + path + " cannot be read: " + reason);
  }
  return contents.str();
}

/// A key behind a passphrase is refused: asking on the terminal would hang a server.
int no_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

Owned<BIO> bio_of(const Bytes& pem) { return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

}  // namespace

Certificate make_certificate() {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  ODB_CHECK(key != nullptr);
  Owned<X509> certificate(X509_new());
  Owned<BIGNUM> serial(BN_new());
  ODB_CHECK(BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get()));
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kSecondsPerDay);  // clocks of clients differ
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3650 * kSecondsPerDay);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  auto localhost = reinterpret_cast<const unsigned char*>("localhost");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, localhost, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  add_extension(certificate.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  ODB_CHECK(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);

  Owned<BIO> chain(BIO_new(BIO_s_mem())), secret(BIO_new(BIO_s_mem()));
  ODB_CHECK(PEM_write_bio_X509(chain.get(), certificate.get()) == 1);
  ODB_CHECK(PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return {text_of(chain.get()), text_of(secret.get()), fingerprint_of(certificate.get())};
}

Result<Certificate> load_certificate(const std::string& certificate_path, const std::string& key_path) {
  Result<Bytes> chain = contents_of(certificate_path, "certificate");
  if (!chain.is_ok()) return chain.status();
  Result<Bytes> secret = contents_of(key_path, "key");
  if (!secret.is_ok()) return secret.status();

  Owned<X509> certificate(PEM_read_bio_X509(bio_of(chain.value()).get(), nullptr, nullptr, nullptr));
  bool was_asked = false;
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio_of(secret.value()).get(), nullptr, no_passphrase, &was_asked));
  bool is_match = certificate != nullptr && key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (certificate == nullptr)
    return Status(Code::kInvalidArgument, "the certificate file " + certificate_path + " holds no certificate in PEM");
  if (key == nullptr)
    return Status(Code::kInvalidArgument,
                  "the key file " + key_path +
                      (was_asked ? " is protected by a passphrase; remove it, a server cannot ask"
                                 : " holds no private key in PEM"));
  if (!is_match)
    return Status(Code::kInvalidArgument,
                  "the key in " + key_path + " is not the one of the certificate in " + certificate_path);
  return Certificate{std::move(chain.value()), std::move(secret.value()), fingerprint_of(certificate.get())};
}

}  // namespace odb
