// SPDX-License-Identifier: BSD-3-Clause
#include "utils/cairn-check/loss.h"

#include <stdio.h>
#include <time.h>

#include <algorithm>
#include <string_view>

#include "base/numbers.h"
#include "journal/format.h"
#include "journal/recovery.h"
#include "journal/segment_reader.h"

namespace cairn {
namespace {

// "*3\r\n" or "$5\r\n" at `at`, which moves behind it.
bool ReadHead(std::string_view bytes, char kind, size_t* at, uint64_t* number) {
  const size_t end = bytes.find("\r\n", *at);
  if (end == std::string_view::npos || bytes[*at] != kind) return false;
  if (!ParseUint64(bytes.substr(*at + 1, end - *at - 1), number)) return false;
  *at = end + 2;
  return true;
}

// The commands that begin and end in a piece of the stream.
uint64_t CountCommands(std::string_view bytes, size_t at) {
  uint64_t commands = 0, words, length;
  for (; at < bytes.size(); ++commands) {
    if (!ReadHead(bytes, '*', &at, &words)) return commands;
    for (; words > 0; --words) {
      if (at >= bytes.size() || !ReadHead(bytes, '$', &at, &length)) return commands;
      if (bytes.size() - at < 2 || length > bytes.size() - at - 2) return commands;
      at += length + 2;
    }
  }
  return commands;
}

void Add(SegmentReader* reader, const SegmentReader::Block& block, Loss* loss) {
  const BlockHeader& h = block.header;
  if (h.end_lsn() <= loss->from || !h.in_stream()) return;
  loss->to = std::max(loss->to, h.end_lsn());
  loss->first_ms = loss->first_ms == 0 ? h.first_ms : std::min(loss->first_ms, h.first_ms);
  loss->last_ms = std::max(loss->last_ms, h.last_ms);
  std::string plain;
  if (h.first_record < h.plain_bytes && reader->Decode(block, &plain).ok())
    loss->commands += CountCommands(plain, h.first_record);
}

}  // namespace

std::string TimeText(uint64_t ms) {
  if (ms == 0) return "-";
  time_t seconds = static_cast<time_t>(ms / 1000);
  tm parts;
  char text[64];
  gmtime_r(&seconds, &parts);
  size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + n, sizeof text - n, ".%03uZ", static_cast<unsigned>(ms % 1000));
  return text;
}

std::string Loss::Text() const {
  if (to <= from) return unread.empty() ? "" : "nobody knows what that loses: " + unread + "\n";
  std::string text = "that loses LSN " + std::to_string(from) + " to " + std::to_string(to);
  if (last_ms != 0) text += ", written from " + TimeText(first_ms) + " to " + TimeText(last_ms);
  text += "; " + std::to_string(commands) + " commands of it are whole";
  return text + (unread.empty() ? "" : "; there may be more: " + unread) + "\n";
}

Loss FindLoss(FileSystem* fs, const std::string& dir, const std::vector<SegmentEntry>& segments,
              uint64_t offset, Lsn from, const KeyRing* keys) {
  Loss loss;
  loss.from = loss.to = from;
  for (const SegmentEntry& s : segments) {
    if (s.ended()) loss.to = std::max(loss.to, s.end_lsn);
    const std::string path = SegmentPath(dir, s);
    auto reader = SegmentReader::Open(fs, path, keys);
    if (!reader.ok()) reader = SegmentReader::OpenDamaged(fs, path);
    if (reader.ok()) {
      (*reader)->SkipTo(offset);
      SegmentReader::Block block;
      while ((*reader)->ScanForBlock(&block))
        if (block.header.timeline == s.timeline) Add(reader->get(), block, &loss);
    }
    const Status status = reader.ok() ? (*reader)->status() : reader.status();
    if (!IsDamage(status) && !status.ok()) loss.unread = status.message();
    offset = 0;
    if (!s.ended() || s.last_ms == 0) continue;
    loss.first_ms = loss.first_ms == 0 ? s.first_ms : loss.first_ms;
    loss.last_ms = std::max(loss.last_ms, s.last_ms);
  }
  return loss;
}

}  // namespace cairn
