// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/export.h"

#include <climits>
#include <functional>
#include <memory>

#include "base/numbers.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "rdb/opcodes.h"
#include "rdb/reader.h"
#include "snapshot/verify.h"
#include "utils/cairn-check/dataset.h"
#include "utils/cairn-check/look.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kHeadBytes = 64 << 10;  // of an RDB: what it says of itself stands there

// Calls write(bytes) with the RDB of a base, until that fails: of a packed snapshot, or of a plain
// one as a leader sent it.
Status ReadBase(FileSystem* fs, const std::string& path, const KeyRing* keys,
                const std::function<bool(std::string_view)>& write) {
  if (IsPackedSnapshot(fs, path)) return ScanSnapshot(fs, path, keys, write).status();
  CAIRN_RETURN_IF_ERROR(VerifyPlainRdb(fs, path));
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  std::string buffer(kReadBytes, '\0');
  for (uint64_t offset = 0;;) {
    auto read = (*file)->ReadAt(offset, buffer.data(), buffer.size());
    if (!read.ok()) return read.status();
    if (*read == 0 || !write({buffer.data(), *read})) return Status::Ok();
    offset += *read;
  }
}

// The database that the stream behind a base is in, as its first records say. A replica's log goes
// on where its leader's is; others begin with a SELECT.
uint32_t StreamDatabase(std::string_view head) {
  RdbReader reader(head);
  reader.FileHeader();
  std::string name;
  while (reader.Byte() == static_cast<uint8_t>(RdbOpcode::kAux) && reader.ok()) {
    reader.Text(&name);
    int64_t number = 0;
    const bool parsed = ParseInt64(reader.Text(), &number);
    if (reader.ok() && parsed && name == "repl-stream-db" && number > 0 && number <= INT_MAX)
      return static_cast<uint32_t>(number);
  }
  return 0;
}

// Appends the RDB of the base and, where it is needed, the SELECT behind it.
Status AppendBase(FileSystem* fs, const std::string& path, const KeyRing* keys, File* out,
                  uint64_t* offset) {
  Status written;
  std::string head;
  const auto write = [&](std::string_view bytes) {
    if (head.size() < kHeadBytes) head.append(bytes.substr(0, kHeadBytes - head.size()));
    written = out->WriteAt(*offset, bytes);
    *offset += bytes.size();
    return written.ok();
  };
  const Status read = ReadBase(fs, path, keys, write);
  CAIRN_RETURN_IF_ERROR(written);
  CAIRN_RETURN_IF_ERROR(read);
  const uint32_t database = StreamDatabase(head);
  if (database == 0) return Status::Ok();
  char select[kSelectBytesMax];
  (void)write({select, EncodeSelect(select, database)});
  return written;
}

Status Write(FileSystem* fs, const std::string& dir, File* out, const KeyRing* keys) {
  auto recovered = RecoverJournal(fs, dir, keys, /*in_use=*/true);
  if (!recovered.ok()) return recovered.status();
  if (recovered->report.fresh) return Status::NotFound("there is no journal in " + dir);
  const Manifest& m = recovered->manifest;
  uint64_t offset = 0;
  if (!m.base_name.empty())
    CAIRN_RETURN_IF_ERROR(AppendBase(fs, dir + "/" + m.base_name, keys, out, &offset));
  const Lsn first = m.segments.empty() ? recovered->tail_lsn : m.segments.front().first_lsn;
  const Lsn from = m.base_name.empty() ? first : m.base_lsn;
  auto reader = JournalReader::Open(fs, dir, m, from, recovered->tail_lsn, keys);
  if (!reader.ok()) return reader.status();
  StreamPiece piece;
  for (;;) {
    auto more = (*reader)->Next(&piece);
    if (!more.ok()) return more.status();
    if (!*more) break;
    CAIRN_RETURN_IF_ERROR(out->WriteAt(offset, piece.bytes));
    offset += piece.bytes.size();
  }
  return out->Sync();
}

}  // namespace

Status ExportAof(FileSystem* fs, const std::string& dir, const std::string& path,
                 const KeyRing* keys) {
  return LookUntilStill(fs, dir, [&]() -> Status {
    auto out = fs->Open(path, FileSystem::Mode::kCreate);
    if (!out.ok()) return out.status();
    Status status = Write(fs, dir, out->get(), keys);
    if (!status.ok()) (void)fs->Remove(path);
    return status;
  });
}

Status ExportRdb(FileSystem* fs, const std::string& dir, const std::string& path,
                 const std::string& target, const KeyRing* keys) {
  std::unique_ptr<Dataset> dataset;
  CAIRN_RETURN_IF_ERROR(LookUntilStill(fs, dir, [&] {
    dataset = std::make_unique<Dataset>(fs, keys);
    return dataset->Load(dir, target);
  }));
  return dataset->SaveRdb(path);
}

}  // namespace cairn
