// SPDX-License-Identifier: BSD-3-Clause
#include "base/encryption.h"

#include "tests/unit/support/fault_fs.h"

namespace cairn {
namespace {

const std::string kHexA(64, 'a'), kHexB(64, 'b');

std::string Hex(std::string_view bytes) {
  std::string text;
  for (unsigned char c : bytes) {
    text += "0123456789abcdef"[c >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  return text;
}

TEST_CASE("encryption: AES-256-GCM's known answers") {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14.
  BlockCipher cipher(DataKey{});
  std::string sealed(kSealBytes, '\0');
  cipher.Seal(0, "", "", sealed.data());
  REQUIRE(Hex(sealed) == "530f8afbc74536b9a963b4f1c4cb738b");
  sealed.resize(16 + kSealBytes);
  cipher.Seal(0, "", std::string(16, '\0'), sealed.data());
  REQUIRE(Hex(sealed) == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST_CASE("encryption: what was sealed opens, anything changed does not") {
  BlockCipher cipher(DataKey{1, 2, 3});
  const std::string plain = "some bytes of a block";
  std::string sealed(plain.size() + kSealBytes, '\0'), opened;
  cipher.Seal(7, "header", plain, sealed.data());
  REQUIRE(cipher.Open(7, "header", sealed, &opened));
  REQUIRE(opened == plain);
  REQUIRE_FALSE(cipher.Open(8, "header", sealed, &opened));
  REQUIRE_FALSE(cipher.Open(7, "Header", sealed, &opened));
  REQUIRE_FALSE(cipher.Open(7, "header", sealed.substr(1), &opened));
  REQUIRE_FALSE(cipher.Open(7, "header", "short", &opened));
  REQUIRE_FALSE(BlockCipher(DataKey{9}).Open(7, "header", sealed, &opened));
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] ^= 1;
    REQUIRE_FALSE(cipher.Open(7, "header", bad, &opened));
  }
}

TEST_CASE("encryption: key files, rotation, wrong keys") {
  const KeyRing old_ring = *KeyRing::Parse("# ours\nk1 " + kHexA + "\n");
  FileKey header;
  auto cipher = old_ring.NewFile(&header);
  REQUIRE(header.key_id == "k1");
  REQUIRE(header.wrapped.size() == kWrappedKeyBytes);
  std::string sealed(1 + kSealBytes, '\0'), opened;
  cipher->Seal(1, "", "x", sealed.data());

  const KeyRing rotated = *KeyRing::Parse("k2 " + kHexB + "\n\nk1 " + kHexA);
  REQUIRE(rotated.current_id() == "k2");
  auto again = rotated.OpenFile(header);
  REQUIRE(again.ok());
  REQUIRE((*again)->Open(1, "", sealed, &opened));
  FileKey newer;
  (void)rotated.NewFile(&newer);
  REQUIRE(newer.key_id == "k2");

  const auto refusal = [&](const std::string& file) {
    return KeyRing::Parse(file)->OpenFile(header).status().message();
  };
  REQUIRE(refusal("k2 " + kHexB).find("key 'k1', which encryption-key-file does not list") !=
          std::string::npos);
  REQUIRE(refusal("k1 " + kHexB).find("is not the key this file was encrypted with") !=
          std::string::npos);

  for (const std::string& bad :
       {std::string(), std::string("# no key\n"), "k1 " + kHexA.substr(1), "k1 " + kHexA + "0",
        "k1  " + kHexA, std::string("k1"), "a/b " + kHexA, "k1 " + kHexA + "\nk1 " + kHexB,
        "seventeen-letters " + kHexA, "k1 g" + kHexA.substr(1)}) {
    INFO(bad);
    REQUIRE(KeyRing::Parse(bad).status().code() == StatusCode::kInvalid);
  }
  FaultFs fs(1);
  fs.Put("keys", "k1 x");
  REQUIRE(KeyRing::Load(&fs, "keys").status().message().starts_with("keys: line 1: "));
  REQUIRE(KeyRing::Load(&fs, "none").status().code() == StatusCode::kNotFound);
}

}  // namespace
}  // namespace cairn
