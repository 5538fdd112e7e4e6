// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/export.h"

#include <lz4frame.h>

#include <memory>

#include "journal/reader.h"
#include "journal/recovery.h"

namespace cairn {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kPlainBytes = 4 << 20;

// Appends the plain bytes of the LZ4 file `path` (or its bytes, if it is an RDB as it stands).
Status AppendPlain(FileSystem* fs, const std::string& path, File* out, uint64_t* offset) {
  auto file = fs->Open(path, FileSystem::Mode::kRead);
  if (!file.ok()) return file.status();
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)))
    return Status::Limit("no memory to decompress " + path);
  std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(
      made, &LZ4F_freeDecompressionContext);
  std::string input(kReadBytes, '\0'), plain(kPlainBytes, '\0');
  size_t state = 0;
  bool as_it_stands = false;
  for (uint64_t at = 0;;) {
    auto got = (*file)->ReadAt(at, input.data(), input.size());
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    as_it_stands |= at == 0 && std::string_view(input).starts_with("REDIS");
    at += *got;
    std::string_view rest(input.data(), *got);
    if (as_it_stands) {
      CAIRN_RETURN_IF_ERROR(out->WriteAt(*offset, rest));
      *offset += rest.size();
      continue;
    }
    while (!rest.empty()) {
      size_t made_bytes = plain.size(), used = rest.size();
      state =
          LZ4F_decompress(context.get(), plain.data(), &made_bytes, rest.data(), &used, nullptr);
      if (LZ4F_isError(state))
        return Status::Corrupt(path + " does not decompress: " + LZ4F_getErrorName(state));
      CAIRN_RETURN_IF_ERROR(out->WriteAt(*offset, std::string_view(plain).substr(0, made_bytes)));
      *offset += made_bytes;
      rest.remove_prefix(used);
    }
  }
  return state == 0 ? Status::Ok() : Status::Corrupt(path + " ends inside a frame");
}

Status Write(FileSystem* fs, const std::string& dir, File* out, const KeyRing* keys) {
  auto recovered = RecoverJournal(fs, dir, keys);
  if (!recovered.ok()) return recovered.status();
  if (recovered->report.fresh) return Status::NotFound("there is no journal in " + dir);
  const Manifest& m = recovered->manifest;
  uint64_t offset = 0;
  if (!m.base_name.empty())
    CAIRN_RETURN_IF_ERROR(AppendPlain(fs, dir + "/" + m.base_name, out, &offset));
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

}  // namespace cairn
