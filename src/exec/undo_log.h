// SPDX-License-Identifier: BSD-3-Clause
//
// UndoLog: what the keys that a unit changes were before it: an image of each entry, made before
// its first change. Two kinds of units keep one (Unit's part of it is in undo_log.cc):
//
//   of few locks   a script that holds the locks of its declared keys may reach for another key in
//                  its middle; then everything is put back, and it runs again under All. So each
//                  change has to be remembered: whoever runs it asks before (MayRemember).
//   killable       a script under All may be killed. What it changes is remembered while that costs
//                  next to nothing (HasCheapRoom); at the first change that does not, the log is
//                  given up, and the script cannot be killed any more.
//
// Thread rule: its unit's thread; the images belong to the log.
#pragma once

#include <array>
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
  static constexpr size_t kImagesMax = 64;  // keys a unit
  static constexpr size_t kStringBytesMax = 4096;
  static constexpr size_t kElementsMax = 64;                   // of a collection
  static constexpr size_t kObjectBytesMax = size_t{16} << 10;  // about
  // Of a unit that would like to be able to go back, but need not.
  static constexpr size_t kCheapImagesMax = 256;
  static constexpr size_t kCheapBytesMax = 1024;  // of a value; of a key

  struct Image {
    uint64_t hash;
    int db;
    bool absent;        // there was no such key
    bool told = false;  // somebody may watch it: he is told of the change when the log ends
    size_t at;          // in the bytes: the entry's image, or the absent key
    size_t key_bytes;
  };

  UndoLog() = default;
  ~UndoLog() { Stop(); }
  UndoLog(const UndoLog&) = delete;
  UndoLog& operator=(const UndoLog&) = delete;

  bool on() const { return on_; }
  bool killable() const { return killable_; }  // on, of the second kind
  void Start(bool killable) {
    on_ = true;
    killable_ = killable;
  }
  // Forgets everything.
  void Stop() {
    if (on_) Forget(/*drop=*/true);
  }
  // The same, after Take was called for each image.
  void StopTaken() { Forget(/*drop=*/false); }

  const std::vector<Image>& images() const { return images_; }
  // nullptr: the key has not been met.
  Image* Find(int db, uint64_t hash, std::string_view key);
  // Remembers a key that has not been met: what it holds, or (nullptr) nothing.
  void Add(int db, uint64_t hash, std::string_view key, const Entry* entry);
  std::string_view KeyOf(const Image& image) const;
  // What the key held, to be put back: the caller's from here on; nullptr: nothing.
  Entry* Take(const Image& image);

  // The key has changed, which those who watch it hear when the log ends.
  void TellLater(Image* image) { tells_ = image->told = true; }
  bool tells() const { return tells_; }

  // Whether an image of the entry (nullptr: of an absent key) costs little, and there is room.
  bool HasRoom(std::string_view key, const Entry* entry) const;
  bool HasCheapRoom(std::string_view key, const Entry* entry) const;

 private:
  void Forget(bool drop);

  bool on_ = false, killable_ = false;
  bool tells_ = false;  // some image is `told`
  std::vector<Image> images_;
  std::string bytes_;
  // The last image whose hash ends in these bits, counted from one; 0: there is none.
  std::array<uint32_t, 256> last_{};
};

}  // namespace cairn
