// SPDX-License-Identifier: BSD-3-Clause
//
// RdbWriter: the RDB format's primitives, appended to a caller's string. For values that are too
// large to be held twice, a drain function empties the string whenever it has grown past a bound.
// Not synchronised; writing cannot fail (what happens to drained bytes is the drain's affair).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rdb/opcodes.h"

namespace cairn {

// A string that was written plainly though it may be worth compressing: where its length begins.
struct PlainString {
  size_t at;
  size_t size;
};

class RdbWriter {
 public:
  using Drain = std::function<void(std::string*)>;  // takes the bytes and clears the string

  explicit RdbWriter(std::string* out, bool compress = true) : out_(out), compress_(compress) {}
  RdbWriter(std::string* out, bool compress, size_t drain_bytes, Drain drain)
      : out_(out), compress_(compress), drain_bytes_(drain_bytes), drain_(std::move(drain)) {}

  // Compression later, where no lock is held: strings are written plainly and noted in `plain`, for
  // CompressStrings().
  RdbWriter(std::string* out, std::vector<PlainString>* plain)
      : out_(out), compress_(false), plain_(plain) {}

  void Byte(uint8_t byte) { out_->push_back(static_cast<char>(byte)); }
  void Bytes(std::string_view bytes);
  void Type(RdbType type) { Byte(static_cast<uint8_t>(type)); }
  void Length(uint64_t length);
  // As a small integer, LZF-compressed, or plainly: whatever is shortest.
  void String(std::string_view text);
  void Integer(int64_t value);
  void BinaryDouble(double value);
  void Int64(int64_t value);  // 8 bytes, little-endian: times

  // Records of a file, in the order of opcodes.h's grammar.
  void FileHeader(int version);
  void Aux(std::string_view name, std::string_view value);
  void SelectDb(uint64_t db);
  void ResizeDb(uint64_t keys, uint64_t keys_with_expiry);
  void SlotInfo(uint64_t slot, uint64_t keys, uint64_t keys_with_expiry);
  void Function(std::string_view code);
  void ExpireTimeMs(int64_t unix_ms);
  void Idle(uint64_t seconds);
  void Freq(uint8_t counter);
  // EofOpcode(), then Checksum() of everything before it, that opcode included.
  void EofOpcode() { Opcode(RdbOpcode::kEof); }
  void Checksum(uint64_t crc64) { Int64(static_cast<int64_t>(crc64)); }

 private:
  void Opcode(RdbOpcode opcode) { Byte(static_cast<uint8_t>(opcode)); }
  bool TryInteger(int64_t value);
  bool TryCompressed(std::string_view text);
  void MaybeDrain() {
    if (out_->size() >= drain_bytes_) drain_(out_);
  }

  std::string* out_;
  bool compress_;
  std::vector<PlainString>* plain_ = nullptr;
  size_t drain_bytes_ = SIZE_MAX;
  Drain drain_;
};

// `bytes` with the strings of `plain` compressed, where that makes them shorter.
std::string CompressStrings(std::string_view bytes, const std::vector<PlainString>& plain);

}  // namespace cairn
