// SPDX-License-Identifier: BSD-3-Clause
//
// What replies are written into and a connection sends from: a FIFO of chunks.
//
//   head                                   tail
//   [16 KiB chunk] -> [borrowed block] -> [small chunk ...write_ | free ...limit_]
//    ^ begin: sent so far
//
// The hot path is Reserve/Advance or Append: one comparison and a memcpy. Chunks of 16 KiB come
// from a pool that the buffers of one worker share; a bigger piece gets a chunk of its own; a
// block of 16 KiB or more may be borrowed (pointer, length, release callback), so that it leaves
// by writev uncopied. An empty buffer owns no memory.
//
// Positions are counted from the buffer's birth: byte number `position` is the position-th byte
// ever appended. MarkHold(from, lsn) says that bytes from `from` on may leave only when the log
// is durable up to lsn; nothing passes a held byte (FIFO). The marks are a queue of (position,
// lsn), both strictly rising: a mark behind one that waits for as much or more adds nothing.
// Without holds that queue stays empty and costs one test a flush.
//
// Thread rule: one thread at a time; the pool belongs to the same thread. A chunk may be freed
// through another pool than it came from, so a finished buffer may travel to another worker
// (Splice); release callbacks of borrowed blocks must therefore be callable on any thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string_view>

#include "base/check.h"

namespace cairn {

// Free 16 KiB blocks of one worker. The last one given back is the next one taken: it is warm.
class ChunkPool {
 public:
  static constexpr size_t kChunkBytes = 16 * 1024;
  static constexpr size_t kFreeChunksMax = 64;  // what is given back beyond this is freed

  ChunkPool() = default;
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  void* Take();
  void Give(void* block);

 private:
  struct Free {
    Free* next;
  };
  Free* free_ = nullptr;
  size_t count_ = 0;
};

class OutputBuffer {
 public:
  // From this size on a block is worth borrowing instead of copying.
  static constexpr size_t kBorrowBytesMin = 16 * 1024;
  using Release = void (*)(void* owner);

  // Without a pool, chunks come from the heap.
  explicit OutputBuffer(ChunkPool* pool = nullptr) : pool_(pool) {}
  ~OutputBuffer() { Clear(); }
  OutputBuffer(const OutputBuffer&) = delete;
  OutputBuffer& operator=(const OutputBuffer&) = delete;

  // Room for `n` bytes in one piece; what was really written is then told to Advance. No other
  // call may stand between the two.
  char* Reserve(size_t n) {
    if (static_cast<size_t>(limit_ - write_) >= n) [[likely]] return write_;
    return ReserveSlow(n);
  }
  void Advance(size_t n) {
    DCHECK(n <= static_cast<size_t>(limit_ - write_));
    write_ += n;
  }
  void Append(std::string_view bytes) {
    if (static_cast<size_t>(limit_ - write_) >= bytes.size()) [[likely]] {
      if (!bytes.empty()) memcpy(write_, bytes.data(), bytes.size());
      write_ += bytes.size();
    } else {
      AppendSlow(bytes);
    }
  }
  // Appends the block without copying it. `release(owner)` is called once, when its last byte was
  // consumed or the buffer is cleared; until then the block must not change.
  void AppendBorrowed(std::string_view block, Release release, void* owner);
  // Gives an empty buffer a chunk of 1 KiB to begin with: for output that many buffers hold at
  // once.
  void StartSmall();
  // Moves everything in `other` to the end of this buffer and leaves `other` empty. Small
  // contents are copied, big ones relinked. Holds of `other` come along.
  void Splice(OutputBuffer* other);

  size_t size() const { return settled_ + static_cast<size_t>(write_ - counted_); }
  bool empty() const { return size() == 0; }
  // Position behind the last appended byte, and of the first byte not yet consumed.
  uint64_t end_position() const { return consumed_ + size(); }
  uint64_t begin_position() const { return consumed_; }
  // Memory held in chunks (not in borrowed blocks).
  size_t memory_bytes() const { return memory_bytes_; }

  // Forgets what was appended from `position` on (CLIENT REPLY OFF, a reply that is replaced).
  // O(chunks). Holds on those bytes go too.
  void TruncateTo(uint64_t position);
  void Clear();

  // A gap for a header whose text is known only after what follows it (deferred array lengths).
  // Gaps may nest and are filled in reverse order, before anything is consumed. The header is at
  // most kDeferredBytes long. Filling costs one memmove of at most one chunk.
  static constexpr size_t kDeferredBytes = 24;
  struct Chunk;
  struct Deferred {
    Chunk* chunk;
    size_t offset;
  };
  Deferred StartDeferred();
  void FinishDeferred(Deferred gap, std::string_view header);

  // Bytes from position `from` (>= begin_position) to the end leave only when durable >= lsn.
  void MarkHold(uint64_t from, uint64_t lsn);
  bool has_holds() const { return holds_ != nullptr && !holds_->empty(); }
  // The greatest LSN that anything in here waits for; 0 without holds.
  uint64_t max_hold() const { return has_holds() ? holds_->back().lsn : 0; }
  // How many bytes, from the first on, may leave when the log is durable up to `durable`. Marks
  // that are satisfied are dropped.
  size_t Sendable(uint64_t durable) {
    if (!has_holds()) [[likely]] return size();
    return SendableSlow(durable);
  }

  // Fills up to `max` iovecs with the first bytes, at most `limit` of them; returns the count.
  int Gather(struct iovec* vectors, int max, size_t limit);
  // Drops the first n <= size() bytes (they were sent).
  void Consume(size_t n);

  void CheckInvariants() const;

 private:
  struct Hold {
    uint64_t position;
    uint64_t lsn;
  };

  char* ReserveSlow(size_t n);
  void AppendSlow(std::string_view bytes);
  size_t SendableSlow(uint64_t durable);
  void Settle();
  void TakeChunks(OutputBuffer* other);
  void Link(Chunk* chunk);
  void StartChunk(void* block, size_t bytes);
  void Free(Chunk* chunk);

  char* write_ = nullptr;    // next free byte of the tail chunk
  char* limit_ = nullptr;    // end of the tail chunk
  char* counted_ = nullptr;  // bytes of the tail before this are in settled_
  size_t settled_ = 0;
  uint64_t consumed_ = 0;
  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  ChunkPool* pool_;
  size_t memory_bytes_ = 0;
  std::unique_ptr<std::deque<Hold>> holds_;
};

}  // namespace cairn
