// SPDX-License-Identifier: BSD-3-Clause
//
// The hash of keys and of collection members: XXH3 with a secret drawn once at start, so that
// nobody outside can aim keys at one bucket. All 64 bits are good. Never stored on disk.
#pragma once

#include <cstdint>
#include <string_view>

namespace cairn {

// Draws the seed; before it is called the seed is 0. Call once, before any thread starts.
void SeedHash(uint64_t seed);
uint64_t HashBytes(std::string_view bytes);
// XXH3 without a secret, the same on every machine: what DIGEST answers. Not for hash tables.
uint64_t DigestBytes(std::string_view bytes);

}  // namespace cairn
