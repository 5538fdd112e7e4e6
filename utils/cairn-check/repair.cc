// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/repair.h"

#include <algorithm>

#include "journal/recovery.h"
#include "journal/segment_reader.h"
#include "snapshot/verify.h"

namespace cairn {
namespace {

constexpr int kAsideFoldersMax = 1000;

// What a walk over all listed segments found: where the readable stream ends, and why.
struct Readable {
  Lsn end = 0;
  std::string reason;  // "" if all is whole
  std::vector<SegmentEntry> segments;  // those walked, with what is known of them
  // Those that are sealed and whole but for their length: from now on only their end is believed.
  std::vector<size_t> misshapen;
};

// Damage is what the bytes say: a file that cannot be read now (EIO, permissions) is no damage but an
// error, or the repair would drop what is whole.
bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kCorrupt || status.code() == StatusCode::kNotFound;
}

// One that is in use is listed before its first byte is written.
bool IsUnbegun(FileSystem* fs, const std::string& dir, const SegmentEntry& segment) {
  auto file = fs->Open(SegmentPath(dir, segment), FileSystem::Mode::kRead);
  const auto size = file.ok() ? (*file)->Size() : Result<uint64_t>(file.status());
  return segment.state == SegmentState::kNext || (!segment.ended() && size.ok() && *size == 0);
}

Result<Readable> Walk(FileSystem* fs, const std::string& dir, const Manifest& m,
                      const KeyRing* keys) {
  Readable found;
  Lsn expected = m.segments.empty() ? m.base_lsn : m.segments.front().first_lsn;
  found.end = expected;
  for (SegmentEntry s : m.segments) {
    auto reader = SegmentReader::Open(fs, SegmentPath(dir, s), keys);
    if (!reader.ok()) {
      if (!IsDamage(reader.status())) return reader.status();
      if (!IsUnbegun(fs, dir, s)) found.reason = reader.status().message();
      return found;
    }
    if ((*reader)->header().first_lsn != expected) {
      found.reason = SegmentPath(dir, s) + " does not continue the segment before it";
      return found;
    }
    const Lsn limit = s.ended() ? s.end_lsn : kLsnMax;
    if (!s.ended()) {  // it is known from here on
      s.state = SegmentState::kOpen;
      s.first_lsn = expected;
      s.first_ms = s.last_ms = (*reader)->header().created_ms;
    }
    Lsn unit = expected;
    SegmentReader::Block block;
    auto end = SegmentReader::End::kNone;
    while ((*reader)->next_lsn() < limit &&
           (end = (*reader)->Next(&block)) == SegmentReader::End::kNone) {
      unit = std::max(unit, std::min(block.header.last_unit_lsn, limit));
      if (!s.ended()) s.last_ms = block.header.last_ms;
    }
    if (!s.ended()) s.end_lsn = unit;
    found.end = expected = unit;
    found.segments.push_back(s);
    if (end == SegmentReader::End::kBad && !IsDamage((*reader)->status()))
      return (*reader)->status();
    if (end == SegmentReader::End::kBad) found.reason = (*reader)->status().message();
    if (end == SegmentReader::End::kClean && s.ended() && unit < limit)
      found.reason = SegmentPath(dir, s) + " ends early";
    if (!found.reason.empty()) return found;
    if (s.state != SegmentState::kSealed) continue;
    auto size = (*reader)->FileBytes();
    if (!size.ok()) return size.status();
    if (*size == s.bytes) continue;
    found.segments.back().state = SegmentState::kClosed;
    found.misshapen.push_back(found.segments.size() - 1);
  }
  return found;
}

// A snapshot that cannot be loaded, and why.
struct BadSnapshot {
  std::string name, reason;
};

// Takes the snapshots that cannot be loaded out of `m`. Its base becomes the newest whole one that the
// log goes on from; all that came since is in the segments between.
Result<std::vector<BadSnapshot>> PassOverBadSnapshots(FileSystem* fs, const std::string& dir,
                                                      Manifest* m, const KeyRing* keys) {
  std::vector<SnapshotEntry> listed = m->snapshots, whole;
  if (listed.empty()) listed.push_back({m->base_name, m->base_lsn, 0, 0});
  std::vector<BadSnapshot> bad;
  for (const SnapshotEntry& s : listed) {
    const Status status =
        s.name.empty() ? Status::Ok() : VerifyBase(fs, dir + "/" + s.name, s.lsn, keys).status();
    if (status.ok()) {
      whole.push_back(s);
    } else if (!IsDamage(status)) {
      return status;
    } else if (bad.empty() || bad.back().name != s.name) {  // two of the same LSN are one file
      bad.push_back({s.name, status.message()});
    }
  }
  if (bad.empty()) return bad;
  const Lsn first = m->segments.empty() ? m->base_lsn : m->segments.front().first_lsn;
  if (whole.empty() || (whole.back().lsn < m->base_lsn && whole.back().lsn < first))
    return Status::Corrupt(bad.back().reason + "; there is no older snapshot that the log goes on "
                           "from: the data set has to come from a backup");
  m->base_name = whole.back().name;
  m->base_lsn = whole.back().lsn;
  if (!m->snapshots.empty()) m->snapshots = std::move(whole);
  return bad;
}

Status MoveAside(FileSystem* fs, const std::string& dir, const std::vector<std::string>& names,
                 std::string* text) {
  std::string aside;
  for (int n = 1; aside.empty() && n < kAsideFoldersMax; ++n) {
    const std::string name = dir + "/damaged-" + std::to_string(n);
    auto there = fs->Exists(name);
    if (!there.ok()) return there.status();
    if (!*there) aside = name;
  }
  if (aside.empty()) return Status::Limit("too many damaged-N folders");
  CAIRN_RETURN_IF_ERROR(fs->MakeDirectory(aside));
  CAIRN_RETURN_IF_ERROR(fs->Link(ManifestPath(dir), aside + "/manifest"));
  // Linked now, taken away only after the new manifest stands: a crash loses nothing.
  for (const std::string& name : names) {
    Status status = fs->Link(dir + "/" + name, aside + "/" + name);
    if (!status.ok() && status.code() != StatusCode::kNotFound) return status;
  }
  CAIRN_RETURN_IF_ERROR(fs->SyncDirectory(aside));
  CAIRN_RETURN_IF_ERROR(fs->SyncDirectory(dir));
  *text += "originals are in " + aside + "\n";
  return Status::Ok();
}

// Makes the log of `m` end where it can be read no further.
Status EndLog(const Readable& found, Manifest* m, std::vector<std::string>* originals,
              std::vector<std::string>* dropped, std::string* text) {
  if (!m->base_name.empty() && found.end < m->base_lsn)
    return Status::Corrupt("the log is damaged at LSN " + std::to_string(found.end) +
                           " below its base snapshot at " + std::to_string(m->base_lsn) +
                           ": remove segments by hand or restore a backup");
  *text += "damage: " + found.reason + "\n";
  *text += "the log would end at LSN " + std::to_string(found.end) + "\n";
  // Open segments that were walked take their place in the chain; those behind leave it.
  std::vector<SegmentEntry> behind(m->segments.begin() + static_cast<long>(found.segments.size()),
                                   m->segments.end());
  m->segments = found.segments;
  std::vector<SegmentEntry> beyond;
  CutChain(m, found.end, &beyond);
  behind.insert(behind.begin(), beyond.begin(), beyond.end());
  for (const SegmentEntry& s : behind) {
    const std::string name = SegmentName(s.timeline, s.sequence);
    *text += "drops " + name + "\n";
    originals->push_back(name);
    dropped->push_back(name);
  }
  for (const SegmentEntry& s : m->segments)
    if (s.state == SegmentState::kClosed && s.end_lsn == found.end)
      originals->push_back(SegmentName(s.timeline, s.sequence));
  m->clean = false;
  return Status::Ok();
}

}  // namespace

Status RepairJournal(FileSystem* fs, const std::string& dir, bool really,
                     const KeyRing* keys, std::string* text) {
  auto loaded = LoadManifest(fs, dir);
  if (!loaded.ok()) return loaded.status();
  Manifest m = std::move(*loaded);
  if (auto lost = DropLost(fs, dir, &m); !lost.ok()) return lost.status();
  for (const SegmentEntry& s : m.segments)
    if (auto reader = SegmentReader::Open(fs, SegmentPath(dir, s), keys);
        !reader.ok() && reader.status().code() == StatusCode::kInvalid)
      return reader.status();
  auto walked = Walk(fs, dir, m, keys);
  if (!walked.ok()) return walked.status();
  Readable found = std::move(*walked);
  auto recovered = RecoverJournal(fs, dir, keys);
  if (!recovered.ok() && !IsDamage(recovered.status())) return recovered.status();
  if (found.reason.empty() && found.misshapen.empty() && !recovered.ok())
    found.reason = recovered.status().message();
  auto passed_over = PassOverBadSnapshots(fs, dir, &m, keys);
  if (!passed_over.ok()) return passed_over.status();
  if (found.reason.empty() && found.misshapen.empty() && passed_over->empty()) {
    *text += "the log is whole up to LSN " + std::to_string(found.end) + ", nothing to repair\n";
    return Status::Ok();
  }
  std::vector<std::string> originals, dropped;
  for (const BadSnapshot& bad : *passed_over) {
    *text += "damage: " + bad.reason + "\ndrops " + bad.name + "\n";
    originals.push_back(bad.name);
    dropped.push_back(bad.name);
  }
  if (!passed_over->empty())
    *text += "the log would begin with " +
             (m.base_name.empty() ? "the empty data set" : m.base_name) + ", LSN " +
             std::to_string(m.base_lsn) + "; all that came since is in its segments\n";
  for (size_t i : found.misshapen) {
    const std::string name = SegmentName(m.segments[i].timeline, m.segments[i].sequence);
    *text += "damage: " + dir + "/" + name + " has not its length; all blocks of it are there\n";
    originals.push_back(name);
    m.segments[i].state = SegmentState::kClosed;
  }
  if (!found.reason.empty()) CAIRN_RETURN_IF_ERROR(EndLog(found, &m, &originals, &dropped, text));
  if (!really) {
    *text += "nothing was changed; run again with --yes to do it\n";
    return Status::Ok();
  }
  std::sort(originals.begin(), originals.end());
  originals.erase(std::unique(originals.begin(), originals.end()), originals.end());
  CAIRN_RETURN_IF_ERROR(MoveAside(fs, dir, originals, text));
  CAIRN_RETURN_IF_ERROR(SaveManifest(fs, dir, m));
  for (const std::string& name : dropped) {
    Status status = fs->Remove(dir + "/" + name);
    if (!status.ok() && status.code() != StatusCode::kNotFound) return status;
  }
  *text += "done: the log ends at LSN " + std::to_string(found.end) + "\n";
  return Status::Ok();
}

}  // namespace cairn
