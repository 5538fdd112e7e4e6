// SPDX-License-Identifier: BSD-3-Clause
//
// JournalBuffer: the part of the stream that is in memory, and how threads append to it.
//
//                    released     written      complete       tail
//                       |            |            |             |
//   ... on disk ........[  kept      |  to write  | being copied|  free ...
//                       `------------ 1 MiB chunks, indexed by LSN ------'
//
// An append has two halves. Reserve, called under shard locks, takes the bytes [start, end) with
// one compare-and-swap on {lsn:52, database:12}; if the database differs from the previous
// record's it takes room for a SELECT too. Publish, called after unlocking, copies. Nothing here
// blocks and nothing fails; keeping the buffer small is the admission gate's work (journal.h).
//
// How the writer knows which bytes are there: a thread stores the tail it saw in its slot before
// its compare-and-swap and sets the slot idle after copying. So everything below the least of
// tail and all busy slots is copied: O(threads), no flag a record. A slot's word and the tail are
// always record ends, hence so is what Complete returns. (Why acquire and release suffice: the
// writer's load of the tail synchronises with every compare-and-swap before it, all of them
// being in one release sequence, so it sees each slot's store that preceded them, or a later one.)
//
// Where there are many cores the line of the tail is what all writes wait for: each Reserve has it
// brought from the core that had it last. So where CPUs form groups (base/cpu_groups.h) those who
// come at the same time take room together. Each puts itself on its group's list; who finds that
// empty asks for the line, takes the list when the line is there, and makes one compare-and-swap
// for all who are on it by then (flat combining: Hendler, Incze, Shavit, Tzafrir, 2010). Instead of
// the tail, which is not to be looked at, a thread that joins stores in its slot what its group saw
// of the tail the last time, or the written horizon if that is higher: whatever it gets lies above.
// Then what it got is put there. (The writer sees the slots of all of them: joining releases, taking
// the list acquires, and so on as above.)
//
// So that blocks can end at record ends without parsing, the thread whose record is the first to
// end in a 64 KiB line notes that end, with the database there, in the line's boundary word.
//
// Thread rule: Reserve, Publish and TakeNews from the thread that owns the slot. CopyOut, Complete
// and tail from any thread. The rest from the writer thread, or with the journal's mutex held
// (Release, Reset).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cpu_groups.h"
#include "journal/format.h"
#include "journal/lsn.h"

namespace cairn {

constexpr unsigned kJournalSlots = 256;
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kLineBytes = size_t{1} << 16;  // of the boundary words

// A record end and the database the stream is in there, packed into one word.
struct StreamPoint {
  Lsn lsn = 0;
  uint32_t database = kNoDatabase;

  uint64_t Pack() const { return lsn << 12 | (database >= kPackedNone ? kPackedNone : database); }
  static StreamPoint Unpack(uint64_t word) {
    uint32_t database = word & 0xfff;
    return {word >> 12, database == kPackedNone ? kNoDatabase : database};
  }
  // Databases from here on are not remembered: each of their records brings its SELECT.
  static constexpr uint32_t kPackedNone = 0xfff;
};

// What Reserve returned and Publish needs. The record itself is [start, end).
struct Reservation {
  Lsn start = 0;
  Lsn end = 0;
  unsigned slot = 0;
  uint32_t database = 0;
  uint32_t prefix_bytes = 0;  // of SELECT, in front of the payload
};

class JournalBuffer {
 public:
  // With no groups each thread takes room for itself.
  explicit JournalBuffer(CpuGroups cpu_groups = {});
  ~JournalBuffer();
  JournalBuffer(const JournalBuffer&) = delete;
  JournalBuffer& operator=(const JournalBuffer&) = delete;

  // Empties the buffer and continues at `point`. Nobody may be appending.
  void Reset(StreamPoint point);

  Reservation Reserve(unsigned slot, uint32_t database, size_t payload_bytes);
  // As Reserve, for bytes that bring their own SELECTs and leave the stream in `database`.
  Reservation ReserveRaw(unsigned slot, size_t bytes, uint32_t database_after);
  // Where the slot's newest record ends, once: 0 if nothing was reserved since the last call.
  Lsn TakeNews(unsigned slot) { return std::exchange(slots_[slot].news, 0); }
  // `payload` has the length that was reserved.
  void Publish(const Reservation& reservation, std::string_view payload);
  // The same of a payload in pieces, one behind the other.
  void Publish(const Reservation& reservation, std::span<const std::string_view> pieces);
  // The next record starts with a SELECT, whatever its database.
  void ForgetDatabase();
  // The writer has taken all bytes below `point`, which Complete() has returned.
  void NoteWritten(StreamPoint point) { written_.store(point.Pack(), std::memory_order_release); }

  StreamPoint tail() const { return StreamPoint::Unpack(tail_.load(std::memory_order_acquire)); }
  // All bytes below it are copied; a record end, never below what NoteWritten said.
  StreamPoint Complete() const;
  // Heap bytes of the chunks, in use or kept for later.
  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  Lsn released() const { return released_.load(std::memory_order_acquire); }

  // The last record end known in (from, to], if any. Both below Complete(), and above released().
  bool LastBoundary(Lsn from, Lsn to, StreamPoint* point) const;
  // The first record end known in (from, to].
  bool FirstBoundary(Lsn from, Lsn to, StreamPoint* point) const;
  // Bytes [from, to), at most one block long: in place, or through `scratch` if they lie in two
  // chunks. Valid until released.
  std::string_view View(Lsn from, Lsn to, std::string* scratch) const;
  // Gives chunks that end at or below `lsn` back. Never past Complete().
  void Release(Lsn lsn);
  // Copies up to `length` bytes from `from` on, as far as they are complete; 0 if there are none
  // or they are already released.
  size_t CopyOut(Lsn from, char* buffer, size_t length) const;

 private:
  friend class SlowJoiner;  // a test's, which stops between the parts of TakeTogether
  struct Chunk;
  struct alignas(64) Slot {
    std::atomic<uint64_t> word{kIdle};
    unsigned outstanding = 0;  // reservations not yet published; the owner's alone
    Lsn news = 0;              // likewise, see TakeNews
    // What the owner wants of its group, and what it was given.
    uint32_t database = 0, prefix_bytes = 0;
    size_t payload_bytes = 0;
    uint64_t begin = 0;  // as word
    Slot* next = nullptr;  // on the list
    std::atomic<bool> given{false};
  };
  struct alignas(64) Group {
    std::atomic<Slot*> waiting{nullptr};
    std::atomic<uint64_t> seen{0};  // the tail behind what one of the group took last
  };
  static constexpr uint64_t kIdle = ~uint64_t{0};
  // 64 GiB of unwritten stream; the admission gate closes at a thousandth of it.
  static constexpr size_t kTableChunks = 65536;
  static constexpr size_t kPoolChunks = 64;

  Reservation Take(unsigned slot, uint32_t select_database, uint32_t database_after, size_t bytes,
                   bool raw);
  Reservation TakeTogether(unsigned slot, uint32_t database, size_t payload_bytes);
  bool Join(Group* group, unsigned slot, uint32_t database, size_t payload_bytes);
  void TakeForAll(Group* group);
  Reservation AwaitRoom(unsigned slot);
  Slot& Use(unsigned slot);
  uint64_t LeastInUse() const;
  Chunk* ChunkAt(Lsn lsn);
  Chunk* AddChunk(Lsn lsn);
  Chunk* FindChunk(Lsn lsn) const;
  Chunk* NewChunk();
  void Recycle(Chunk* chunk);
  // The parts of Publish before and behind the payload; the first returns where that begins.
  Lsn BeginPublish(const Reservation& reservation);
  void EndPublish(const Reservation& reservation);
  void CopyIn(Lsn at, const char* bytes, size_t length);
  void CopyAcross(Lsn at, const char* bytes, size_t length);

  alignas(64) std::atomic<uint64_t> tail_{0};
  alignas(64) std::atomic<Lsn> released_{0};
  std::atomic<uint64_t> written_{0};  // a StreamPoint, packed
  const CpuGroups cpu_groups_;
  std::unique_ptr<Group[]> groups_;  // none: each for itself
  std::unique_ptr<Slot[]> slots_;
  std::atomic<unsigned> slots_used_{0};  // one more than the highest slot ever used
  std::unique_ptr<std::atomic<Chunk*>[]> table_;
  std::unique_ptr<std::atomic<Chunk*>[]> pool_;
  std::atomic<size_t> memory_bytes_{0};
  mutable std::mutex release_mutex_;  // Release against CopyOut
};

}  // namespace cairn
