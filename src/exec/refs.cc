// SPDX-License-Identifier: BSD-3-Clause
#include "exec/refs.h"

#include "exec/access_clock.h"

#include <cstring>

#include "base/large_block.h"
#include "base/numbers.h"

namespace cairn {

const Entry* Context::Find(const KeyId& id, Touch touch) {
  Entry* entry = unit_.Lookup(id.db, id.key, id.hash);
  if (touch == Touch::kWrite) {
    if (entry != nullptr && !session_.no_touch) unit_.Access(entry);
  } else if (touch != Touch::kNo) {
    ThreadStatistics& statistics = unit_.statistics();
    if (entry != nullptr) {
      statistics.Add(Stat::kHits);
      if (touch == Touch::kYes && !session_.no_touch && !UsesLrm(config())) unit_.Access(entry);
    } else {
      statistics.Add(Stat::kMisses);
      unit_.Event(kNotifyKeyMiss, "keymiss", id.db, id.key);
    }
  }
  return entry;
}

StringRef Context::ReadString(std::string_view key) {
  const KeyId id = Id(key);
  Entry* entry = const_cast<Entry*>(Find(id));
  const bool wrong = entry != nullptr && !entry->is_string();
  if (wrong) Error(errors::kWrongType);
  return StringRef(this, id, wrong ? nullptr : entry, wrong);
}

StringRef Context::WriteString(std::string_view key) {
  const KeyId id = Id(key);
  Entry* entry = unit_.Lookup(id.db, id.key, id.hash);
  if (entry != nullptr && !session_.no_touch) unit_.Access(entry);
  const bool wrong = entry != nullptr && !entry->is_string();
  if (wrong) Error(errors::kWrongType);
  return StringRef(this, id, wrong ? nullptr : entry, wrong);
}

void Context::Put(const KeyId& id, Value value, int64_t expiry_ms) {
  const Entry* old = unit_.Lookup(id.db, id.key, id.hash);
  const Type after = value.type(), before = old != nullptr ? old->type() : after;
  const bool overwrites = old != nullptr;
  Replace(id, std::move(value), expiry_ms);
  if (overwrites) NotifyOverwritten(id, before, after);
}

void Context::Replace(const KeyId& id, Value value, int64_t expiry_ms) {
  Entry* old = unit_.Lookup(id.db, id.key, id.hash);
  Entry* fresh = Entry::New(id.key, std::move(value), expiry_ms);
  if (old != nullptr) {
    if (!session_.no_touch) unit_.Access(old);
    unit_.Replace(id.db, id.hash, old, fresh);
  } else {
    unit_.Insert(id.db, id.hash, fresh);
    unit_.Event(kNotifyNew, "new", id.db, id.key);
  }
  unit_.Dirty(1);
}

namespace {

// Overwrites a string with one of the same form and length, neither with an expiry, in its entry.
// False: it takes a new entry.
bool OverwriteInPlace(Unit& unit, const KeyId& id, Entry* old, std::string_view bytes) {
  if (!old->is_string() || old->has_expiry() || old->raw() || old->form() == Entry::Form::kBlock)
    return false;
  int64_t integer = 0;
  const bool old_integer = old->form() == Entry::Form::kInt;
  if (!old_integer && old->text().size() != bytes.size()) return false;
  const bool spells_integer = bytes.size() <= kInt64CharsMax && ParseInt64(bytes, &integer);
  if (spells_integer != old_integer) return false;
  unit.BeforeChange(id.db, old, id.hash);
  if (old_integer) {
    old->set_integer(integer);
  } else if (!bytes.empty()) {
    memcpy(old->embedded_data(), bytes.data(), bytes.size());
  }
  unit.Changed(id.db, id.key, id.hash);
  unit.Ready(id.db, id.key, id.hash);
  return true;
}

}  // namespace

Entry* Context::MakeString(std::string_view key, std::string_view bytes, int64_t expiry_ms) {
  if (bytes.size() >= StringBlock::kLentBytesMin && session_.incoming != nullptr &&
      *session_.incoming != nullptr) [[unlikely]] {
    StringBlock* block = (*session_.incoming)->Lend(bytes);
    if (block != nullptr) return Entry::NewBlock(key, block, expiry_ms);
  }
  return Entry::NewString(key, bytes, expiry_ms);
}

void Context::PutString(const KeyId& id, std::string_view bytes, int64_t expiry_ms) {
  Entry* old = unit_.Lookup(id.db, id.key, id.hash);
  if (old != nullptr && !session_.no_touch) unit_.Access(old);
  if (old != nullptr && expiry_ms == kNoExpiry && OverwriteInPlace(unit_, id, old, bytes)) {
    unit_.Dirty(1);
    NotifyOverwritten(id, Type::kString, Type::kString);
    return;
  }
  Entry* fresh = MakeString(id.key, bytes, expiry_ms);
  if (old != nullptr) {
    const Type before = old->type();
    unit_.Replace(id.db, id.hash, old, fresh);
    NotifyOverwritten(id, before, Type::kString);
  } else {
    unit_.Insert(id.db, id.hash, fresh);
    unit_.Event(kNotifyNew, "new", id.db, id.key);
  }
  unit_.Dirty(1);
}

bool Context::Store(std::string_view key, Value value, int type, const char* event) {
  if (value.EmptyContainer()) {
    Delete(key);
    return false;
  }
  Put(Id(key), std::move(value));
  Notify(type, event, key);
  return true;
}

bool Context::Delete(const KeyId& id) {
  if (!unit_.Delete(id.db, id.key, id.hash)) return false;
  unit_.Dirty(1);
  unit_.Event(kNotifyGeneric, "del", id.db, id.key);
  return true;
}

void Context::MoveKey(const KeyId& from, const KeyId& to) {
  Entry* entry = unit_.Lookup(from.db, from.key, from.hash);
  CHECK(entry != nullptr);
  const int64_t expiry_ms = entry->expiry_ms();
  const uint32_t access = entry->access();
  Put(to, unit_.Remove(from.db, from.hash, entry), expiry_ms);
  unit_.Lookup(to.db, to.key, to.hash)->set_access(access);
}

void Context::SetExpiry(const KeyId& id, int64_t expiry_ms) {
  Entry* entry = unit_.Lookup(id.db, id.key, id.hash);
  CHECK(entry != nullptr);
  unit_.BeforeChange(id.db, entry, id.hash);
  if (entry->has_expiry() && expiry_ms != kNoExpiry) {
    entry->set_expiry_in_place(expiry_ms);
  } else if (entry->has_expiry() || expiry_ms != kNoExpiry) {
    const bool had_expiry = entry->has_expiry();
    const Entry* old = entry;
    unit_.Relocated(id.db, id.hash, old, had_expiry, entry->WithExpiry(expiry_ms));
  }
  unit_.Changed(id.db, id.key, id.hash);
  unit_.Dirty(1);
}

std::string_view StringRef::view() const {
  const Entry* entry = current();
  if (entry->form() == Entry::Form::kInt)
    return {digits_, FormatInt64(digits_, entry->integer())};
  return entry->text();
}

void ReplyString(ReplyWriter& reply, const Entry& entry) {
  if (entry.form() == Entry::Form::kEmbedded) [[likely]]
    return reply.Bulk(entry.text());
  if (entry.form() == Entry::Form::kInt) return reply.BulkInteger(entry.integer());
  StringBlock* block = entry.block();
  block->AddReference();
  reply.BulkBorrowed(
      block->view(), [](void* owner) { static_cast<StringBlock*>(owner)->Release(); }, block);
}

// The new entry takes the old one's place, keeping nothing of it but its expiry (see callers).
void StringRef::Finish(Entry* fresh) {
  Unit& unit = ctx_->unit();
  if (Entry* old = current(); old != nullptr) {
    Remember(unit.Replace(id_.db, id_.hash, old, fresh));
  } else {
    Remember(unit.Insert(id_.db, id_.hash, fresh));
    unit.Event(kNotifyNew, "new", id_.db, id_.key);
  }
  Remember(fresh);
  unit.Dirty(1);
}

void StringRef::SetInteger(int64_t value) {
  Entry* entry = current();
  if (entry == nullptr || entry->form() != Entry::Form::kInt) {
    const int64_t expiry = entry != nullptr ? entry->expiry_ms() : kNoExpiry;
    return Finish(Entry::New(id_.key, Value::FromInteger(value), expiry));
  }
  ctx_->unit().BeforeChange(id_.db, entry, id_.hash);
  entry->set_integer(value);
  ctx_->unit().Changed(id_.db, id_.key, id_.hash);
  ctx_->unit().Dirty(1);
}

void StringRef::SetBytes(std::string_view bytes) {
  Entry* entry = current();
  const int64_t expiry = entry != nullptr ? entry->expiry_ms() : kNoExpiry;
  Finish(ctx_->MakeString(id_.key, bytes, expiry));
}

void StringRef::SetRaw(std::string_view bytes) {
  Entry* entry = current();
  const int64_t expiry = entry != nullptr ? entry->expiry_ms() : kNoExpiry;
  Finish(Entry::New(id_.key, Value::FromRawString(std::string(bytes)), expiry));
}

namespace {

// Makes the block, which nobody shares, longer where it lies: room for a string of `bytes` if it can
// be had, of `bytes_min` at least. False: it stays as it is.
bool GrowInPlace(StringBlock* block, size_t bytes_min, size_t bytes) {
  const size_t before = sizeof(StringBlock) + block->offset;
  const size_t length = GrowLarge(block, before + bytes_min, before + bytes);
  if (length == 0) return false;
  block->capacity = length - sizeof(StringBlock);
  return true;
}

}  // namespace

char* StringRef::MutableBytes(size_t size) {
  Unit& unit = ctx_->unit();
  Entry* entry = current();
  const size_t old_size = entry != nullptr ? view().size() : 0;
  const size_t new_size = size > old_size ? size : old_size;
  const int64_t expiry = entry != nullptr ? entry->expiry_ms() : kNoExpiry;
  if (new_size >= kBlockBytesMin) {
    StringBlock* block =
        entry != nullptr && entry->form() == Entry::Form::kBlock ? entry->block() : nullptr;
    // First, because a snapshot may borrow the block, which is then shared.
    if (block != nullptr) unit.BeforeChange(id_.db, entry, id_.hash);
    // Grows by half again, so that appending byte by byte stays linear. A string that begins with
    // a byte far behind (SETBIT, SETRANGE) gets what it asks for: it may well be all it will need.
    const bool grows = old_size > 0 && new_size > old_size;
    const size_t capacity = grows ? new_size + new_size / 2 : new_size;
    if (block == nullptr || block->shared() ||
        (block->room() < new_size && !GrowInPlace(block, new_size, capacity))) {
      StringBlock* larger = StringBlock::New(old_size, capacity);
      if (old_size > 0) memcpy(larger->data(), view().data(), old_size);
      Finish(Entry::New(id_.key, Value::FromBlock(larger), expiry));
      unit.Dirty(-1);
      block = larger;
    }
    memset(block->data() + old_size, 0, new_size - old_size);
    block->size = new_size;
    unit.Changed(id_.db, id_.key, id_.hash);
    unit.Dirty(1);
    return block->data();
  }
  if (entry != nullptr && entry->form() == Entry::Form::kEmbedded && new_size == old_size) {
    unit.BeforeChange(id_.db, entry, id_.hash);
    entry->set_raw();
    unit.Changed(id_.db, id_.key, id_.hash);
    unit.Dirty(1);
    return entry->embedded_data();
  }
  std::string bytes(entry != nullptr ? view() : std::string_view());
  bytes.resize(new_size, '\0');
  Finish(Entry::New(id_.key, Value::FromRawString(std::move(bytes)), expiry));
  return current()->embedded_data();
}

char* StringRef::EditBytes() {
  Entry* entry = current();
  CHECK(entry != nullptr);
  const bool block = entry->form() == Entry::Form::kBlock;
  ctx_->unit().BeforeChange(id_.db, entry, id_.hash);
  if (entry->form() == Entry::Form::kInt || (block && entry->block()->shared())) {
    char* data = MutableBytes(0);
    ctx_->unit().Dirty(-1);
    return data;
  }
  if (block) return entry->block()->data();
  entry->set_raw();
  return entry->embedded_data();
}

void StringRef::Edited(int64_t dirty) {
  ctx_->unit().Changed(id_.db, id_.key, id_.hash);
  ctx_->unit().Dirty(dirty);
}

void StringRef::Append(std::string_view bytes) {
  const size_t old_size = current() != nullptr ? view().size() : 0;
  char* data = MutableBytes(old_size + bytes.size());
  if (!bytes.empty()) memcpy(data + old_size, bytes.data(), bytes.size());
}

}  // namespace cairn
