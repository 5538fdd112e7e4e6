// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/loader.h"

#include <lz4frame.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "snapshot/format.h"
#include "snapshot/packed_loader.h"
#include "snapshot/source_reader.h"

namespace cairn {
namespace {

constexpr uint32_t kLz4Magic = 0x184D2204;
// Of a file, compressed or not: type, the key's length, something of the key and of the value.
constexpr uint64_t kBytesPerKeyMin = 4;

Status At(const std::string& path, uint64_t offset, const Status& status) {
  if (status.code() == StatusCode::kUnavailable) return status;
  return Status(status.code(),
                path + ": offset " + std::to_string(offset) + ": " + status.message());
}

// The bytes of a file one after the other.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(File* file) : file_(*file) {}
  Result<size_t> Read(char* into, size_t size) override {
    auto read = file_.ReadAt(offset_, into, size);
    if (read.ok()) offset_ += *read;
    return read;
  }

 private:
  File& file_;
  uint64_t offset_ = 0;
};

// The plain bytes of LZ4 frames; skippable ones are skipped.
class Lz4Source {
 public:
  explicit Lz4Source(SourceReader* source) : source_(*source), input_(kInputBytes) {
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)));
  }
  ~Lz4Source() { LZ4F_freeDecompressionContext(context_); }
  size_t operator()(char* into, size_t size) {
    for (;;) {
      if (at_ == end_) {
        at_ = 0;
        end_ = source_.Read(input_.data(), input_.size());
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
  SourceReader& source_;
  LZ4F_dctx* context_ = nullptr;
  std::vector<char> input_;
  size_t at_ = 0, end_ = 0;
  Status status_;
};

// From magic to checksum. `position` is told where an error was found.
Status LoadStream(RdbReader* reader, const LoadOptions& options, LoadTotals* totals,
                  LoadReport* report) {
  if (options.checksum) reader->EnableChecksum();
  report->version = reader->FileHeader();
  CAIRN_RETURN_IF_ERROR(reader->status());
  CAIRN_RETURN_IF_ERROR(CheckRdbVersion(report->version));
  RecordLoader loader(&options, totals, options.slots[0]);
  auto ended = loader.Load(reader);
  if (!ended.ok()) return ended.status();
  if (!*ended) return Status::Corrupt("the file ends without its end mark");
  if (report->version < kRdbVersionChecksum) return Status::Ok();
  const uint64_t computed = options.checksum ? reader->Checksum() : 0;
  const auto stored = static_cast<uint64_t>(reader->Int64());
  CAIRN_RETURN_IF_ERROR(reader->status());
  // Zero: whoever wrote it did not compute one.
  if (options.checksum && stored != 0 && stored != computed)
    return Status::Corrupt("the RDB's checksum is wrong");
  return Status::Ok();
}

}  // namespace

Status CheckRdbVersion(int version) {
  const bool valkey = version >= kRdbVersionValkey;
  if (valkey ? version > kRdbVersionValkeyMax : version > kRdbVersionReadMax)
    return Status::Corrupt("can't handle RDB format version " + std::to_string(version));
  return Status::Ok();
}

Result<LoadReport> LoadSnapshot(ByteSource* source, const std::string& name,
                                const LoadOptions& options, LoadTotals* totals) {
  CHECK(!options.slots.empty());
  SourceReader input(source, &options.progress);
  const std::string_view magic = input.Peek(sizeof(uint32_t));
  if (!input.status().ok()) return input.status();
  const uint32_t word = magic.size() == sizeof(uint32_t) ? LoadLe<uint32_t>(magic.data()) : 0;
  LoadReport report;
  if (word == kSnapshotHeaderMagic) {
    report.packed = true;
    uint64_t offset = 0;
    const Status status = LoadPacked(&input, options, totals, &report, &offset);
    if (!status.ok()) return At(name, offset, status);
    return report;
  }
  std::unique_ptr<Lz4Source> frames;
  RdbReader::Source bytes = [&input](char* into, size_t size) { return input.Read(into, size); };
  if (word == kLz4Magic) {
    frames = std::make_unique<Lz4Source>(&input);
    bytes = [&frames](char* into, size_t size) { return (*frames)(into, size); };
  }
  RdbReader reader(std::move(bytes));
  Status status = LoadStream(&reader, options, totals, &report);
  if (!status.ok()) {
    // What the file or its frames said is the reason why the reader found no more bytes.
    if (frames != nullptr && !frames->status().ok()) status = frames->status();
    if (!input.status().ok()) status = input.status();
    return At(name, reader.position(), status);
  }
  if (frames == nullptr) report.end_offset = reader.position();
  return report;
}

Result<LoadReport> LoadSnapshot(FileSystem* fs, const std::string& path, LoadOptions options,
                                LoadTotals* totals) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  options.announced_keys_max = *size / kBytesPerKeyMin;
  FileSource source(file->get());
  return LoadSnapshot(&source, path, options, totals);
}

}  // namespace cairn
