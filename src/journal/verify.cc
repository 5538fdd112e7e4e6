// SPDX-License-Identifier: BSD-3-Clause
#include "journal/verify.h"

#include "journal/reader.h"
#include "journal/recovery.h"

namespace cairn {

Status VerifyChain(FileSystem* fs, const std::string& dir, const Manifest& manifest, Lsn tail,
                   const KeyRing* keys, const std::function<bool()>& stopped) {
  auto reader = JournalReader::Open(fs, dir, manifest, manifest.NeededFrom(), tail, keys);
  if (!reader.ok()) return reader.status();
  StreamPiece piece;
  for (;;) {
    if (stopped != nullptr && stopped()) return Status::Unavailable("the server ends");
    auto more = (*reader)->Next(&piece);
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  if ((*reader)->position() != tail)
    return Status::Corrupt("the log in " + dir + " ends at LSN " +
                           std::to_string((*reader)->position()) + " instead of " +
                           std::to_string(tail));
  return Status::Ok();
}

Result<bool> HasAllBlocks(FileSystem* fs, const std::string& dir, const SegmentEntry& segment,
                          Lsn needed, const KeyRing* keys) {
  auto reader = OpenSegment(fs, dir, segment, keys);
  Status status = reader.status();
  if (reader.ok()) {
    SegmentReader::Block block;
    if (needed > (*reader)->next_lsn()) (*reader)->Seek(needed);
    while ((*reader)->next_lsn() < segment.end_lsn &&
           (*reader)->Next(&block) == SegmentReader::End::kNone) {
    }
    if ((*reader)->next_lsn() >= segment.end_lsn) return true;
    status = (*reader)->status();
  }
  // Nor is anything of use that no key opens.
  if (status.ok() || IsDamage(status) || status.code() == StatusCode::kInvalid) return false;
  return status;
}

}  // namespace cairn
