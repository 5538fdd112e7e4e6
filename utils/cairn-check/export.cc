// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/export.h"

#include "journal/reader.h"
#include "journal/recovery.h"
#include "snapshot/verify.h"
#include "utils/cairn-check/dataset.h"

namespace cairn {
namespace {

// Appends the RDB in the packed snapshot `path`.
Status AppendBase(FileSystem* fs, const std::string& path, const KeyRing* keys, File* out,
                  uint64_t* offset) {
  Status written;
  auto summary = ScanSnapshot(fs, path, keys, [&](std::string_view bytes) {
    written = out->WriteAt(*offset, bytes);
    *offset += bytes.size();
    return written.ok();
  });
  return written.ok() ? summary.status() : written;
}

Status Write(FileSystem* fs, const std::string& dir, File* out, const KeyRing* keys) {
  auto recovered = RecoverJournal(fs, dir, keys);
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
  auto out = fs->Open(path, FileSystem::Mode::kCreate);
  if (!out.ok()) return out.status();
  Status status = Write(fs, dir, out->get(), keys);
  if (!status.ok()) (void)fs->Remove(path);
  return status;
}

Status ExportRdb(FileSystem* fs, const std::string& dir, const std::string& path,
                 const std::string& target, const KeyRing* keys) {
  Dataset dataset(fs, keys);
  CAIRN_RETURN_IF_ERROR(dataset.Load(dir, target));
  return dataset.SaveRdb(path);
}

}  // namespace cairn
