// SPDX-License-Identifier: BSD-3-Clause
#include "snapshot/part.h"

#include <algorithm>

#include "rdb/value.h"

namespace cairn {

Part& Part::operator=(Part&& other) noexcept {
  if (this == &other) return *this;
  DropBorrowed();
  bytes_ = std::exchange(other.bytes_, {});
  plain_ = std::exchange(other.plain_, {});
  borrowed_ = std::exchange(other.borrowed_, {});
  borrowed_bytes_ = std::exchange(other.borrowed_bytes_, 0);
  db_ = std::exchange(other.db_, -1);
  keys_ = std::exchange(other.keys_, 0);
  version_ = std::exchange(other.version_, kRdbVersionMin);
  return *this;
}

void Part::DropBorrowed() {
  for (Borrowed& string : borrowed_) string.block->Release();
  borrowed_.clear();
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
  ++keys_;
  if (entry.is_string() && entry.form() == Entry::Form::kBlock) {
    StringBlock* block = entry.block();
    block->AddReference();
    borrowed_.push_back({db, entry.access(), entry.expiry_ms(), std::string(entry.key()), block});
    borrowed_bytes_ += block->size;
    return;
  }
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
    AppendRecordHead(string.db, string.expiry_ms, string.access, access, &db_, &writer);
    writer.Type(RdbType::kString);
    writer.String(string.key);
    writer.String(string.block->view());
  }
  DropBorrowed();
  if (compress_strings && !plain_.empty()) bytes_ = CompressStrings(bytes_, plain_);
  plain_ = {};
}

}  // namespace cairn
