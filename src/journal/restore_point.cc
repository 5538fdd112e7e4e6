// SPDX-License-Identifier: BSD-3-Clause
#include "journal/restore_point.h"

#include <string.h>
#include <time.h>

#include <algorithm>

#include "base/numbers.h"
#include "journal/reader.h"

namespace cairn {
namespace {

bool ParseTime(const std::string& text, uint64_t* ms) {
  tm parts = {};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return false;
  const tm said = parts;
  const time_t seconds = timegm(&parts);
  // 31 February would be some day in March.
  if (seconds < 0 || parts.tm_mday != said.tm_mday || parts.tm_sec != said.tm_sec) return false;
  uint64_t milliseconds = 0;
  const auto digit = [&](int i) { return rest[i] >= '0' && rest[i] <= '9'; };
  if (rest[0] == '.' && digit(1) && digit(2) && digit(3)) {
    milliseconds = std::stoul(std::string(rest + 1, 3));
    rest += 4;
  }
  *ms = static_cast<uint64_t>(seconds) * 1000 + milliseconds;
  return *rest == '\0' || strcmp(rest, "Z") == 0;
}

// Of the state at earlier times nothing is known: when the first segment or, if nothing was written
// since, the oldest snapshot was made.
uint64_t BeginsAtMs(const Manifest& m) {
  uint64_t ms = m.segments.empty() ? UINT64_MAX : m.segments.front().first_ms;
  if (!m.snapshots.empty() && m.snapshots.front().created_ms > 0)
    ms = std::min(ms, m.snapshots.front().created_ms);
  return ms == UINT64_MAX ? 0 : ms;
}

constexpr std::string_view kKeptPrefix = "timeline-";
constexpr int kFoldersMax = 1000;  // kept timelines of one number

// A folder without a manifest is what a crash left of one: emptied for the next.
Status EmptyKept(FileSystem* fs, const std::string& folder) {
  auto names = fs->List(folder);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) CAIRN_RETURN_IF_ERROR(fs->Remove(folder + "/" + name));
  return Status::Ok();
}

bool SameSize(FileSystem* fs, const std::string& a, const std::string& b) {
  auto one = fs->Open(a, FileSystem::Mode::kRead), other = fs->Open(b, FileSystem::Mode::kRead);
  if (!one.ok() || !other.ok()) return false;
  const auto size = (*one)->Size(), other_size = (*other)->Size();
  return size.ok() && other_size.ok() && *size == *other_size;
}

}  // namespace

Result<std::string> KeepTimeline(FileSystem* fs, const std::string& dir,
                                 const Manifest& manifest) {
  std::string kept;
  for (int n = 0; n < kFoldersMax && kept.empty(); ++n) {
    const std::string name = dir + "/" + std::string(kKeptPrefix) +
                             std::to_string(manifest.LastTimeline()) +
                             (n == 0 ? "" : "." + std::to_string(n));
    auto there = fs->Exists(ManifestPath(name));
    if (!there.ok()) return there.status();
    if (!*there) {
      kept = name;
    } else if (auto same = LoadManifest(fs, name);
               same.ok() && same->Encode() == manifest.Encode()) {
      return name;  // by a try before that got no further
    }
  }
  if (kept.empty()) return Status::Limit("too many kept timelines in " + dir);
  CAIRN_RETURN_IF_ERROR(fs->MakeDirectory(kept));
  CAIRN_RETURN_IF_ERROR(EmptyKept(fs, kept));
  CAIRN_RETURN_IF_ERROR(LinkFiles(fs, manifest, dir, kept));
  CAIRN_RETURN_IF_ERROR(fs->SyncDirectory(dir));
  return kept;
}

void RemoveKept(FileSystem* fs, const std::string& dir, const Manifest& current) {
  auto folders = fs->List(dir);
  if (!folders.ok()) return;
  for (const std::string& folder : *folders) {
    if (!folder.starts_with(kKeptPrefix)) continue;
    const auto kept = LoadManifest(fs, dir + "/" + folder);
    if (!kept.ok()) continue;
    for (const std::string& name : kept->FileNames())
      if (!current.Lists(name) && SameSize(fs, dir + "/" + name, dir + "/" + folder + "/" + name))
        (void)fs->Remove(dir + "/" + name);
  }
}

Result<Lsn> FindRestorePoint(FileSystem* fs, const std::string& dir, Recovered* recovered,
                             const std::string& option, const std::string& target,
                             const KeyRing* keys) {
  const Manifest& m = recovered->manifest;
  Lsn lsn;
  uint64_t ms;
  if (ParseTime(target, &ms)) {
    // Before it nothing is known, unless that there was nothing, which is hardly what is meant.
    if (ms < BeginsAtMs(m))
      return Status::Invalid(option + " " + target +
                             ": the log here begins later; cairn-check points lists what can be "
                             "restored");
    auto found = FindLsnAtTime(fs, dir, m, ms, keys);
    if (!found.ok()) return found.status();
    lsn = *found;
  } else if (!ParseUint64(target, &lsn)) {
    return Status::Invalid(option + " takes an LSN or a time like 2026-01-31T12:00:00Z, not '" +
                           target + "'");
  }
  if (lsn > recovered->tail_lsn || lsn < m.RestorableFrom())
    return Status::Invalid(option + " " + target + ": the log here goes from LSN " +
                           std::to_string(m.RestorableFrom()) + " to " +
                           std::to_string(recovered->tail_lsn) +
                           "; cairn-check points lists what can be restored");
  if (lsn < m.base_lsn) CAIRN_RETURN_IF_ERROR(recovered->RewindBase(lsn));
  return lsn;
}

}  // namespace cairn
