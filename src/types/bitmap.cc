// SPDX-License-Identifier: BSD-3-Clause
#include "types/bitmap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace cairn {
namespace {

constexpr size_t kBlockBytes = 4096;  // BITOP works on blocks that stay in the first-level cache

uint64_t CountWholeBytes(const char* p, size_t n) {
  uint64_t a = 0, b = 0, c = 0, d = 0;  // four sums, so that the additions do not wait in line
  for (; n >= 32; p += 32, n -= 32) {
    a += std::popcount(LoadLe<uint64_t>(p));
    b += std::popcount(LoadLe<uint64_t>(p + 8));
    c += std::popcount(LoadLe<uint64_t>(p + 16));
    d += std::popcount(LoadLe<uint64_t>(p + 24));
  }
  for (; n >= 8; p += 8, n -= 8) a += std::popcount(LoadLe<uint64_t>(p));
  for (; n > 0; ++p, --n) a += std::popcount(static_cast<uint8_t>(*p));
  return a + b + c + d;
}

// A range resolved against a length: the bits [first, last], both inclusive.
struct Bits {
  uint64_t first;
  uint64_t last;
};

// False if the range is empty.
bool Resolve(const BitRange& range, size_t length, Bits* bits) {
  int64_t total = static_cast<int64_t>(length) * (range.in_bits ? 8 : 1);
  int64_t start = range.start < 0 ? range.start + total : range.start;
  int64_t end = range.end < 0 ? range.end + total : range.end;
  start = std::max<int64_t>(start, 0);
  end = std::max<int64_t>(end, 0);
  end = std::min(end, total - 1);
  if (start > end) return false;
  if (range.in_bits) {
    *bits = {static_cast<uint64_t>(start), static_cast<uint64_t>(end)};
  } else {
    *bits = {static_cast<uint64_t>(start) * 8, static_cast<uint64_t>(end) * 8 + 7};
  }
  return true;
}

uint8_t HeadMask(uint64_t first) { return static_cast<uint8_t>(0xffu >> (first & 7)); }
uint8_t TailMask(uint64_t last) { return static_cast<uint8_t>(0xff00u >> ((last & 7) + 1)); }

}  // namespace

uint64_t BitCount(std::string_view bytes, const BitRange& range) {
  // Redis looks at this pair before it clamps: -1 -2 counts nothing even in a shorter string.
  if (range.start < 0 && range.end < 0 && range.start > range.end) return 0;
  Bits bits;
  if (!Resolve(range, bytes.size(), &bits)) return 0;
  uint64_t from = bits.first >> 3, to = bits.last >> 3;
  uint64_t count = CountWholeBytes(bytes.data() + from, to - from + 1);
  uint8_t before = static_cast<uint8_t>(bytes[from]) & static_cast<uint8_t>(~HeadMask(bits.first));
  uint8_t after = static_cast<uint8_t>(bytes[to]) & static_cast<uint8_t>(~TailMask(bits.last));
  return count - std::popcount(before) - std::popcount(after);
}

int64_t BitPos(std::string_view bytes, bool bit, const BitRange& range) {
  Bits bits;
  if (!Resolve(range, bytes.size(), &bits)) return -1;
  // The search is for a one in the string or in its complement.
  const uint8_t flip = bit ? 0 : 0xff;
  const uint64_t flip_word = bit ? 0 : ~uint64_t{0};
  uint64_t at = bits.first >> 3;
  const uint64_t to = bits.last >> 3;
  uint8_t head = (static_cast<uint8_t>(bytes[at]) ^ flip) & HeadMask(bits.first);
  uint64_t found = UINT64_MAX;
  if (head != 0) {
    found = at * 8 + std::countl_zero(head);
  } else {
    ++at;
    while (at + 8 <= to + 1 && (LoadLe<uint64_t>(bytes.data() + at) ^ flip_word) == 0) at += 8;
    while (at <= to && (static_cast<uint8_t>(bytes[at]) ^ flip) == 0) ++at;
    if (at <= to) found = at * 8 + std::countl_zero(static_cast<uint8_t>(bytes[at] ^ flip));
  }
  if (found <= bits.last) return static_cast<int64_t>(found);
  if (bit || range.end_given) return -1;
  return static_cast<int64_t>(bits.last + 1);
}

size_t BitOpLength(std::span<const std::string_view> inputs) {
  size_t length = 0;
  for (std::string_view input : inputs) length = std::max(length, input.size());
  return length;
}

namespace {

// The part of `input` in [offset, offset + kBlockBytes), possibly empty.
std::string_view Window(std::string_view input, size_t offset) {
  return offset < input.size() ? input.substr(offset, kBlockBytes) : std::string_view();
}

// These loops are plain so that the compiler turns them into vector code.
void AndInto(char* out, size_t n, std::string_view in) {
  for (size_t i = 0; i < in.size(); ++i) out[i] &= in[i];
  memset(out + in.size(), 0, n - in.size());
}
void OrInto(char* out, std::string_view in) {
  for (size_t i = 0; i < in.size(); ++i) out[i] |= in[i];
}
void XorInto(char* out, std::string_view in) {
  for (size_t i = 0; i < in.size(); ++i) out[i] ^= in[i];
}

// `many` collects the bits that were met twice or more.
void CountInto(char* out, char* many, std::string_view in) {
  for (size_t i = 0; i < in.size(); ++i) {
    many[i] |= out[i] & in[i];
    out[i] |= in[i];
  }
}

void CopyPadded(char* out, size_t n, std::string_view in) {
  if (!in.empty()) memcpy(out, in.data(), in.size());
  memset(out + in.size(), 0, n - in.size());
}

// Combines the OR of the other inputs, in `out`, with the first input.
void CombineWithFirst(BitOperation operation, char* out, const char* first, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    switch (operation) {
      case BitOperation::kDiff: out[i] = static_cast<char>(first[i] & ~out[i]); break;
      case BitOperation::kDiff1: out[i] = static_cast<char>(out[i] & ~first[i]); break;
      default: out[i] = static_cast<char>(out[i] & first[i]); break;
    }
  }
}

void BlockOp(BitOperation operation, std::span<const std::string_view> inputs, size_t offset,
             char* out, size_t n) {
  std::string_view first = Window(inputs[0], offset);
  auto others = inputs.subspan(1);
  switch (operation) {
    case BitOperation::kAnd:
      CopyPadded(out, n, first);
      for (std::string_view input : others) AndInto(out, n, Window(input, offset));
      return;
    case BitOperation::kOr:
      CopyPadded(out, n, first);
      for (std::string_view input : others) OrInto(out, Window(input, offset));
      return;
    case BitOperation::kXor:
      CopyPadded(out, n, first);
      for (std::string_view input : others) XorInto(out, Window(input, offset));
      return;
    case BitOperation::kNot:
      for (size_t i = 0; i < n; ++i) out[i] = static_cast<char>(~first[i]);
      return;
    case BitOperation::kOne: {
      char many[kBlockBytes] = {};
      CopyPadded(out, n, first);
      for (std::string_view input : others) CountInto(out, many, Window(input, offset));
      for (size_t i = 0; i < n; ++i) out[i] = static_cast<char>(out[i] & ~many[i]);
      return;
    }
    default: {
      char padded_first[kBlockBytes];
      CopyPadded(padded_first, n, first);
      CopyPadded(out, n, Window(others[0], offset));
      for (std::string_view input : others.subspan(1)) OrInto(out, Window(input, offset));
      CombineWithFirst(operation, out, padded_first, n);
      return;
    }
  }
}

}  // namespace

void BitOp(BitOperation operation, std::span<const std::string_view> inputs, char* out) {
  CHECK(!inputs.empty());
  CHECK(operation != BitOperation::kNot || inputs.size() == 1);
  CHECK((operation != BitOperation::kDiff && operation != BitOperation::kDiff1 &&
         operation != BitOperation::kAndOr) ||
        inputs.size() >= 2);
  const size_t length = BitOpLength(inputs);
  for (size_t offset = 0; offset < length; offset += kBlockBytes) {
    BlockOp(operation, inputs, offset, out + offset, std::min(kBlockBytes, length - offset));
  }
}

}  // namespace cairn
