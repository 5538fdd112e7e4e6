// SPDX-License-Identifier: BSD-3-Clause
//
// The bytes of a journal segment. On disk. Append only: numbers below never change their meaning.
//
//   segment       = segment-header [ preamble ] block* [ index | pad+ ]
//   preamble      = block with kBlockNotInStream: SELECT of the database that the stream is in
//   block         = block-header lz4-frame [ pad ]  (a "mark" is a block-header alone)
//   lz4-frame     = 04 22 4D 18 60 50 FB  u32 size  data  u32 0
//                   (the standard LZ4 frame of one independent block of at most 256 KiB, no
//                   checksums; the top bit of size says "data is stored, not compressed")
//
// Headers and index are LZ4 skippable frames (u32 0x184D2A50 + kind, u32 content bytes, content),
// so `lz4 -dc SEGMENT` prints the stream with the preamble in front of it: an AOF. All integers
// are little-endian. Offsets below count from the frame's magic.
//
//   segment-header  kind 0, 256 bytes       block-header  kind 1, 96 bytes
//     0 u32 magic   4 u32 248                 0 u32 magic   4 u32 88
//     8 u32 crc of 12..255                    8 u32 crc of 12..95 and what is stored behind
//    12 u16 version = 1  14 u16 flags        12 u16 version = 1  14 u16 flags
//    16 u32 timeline     20 u32 parent       16 u64 first LSN
//    24 u64 first LSN    32 u64 branch LSN   24 u32 plain bytes   28 u32 stored bytes
//    40 u64 sequence     48 u64 created, ms  32 u32 offset of the first record start, ~0 = none
//    56 char[40] replid  96 u32 database     36 u32 database there, ~0 = none selected
//   100 char[16] key id 116 char[76] key     40 u64 end of the last complete unit so far
//   192 u64 salt        200 zeros            48 u64 first wall time, ms   56 u64 last
//                                            64 u64 durable LSN when sealed
//                                            72 u32 crc of the header before it in this segment
//   index  kind 3, 40 + 16 n bytes           76 u32 timeline      80 u64 nonce counter
//                                            88 u64 salt of the segment
//     0 u32 magic   4 u32 content bytes
//     8 u32 crc of 12..end  12 u32 n
//    16 u64 first LSN  24 u64 end LSN
//    32 n times { u64 first LSN of a block, u64 its file offset }: about one a MiB
//    end-8 u32 bytes of this whole frame  end-4 u32 "CIDX"
//
//   pad  kind 2, 8 bytes or more: 0 u32 magic  4 u32 content bytes
//
// Pads are room that was made ahead (segment_writer.h), of zeros for the most part, up to the end
// of a file that is in use or was when its server died: where the first one begins the next block
// will stand. The last one may claim more than the file has: it was written, its room not synced.
// A pad inside of a block, one of its stored bytes, makes it end where a disk's block does.
//
// Encryption at rest (base/encryption.h): the segment header has flag 1, the key id and, in the
// first 60 of the 76 bytes, the wrapped data key; a block with kBlockEncrypted has in the place of
// its lz4-frame one skippable frame, kind 14, of the sealed lz4-frame. Bytes 12..95 of the block
// header are authenticated with it. Headers, marks and index are not secret; `lz4 -dc` prints
// nothing, `cairn-check cat` the stream.
//
// A unit is a whole top-level record (a MULTI..EXEC group is one). A unit may span blocks, never
// segments. A block with neither plain nor stored bytes is a mark: it only says how far the log
// was durable, so that damage to the last group before a pause is told from a torn write.
//
// The salt is random, and 0 in segments of before there was one. Recovery looks for blocks behind a
// damaged place, hence also inside of what a torn block held, which is what some client sent:
// without knowing the salt nobody can send what is taken for a block.
// Any thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/encryption.h"
#include "base/file.h"
#include "base/status.h"
#include "journal/lsn.h"

namespace cairn {

constexpr uint32_t kSkippableMagic = 0x184D2A50;
constexpr uint32_t kSegmentHeaderMagic = kSkippableMagic + 0;
constexpr uint32_t kBlockHeaderMagic = kSkippableMagic + 1;
constexpr uint32_t kPadMagic = kSkippableMagic + 2;
constexpr uint32_t kIndexMagic = kSkippableMagic + 3;
constexpr uint32_t kSealedMagic = kSkippableMagic + 14;
constexpr uint32_t kIndexTrailerMagic = 0x58444943;  // "CIDX"
constexpr uint16_t kJournalVersion = 1;

constexpr size_t kSegmentHeaderBytes = 256;
constexpr size_t kBlockHeaderBytes = 96;
constexpr size_t kPadHeadBytes = 8;
constexpr size_t kIndexFixedBytes = 40;
constexpr size_t kIndexEntryBytes = 16;
constexpr size_t kBlockPlainBytesMax = 256 * 1024;
constexpr size_t kFrameOverheadBytes = 15;  // magic, descriptor, size, end mark
constexpr size_t kSealedOverheadBytes = 8 + kSealBytes;  // skippable frame's head, tag
constexpr size_t kBlockPadBytesMax = kDirectAlignBytes + kPadHeadBytes - 1;
constexpr size_t kBlockStoredBytesMax =
    kBlockPlainBytesMax + kFrameOverheadBytes + kSealedOverheadBytes + kBlockPadBytesMax;
// Below this a block is stored: LZ4 gains little there and costs the commit its latency.
constexpr size_t kCompressBytesMin = 1024;

constexpr uint16_t kSegmentEncrypted = 1;  // segment flags
constexpr uint16_t kBlockNotInStream = 1;  // block flags
constexpr uint16_t kBlockEncrypted = 2;

constexpr uint32_t kNoOffset = ~uint32_t{0};
constexpr uint32_t kNoDatabase = ~uint32_t{0};

struct SegmentHeader {
  Timeline timeline;
  Lsn first_lsn = 0;
  uint64_t sequence = 0;
  uint64_t created_ms = 0;
  uint32_t database = kNoDatabase;
  FileKey key;       // key_id is empty if the segment is not encrypted
  uint64_t salt = 0;
  uint32_t crc = 0;  // set by both functions below
};

struct BlockHeader {
  uint16_t flags = 0;
  Lsn first_lsn = 0;
  uint32_t plain_bytes = 0;
  uint32_t stored_bytes = 0;
  uint32_t first_record = kNoOffset;
  uint32_t database = kNoDatabase;
  Lsn last_unit_lsn = 0;
  uint64_t first_ms = 0;
  uint64_t last_ms = 0;
  Lsn synced_lsn = 0;
  uint32_t previous_crc = 0;
  uint32_t timeline = 0;
  uint64_t nonce = 0;  // of an encrypted block: a counter, never twice in one segment
  uint64_t salt = 0;
  uint32_t crc = 0;    // set by both functions below

  bool encrypted() const { return (flags & kBlockEncrypted) != 0; }
  bool in_stream() const { return (flags & kBlockNotInStream) == 0; }
  bool is_mark() const { return plain_bytes == 0; }
  Lsn end_lsn() const { return first_lsn + (in_stream() ? plain_bytes : 0); }
};

struct IndexEntry {
  Lsn lsn = 0;
  uint64_t offset = 0;
};

// Appends the 256 bytes to `out`.
void EncodeSegmentHeader(SegmentHeader* header, DirectString* out);
// kCorrupt unless `bytes` begins with a whole valid segment header.
Status DecodeSegmentHeader(std::string_view bytes, SegmentHeader* header);

// Appends header and frame of `plain` to `out`, compressed with `acceleration` (see LZ4) if it is
// long enough and shrinks; 0 = always stored. With a cipher it is sealed by the counter
// header->nonce. Where `align` is not 0 a pad makes out's length a multiple of it, `ahead` counted
// in: the bytes of the file that stand in front of those in `out`. Fills plain_bytes, stored_bytes,
// crc and the encrypted flag.
void EncodeBlock(BlockHeader* header, std::string_view plain, int acceleration, DirectString* out,
                 BlockCipher* cipher = nullptr, size_t align = 0, uint64_t ahead = 0);
// Reads the 96 bytes without the frame, so without checking the checksum: enough to know how much
// to read. kCorrupt if fields contradict each other.
Status DecodeBlockHeader(std::string_view bytes, BlockHeader* header);
// `block` is header and frame as stored. kCorrupt if the checksum fails.
Status CheckBlock(std::string_view block, const BlockHeader& header);
// The plain bytes of a frame that is not sealed.
Status DecodeFrame(std::string_view frame, size_t plain_bytes, std::string* plain);
// The plain bytes of a block (header and frame as stored) that CheckBlock accepted; `cipher` may be
// null where the block is not encrypted. kCorrupt if it was sealed with another key or changed.
Status DecodeBlock(std::string_view block, const BlockHeader& header, BlockCipher* cipher,
                   std::string* plain);

void EncodeIndex(const std::vector<IndexEntry>& entries, Lsn first, Lsn end, DirectString* out);
// `frame` is the whole index frame.
Status DecodeIndex(std::string_view frame, std::vector<IndexEntry>* entries, Lsn* first, Lsn* end);

// The head of a pad of `bytes` bytes, its own included.
void EncodePadHead(uint32_t bytes, char* head);
// Whether a pad begins here; `bytes` is its length.
bool DecodePadHead(std::string_view head, uint64_t* bytes);

// "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"; returns its length. The buffer holds kSelectBytesMax.
constexpr size_t kSelectBytesMax = 40;
size_t EncodeSelect(char* buffer, uint32_t database);
size_t SelectBytes(uint32_t database);

}  // namespace cairn
