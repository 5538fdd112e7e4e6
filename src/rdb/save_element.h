// SPDX-License-Identifier: BSD-3-Clause
//
// Pieces that both ways of saving a value share: all at once (save_value.cc) and in steps.
#pragma once

#include "rdb/writer.h"
#include "types/hash.h"

namespace cairn {

inline void SaveElement(const ListpackValue& element, RdbWriter* writer) {
  if (element.is_int()) {
    writer->Integer(element.integer());
  } else {
    writer->String(element.text());
  }
}

// 0 is "none"; times count from the earliest, which is 1.
inline void SaveFieldExpiry(int64_t expiry_ms, int64_t earliest_ms, RdbWriter* writer) {
  const bool expires = expiry_ms != Hash::kNoExpiry;
  writer->Length(expires ? static_cast<uint64_t>(expiry_ms - earliest_ms) + 1 : 0);
}

}  // namespace cairn
