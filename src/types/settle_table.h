// SPDX-License-Identifier: BSD-3-Clause
//
// A table that was made for as many elements as a request has words may get few: the same one over
// and over. Then it would keep memory for all of them, and a random one would be looked for in
// empty buckets.
#pragma once

namespace cairn {

// Gives back what did not come. O(buckets given back).
template <typename Table>
void SettleTable(Table* table) {
  bool shrank = false;
  while (table->Maintain()) shrank = true;
  if (shrank) table->Trim();
}

}  // namespace cairn
