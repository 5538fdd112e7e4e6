// SPDX-License-Identifier: BSD-3-Clause
#include "script/sha1.h"

#include <openssl/sha.h>

namespace cairn {

std::string Sha1Hex(std::string_view text) {
  unsigned char hash[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  std::string hex;
  hex.reserve(kSha1HexBytes);
  for (unsigned char byte : hash) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

}  // namespace cairn
