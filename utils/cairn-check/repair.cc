// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/repair.h"

#include <algorithm>

#include "journal/reader.h"
#include "journal/recovery.h"
#include "snapshot/verify.h"
#include "utils/cairn-check/loss.h"

namespace cairn {
namespace {

constexpr int kAsideFoldersMax = 1000;

// What a walk over the listed segments found: where the readable stream ends, and why.
struct Readable {
  Lsn from = 0;  // where it began
  Lsn end = 0;
  std::string reason;  // "" if all is whole
  uint64_t offset = 0;  // of the damage, in the last of `segments`; 0: in the one behind it
  std::vector<SegmentEntry> segments;  // those walked, with what is known of them
  std::string lengths;  // a line each: files of another length whose blocks are all there
};

// One that is in use is listed before its first byte is written; a next one may not be there.
Result<bool> IsUnbegun(FileSystem* fs, const std::string& dir, const SegmentEntry& segment) {
  if (segment.ended()) return false;
  auto file = fs->Open(SegmentPath(dir, segment), FileSystem::Mode::kRead);
  if (file.status().code() == StatusCode::kNotFound) return segment.state == SegmentState::kNext;
  if (!file.ok()) return file.status();
  const auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  return *size == 0;
}

// Reads the blocks of a segment; its end in `s`, its damage in `found`. An error is not the bytes'.
Status WalkSegment(SegmentReader* reader, const std::string& path, SegmentEntry* s,
                   Readable* found) {
  const bool ended = s->ended();
  const Lsn limit = ended ? s->end_lsn : kLsnMax;
  if (!ended) {  // it is known from here on
    s->state = SegmentState::kOpen;
    s->first_ms = s->last_ms = reader->header().created_ms;
  }
  if (found->end > reader->next_lsn()) reader->Seek(found->end);
  SegmentReader::Block block;
  std::string plain;
  auto end = SegmentReader::End::kNone;
  Status damage;
  while (reader->next_lsn() < limit && (end = reader->Next(&block)) == SegmentReader::End::kNone) {
    found->offset = block.offset;
    damage = reader->Decode(block, &plain);
    if (!damage.ok()) break;
    found->end = std::max(found->end, std::min(block.header.last_unit_lsn, limit));
    if (!ended) s->last_ms = block.header.last_ms;
  }
  if (!ended) s->end_lsn = found->end;
  if (damage.ok()) found->offset = reader->offset();
  if (end == SegmentReader::End::kBad) damage = reader->status();
  if (!damage.ok()) {
    if (!IsDamage(damage)) return damage;
    found->reason = damage.message();
  } else if (ended && found->end < limit) {
    found->reason = path + " ends early";
  }
  if (!found->reason.empty() || s->state != SegmentState::kSealed) return Status::Ok();
  const auto bytes = reader->FileBytes();
  if (!bytes.ok()) return bytes.status();
  if (*bytes == s->bytes) return Status::Ok();
  // Nothing is lost: what counts is said by the manifest from now on.
  found->lengths += "damage: " + path + " has " + std::to_string(*bytes) + " bytes instead of " +
                    std::to_string(s->bytes) + "; all its blocks are there\n";
  s->state = SegmentState::kClosed;
  return Status::Ok();
}

// As a start would read it that begins at `from`, which the first segment holds or begins at.
Result<Readable> Walk(FileSystem* fs, const std::string& dir, const Manifest& m, Lsn from,
                      const KeyRing* keys) {
  Readable found;
  found.from = found.end = from;
  Lsn expected = m.segments.empty() ? from : m.segments.front().first_lsn;
  for (SegmentEntry s : m.segments) {
    const std::string path = SegmentPath(dir, s);
    auto reader = OpenSegment(fs, dir, s, keys);
    found.offset = 0;
    if (!reader.ok()) {
      if (!IsDamage(reader.status())) return reader.status();
      const auto unbegun = IsUnbegun(fs, dir, s);
      if (!unbegun.ok()) return unbegun.status();
      if (!*unbegun) {
        found.reason = reader.status().message();
        return found;
      }
      s.first_lsn = s.end_lsn = expected;
      found.segments.push_back(s);
      continue;
    }
    if ((*reader)->header().first_lsn != expected) {
      found.reason = path + " does not continue the segment before it";
      return found;
    }
    s.first_lsn = expected;
    CAIRN_RETURN_IF_ERROR(WalkSegment(reader->get(), path, &s, &found));
    found.segments.push_back(s);
    if (!found.reason.empty()) return found;
    expected = found.end;
  }
  return found;
}

// Where the chain may begin next, behind what cannot be read at `lsn`, below the base.
Lsn NextBegin(const Manifest& m, Lsn lsn) {
  Lsn next = m.base_lsn;
  for (const SnapshotEntry& s : m.snapshots)
    if (s.lsn > lsn) next = std::min(next, s.lsn);
  for (const SegmentEntry& s : m.segments)
    if (s.first_lsn > lsn) next = std::min(next, s.first_lsn);
  return next;
}

void BeginAt(Manifest* m, Lsn from) {
  auto& segments = m->segments;
  const auto before = [&](size_t i) {
    if (segments[i].ended()) return segments[i].end_lsn <= from;
    return i + 1 < segments.size() && segments[i + 1].state != SegmentState::kNext &&
           segments[i + 1].first_lsn <= from;
  };
  while (!segments.empty() && before(0)) segments.erase(segments.begin());
  std::erase_if(m->snapshots, [&](const SnapshotEntry& s) { return s.lsn < from; });
  m->DropUnusedTimelines();
}

// Damage before the base costs the points that it led to: the log of `m` begins at the first one from
// which it can be read up to its base, and that is walked.
Result<Readable> WalkFromFirstPoint(FileSystem* fs, const std::string& dir, const KeyRing* keys,
                                    Manifest* m, std::string* text) {
  const Lsn first = m->NeededFrom();
  std::string said;
  for (Lsn from = first;;) {
    auto found = Walk(fs, dir, *m, from, keys);
    if (!found.ok()) return found;
    if (found->end >= m->base_lsn) {
      if (from > first)
        *text += "it is not needed for the data, but nothing before LSN " + std::to_string(from) +
                 " can be restored\n";
      return found;
    }
    const std::string damage = found->reason.empty() ? "the log ends at LSN " +
                                                           std::to_string(found->end) +
                                                           " before its base"
                                                     : found->reason;
    if (damage != said) *text += "damage: " + damage + "\n";
    said = damage;
    from = NextBegin(*m, found->end);
    BeginAt(m, from);
  }
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

// Makes the log of `m` end where it can be read no further; at its base at the earliest.
void EndLog(const Readable& found, Manifest* m) {
  // Open segments that were walked take their place in the chain; those behind leave it.
  m->segments = found.segments;
  std::erase_if(m->segments, [](const SegmentEntry& s) { return s.first_lsn == s.end_lsn; });
  std::vector<SegmentEntry> beyond;
  CutChain(m, found.end, &beyond);
  // One that holds the base, with damage before that and no more behind it.
  BeginAt(m, found.from);
  m->clean = false;
}

// Puts `m` in the place of `before`. Files that it no longer lists leave the folder; those of which it
// says something else, too, are kept as they were. After kill -9 their bytes may be the kernel's alone:
// they are synced before a manifest says where they end, since a start syncs only what has no end yet.
Status PutInPlace(FileSystem* fs, const std::string& dir, const Manifest& before, const Manifest& m,
                  const std::vector<std::string>& dropped, std::string* text) {
  std::vector<std::string> originals = dropped;
  for (const SegmentEntry& s : m.segments) {
    for (const SegmentEntry& old : before.segments) {
      if (old.sequence != s.sequence || old.timeline != s.timeline ||
          (old.state == s.state && old.end_lsn == s.end_lsn))
        continue;
      originals.push_back(SegmentName(s.timeline, s.sequence));
      auto file = fs->Open(SegmentPath(dir, s), FileSystem::Mode::kReadWrite);
      if (!file.ok()) return file.status();
      CAIRN_RETURN_IF_ERROR((*file)->Sync());
    }
  }
  CAIRN_RETURN_IF_ERROR(MoveAside(fs, dir, originals, text));
  CAIRN_RETURN_IF_ERROR(SaveManifest(fs, dir, m));
  for (const std::string& name : dropped) {
    Status status = fs->Remove(dir + "/" + name);
    if (!status.ok() && status.code() != StatusCode::kNotFound) return status;
  }
  return Status::Ok();
}

// Takes the bad snapshots and the damage before the base out of `m`, and walks what is left.
Result<Readable> Begin(FileSystem* fs, const std::string& dir, const KeyRing* keys, Manifest* m,
                       std::string* text) {
  auto passed_over = PassOverBadSnapshots(fs, dir, m, keys);
  if (!passed_over.ok()) return passed_over.status();
  for (const BadSnapshot& bad : *passed_over) *text += "damage: " + bad.reason + "\n";
  if (!passed_over->empty())
    *text += "the log would begin with " +
             (m->base_name.empty() ? "the empty data set" : m->base_name) + ", LSN " +
             std::to_string(m->base_lsn) + "; all that came since is in its segments\n";
  auto found = WalkFromFirstPoint(fs, dir, keys, m, text);
  if (!found.ok()) return found;
  for (size_t i = 0; i < found->segments.size(); ++i)
    if (found->segments[i].state == SegmentState::kClosed)
      m->segments[i].state = SegmentState::kClosed;
  *text += found->lengths;
  return found;
}

// `recovered`: what a start would say.
Status RepairOnce(FileSystem* fs, const std::string& dir, bool really, const KeyRing* keys,
                  const Result<Recovered>& recovered, std::string* text) {
  auto loaded = LoadManifest(fs, dir);
  if (!loaded.ok()) return loaded.status();
  Manifest m = std::move(*loaded);
  for (const SegmentEntry& s : m.segments)
    if (auto reader = SegmentReader::Open(fs, SegmentPath(dir, s), keys);
        !reader.ok() && reader.status().code() == StatusCode::kInvalid)
      return reader.status();
  if (!recovered.ok() && !IsDamage(recovered.status())) return recovered.status();
  const Manifest before = m;
  auto walked = Begin(fs, dir, keys, &m, text);
  if (!walked.ok()) return walked.status();
  Readable found = std::move(*walked);
  // A torn tail is no damage.
  if (recovered.ok() && found.end >= recovered->tail_lsn) found.reason.clear();
  if (found.reason.empty() && text->empty()) {
    if (recovered.ok()) {
      *text += "the log is whole up to LSN " + std::to_string(found.end) + ", nothing to repair" +
               (recovered->report.bytes_cut > 0 ? "; a start cuts its torn tail\n" : "\n");
      return Status::Ok();
    }
    found.reason = recovered.status().message();
  }
  if (!found.reason.empty()) {
    // The damage is in the last one that was walked, or in the one that could not be.
    const size_t at = found.segments.size() - (found.offset > 0);
    const std::vector<SegmentEntry> behind(m.segments.begin() + static_cast<ptrdiff_t>(at),
                                           m.segments.end());
    *text += "damage: " + found.reason + "\n" +
             FindLoss(fs, dir, behind, found.offset, found.end, keys).Text() +
             "the log would end at LSN " + std::to_string(found.end) + "\n";
    EndLog(found, &m);
  }
  std::vector<std::string> dropped;
  for (const std::string& name : before.FileNames())
    if (!m.Lists(name)) dropped.push_back(name);
  for (const std::string& name : dropped) *text += "drops " + name + "\n";
  if (!really) {
    *text += "nothing was changed; run again with --yes to do it\n";
    return Status::Ok();
  }
  CAIRN_RETURN_IF_ERROR(PutInPlace(fs, dir, before, m, dropped, text));
  *text += "done: the log ends at LSN " + std::to_string(found.end) + "\n";
  return Status::Ok();
}

}  // namespace

Status RepairJournal(FileSystem* fs, const std::string& dir, bool really, const KeyRing* keys,
                     std::string* text) {
  // What only a start sees may be hidden by what is mended first.
  constexpr int kPassesMax = 4;
  for (int pass = 1;; ++pass) {
    const auto recovered = RecoverJournal(fs, dir, keys);
    if (pass > 1 && (recovered.ok() || !IsDamage(recovered.status()))) return recovered.status();
    if (pass > kPassesMax) return recovered.status();
    std::string said;
    CAIRN_RETURN_IF_ERROR(RepairOnce(fs, dir, really, keys, recovered, &said));
    *text += said;
    if (!really) return Status::Ok();
  }
}

}  // namespace cairn
