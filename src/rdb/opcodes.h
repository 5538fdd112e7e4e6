// SPDX-License-Identifier: BSD-3-Clause
//
// The numbers of the RDB format: file grammar, value types, length and string encodings.
// On disk and on the wire, Redis's. Append only.
//
//   file    = magic *record EOF crc64(8, little-endian; 0 = not computed)
//   magic   = "REDIS" version(4 digits) | "VALKEY" version(3 digits, 80 and up)
//   record  = AUX string string | SELECTDB length | RESIZEDB length length
//           | SLOT_INFO length length length | FUNCTION2 string | MODULE_AUX length module-data
//           | [EXPIRETIME_MS i64 | EXPIRETIME i32] [IDLE length | FREQ byte] [meta] type string
//           value
//   meta    = KEY_META length(classes) (u32 module-data)*
//
//   length  = 00xxxxxx | 01xxxxxx xxxxxxxx | 10000000 u32 | 10000001 u64       (big-endian)
//   string  = length bytes | 11000000 i8 | 11000001 i16 | 11000010 i32 (little-endian)
//           | 11000011 length(compressed) length(plain) LZF-bytes
#pragma once

#include <cstddef>
#include <cstdint>

namespace cairn {

// The newest version that we write, also for RESTORE (Redis 7.4), and the oldest (Redis 7.0).
constexpr int kRdbVersion = 12;
constexpr int kRdbVersionMin = 10;
constexpr int kRdbVersionSetListpack = 11;  // Redis 7.2: type 20 and streams with active times
constexpr int kRdbVersionFieldExpiry = 12;  // Redis 7.4
constexpr int kRdbVersionStreamProducers = 13;  // Redis 8.6: type 26, metadata of modules at keys
constexpr int kRdbVersionStreamReleased = 14;   // Redis 8.8: type 27
constexpr int kRdbVersionReadMax = 14;  // of files; values of its new types (arrays) are refused

// Valkey 9 forked the format: files from its version 80 on have a magic of their own, and type 22
// means its hash with field times. We read such files up to kRdbVersionValkeyMax.
constexpr int kRdbVersionValkey = 80;
constexpr int kRdbVersionValkeyMax = 80;

constexpr char kRdbMagic[] = "REDIS";
constexpr char kRdbMagicValkey[] = "VALKEY";
constexpr size_t kRdbHeaderBytes = 9;
constexpr size_t kRdbChecksumBytes = 8;
constexpr int kRdbVersionChecksum = 5;  // files from this version on end with a CRC

enum class RdbOpcode : uint8_t {
  kSlotImport = 243,  // in a file of Valkey
  kKeyMeta = 243,     // in one of Redis: what modules keep beside the value of the next key
  kSlotInfo = 244,
  kFunction2 = 245,
  kFunctionPreGa = 246,
  kModuleAux = 247,
  kIdle = 248,
  kFreq = 249,
  kAux = 250,
  kResizeDb = 251,
  kExpireTimeMs = 252,
  kExpireTime = 253,
  kSelectDb = 254,
  kEof = 255
};

enum class RdbType : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZset = 3,  // scores as text
  kHash = 4,
  kZset2 = 5,  // scores as binary doubles
  kModulePreGa = 6,
  kModule2 = 7,
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kZsetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,  // of ziplists
  kStreamListpacks = 15,
  kHashListpack = 16,
  kZsetListpack = 17,
  kListQuicklist2 = 18,  // of listpacks and plain elements
  kStreamListpacks2 = 19,
  kSetListpack = 20,
  kStreamListpacks3 = 21,
  kHashMetadataPreGa = 22,  // in a file of Valkey: fields, values, absolute times or -1
  kHashListpackExPreGa = 23,
  kHashMetadata = 24,
  kHashListpackEx = 25,
  kStreamListpacks4 = 26,  // with producers' message ids
  kStreamListpacks5 = 27   // and released pending entries
};
constexpr uint8_t kRdbTypeMax = 27;
constexpr uint8_t kRdbTypeMaxValkey = 22;
// A record's first byte: a value type, or an opcode from kSlotImport on.
inline bool IsRdbType(uint8_t byte) { return byte <= kRdbTypeMax && byte != 8; }

// The first byte of a length.
constexpr uint8_t kRdbLength6 = 0x00;
constexpr uint8_t kRdbLength14 = 0x40;
constexpr uint8_t kRdbLength32 = 0x80;
constexpr uint8_t kRdbLength64 = 0x81;
constexpr uint8_t kRdbEncoded = 0xc0;  // a string that is not stored plainly
enum class RdbStringEncoding : uint8_t { kInt8 = 0, kInt16 = 1, kInt32 = 2, kLzf = 3 };

// A quicklist node's kind (kListQuicklist2).
constexpr uint64_t kRdbNodePlain = 1;
constexpr uint64_t kRdbNodePacked = 2;

// Scores as text (kZset): a length byte with three special values.
constexpr uint8_t kRdbScoreNan = 253;
constexpr uint8_t kRdbScoreInfinity = 254;
constexpr uint8_t kRdbScoreMinusInfinity = 255;

// A module's data: pairs of one of these and its value, up to kEof.
enum class RdbModuleOpcode : uint8_t { kEof = 0, kSint = 1, kUint = 2, kFloat = 3, kDouble = 4,
                                       kString = 5 };

// Bytes that follow a DUMP payload's value: version (2, little-endian) and CRC-64 of all before.
constexpr size_t kDumpFooterBytes = 10;

}  // namespace cairn
