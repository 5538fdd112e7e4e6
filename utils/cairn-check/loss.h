// SPDX-License-Identifier: BSD-3-Clause
//
// What would be lost if a log ended at a damaged place: what its blocks behind that say. One thread.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "base/encryption.h"
#include "base/file.h"
#include "journal/manifest.h"

namespace cairn {

struct Loss {
  Lsn from = 0, to = 0;  // the stream was at least so long
  uint64_t first_ms = 0, last_ms = 0;  // in which it was written; 0: nobody knows
  uint64_t commands = 0;  // that can still be read there
  std::string unread;     // why some of it cannot be read now; "" if all could be looked at

  std::string Text() const;  // a line; "" if nothing is known of anything that is lost
};

// Of a log that ends at `from`: `segments` are those from the damaged one on, `offset` is where the
// damage begins in that.
Loss FindLoss(FileSystem* fs, const std::string& dir, const std::vector<SegmentEntry>& segments,
              uint64_t offset, Lsn from, const KeyRing* keys);

// "2026-11-22T12:30:00.687Z"; "-" for 0.
std::string TimeText(uint64_t ms);

}  // namespace cairn
