// SPDX-License-Identifier: BSD-3-Clause
//
// Header, hashing, dense registers, counting and merging. The sparse form's opcodes are in
// hyperloglog_sparse.cc.
#include "types/hyperloglog.h"

#include <emmintrin.h>
#include <tmmintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "types/hyperloglog_sparse.h"

namespace cairn {
namespace {

constexpr int kIndexBits = 14;
constexpr int kRunBits = 64 - kIndexBits;  // 50
constexpr char kMagic[] = "HYLL";
constexpr size_t kCountOffset = 8;
constexpr uint64_t kCountStale = uint64_t{1} << 63;

int DenseGet(const char* registers, int index) {
  size_t bit = static_cast<size_t>(index) * 6;
  const auto* p = reinterpret_cast<const uint8_t*>(registers) + (bit >> 3);
  unsigned shift = bit & 7;
  unsigned low = p[0] >> shift;
  // A register that lies in one byte must not read the next: it may be the last one.
  if (shift > 2) low |= static_cast<unsigned>(p[1]) << (8 - shift);
  return low & 63;
}

void DensePut(char* registers, int index, int value) {
  size_t bit = static_cast<size_t>(index) * 6;
  auto* p = reinterpret_cast<uint8_t*>(registers) + (bit >> 3);
  unsigned shift = bit & 7;
  p[0] = static_cast<uint8_t>((p[0] & ~(63u << shift)) | (static_cast<unsigned>(value) << shift));
  if (shift > 2) {
    unsigned up = 8 - shift;
    p[1] = static_cast<uint8_t>((p[1] & ~(63u >> up)) | (static_cast<unsigned>(value) >> up));
  }
}

HllAdded DenseRaise(char* registers, int index, int value) {
  if (DenseGet(registers, index) >= value) return HllAdded::kUnchanged;
  DensePut(registers, index, value);
  return HllAdded::kChanged;
}

// Sixteen registers from the twelve bytes at p (sixteen are read).
__m128i Unpack16(const char* p) {
  const __m128i spread =
      _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  __m128i lanes = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), spread);
  __m128i r0 = _mm_and_si128(lanes, _mm_set1_epi32(0x3f));
  __m128i r1 = _mm_and_si128(_mm_slli_epi32(lanes, 2), _mm_set1_epi32(0x3f00));
  __m128i r2 = _mm_and_si128(_mm_slli_epi32(lanes, 4), _mm_set1_epi32(0x3f0000));
  __m128i r3 = _mm_and_si128(_mm_slli_epi32(lanes, 6), _mm_set1_epi32(0x3f000000));
  return _mm_or_si128(_mm_or_si128(r0, r1), _mm_or_si128(r2, r3));
}

void DenseMergeInto(const char* registers, uint8_t* into) {
  constexpr int kTail = 16;  // the last group is done without reading behind the string
  for (int i = 0; i < kHllRegisters - kTail; i += 16) {
    __m128i old = _mm_loadu_si128(reinterpret_cast<const __m128i*>(into + i));
    __m128i both = _mm_max_epu8(old, Unpack16(registers + i / 4 * 3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(into + i), both);
  }
  for (int i = kHllRegisters - kTail; i < kHllRegisters; ++i) {
    into[i] = std::max(into[i], static_cast<uint8_t>(DenseGet(registers, i)));
  }
}

// All registers at once; the bits behind the last register are none.
void DenseStoreAll(const uint8_t* values, char* registers) {
  for (int i = 0; i < kHllRegisters; i += 4) {
    uint32_t packed = static_cast<uint32_t>(values[i]) | static_cast<uint32_t>(values[i + 1]) << 6 |
                      static_cast<uint32_t>(values[i + 2]) << 12 |
                      static_cast<uint32_t>(values[i + 3]) << 18;
    memcpy(registers + i / 4 * 3, &packed, 3);
  }
}

struct Histogram {
  uint32_t count[64] = {};
};

void CountValues(const uint8_t* values, Histogram* histogram) {
  uint32_t lanes[4][64] = {};  // neighbours often are equal: four counters, no store-to-load wait
  for (int i = 0; i < kHllRegisters; i += 4) {
    for (int lane = 0; lane < 4; ++lane) ++lanes[lane][values[i + lane] & 63];
  }
  for (int v = 0; v < 64; ++v) {
    histogram->count[v] = lanes[0][v] + lanes[1][v] + lanes[2][v] + lanes[3][v];
  }
}

double Sigma(double x) {
  if (x == 1.0) return INFINITY;
  double y = 1, z = x, before;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

double Tau(double x) {
  if (x == 0.0 || x == 1.0) return 0.0;
  double y = 1.0, z = 1 - x, before;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= std::pow(1 - x, 2) * y;
  } while (z != before);
  return z / 3;
}

uint64_t Estimate(const Histogram& histogram) {
  constexpr double kAlphaInfinity = 0.721347520444481703680;  // 1 / (2 ln 2)
  constexpr double m = kHllRegisters;
  // The order of the operations is part of the format: Redis must come to the same integer.
  // (Its histogram is of int: so is the difference below.)
  double z = m * Tau((m - static_cast<int>(histogram.count[kRunBits + 1])) / m);
  for (int j = kRunBits; j >= 1; --j) {
    z += histogram.count[j];
    z *= 0.5;
  }
  z += m * Sigma(histogram.count[0] / m);
  return static_cast<uint64_t>(std::llround(kAlphaInfinity * m * m / z));
}

}  // namespace

uint64_t HllHash(std::string_view element) {
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr uint64_t kSeed = 0xadc83b19;
  constexpr int kShift = 47;
  uint64_t hash = kSeed ^ (element.size() * kMultiplier);
  const char* p = element.data();
  size_t left = element.size();
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word = LoadLe<uint64_t>(p) * kMultiplier;
    word ^= word >> kShift;
    hash = (hash ^ (word * kMultiplier)) * kMultiplier;
  }
  if (left > 0) {
    uint64_t rest = 0;
    memcpy(&rest, p, left);
    hash = (hash ^ rest) * kMultiplier;
  }
  hash = (hash ^ (hash >> kShift)) * kMultiplier;
  return hash ^ (hash >> kShift);
}

HllPlace HllPlaceOf(std::string_view element) {
  uint64_t hash = HllHash(element);
  int index = static_cast<int>(hash & (kHllRegisters - 1));
  // The bit behind the run ends the count at kRunBits + 1.
  uint64_t run = (hash >> kIndexBits) | (uint64_t{1} << kRunBits);
  return {index, static_cast<uint8_t>(std::countr_zero(run) + 1)};
}

bool HllLooksValid(std::string_view hll) {
  if (hll.size() < kHllHeaderBytes || memcmp(hll.data(), kMagic, 4) != 0) return false;
  uint8_t encoding = static_cast<uint8_t>(hll[4]);
  return encoding == 1 || (encoding == 0 && hll.size() == kHllDenseBytes);
}

std::string HllEmpty() {
  std::string hll(kHllHeaderBytes, '\0');
  memcpy(hll.data(), kMagic, 4);
  hll[4] = 1;
  HllAppendZeros(kHllRegisters, &hll);
  return hll;
}

void HllInvalidateCache(char* hll) {
  hll[kCountOffset + 7] = static_cast<char>(static_cast<uint8_t>(hll[kCountOffset + 7]) | 0x80);
}
bool HllCacheValid(std::string_view hll) { return (hll[kCountOffset + 7] & 0x80) == 0; }
uint64_t HllCachedCount(std::string_view hll) {
  return LoadLe<uint64_t>(hll.data() + kCountOffset) & ~kCountStale;
}
void HllStoreCount(char* hll, uint64_t count) { StoreLe<uint64_t>(hll + kCountOffset, count); }

HllAdded HllAddDense(char* hll, std::string_view element) {
  HllPlace place = HllPlaceOf(element);
  HllAdded added = DenseRaise(hll + kHllHeaderBytes, place.index, place.count);
  if (added == HllAdded::kChanged) HllInvalidateCache(hll);
  return added;
}

HllAdded HllAdd(std::string* hll, std::string_view element, int64_t sparse_bytes_max) {
  if (HllIsDense(*hll)) return HllAddDense(hll->data(), element);
  HllPlace place = HllPlaceOf(element);
  HllSparseSet set = HllSparseRaise(hll, place.index, place.count, sparse_bytes_max);
  if (set == HllSparseSet::kMustPromote) {
    if (!HllToDense(hll).ok()) return HllAdded::kCorrupt;
    HllAdded added = DenseRaise(hll->data() + kHllHeaderBytes, place.index, place.count);
    CHECK(added == HllAdded::kChanged);  // the sparse form had a smaller value there
    HllInvalidateCache(hll->data());
    return added;
  }
  if (set == HllSparseSet::kCorrupt) return HllAdded::kCorrupt;
  return set == HllSparseSet::kChanged ? HllAdded::kChanged : HllAdded::kUnchanged;
}

Status HllMergeInto(std::string_view hll, HllRegisters* into) {
  if (!HllIsDense(hll)) return HllSparseMergeInto(hll, into);
  DenseMergeInto(hll.data() + kHllHeaderBytes, into->value);
  return Status::Ok();
}

uint64_t HllCount(const HllRegisters& registers) {
  Histogram histogram;
  CountValues(registers.value, &histogram);
  return Estimate(histogram);
}

Result<uint64_t> HllCount(std::string_view hll) {
  Histogram histogram;
  if (HllIsDense(hll)) {
    HllRegisters registers;
    DenseMergeInto(hll.data() + kHllHeaderBytes, registers.value);
    CountValues(registers.value, &histogram);
  } else {
    CAIRN_RETURN_IF_ERROR(HllSparseHistogram(hll, histogram.count));
  }
  return Estimate(histogram);
}

Status HllStoreMerged(const HllRegisters& registers, bool dense, int64_t sparse_bytes_max,
                      std::string* hll) {
  if (dense) CAIRN_RETURN_IF_ERROR(HllToDense(hll));
  // Redis sets one register after the other; the sparse bytes depend on that order.
  for (int i = 0; i < kHllRegisters && !HllIsDense(*hll); ++i) {
    if (registers.value[i] == 0) continue;
    HllSparseSet set = HllSparseRaise(hll, i, registers.value[i], sparse_bytes_max);
    if (set == HllSparseSet::kCorrupt) return Status::Corrupt("sparse HyperLogLog opcodes");
    if (set == HllSparseSet::kMustPromote) CAIRN_RETURN_IF_ERROR(HllToDense(hll));
  }
  if (HllIsDense(*hll)) {
    HllRegisters all = registers;
    CAIRN_RETURN_IF_ERROR(HllMergeInto(*hll, &all));
    DenseStoreAll(all.value, hll->data() + kHllHeaderBytes);
  }
  HllInvalidateCache(hll->data());
  return Status::Ok();
}

Status HllToDense(std::string* hll) {
  if (HllIsDense(*hll)) return Status::Ok();
  HllRegisters registers;
  CAIRN_RETURN_IF_ERROR(HllSparseMergeInto(*hll, &registers));
  hll->resize(kHllDenseBytes);
  (*hll)[4] = 0;
  DenseStoreAll(registers.value, hll->data() + kHllHeaderBytes);
  return Status::Ok();
}

Status HllSelfTest() {
  Random random(20140401);
  // Registers: random stores must read back and leave their neighbours alone.
  std::string dense = HllEmpty();
  CAIRN_RETURN_IF_ERROR(HllToDense(&dense));
  HllRegisters model;
  for (int round = 0; round < 100'000; ++round) {
    int index = static_cast<int>(random.Below(kHllRegisters));
    auto value = static_cast<uint8_t>(random.Below(64));
    DensePut(dense.data() + kHllHeaderBytes, index, value);
    model.value[index] = value;
  }
  HllRegisters read;
  CAIRN_RETURN_IF_ERROR(HllMergeInto(dense, &read));
  if (memcmp(read.value, model.value, kHllRegisters) != 0) {
    return Status::Invalid("HyperLogLog registers do not read back");
  }
  // The estimate: sparse and dense agree, and stay within six standard errors (1.04 / 128).
  std::string sparse = HllEmpty();
  CAIRN_RETURN_IF_ERROR(HllToDense(&(dense = HllEmpty())));
  constexpr int64_t kUnbounded = INT64_MAX;
  for (uint64_t i = 1, checkpoint = 1; i <= 1'000'000; ++i) {
    uint64_t element = random.Next();
    std::string_view bytes(reinterpret_cast<const char*>(&element), sizeof element);
    (void)HllAddDense(dense.data(), bytes);
    if (i <= 10'000) (void)HllAdd(&sparse, bytes, kUnbounded);
    if (i != checkpoint) continue;
    checkpoint *= 10;
    Result<uint64_t> count = HllCount(dense);
    if (!count.ok()) return count.status();
    if (i <= 10'000) {
      Result<uint64_t> sparse_count = HllCount(sparse);
      if (!sparse_count.ok() || *sparse_count != *count) {
        return Status::Invalid("sparse and dense HyperLogLog differ");
      }
    }
    double error = std::abs(static_cast<double>(*count) - static_cast<double>(i));
    if (error > std::ceil(static_cast<double>(i) * 6 * 0.008125)) {
      return Status::Invalid("HyperLogLog estimate is too far off");
    }
  }
  return Status::Ok();
}

}  // namespace cairn
