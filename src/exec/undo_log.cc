// SPDX-License-Identifier: BSD-3-Clause
//
// The log, and how a unit goes back by it.
#include "exec/undo_log.h"

#include "exec/engine.h"
#include "exec/unit.h"
#include "keyspace/entry_image.h"
#include "keyspace/object_ops.h"

namespace cairn {
namespace {

// All there are: one may be large.
constexpr size_t kSampledElements = UndoLog::kElementsMax;

bool IsSmall(const Entry* entry, size_t string_bytes_max, size_t object_bytes_max) {
  if (entry == nullptr) return true;
  if (!entry->is_string())
    return ObjectFreeEffort(entry->type(), entry->rep()) <= UndoLog::kElementsMax &&
           ObjectMemory(entry->type(), entry->rep(), kSampledElements) <= object_bytes_max;
  if (entry->form() == Entry::Form::kInt) return true;
  return entry->form() == Entry::Form::kEmbedded && entry->text().size() <= string_bytes_max;
}

}  // namespace

std::string_view UndoLog::KeyOf(const Image& image) const {
  const char* at = bytes_.data() + image.at;
  return image.absent ? std::string_view(at, image.key_bytes) : ViewImage(at)->key();
}

UndoLog::Image* UndoLog::Find(int db, uint64_t hash, std::string_view key) {
  for (size_t i = last_[hash & 0xff]; i-- > 0;) {
    Image& image = images_[i];
    if (image.hash == hash && image.db == db && KeyOf(image) == key) return &image;
  }
  return nullptr;
}

void UndoLog::Add(int db, uint64_t hash, std::string_view key, const Entry* entry) {
  images_.push_back({hash, db, entry == nullptr, false, bytes_.size(), key.size()});
  last_[hash & 0xff] = static_cast<uint32_t>(images_.size());
  if (entry != nullptr) {
    AppendImage(*entry, &bytes_);
  } else {
    bytes_.append(key);
  }
}

Entry* UndoLog::Take(const Image& image) {
  return image.absent ? nullptr : EntryOfImage(bytes_.data() + image.at);
}

bool UndoLog::HasRoom(std::string_view key, const Entry* entry) const {
  return images_.size() < kImagesMax && key.size() <= kStringBytesMax &&
         IsSmall(entry, kStringBytesMax, kObjectBytesMax);
}

bool UndoLog::HasCheapRoom(std::string_view key, const Entry* entry) const {
  return images_.size() < kCheapImagesMax && key.size() <= kCheapBytesMax &&
         IsSmall(entry, kCheapBytesMax, kCheapBytesMax);
}

void UndoLog::Forget(bool drop) {
  constexpr size_t kKeptBytes = 64 << 10;
  on_ = killable_ = tells_ = false;
  for (const Image& image : images_) {
    last_[image.hash & 0xff] = 0;
    if (drop && !image.absent) DropImage(bytes_.data() + image.at);
  }
  images_.clear();
  bytes_.clear();
  if (bytes_.capacity() > kKeptBytes) [[unlikely]]
    bytes_.shrink_to_fit();
}

// -- what a unit does with it --

Entry* Unit::FindRaw(int db, std::string_view key, uint64_t hash) {
  KeyTable* table = keyspace().PeekTable(ShardOf(hash), db);
  return table == nullptr
             ? nullptr
             : table->entries.Find(hash, [key](const Entry* e) { return e->KeyIs(key); });
}

bool Unit::MayRemember(int db, std::string_view key, uint64_t hash) {
  return undo_.Find(db, hash, key) != nullptr || undo_.HasRoom(key, FindRaw(db, key, hash));
}

bool Unit::IsDue(int db, std::string_view key, uint64_t hash) {
  const Entry* entry = FindRaw(db, key, hash);
  return entry != nullptr && IsExpired(entry);
}

void Unit::Remember(int db, std::string_view key, uint64_t hash, const Entry* entry) {
  if (putting_back_ || undo_.Find(db, hash, key) != nullptr) return;
  if (undo_.killable() && !undo_.HasCheapRoom(key, entry) && GiveUpSavepoint()) return;
  undo_.Add(db, hash, key, entry);
}

// Those who watch the key are told of a change only when it cannot be undone any more.
bool Unit::TellsWatchersLater(int db, std::string_view key, uint64_t hash) {
  UndoLog::Image* image = undo_.Find(db, hash, key);
  if (image == nullptr) return false;
  undo_.TellLater(image);
  return true;
}

void Unit::StopImages() {
  if (undo_.tells()) TellWatchers();
  undo_.Stop();
}

void Unit::TellWatchers() {
  for (const UndoLog::Image& image : undo_.images()) {
    WatchTable* watches = ShardFor(image.hash).watches.get();
    if (image.told && watches != nullptr) watches->Touch(image.db, undo_.KeyOf(image));
  }
}

void Unit::PutImagesBack() {
  putting_back_ = true;
  for (const UndoLog::Image& image : undo_.images()) {
    Entry* current = FindRaw(image.db, undo_.KeyOf(image), image.hash);
    Entry* before = undo_.Take(image);
    if (before == nullptr) {
      if (current != nullptr) Discard(image.db, image.hash, current);
      continue;
    }
    const uint32_t access = before->access();
    Entry* back = current != nullptr ? Replace(image.db, image.hash, current, before)
                                     : Insert(image.db, image.hash, before);
    back->set_access(access);
  }
  undo_.StopTaken();
  putting_back_ = false;
}

// Forgets what others were to be told, from these on.
void Unit::ForgetNews(size_t events, size_t invalidations, size_t ready) {
  rare_.events.resize(events);
  // Whoever read a key was taken off the list of its readers when it changed.
  for (size_t i = invalidations; i < rare_.invalidations.size(); ++i) {
    const Invalidation& lost = rare_.invalidations[i];
    for (const TrackedClientRef& reader : lost.readers)
      engine_.tracking.Remember(reader, lost.key, HashBytes(lost.key));
  }
  rare_.invalidations.resize(invalidations);
  for (size_t i = ready; i < rare_.ready.size(); ++i) {
    const ReadyKey& key = rare_.ready[i];
    const Shard& shard = ShardFor(key.hash);
    WaitQueue* queue = shard.waiters == nullptr ? nullptr : shard.waiters->Find(key.db, key.key);
    if (queue != nullptr) queue->ready = false;
  }
  rare_.ready.resize(ready);
}

void Unit::Rollback() {
  DCHECK(active_);
  PutImagesBack();
  ForgetNews(0, 0, 0);
  rare_.after.clear();
  hold_lsn_ = 0;
  retreating_ = false;
  Unlock();
  ClearChanges();
  HandOver();
}

void Unit::SetSavepoint() {
  DCHECK(all_ && !undo_.on() && lent_effect_.empty());
  rare_used_ = true;
  savepoint_ = {
      dirty_,          effect_count_,       effect_db_first_,           effect_db_,
      effects_.mark(), rare_.events.size(), rare_.invalidations.size(), rare_.ready.size()};
  undo_.Start(/*killable=*/true);
}

bool Unit::GiveUpSavepoint() {
  if (!engine_.busy.NoteLasting()) return false;
  StopImages();
  return true;
}

void Unit::ReturnToSavepoint() {
  CHECK(undo_.killable());
  PutImagesBack();
  ForgetNews(savepoint_.events, savepoint_.invalidations, savepoint_.ready);
  dirty_ = savepoint_.dirty;
  effect_count_ = savepoint_.effect_count;
  effect_db_first_ = savepoint_.effect_db_first;
  effect_db_ = savepoint_.effect_db;
  effects_.CutTo(savepoint_.effects);
}

}  // namespace cairn
