// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/sink.h"

#include <algorithm>

#include "base/crc.h"

namespace cairn {
namespace {
// What is written at once. Twice that is held.
constexpr size_t kWriteBytes = 1 << 20;
static_assert(kWriteBytes >= kDirectBytesMin + kDirectAlignBytes);
// So much at most is left to the final sync, which would else stall other writers of the disk.
constexpr uint64_t kSyncEveryBytes = 32 << 20;
}  // namespace

Result<std::unique_ptr<SnapshotSink>> SnapshotSink::Create(SinkOptions options) {
  std::unique_ptr<SnapshotSink> sink(new SnapshotSink(std::move(options)));
  auto file = sink->options_.fs->Open(sink->TemporaryPath(), FileSystem::Mode::kTruncate);
  if (!file.ok()) return file.status();
  sink->file_ = std::move(*file);
  sink->file_bytes_ = sink->HeadBytes();
  SinkOptions& final = sink->options_;
  if (final.keys != nullptr && final.format == SnapshotFormat::kPacked)
    sink->cipher_ = final.keys->NewFile(&final.header.key);
  if (final.followed != nullptr) {
    sink->version_ = final.version;
    CAIRN_RETURN_IF_ERROR(sink->file_->WriteAt(0, sink->Head()));
    sink->written_bytes_ = sink->HeadBytes();
  } else {
    sink->collected_.assign(sink->HeadBytes(), '\0');
  }
  return sink;
}

SnapshotSink::~SnapshotSink() {
  if (committed_) return;
  file_.reset();
  (void)options_.fs->Remove(TemporaryPath());
}

uint64_t SnapshotSink::HeadBytes() const {
  return options_.format == SnapshotFormat::kPlain
             ? kRdbHeaderBytes
             : kSnapshotHeaderBytes + FrameBytesStored(kRdbHeaderBytes);
}

std::string SnapshotSink::Head() const {
  std::string magic, head;
  RdbWriter(&magic).FileHeader(version_);
  if (options_.format == SnapshotFormat::kPlain) return magic;
  EncodeSnapshotHeader(options_.header, &head);
  AppendFrame(magic, 0, &head);
  return head;
}

Status SnapshotSink::status() const {
  std::lock_guard guard(mutex_);
  return status_;
}

void SnapshotSink::Fail(const Status& status) {
  if (status_.ok()) status_ = status;
  failed_.store(true, std::memory_order_relaxed);
}

void SnapshotSink::Write(std::string_view stored, std::unique_lock<std::mutex>* lock) {
  file_bytes_.fetch_add(stored.size(), std::memory_order_relaxed);
  if (options_.followed != nullptr) {
    if (Status status = file_->WriteAt(written_bytes_, stored); !status.ok()) return Fail(status);
    written_bytes_ += stored.size();
    return options_.followed(written_bytes_);
  }
  collected_.append(stored);
  wrote_.wait(*lock, [this] { return !writing_ || collected_.size() < kWriteBytes; });
  if (collected_.size() >= kWriteBytes) WriteOut(lock);
}

// Writes the whole pages that are collected, without the mutex: others go on collecting.
void SnapshotSink::WriteOut(std::unique_lock<std::mutex>* lock) {
  const size_t whole = collected_.size() / kDirectAlignBytes * kDirectAlignBytes;
  outgoing_.assign(collected_, whole);
  collected_.swap(outgoing_);  // which is the longer one now
  const uint64_t offset = written_bytes_;
  written_bytes_ += whole;
  writing_ = true;
  lock->unlock();
  const Status status = file_->WriteAt(offset, std::string_view(outgoing_).substr(0, whole));
  lock->lock();
  writing_ = false;
  wrote_.notify_all();
  if (!status.ok()) Fail(status);
}

// Syncs what is written, without the mutex: the others go on writing.
void SnapshotSink::SyncNow(std::unique_lock<std::mutex>* lock) {
  syncing_ = true;
  const uint64_t written = written_bytes_;
  lock->unlock();
  const Status status = file_->Sync();
  lock->lock();
  syncing_ = false;
  synced_bytes_ = written;
  if (!status.ok()) Fail(status);
}

void SnapshotSink::AddRecords(std::string_view records, uint64_t keys, uint32_t flags,
                              Place place) {
  if (failed()) return;
  const uint64_t crc = options_.checksum ? Crc64(0, records) : 0;
  std::string packed;
  std::string_view stored = records;
  if (options_.format == SnapshotFormat::kPacked) {
    PartHeader header;
    header.flags = flags;
    header.keys = keys;
    if (cipher_ == nullptr) {
      EncodePart(header, records, options_.acceleration, nullptr, &packed);
    } else {
      std::lock_guard guard(cipher_mutex_);
      header.nonce = next_nonce_++;
      EncodePart(header, records, options_.acceleration, cipher_.get(), &packed);
    }
    stored = packed;
  }
  std::unique_lock lock(mutex_);
  if (place == Place::kAlone) run_ended_.wait(lock, [this] { return !run_; });
  if (!status_.ok()) return;
  if (options_.checksum) crc_ = Crc64Combine(crc_, crc, records.size());
  plain_bytes_.fetch_add(records.size(), std::memory_order_relaxed);
  keys_.fetch_add(keys, std::memory_order_relaxed);
  ++parts_;
  Write(stored, &lock);
  if (options_.followed != nullptr) return;
  if (status_.ok() && !syncing_ && written_bytes_ - synced_bytes_ >= kSyncEveryBytes)
    SyncNow(&lock);
}

void SnapshotSink::AddHead(std::string_view records) {
  if (records.size() <= kPartPlainBytesMax) return AddRecords(records, 0, 0, Place::kAlone);
  BeginRun();
  AddPieces(records, 0);
}

void SnapshotSink::Add(const Part& part) {
  if (part.empty()) return;
  if (part.bytes().size() <= kPartPlainBytesMax) {
    AddRecords(part.bytes(), part.keys(), 0, Place::kAlone);
  } else {
    BeginRun();
    AddPieces(part.bytes(), part.keys());
  }
  NoteVersion(part.version());
}

void SnapshotSink::BeginRun() {
  std::unique_lock lock(mutex_);
  run_ended_.wait(lock, [this] { return !run_; });
  run_ = true;
}

void SnapshotSink::AddToRun(std::string_view piece) {
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kPartPlainBytesMax);
    AddRecords(part, 0, kPartContinues, Place::kInRun);
    piece.remove_prefix(part.size());
  }
}

// The last part of the run, which ends it.
void SnapshotSink::AddPieces(std::string_view records, uint64_t keys) {
  const size_t last = std::min(records.size(), kPartPlainBytesMax);
  AddToRun(records.substr(0, records.size() - last));
  AddRecords(records.substr(records.size() - last), keys, 0, Place::kInRun);
  std::lock_guard guard(mutex_);
  run_ = false;
  run_ended_.notify_all();
}

void SnapshotSink::EndRun(std::string_view piece, int version) {
  AddPieces(piece, 1);
  NoteVersion(version);
}

void SnapshotSink::NoteVersion(int version) {
  std::lock_guard guard(mutex_);
  if (version <= version_) return;
  version_ = version;
  // Somebody may have read the head already.
  if (options_.followed != nullptr) Fail(Status::Corrupt("a value needs a newer RDB version"));
}

Status SnapshotSink::Commit() {
  std::string magic, end;
  RdbWriter(&magic).FileHeader(version_);
  RdbWriter writer(&end);
  writer.EofOpcode();
  uint64_t crc = 0;
  if (options_.checksum) crc = Crc64(Crc64Combine(Crc64(0, magic), crc_, plain_bytes()), end);
  writer.Checksum(crc);
  AddRecords(end, 0, kPartEnd, Place::kAlone);
  if (options_.format == SnapshotFormat::kPacked) {
    std::string trailer;
    EncodeSnapshotTrailer({plain_bytes() + magic.size(), keys(), parts_}, &trailer);
    std::unique_lock lock(mutex_);
    Write(trailer, &lock);
  }
  if (!status_.ok()) return status_;
  if (options_.followed != nullptr) {
    committed_ = true;
    return Status::Ok();
  }
  const std::string head = Head();
  CHECK(head.size() == HeadBytes());
  CAIRN_RETURN_IF_ERROR(file_->WriteAt(written_bytes_, collected_));
  CAIRN_RETURN_IF_ERROR(file_->WriteAt(0, head));
  CAIRN_RETURN_IF_ERROR(file_->Sync());
  file_.reset();
  CAIRN_RETURN_IF_ERROR(options_.fs->Rename(TemporaryPath(), Path()));
  committed_ = true;
  return options_.fs->SyncDirectory(options_.dir);
}

}  // namespace cairn
