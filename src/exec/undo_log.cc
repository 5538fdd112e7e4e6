// SPDX-License-Identifier: BSD-3-Clause
//
// The log, and how a unit goes back by it.
#include "exec/undo_log.h"

#include <utility>

#include "exec/engine.h"
#include "exec/unit.h"
#include "keyspace/object_ops.h"
#include "keyspace/value.h"

namespace cairn {

bool UndoLog::Has(int db, uint64_t hash, std::string_view key) const {
  for (const Image& image : images_) {
    if (image.hash != hash || image.db != db) continue;
    if ((image.entry != nullptr ? image.entry->key() : image.key) == key) return true;
  }
  return false;
}

void UndoLog::Save(int db, uint64_t hash, std::string_view key, const Entry* entry) {
  if (Has(db, hash, key)) return;
  Image& image = images_.emplace_back(Image{db, hash, {}});
  if (entry == nullptr) {
    image.key = key;
    return;
  }
  image.entry = Entry::New(key, entry->CopyValue(), entry->expiry_ms());
  if (entry->raw()) image.entry->set_raw();
  image.entry->set_access(entry->access());
}

std::vector<UndoLog::Image> UndoLog::Take() {
  on_ = false;
  return std::exchange(images_, {});
}

void UndoLog::Forget() {
  on_ = false;
  for (const Image& image : images_)
    if (image.entry != nullptr) Entry::Free(image.entry);
  images_.clear();
}

bool UndoLog::IsSmall(const Entry* entry) {
  if (!entry->is_string()) return ObjectFreeEffort(entry->type(), entry->rep()) <= kElementsMax;
  if (entry->form() == Entry::Form::kInt) return true;
  return entry->form() == Entry::Form::kEmbedded && entry->text().size() <= kStringBytesMax;
}

Entry* Unit::FindRaw(int db, std::string_view key, uint64_t hash) {
  KeyTable* table = keyspace().PeekTable(ShardOf(hash), db);
  return table == nullptr
             ? nullptr
             : table->entries.Find(hash, [key](const Entry* e) { return e->KeyIs(key); });
}

bool Unit::MayRemember(int db, std::string_view key, uint64_t hash) {
  if (undo_.Has(db, hash, key)) return true;
  if (undo_.size() >= UndoLog::kImagesMax) return false;
  const Entry* entry = FindRaw(db, key, hash);
  return entry == nullptr || UndoLog::IsSmall(entry);
}

void Unit::Rollback() {
  DCHECK(active_);
  for (UndoLog::Image& image : undo_.Take()) {
    const std::string_view key = image.entry != nullptr ? image.entry->key() : image.key;
    Entry* current = FindRaw(image.db, key, image.hash);
    if (image.entry == nullptr) {
      if (current != nullptr) Dispose(Remove(image.db, image.hash, current));
      continue;
    }
    const uint32_t access = image.entry->access();
    Entry* back = current != nullptr ? Replace(image.db, image.hash, current, image.entry)
                                     : Insert(image.db, image.hash, image.entry);
    back->set_access(access);
  }
  for (const ReadyKey& ready : rare_.ready) {
    const Shard& shard = ShardFor(ready.hash);
    WaitQueue* queue =
        shard.waiters == nullptr ? nullptr : shard.waiters->Find(ready.db, ready.key);
    if (queue != nullptr) queue->ready = false;
  }
  rare_.ready.clear();
  rare_.after.clear();
  // Who cached a key was taken off its list of readers: that cannot be undone, so they are told.
  rare_.events.clear();
  hold_lsn_ = 0;
  if (has_news()) TellOthers();
  retreating_ = false;
  Unlock();
  ClearChanges();
  HandOver();
}

}  // namespace cairn
