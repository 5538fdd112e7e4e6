// SPDX-License-Identifier: BSD-3-Clause
//
// Checksums. Crc32c (Castagnoli, RFC 3720 appendix B.4) guards journal blocks; Crc64 is Redis's
// "Jones" polynomial (reflected, init 0) that ends RDB files and DUMP payloads; Crc16 (XMODEM)
// maps keys to cluster slots. All continue from an earlier result: Crc(Crc(0, a), b) == Crc(0, ab).
#pragma once

#include <cstdint>
#include <string_view>

namespace cairn {

uint32_t Crc32c(uint32_t crc, std::string_view bytes);
uint64_t Crc64(uint64_t crc, std::string_view bytes);
// Crc64 of the concatenation, from the CRCs of both parts and the length of the second.
uint64_t Crc64Combine(uint64_t first, uint64_t second, uint64_t second_bytes);
uint16_t Crc16(std::string_view bytes);

}  // namespace cairn
