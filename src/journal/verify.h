// SPDX-License-Identifier: BSD-3-Clause
//
// Whether a chain of segments is whole: every block of it is read and checked, nothing is applied.
// cairn-check, BACKUP and recovery share it. Any thread, in bounded memory.
#pragma once

#include <functional>
#include <string>

#include "base/encryption.h"
#include "base/file.h"
#include "journal/manifest.h"

namespace cairn {

// Reads the stream from NeededFrom() of `manifest` up to `tail`, which is where it must end.
// kCorrupt with file and LSN; kUnavailable once `stopped` (may be null) says so.
Status VerifyChain(FileSystem* fs, const std::string& dir, const Manifest& manifest, Lsn tail,
                   const KeyRing* keys, const std::function<bool()>& stopped = nullptr);

// Whether an ended segment, of whatever length, has all of its blocks from `needed` on. An error says
// nothing about its bytes.
Result<bool> HasAllBlocks(FileSystem* fs, const std::string& dir, const SegmentEntry& segment,
                          Lsn needed, const KeyRing* keys);

}  // namespace cairn
