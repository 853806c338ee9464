#include "core/net/scram.h"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "core/net/certificate.h"

namespace odb {
namespace {

const Bytes kSalt = "0123456789abcdef";
const Bytes kExporter(kExporterBytes, '\x17');
const Bytes kClientNonce(kScramNonceBytes, 'c');
const Bytes kServerNonce(kScramNonceBytes, 's');

std::shared_ptr<const ScramKeys> keys_of(BytesView token) {
  return std::make_shared<ScramKeys>(derive_scram_keys(token, kSalt));
}

struct Exchange {  // all messages of one honest exchange, or of one with a fault in it
  ScramServerAuthentication server;
  ScramClientAuthentication client;

  explicit Exchange(BytesView server_token = "token", Bytes client_token = "token", Bytes client_exporter = kExporter)
      : server(keys_of(server_token), kExporter, kServerNonce),
        client(std::move(client_token), std::move(client_exporter), kClientNonce) {}
};

Bytes bytes_of_hex(BytesView hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(Bytes(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

Bytes replaced(Bytes text, BytesView what, BytesView by) {
  size_t at = text.find(what);
  BOOST_REQUIRE(at != Bytes::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scram)

// RFC 7677, section 3: user `user`, password `pencil`, no channel binding. The whole chain of PBKDF2, HMAC and SHA-256.
BOOST_AUTO_TEST_CASE(the_proofs_are_those_of_the_rfc) {
  const Bytes salt = bytes_of_hex("5b6d99689d12358eeca04b141236fa81");
  BytesView auth_message =
      "n=user,r=rOprNGfwEbeRWgbNEkqO,"
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  ScramProofs proofs = prove_scram("pencil", salt, 4096, auth_message);
  BOOST_TEST(hex_of(proofs.client_proof) == "747cdb65aa56224e2352137e52d7bdcad6a0f738df30782caa69a2cfb0277554");
  BOOST_TEST(hex_of(proofs.server_signature) == "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e");
}

BOOST_AUTO_TEST_CASE(both_sides_accept_each_other_when_both_know_the_token) {
  Exchange e;
  AuthStep challenge = e.server.advance(e.client.start());
  BOOST_TEST((challenge.verdict == AuthVerdict::kContinue));
  AuthStep proof = e.client.advance(challenge.reply);
  BOOST_TEST((proof.verdict == AuthVerdict::kContinue));
  AuthStep accepted = e.server.advance(proof.reply);
  BOOST_TEST((accepted.verdict == AuthVerdict::kAccepted));
  BOOST_TEST((e.client.advance(accepted.reply).verdict == AuthVerdict::kAccepted));
}

BOOST_AUTO_TEST_CASE(the_token_and_what_the_server_keeps_of_it_do_not_travel) {
  Exchange e("a token to look for", "a token to look for");
  Bytes traffic = e.client.start();
  AuthStep challenge = e.server.advance(traffic);
  AuthStep proof = e.client.advance(challenge.reply);
  traffic += challenge.reply + proof.reply + e.server.advance(proof.reply).reply;
  BOOST_TEST(traffic.find("a token to look for") == Bytes::npos);
  BOOST_TEST((keys_of("a token to look for")->stored_key != keys_of("another token")->stored_key));
}

BOOST_AUTO_TEST_CASE(a_wrong_token_is_refused_by_the_server_and_the_client_sees_it) {
  for (Bytes wrong : {"tokem", "", "token "}) {
    Exchange e("token", wrong);
    AuthStep verdict = e.server.advance(e.client.advance(e.server.advance(e.client.start()).reply).reply);
    BOOST_TEST((verdict.verdict == AuthVerdict::kRefused));
    BOOST_TEST(verdict.reply == "e=invalid-proof");
    BOOST_TEST((e.client.advance(verdict.reply).verdict == AuthVerdict::kRefused));
  }
}

// A man in the middle has one TLS channel to each side, with different exporter values.
BOOST_AUTO_TEST_CASE(a_proof_made_on_another_channel_is_refused) {
  Exchange e("token", "token", Bytes(kExporterBytes, '\x18'));
  AuthStep verdict = e.server.advance(e.client.advance(e.server.advance(e.client.start()).reply).reply);
  BOOST_TEST((verdict.verdict == AuthVerdict::kRefused));
  BOOST_TEST(verdict.reply == "e=channel-bindings-dont-match");
}

BOOST_AUTO_TEST_CASE(a_man_in_the_middle_cannot_pass_off_his_channel_for_the_clients) {
  Exchange e("token", "token", Bytes(kExporterBytes, '\x18'));
  Bytes proof = e.client.advance(e.server.advance(e.client.start()).reply).reply;
  Exchange honest;  // its binding is the server's, its proof is over other messages
  Bytes with_binding = honest.client.advance(honest.server.advance(honest.client.start()).reply).reply;
  Bytes forged = with_binding.substr(0, with_binding.find(",p=")) + proof.substr(proof.find(",p="));
  AuthStep verdict = e.server.advance(forged);
  BOOST_TEST((verdict.verdict == AuthVerdict::kRefused));
  BOOST_TEST(verdict.reply == "e=invalid-proof");
}

BOOST_AUTO_TEST_CASE(a_server_that_does_not_know_the_token_is_refused_whatever_it_says) {
  Bytes signature_of_zeros = "v=" + Bytes(43, 'A') + "=";
  for (const Bytes& claim : {signature_of_zeros, Bytes("v="), Bytes(""), Bytes("v"), Bytes("e=other-error")}) {
    Exchange e;
    e.client.advance(e.server.advance(e.client.start()).reply);
    BOOST_TEST((e.client.advance(claim).verdict == AuthVerdict::kRefused));
  }
}

BOOST_AUTO_TEST_CASE(the_server_refuses_malformed_first_messages) {
  Bytes good = Exchange().client.start();
  std::vector<Bytes> bad = {
      "",
      "garbage",
      replaced(good, "p=tls-exporter", "n"),
      replaced(good, "p=tls-exporter", "y"),
      replaced(good, "p=tls-exporter", "p=tls-unique"),
      replaced(good, ",,", ",a=admin,"),
      replaced(good, "n=odb", "n=root"),
      replaced(good, "n=odb", "m=x,n=odb"),
      good + ",x=extension",
      replaced(good, "r=", "r= "),
      good + "\n",
      good + Bytes(1, '\0'),
      good + "\x80",
      good + Bytes(1000, 'r'),
      "p=tls-exporter,,n=odb,r=",
  };
  for (const Bytes& message : bad) {
    Exchange e;
    AuthStep step = e.server.advance(message);
    BOOST_TEST((step.verdict == AuthVerdict::kRefused), message);
    BOOST_TEST((e.server.advance(good).verdict == AuthVerdict::kRefused), "a second try after " + message);
  }
}

BOOST_AUTO_TEST_CASE(the_server_refuses_malformed_final_messages) {
  Exchange honest;
  Bytes good = honest.client.advance(honest.server.advance(honest.client.start()).reply).reply;
  BytesView proof = BytesView(good).substr(good.find(",p=") + 3);
  std::vector<Bytes> bad = {
      good + ",",
      good + ",p=" + Bytes(proof),
      good + "=",
      replaced(good, "c=", "b="),
      replaced(good, "c=", "c=="),
      replaced(good, "r=", "r=x"),
      replaced(good, ",r=", ",x=1,r="),
      replaced(good, ",p=", ",x=1,p="),
      replaced(good, proof, ""),
      replaced(good, proof, Bytes(44, '=')),
      replaced(good, proof, proof.substr(0, 40)),
      replaced(good, proof, Bytes(proof.substr(0, 43)) + "\n"),
  };
  Bytes other_proof(proof);
  other_proof[0] = other_proof[0] == 'A' ? 'B' : 'A';
  bad.push_back(replaced(good, proof, other_proof));
  for (size_t size = 0; size < good.size(); ++size) bad.push_back(good.substr(0, size));
  for (const Bytes& message : bad) {
    Exchange e;
    e.server.advance(e.client.start());
    BOOST_TEST((e.server.advance(message).verdict == AuthVerdict::kRefused), message);
    BOOST_TEST((e.server.advance(good).verdict == AuthVerdict::kRefused), "a second try after " + message);
  }
}

BOOST_AUTO_TEST_CASE(the_client_refuses_malformed_challenges) {
  Exchange honest;
  Bytes good = honest.server.advance(honest.client.start()).reply;
  Bytes own_nonce = honest.client.start().substr(BytesView("p=tls-exporter,,n=odb,r=").size());
  std::vector<Bytes> bad = {
      good + ",",
      good + ",x=extension",
      "m=x," + good,
      replaced(good, "r=", "r=x"),
      replaced(good, own_nonce, "other"),
      replaced(good, good.substr(0, good.find(",s=")), "r=" + own_nonce),  // a nonce that adds nothing
      replaced(good, ",s=", ",s=,t="),
      replaced(good, ",s=", ",s=!"),
      replaced(good, "i=4096", "i=4095"),
      replaced(good, "i=4096", "i=1"),
      replaced(good, "i=4096", "i=1000001"),
      replaced(good, "i=4096", "i=99999999999999999999"),
      replaced(good, "i=4096", "i=-4096"),
      replaced(good, "i=4096", "i=+4096"),
      replaced(good, "i=4096", "i=04096"),
      replaced(good, "i=4096", "i=4096 "),
      replaced(good, "i=4096", "i="),
  };
  for (size_t size = 0; size < good.size(); ++size) bad.push_back(good.substr(0, size));
  for (const Bytes& message : bad) {
    Exchange e;
    e.client.start();
    BOOST_TEST((e.client.advance(message).verdict == AuthVerdict::kRefused), message);
    BOOST_TEST((e.client.advance(good).verdict == AuthVerdict::kRefused), "a second try after " + message);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace odb
