// SPDX-License-Identifier: BSD-3-Clause
//
// Readers for the small encodings of Redis before 7.0, which turn them into listpacks. The bytes
// are hostile: all lengths, back lengths and counts are checked. Pure functions.
//
//   ziplist = u32 total bytes | u32 offset of the last entry | u16 entries | entry ... | 0xff
//   entry   = length of the entry before (1 byte, or 0xfe u32) | encoding | payload
//     00llllll                    string up to 63 bytes
//     01llllll llllllll           string up to 16383 bytes, high bits first
//     10------ u32 (big-endian)   longer string
//     11000000 11010000 11100000  integer of 2, 4, 8 bytes
//     11110000 11111110           integer of 3 bytes, of 1 byte
//     1111vvvv (0001..1101)       integer v - 1
//
//   zipmap  = count (254 and above: unknown) | pair ... | 0xff
//   pair    = length field | length, count of free bytes, value, free bytes
//   length  = 1 byte below 254, or 0xfe u32
#pragma once

#include <optional>
#include <string_view>

#include "containers/listpack.h"

namespace cairn {

// The elements in order; nothing if the bytes are no ziplist (or too many for one listpack).
std::optional<Listpack> ZiplistToListpack(std::string_view bytes);

// field, value, field, value ...
std::optional<Listpack> ZipmapToListpack(std::string_view bytes);

}  // namespace cairn
