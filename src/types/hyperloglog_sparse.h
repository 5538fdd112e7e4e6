// SPDX-License-Identifier: BSD-3-Clause
//
// The sparse HyperLogLog form: opcodes instead of registers (grammar in hyperloglog.h). Private to
// hyperloglog.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "types/hyperloglog.h"

namespace cairn {

enum class HllSparseSet : uint8_t { kUnchanged, kChanged, kCorrupt, kMustPromote };

// Raises one register to `value` if that is more. kMustPromote: the result does not fit the sparse
// form, nothing was changed. A change marks the cached cardinality stale.
HllSparseSet HllSparseRaise(std::string* hll, int index, int value, int64_t sparse_bytes_max);

// Appends the opcode for a run of zeros (1..16384).
void HllAppendZeros(int length, std::string* out);

Status HllSparseMergeInto(std::string_view hll, HllRegisters* into);
// histogram[v] = number of registers with value v; zeroed on entry by the caller.
Status HllSparseHistogram(std::string_view hll, uint32_t* histogram);

}  // namespace cairn
