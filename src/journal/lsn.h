// SPDX-License-Identifier: BSD-3-Clause
//
// Positions in the stream. An LSN is the number of stream bytes before it, so it is at once an
// offset, the replication offset and the durability horizon. LSNs are only comparable within one
// timeline: a promotion, a full sync, a restore or an unclean restart may write other bytes at
// the same LSN, and each of them begins a new timeline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cairn {

using Lsn = uint64_t;

// LSNs are packed with a database number into 64 bits, see journal/buffer.h: 4 PiB of stream.
constexpr Lsn kLsnMax = (Lsn{1} << 52) - 1;
constexpr size_t kReplicationIdChars = 40;  // hexadecimal

struct Timeline {
  uint32_t number = 0;  // 1, 2, ... in the order in which this directory saw them
  std::string replid;   // kReplicationIdChars hexadecimal digits
  uint32_t parent = 0;  // the timeline it branched from, 0 if none
  Lsn branch_lsn = 0;   // where it branched: the parent's bytes below this LSN are its own too
};

// 160 random bits as 40 lower-case hexadecimal digits, Redis's run id and replication id.
std::string NewReplicationId();
bool IsReplicationId(const std::string& text);

}  // namespace cairn
