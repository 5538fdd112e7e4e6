// SPDX-License-Identifier: BSD-3-Clause
//
// The packed form's loader: one thread reads parts, the others check, decompress and load them, in
// any order. See loader.h, which is the only caller.
#pragma once

#include "base/file.h"
#include "snapshot/loader.h"

namespace cairn {

// Whether we read files of this RDB version.
Status CheckRdbVersion(int version);

// On an error *offset is where in the file it was found.
Status LoadPacked(File* file, const LoadOptions& options, LoadTotals* totals, LoadReport* report,
                  uint64_t* offset);

}  // namespace cairn
