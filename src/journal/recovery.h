// SPDX-License-Identifier: BSD-3-Clause
//
// Recovery: what a folder holds at start. It only reads: a torn tail is cut by recording "valid to
// LSN" in the next manifest (journal.cc), never by truncating a file.
//
// A torn tail or corruption? A damaged place is corruption if it lies in a sealed segment (here they
// are known by their length alone; before the base a wrong one is no reason to refuse a start), below
// the end that a clean shutdown recorded, or below the durable LSN that any valid block behind it in its
// timeline states. A segment in use that is missing is, too, hence the next one where the one before it is
// complete. Otherwise nothing behind it was promised to anybody: the log ends at the last complete unit
// before it. The same blocks tell a pad that the log ends at from one that blocks had replaced, until the
// disk lost them.
//
// Tools may look while a server writes: what was not there, though blocks behind it were, is read
// again, and the log ends where it was at some moment meanwhile. Files may go under them: what is
// damaged or missing is to be looked at anew if the manifest has changed.
//
// Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "base/encryption.h"
#include "base/file.h"
#include "journal/manifest.h"

namespace cairn {

struct RecoveryReport {
  bool fresh = false;  // there was no journal
  bool clean = false;  // shut down in order: the replication id stays
  // The tail that was cut; bytes_cut 0 if none.
  uint64_t bytes_cut = 0;  // of files
  Lsn cut_lsn = 0;
  std::string cut_file;
  std::string cut_reason;
  std::vector<std::string> unknown_files;  // kept, in nobody's list
  // Of what is before the base, "" if nothing is so: what a start does without for good, hence the points
  // that it led to; what it does without while it cannot be read; files of another length that have all
  // of their blocks and stay.
  std::string lost, unread, odd;

  std::string Text() const;  // one line for the log
};

struct Recovered {
  Manifest manifest;  // every segment sealed or closed
  Lsn tail_lsn = 0;
  uint64_t next_sequence = 1;         // no file of this or a higher number exists
  std::vector<SegmentEntry> unused;  // created but never written: Journal::Open deletes them
  // Read to find the log's end: perhaps their bytes are the kernel's alone (after kill -9), so
  // Journal::Open syncs them before it builds upon them.
  std::vector<SegmentEntry> unsynced;
  RecoveryReport report;

  // For a restore to before the base: the newest snapshot at or below `lsn` becomes the base, later
  // ones leave the manifest. kInvalid if there is none.
  Status RewindBase(Lsn lsn);
  // For a restore to an earlier point: the log ends at `lsn`, which must be a unit's end. What
  // follows begins a new timeline; the files behind stay.
  Status CutAt(Lsn lsn);
};

// Damage is what the bytes say: a file that cannot be read now (EIO, permissions) is none but an error,
// which says nothing about what is in it.
inline bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kCorrupt || status.code() == StatusCode::kNotFound;
}

// kCorrupt, with file and LSN, where the rule above says corruption; kInvalid where a file cannot
// be opened with `keys`. `in_use`, for who only looks: a server may be writing to it.
Result<Recovered> RecoverJournal(FileSystem* fs, const std::string& dir,
                                 const KeyRing* keys = nullptr, bool in_use = false);

// Deletes what a log without a base left that ended before it had one, if the mark is there.
Status RemoveUnbased(FileSystem* fs, const std::string& dir);

}  // namespace cairn
