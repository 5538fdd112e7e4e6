// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/repair.h"

#include <algorithm>

#include "journal/recovery.h"
#include "journal/segment_reader.h"
#include "snapshot/verify.h"
#include "utils/cairn-check/loss.h"

namespace cairn {
namespace {

constexpr int kAsideFoldersMax = 1000;

// What a walk over all listed segments found: where the readable stream ends, and why.
struct Readable {
  Lsn end = 0;
  std::string reason;  // "" if all is whole
  uint64_t offset = 0;  // of the damage, in the last of `segments`; 0: in the one behind it
  std::vector<SegmentEntry> segments;  // those walked, with what is known of them
  std::string lengths;  // a line each: files of another length whose blocks are all there
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

// Reads the blocks of a segment; its end in `s`, its damage in `found`. An error is not the bytes'.
Status WalkSegment(SegmentReader* reader, const std::string& path, SegmentEntry* s,
                   Readable* found) {
  const bool ended = s->ended();
  const Lsn limit = ended ? s->end_lsn : kLsnMax;
  if (!ended) {  // it is known from here on
    s->state = SegmentState::kOpen;
    s->first_ms = s->last_ms = reader->header().created_ms;
  }
  SegmentReader::Block block;
  auto end = SegmentReader::End::kNone;
  while (reader->next_lsn() < limit && (end = reader->Next(&block)) == SegmentReader::End::kNone) {
    found->end = std::max(found->end, std::min(block.header.last_unit_lsn, limit));
    if (!ended) s->last_ms = block.header.last_ms;
  }
  if (!ended) s->end_lsn = found->end;
  found->offset = reader->offset();
  if (end == SegmentReader::End::kBad) {
    if (!IsDamage(reader->status())) return reader->status();
    found->reason = reader->status().message();
  } else if (end == SegmentReader::End::kClean && ended && found->end < limit) {
    found->reason = path + " ends early";
  }
  if (!found->reason.empty() || s->state != SegmentState::kSealed) return Status::Ok();
  const auto bytes = reader->FileBytes();
  if (!bytes.ok()) return bytes.status();
  if (*bytes == s->bytes) return Status::Ok();
  // Nothing is lost, and a start would refuse it: what counts is said by the manifest from now on.
  found->lengths += "damage: " + path + " has " + std::to_string(*bytes) + " bytes instead of " +
                    std::to_string(s->bytes) + "; all its blocks are there\n";
  s->state = SegmentState::kClosed;
  return Status::Ok();
}

Result<Readable> Walk(FileSystem* fs, const std::string& dir, const Manifest& m,
                      const KeyRing* keys) {
  Readable found;
  found.end = m.segments.empty() ? m.base_lsn : m.segments.front().first_lsn;
  for (SegmentEntry s : m.segments) {
    const std::string path = SegmentPath(dir, s);
    auto reader = SegmentReader::Open(fs, path, keys);
    found.offset = 0;
    if (!reader.ok()) {
      if (!IsDamage(reader.status())) return reader.status();
      if (!IsUnbegun(fs, dir, s)) found.reason = reader.status().message();
      return found;
    }
    if ((*reader)->header().first_lsn != found.end) {
      found.reason = path + " does not continue the segment before it";
      return found;
    }
    s.first_lsn = found.end;
    CAIRN_RETURN_IF_ERROR(WalkSegment(reader->get(), path, &s, &found));
    found.segments.push_back(s);
    if (!found.reason.empty()) return found;
  }
  return found;
}

// Segments before the base that are damaged cost the points that they led to, as lost ones
// do (DropLost). What goes is said in `text`, and its files added to `dropped`.
Status DropBadHistory(FileSystem* fs, const std::string& dir, const KeyRing* keys, Manifest* m,
                      std::vector<std::string>* dropped, std::string* text) {
  const Manifest before = *m;
  auto lost = DropLost(fs, dir, m);
  if (!lost.ok()) return lost.status();
  if (!lost->empty()) *text += "damage: " + *lost + "\n";
  if (m->base_name.empty()) return Status::Ok();
  for (size_t i = m->segments.size(); i-- > 0;) {
    const SegmentEntry bad = m->segments[i];
    if (!bad.ended() || bad.end_lsn > m->base_lsn) continue;
    Manifest alone = *m;
    alone.segments = {bad};
    auto walked = Walk(fs, dir, alone, keys);
    if (!walked.ok()) return walked.status();
    if (walked->reason.empty()) continue;
    m->segments.erase(m->segments.begin(), m->segments.begin() + static_cast<ptrdiff_t>(i) + 1);
    std::erase_if(m->snapshots, [&](const SnapshotEntry& s) { return s.lsn < bad.end_lsn; });
    m->DropUnusedTimelines();
    *text += "damage: " + walked->reason + "; it is not needed for the data, but nothing before " +
             "LSN " + std::to_string(bad.end_lsn) + " can be restored\n";
    break;
  }
  for (const std::string& name : before.FileNames()) {
    if (m->Lists(name)) continue;
    *text += "drops " + name + "\n";
    dropped->push_back(name);
  }
  return Status::Ok();
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
void EndLog(Readable* found, Manifest* m, std::vector<std::string>* originals,
            std::vector<std::string>* dropped, std::string* text) {
  // Open segments that were walked take their place in the chain; those behind leave it.
  std::vector<SegmentEntry> behind(m->segments.begin() + static_cast<long>(found->segments.size()),
                                   m->segments.end());
  m->segments = found->segments;
  std::vector<SegmentEntry> beyond;
  if (!m->base_name.empty() && found->end < m->base_lsn) {
    // In a segment that begins before the base: nothing of the chain leads on from that.
    found->end = m->base_lsn;
    beyond = std::move(m->segments);
    m->segments.clear();
    std::erase_if(m->snapshots, [&](const SnapshotEntry& s) { return s.lsn < m->base_lsn; });
  } else {
    CutChain(m, found->end, &beyond);
  }
  *text += "the log would end at LSN " + std::to_string(found->end) + "\n";
  behind.insert(behind.begin(), beyond.begin(), beyond.end());
  for (const SegmentEntry& s : behind) {
    const std::string name = SegmentName(s.timeline, s.sequence);
    *text += "drops " + name + "\n";
    dropped->push_back(name);
  }
  for (const SegmentEntry& s : m->segments)
    if (s.state == SegmentState::kClosed && s.end_lsn == found->end)
      originals->push_back(SegmentName(s.timeline, s.sequence));
  m->clean = false;
}

// Takes `dropped` out of the folder; the files of `originals` are only kept as they were.
Status PutInPlace(FileSystem* fs, const std::string& dir, const Manifest& m,
                  std::vector<std::string> originals, const std::vector<std::string>& dropped,
                  std::string* text) {
  originals.insert(originals.end(), dropped.begin(), dropped.end());
  std::sort(originals.begin(), originals.end());
  originals.erase(std::unique(originals.begin(), originals.end()), originals.end());
  CAIRN_RETURN_IF_ERROR(MoveAside(fs, dir, originals, text));
  CAIRN_RETURN_IF_ERROR(SaveManifest(fs, dir, m));
  for (const std::string& name : dropped) {
    Status status = fs->Remove(dir + "/" + name);
    if (!status.ok() && status.code() != StatusCode::kNotFound) return status;
  }
  return Status::Ok();
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
  auto passed_over = PassOverBadSnapshots(fs, dir, &m, keys);
  if (!passed_over.ok()) return passed_over.status();
  std::vector<std::string> originals, dropped;
  for (const BadSnapshot& bad : *passed_over) {
    *text += "damage: " + bad.reason + "\ndrops " + bad.name + "\n";
    dropped.push_back(bad.name);
  }
  if (!passed_over->empty())
    *text += "the log would begin with " +
             (m.base_name.empty() ? "the empty data set" : m.base_name) + ", LSN " +
             std::to_string(m.base_lsn) + "; all that came since is in its segments\n";
  CAIRN_RETURN_IF_ERROR(DropBadHistory(fs, dir, keys, &m, &dropped, text));
  auto walked = Walk(fs, dir, m, keys);
  if (!walked.ok()) return walked.status();
  Readable found = std::move(*walked);
  const bool whole = found.reason.empty() && found.lengths.empty() && text->empty();
  if (whole && !recovered.ok()) found.reason = recovered.status().message();
  if (whole && recovered.ok()) {
    *text += "the log is whole up to LSN " + std::to_string(found.end) + ", nothing to repair\n";
    return Status::Ok();
  }
  for (size_t i = 0; i < found.segments.size(); ++i) {
    SegmentEntry& s = m.segments[i];
    if (found.segments[i].state == s.state || s.state != SegmentState::kSealed) continue;
    s.state = SegmentState::kClosed;
    originals.push_back(SegmentName(s.timeline, s.sequence));
  }
  *text += found.lengths;
  if (!found.reason.empty()) {
    // The damage is in the last one that was walked, or in the one that could not be.
    const size_t at = found.segments.size() - (found.offset > 0);
    const std::vector<SegmentEntry> behind(m.segments.begin() + static_cast<ptrdiff_t>(at),
                                           m.segments.end());
    *text += "damage: " + found.reason + "\n" +
             FindLoss(fs, dir, behind, found.offset, std::max(found.end, m.base_lsn), keys).Text();
    EndLog(&found, &m, &originals, &dropped, text);
  }
  if (!really) {
    *text += "nothing was changed; run again with --yes to do it\n";
    return Status::Ok();
  }
  CAIRN_RETURN_IF_ERROR(PutInPlace(fs, dir, m, std::move(originals), dropped, text));
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
