// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/packed_loader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/thread.h"
#include "snapshot/format.h"

namespace cairn {
namespace {

class PackedLoad {
 public:
  PackedLoad(SourceReader* source, const LoadOptions& options, LoadTotals* totals)
      : source_(*source), options_(options), totals_(*totals) {}

  Status Run(LoadReport* report, uint64_t* offset) {
    Status status = ReadHead(report);
    if (!status.ok()) {
      *offset = 0;
      return status;
    }
    std::vector<std::thread> threads;
    for (const int slot : options_.slots) threads.emplace_back([this, slot] { LoadParts(slot); });
    const Status read = ReadParts();
    {
      std::lock_guard guard(mutex_);
      read_all_ = true;
      read_bytes_ = source_.offset();
    }
    changed_.notify_all();
    for (std::thread& thread : threads) thread.join();
    // What a part said is nearer to the truth than what the reading behind it met.
    if (!status_.ok()) {
      *offset = error_offset_;
      return status_;
    }
    *offset = source_.offset();
    if (!read.ok()) return read;
    return CheckSums();
  }

 private:
  struct Part {
    size_t index;
    uint64_t offset;
    PartHeader header;
    std::string bytes;
  };
  // A part, or the parts of a run as they come.
  struct Job {
    std::deque<Part> parts;
    bool complete = false;  // no more parts will come
  };
  struct Sum {
    uint64_t crc = 0, plain_bytes = 0;
  };
  // Parts read but not loaded yet; memory is bounded by so many parts.
  static constexpr size_t kPartsMax = 16;

  Status ReadHead(LoadReport* report) {
    std::string bytes;
    const size_t frame_bytes = FrameBytesStored(kRdbHeaderBytes);
    CAIRN_RETURN_IF_ERROR(source_.Append(kSnapshotHeaderBytes + frame_bytes, &bytes));
    CAIRN_RETURN_IF_ERROR(DecodeSnapshotHeader(bytes, &header_));
    auto cipher = OpenCipher(header_, options_.keys);
    if (!cipher.ok()) return cipher.status();
    end_cipher_ = std::move(*cipher);
    report->lsn = header_.lsn;
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
    return CheckRdbVersion(version_);
  }

  // Up to the end-part and the trailer.
  Status ReadParts() {
    std::shared_ptr<Job> run;  // the one that is not complete
    for (size_t index = 0;; ++index) {
      Part part;
      part.index = index;
      part.offset = source_.offset();
      CAIRN_RETURN_IF_ERROR(source_.Append(kPartHeaderBytes, &part.bytes));
      CAIRN_RETURN_IF_ERROR(DecodePartHeader(part.bytes, &part.header));
      if (part.header.stored_bytes > kPartStoredBytesMax)
        return Status::Corrupt("part is longer than parts may be");
      CAIRN_RETURN_IF_ERROR(source_.Append(part.header.stored_bytes, &part.bytes));
      if ((part.header.flags & kPartEnd) != 0) {
        if (run != nullptr) return Status::Corrupt("the file ends inside a run of parts");
        CAIRN_RETURN_IF_ERROR(DecodePart(part.bytes, part.header, end_cipher_.get(), &end_));
        break;
      }
      const bool continues = (part.header.flags & kPartContinues) != 0;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return waiting_ < kPartsMax || !status_.ok(); });
      if (!status_.ok()) return status_;
      if (run == nullptr) {
        run = std::make_shared<Job>();
        queue_.push_back(run);
      }
      run->parts.push_back(std::move(part));
      run->complete = !continues;
      ++waiting_;
      if (!continues) run = nullptr;
      changed_.notify_all();
    }
    std::string bytes;
    CAIRN_RETURN_IF_ERROR(source_.Append(kSnapshotTrailerBytes, &bytes));
    return DecodeSnapshotTrailer(bytes, &trailer_);
  }

  void LoadParts(int slot) {
    BeginThread("snapshot-load");
    // It was opened once already.
    const auto cipher = OpenCipher(header_, options_.keys);
    std::string plain;  // of one part after the other
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !queue_.empty() || read_all_ || !status_.ok(); });
      if (queue_.empty() || !status_.ok()) return;
      const std::shared_ptr<Job> job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      Load(job.get(), slot, cipher->get(), plain);
      lock.lock();
    }
  }

  // The next part of a job, plain. False: there is none, or it is damaged (then *status says so).
  bool NextPart(Job* job, BlockCipher* cipher, std::string* plain, uint64_t* offset,
                Status* status) {
    Part part;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(
          lock, [&] { return !job->parts.empty() || job->complete || read_all_ || !status_.ok(); });
      if (job->parts.empty()) {
        if (job->complete) return false;
        *status = status_;
        *offset = error_offset_;
        if (status_.ok()) {
          *status = Status::Corrupt("the file ends inside a run of parts");
          *offset = read_bytes_;
        }
        return false;
      }
      part = std::move(job->parts.front());
      job->parts.pop_front();
      --waiting_;
      changed_.notify_all();
    }
    *offset = part.offset;
    plain->clear();
    *status = DecodePart(part.bytes, part.header, cipher, plain);
    if (!status->ok()) return false;
    const Sum sum = {Crc64(0, *plain), plain->size()};
    std::lock_guard guard(mutex_);
    if (sums_.size() <= part.index) sums_.resize(part.index + 1);
    sums_[part.index] = sum;
    return true;
  }

  bool IsEmptied(Job* job) {
    std::lock_guard guard(mutex_);
    return job->complete && job->parts.empty();
  }

  Status LoadRecords(RdbReader* reader, int slot) {
    reader->set_version(version_);
    RecordLoader loader(&options_, &totals_, slot);
    auto ended = loader.Load(reader);
    Status status = ended.status();
    if (ended.ok() && *ended) status = Status::Corrupt("an end mark inside a part");
    if (status.ok() || status.code() == StatusCode::kUnavailable) return status;
    return Status(status.code(), "byte " + std::to_string(reader->position()) +
                                     " of the part: " + status.message());
  }

  void Load(Job* job, int slot, BlockCipher* cipher, std::string& plain) {
    uint64_t offset = 0;
    Status status;
    bool more = NextPart(job, cipher, &plain, &offset, &status);
    if (more && IsEmptied(job)) {
      RdbReader reader{std::string_view(plain)};
      status = LoadRecords(&reader, slot);
    } else if (more) {
      const uint64_t first_offset = offset;
      size_t given = 0;  // of plain
      RdbReader reader(RdbReader::Source([&](char* into, size_t size) -> size_t {
        while (more && given == plain.size()) {
          given = 0;
          more = NextPart(job, cipher, &plain, &offset, &status);
        }
        if (!more) return 0;
        const size_t n = std::min(size, plain.size() - given);
        memcpy(into, plain.data() + given, n);
        given += n;
        return n;
      }));
      const Status loaded = LoadRecords(&reader, slot);
      // What was said of a part is why the reader found no more bytes.
      if (status.ok() && !loaded.ok()) {
        status = loaded;
        offset = first_offset;
      }
    }
    std::lock_guard guard(mutex_);
    if (!status.ok() && (status_.ok() || offset < error_offset_)) {
      status_ = status;
      error_offset_ = offset;
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

  SourceReader& source_;
  const LoadOptions& options_;
  LoadTotals& totals_;
  SnapshotHeader header_;
  std::unique_ptr<BlockCipher> end_cipher_;  // the reading thread's
  std::string magic_, end_;
  int version_ = 0;
  SnapshotTrailer trailer_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;
  size_t waiting_ = 0;  // parts in jobs
  bool read_all_ = false;
  uint64_t read_bytes_ = 0;  // when that is so
  std::vector<Sum> sums_;    // by part
  Status status_;            // of the first part, in the file's order, that failed
  uint64_t error_offset_ = 0;
};

}  // namespace

Status LoadPacked(SourceReader* source, const LoadOptions& options, LoadTotals* totals,
                  LoadReport* report, uint64_t* offset) {
  return PackedLoad(source, options, totals).Run(report, offset);
}

}  // namespace cairn
