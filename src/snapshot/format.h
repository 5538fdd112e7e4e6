// SPDX-License-Identifier: BSD-3-Clause
//
// The bytes of a snapshot file. On disk. Append only: numbers below never change their meaning.
//
//   plain (dump.rdb)   an RDB as rdb/opcodes.h describes it
//   packed (LZ4)       file-header head-frame part* end-part trailer
//
//   head-frame = LZ4 frame with the 9 bytes of the RDB's magic and version, stored
//   part       = part-header LZ4 frame of whole RDB records; keys have their own SELECTDB before
//                them, so parts may be loaded in any order (only the first one has no key: AUX ...)
//   run        = parts with kPartContinues and one without, standing together: records that are
//                cut anywhere between them (big values); a run is loaded in its order
//   end-part   = a part with kPartEnd: the EOF opcode and the CRC-64 of the RDB
//   LZ4 frame  = 04 22 4D 18 60 50 FB { u32 size, data }* u32 0   independent blocks of at most
//                256 KiB, the top bit of size says "stored"
//
// Headers are LZ4 skippable frames, so `lz4 -dc FILE` prints the RDB. All integers are
// little-endian; offsets count from the frame's magic.
//
//   file-header  0x184D2A54, 256 bytes        part-header  0x184D2A55, 48 bytes
//     0 u32 magic    4 u32 248                  0 u32 magic   4 u32 40
//     8 u32 crc of 12..255                      8 u32 crc of 12..47 and the frame
//    12 u16 version = 1  14 u16 flags          12 u32 flags
//    16 u64 LSN      24 u64 created, ms        16 u64 plain bytes   24 u64 stored bytes
//    32 char[16] key id  48 char[60] key       32 u64 keys          40 u64 nonce counter
//   108 zeros
//
// Encryption at rest (base/encryption.h): the file header has flag 1, key id and wrapped data key; a
// part with kPartEncrypted, which then are all, has in the place of its frame a skippable one,
// 0x184D2A5E, of the sealed frame; bytes 12..47 of its header, the checksum excepted, are
// authenticated with it. Headers and trailer are not secret. `lz4 -dc` prints the RDB's magic alone,
// `cairn-check cat` the RDB.
//
//   trailer      0x184D2A56, 40 bytes
//     0 u32 magic    4 u32 32    8 u32 crc of 12..39   12 u32 zero
//    16 u64 bytes of the RDB    24 u64 keys    32 u64 parts, the end-part included
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/encryption.h"
#include "base/status.h"

namespace cairn {

enum class SnapshotFormat : uint8_t { kPlain, kPacked };

constexpr uint32_t kSnapshotHeaderMagic = 0x184D2A54;
constexpr uint32_t kPartHeaderMagic = 0x184D2A55;
constexpr uint32_t kSnapshotTrailerMagic = 0x184D2A56;
constexpr uint16_t kSnapshotVersion = 1;
constexpr size_t kSnapshotHeaderBytes = 256;
constexpr size_t kPartHeaderBytes = 48;
constexpr size_t kSnapshotTrailerBytes = 40;
constexpr size_t kPackedBlockBytesMax = 256 * 1024;
constexpr size_t kPartPlainBytesMax = 4 << 20;  // what is longer is written as a run
constexpr uint16_t kSnapshotEncrypted = 1;      // file flags
constexpr uint32_t kPartEnd = 1;                // part flags
constexpr uint32_t kPartEncrypted = 2;
constexpr uint32_t kPartContinues = 4;

struct SnapshotHeader {
  uint64_t lsn = 0;
  uint64_t created_ms = 0;
  FileKey key;  // without an id: not encrypted
};
struct PartHeader {
  uint32_t flags = 0;
  uint64_t plain_bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t keys = 0;
  uint64_t nonce = 0;
  uint32_t crc = 0;
};
struct SnapshotTrailer {
  uint64_t plain_bytes = 0;
  uint64_t keys = 0;
  uint64_t parts = 0;
};

void EncodeSnapshotHeader(const SnapshotHeader& header, std::string* out);
Status DecodeSnapshotHeader(std::string_view bytes, SnapshotHeader* header);
// Appends part header and frame; `acceleration` as in LZ4, 0 stores. Of `header` flags, keys and
// nonce count; with a cipher, which belongs to the caller alone, the frame is sealed.
void EncodePart(PartHeader header, std::string_view plain, int acceleration, BlockCipher* cipher,
                std::string* out);
// Reads the header without the frame, so without its checksum.
Status DecodePartHeader(std::string_view bytes, PartHeader* header);
// `part` is header and frame; appends the plain bytes. `cipher` is the file's, if it has one.
Status DecodePart(std::string_view part, const PartHeader& header, BlockCipher* cipher,
                  std::string* plain);
// The cipher of a file with this header, null if it is not encrypted. kInvalid, worded for the
// operator, if `keys` (may be null) cannot open it.
Result<std::unique_ptr<BlockCipher>> OpenCipher(const SnapshotHeader& header, const KeyRing* keys);
void EncodeSnapshotTrailer(const SnapshotTrailer& trailer, std::string* out);
Status DecodeSnapshotTrailer(std::string_view bytes, SnapshotTrailer* trailer);

// A frame alone; the head-frame is one with acceleration 0.
void AppendFrame(std::string_view plain, int acceleration, std::string* out);
constexpr size_t FrameBytesStored(size_t plain_bytes) {
  return 7 + 4 * ((plain_bytes + kPackedBlockBytesMax - 1) / kPackedBlockBytesMax) + plain_bytes +
         4;
}
// What a part stores at most: a frame that does not shrink, sealed.
constexpr size_t kPartStoredBytesMax = FrameBytesStored(kPartPlainBytesMax) + 64;

}  // namespace cairn
