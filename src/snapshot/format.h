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
//    32 zeros (encryption at rest)             32 u64 keys          40 zeros
//
//   trailer      0x184D2A56, 40 bytes
//     0 u32 magic    4 u32 32    8 u32 crc of 12..39   12 u32 zero
//    16 u64 bytes of the RDB    24 u64 keys    32 u64 parts, the end-part included
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
constexpr uint32_t kPartEnd = 1;  // part flags

struct SnapshotHeader {
  uint64_t lsn = 0;
  uint64_t created_ms = 0;
};
struct PartHeader {
  uint32_t flags = 0;
  uint64_t plain_bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t keys = 0;
  uint32_t crc = 0;
};
struct SnapshotTrailer {
  uint64_t plain_bytes = 0;
  uint64_t keys = 0;
  uint64_t parts = 0;
};

void EncodeSnapshotHeader(const SnapshotHeader& header, std::string* out);
Status DecodeSnapshotHeader(std::string_view bytes, SnapshotHeader* header);
// Appends part header and frame; `acceleration` as in LZ4, 0 stores.
void EncodePart(uint32_t flags, uint64_t keys, std::string_view plain, int acceleration,
                std::string* out);
// Reads the header without the frame, so without its checksum.
Status DecodePartHeader(std::string_view bytes, PartHeader* header);
// `part` is header and frame; appends the plain bytes.
Status DecodePart(std::string_view part, const PartHeader& header, std::string* plain);
void EncodeSnapshotTrailer(const SnapshotTrailer& trailer, std::string* out);
Status DecodeSnapshotTrailer(std::string_view bytes, SnapshotTrailer* trailer);

// A frame alone; the head-frame is one with acceleration 0.
void AppendFrame(std::string_view plain, int acceleration, std::string* out);
constexpr size_t FrameBytesStored(size_t plain_bytes) {
  return 7 + 4 * ((plain_bytes + kPackedBlockBytesMax - 1) / kPackedBlockBytesMax) + plain_bytes +
         4;
}

}  // namespace cairn
