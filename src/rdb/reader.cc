// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/reader.h"

#include <liblzf/lzf.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/numbers.h"
#include "rdb/lzf.h"

namespace cairn {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr size_t kGrowBytes = 1 << 20;  // a long string from a stream grows by at most this
constexpr size_t kStreamReserveMax = 1 << 16;
constexpr size_t kReservedBytes = 10;  // for an element, in a hash table
// Three bytes of LZF yield at most 264.
constexpr uint64_t kLzfExpansionMax = 88;

}  // namespace

RdbReader::RdbReader(Source source) : source_(std::move(source)), buffer_(kBufferBytes) {
  begin_ = at_ = end_ = crc_from_ = buffer_.data();
}

void RdbReader::Fail(std::string_view error) {
  if (!ok()) return;
  error_ = error;
  Checksum();
  at_ = crc_from_ = end_;
}

uint64_t RdbReader::Checksum() {
  if (checksum_ && at_ > crc_from_) {
    crc_ = Crc64(crc_, {crc_from_, static_cast<size_t>(at_ - crc_from_)});
  }
  crc_from_ = at_;
  return crc_;
}

bool RdbReader::Refill() {
  if (source_ == nullptr || !ok()) return false;
  Checksum();
  consumed_before_ += at_ - begin_;
  size_t size = source_(buffer_.data(), buffer_.size());
  at_ = crc_from_ = begin_;
  end_ = at_ + size;
  return size > 0;
}

uint8_t RdbReader::Byte() {
  if (AtEnd()) {
    Fail("unexpected end");
    return 0;
  }
  return static_cast<uint8_t>(*at_++);
}

bool RdbReader::Bytes(void* into, size_t size) {
  char* out = static_cast<char*>(into);
  while (size > 0) {
    if (AtEnd()) {
      Fail("unexpected end");
      return false;
    }
    size_t part = std::min(size, static_cast<size_t>(end_ - at_));
    memcpy(out, at_, part);
    at_ += part;
    out += part;
    size -= part;
  }
  return true;
}

std::string_view RdbReader::Raw(uint64_t size) {
  if (size <= static_cast<size_t>(end_ - at_)) {
    std::string_view view(at_, size);
    at_ += size;
    return view;
  }
  if (source_ == nullptr) {
    Fail("unexpected end");
    return {};
  }
  scratch_.clear();
  while (scratch_.size() < size) {
    size_t part = std::min<uint64_t>(size - scratch_.size(), kGrowBytes);
    size_t old_size = scratch_.size();
    scratch_.resize(old_size + part);
    if (!Bytes(scratch_.data() + old_size, part)) return {};
  }
  return scratch_;
}

bool RdbReader::LengthOrEncoding(uint64_t* length, bool* encoded) {
  uint8_t first = Byte();
  *encoded = false;
  switch (first >> 6) {
    case 0: *length = first & 63; break;
    case 1: *length = static_cast<uint64_t>(first & 63) << 8 | Byte(); break;
    case 3:
      *encoded = true;
      *length = first & 63;
      break;
    default: {
      char bytes[8];
      if (first == kRdbLength32) {
        if (Bytes(bytes, 4)) *length = LoadBe32(bytes);
      } else if (first == kRdbLength64) {
        if (Bytes(bytes, 8)) *length = LoadBe64(bytes);
      } else {
        Fail("bad length encoding");
      }
    }
  }
  if (!ok()) *length = 0;
  return ok();
}

uint64_t RdbReader::Length() {
  uint64_t length;
  bool encoded;
  if (!LengthOrEncoding(&length, &encoded)) return 0;
  if (!encoded) return length;
  Fail("a length was expected");
  return 0;
}

std::string_view RdbReader::Integer(int64_t value) {
  if (!ok()) return {};
  return {digits_, FormatInt64(digits_, value)};
}

std::string_view RdbReader::Lzf() {
  uint64_t compressed_size = Length();
  uint64_t size = Length();
  if (!ok()) return {};
  if (size == 0 || compressed_size == 0 || size / kLzfExpansionMax > compressed_size ||
      size > UINT32_MAX) {
    Fail("bad LZF lengths");
    return {};
  }
  std::string_view compressed = Raw(compressed_size);
  if (!ok()) return {};
  if (compressed.data() == scratch_.data()) {
    compressed_.swap(scratch_);
    compressed = compressed_;
  }
  // What is set aside is what the bytes really yield.
  if (LzfPlainBytes(compressed) != size) {
    Fail("bad LZF bytes");
    return {};
  }
  scratch_.resize(size);
  unsigned got = lzf_decompress(compressed.data(), static_cast<unsigned>(compressed_size),
                                scratch_.data(), static_cast<unsigned>(size));
  if (got != size) {
    Fail("bad LZF bytes");
    return {};
  }
  return scratch_;
}

std::string_view RdbReader::Text() {
  uint64_t length;
  bool encoded;
  if (!LengthOrEncoding(&length, &encoded)) return {};
  if (!encoded) return Raw(length);
  char bytes[4];
  switch (static_cast<RdbStringEncoding>(length)) {
    case RdbStringEncoding::kInt8: return Integer(static_cast<int8_t>(Byte()));
    case RdbStringEncoding::kInt16:
      return Bytes(bytes, 2) ? Integer(LoadLe<int16_t>(bytes)) : std::string_view();
    case RdbStringEncoding::kInt32:
      return Bytes(bytes, 4) ? Integer(LoadLe<int32_t>(bytes)) : std::string_view();
    case RdbStringEncoding::kLzf: return Lzf();
  }
  Fail("unknown string encoding");
  return {};
}

int64_t RdbReader::Int64() {
  char bytes[8];
  return Bytes(bytes, 8) ? LoadLe<int64_t>(bytes) : 0;
}
int32_t RdbReader::Int32() {
  char bytes[4];
  return Bytes(bytes, 4) ? LoadLe<int32_t>(bytes) : 0;
}
double RdbReader::BinaryDouble() { return std::bit_cast<double>(Int64()); }

double RdbReader::TextDouble() {
  uint8_t size = Byte();
  switch (size) {
    case kRdbScoreNan: return NAN;
    case kRdbScoreInfinity: return INFINITY;
    case kRdbScoreMinusInfinity: return -INFINITY;
  }
  double value = 0;
  std::string_view text = Raw(size);
  if (ok() && !ParseDouble(text, &value)) Fail("bad score");
  return value;
}

size_t RdbReader::ReserveHint(uint64_t count) const {
  uint64_t most = source_ == nullptr ? static_cast<uint64_t>(end_ - at_) / kReservedBytes
                                     : kStreamReserveMax;
  return std::min(count, most);
}

void RdbReader::SkipModuleData() {
  while (ok()) {
    uint64_t opcode = Length();
    if (!ok() || opcode == static_cast<uint64_t>(RdbModuleOpcode::kEof)) return;
    if (opcode > static_cast<uint64_t>(RdbModuleOpcode::kString)) return Fail("bad module data");
    switch (static_cast<RdbModuleOpcode>(opcode)) {
      case RdbModuleOpcode::kEof: return;
      case RdbModuleOpcode::kSint:
      case RdbModuleOpcode::kUint: Length(); break;
      case RdbModuleOpcode::kFloat: Int32(); break;
      case RdbModuleOpcode::kDouble: Int64(); break;
      case RdbModuleOpcode::kString: Text(); break;
    }
  }
}

int RdbReader::FileHeader() {
  std::string_view header = Raw(kRdbHeaderBytes);
  if (!ok()) return 0;
  const bool valkey = header.starts_with(kRdbMagicValkey);
  bool good = valkey || header.starts_with(kRdbMagic);
  int version = 0;
  for (char c : header.substr(valkey ? 6 : 5)) {
    good = good && c >= '0' && c <= '9';
    version = version * 10 + (c - '0');
  }
  if (!good || version < 1) {
    Fail("not an RDB file");
    return 0;
  }
  if (valkey != (version >= kRdbVersionValkey)) {
    Fail("can't handle RDB format version " + std::to_string(version));
    return 0;
  }
  version_ = version;
  return version;
}

}  // namespace cairn
