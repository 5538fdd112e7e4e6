// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLog in Redis's string format, byte for byte, so that PFADD'd keys travel by DUMP and
// replication and count the same everywhere. Pure functions on byte strings; the caller holds the
// lock that guards the bytes.
//
//   header (16 bytes):  "HYLL"  encoding (0 dense, 1 sparse)  3 zero bytes
//                       cardinality, 8 bytes little-endian; top bit set = must be computed anew
//   dense:   16384 registers of 6 bits, least significant bit first: 12288 bytes
//   sparse:  opcodes that describe the registers in order
//     00llllll            ZERO   l + 1 registers are 0 (1..64)
//     01llllll llllllll   XZERO  l + 1 registers are 0 (1..16384), high part first
//     1vvvvvll            VAL    l + 1 registers (1..4) have the value v + 1 (1..32)
//
// The estimator is that of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches" (2017), algorithm 6; the hash is MurmurHash64A (Austin Appleby, public domain).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cairn {

constexpr size_t kHllHeaderBytes = 16;
constexpr int kHllRegisters = 16384;
constexpr size_t kHllDenseBytes = kHllHeaderBytes + kHllRegisters * 6 / 8;

// True if the bytes look like a HyperLogLog (header, and length if dense): else the command says
// "WRONGTYPE Key is not a valid HyperLogLog string value." The registers are not looked at.
bool HllLooksValid(std::string_view hll);
inline bool HllIsDense(std::string_view hll) { return hll[4] == 0; }

// What PFADD creates for a new key: sparse, empty, 18 bytes.
std::string HllEmpty();

enum class HllAdded : uint8_t {
  kUnchanged,
  kChanged,
  kCorrupt,  // "INVALIDOBJ Corrupted HLL object detected"
};

// The functions below want HllLooksValid() bytes.

// PFADD of one element. May turn a sparse string into a dense one: when it would outgrow
// sparse_bytes_max (hll-sparse-max-bytes, without the header in Redis's docs but with it in its
// code, as here) or a register needs more than 32. A change marks the cached cardinality invalid.
HllAdded HllAdd(std::string* hll, std::string_view element, int64_t sparse_bytes_max);
// The same in place for a dense string. Never kCorrupt.
HllAdded HllAddDense(char* hll, std::string_view element);

// PFADD and PFMERGE mark the cardinality as stale even where no register changed (new key).
void HllInvalidateCache(char* hll);
bool HllCacheValid(std::string_view hll);
uint64_t HllCachedCount(std::string_view hll);  // if HllCacheValid()
void HllStoreCount(char* hll, uint64_t count);

// The estimate, from the registers. kCorrupt status if sparse opcodes do not cover them exactly.
Result<uint64_t> HllCount(std::string_view hll);

// Registers one byte each, for PFCOUNT of several keys, PFMERGE and PFDEBUG GETREG.
struct HllRegisters {
  uint8_t value[kHllRegisters] = {};
};
// Takes the maximum of each register. kCorrupt status as above; `into` is then half merged.
Status HllMergeInto(std::string_view hll, HllRegisters* into);
uint64_t HllCount(const HllRegisters& registers);

// PFMERGE: raises *hll (valid; HllEmpty() for a new key) to `registers`, which include its own.
// `dense` if any source was dense. Marks the cardinality stale.
Status HllStoreMerged(const HllRegisters& registers, bool dense, int64_t sparse_bytes_max,
                      std::string* hll);

// Sparse to dense; nothing to do if dense. kCorrupt status leaves the string as it was.
Status HllToDense(std::string* hll);
// PFDEBUG DECODE of a sparse string: "Z:16383 v:3,1" ...
Status HllDecodeSparse(std::string_view hll, std::string* text);
// PFSELFTEST: registers and estimator against their definitions; kInvalid status tells what failed.
Status HllSelfTest();

// The hash and its split, for tests: register index and run length + 1 (1..51).
uint64_t HllHash(std::string_view element);
struct HllPlace {
  int index;
  uint8_t count;
};
HllPlace HllPlaceOf(std::string_view element);

}  // namespace cairn
