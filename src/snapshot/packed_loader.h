// SPDX-License-Identifier: BSD-3-Clause
//
// The packed form's loader: one thread reads parts, the others check, decompress and load them, in
// any order. See loader.h, which is the only caller.
#pragma once

#include "snapshot/loader.h"
#include "snapshot/source_reader.h"

namespace cairn {

// Whether we read files of this RDB version.
Status CheckRdbVersion(int version);

// On an error *offset is where in the source it was found.
Status LoadPacked(SourceReader* source, const LoadOptions& options, LoadTotals* totals,
                  LoadReport* report, uint64_t* offset);

}  // namespace cairn
