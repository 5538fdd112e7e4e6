// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/part.h"

#include <algorithm>

#include "rdb/string_pieces.h"
#include "rdb/value.h"

namespace cairn {

Part& Part::operator=(Part&& other) noexcept {
  if (this == &other) return *this;
  DropBorrowed();
  bytes_ = std::exchange(other.bytes_, {});
  plain_ = std::exchange(other.plain_, {});
  borrowed_ = std::exchange(other.borrowed_, {});
  big_ = std::exchange(other.big_, {});
  borrowed_bytes_ = std::exchange(other.borrowed_bytes_, 0);
  db_ = std::exchange(other.db_, -1);
  keys_ = std::exchange(other.keys_, 0);
  version_ = std::exchange(other.version_, kRdbVersionMin);
  return *this;
}

void Part::DropBorrowed() {
  for (Borrowed& string : borrowed_) string.block->Release();
  for (Borrowed& string : big_) string.block->Release();
  borrowed_.clear();
  big_.clear();
  borrowed_bytes_ = 0;
}

void AppendRecordHead(int entry_db, int64_t expiry_ms, uint32_t clock, const AccessRecord& access,
                      int* db, RdbWriter* writer) {
  if (*db != entry_db) {
    writer->SelectDb(static_cast<uint64_t>(entry_db));
    *db = entry_db;
  }
  if (expiry_ms != kNoExpiry) writer->ExpireTimeMs(expiry_ms);
  constexpr uint32_t kClockMask = (1u << 24) - 1;
  switch (access.kind) {
    case AccessRecord::Kind::kNone:
      break;
    case AccessRecord::Kind::kIdle: {
      // A clock a little ahead of the instant is one that was just touched.
      const uint32_t idle = (access.lru_clock - clock) & kClockMask;
      writer->Idle(idle > kClockMask / 2 ? 0 : idle);
      break;
    }
    case AccessRecord::Kind::kFrequency:
      writer->Freq(static_cast<uint8_t>(clock));
      break;
  }
}

void Part::Add(int db, const Entry& entry, const AccessRecord& access) {
  if (entry.is_string() && entry.form() == Entry::Form::kBlock) {
    StringBlock* block = entry.block();
    block->AddReference();
    const bool big = block->size >= kBigStringBytes;
    (big ? big_ : borrowed_)
        .push_back({db, entry.access(), entry.expiry_ms(), std::string(entry.key()), block});
    borrowed_bytes_ += block->size;
    keys_ += !big;
    return;
  }
  ++keys_;
  RdbWriter writer(&bytes_, &plain_);
  AppendRecordHead(db, entry.expiry_ms(), entry.access(), access, &db_, &writer);
  if (entry.is_string()) {
    writer.Type(RdbType::kString);
    writer.String(entry.key());
    if (entry.form() == Entry::Form::kInt) {
      writer.Integer(entry.integer());
    } else {
      writer.String(entry.text());
    }
    return;
  }
  const RdbType type = RdbTypeOf(entry.type(), entry.rep(), kRdbVersionMin);
  version_ = std::max(version_, RdbVersionOf(type));
  writer.Type(type);
  writer.String(entry.key());
  RdbSave(entry.type(), entry.rep(), type, &writer);
}

void Part::Seal(const AccessRecord& access, bool compress_strings) {
  for (const Borrowed& string : borrowed_) {
    RdbWriter writer(&bytes_, &plain_);
    AppendHead(string, access, &db_, &writer);
    writer.String(string.block->view());
    borrowed_bytes_ -= string.block->size;
    string.block->Release();
  }
  borrowed_.clear();
  if (compress_strings && !plain_.empty()) bytes_ = CompressStrings(bytes_, plain_);
  plain_ = {};
}

// All of a string's record but the value.
void Part::AppendHead(const Borrowed& string, const AccessRecord& access, int* db,
                      RdbWriter* writer) {
  AppendRecordHead(string.db, string.expiry_ms, string.access, access, db, writer);
  writer->Type(RdbType::kString);
  writer->String(string.key);
}

void Part::SendTo(PartReceiver* to, const PartWriting& writing) {
  Seal(writing.access, writing.compress_strings);
  if (keys_ > 0) to->Add(*this);
  while (!big_.empty()) {
    SendBig(big_.back(), to, writing);
    big_.back().block->Release();
    big_.pop_back();
  }
  *this = Part();
}

void Part::SendBig(const Borrowed& string, PartReceiver* to, const PartWriting& writing) {
  std::string piece;
  RdbWriter writer(&piece, false);
  int db = -1;
  AppendHead(string, writing.access, &db, &writer);
  const auto unwanted = [&] {
    return to->failed() || (writing.stopped != nullptr && writing.stopped());
  };
  RdbStringPieces pieces(string.block->view(), writing.compress_strings, unwanted);
  to->BeginRun();
  while (pieces.Next(&piece)) {
    // What is left out belongs to a file that nobody will use.
    if (unwanted()) break;
    to->AddToRun(piece);
    piece.clear();
  }
  to->EndRun(piece, kRdbVersionMin);
}

}  // namespace cairn
