#include "core/net/certificate.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace odb {
namespace {

/// A folder that goes with the test.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "odb-certificate-XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name, const Bytes& contents) const {
    std::ofstream(path / name, std::ios::binary) << contents;
    return (path / name).string();
  }
};

X509* parsed(const Certificate& certificate) {
  BIO* bio = BIO_new_mem_buf(certificate.chain_pem.data(), static_cast<int>(certificate.chain_pem.size()));
  X509* x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return x509;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(certificate)

BOOST_AUTO_TEST_CASE(a_certificate_made_here_is_for_localhost_and_valid_for_years) {
  X509* made = parsed(make_certificate());
  BOOST_REQUIRE(made != nullptr);
  BOOST_TEST(X509_check_host(made, "localhost", 0, 0, nullptr) == 1);
  BOOST_TEST(X509_check_ip_asc(made, "127.0.0.1", 0) == 1);
  BOOST_TEST(X509_check_ip_asc(made, "::1", 0) == 1);
  BOOST_TEST(X509_check_host(made, "example.org", 0, 0, nullptr) == 0);
  time_t in_nine_years = time(nullptr) + 9L * 365 * 24 * 3600;
  BOOST_TEST(X509_cmp_current_time(X509_get0_notBefore(made)) < 0);
  BOOST_TEST(X509_cmp_time(X509_get0_notAfter(made), &in_nine_years) > 0);
  X509_free(made);
}

BOOST_AUTO_TEST_CASE(every_certificate_has_its_own_key_and_fingerprint) {
  Certificate one = make_certificate(), other = make_certificate();
  BOOST_TEST(one.fingerprint.size() == 64u);
  BOOST_TEST(one.fingerprint != other.fingerprint);
  BOOST_TEST((one.key_pem != other.key_pem));
}

BOOST_AUTO_TEST_CASE(a_certificate_is_loaded_with_its_key_from_files) {
  Folder folder;
  Certificate made = make_certificate();
  auto loaded = load_certificate(folder.file("server.crt", made.chain_pem), folder.file("server.key", made.key_pem));
  BOOST_REQUIRE_MESSAGE(loaded.is_ok(), loaded.status().message());
  BOOST_TEST(loaded.value().fingerprint == made.fingerprint);
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_the_files_is_said_in_a_sentence_that_names_the_file) {
  Folder folder;
  Certificate made = make_certificate(), other = make_certificate();
  std::string good = folder.file("server.crt", made.chain_pem), key = folder.file("server.key", made.key_pem);
  std::string text = folder.file("text", "this is no PEM"), empty = folder.file("empty", "");
  std::string others = folder.file("other.key", other.key_pem), missing = (folder.path / "missing").string();
  struct {
    std::string certificate, key, named, said;
  } cases[] = {
      {missing, key, missing, "cannot be read: No such file"},
      {good, missing, missing, "cannot be read: No such file"},
      {folder.path.string(), key, folder.path.string(), "cannot be read"},
      {text, key, text, "holds no certificate in PEM"},
      {empty, key, empty, ""},
      {key, key, key, "holds no certificate in PEM"},
      {good, text, text, "holds no private key in PEM"},
      {good, good, good, "holds no private key in PEM"},
      {good, others, others, "is not the one of the certificate"},
  };
  for (const auto& each : cases) {
    auto loaded = load_certificate(each.certificate, each.key);
    BOOST_REQUIRE(!loaded.is_ok());
    const std::string& message = loaded.status().message();
    BOOST_TEST((loaded.status().code() == Code::kInvalidArgument));
    BOOST_TEST(message.find(each.named) != std::string::npos, message);
    BOOST_TEST(message.find(each.said) != std::string::npos, message);
    BOOST_TEST(message.find('\n') == std::string::npos, message);
  }
}

BOOST_AUTO_TEST_CASE(a_key_behind_a_passphrase_is_refused_without_asking) {
  Folder folder;
  Certificate made = make_certificate();
  BIO* in = BIO_new_mem_buf(made.key_pem.data(), static_cast<int>(made.key_pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO* out = BIO_new(BIO_s_mem());
  char passphrase[] = "secret";
  BOOST_REQUIRE(PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(), nullptr, 0, nullptr, passphrase) == 1);
  char* text = nullptr;
  long size = BIO_get_mem_data(out, &text);
  std::string locked = folder.file("locked.key", Bytes(text, static_cast<size_t>(size)));
  BIO_free(in), BIO_free(out), EVP_PKEY_free(key);
  auto loaded = load_certificate(folder.file("server.crt", made.chain_pem), locked);
  BOOST_REQUIRE(!loaded.is_ok());
  BOOST_TEST(loaded.status().message().find("passphrase") != std::string::npos, loaded.status().message());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace odb
