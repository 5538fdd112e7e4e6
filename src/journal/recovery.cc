// SPDX-License-Identifier: BSD-3-Clause
#include "journal/recovery.h"

#include <algorithm>
#include <cctype>

#include "journal/segment_reader.h"
#include "journal/tail_scan.h"
#include "journal/verify.h"

namespace cairn {
namespace {

constexpr std::string_view kBaseSuffix = ".rdb.lz4", kReceivedSuffix = ".rdb";
constexpr std::string_view kFirstBaseEnd = "-0000000000000000.rdb.lz4";  // of LSN 0

Status CheckSealed(FileSystem* fs, const std::string& dir, const SegmentEntry& segment) {
  const std::string path = SegmentPath(dir, segment);
  auto reader = SegmentReader::OpenDamaged(fs, path);
  if (!reader.ok()) {
    if (reader.status().code() != StatusCode::kNotFound) return reader.status();
    return Status::Corrupt(path + " is missing, with LSN " + std::to_string(segment.first_lsn) +
                           " to " + std::to_string(segment.end_lsn));
  }
  auto size = (*reader)->FileBytes();
  if (!size.ok()) return size.status();
  if (segment.state == SegmentState::kSealed && *size != segment.bytes)
    return Status::Corrupt(path + " has " + std::to_string(*size) + " bytes instead of " +
                           std::to_string(segment.bytes) + ", from LSN " +
                           std::to_string(segment.first_lsn) + " on");
  return Status::Ok();
}

// Segments before the base serve restores to earlier points and followers that are behind: where
// one is missing or cut short, the chain begins behind it; what is left of it stays in the folder, in
// nobody's list. One of another length that has all of its blocks stays in the chain; so does one that
// cannot be read now, as it is: perhaps the next start can. All are told.
Status DropLost(FileSystem* fs, const std::string& dir, const KeyRing* keys, Recovered* recovered) {
  Manifest& m = recovered->manifest;
  if (m.base_name.empty()) return Status::Ok();
  const auto tell = [](const std::string& what, std::string* told) {
    *told += (told->empty() ? "" : "; ") + what;
  };
  for (size_t i = m.segments.size(); i-- > 0;) {
    const SegmentEntry segment = m.segments[i];
    if (!segment.ended() || segment.end_lsn > m.base_lsn) continue;
    const Status there = CheckSealed(fs, dir, segment);
    if (there.ok()) continue;
    const bool damaged = IsDamage(there);
    Result<bool> whole = there;
    if (damaged) whole = HasAllBlocks(fs, dir, segment, m.NeededFrom(), keys);
    if (!whole.ok()) {
      tell((damaged ? there.message() + "; " + whole.status().message() : there.message()) +
               "; it is not needed for the data, but the points that it leads to cannot be restored "
               "while it cannot be read",
           &recovered->report.unread);
      continue;
    }
    if (*whole) {
      m.segments[i].state = SegmentState::kClosed;
      tell(there.message() + "; all its blocks are there", &recovered->report.odd);
      continue;
    }
    m.segments.erase(m.segments.begin(), m.segments.begin() + static_cast<ptrdiff_t>(i) + 1);
    std::erase_if(m.snapshots, [&](const SnapshotEntry& s) { return s.lsn < segment.end_lsn; });
    m.DropUnusedTimelines();
    tell(there.message() + "; it is not needed for the data, but nothing before LSN " +
         std::to_string(segment.end_lsn) + " can be restored", &recovered->report.lost);
    break;
  }
  return Status::Ok();
}

// Not so where there is none.
Result<bool> IsEmpty(FileSystem* fs, const std::string& path) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (file.status().code() == StatusCode::kNotFound) return false;
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  return *size == 0;
}

// Snapshots of our own, and what a leader sent or could not send.
bool IsBaseName(const std::string& name) {
  if (name.ends_with(kBaseSuffix)) return !name.starts_with("temp-");
  return name.ends_with(kReceivedSuffix) && (isdigit(name[0]) || name.starts_with("empty-"));
}

// Of a log that had begun when it was made.
bool IsLaterBase(const std::string& name) {
  return IsBaseName(name) && name.ends_with(kBaseSuffix) && !name.ends_with(kFirstBaseEnd);
}

// What a crash left between a file and the manifest that was to list it, or to list it no more.
Status ListUnknownFiles(FileSystem* fs, const std::string& dir, Recovered* recovered) {
  auto names = fs->List(dir);
  if (names.status().code() == StatusCode::kNotFound) return Status::Ok();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    uint32_t timeline;
    uint64_t sequence;
    if (!ParseSegmentName(name, &timeline, &sequence)) {
      if (IsBaseName(name) && !recovered->manifest.Lists(name))
        recovered->report.unknown_files.push_back(name);
      continue;
    }
    recovered->next_sequence = std::max(recovered->next_sequence, sequence + 1);
    const auto& segments = recovered->manifest.segments;
    if (std::none_of(segments.begin(), segments.end(),
                     [&](const SegmentEntry& s) { return s.sequence == sequence; }))
      recovered->report.unknown_files.push_back(name);
  }
  return Status::Ok();
}

// No manifest: a new folder, unless segments say that one was lost.
Result<Recovered> RecoverFresh(FileSystem* fs, const std::string& dir) {
  Recovered recovered;
  recovered.report.fresh = true;
  CAIRN_RETURN_IF_ERROR(ListUnknownFiles(fs, dir, &recovered));
  bool later_base = false;
  std::erase_if(recovered.report.unknown_files, [&](const std::string& name) {
    later_base |= IsLaterBase(name);
    return IsBaseName(name);
  });
  // A first start that ended before it had a manifest leaves an empty segment, which says nothing.
  std::vector<std::string> begun;
  for (const std::string& name : recovered.report.unknown_files) {
    const auto empty = IsEmpty(fs, dir + "/" + name);
    if (!empty.ok()) return empty.status();
    SegmentEntry segment;
    if (*empty && ParseSegmentName(name, &segment.timeline, &segment.sequence)) {
      recovered.unused.push_back(segment);
    } else {
      begun.push_back(name);
    }
  }
  recovered.report.unknown_files = std::move(begun);
  auto unbased = fs->Exists(dir + "/" + kAwaitsBaseName);
  if (!unbased.ok()) return unbased.status();
  if (!*unbased && !recovered.report.unknown_files.empty())
    return Status::Corrupt(dir + " holds journal segments but no manifest");
  // A snapshot of a later log is there, too, when only the manifest was lost behind a rewrite.
  if (!*unbased && !recovered.unused.empty() && later_base)
    return Status::Corrupt(dir + " holds a journal's snapshot but no manifest");
  return recovered;
}

Status CheckChain(const std::string& dir, const Manifest& m, Lsn tail) {
  const std::string ends = "the log in " + dir + " ends at LSN " + std::to_string(tail);
  const Lsn first = m.segments.empty() ? tail : m.segments.front().first_lsn;
  if (m.base_name.empty() ? first != 0 : first > m.base_lsn)
    return Status::Corrupt("the log in " + dir + " begins at LSN " + std::to_string(first) +
                           " but the data set before it is missing");
  if (!m.base_name.empty() && tail < m.base_lsn)
    return Status::Corrupt(ends + " below its base snapshot at " + std::to_string(m.base_lsn));
  if (m.clean && tail != m.clean_lsn)
    return Status::Corrupt(ends + " but was shut down at " + std::to_string(m.clean_lsn));
  return Status::Ok();
}

}  // namespace

std::string RecoveryReport::Text() const {
  if (fresh) return "new journal";
  std::string text = clean ? "journal was shut down cleanly" : "journal was not shut down cleanly";
  if (bytes_cut > 0)
    text += "; cut " + std::to_string(bytes_cut) + " bytes behind LSN " + std::to_string(cut_lsn) +
            " in " + cut_file + ": " + cut_reason;
  for (const std::string& name : unknown_files) text += "; kept unknown file " + name;
  return text;
}

Status RemoveUnbased(FileSystem* fs, const std::string& dir) {
  const std::string mark = dir + "/" + kAwaitsBaseName;
  auto unbased = fs->Exists(mark);
  if (!unbased.ok()) return unbased.status();
  if (!*unbased) return Status::Ok();
  Manifest listed;
  auto manifest = LoadManifest(fs, dir);
  const bool none = manifest.status().code() == StatusCode::kNotFound;
  if (manifest.ok()) {
    listed = std::move(*manifest);
  } else if (!none) {
    return manifest.status();
  }
  auto names = fs->List(dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    uint32_t timeline;
    uint64_t sequence;
    // A base that came too late for a manifest would, without one, look like what a lost one named.
    if ((ParseSegmentName(name, &timeline, &sequence) && !listed.Lists(name)) ||
        (none && IsLaterBase(name)))
      CAIRN_RETURN_IF_ERROR(fs->Remove(dir + "/" + name));
  }
  return fs->Remove(mark);
}

Status Recovered::RewindBase(Lsn lsn) {
  std::vector<SnapshotEntry> reachable = manifest.snapshots;
  while (!reachable.empty() && reachable.back().lsn > lsn) reachable.pop_back();
  if (reachable.empty())
    return Status::Invalid("no snapshot reaches back to LSN " + std::to_string(lsn));
  manifest.snapshots = std::move(reachable);
  manifest.base_name = manifest.snapshots.back().name;
  manifest.base_lsn = manifest.snapshots.back().lsn;
  return Status::Ok();
}

Status Recovered::CutAt(Lsn lsn) {
  const Lsn first = manifest.segments.empty() ? tail_lsn : manifest.segments.front().first_lsn;
  if (lsn > tail_lsn || lsn < first || lsn < manifest.base_lsn)
    return Status::Invalid("LSN " + std::to_string(lsn) + " is outside the log");
  std::vector<SegmentEntry> dropped;
  if (lsn < tail_lsn) report.clean = false;
  CutChain(&manifest, lsn, &dropped);
  tail_lsn = lsn;
  return Status::Ok();
}

Result<Recovered> RecoverJournal(FileSystem* fs, const std::string& dir, const KeyRing* keys,
                                 bool in_use) {
  auto manifest = LoadManifest(fs, dir);
  if (!manifest.ok()) {
    if (manifest.status().code() != StatusCode::kNotFound) return manifest.status();
    return RecoverFresh(fs, dir);
  }
  Recovered recovered;
  Manifest& m = recovered.manifest = std::move(*manifest);
  recovered.next_sequence = m.NextSequence();
  // What ends at the base, and may be lost, says where what follows begins.
  Lsn expected = m.base_lsn;
  for (const SegmentEntry& s : m.segments)
    if (s.ended()) expected = s.end_lsn;
  CAIRN_RETURN_IF_ERROR(DropLost(fs, dir, keys, &recovered));
  CAIRN_RETURN_IF_ERROR(ListUnknownFiles(fs, dir, &recovered));
  auto first_open = std::find_if(m.segments.begin(), m.segments.end(),
                                 [](const SegmentEntry& s) { return !s.ended(); });
  for (auto s = m.segments.begin(); s != first_open; ++s)
    if (m.base_name.empty() || s->end_lsn > m.base_lsn)  // else DropLost has
      CAIRN_RETURN_IF_ERROR(CheckSealed(fs, dir, *s));
  if (first_open == m.segments.begin() && first_open != m.segments.end() &&
      first_open->state == SegmentState::kOpen)
    expected = first_open->first_lsn;
  const std::vector<SegmentEntry> open(first_open, m.segments.end());
  for (const SegmentEntry& s : open) {
    const auto empty = IsEmpty(fs, SegmentPath(dir, s));
    if (!empty.ok()) return empty.status();
    if (*empty) recovered.unused.push_back(s);
  }
  TailScan scan(fs, dir, open, expected, keys, in_use);
  CAIRN_RETURN_IF_ERROR(scan.Run(&recovered.report));
  m.segments.erase(first_open, m.segments.end());
  m.segments.insert(m.segments.end(), scan.found().begin(), scan.found().end());
  recovered.unsynced = scan.found();
  recovered.tail_lsn = scan.last_unit();
  std::vector<SegmentEntry> dropped;
  CutChain(&m, recovered.tail_lsn, &dropped);
  CAIRN_RETURN_IF_ERROR(CheckChain(dir, m, recovered.tail_lsn));
  recovered.report.clean = m.clean;
  return recovered;
}

}  // namespace cairn
