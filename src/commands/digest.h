// SPDX-License-Identifier: BSD-3-Clause
//
// The digests of DEBUG DIGEST and DEBUG DIGEST-VALUE: equal to redis-server's for equal data, so
// that two servers can be compared. SHA-1 of parts, combined by XOR where order does not count.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "keyspace/keyspace.h"

namespace cairn {

class Digest {
 public:
  // Combines by XOR: the order of calls does not matter.
  void Xor(std::string_view bytes);
  // Combines so that order matters.
  void Mix(std::string_view bytes);
  void XorDigest(const Digest& other) { Xor({other.bytes(), 20}); }
  std::string Hex() const;

 private:
  const char* bytes() const { return reinterpret_cast<const char*>(state_.data()); }
  std::array<unsigned char, 20> state_ = {};
};

// Adds the value of an entry (and whether it expires) to a digest.
void DigestEntry(Digest* digest, Entry* entry);
// Of all databases; under scope All.
Digest DigestKeyspace(Keyspace& keyspace);

}  // namespace cairn
