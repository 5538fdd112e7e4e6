// SPDX-License-Identifier: BSD-3-Clause
//
// UndoLog: what the keys that a unit changes were before it: a copy of each entry, made before its
// first change. Units that hold the locks of the keys they declared keep one, because they may
// reach for another key in their middle (a script); Unit::Rollback puts everything back.
//
// Thread rule: its unit's thread; the copies belong to the log until they are taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "keyspace/entry.h"

namespace cairn {

class UndoLog {
 public:
  // Beyond these the scope All is cheaper than being able to go back.
  static constexpr size_t kImagesMax = 64;    // keys a unit
  static constexpr size_t kElementsMax = 64;  // of a collection that is no listpack
  static constexpr size_t kStringBytesMax = 4096;

  struct Image {
    int db;
    uint64_t hash;
    std::string key;         // of one that was absent
    Entry* entry = nullptr;  // the copy
  };

  UndoLog() = default;
  ~UndoLog() { Stop(); }
  UndoLog(const UndoLog&) = delete;
  UndoLog& operator=(const UndoLog&) = delete;

  bool on() const { return on_; }
  void Start() { on_ = true; }
  // Forgets everything.
  void Stop() {
    if (on_) Forget();
  }
  size_t size() const { return images_.size(); }
  // Remembers the key, of which `entry` is what it holds (nullptr: nothing), if it is met first.
  void Save(int db, uint64_t hash, std::string_view key, const Entry* entry);
  bool Has(int db, uint64_t hash, std::string_view key) const;
  // Stops, and gives what was remembered to the caller.
  std::vector<Image> Take();
  // Whether a copy of the entry costs little.
  static bool IsSmall(const Entry* entry);

 private:
  void Forget();

  bool on_ = false;
  std::vector<Image> images_;
};

}  // namespace cairn
