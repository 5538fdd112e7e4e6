// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/packed_loader.h"

#include <condition_variable>
#include <deque>
#include <thread>

#include "base/bytes.h"
#include "base/crc.h"
#include "snapshot/format.h"

namespace cairn {
namespace {

class PackedLoad {
 public:
  PackedLoad(File* file, const LoadOptions& options, LoadTotals* totals)
      : file_(*file), options_(options), totals_(*totals) {}

  Status Run(LoadReport* report, uint64_t* offset) {
    Status status = ReadHead(report);
    if (!status.ok()) {
      *offset = 0;
      return status;
    }
    std::vector<std::thread> threads;
    for (size_t i = 1; i < options_.slots.size(); ++i)
      threads.emplace_back([this, slot = options_.slots[i]] { LoadParts(slot); });
    const Status read = ReadParts();
    {
      std::lock_guard guard(mutex_);
      read_all_ = true;
    }
    changed_.notify_all();
    LoadParts(options_.slots[0]);
    for (std::thread& thread : threads) thread.join();
    // What a part said is nearer to the truth than what the reading behind it met.
    if (!status_.ok()) {
      *offset = error_offset_;
      return status_;
    }
    *offset = offset_;
    if (!read.ok()) return read;
    return CheckSums();
  }

 private:
  struct Job {
    size_t index;
    uint64_t offset;
    PartHeader header;
    std::string bytes;
  };
  struct Sum {
    uint64_t crc = 0, plain_bytes = 0;
  };
  // Parts read but not loaded yet; memory is bounded by so many parts.
  static constexpr size_t kQueueMax = 16;

  Status ReadExactly(uint64_t offset, size_t size, std::string* into) {
    into->resize(size);
    auto read = file_.ReadAt(offset, into->data(), size);
    if (!read.ok()) return read.status();
    if (*read != size) return Status::Corrupt("the file is cut short");
    return Status::Ok();
  }

  Status ReadHead(LoadReport* report) {
    auto size = file_.Size();
    if (!size.ok()) return size.status();
    file_bytes_ = *size;
    std::string bytes;
    const size_t frame_bytes = FrameBytesStored(kRdbHeaderBytes);
    CAIRN_RETURN_IF_ERROR(ReadExactly(0, kSnapshotHeaderBytes + frame_bytes, &bytes));
    SnapshotHeader header;
    CAIRN_RETURN_IF_ERROR(DecodeSnapshotHeader(bytes, &header));
    report->lsn = header.lsn;
    magic_ =
        bytes.substr(kSnapshotHeaderBytes + FrameBytesStored(kRdbHeaderBytes) - 4 - kRdbHeaderBytes,
                     kRdbHeaderBytes);
    std::string frame;
    AppendFrame(magic_, 0, &frame);
    if (bytes.compare(kSnapshotHeaderBytes, std::string::npos, frame) != 0)
      return Status::Corrupt("the head of the snapshot is damaged");
    RdbReader reader{std::string_view(magic_)};
    version_ = report->version = reader.FileHeader();
    CAIRN_RETURN_IF_ERROR(reader.status());
    offset_ = bytes.size();
    return CheckRdbVersion(version_);
  }

  // Up to the end-part and the trailer.
  Status ReadParts() {
    for (size_t index = 0;; ++index) {
      Job job;
      job.index = index;
      job.offset = offset_;
      CAIRN_RETURN_IF_ERROR(ReadExactly(offset_, kPartHeaderBytes, &job.bytes));
      CAIRN_RETURN_IF_ERROR(DecodePartHeader(job.bytes, &job.header));
      if (job.header.stored_bytes > file_bytes_ - offset_ - kPartHeaderBytes)
        return Status::Corrupt("the file is cut short in a part");
      CAIRN_RETURN_IF_ERROR(
          ReadExactly(offset_, kPartHeaderBytes + job.header.stored_bytes, &job.bytes));
      offset_ += job.bytes.size();
      if (options_.progress != nullptr) options_.progress(job.bytes.size());
      const bool end = (job.header.flags & kPartEnd) != 0;
      if (end) CAIRN_RETURN_IF_ERROR(DecodePart(job.bytes, job.header, &end_));
      if (end) break;
      std::unique_lock lock(mutex_);
      // With one thread alone nobody else empties the queue.
      if (options_.slots.size() == 1) {
        lock.unlock();
        Load(&job, options_.slots[0]);
        lock.lock();
      } else {
        changed_.wait(lock, [this] { return queue_.size() < kQueueMax || !status_.ok(); });
        queue_.push_back(std::move(job));
        changed_.notify_all();
      }
      if (!status_.ok()) return status_;
    }
    std::string bytes;
    CAIRN_RETURN_IF_ERROR(ReadExactly(offset_, kSnapshotTrailerBytes, &bytes));
    return DecodeSnapshotTrailer(bytes, &trailer_);
  }

  void LoadParts(int slot) {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !queue_.empty() || read_all_ || !status_.ok(); });
      if (queue_.empty() || !status_.ok()) return;
      Job job = std::move(queue_.front());
      queue_.pop_front();
      changed_.notify_all();
      lock.unlock();
      Load(&job, slot);
      lock.lock();
    }
  }

  void Load(Job* job, int slot) {
    std::string plain;
    Status status = DecodePart(job->bytes, job->header, &plain);
    job->bytes = {};
    const uint64_t crc = Crc64(0, plain);
    if (status.ok()) {
      RdbReader reader{std::string_view(plain)};
      reader.set_version(version_);
      RecordLoader loader(&options_, &totals_, slot);
      auto ended = loader.Load(&reader);
      status = ended.status();
      if (ended.ok() && *ended) status = Status::Corrupt("an end mark inside a part");
      if (!status.ok() && status.code() != StatusCode::kUnavailable)
        status = Status(status.code(), "byte " + std::to_string(reader.position()) +
                                           " of the part: " + status.message());
    }
    std::lock_guard guard(mutex_);
    if (sums_.size() <= job->index) sums_.resize(job->index + 1);
    sums_[job->index] = {crc, plain.size()};
    if (!status.ok() && (status_.ok() || job->offset < error_offset_)) {
      status_ = status;
      error_offset_ = job->offset;
    }
    changed_.notify_all();
  }

  Status CheckSums() {
    uint64_t crc = Crc64(0, magic_), plain_bytes = magic_.size() + end_.size();
    for (const Sum& sum : sums_) {
      crc = Crc64Combine(crc, sum.crc, sum.plain_bytes);
      plain_bytes += sum.plain_bytes;
    }
    if (end_.size() != 1 + kRdbChecksumBytes) return Status::Corrupt("bad end mark");
    crc = Crc64(crc, std::string_view(end_).substr(0, 1));
    const auto stored = LoadLe<uint64_t>(end_.data() + 1);
    if (stored != 0 && stored != crc) return Status::Corrupt("the RDB's checksum is wrong");
    if (trailer_.plain_bytes != plain_bytes || trailer_.parts != sums_.size() + 1)
      return Status::Corrupt("the snapshot has other parts than its trailer says");
    return Status::Ok();
  }

  File& file_;
  const LoadOptions& options_;
  LoadTotals& totals_;
  uint64_t file_bytes_ = 0;
  uint64_t offset_ = 0;
  std::string magic_, end_;
  int version_ = 0;
  SnapshotTrailer trailer_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool read_all_ = false;
  std::vector<Sum> sums_;  // by part
  Status status_;          // of the first part, in the file's order, that failed
  uint64_t error_offset_ = 0;
};

}  // namespace

Status LoadPacked(File* file, const LoadOptions& options, LoadTotals* totals, LoadReport* report,
                  uint64_t* offset) {
  return PackedLoad(file, options, totals).Run(report, offset);
}

}  // namespace cairn
