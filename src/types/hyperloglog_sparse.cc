// SPDX-License-Identifier: BSD-3-Clause
//
// Which opcodes a change leaves behind is visible (DUMP, STRLEN, promotion at a byte count), so
// splitting and merging follow Redis exactly: a split makes up to three opcodes of one, then a walk
// over at most five opcodes from the one before merges equal VAL neighbours, to the left, while
// they fit in one.
#include "types/hyperloglog_sparse.h"

#include <emmintrin.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/numbers.h"

namespace cairn {
namespace {

constexpr int kZeroLengthMax = 64;
constexpr int kValueMax = 32;
constexpr int kValueLengthMax = 4;
constexpr int kMergeSteps = 5;
constexpr size_t kSplitBytesMax = 5;  // XZERO VAL XZERO

struct Opcode {
  int bytes;   // 1 or 2
  int length;  // registers it covers
  int value;
};

bool IsXzero(uint8_t byte) { return (byte & 0xc0) == 0x40; }
bool IsValue(uint8_t byte) { return byte & 0x80; }
uint8_t MakeValue(int value, int length) {
  return static_cast<uint8_t>(0x80 | (value - 1) << 2 | (length - 1));
}

// False if the second byte of an XZERO is missing.
bool Decode(const uint8_t* p, const uint8_t* end, Opcode* opcode) {
  if (IsValue(*p)) {
    *opcode = {1, (*p & 3) + 1, ((*p >> 2) & 31) + 1};
  } else if (IsXzero(*p)) {
    if (p + 1 == end) return false;
    *opcode = {2, ((*p & 63) << 8 | p[1]) + 1, 0};
  } else {
    *opcode = {1, (*p & 63) + 1, 0};
  }
  return true;
}

uint8_t* PutZeros(uint8_t* out, int length) {
  if (length > kZeroLengthMax) {
    *out++ = static_cast<uint8_t>(0x40 | (length - 1) >> 8);
    *out++ = static_cast<uint8_t>(length - 1);
  } else {
    *out++ = static_cast<uint8_t>(length - 1);
  }
  return out;
}

uint8_t* PutRun(uint8_t* out, int value, int length) {
  if (length == 0) return out;
  if (value == 0) return PutZeros(out, length);
  *out++ = MakeValue(value, length);
  return out;
}

// Calls visit(first register, opcode) for each run. Runs are checked to stay within the
// registers and to cover all of them.
template <typename Visit>
Status ForEachRun(std::string_view hll, Visit visit) {
  const auto* p = reinterpret_cast<const uint8_t*>(hll.data()) + kHllHeaderBytes;
  const auto* end = reinterpret_cast<const uint8_t*>(hll.data()) + hll.size();
  int first = 0;
  while (p < end) {
    Opcode opcode;
    if (!Decode(p, end, &opcode) || opcode.length > kHllRegisters - first) {
      return Status::Corrupt("sparse HyperLogLog opcodes");
    }
    visit(first, opcode);
    first += opcode.length;
    p += opcode.bytes;
  }
  if (first != kHllRegisters) return Status::Corrupt("sparse HyperLogLog is too short");
  return Status::Ok();
}

// Where the walk to a register ended.
struct Position {
  const uint8_t* at;
  const uint8_t* previous;  // the opcode before, or null
  int first;                // first register of *at
};

// Skips sixteen opcodes at once while they are one byte each and end before `index`: in a sparse
// string that is nearly full, almost all are, and the walk is all that PFADD costs.
void SkipQuickly(const uint8_t* end, int index, Position* position) {
  const __m128i high_two = _mm_set1_epi8(static_cast<char>(0xc0));
  const __m128i xzero = _mm_set1_epi8(0x40);
  const __m128i one = _mm_set1_epi8(1);
  while (end - position->at >= 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(position->at));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(bytes, high_two), xzero)) != 0) return;
    // The length - 1 is in the low two bits of a VAL (sign bit set), in the low six of a ZERO.
    __m128i is_value = _mm_cmplt_epi8(bytes, _mm_setzero_si128());
    __m128i mask = _mm_or_si128(_mm_and_si128(is_value, _mm_set1_epi8(3)),
                                _mm_andnot_si128(is_value, _mm_set1_epi8(63)));
    __m128i lengths = _mm_add_epi8(_mm_and_si128(bytes, mask), one);
    __m128i sums = _mm_sad_epu8(lengths, _mm_setzero_si128());
    int covered = _mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_srli_si128(sums, 8));
    if (index < position->first + covered) return;
    position->first += covered;
    position->at += 16;
    position->previous = position->at - 1;
  }
}

// The opcode that covers `index`. False if there is none.
bool Locate(const uint8_t* begin, const uint8_t* end, int index, Position* position,
            Opcode* opcode) {
  *position = {begin, nullptr, 0};
  while (position->at < end) {
    SkipQuickly(end, index, position);
    const uint8_t* block_end = position->at + std::min<ptrdiff_t>(16, end - position->at);
    while (position->at < block_end) {
      if (!Decode(position->at, end, opcode)) return false;
      if (index < position->first + opcode->length) return true;
      position->previous = position->at;
      position->at += opcode->bytes;
      position->first += opcode->length;
    }
  }
  return false;
}

void MergeNeighbours(std::string* hll, size_t from) {
  auto* p = reinterpret_cast<uint8_t*>(hll->data()) + from;
  auto* end = reinterpret_cast<uint8_t*>(hll->data()) + hll->size();
  const uint8_t* old_end = end;
  for (int step = 0; step < kMergeSteps && p < end; ++step) {
    if (!IsValue(*p)) {
      p += IsXzero(*p) ? 2 : 1;
      continue;
    }
    if (p + 1 < end && IsValue(p[1]) && (p[0] >> 2) == (p[1] >> 2)) {
      int length = (p[0] & 3) + (p[1] & 3) + 2;
      if (length <= kValueLengthMax) {
        p[1] = MakeValue(((p[0] >> 2) & 31) + 1, length);
        memmove(p, p + 1, end - p - 1);
        --end;
        continue;  // the merged opcode may merge once more
      }
    }
    ++p;
  }
  if (end != old_end) hll->resize(hll->size() - (old_end - end));
}

}  // namespace

HllSparseSet HllSparseRaise(std::string* hll, int index, int value, int64_t sparse_bytes_max) {
  if (value > kValueMax) return HllSparseSet::kMustPromote;
  const auto* data = reinterpret_cast<const uint8_t*>(hll->data());
  Position position;
  Opcode opcode;
  if (!Locate(data + kHllHeaderBytes, data + hll->size(), index, &position, &opcode)) {
    return HllSparseSet::kCorrupt;
  }
  if (opcode.value >= value) return HllSparseSet::kUnchanged;

  const size_t at = position.at - data;
  const size_t merge_from = position.previous ? position.previous - data : kHllHeaderBytes;
  uint8_t split[kSplitBytesMax];
  uint8_t* out = PutRun(split, opcode.value, index - position.first);
  out = PutRun(out, value, 1);
  out = PutRun(out, opcode.value, position.first + opcode.length - 1 - index);
  size_t split_bytes = out - split;
  auto old_bytes = static_cast<size_t>(opcode.bytes);
  if (split_bytes > old_bytes &&
      static_cast<int64_t>(hll->size() + split_bytes - old_bytes) > sparse_bytes_max) {
    return HllSparseSet::kMustPromote;
  }
  hll->replace(at, old_bytes, reinterpret_cast<const char*>(split), split_bytes);
  MergeNeighbours(hll, merge_from);
  HllInvalidateCache(hll->data());
  return HllSparseSet::kChanged;
}

void HllAppendZeros(int length, std::string* out) {
  uint8_t opcode[2];
  size_t bytes = PutZeros(opcode, length) - opcode;
  out->append(reinterpret_cast<const char*>(opcode), bytes);
}

Status HllSparseMergeInto(std::string_view hll, HllRegisters* into) {
  return ForEachRun(hll, [into](int first, const Opcode& run) {
    for (int i = first; run.value != 0 && i < first + run.length; ++i) {
      into->value[i] = std::max(into->value[i], static_cast<uint8_t>(run.value));
    }
  });
}

Status HllSparseHistogram(std::string_view hll, uint32_t* histogram) {
  return ForEachRun(hll, [histogram](int, const Opcode& run) {
    histogram[run.value] += static_cast<uint32_t>(run.length);
  });
}

Status HllDecodeSparse(std::string_view hll, std::string* text) {
  text->clear();
  Status status = ForEachRun(hll, [text](int, const Opcode& run) {
    if (run.value != 0) {
      *text += "v:" + ToString(int64_t{run.value}) + ",";
    } else {
      *text += run.bytes == 2 ? "Z:" : "z:";
    }
    *text += ToString(int64_t{run.length}) + " ";
  });
  if (!text->empty()) text->pop_back();
  return status;
}

}  // namespace cairn
