// SPDX-License-Identifier: BSD-3-Clause
//
// Repair of a damaged journal folder: the log ends at the last complete unit before the damage. A
// damaged snapshot leaves it; an older one takes the base's place if the segments go back so far.
// Behind damage before the base the log begins at the next snapshot or segment from which it can be
// read. A segment whose length alone is wrong stays. Whatever a start loads is kept.
// Nobody else may use the folder.
#pragma once

#include <string>

#include "base/encryption.h"
#include "base/file.h"

namespace cairn {

// Says in `text`, a line a fact, what is damaged and what goes, and does it if `really`: the old
// manifest and the files that leave the log move into DIR/damaged-N, then the new manifest is
// put in place. kCorrupt if the folder cannot be helped (no readable manifest, no whole snapshot to begin with),
// kInvalid if `keys` do not open a segment: a missing key is no damage.
Status RepairJournal(FileSystem* fs, const std::string& dir, bool really,
                     const KeyRing* keys, std::string* text);

}  // namespace cairn
