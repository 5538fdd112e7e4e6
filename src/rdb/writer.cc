// SPDX-License-Identifier: BSD-3-Clause
#include "rdb/writer.h"

#include <liblzf/lzf.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

constexpr size_t kCompressFrom = 21;  // shorter strings are not worth a try
constexpr size_t kCompressGain = 4;   // compressed, a string must save more than its two lengths
constexpr size_t kIntegerTextMax = 11;  // "-2147483648"

template <typename T>
void AppendLe(T value, std::string* out) {
  char bytes[sizeof value];
  StoreLe(bytes, value);
  out->append(bytes, sizeof value);
}

}  // namespace

void RdbWriter::Bytes(std::string_view bytes) {
  if (drain_ == nullptr) {
    out_->append(bytes);
    return;
  }
  while (!bytes.empty()) {
    size_t room = drain_bytes_ > out_->size() ? drain_bytes_ - out_->size() : 1;
    size_t part = std::min(bytes.size(), room);
    out_->append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    MaybeDrain();
  }
}

void RdbWriter::Length(uint64_t length) {
  if (length < (1u << 6)) {
    Byte(static_cast<uint8_t>(kRdbLength6 | length));
  } else if (length < (1u << 14)) {
    Byte(static_cast<uint8_t>(kRdbLength14 | length >> 8));
    Byte(static_cast<uint8_t>(length));
  } else if (length <= UINT32_MAX) {
    Byte(kRdbLength32);
    AppendLe(__builtin_bswap32(static_cast<uint32_t>(length)), out_);
  } else {
    Byte(kRdbLength64);
    AppendLe(__builtin_bswap64(length), out_);
  }
  if (drain_ != nullptr) MaybeDrain();
}

bool RdbWriter::TryInteger(int64_t value) {
  auto head = [this](RdbStringEncoding encoding) {
    Byte(static_cast<uint8_t>(kRdbEncoded | static_cast<uint8_t>(encoding)));
  };
  if (value >= INT8_MIN && value <= INT8_MAX) {
    head(RdbStringEncoding::kInt8);
    AppendLe(static_cast<int8_t>(value), out_);
  } else if (value >= INT16_MIN && value <= INT16_MAX) {
    head(RdbStringEncoding::kInt16);
    AppendLe(static_cast<int16_t>(value), out_);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    head(RdbStringEncoding::kInt32);
    AppendLe(static_cast<int32_t>(value), out_);
  } else {
    return false;
  }
  return true;
}

bool RdbWriter::TryCompressed(std::string_view text) {
  if (text.size() > UINT32_MAX) return false;
  auto bound = static_cast<unsigned>(text.size() - kCompressGain);
  auto compressed = std::make_unique_for_overwrite<char[]>(bound);
  unsigned size = lzf_compress(text.data(), static_cast<unsigned>(text.size()), compressed.get(),
                               bound);
  if (size == 0) return false;
  Byte(static_cast<uint8_t>(kRdbEncoded | static_cast<uint8_t>(RdbStringEncoding::kLzf)));
  Length(size);
  Length(text.size());
  Bytes({compressed.get(), size});
  return true;
}

void RdbWriter::String(std::string_view text) {
  int64_t number;
  if (text.size() <= kIntegerTextMax && ParseInt64(text, &number) && TryInteger(number)) return;
  if (compress_ && text.size() >= kCompressFrom && TryCompressed(text)) return;
  if (plain_ != nullptr && text.size() >= kCompressFrom)
    plain_->push_back({out_->size(), text.size()});
  Length(text.size());
  Bytes(text);
}

void RdbWriter::Integer(int64_t value) {
  if (TryInteger(value)) return;
  char digits[kInt64CharsMax];
  size_t size = FormatInt64(digits, value);
  Length(size);
  Bytes({digits, size});
}

void RdbWriter::BinaryDouble(double value) { AppendLe(std::bit_cast<uint64_t>(value), out_); }
void RdbWriter::Int64(int64_t value) { AppendLe(value, out_); }

void RdbWriter::FileHeader(int version) {
  CHECK(version >= 1 && version <= 9999);
  char header[kRdbHeaderBytes + 1];
  snprintf(header, sizeof header, "%s%04d", kRdbMagic, version);
  Bytes({header, kRdbHeaderBytes});
}
void RdbWriter::Aux(std::string_view name, std::string_view value) {
  Opcode(RdbOpcode::kAux);
  String(name);
  String(value);
}
void RdbWriter::SelectDb(uint64_t db) {
  Opcode(RdbOpcode::kSelectDb);
  Length(db);
}
void RdbWriter::ResizeDb(uint64_t keys, uint64_t keys_with_expiry) {
  Opcode(RdbOpcode::kResizeDb);
  Length(keys);
  Length(keys_with_expiry);
}
void RdbWriter::SlotInfo(uint64_t slot, uint64_t keys, uint64_t keys_with_expiry) {
  Opcode(RdbOpcode::kSlotInfo);
  Length(slot);
  Length(keys);
  Length(keys_with_expiry);
}
void RdbWriter::Function(std::string_view code) {
  Opcode(RdbOpcode::kFunction2);
  String(code);
}
void RdbWriter::ExpireTimeMs(int64_t unix_ms) {
  Opcode(RdbOpcode::kExpireTimeMs);
  Int64(unix_ms);
}
void RdbWriter::Idle(uint64_t seconds) {
  Opcode(RdbOpcode::kIdle);
  Length(seconds);
}
void RdbWriter::Freq(uint8_t counter) {
  Opcode(RdbOpcode::kFreq);
  Byte(counter);
}

std::string CompressStrings(std::string_view bytes, const std::vector<PlainString>& plain) {
  std::string out;
  out.reserve(bytes.size());
  RdbWriter writer(&out);
  size_t copied = 0;
  for (const PlainString& string : plain) {
    const size_t length_bytes = string.size < (1u << 6)    ? 1
                                : string.size < (1u << 14) ? 2
                                : string.size <= UINT32_MAX ? 5
                                                            : 9;
    const size_t text_at = string.at + length_bytes;
    writer.Bytes(bytes.substr(copied, string.at - copied));
    writer.String(bytes.substr(text_at, string.size));
    copied = text_at + string.size;
  }
  writer.Bytes(bytes.substr(copied));
  return out;
}

}  // namespace cairn
