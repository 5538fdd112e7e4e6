// SPDX-License-Identifier: BSD-3-Clause
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace cairn {
namespace {
uint64_t g_seed = 0;  // written once before threads exist
}

void SeedHash(uint64_t seed) { g_seed = seed; }

uint64_t HashBytes(std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), g_seed);
}

uint64_t DigestBytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace cairn
