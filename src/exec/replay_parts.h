// SPDX-License-Identifier: BSD-3-Clause
//
// What replay's threads hand to each other (replay.h has the picture): the bytes of a piece of the
// stream, the records found in it, and queues between the threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "exec/executor.h"
#include "journal/lsn.h"
#include "resp/request_parser.h"

namespace cairn {

// Who wrote the stream. Positions are LSNs in our journal and offsets in an AOF of Redis, where
// moreover lines that begin with # are notes, and a command that fails is passed over as Redis does.
enum class StreamKind : uint8_t { kJournal, kRedisAof };

// A record that several appliers must meet at, or a MULTI group: its commands are one unit.
struct ReplayUnit {
  std::vector<AppliedCommand> commands;
  std::deque<OwnedArgs> owned;       // of commands whose bytes came with an earlier piece
  std::atomic<uint32_t> missing{0};  // appliers that have not arrived yet
  std::atomic<uint32_t> done{0};
};

// One top-level record: a single command of one applier, or a unit.
struct ReplayEntry {
  AppliedCommand command;
  ReplayUnit* unit = nullptr;
  Lsn lsn = 0;
};

// What the records of one piece point into; lives until the last of them was applied.
struct ReplayBatch {
  std::string file;  // where it comes from, for error texts
  std::string bytes;
  RequestBatch requests;
  std::deque<OwnedArgs> owned;  // of requests that lay across pieces
  std::deque<ReplayUnit> units;
};

// An applier's share of a batch, in stream order.
struct ReplayJob {
  std::shared_ptr<ReplayBatch> batch;
  std::vector<ReplayEntry> entries;
};

// A bounded FIFO. Push waits while it is full, Pop while it is empty.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t items_max) : items_max_(items_max) {}

  // False: closed, the item is dropped.
  bool Push(T item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || items_.size() < items_max_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }
  // False: closed and empty.
  bool Pop(T* item) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return false;
    *item = std::move(items_.front());
    items_.pop_front();
    changed_.notify_all();
    return true;
  }
  void Close() {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  const size_t items_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

// The first failure by LSN, whoever meets it.
class ReplayFailure {
 public:
  // `unit`: what positions are called in texts.
  explicit ReplayFailure(const char* unit) : unit_(unit) {}

  bool any() const { return any_.load(std::memory_order_acquire); }
  void Note(Lsn lsn, const std::string& file, const std::string& what) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (any_.load(std::memory_order_relaxed) && lsn >= lsn_) return;
    lsn_ = lsn;
    text_ = Text(lsn, file, what);
    any_.store(true, std::memory_order_release);
  }
  // A command that failed where that is no reason to stop: counted, the first one's text is kept.
  void NoteRefused(Lsn lsn, const std::string& file, const std::string& what) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (refused_++ == 0 || lsn < refused_lsn_) {
      refused_lsn_ = lsn;
      refused_text_ = Text(lsn, file, what);
    }
  }
  std::string text() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }
  uint64_t refused(std::string* first) const {
    std::lock_guard<std::mutex> lock(mutex_);
    *first = refused_text_;
    return refused_;
  }
  const char* unit() const { return unit_; }

 private:
  std::string Text(Lsn lsn, const std::string& file, const std::string& what) const {
    return "Replaying " + file + " at " + unit_ + " " + std::to_string(lsn) + ": " + what;
  }

  const char* const unit_;
  mutable std::mutex mutex_;
  std::atomic<bool> any_{false};
  Lsn lsn_ = 0, refused_lsn_ = 0;
  uint64_t refused_ = 0;
  std::string text_, refused_text_;
};

}  // namespace cairn
