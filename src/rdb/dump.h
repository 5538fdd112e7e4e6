// SPDX-License-Identifier: BSD-3-Clause
//
// DUMP payloads, which RESTORE and MIGRATE carry:
//
//   type byte | value | RDB version (2 bytes) | CRC-64 of all before (8 bytes)    little-endian
#pragma once

#include <string>
#include <string_view>

#include "rdb/value.h"

namespace cairn {

// A payload that readers of RDB version `version` take, if the value can be said there at all.
std::string DumpString(std::string_view text, int version = kRdbVersionMin);
std::string DumpValue(Type type, uint64_t rep, int version = kRdbVersionMin);

// Appends version and CRC to type and value.
void FinishDump(int version, std::string* payload);

// Version and checksum, as Redis 7.4 accepts them (unlike in files, a checksum of zero is compared
// too): false means "ERR DUMP payload version or checksum are wrong".
bool VerifyDump(std::string_view payload);

// The value of a payload that VerifyDump() took. Errors as RdbLoad(): "ERR Bad data format". Like
// Redis, it does not mind bytes behind the value.
Result<RdbValue> LoadDump(std::string_view payload, const Thresholds& thresholds);

}  // namespace cairn
