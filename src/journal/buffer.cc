// SPDX-License-Identifier: BSD-3-Clause
#include "journal/buffer.h"

#include <sched.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "base/memory.h"
#include "base/prefetch.h"

namespace cairn {

// Linear in memory: data first, then one boundary word a line. 0 = no record ends there yet.
struct JournalBuffer::Chunk {
  char data[kChunkBytes];
  std::atomic<uint64_t> boundaries[kChunkBytes / kLineBytes];
};

namespace {

// The line in which a record end counts: an end on the border belongs to the bytes before it.
constexpr Lsn LineOfEnd(Lsn end) { return (end - 1) / kLineBytes; }
constexpr size_t InChunk(Lsn lsn) { return lsn & (kChunkBytes - 1); }

// Of the SELECT that a record in `database` needs at `now`.
uint32_t SelectBytesAt(StreamPoint now, uint32_t database) {
  const bool select = now.database != database || now.database == kNoDatabase;
  return select ? static_cast<uint32_t>(SelectBytes(database)) : 0;
}

// Turns of a loop before a thread that waits for another gives its core away: that one may need it.
constexpr int kSpins = 200;

}  // namespace

JournalBuffer::JournalBuffer(CpuGroups cpu_groups)
    : cpu_groups_(std::move(cpu_groups)),
      groups_(cpu_groups_.count() > 0 ? std::make_unique<Group[]>(cpu_groups_.count()) : nullptr),
      slots_(std::make_unique<Slot[]>(kJournalSlots)),
      table_(std::make_unique<std::atomic<Chunk*>[]>(kTableChunks)),
      pool_(std::make_unique<std::atomic<Chunk*>[]>(kPoolChunks)) {
  Reset({0, kNoDatabase});
}

JournalBuffer::~JournalBuffer() {
  for (size_t i = 0; i < kTableChunks; ++i) delete table_[i].load();
  for (size_t i = 0; i < kPoolChunks; ++i) delete pool_[i].load();
}

void JournalBuffer::Reset(StreamPoint point) {
  std::lock_guard<std::mutex> guard(release_mutex_);
  for (unsigned i = 0; i < kJournalSlots; ++i) CHECK(slots_[i].word.load() == kIdle);
  for (size_t i = 0; i < kTableChunks; ++i)
    if (Chunk* chunk = table_[i].exchange(nullptr)) Recycle(chunk);
  tail_.store(point.Pack());
  written_.store(point.Pack());
  for (unsigned i = 0; i < cpu_groups_.count(); ++i) groups_[i].seen.store(point.Pack());
  released_.store(point.lsn);
}

JournalBuffer::Slot& JournalBuffer::Use(unsigned slot) {
  DCHECK(slot < kJournalSlots);
  if (slot >= slots_used_.load(std::memory_order_relaxed)) [[unlikely]] {
    unsigned used = slots_used_.load();
    while (used <= slot && !slots_used_.compare_exchange_weak(used, slot + 1)) {
    }
  }
  return slots_[slot];
}

Reservation JournalBuffer::Take(unsigned slot, uint32_t select_database, uint32_t database_after,
                                size_t bytes, bool raw) {
  Slot& mine = Use(slot);
  uint64_t word = tail_.load(std::memory_order_relaxed);
  // With a reservation still open the slot keeps its older, lower word.
  if (mine.outstanding++ == 0) mine.word.store(word, std::memory_order_release);
  Reservation r;
  r.slot = slot;
  r.database = database_after;
  do {
    const StreamPoint now = StreamPoint::Unpack(word);
    r.prefix_bytes = raw ? 0 : SelectBytesAt(now, select_database);
    r.start = now.lsn;
    r.end = now.lsn + r.prefix_bytes + bytes;
  } while (!tail_.compare_exchange_weak(word, StreamPoint{r.end, database_after}.Pack(),
                                        std::memory_order_acq_rel, std::memory_order_relaxed));
  mine.news = r.end;
  return r;
}

Reservation JournalBuffer::TakeTogether(unsigned slot, uint32_t database, size_t payload_bytes) {
  Group& group = groups_[cpu_groups_.OfThisCpu()];
  if (Join(&group, slot, database, payload_bytes)) TakeForAll(&group);
  return AwaitRoom(slot);
}

// True for who is the first on the group's list.
bool JournalBuffer::Join(Group* group, unsigned slot, uint32_t database, size_t payload_bytes) {
  Slot& mine = Use(slot);
  // Both are at or below what the tail is when the list is taken.
  if (mine.outstanding++ == 0)
    mine.word.store(std::max(group->seen.load(std::memory_order_acquire),
                             written_.load(std::memory_order_acquire)),
                    std::memory_order_release);
  mine.database = database;
  mine.payload_bytes = payload_bytes;
  mine.given.store(false, std::memory_order_relaxed);
  Slot* first = group->waiting.load(std::memory_order_relaxed);
  do {
    mine.next = first;
  } while (!group->waiting.compare_exchange_weak(first, &mine, std::memory_order_release,
                                                 std::memory_order_relaxed));
  return first == nullptr;
}

// By whoever is the first on the group's list: all on it wait for this thread.
void JournalBuffer::TakeForAll(Group* group) {
  PrefetchForWriting(&tail_);
  uint64_t word = tail_.load(std::memory_order_relaxed);  // others join until the line is here
  Slot* const all = group->waiting.exchange(nullptr, std::memory_order_acquire);
  StreamPoint end;
  do {
    end = StreamPoint::Unpack(word);
    for (Slot* one = all; one != nullptr; one = one->next) {
      one->begin = end.Pack();
      one->prefix_bytes = SelectBytesAt(end, one->database);
      const Lsn next = end.lsn + one->prefix_bytes + one->payload_bytes;
      end = StreamPoint::Unpack(StreamPoint{next, one->database}.Pack());
    }
  } while (!tail_.compare_exchange_weak(word, end.Pack(), std::memory_order_acq_rel,
                                        std::memory_order_relaxed));
  group->seen.store(end.Pack(), std::memory_order_release);
  for (Slot *one = all, *next; one != nullptr; one = next) {
    next = one->next;  // once it was given, `one` is its owner's again
    // One with an older reservation still open keeps that one's word.
    if (one->outstanding == 1) one->word.store(one->begin, std::memory_order_release);
    one->given.store(true, std::memory_order_release);
  }
}

// By each who has joined: what the first one took for it.
Reservation JournalBuffer::AwaitRoom(unsigned slot) {
  Slot& mine = slots_[slot];
  for (int spins = 0; !mine.given.load(std::memory_order_acquire); ++spins) {
    if (spins < kSpins) {
      __builtin_ia32_pause();
    } else {
      sched_yield();
    }
  }
  Reservation r;
  r.slot = slot;
  r.database = mine.database;
  r.prefix_bytes = mine.prefix_bytes;
  r.start = StreamPoint::Unpack(mine.begin).lsn;
  mine.news = r.end = r.start + r.prefix_bytes + mine.payload_bytes;
  return r;
}

Reservation JournalBuffer::Reserve(unsigned slot, uint32_t database, size_t payload_bytes) {
  if (groups_ != nullptr) return TakeTogether(slot, database, payload_bytes);
  return Take(slot, database, database, payload_bytes, false);
}

Reservation JournalBuffer::ReserveRaw(unsigned slot, size_t bytes, uint32_t database_after) {
  return Take(slot, kNoDatabase, database_after, bytes, true);
}

inline JournalBuffer::Chunk* JournalBuffer::FindChunk(Lsn lsn) const {
  return table_[lsn / kChunkBytes % kTableChunks].load(std::memory_order_acquire);
}

inline JournalBuffer::Chunk* JournalBuffer::ChunkAt(Lsn lsn) {
  Chunk* chunk = FindChunk(lsn);
  return chunk != nullptr ? chunk : AddChunk(lsn);
}

[[gnu::noinline]] JournalBuffer::Chunk* JournalBuffer::AddChunk(Lsn lsn) {
  std::atomic<Chunk*>& entry = table_[lsn / kChunkBytes % kTableChunks];
  Chunk *chunk = nullptr, *fresh = NewChunk();
  if (entry.compare_exchange_strong(chunk, fresh, std::memory_order_acq_rel)) return fresh;
  Recycle(fresh);
  return chunk;
}

inline void JournalBuffer::CopyIn(Lsn at, const char* bytes, size_t length) {
  if (InChunk(at) + length > kChunkBytes) [[unlikely]]
    return CopyAcross(at, bytes, length);
  memcpy(ChunkAt(at)->data + InChunk(at), bytes, length);
}

[[gnu::noinline]] void JournalBuffer::CopyAcross(Lsn at, const char* bytes, size_t length) {
  while (length > 0) {
    const size_t n = std::min(length, kChunkBytes - InChunk(at));
    memcpy(ChunkAt(at)->data + InChunk(at), bytes, n);
    at += n;
    bytes += n;
    length -= n;
  }
}

inline Lsn JournalBuffer::BeginPublish(const Reservation& r) {
  if (r.prefix_bytes > 0) {
    char select[kSelectBytesMax];
    EncodeSelect(select, r.database);
    CopyIn(r.start, select, r.prefix_bytes);
  }
  return r.start + r.prefix_bytes;
}

void JournalBuffer::Publish(const Reservation& r, std::string_view payload) {
  DCHECK(r.end - r.start == r.prefix_bytes + payload.size());
  CopyIn(BeginPublish(r), payload.data(), payload.size());
  EndPublish(r);
}

void JournalBuffer::Publish(const Reservation& r, std::span<const std::string_view> pieces) {
  Lsn at = BeginPublish(r);
  for (std::string_view piece : pieces) {
    CopyIn(at, piece.data(), piece.size());
    at += piece.size();
  }
  CHECK(at == r.end);
  EndPublish(r);
}

inline void JournalBuffer::EndPublish(const Reservation& r) {
  if (r.end > r.start && (r.start == 0 || LineOfEnd(r.start) != LineOfEnd(r.end))) {
    Chunk* chunk = ChunkAt(r.end - 1);
    chunk->boundaries[InChunk(r.end - 1) / kLineBytes].store(
        StreamPoint{r.end, r.database}.Pack(), std::memory_order_relaxed);
  }
  Slot& mine = slots_[r.slot];
  DCHECK(mine.outstanding > 0);
  if (--mine.outstanding == 0) mine.word.store(kIdle, std::memory_order_release);
}

void JournalBuffer::ForgetDatabase() {
  uint64_t word = tail_.load(std::memory_order_relaxed);
  while (!tail_.compare_exchange_weak(word, word | StreamPoint::kPackedNone,
                                      std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
}

// The least of the tail and all busy slots.
uint64_t JournalBuffer::LeastInUse() const {
  uint64_t least = tail_.load(std::memory_order_acquire);
  const unsigned used = slots_used_.load(std::memory_order_acquire);
  for (unsigned i = 0; i < used; ++i) {
    uint64_t word = slots_[i].word.load(std::memory_order_acquire);
    // kIdle is the greatest word there is; of equal LSNs either database will do.
    if (word < least) least = word;
  }
  return least;
}

StreamPoint JournalBuffer::Complete() const {
  // A slot may have an older horizon: its owner has just joined its group.
  const uint64_t written = written_.load(std::memory_order_acquire);
  return StreamPoint::Unpack(std::max(LeastInUse(), written));
}

JournalBuffer::Chunk* JournalBuffer::NewChunk() {
  Chunk* chunk = nullptr;
  for (size_t i = 0; i < kPoolChunks && chunk == nullptr; ++i)
    if (pool_[i].load(std::memory_order_relaxed) != nullptr)
      chunk = pool_[i].exchange(nullptr, std::memory_order_acquire);
  if (chunk == nullptr) {
    chunk = new Chunk;  // not cleared: every byte is written before it is read
    memory_bytes_.fetch_add(AllocatedBytes(chunk), std::memory_order_relaxed);
  }
  for (auto& boundary : chunk->boundaries) boundary.store(0, std::memory_order_relaxed);
  return chunk;
}

void JournalBuffer::Recycle(Chunk* chunk) {
  for (size_t i = 0; i < kPoolChunks; ++i) {
    Chunk* empty = nullptr;
    if (pool_[i].load(std::memory_order_relaxed) == nullptr &&
        pool_[i].compare_exchange_strong(empty, chunk, std::memory_order_release))
      return;
  }
  memory_bytes_.fetch_sub(AllocatedBytes(chunk), std::memory_order_relaxed);
  delete chunk;
}

bool JournalBuffer::LastBoundary(Lsn from, Lsn to, StreamPoint* point) const {
  if (to <= from) return false;
  // A line's word is its first record end, so one in the line of `to` may still lie above it.
  for (Lsn line = LineOfEnd(to);; --line) {
    const Chunk* chunk = FindChunk(line * kLineBytes);
    uint64_t word = chunk->boundaries[line % (kChunkBytes / kLineBytes)].load(
        std::memory_order_relaxed);
    *point = StreamPoint::Unpack(word);
    if (word != 0 && point->lsn > from && point->lsn <= to) return true;
    if (line == from / kLineBytes) return false;
  }
}

bool JournalBuffer::FirstBoundary(Lsn from, Lsn to, StreamPoint* point) const {
  for (Lsn line = from / kLineBytes; to > from && line <= LineOfEnd(to); ++line) {
    const Chunk* chunk = FindChunk(line * kLineBytes);
    uint64_t word = chunk->boundaries[line % (kChunkBytes / kLineBytes)].load(
        std::memory_order_relaxed);
    *point = StreamPoint::Unpack(word);
    if (word != 0 && point->lsn > from && point->lsn <= to) return true;
  }
  return false;
}

std::string_view JournalBuffer::View(Lsn from, Lsn to, std::string* scratch) const {
  const size_t length = to - from;
  if (from / kChunkBytes == (to - 1) / kChunkBytes)
    return {FindChunk(from)->data + InChunk(from), length};
  CHECK(length <= kChunkBytes);
  const size_t first = kChunkBytes - InChunk(from);
  scratch->assign(FindChunk(from)->data + InChunk(from), first);
  scratch->append(FindChunk(from + first)->data, length - first);
  return *scratch;
}

void JournalBuffer::Release(Lsn lsn) {
  const Lsn from = released_.load(std::memory_order_relaxed);
  lsn = std::min(lsn, StreamPoint::Unpack(LeastInUse()).lsn);
  if (lsn / kChunkBytes <= from / kChunkBytes) return;
  std::lock_guard<std::mutex> guard(release_mutex_);
  for (Lsn i = from / kChunkBytes; i < lsn / kChunkBytes; ++i)
    if (Chunk* chunk = table_[i % kTableChunks].exchange(nullptr)) Recycle(chunk);
  released_.store(lsn / kChunkBytes * kChunkBytes, std::memory_order_release);
}

size_t JournalBuffer::CopyOut(Lsn from, char* buffer, size_t length) const {
  const Lsn complete = StreamPoint::Unpack(LeastInUse()).lsn;
  std::lock_guard<std::mutex> guard(release_mutex_);
  if (from < released_.load(std::memory_order_relaxed) || from >= complete) return 0;
  length = std::min<uint64_t>(length, complete - from);
  for (size_t done = 0; done < length;) {
    const Lsn at = from + done;
    const size_t n = std::min(length - done, kChunkBytes - InChunk(at));
    memcpy(buffer + done, FindChunk(at)->data + InChunk(at), n);
    done += n;
  }
  return length;
}

}  // namespace cairn
