// SPDX-License-Identifier: BSD-3-Clause
#include "journal/manifest.h"

#include <inttypes.h>
#include <stdio.h>

#include <algorithm>

#include "base/crc.h"
#include "base/numbers.h"

namespace cairn {
namespace {

constexpr const char* kStateNames[] = {"sealed", "closed", "open", "next"};
constexpr size_t kCrcLineBytes = 4 + 8 + 1;  // "crc 0123abcd\n"

std::vector<std::string_view> Split(std::string_view line, char separator) {
  std::vector<std::string_view> words;
  for (;;) {
    size_t at = line.find(separator);
    words.push_back(line.substr(0, at));
    if (at == std::string_view::npos) return words;
    line.remove_prefix(at + 1);
  }
}

// Takes the words of one line after the first and latches the first error.
class Words {
 public:
  explicit Words(std::vector<std::string_view> words) : words_(std::move(words)) {}
  std::string_view Text() {
    if (next_ < words_.size()) return words_[next_++];
    ok_ = false;
    return {};
  }
  uint64_t Number(uint64_t max = ~uint64_t{0}) {
    uint64_t value = 0;
    if (!ParseUint64(Text(), &value) || value > max) ok_ = false;
    return value;
  }
  bool Done() const { return ok_ && next_ == words_.size(); }

 private:
  std::vector<std::string_view> words_;
  size_t next_ = 1;
  bool ok_ = true;
};

// Names stand for files of the journal's own folder: a manifest that came from elsewhere must not
// have others read or deleted.
bool IsFileName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

bool DecodeSegment(Words* words, SegmentEntry* segment) {
  std::string_view state = words->Text();
  auto name = std::find(std::begin(kStateNames), std::end(kStateNames), state);
  if (name == std::end(kStateNames)) return false;
  segment->state = static_cast<SegmentState>(name - std::begin(kStateNames));
  segment->sequence = words->Number();
  segment->timeline = static_cast<uint32_t>(words->Number(UINT32_MAX));
  segment->first_lsn = words->Number(kLsnMax);
  segment->end_lsn = words->Number(kLsnMax);
  segment->bytes = words->Number();
  segment->first_ms = words->Number();
  segment->last_ms = words->Number();
  return words->Done();
}

// One line into the manifest; false if it breaks the grammar.
bool DecodeLine(std::string_view line, Manifest* m) {
  auto split = Split(line, ' ');
  const std::string_view kind = split[0];
  Words words(std::move(split));
  if (kind == "ids") {
    m->replid = words.Text();
    m->replid2 = words.Text();
    if (m->replid2 == "-") m->replid2.clear();
    m->second_offset = words.Number();
    return words.Done() && IsReplicationId(m->replid) &&
           (m->replid2.empty() || IsReplicationId(m->replid2));
  }
  if (kind == "timeline") {
    Timeline t;
    t.number = static_cast<uint32_t>(words.Number(UINT32_MAX));
    t.replid = words.Text();
    t.parent = static_cast<uint32_t>(words.Number(UINT32_MAX));
    t.branch_lsn = words.Number(kLsnMax);
    if (!words.Done() || t.number <= m->LastTimeline() || !IsReplicationId(t.replid)) return false;
    m->timelines.push_back(std::move(t));
    return true;
  }
  if (kind == "base") {
    if (!m->base_name.empty()) return false;
    m->base_name = words.Text();
    m->base_lsn = words.Number(kLsnMax);
    return words.Done() && IsFileName(m->base_name);
  }
  if (kind == "snapshot") {
    SnapshotEntry s;
    s.name = words.Text();
    if (s.name == "-") s.name.clear();
    s.lsn = words.Number(kLsnMax);
    s.created_ms = words.Number();
    s.bytes = words.Number();
    const bool ascends = m->snapshots.empty() || m->snapshots.back().lsn <= s.lsn;
    const bool named = s.name.empty() || IsFileName(s.name);
    m->snapshots.push_back(std::move(s));
    return words.Done() && ascends && named;
  }
  if (kind == "segment") {
    SegmentEntry segment;
    if (!DecodeSegment(&words, &segment)) return false;
    m->segments.push_back(segment);
    return true;
  }
  if (kind == "clean") {
    if (m->clean) return false;
    m->clean = true;
    m->clean_lsn = words.Number(kLsnMax);
    return words.Done();
  }
  return false;
}

Status CheckConsistent(const Manifest& m) {
  if (m.replid.empty() || m.timelines.empty())
    return Status::Corrupt("manifest names no replication id or no timeline");
  if (!m.snapshots.empty() &&
      (m.snapshots.back().name != m.base_name || m.snapshots.back().lsn != m.base_lsn))
    return Status::Corrupt("manifest lists snapshots that do not end with the base");
  const SegmentEntry* previous = nullptr;
  for (const SegmentEntry& s : m.segments) {
    const std::string name = SegmentName(s.timeline, s.sequence);
    if (m.FindTimeline(s.timeline) == nullptr)
      return Status::Corrupt("manifest lists " + name + " of an unknown timeline");
    if (s.ended() && s.end_lsn < s.first_lsn)
      return Status::Corrupt("manifest lists " + name + " with its end before its start");
    if (previous != nullptr && s.state != SegmentState::kNext && previous->ended() &&
        previous->end_lsn != s.first_lsn)
      return Status::Corrupt("manifest lists " + name + " which does not continue the one before");
    if (previous != nullptr && previous->state == SegmentState::kNext)
      return Status::Corrupt("manifest lists " + name + " after an unused segment");
    previous = &s;
  }
  return Status::Ok();
}

}  // namespace

const char* SegmentStateName(SegmentState state) {
  return kStateNames[static_cast<int>(state)];
}

const Timeline* Manifest::FindTimeline(uint32_t number) const {
  for (const Timeline& t : timelines)
    if (t.number == number) return &t;
  return nullptr;
}

uint32_t Manifest::LastTimeline() const {
  return timelines.empty() ? 0 : timelines.back().number;
}

uint64_t Manifest::NextSequence() const {
  uint64_t next = 1;
  for (const SegmentEntry& s : segments) next = std::max(next, s.sequence + 1);
  return next;
}

Lsn Manifest::RestorableFrom() const {
  return snapshots.empty() ? base_lsn : snapshots.front().lsn;
}

Lsn Manifest::NeededFrom() const {
  const Lsn from = RestorableFrom();
  if (segments.empty()) return base_lsn;
  const SegmentEntry& first = segments.front();
  return first.ended() && first.end_lsn <= from ? first.first_lsn : std::max(first.first_lsn, from);
}

uint64_t Manifest::ReplacedBytes() const {
  uint64_t bytes = 0;
  for (const SnapshotEntry& s : snapshots)
    if (s.lsn < base_lsn) bytes += s.bytes;
  for (const SegmentEntry& s : segments)
    if (s.ended() && s.end_lsn <= base_lsn && s.end_lsn > RestorableFrom()) bytes += s.bytes;
  return bytes;
}

std::vector<std::string> Manifest::FileNames() const {
  std::vector<std::string> names;
  for (const SegmentEntry& s : segments) names.push_back(SegmentName(s.timeline, s.sequence));
  // Two of the same LSN are one file.
  for (const SnapshotEntry& s : snapshots)
    if (names.empty() || names.back() != s.name) names.push_back(s.name);
  if (snapshots.empty()) names.push_back(base_name);
  std::erase(names, "");
  return names;
}

bool Manifest::Lists(const std::string& name) const {
  const std::vector<std::string> names = FileNames();
  return std::find(names.begin(), names.end(), name) != names.end();
}

void Manifest::DropUnusedTimelines() {
  const uint32_t last = LastTimeline();
  std::erase_if(timelines, [&](const Timeline& t) {
    return t.number != last && std::none_of(segments.begin(), segments.end(),
                                            [&](const auto& s) { return s.timeline == t.number; });
  });
}

std::string Manifest::Encode() const {
  char line[256];
  std::string text = "cairn-journal 1\n";
  snprintf(line, sizeof line, "ids %s %s %" PRIu64 "\n", replid.c_str(),
           replid2.empty() ? "-" : replid2.c_str(), second_offset);
  text += line;
  for (const Timeline& t : timelines) {
    snprintf(line, sizeof line, "timeline %u %s %u %" PRIu64 "\n", t.number, t.replid.c_str(),
             t.parent, t.branch_lsn);
    text += line;
  }
  if (!base_name.empty()) {
    CHECK(base_name.find_first_of(" \n/") == std::string::npos);
    text += "base " + base_name + " " + std::to_string(base_lsn) + "\n";
  }
  for (const SnapshotEntry& s : snapshots) {
    snprintf(line, sizeof line, " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s.lsn, s.created_ms,
             s.bytes);
    text += "snapshot " + (s.name.empty() ? "-" : s.name) + line;
  }
  for (const SegmentEntry& s : segments) {
    snprintf(line, sizeof line,
             "segment %s %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
             "\n",
             SegmentStateName(s.state), s.sequence, s.timeline, s.first_lsn, s.end_lsn, s.bytes,
             s.first_ms, s.last_ms);
    text += line;
  }
  if (clean) text += "clean " + std::to_string(clean_lsn) + "\n";
  snprintf(line, sizeof line, "crc %08x\n", Crc32c(0, text));
  return text + line;
}

Result<Manifest> Manifest::Decode(std::string_view text) {
  constexpr std::string_view kTitle = "cairn-journal ";
  if (text.substr(0, kTitle.size()) != kTitle)
    return Status::Corrupt("manifest does not begin with cairn-journal");
  if (text.substr(kTitle.size(), 2) != "1\n")
    return Status::Invalid("manifest was written by a newer version");
  if (text.size() < kCrcLineBytes) return Status::Corrupt("manifest is cut short");
  const std::string_view body = text.substr(0, text.size() - kCrcLineBytes);
  char line[32];
  snprintf(line, sizeof line, "crc %08x\n", Crc32c(0, body));
  if (text.substr(body.size()) != line) return Status::Corrupt("manifest fails its checksum");
  Manifest m;
  auto lines = Split(body, '\n');
  for (size_t i = 1; i + 1 < lines.size(); ++i)  // behind the last newline there is nothing
    if (!DecodeLine(lines[i], &m))
      return Status::Corrupt("manifest has a bad line: " + std::string(lines[i]));
  CAIRN_RETURN_IF_ERROR(CheckConsistent(m));
  return m;
}

std::string ManifestPath(const std::string& dir) {
  return dir + "/manifest";
}

std::string SegmentName(uint32_t timeline, uint64_t sequence) {
  char name[64];
  snprintf(name, sizeof name, "%04u-%08" PRIu64 ".aof.lz4", timeline, sequence);
  return name;
}

std::string SegmentPath(const std::string& dir, const SegmentEntry& segment) {
  return dir + "/" + SegmentName(segment.timeline, segment.sequence);
}

bool ParseSegmentName(const std::string& name, uint32_t* timeline, uint64_t* sequence) {
  return sscanf(name.c_str(), "%u-%" SCNu64, timeline, sequence) == 2 &&
         name == SegmentName(*timeline, *sequence);
}

void CutChain(Manifest* manifest, Lsn lsn, std::vector<SegmentEntry>* dropped) {
  std::vector<SegmentEntry> kept;
  for (SegmentEntry& s : manifest->segments) {
    if (s.state == SegmentState::kNext) {
      kept.push_back(s);
    } else if (s.first_lsn >= lsn) {
      dropped->push_back(s);
    } else {
      if (!s.ended() || s.end_lsn > lsn) {
        if (s.end_lsn == 0 || s.end_lsn > lsn) s.end_lsn = lsn;
        s.state = SegmentState::kClosed;
      }
      kept.push_back(s);
    }
  }
  manifest->segments = std::move(kept);
}

Result<Manifest> LoadManifest(FileSystem* fs, const std::string& dir) {
  auto text = fs->ReadFile(ManifestPath(dir));
  if (!text.ok()) return text.status();
  auto manifest = Manifest::Decode(*text);
  if (manifest.ok()) return manifest;
  return Status(manifest.status().code(), ManifestPath(dir) + ": " + manifest.status().message());
}

Status SaveManifest(FileSystem* fs, const std::string& dir, const Manifest& manifest) {
  return fs->WriteFileAtomically(ManifestPath(dir), manifest.Encode());
}

Status LinkFiles(FileSystem* fs, const Manifest& manifest, const std::string& from,
                 const std::string& to) {
  for (const std::string& name : manifest.FileNames())
    CAIRN_RETURN_IF_ERROR(fs->Link(from + "/" + name, to + "/" + name));
  CAIRN_RETURN_IF_ERROR(SaveManifest(fs, to, manifest));
  return fs->SyncDirectory(to);
}

}  // namespace cairn
