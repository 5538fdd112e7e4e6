// SPDX-License-Identifier: BSD-3-Clause
//
// Streams in RDB form (types 15, 19, 21), behind the type byte. Called through value.h.
//
//   stream   = length(nodes) node* length(entries) id(last)
//              [id(first) id(max deleted) length(entries added)]       from type 19 on
//              length(groups) group*
//   node     = string(16: raw id of the master entry) string(listpack)
//   id       = length(ms) length(seq)              raw id = 8 + 8 bytes, big-endian
//   group    = string(name) id(last delivered) [length(entries read)]  from type 19 on
//              length(pending) (raw id, i64 delivered, length(deliveries))*
//              length(consumers) consumer*
//   consumer = string(name) i64 seen [i64 active]                      active from type 21 on
//              length(pending) raw id*
#pragma once

#include "rdb/value.h"

namespace cairn {

void RdbSaveStream(const Stream& stream, RdbType type, RdbWriter* writer);
Result<RdbValue> RdbLoadStream(RdbType type, RdbReader* reader);

}  // namespace cairn
