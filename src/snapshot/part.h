// SPDX-License-Identifier: BSD-3-Clause
//
// Part: a run of whole RDB records with a SELECTDB in front of the first key, so that parts may
// stand in a file in any order. Filled under shard locks, where nothing is compressed: strings
// worth compressing are noted, and strings of 16 KiB and more are only borrowed. SendTo, later and
// without a lock, writes these out. Those of 1 MiB and more never become part of the run: they are
// records of their own, sent in pieces. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keyspace/entry.h"
#include "rdb/writer.h"

namespace cairn {

// What of an entry's access clock a snapshot keeps, by the maxmemory policy.
struct AccessRecord {
  enum class Kind : uint8_t { kNone, kIdle, kFrequency };
  Kind kind = Kind::kNone;
  uint32_t lru_clock = 0;  // kIdle: seconds, modulo 2^24, at the instant of the snapshot
};

// What stands before the value of an entry's record: SELECTDB unless *db says that it is not needed
// (it then is `entry_db`), expiry, access clock; type and key are the caller's.
void AppendRecordHead(int entry_db, int64_t expiry_ms, uint32_t clock, const AccessRecord& access,
                      int* db, RdbWriter* writer);

class PartReceiver;

// What PartReceivers are given of a part.
struct PartWriting {
  AccessRecord access;
  bool compress_strings = false;  // LZF
  std::function<bool()> stopped;  // nothing more of it is wanted; may be empty
};

class Part {
 public:
  static constexpr size_t kBigStringBytes = 1 << 20;

  Part() = default;
  Part(Part&& other) noexcept { *this = std::move(other); }
  Part& operator=(Part&& other) noexcept;
  ~Part() { DropBorrowed(); }

  // Appends the record of an entry of database `db`.
  void Add(int db, const Entry& entry, const AccessRecord& access);
  // Appends the borrowed strings, and compresses (LZF) the noted ones if so asked.
  void Seal(const AccessRecord& access, bool compress_strings);
  // The whole part, sealed, and big strings behind it; it is empty then.
  void SendTo(PartReceiver* to, const PartWriting& writing);

  bool empty() const { return keys_ == 0 && big_.empty(); }
  // Of the run: big strings are not in it.
  uint64_t keys() const { return keys_; }
  // The records; complete after Seal.
  const std::string& bytes() const { return bytes_; }
  // Memory that the part holds, borrowed strings included.
  size_t memory() const { return bytes_.size() + borrowed_bytes_; }
  // The lowest RDB version whose readers know all values in it.
  int version() const { return version_; }

 private:
  struct Borrowed {
    int db;
    uint32_t access;
    int64_t expiry_ms;
    std::string key;
    StringBlock* block;
  };
  void DropBorrowed();
  static void AppendHead(const Borrowed& string, const AccessRecord& access, int* db,
                         RdbWriter* writer);
  static void SendBig(const Borrowed& string, PartReceiver* to, const PartWriting& writing);

  std::string bytes_;
  std::vector<PlainString> plain_;
  std::vector<Borrowed> borrowed_, big_;
  size_t borrowed_bytes_ = 0;
  int db_ = -1;
  uint64_t keys_ = 0;
  int version_ = kRdbVersionMin;
};

// Where sealed parts go. BeginRun, AddToRun, EndRun: one record in pieces, cut anywhere; nothing
// else gets between them. EndRun counts one key. Any thread.
class PartReceiver {
 public:
  virtual ~PartReceiver() = default;
  virtual void Add(const Part& part) = 0;
  virtual void BeginRun() = 0;
  virtual void AddToRun(std::string_view piece) = 0;
  virtual void EndRun(std::string_view piece, int version) = 0;
  // Nothing of it will be used.
  virtual bool failed() const = 0;
};

}  // namespace cairn
