// SPDX-License-Identifier: BSD-3-Clause
//
// FaultFs: a FileSystem in memory that fails on demand and loses power. What was written but not
// synced survives a power cut as a random subset of its 512-byte sectors; directory entries
// changed since their folder's last sync survive as a random prefix of that folder's changes, and
// what is in a folder whose own name did not is gone with it. A folder that nobody made is there.
//
// Any thread. Files opened before PowerCut or Kill answer kIo afterwards.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"

namespace cairn {

class FaultFs final : public FileSystem {
 public:
  explicit FaultFs(uint64_t seed) : random_(seed) {}

  // Faults; each stays until it is taken back.
  void SetSpace(uint64_t bytes);       // ENOSPC once so many more bytes were written
  void SetSyncedSpace(uint64_t bytes);  // the same, but only syncs tell
  void FailWrites(bool fail);          // EIO; half of the bytes reach the file
  void TearNextWrite(uint64_t bytes);  // the next write ends after so many bytes, with EIO
  void FailSyncs(bool fail);           // EIO; the bytes stay unsynced for ever
  void FailRenames(bool fail);
  void FailOpens(bool fail);  // EMFILE
  void FailOpenOf(const std::string& path);  // EIO; "": of none
  // EIO for reads that touch these bytes of the file of this name; "": of none.
  void FailReads(const std::string& path, uint64_t offset = 0, uint64_t bytes = ~uint64_t{0});
  void SetSyncDelayUs(int64_t us);
  void HoldWrites(bool hold);  // they wait until that is taken back, as on a disk that hangs
  void HoldSyncs(bool hold);   // so do these, of folders too; what they began with becomes durable
  // After `operations` more changing operations every one fails, as if the process had died.
  void FreezeAfter(uint64_t operations);
  int held() const;  // calls that wait now
  uint64_t operations() const;  // changing operations so far
  bool frozen() const;

  // Drops what was not synced, lifts all faults.
  void PowerCut();
  // kill -9: what was written is there, though still not synced. Lifts all faults.
  void Kill();

  // Test access to a file's current bytes.
  std::string Get(const std::string& path) const;
  void Put(const std::string& path, std::string bytes);  // synced

  Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status MakeDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;

 private:
  friend class FaultFile;
  struct Node {
    std::string now;
    std::string synced;
    bool folder = false;
  };
  using Entries = std::map<std::string, std::shared_ptr<Node>>;
  struct Change {
    std::string path;
    std::shared_ptr<Node> node;  // null: removed
    bool joined = false;         // happens together with the next one (a rename)
  };

  Status Begin(const char* what);
  Status WaitWhile(std::unique_lock<std::mutex>* lock, const bool& held, const char* what);
  void Apply(const std::string& path, std::shared_ptr<Node> node, bool joined);
  void LoseSectors(Node* node);
  bool ReadFails(const std::string& path, uint64_t offset, uint64_t bytes) const;
  bool Reachable(const std::string& path) const;
  void LiftFaults();

  mutable std::mutex mutex_;
  Random random_;
  Entries entries_;
  Entries synced_entries_;
  std::set<std::string> made_;  // folders
  std::vector<Change> changes_;
  uint64_t generation_ = 0;
  uint64_t space_ = ~uint64_t{0}, synced_space_ = ~uint64_t{0};
  uint64_t tear_at_ = ~uint64_t{0};
  bool fail_writes_ = false, fail_syncs_ = false, fail_renames_ = false, fail_opens_ = false;
  std::string fail_open_of_, fail_reads_of_;
  uint64_t fail_reads_at_ = 0, fail_reads_bytes_ = 0;
  int64_t sync_delay_us_ = 0;
  bool hold_writes_ = false, hold_syncs_ = false;
  int held_ = 0;
  std::condition_variable released_;
  uint64_t operations_ = 0;
  uint64_t freeze_at_ = ~uint64_t{0};
};

}  // namespace cairn
