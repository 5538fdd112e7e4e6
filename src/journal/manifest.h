// SPDX-License-Identifier: BSD-3-Clause
//
// The manifest: which files are the database. A short text, always replaced as a whole (temporary
// file, sync, rename, sync of the folder), so a crash leaves the old one or the new one.
// On disk. Append only. One record a line, words separated by one space, in this order:
//
//   cairn-journal 1
//   ids REPLID REPLID2|- SECOND-OFFSET
//   timeline NUMBER REPLID PARENT BRANCH-LSN                               (one or more)
//   base NAME LSN                                                          (at most one)
//   snapshot NAME|- LSN CREATED-MS BYTES                                   (any number)
//   segment STATE SEQUENCE TIMELINE FIRST-LSN END-LSN BYTES FIRST-MS LAST-MS   (any number)
//   clean LSN                                                              (at most one)
//   crc CRC-32C of all bytes before this line, 8 hexadecimal digits
//
// Segments stand in stream order; their chain is the log. States:
//   sealed  synced and complete: [first, end) is in BYTES bytes, damage in it is corruption
//   closed  valid up to `end` only (a failed disk, a cut tail): bytes behind that are not ours
//   open    in use when this was written: first is known, the end is found by reading
//   next    created, its directory entry synced, perhaps in use by now
// Snapshots stand in stream order: where a restore may begin, the base last; "-" is the empty data
// set before the first byte. The segments reach back to the first of them.
// "clean LSN" says that the log ends there exactly and that all of it is durable.
//
// Thread rule: plain data; journal.cc guards its one with a mutex.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "journal/lsn.h"

namespace cairn {

enum class SegmentState : unsigned char { kSealed, kClosed, kOpen, kNext };
const char* SegmentStateName(SegmentState state);

struct SegmentEntry {
  SegmentState state = SegmentState::kNext;
  uint64_t sequence = 0;
  uint32_t timeline = 0;
  Lsn first_lsn = 0;
  Lsn end_lsn = 0;     // of sealed and closed ones
  uint64_t bytes = 0;  // of sealed ones
  uint64_t first_ms = 0;
  uint64_t last_ms = 0;

  bool ended() const { return state == SegmentState::kSealed || state == SegmentState::kClosed; }
};

// A state that the log can be replayed from.
struct SnapshotEntry {
  std::string name;  // "": empty, no file
  Lsn lsn = 0;
  uint64_t created_ms = 0;
  uint64_t bytes = 0;
};

struct Manifest {
  std::string replid;
  std::string replid2;  // "" if none
  Lsn second_offset = 0;
  std::vector<Timeline> timelines;
  std::string base_name;  // a snapshot in the same folder; "" if none
  Lsn base_lsn = 0;
  std::vector<SnapshotEntry> snapshots;  // the last one is the base; empty in older manifests
  std::vector<SegmentEntry> segments;
  bool clean = false;
  Lsn clean_lsn = 0;

  const Timeline* FindTimeline(uint32_t number) const;
  uint32_t LastTimeline() const;  // 0 if none
  uint64_t NextSequence() const;
  // The earliest LSN that a restore can reach.
  Lsn RestorableFrom() const;
  // The earliest LSN that anything reads: what the first segment holds before the oldest snapshot
  // leads on from nothing. One that ends before that is there for followers, all of it.
  Lsn NeededFrom() const;
  // Bytes of files that only restores to before the base need.
  uint64_t ReplacedBytes() const;
  // Whether the file of this name is one of the database's.
  bool Lists(const std::string& name) const;
  // Segments and snapshots.
  std::vector<std::string> FileNames() const;
  // Forgets timelines that no segment is in and that are not the last one.
  void DropUnusedTimelines();

  std::string Encode() const;
  // kCorrupt on a bad checksum or grammar, or where states and LSNs contradict each other.
  static Result<Manifest> Decode(std::string_view text);
};

// "DIR/manifest", "DIR/0001-00000007.aof.lz4": timeline and sequence number.
std::string ManifestPath(const std::string& dir);
std::string SegmentName(uint32_t timeline, uint64_t sequence);
std::string SegmentPath(const std::string& dir, const SegmentEntry& segment);
bool ParseSegmentName(const std::string& name, uint32_t* timeline, uint64_t* sequence);

// Stands in a folder whose newest segments belong to a log that has no base yet, see
// JournalOptions::awaits_base. Whoever opens the folder next deletes them (RemoveUnbased).
inline constexpr const char* kAwaitsBaseName = "awaits-base";

// Makes the chain end at `lsn`: segments that begin at or above it leave the list (into
// `dropped`), the one that holds it is closed there. An unused next segment stays.
void CutChain(Manifest* manifest, Lsn lsn, std::vector<SegmentEntry>* dropped);

// kNotFound if there is none.
Result<Manifest> LoadManifest(FileSystem* fs, const std::string& dir);
// Hard links to all files of `manifest`, and it, from folder to folder, which exists; durable.
Status LinkFiles(FileSystem* fs, const Manifest& manifest, const std::string& from,
                 const std::string& to);
Status SaveManifest(FileSystem* fs, const std::string& dir, const Manifest& manifest);

}  // namespace cairn
