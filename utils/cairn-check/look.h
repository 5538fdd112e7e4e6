// SPDX-License-Identifier: BSD-3-Clause
//
// A look at a folder that a server may be using: a rewrite deletes files between the look at the manifest
// and the one at them. One thread.
#pragma once

#include <string>

#include "base/file.h"
#include "base/status.h"
#include "journal/manifest.h"

namespace cairn {

// look() as often as it finds damage, or misses a file, in a folder whose manifest has changed meanwhile.
template <typename Look>
Status LookUntilStill(FileSystem* fs, const std::string& dir, const Look& look) {
  constexpr int kLooksMax = 20;
  for (int looks = 1;; ++looks) {
    const auto before = LoadManifest(fs, dir);
    const Status status = look();
    const bool damage =
        status.code() == StatusCode::kCorrupt || status.code() == StatusCode::kNotFound;
    if (!damage || looks == kLooksMax || !before.ok()) return status;
    const auto after = LoadManifest(fs, dir);
    if (!after.ok() || after->Encode() == before->Encode()) return status;
  }
}

}  // namespace cairn
