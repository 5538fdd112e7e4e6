// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/support/fault_fs.h"

#include <errno.h>

#include <algorithm>
#include <iterator>
#include <chrono>
#include <thread>

namespace cairn {
namespace {

constexpr size_t kSectorBytes = 512;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

class FaultFile final : public File {
 public:
  FaultFile(FaultFs* fs, std::shared_ptr<FaultFs::Node> node, uint64_t generation,
            const std::string& path)
      : fs_(fs),
        node_(std::move(node)),
        generation_(generation),
        path_(path),
        whole_(path.ends_with(".tmp")) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    std::unique_lock<std::mutex> guard(fs_->mutex_);
    CAIRN_RETURN_IF_ERROR(Begin("write"));
    if (!whole_) CAIRN_RETURN_IF_ERROR(fs_->WaitWhile(&guard, fs_->hold_writes_, "write"));
    if (generation_ != fs_->generation_) return Status::FromErrno("write", EIO);
    size_t n = std::min<uint64_t>(bytes.size(), fs_->space_);
    if (fs_->fail_writes_) n = std::min(n, bytes.size() / 2);
    const bool torn = fs_->tear_at_ < bytes.size();
    if (torn) n = std::min(n, fs_->tear_at_);
    fs_->tear_at_ = ~uint64_t{0};
    if (node_->now.size() < offset + n) node_->now.resize(offset + n);
    node_->now.replace(offset, n, bytes.substr(0, n));
    if (fs_->space_ != ~uint64_t{0}) fs_->space_ -= n;
    if (fs_->fail_writes_ || torn) return Status::FromErrno("write", EIO);
    if (n < bytes.size()) return Status::FromErrno("write", ENOSPC);
    return Status::Ok();
  }

  Result<size_t> ReadAt(uint64_t offset, char* buffer, size_t length) override {
    std::lock_guard<std::mutex> guard(fs_->mutex_);
    if (generation_ != fs_->generation_) return Status::FromErrno("read", EIO);
    const uint64_t there = node_->now.size() - std::min<uint64_t>(offset, node_->now.size());
    if (fs_->ReadFails(path_, offset, std::min<uint64_t>(length, there)))
      return Status::FromErrno("read " + path_, EIO);
    if (offset >= node_->now.size()) return size_t{0};
    return node_->now.copy(buffer, length, offset);
  }

  // What the file held when the sync began is durable; writes meanwhile are not.
  Status Sync() override {
    std::string image;
    int64_t delay_us;
    {
      std::lock_guard<std::mutex> guard(fs_->mutex_);
      CAIRN_RETURN_IF_ERROR(Begin("fsync"));
      if (fs_->fail_syncs_) return Status::FromErrno("fsync", EIO);
      const uint64_t grown = node_->now.size() - std::min(node_->now.size(), node_->synced.size());
      if (grown > fs_->synced_space_) return Status::FromErrno("fsync", ENOSPC);
      if (fs_->synced_space_ != ~uint64_t{0}) fs_->synced_space_ -= grown;
      image = node_->now;
      delay_us = fs_->sync_delay_us_;
    }
    if (delay_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    std::unique_lock<std::mutex> guard(fs_->mutex_);
    CAIRN_RETURN_IF_ERROR(fs_->WaitWhile(&guard, fs_->hold_syncs_, "fsync"));
    if (generation_ != fs_->generation_ || fs_->fail_syncs_) return Status::FromErrno("fsync", EIO);
    node_->synced = std::move(image);
    return Status::Ok();
  }

  Result<uint64_t> Size() override {
    std::lock_guard<std::mutex> guard(fs_->mutex_);
    return static_cast<uint64_t>(node_->now.size());
  }

  Status Truncate(uint64_t size) override {
    std::lock_guard<std::mutex> guard(fs_->mutex_);
    CAIRN_RETURN_IF_ERROR(Begin("truncate"));
    const uint64_t given_back = node_->now.size() - std::min<uint64_t>(size, node_->now.size());
    if (fs_->space_ != ~uint64_t{0}) fs_->space_ += given_back;
    node_->now.resize(size);
    return Status::Ok();
  }

 private:
  Status Begin(const char* what) {
    if (generation_ != fs_->generation_) return Status::FromErrno(what, EIO);
    return fs_->Begin(what);
  }

  FaultFs* const fs_;
  const std::shared_ptr<FaultFs::Node> node_;
  const uint64_t generation_;
  const std::string path_;
  const bool whole_;  // of WriteFileAtomically
};

Status FaultFs::Begin(const char* what) {
  if (operations_ >= freeze_at_) return Status::FromErrno(what, EIO);
  ++operations_;
  return Status::Ok();
}

// What was under way when everything came to fail (FreezeAfter) has failed.
Status FaultFs::WaitWhile(std::unique_lock<std::mutex>* lock, const bool& held, const char* what) {
  if (!held) return Status::Ok();
  ++held_;
  released_.wait(*lock, [&] { return !held; });
  --held_;
  return operations_ >= freeze_at_ ? Status::FromErrno(what, EIO) : Status::Ok();
}

void FaultFs::SetSpace(uint64_t bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  space_ = bytes;
}
void FaultFs::SetSyncedSpace(uint64_t bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  synced_space_ = bytes;
}
void FaultFs::FailWrites(bool fail) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_writes_ = fail;
}
void FaultFs::TearNextWrite(uint64_t bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  tear_at_ = bytes;
}
void FaultFs::FailSyncs(bool fail) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_syncs_ = fail;
}
void FaultFs::FailRenames(bool fail) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_renames_ = fail;
}
void FaultFs::FailOpens(bool fail) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_opens_ = fail;
}
void FaultFs::FailOpenOf(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_open_of_ = path;
}
void FaultFs::FailReads(const std::string& path, uint64_t offset, uint64_t bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  fail_reads_of_ = path;
  fail_reads_at_ = offset;
  fail_reads_bytes_ = bytes;
}
bool FaultFs::ReadFails(const std::string& path, uint64_t offset, uint64_t bytes) const {
  if (path != fail_reads_of_) return false;
  if (offset < fail_reads_at_) return bytes > fail_reads_at_ - offset;
  return bytes > 0 && offset - fail_reads_at_ < fail_reads_bytes_;
}
void FaultFs::SetSyncDelayUs(int64_t us) {
  std::lock_guard<std::mutex> guard(mutex_);
  sync_delay_us_ = us;
}
void FaultFs::HoldWrites(bool hold) {
  std::lock_guard<std::mutex> guard(mutex_);
  hold_writes_ = hold;
  released_.notify_all();
}
void FaultFs::HoldSyncs(bool hold) {
  std::lock_guard<std::mutex> guard(mutex_);
  hold_syncs_ = hold;
  released_.notify_all();
}
void FaultFs::FreezeAfter(uint64_t operations) {
  std::lock_guard<std::mutex> guard(mutex_);
  freeze_at_ = operations_ + operations;
}
uint64_t FaultFs::operations() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return operations_;
}
int FaultFs::held() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return held_;
}
bool FaultFs::frozen() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return operations_ >= freeze_at_;
}

void FaultFs::LoseSectors(Node* node) {
  std::string after = node->synced;
  for (size_t at = 0; at < node->now.size(); at += kSectorBytes) {
    const size_t n = std::min(kSectorBytes, node->now.size() - at);
    if (random_.Below(2) == 0) continue;
    if (after.size() < at + n) after.resize(at + n);
    after.replace(at, n, node->now, at, n);
  }
  node->now = node->synced = after;
}

void FaultFs::PowerCut() {
  std::lock_guard<std::mutex> guard(mutex_);
  ++generation_;
  std::map<std::string, std::vector<Change>> of_folders;
  for (const Change& change : changes_) of_folders[FolderOf(change.path)].push_back(change);
  changes_.clear();
  entries_ = synced_entries_;
  for (const auto& [folder, changes] : of_folders) {
    size_t keep = random_.Below(changes.size() + 1);
    while (keep > 0 && changes[keep - 1].joined) --keep;
    for (size_t i = 0; i < keep; ++i) {
      if (changes[i].node == nullptr) {
        entries_.erase(changes[i].path);
      } else {
        entries_[changes[i].path] = changes[i].node;
      }
    }
  }
  for (auto at = entries_.begin(); at != entries_.end();)
    at = Reachable(at->first) ? std::next(at) : entries_.erase(at);
  // Nodes are copied: files that the dead process still holds must not change the survivors. Two
  // links to one file stay such.
  std::map<Node*, std::shared_ptr<Node>> copies;
  for (auto& [path, node] : entries_) {
    auto& copy = copies[node.get()];
    if (copy == nullptr) {
      copy = std::make_shared<Node>(*node);
      LoseSectors(copy.get());
    }
    node = copy;
  }
  synced_entries_ = entries_;
  LiftFaults();
}

// Whether all folders on the way to it are there.
bool FaultFs::Reachable(const std::string& path) const {
  for (std::string folder = FolderOf(path); folder != "."; folder = FolderOf(folder))
    if (made_.contains(folder) && !entries_.contains(folder)) return false;
  return true;
}

void FaultFs::Kill() {
  std::lock_guard<std::mutex> guard(mutex_);
  ++generation_;
  LiftFaults();
}

void FaultFs::LiftFaults() {
  space_ = synced_space_ = freeze_at_ = tear_at_ = ~uint64_t{0};
  fail_writes_ = fail_syncs_ = fail_renames_ = fail_opens_ = false;
  fail_open_of_.clear();
  fail_reads_of_.clear();
  sync_delay_us_ = 0;
  hold_writes_ = hold_syncs_ = false;
  released_.notify_all();
}

std::string FaultFs::Get(const std::string& path) const {
  std::lock_guard<std::mutex> guard(mutex_);
  auto at = entries_.find(path);
  return at == entries_.end() ? "" : at->second->now;
}

void FaultFs::Put(const std::string& path, std::string bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  entries_[path] = synced_entries_[path] = std::make_shared<Node>(Node{bytes, bytes});
}

void FaultFs::Apply(const std::string& path, std::shared_ptr<Node> node, bool joined) {
  if (node == nullptr) {
    entries_.erase(path);
  } else {
    entries_[path] = node;
  }
  changes_.push_back({path, std::move(node), joined});
}

Result<std::unique_ptr<File>> FaultFs::Open(const std::string& path, Mode mode) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (fail_opens_) return Status::FromErrno("open " + path, EMFILE);
  if (path == fail_open_of_) return Status::FromErrno("open " + path, EIO);
  auto at = entries_.find(path);
  if (mode == Mode::kRead && at == entries_.end()) return Status::FromErrno("open " + path, ENOENT);
  if (mode == Mode::kCreate && at != entries_.end())
    return Status::FromErrno("open " + path, EEXIST);
  if (at == entries_.end()) {
    CAIRN_RETURN_IF_ERROR(Begin("create"));
    Apply(path, std::make_shared<Node>(), false);
    at = entries_.find(path);
  } else if (mode == Mode::kTruncate) {
    CAIRN_RETURN_IF_ERROR(Begin("truncate"));
    at->second->now.clear();
  }
  return std::unique_ptr<File>(new FaultFile(this, at->second, generation_, path));
}

Status FaultFs::Rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> guard(mutex_);
  CAIRN_RETURN_IF_ERROR(Begin("rename"));
  if (fail_renames_) return Status::FromErrno("rename", EIO);
  auto at = entries_.find(from);
  if (at == entries_.end()) return Status::FromErrno("rename", ENOENT);
  std::shared_ptr<Node> node = at->second;
  Apply(to, node, true);
  Apply(from, nullptr, false);
  return Status::Ok();
}

Status FaultFs::Link(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> guard(mutex_);
  CAIRN_RETURN_IF_ERROR(Begin("link"));
  auto at = entries_.find(from);
  if (at == entries_.end()) return Status::FromErrno("link", ENOENT);
  if (entries_.count(to) != 0) return Status::FromErrno("link", EEXIST);
  Apply(to, at->second, false);
  return Status::Ok();
}

Status FaultFs::Remove(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  CAIRN_RETURN_IF_ERROR(Begin("remove"));
  if (entries_.count(path) == 0) return Status::FromErrno("remove " + path, ENOENT);
  Apply(path, nullptr, false);
  return Status::Ok();
}

Status FaultFs::MakeDirectory(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (entries_.contains(path)) return Status::Ok();
  CAIRN_RETURN_IF_ERROR(Begin("make folder"));
  made_.insert(path);
  Apply(path, std::make_shared<Node>(Node{"", "", true}), false);
  return Status::Ok();
}

Status FaultFs::SyncDirectory(const std::string& path) {
  std::unique_lock<std::mutex> guard(mutex_);
  CAIRN_RETURN_IF_ERROR(Begin("fsync folder"));
  CAIRN_RETURN_IF_ERROR(WaitWhile(&guard, hold_syncs_, "fsync folder"));
  if (fail_syncs_) return Status::FromErrno("fsync folder", EIO);
  const auto in_it = [&](const std::string& entry) { return FolderOf(entry) == path; };
  std::erase_if(synced_entries_, [&](const auto& entry) { return in_it(entry.first); });
  for (const auto& entry : entries_)
    if (in_it(entry.first)) synced_entries_.insert(entry);
  std::erase_if(changes_, [&](const Change& change) { return in_it(change.path); });
  return Status::Ok();
}

Result<std::vector<std::string>> FaultFs::List(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, node] : entries_)
    if (FolderOf(name) == path) names.push_back(name.substr(path.size() + 1));
  return names;
}

Result<bool> FaultFs::Exists(const std::string& path) {
  std::lock_guard<std::mutex> guard(mutex_);
  return entries_.count(path) != 0;
}

}  // namespace cairn
