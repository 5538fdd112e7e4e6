// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/format.h"

#include <lz4.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc.h"

namespace cairn {
namespace {

constexpr char kFrameStart[7] = {0x04, 0x22, 0x4D, 0x18, 0x60, 0x50, static_cast<char>(0xFB)};
constexpr uint32_t kSealedPartMagic = 0x184D2A5E;
constexpr size_t kSealedHeadBytes = 8;
// In the header's content, which begins at byte 12 of the file.
constexpr size_t kKeyIdAt = 20, kWrappedAt = 36;
constexpr uint32_t kStoredBit = uint32_t{1} << 31;

void AppendU32(uint32_t value, std::string* out) {
  char bytes[4];
  StoreLe(bytes, value);
  out->append(bytes, sizeof bytes);
}

// A skippable frame's magic, length and checksum are where they should be.
Status CheckFixed(std::string_view bytes, uint32_t magic, size_t size, const char* what) {
  if (bytes.size() < size || LoadLe<uint32_t>(bytes.data()) != magic ||
      LoadLe<uint32_t>(bytes.data() + 4) != size - 8)
    return Status::Corrupt(std::string("no ") + what + " here");
  if (Crc32c(0, bytes.substr(12, size - 12)) != LoadLe<uint32_t>(bytes.data() + 8))
    return Status::Corrupt(std::string(what) + " fails its checksum");
  return Status::Ok();
}

void AppendFixed(std::string_view content, uint32_t magic, std::string* out) {
  const size_t start = out->size();
  AppendU32(magic, out);
  AppendU32(static_cast<uint32_t>(content.size() + 4), out);
  AppendU32(0, out);
  out->append(content);
  StoreLe(out->data() + start + 8, Crc32c(0, content));
}

}  // namespace

void AppendFrame(std::string_view plain, int acceleration, std::string* out) {
  out->append(kFrameStart, sizeof kFrameStart);
  out->reserve(out->size() + FrameBytesStored(plain.size()));
  // Not into `out`, which would be cleared first.
  const auto packed =
      std::make_unique_for_overwrite<char[]>(std::min(plain.size(), kPackedBlockBytesMax));
  while (!plain.empty()) {
    const std::string_view block = plain.substr(0, kPackedBlockBytesMax);
    plain.remove_prefix(block.size());
    int size = 0;
    // One byte less than the block: what does not shrink is stored.
    if (acceleration > 0)
      size = LZ4_compress_fast(block.data(), packed.get(), static_cast<int>(block.size()),
                               static_cast<int>(block.size() - 1), acceleration);
    if (size > 0) {
      AppendU32(static_cast<uint32_t>(size), out);
      out->append(packed.get(), static_cast<size_t>(size));
    } else {
      AppendU32(static_cast<uint32_t>(block.size()) | kStoredBit, out);
      out->append(block);
    }
  }
  AppendU32(0, out);
}

void EncodeSnapshotHeader(const SnapshotHeader& header, std::string* out) {
  char content[kSnapshotHeaderBytes - 12] = {};
  StoreLe(content, kSnapshotVersion);
  StoreLe(content + 4, header.lsn);
  StoreLe(content + 12, header.created_ms);
  if (!header.key.key_id.empty()) {
    CHECK(header.key.key_id.size() <= kKeyIdBytesMax);
    CHECK(header.key.wrapped.size() == kWrappedKeyBytes);
    StoreLe(content + 2, kSnapshotEncrypted);
    memcpy(content + kKeyIdAt, header.key.key_id.data(), header.key.key_id.size());
    memcpy(content + kWrappedAt, header.key.wrapped.data(), kWrappedKeyBytes);
  }
  AppendFixed({content, sizeof content}, kSnapshotHeaderMagic, out);
}

Status DecodeSnapshotHeader(std::string_view bytes, SnapshotHeader* header) {
  CAIRN_RETURN_IF_ERROR(
      CheckFixed(bytes, kSnapshotHeaderMagic, kSnapshotHeaderBytes, "snapshot header"));
  if (LoadLe<uint16_t>(bytes.data() + 12) != kSnapshotVersion)
    return Status::Corrupt("snapshot of an unknown version");
  header->lsn = LoadLe<uint64_t>(bytes.data() + 16);
  header->created_ms = LoadLe<uint64_t>(bytes.data() + 24);
  if (LoadLe<uint16_t>(bytes.data() + 14) & kSnapshotEncrypted) {
    const char* id = bytes.data() + 12 + kKeyIdAt;
    header->key.key_id.assign(id, strnlen(id, kKeyIdBytesMax));
    header->key.wrapped = bytes.substr(12 + kWrappedAt, kWrappedKeyBytes);
    if (header->key.key_id.empty()) return Status::Corrupt("encrypted snapshot names no key");
  }
  return Status::Ok();
}

Result<std::unique_ptr<BlockCipher>> OpenCipher(const SnapshotHeader& header,
                                                const KeyRing* keys) {
  if (header.key.key_id.empty()) return std::unique_ptr<BlockCipher>();
  if (keys == nullptr)
    return Status::Invalid("it is encrypted with key '" + header.key.key_id +
                           "' and encryption-key-file is not set");
  return keys->OpenFile(header.key);
}

void EncodePart(PartHeader header, std::string_view plain, int acceleration, BlockCipher* cipher,
                std::string* out) {
  const size_t start = out->size();
  out->resize(start + kPartHeaderBytes, '\0');
  std::string frame;
  AppendFrame(plain, acceleration, cipher == nullptr ? out : &frame);
  if (cipher != nullptr) {
    header.flags |= kPartEncrypted;
    out->resize(out->size() + kSealedHeadBytes + frame.size() + kSealBytes);
  }
  char* p = out->data() + start;
  StoreLe(p, kPartHeaderMagic);
  StoreLe(p + 4, static_cast<uint32_t>(kPartHeaderBytes - 8));
  StoreLe(p + 12, header.flags);
  StoreLe<uint64_t>(p + 16, plain.size());
  StoreLe<uint64_t>(p + 24, out->size() - start - kPartHeaderBytes);
  StoreLe(p + 32, header.keys);
  StoreLe(p + 40, header.nonce);
  if (cipher != nullptr) {
    char* sealed = p + kPartHeaderBytes;
    StoreLe(sealed, kSealedPartMagic);
    StoreLe(sealed + 4, static_cast<uint32_t>(frame.size() + kSealBytes));
    cipher->Seal(header.nonce, {p + 12, kPartHeaderBytes - 12}, frame, sealed + kSealedHeadBytes);
  }
  StoreLe(p + 8, Crc32c(0, std::string_view(*out).substr(start + 12)));
}

Status DecodePartHeader(std::string_view bytes, PartHeader* header) {
  if (bytes.size() < kPartHeaderBytes) return Status::Corrupt("part header is cut short");
  const char* p = bytes.data();
  if (LoadLe<uint32_t>(p) != kPartHeaderMagic || LoadLe<uint32_t>(p + 4) != kPartHeaderBytes - 8)
    return Status::Corrupt("no part header here");
  header->crc = LoadLe<uint32_t>(p + 8);
  header->flags = LoadLe<uint32_t>(p + 12);
  header->plain_bytes = LoadLe<uint64_t>(p + 16);
  header->stored_bytes = LoadLe<uint64_t>(p + 24);
  header->keys = LoadLe<uint64_t>(p + 32);
  header->nonce = LoadLe<uint64_t>(p + 40);
  return Status::Ok();
}

Status DecodePart(std::string_view part, const PartHeader& header, BlockCipher* cipher,
                  std::string* plain) {
  if (part.size() != kPartHeaderBytes + header.stored_bytes)
    return Status::Corrupt("part is cut short");
  if (Crc32c(0, part.substr(12)) != header.crc) return Status::Corrupt("part fails its checksum");
  if (header.plain_bytes > kPartPlainBytesMax)
    return Status::Corrupt("part is longer than parts may be");
  std::string_view frame = part.substr(kPartHeaderBytes);
  std::string opened;
  if ((cipher != nullptr) != ((header.flags & kPartEncrypted) != 0))
    return Status::Corrupt("part and file do not agree on encryption");
  if (cipher != nullptr) {
    if (frame.size() < kSealedHeadBytes + kSealBytes ||
        LoadLe<uint32_t>(frame.data()) != kSealedPartMagic ||
        LoadLe<uint32_t>(frame.data() + 4) != frame.size() - kSealedHeadBytes)
      return Status::Corrupt("part holds no sealed frame");
    if (!cipher->Open(header.nonce, part.substr(12, kPartHeaderBytes - 12),
                      frame.substr(kSealedHeadBytes), &opened))
      return Status::Corrupt("part was changed, or is another file's");
    frame = opened;
  }
  if (frame.size() < sizeof kFrameStart + 4 ||
      memcmp(frame.data(), kFrameStart, sizeof kFrameStart) != 0)
    return Status::Corrupt("part holds no LZ4 frame of ours");
  frame.remove_prefix(sizeof kFrameStart);
  const size_t start = plain->size();
  plain->reserve(start + header.plain_bytes + kPackedBlockBytesMax);
  for (;;) {
    if (frame.size() < 4) return Status::Corrupt("LZ4 frame is cut short");
    const uint32_t word = LoadLe<uint32_t>(frame.data());
    frame.remove_prefix(4);
    if (word == 0) break;
    const size_t size = word & ~kStoredBit;
    if (size > frame.size() || size > kPackedBlockBytesMax)
      return Status::Corrupt("LZ4 block has a bad length");
    if (word & kStoredBit) {
      plain->append(frame.substr(0, size));
    } else {
      const size_t at = plain->size();
      plain->resize(at + kPackedBlockBytesMax);
      const int n = LZ4_decompress_safe(frame.data(), plain->data() + at, static_cast<int>(size),
                                        static_cast<int>(kPackedBlockBytesMax));
      if (n < 0) return Status::Corrupt("LZ4 block does not decompress");
      plain->resize(at + static_cast<size_t>(n));
    }
    frame.remove_prefix(size);
    // A few bytes may stand for many: what nobody announced is not unpacked further.
    if (plain->size() - start > header.plain_bytes) break;
  }
  if (!frame.empty() || plain->size() - start != header.plain_bytes)
    return Status::Corrupt("part has another length than its header says");
  return Status::Ok();
}

void EncodeSnapshotTrailer(const SnapshotTrailer& trailer, std::string* out) {
  char content[kSnapshotTrailerBytes - 12] = {};
  StoreLe(content + 4, trailer.plain_bytes);
  StoreLe(content + 12, trailer.keys);
  StoreLe(content + 20, trailer.parts);
  AppendFixed({content, sizeof content}, kSnapshotTrailerMagic, out);
}

Status DecodeSnapshotTrailer(std::string_view bytes, SnapshotTrailer* trailer) {
  CAIRN_RETURN_IF_ERROR(
      CheckFixed(bytes, kSnapshotTrailerMagic, kSnapshotTrailerBytes, "snapshot trailer"));
  trailer->plain_bytes = LoadLe<uint64_t>(bytes.data() + 16);
  trailer->keys = LoadLe<uint64_t>(bytes.data() + 24);
  trailer->parts = LoadLe<uint64_t>(bytes.data() + 32);
  return Status::Ok();
}

}  // namespace cairn
