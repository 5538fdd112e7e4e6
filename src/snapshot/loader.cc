// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/loader.h"

#include <lz4frame.h>

#include <algorithm>
#include <memory>

#include "base/bytes.h"
#include "snapshot/format.h"
#include "snapshot/packed_loader.h"

namespace cairn {
namespace {

constexpr uint32_t kLz4Magic = 0x184D2204;

Status At(const std::string& path, uint64_t offset, const Status& status) {
  if (status.code() == StatusCode::kUnavailable) return status;
  return Status(status.code(),
                path + ": offset " + std::to_string(offset) + ": " + status.message());
}

// Bytes of a file one after the other; the first error of the file latches.
class FileSource {
 public:
  FileSource(File* file, const LoadOptions& options) : file_(*file), options_(options) {}
  size_t operator()(char* into, size_t size) {
    if (!status_.ok()) return 0;
    auto read = file_.ReadAt(offset_, into, size);
    if (!read.ok()) {
      status_ = read.status();
      return 0;
    }
    offset_ += *read;
    if (options_.progress != nullptr) options_.progress(*read);
    return *read;
  }
  const Status& status() const { return status_; }

 private:
  File& file_;
  const LoadOptions& options_;
  uint64_t offset_ = 0;
  Status status_;
};

// The plain bytes of LZ4 frames; skippable ones are skipped.
class Lz4Source {
 public:
  explicit Lz4Source(FileSource* source) : source_(*source), input_(kInputBytes) {
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)));
  }
  ~Lz4Source() { LZ4F_freeDecompressionContext(context_); }
  size_t operator()(char* into, size_t size) {
    for (;;) {
      if (at_ == end_) {
        at_ = 0;
        end_ = source_(input_.data(), input_.size());
        if (end_ == 0) return 0;
      }
      size_t produced = size, consumed = end_ - at_;
      const size_t hint =
          LZ4F_decompress(context_, into, &produced, input_.data() + at_, &consumed, nullptr);
      if (LZ4F_isError(hint)) {
        status_ = Status::Corrupt(std::string("LZ4: ") + LZ4F_getErrorName(hint));
        return 0;
      }
      at_ += consumed;
      if (produced > 0) return produced;
    }
  }
  const Status& status() const { return status_; }

 private:
  static constexpr size_t kInputBytes = 64 << 10;
  FileSource& source_;
  LZ4F_dctx* context_ = nullptr;
  std::vector<char> input_;
  size_t at_ = 0, end_ = 0;
  Status status_;
};

// From magic to checksum. `position` is told where an error was found.
Status LoadStream(RdbReader* reader, const LoadOptions& options, LoadTotals* totals,
                  LoadReport* report) {
  reader->EnableChecksum();
  report->version = reader->FileHeader();
  CAIRN_RETURN_IF_ERROR(reader->status());
  CAIRN_RETURN_IF_ERROR(CheckRdbVersion(report->version));
  RecordLoader loader(&options, totals, options.slots[0]);
  auto ended = loader.Load(reader);
  if (!ended.ok()) return ended.status();
  if (!*ended) return Status::Corrupt("the file ends without its end mark");
  if (report->version < kRdbVersionChecksum) return Status::Ok();
  const uint64_t computed = reader->Checksum();
  const auto stored = static_cast<uint64_t>(reader->Int64());
  CAIRN_RETURN_IF_ERROR(reader->status());
  // Zero: whoever wrote it did not compute one.
  if (stored != 0 && stored != computed) return Status::Corrupt("the RDB's checksum is wrong");
  return Status::Ok();
}

}  // namespace

Status CheckRdbVersion(int version) {
  const bool valkey = version >= kRdbVersionValkey;
  if (valkey ? version > kRdbVersionValkeyMax : version > kRdbVersionReadMax)
    return Status::Corrupt("can't handle RDB format version " + std::to_string(version));
  return Status::Ok();
}

Result<LoadReport> LoadSnapshot(FileSystem* fs, const std::string& path, const LoadOptions& options,
                                LoadTotals* totals) {
  CHECK(!options.slots.empty());
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  char magic[4] = {};
  auto read = (*file)->ReadAt(0, magic, sizeof magic);
  if (!read.ok()) return read.status();
  const uint32_t word = LoadLe<uint32_t>(magic);
  LoadReport report;
  if (*read == sizeof magic && word == kSnapshotHeaderMagic) {
    report.packed = true;
    uint64_t offset = 0;
    const Status status = LoadPacked(file->get(), options, totals, &report, &offset);
    if (!status.ok()) return At(path, offset, status);
    return report;
  }
  FileSource source(file->get(), options);
  std::unique_ptr<Lz4Source> frames;
  RdbReader::Source bytes = [&source](char* into, size_t size) { return source(into, size); };
  if (*read == sizeof magic && word == kLz4Magic) {
    frames = std::make_unique<Lz4Source>(&source);
    bytes = [&frames](char* into, size_t size) { return (*frames)(into, size); };
  }
  RdbReader reader(std::move(bytes));
  Status status = LoadStream(&reader, options, totals, &report);
  if (!status.ok()) {
    // What the file or its frames said is the reason why the reader found no more bytes.
    if (frames != nullptr && !frames->status().ok()) status = frames->status();
    if (!source.status().ok()) status = source.status();
    return At(path, reader.position(), status);
  }
  if (frames == nullptr) report.end_offset = reader.position();
  return report;
}

}  // namespace cairn
