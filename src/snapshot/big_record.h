// SPDX-License-Identifier: BSD-3-Clause
//
// BigRecord: the record of a value that is too large to be serialised under one hold of its lock,
// in steps. While it is under way the value may be read, not changed: whoever is about to change it
// calls Finish first. Not for strings, whose bytes can be borrowed (snapshot/part.h).
//
// Thread rule: everything under the lock of the entry's shard (or for an entry that nobody else
// reaches), but for IsBig's bounds there is no state shared with others.
#pragma once

#include <optional>
#include <string>

#include "keyspace/entry.h"
#include "rdb/step_saver.h"
#include "snapshot/part.h"

namespace cairn {

class BigRecord {
 public:
  // Of one hold: 8 KiB of small elements take some 50 us when each misses the cache.
  static constexpr size_t kBytesPerStep = 8 << 10;

  // Whether its record is long: by the number of elements or, of fewer ones, an estimate of bytes.
  // Also of strings.
  static bool IsBig(const Entry& entry);

  void Begin(int db, const Entry& entry, const AccessRecord& access);
  // False: that was all.
  bool Step() {
    if (!saver_->Step(kBytesPerStep)) saver_.reset();
    return saver_.has_value();
  }
  void Finish() {
    while (saver_.has_value() && Step()) {
    }
  }
  // Gives the rest up.
  void Drop() { saver_.reset(); }
  size_t bytes() const { return bytes_.size(); }
  // What was serialised since the last call.
  void TakeInto(std::string* piece) {
    piece->clear();
    piece->swap(bytes_);
  }
  int version() const { return version_; }

 private:
  std::string bytes_;
  std::optional<RdbStepSaver> saver_;
  int version_ = kRdbVersionMin;
};

}  // namespace cairn
