// SPDX-License-Identifier: BSD-3-Clause
//
// A copy of the log while it runs. Sealed segments and snapshots never change, so links to them are
// copies that cost nothing; the live segment is sealed first, and the copy's manifest ends the
// chain at the LSN that was asked for.
#include <algorithm>

#include "journal/journal.h"

namespace cairn {
namespace {

constexpr int64_t kSealPollMs = 20;
constexpr size_t kCopyBytes = 1 << 20;  // at a time

// The part of the chain that holds the database as of `lsn`, and the points before it that can be
// restored.
void CutToBackup(Manifest* m, Lsn lsn) {
  std::vector<SegmentEntry> dropped;
  CutChain(m, lsn, &dropped);
  const Lsn from = m->RestorableFrom();
  const auto unneeded = [from](const SegmentEntry& s) {
    return s.state == SegmentState::kNext || s.end_lsn <= from;
  };
  std::erase_if(m->segments, unneeded);
  m->clean = false;
  m->DropUnusedTimelines();
}

Status CopyFile(FileSystem* fs, File* from, const std::string& path,
                const std::function<bool()>& stopped) {
  auto to = fs->Open(path, FileSystem::Mode::kCreate);
  if (!to.ok()) return to.status();
  std::string buffer(kCopyBytes, '\0');
  for (uint64_t offset = 0;;) {
    if (stopped()) return Status::Unavailable("the server ends");
    auto read = from->ReadAt(offset, buffer.data(), buffer.size());
    if (!read.ok()) return read.status();
    if (*read == 0) return (*to)->Sync();
    CAIRN_RETURN_IF_ERROR((*to)->WriteAt(offset, {buffer.data(), *read}));
    offset += *read;
  }
}

}  // namespace

// Returns when all segments that begin below `lsn` are sealed, or when another timeline has begun.
// A disk without room for the next segment fails it, at the first attempt: the log itself can wait.
Status Journal::SealThrough(uint32_t timeline, Lsn lsn, const std::function<bool()>& stopped) {
  CAIRN_RETURN_IF_ERROR(SyncTo(lsn));
  Lock lock(mutex_);
  const auto open = [lsn](const SegmentEntry& s) {
    return s.state == SegmentState::kOpen && s.first_lsn < lsn;
  };
  Status status;
  const bool wanted = next_wanted_;
  const uint64_t failures = next_failures_;
  while (manifest_.LastTimeline() == timeline &&
         std::any_of(manifest_.segments.begin(), manifest_.segments.end(), open)) {
    if (stop_ || stopped()) status = Status::Unavailable("the server ends");
    if (state() != JournalState::kOk) status = Status::Io(failure_);
    if (next_failures_ != failures && next_ == nullptr)
      status = Status::Io("the log cannot begin a new segment: " + next_failure_);
    if (!status.ok()) break;
    roll_now_ = true;
    if (next_ == nullptr) {
      next_wanted_ = true;
      keeper_wake_.notify_one();
    }
    writer_wake_.notify_one();
    changed_.wait_for(lock, std::chrono::milliseconds(kSealPollMs));
  }
  roll_now_ = false;
  if (!status.ok() && !wanted) next_wanted_ = false;
  return status;
}

// Files that cannot be linked (another file system) are opened: deleted, they can still be read.
Status Journal::LinkInto(const std::string& to, JournalCopy* copy, UnlinkedFiles* unlinked) const {
  for (const std::string& name : copy->manifest.FileNames()) {
    auto file = options_.fs->Open(options_.dir + "/" + name, FileSystem::Mode::kRead);
    if (!file.ok()) return file.status();
    auto size = (*file)->Size();
    if (!size.ok()) return size.status();
    copy->bytes += *size;
    ++copy->files;
    const Status linked = options_.fs->Link(options_.dir + "/" + name, to + "/" + name);
    if (!linked.ok()) unlinked->emplace_back(name, std::move(*file));
  }
  return Status::Ok();
}

Result<JournalCopy> Journal::CopyTo(const std::string& to, uint32_t timeline, Lsn lsn,
                                    const std::function<bool()>& stopped) {
  const Status ended = Status::NotFound("another timeline has begun");
  const Status sealed = SealThrough(timeline, lsn, stopped);
  if (manifest().LastTimeline() != timeline) return ended;
  CAIRN_RETURN_IF_ERROR(sealed);
  JournalCopy copy;
  UnlinkedFiles unlinked;
  {
    // What manifest_ lists while this is held is there until it is released.
    std::lock_guard<std::mutex> guard(deletion_mutex_);
    copy.manifest = manifest();
    if (copy.manifest.LastTimeline() != timeline) return ended;
    if (copy.manifest.base_lsn > lsn) return Status::NotFound("a newer base snapshot is in place");
    CutToBackup(&copy.manifest, lsn);
    CAIRN_RETURN_IF_ERROR(LinkInto(to, &copy, &unlinked));
  }
  for (const auto& [name, file] : unlinked)
    CAIRN_RETURN_IF_ERROR(CopyFile(options_.fs, file.get(), to + "/" + name, stopped));
  CAIRN_RETURN_IF_ERROR(options_.fs->SyncDirectory(to));
  return copy;
}

}  // namespace cairn
