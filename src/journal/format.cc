// SPDX-License-Identifier: BSD-3-Clause
#include "journal/format.h"

#include <lz4.h>
#include <string.h>

#include <memory>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/numbers.h"
#include "base/random.h"

namespace cairn {
namespace {

// LZ4 frame magic, FLG (version 1, independent blocks), BD (256 KiB), header checksum: the second
// byte of XXH32 of FLG and BD.
constexpr unsigned char kFrameStart[7] = {0x04, 0x22, 0x4D, 0x18, 0x60, 0x50, 0xFB};
constexpr uint32_t kStoredBit = 0x80000000;
constexpr size_t kFrameHeadBytes = sizeof kFrameStart + 4;
constexpr size_t kKeyIdOffset = 100;  // in a segment header
constexpr size_t kCrcEnd = 12;        // checksums and authentication begin here
constexpr size_t kSegmentSaltOffset = 192, kBlockSaltOffset = 88;

std::string_view View(const DirectString& bytes, size_t from, size_t to) {
  return std::string_view(bytes).substr(from, to - from);
}

void AppendWord(uint32_t word, DirectString* out) {
  char bytes[4];
  StoreLe<uint32_t>(bytes, word);
  out->append(bytes, sizeof bytes);
}

// Appends the LZ4 frame of `plain` and returns its length.
size_t AppendFrame(std::string_view plain, int acceleration, DirectString* out) {
  std::unique_ptr<char[]> packed;
  std::string_view data = plain;
  uint32_t word = static_cast<uint32_t>(plain.size()) | kStoredBit;
  if (acceleration > 0 && plain.size() >= kCompressBytesMin) {
    // Not into `out`, which would be cleared first: that costs a tenth of compressing. One byte
    // less than the plain length: what does not shrink is stored.
    packed = std::make_unique_for_overwrite<char[]>(plain.size());
    const int size = LZ4_compress_fast(plain.data(), packed.get(), static_cast<int>(plain.size()),
                                       static_cast<int>(plain.size() - 1), acceleration);
    if (size > 0) {
      data = {packed.get(), static_cast<size_t>(size)};
      word = static_cast<uint32_t>(size);
    }
  }
  out->append(reinterpret_cast<const char*>(kFrameStart), sizeof kFrameStart);
  AppendWord(word, out);
  out->append(data);
  AppendWord(0, out);
  return kFrameOverheadBytes + data.size();
}

// Up to where the file is `align` bytes times some number long; 0 if it is so already.
uint32_t AppendPad(size_t align, uint64_t ahead, DirectString* out) {
  size_t bytes = (align - (ahead + out->size()) % align) % align;
  if (bytes == 0) return 0;
  if (bytes < kPadHeadBytes) bytes += align;
  const size_t start = out->size();
  out->resize(start + bytes, '\0');
  EncodePadHead(static_cast<uint32_t>(bytes), out->data() + start);
  return static_cast<uint32_t>(bytes);
}

// Takes the pad off the end of what a block stores, of which `bytes` are something else.
bool StripPad(size_t bytes, std::string_view* stored) {
  if (stored->size() == bytes) return true;
  uint64_t pad;
  if (stored->size() < bytes || !DecodePadHead(stored->substr(bytes), &pad) ||
      pad != stored->size() - bytes)
    return false;
  *stored = stored->substr(0, bytes);
  return true;
}

}  // namespace

std::string NewReplicationId() {
  unsigned char bytes[kReplicationIdChars / 2];
  RandomBytes(bytes, sizeof bytes);
  std::string id;
  for (unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

bool IsReplicationId(const std::string& text) {
  return text.size() == kReplicationIdChars &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void EncodeSegmentHeader(SegmentHeader* header, DirectString* out) {
  CHECK(IsReplicationId(header->timeline.replid));
  const size_t start = out->size();
  out->resize(start + kSegmentHeaderBytes, '\0');
  char* p = out->data() + start;
  StoreLe<uint32_t>(p, kSegmentHeaderMagic);
  StoreLe<uint32_t>(p + 4, kSegmentHeaderBytes - 8);
  StoreLe<uint16_t>(p + 12, kJournalVersion);
  StoreLe<uint32_t>(p + 16, header->timeline.number);
  StoreLe<uint32_t>(p + 20, header->timeline.parent);
  StoreLe<uint64_t>(p + 24, header->first_lsn);
  StoreLe<uint64_t>(p + 32, header->timeline.branch_lsn);
  StoreLe<uint64_t>(p + 40, header->sequence);
  StoreLe<uint64_t>(p + 48, header->created_ms);
  memcpy(p + 56, header->timeline.replid.data(), kReplicationIdChars);
  StoreLe<uint32_t>(p + 96, header->database);
  if (!header->key.key_id.empty()) {
    CHECK(header->key.key_id.size() <= kKeyIdBytesMax);
    CHECK(header->key.wrapped.size() == kWrappedKeyBytes);
    StoreLe<uint16_t>(p + 14, kSegmentEncrypted);
    memcpy(p + kKeyIdOffset, header->key.key_id.data(), header->key.key_id.size());
    memcpy(p + kKeyIdOffset + kKeyIdBytesMax, header->key.wrapped.data(), kWrappedKeyBytes);
  }
  StoreLe<uint64_t>(p + kSegmentSaltOffset, header->salt);
  header->crc = Crc32c(0, View(*out, start + 12, out->size()));
  StoreLe<uint32_t>(p + 8, header->crc);
}

Status DecodeSegmentHeader(std::string_view bytes, SegmentHeader* header) {
  if (bytes.size() < kSegmentHeaderBytes) return Status::Corrupt("segment header is cut short");
  const char* p = bytes.data();
  if (LoadLe<uint32_t>(p) != kSegmentHeaderMagic ||
      LoadLe<uint32_t>(p + 4) != kSegmentHeaderBytes - 8)
    return Status::Corrupt("not a journal segment");
  header->crc = LoadLe<uint32_t>(p + 8);
  if (header->crc != Crc32c(0, bytes.substr(12, kSegmentHeaderBytes - 12)))
    return Status::Corrupt("segment header fails its checksum");
  const uint16_t flags = LoadLe<uint16_t>(p + 14);
  if (LoadLe<uint16_t>(p + 12) != kJournalVersion || (flags & ~kSegmentEncrypted) != 0)
    return Status::Invalid("segment was written by a newer version");
  header->timeline.number = LoadLe<uint32_t>(p + 16);
  header->timeline.parent = LoadLe<uint32_t>(p + 20);
  header->first_lsn = LoadLe<uint64_t>(p + 24);
  header->timeline.branch_lsn = LoadLe<uint64_t>(p + 32);
  header->sequence = LoadLe<uint64_t>(p + 40);
  header->created_ms = LoadLe<uint64_t>(p + 48);
  header->timeline.replid.assign(p + 56, kReplicationIdChars);
  header->database = LoadLe<uint32_t>(p + 96);
  header->salt = LoadLe<uint64_t>(p + kSegmentSaltOffset);
  header->key = {};
  if (flags & kSegmentEncrypted) {
    const char* id = p + kKeyIdOffset;
    header->key.key_id.assign(id, strnlen(id, kKeyIdBytesMax));
    header->key.wrapped.assign(id + kKeyIdBytesMax, kWrappedKeyBytes);
    if (header->key.key_id.empty()) return Status::Corrupt("encrypted segment names no key");
  }
  return Status::Ok();
}

void EncodeBlock(BlockHeader* header, std::string_view plain, int acceleration, DirectString* out,
                 BlockCipher* cipher, size_t align, uint64_t ahead) {
  CHECK(plain.size() <= kBlockPlainBytesMax);
  const size_t start = out->size();
  out->resize(start + kBlockHeaderBytes, '\0');
  header->plain_bytes = static_cast<uint32_t>(plain.size());
  header->stored_bytes =
      plain.empty() ? 0 : static_cast<uint32_t>(AppendFrame(plain, acceleration, out));
  std::string frame;
  if (cipher != nullptr && !plain.empty()) {
    frame = View(*out, start + kBlockHeaderBytes, out->size());
    header->flags |= kBlockEncrypted;
    header->stored_bytes += kSealedOverheadBytes;
    out->resize(out->size() + kSealedOverheadBytes);
  }
  const uint32_t sealed_bytes = header->stored_bytes;
  if (align != 0 && !plain.empty()) header->stored_bytes += AppendPad(align, ahead, out);
  char* p = out->data() + start;
  StoreLe<uint32_t>(p, kBlockHeaderMagic);
  StoreLe<uint32_t>(p + 4, kBlockHeaderBytes - 8);
  StoreLe<uint16_t>(p + 12, kJournalVersion);
  StoreLe<uint16_t>(p + 14, header->flags);
  StoreLe<uint64_t>(p + 16, header->first_lsn);
  StoreLe<uint32_t>(p + 24, header->plain_bytes);
  StoreLe<uint32_t>(p + 28, header->stored_bytes);
  StoreLe<uint32_t>(p + 32, header->first_record);
  StoreLe<uint32_t>(p + 36, header->database);
  StoreLe<uint64_t>(p + 40, header->last_unit_lsn);
  StoreLe<uint64_t>(p + 48, header->first_ms);
  StoreLe<uint64_t>(p + 56, header->last_ms);
  StoreLe<uint64_t>(p + 64, header->synced_lsn);
  StoreLe<uint32_t>(p + 72, header->previous_crc);
  StoreLe<uint32_t>(p + 76, header->timeline);
  StoreLe<uint64_t>(p + 80, header->nonce);
  StoreLe<uint64_t>(p + kBlockSaltOffset, header->salt);
  if (header->encrypted()) {
    char* sealed = p + kBlockHeaderBytes;
    StoreLe<uint32_t>(sealed, kSealedMagic);
    StoreLe<uint32_t>(sealed + 4, sealed_bytes - 8);
    cipher->Seal(header->nonce, {p + kCrcEnd, kBlockHeaderBytes - kCrcEnd}, frame, sealed + 8);
  }
  header->crc = Crc32c(0, View(*out, start + 12, out->size()));
  StoreLe<uint32_t>(p + 8, header->crc);
}

Status DecodeBlockHeader(std::string_view bytes, BlockHeader* header) {
  if (bytes.size() < kBlockHeaderBytes) return Status::Corrupt("block header is cut short");
  const char* p = bytes.data();
  if (LoadLe<uint32_t>(p) != kBlockHeaderMagic || LoadLe<uint32_t>(p + 4) != kBlockHeaderBytes - 8)
    return Status::Corrupt("no block header here");
  if (LoadLe<uint16_t>(p + 12) != kJournalVersion)
    return Status::Corrupt("block of an unknown version");
  header->crc = LoadLe<uint32_t>(p + 8);
  header->flags = LoadLe<uint16_t>(p + 14);
  header->first_lsn = LoadLe<uint64_t>(p + 16);
  header->plain_bytes = LoadLe<uint32_t>(p + 24);
  header->stored_bytes = LoadLe<uint32_t>(p + 28);
  header->first_record = LoadLe<uint32_t>(p + 32);
  header->database = LoadLe<uint32_t>(p + 36);
  header->last_unit_lsn = LoadLe<uint64_t>(p + 40);
  header->first_ms = LoadLe<uint64_t>(p + 48);
  header->last_ms = LoadLe<uint64_t>(p + 56);
  header->synced_lsn = LoadLe<uint64_t>(p + 64);
  header->previous_crc = LoadLe<uint32_t>(p + 72);
  header->timeline = LoadLe<uint32_t>(p + 76);
  header->nonce = LoadLe<uint64_t>(p + 80);
  header->salt = LoadLe<uint64_t>(p + kBlockSaltOffset);
  if (header->plain_bytes > kBlockPlainBytesMax || header->stored_bytes > kBlockStoredBytesMax ||
      (header->plain_bytes == 0) != (header->stored_bytes == 0) ||
      header->first_lsn > kLsnMax - kBlockPlainBytesMax ||
      header->last_unit_lsn > header->end_lsn())
    return Status::Corrupt("block header contradicts itself");
  return Status::Ok();
}

Status CheckBlock(std::string_view block, const BlockHeader& header) {
  if (block.size() != kBlockHeaderBytes + header.stored_bytes)
    return Status::Corrupt("block is cut short");
  if (Crc32c(0, block.substr(12)) != header.crc) return Status::Corrupt("block fails its checksum");
  return Status::Ok();
}

Status DecodeFrame(std::string_view frame, size_t plain_bytes, std::string* plain) {
  plain->clear();
  if (plain_bytes == 0 && frame.empty()) return Status::Ok();
  if (frame.size() < kFrameOverheadBytes || plain_bytes > kBlockPlainBytesMax ||
      memcmp(frame.data(), kFrameStart, sizeof kFrameStart) != 0)
    return Status::Corrupt("block holds no LZ4 frame of ours");
  const uint32_t word = LoadLe<uint32_t>(frame.data() + sizeof kFrameStart);
  const size_t size = word & ~kStoredBit;
  if (!StripPad(kFrameOverheadBytes + size, &frame))
    return Status::Corrupt("LZ4 frame has another length than its block");
  const char* data = frame.data() + kFrameHeadBytes;
  if (word & kStoredBit) {
    if (size != plain_bytes) return Status::Corrupt("stored block has another length");
    plain->assign(data, size);
    return Status::Ok();
  }
  plain->resize(plain_bytes);
  int n = LZ4_decompress_safe(data, plain->data(), static_cast<int>(size),
                              static_cast<int>(plain_bytes));
  if (n < 0 || static_cast<size_t>(n) != plain_bytes)
    return Status::Corrupt("LZ4 block does not decompress");
  return Status::Ok();
}

Status DecodeBlock(std::string_view block, const BlockHeader& header, BlockCipher* cipher,
                   std::string* plain) {
  std::string_view frame = block.substr(kBlockHeaderBytes);
  if (!header.encrypted()) return DecodeFrame(frame, header.plain_bytes, plain);
  if (cipher == nullptr) return Status::Corrupt("encrypted block in a segment without a key");
  if (frame.size() < kSealedOverheadBytes || LoadLe<uint32_t>(frame.data()) != kSealedMagic ||
      !StripPad(size_t{LoadLe<uint32_t>(frame.data() + 4)} + 8, &frame) ||
      frame.size() < kSealedOverheadBytes)
    return Status::Corrupt("encrypted block holds no sealed frame");
  std::string opened;
  if (!cipher->Open(header.nonce, block.substr(kCrcEnd, kBlockHeaderBytes - kCrcEnd),
                    frame.substr(8), &opened))
    return Status::Corrupt("block fails its authentication: changed, or another key");
  return DecodeFrame(opened, header.plain_bytes, plain);
}

void EncodeIndex(const std::vector<IndexEntry>& entries, Lsn first, Lsn end, DirectString* out) {
  const size_t start = out->size();
  const size_t bytes = kIndexFixedBytes + entries.size() * kIndexEntryBytes;
  out->resize(start + bytes, '\0');
  char* p = out->data() + start;
  StoreLe<uint32_t>(p, kIndexMagic);
  StoreLe<uint32_t>(p + 4, static_cast<uint32_t>(bytes - 8));
  StoreLe<uint32_t>(p + 12, static_cast<uint32_t>(entries.size()));
  StoreLe<uint64_t>(p + 16, first);
  StoreLe<uint64_t>(p + 24, end);
  for (size_t i = 0; i < entries.size(); ++i) {
    StoreLe<uint64_t>(p + 32 + i * kIndexEntryBytes, entries[i].lsn);
    StoreLe<uint64_t>(p + 40 + i * kIndexEntryBytes, entries[i].offset);
  }
  StoreLe<uint32_t>(p + bytes - 8, static_cast<uint32_t>(bytes));
  StoreLe<uint32_t>(p + bytes - 4, kIndexTrailerMagic);
  StoreLe<uint32_t>(p + 8, Crc32c(0, View(*out, start + 12, out->size())));
}

Status DecodeIndex(std::string_view frame, std::vector<IndexEntry>* entries, Lsn* first,
                   Lsn* end) {
  if (frame.size() < kIndexFixedBytes || LoadLe<uint32_t>(frame.data()) != kIndexMagic ||
      LoadLe<uint32_t>(frame.data() + 4) != frame.size() - 8)
    return Status::Corrupt("not an index frame");
  const char* p = frame.data();
  const size_t count = LoadLe<uint32_t>(p + 12);
  if (Crc32c(0, frame.substr(12)) != LoadLe<uint32_t>(p + 8) ||
      frame.size() != kIndexFixedBytes + count * kIndexEntryBytes)
    return Status::Corrupt("index fails its checksum");
  *first = LoadLe<uint64_t>(p + 16);
  *end = LoadLe<uint64_t>(p + 24);
  entries->clear();
  for (size_t i = 0; i < count; ++i)
    entries->push_back({LoadLe<uint64_t>(p + 32 + i * kIndexEntryBytes),
                        LoadLe<uint64_t>(p + 40 + i * kIndexEntryBytes)});
  return Status::Ok();
}

void EncodePadHead(uint32_t bytes, char* head) {
  DCHECK(bytes >= kPadHeadBytes);
  StoreLe<uint32_t>(head, kPadMagic);
  StoreLe<uint32_t>(head + 4, bytes - uint32_t{kPadHeadBytes});
}

bool DecodePadHead(std::string_view head, uint64_t* bytes) {
  if (head.size() < kPadHeadBytes || LoadLe<uint32_t>(head.data()) != kPadMagic) return false;
  *bytes = uint64_t{LoadLe<uint32_t>(head.data() + 4)} + kPadHeadBytes;
  return true;
}

size_t EncodeSelect(char* buffer, uint32_t database) {
  char digits[kInt64CharsMax];
  const size_t count = FormatUint64(digits, database);
  memcpy(buffer, "*2\r\n$6\r\nSELECT\r\n$", 17);
  char* p = buffer + 17;
  p += FormatUint64(p, count);
  memcpy(p, "\r\n", 2);
  memcpy(p + 2, digits, count);
  memcpy(p + 2 + count, "\r\n", 2);
  return static_cast<size_t>(p - buffer) + count + 4;
}

size_t SelectBytes(uint32_t database) {
  size_t digits = 1;
  for (uint32_t rest = database; rest >= 10; rest /= 10) ++digits;
  return 17 + (digits >= 10 ? 2 : 1) + digits + 4;
}

}  // namespace cairn
