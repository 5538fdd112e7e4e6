// SPDX-License-Identifier: BSD-3-Clause
//
// ReadRef, WriteRef, StringRef: the only ways of a handler to a value.
//
//   auto set = ctx.Write<Set>(key);
//   if (set.failed()) return;                          // wrong type, replied
//   size_t added = set.Create().Add(member, ...);      // or set.Mutable() if it must exist
//   if (added > 0) set.Commit(kNotifySet, "sadd", added); else set.Unchanged();
//
// Create and Mutable fire the pre-change hook (snapshot, pre-images) before they hand out a mutable
// value. A ref that handed one out must be settled by Commit or Unchanged: a DCHECK in the
// destructor. Commit marks the key changed, counts dirt, queues the event, and deletes a list,
// set, hash or sorted set that became empty (event "del"). A key that Create made and that is
// still empty when Unchanged is called vanishes without a trace.
//
// Two refs to one key see the same value: they hold no copy, and look the entry up again when an
// entry moved (unit.generation()).
#pragma once

#include "base/check.h"
#include "exec/context.h"

namespace cairn {

template <typename T>
bool IsEmpty(const T& container) {
  if constexpr (requires { container.empty(); }) {
    return container.empty();
  } else {
    return container.Length() == 0;
  }
}

class RefBase {
 public:
  // Replied WRONGTYPE; nothing more to do.
  bool failed() const { return failed_; }
  // The key exists and has the type asked for.
  explicit operator bool() const { return current() != nullptr; }
  const KeyId& id() const { return id_; }
  int64_t expiry_ms() const { return current()->expiry_ms(); }

 protected:
  RefBase(Context* ctx, const KeyId& id, Entry* entry, bool failed)
      : ctx_(ctx), id_(id), entry_(entry), generation_(ctx->unit().generation()), failed_(failed) {}

  Entry* current() const {
    if (generation_ != ctx_->unit().generation()) [[unlikely]] {
      entry_ = ctx_->unit().Lookup(id_.db, id_.key, id_.hash);
      generation_ = ctx_->unit().generation();
    }
    return entry_;
  }
  void Remember(Entry* entry) const {
    entry_ = entry;
    generation_ = ctx_->unit().generation();
  }

  Context* ctx_;
  KeyId id_;
  mutable Entry* entry_;
  mutable uint32_t generation_;
  bool failed_;
};

template <typename T>
class ReadRef : public RefBase {
 public:
  const T& operator*() const { return current()->template object<T>(); }
  const T* operator->() const { return &current()->template object<T>(); }

 private:
  friend class Context;
  using RefBase::RefBase;
};

template <typename T>
class WriteRef : public RefBase {
 public:
  WriteRef(WriteRef&& other) noexcept
      : RefBase(other),
        open_(std::exchange(other.open_, false)),
        made_(other.made_),
        field_expiry_(other.field_expiry_) {}
  WriteRef& operator=(WriteRef&&) = delete;
  ~WriteRef() { DCHECK(!open_); }

  const T& operator*() const { return current()->template object<T>(); }
  const T* operator->() const { return &current()->template object<T>(); }

  // The value for changing; the key must exist.
  T& Mutable() {
    Entry* entry = current();
    CHECK(entry != nullptr && !failed_);
    ctx_->unit().BeforeChange(id_.db, entry, id_.hash);
    T& object = entry->template object<T>();
    if constexpr (kHasFieldExpiry) {
      if (!open_) field_expiry_ = object.NextExpiry();
    }
    open_ = true;
    return object;
  }
  // The value for changing; an empty one is made if the key does not exist.
  T& Create() {
    if (current() == nullptr) {
      made_ = true;
      Entry* entry = Entry::New(id_.key, Value::FromObject(T()), kNoExpiry);
      Remember(ctx_->unit().Insert(id_.db, id_.hash, entry));
      ctx_->unit().Event(kNotifyNew, "new", id_.db, id_.key);
    }
    return Mutable();
  }
  // The change is done: `dirty` elements changed, `event` (may be nullptr) is announced.
  void Commit(int type, const char* event, int64_t dirty = 1) {
    CHECK(open_);
    Close();
    Unit& unit = ctx_->unit();
    unit.Dirty(dirty);
    unit.Changed(id_.db, id_.key, id_.hash);
    unit.Ready(id_.db, id_.key, id_.hash);
    if (event != nullptr) unit.Event(type, event, id_.db, id_.key);
    if constexpr (kTypeOf<T> != Type::kStream) {
      if (IsEmpty(current()->template object<T>())) {
        unit.Discard(id_.db, id_.hash, current());
        unit.Event(kNotifyGeneric, "del", id_.db, id_.key);
      }
    }
  }
  // A further event of the same change, before or after Commit.
  void Notify(int type, const char* event) { ctx_->unit().Event(type, event, id_.db, id_.key); }
  // Nothing was changed after all.
  void Unchanged() {
    Close();
    if (!made_ || current() == nullptr) return;
    if constexpr (kTypeOf<T> != Type::kStream) {
      if (!IsEmpty(current()->template object<T>())) return;
    }
    ctx_->unit().Discard(id_.db, id_.hash, current());
  }

 private:
  friend class Context;
  using RefBase::RefBase;
  static constexpr bool kHasFieldExpiry = kTypeOf<T> == Type::kHash;

  // No more changes through this ref: the index of field expiries learns of those there were.
  void Close() {
    if constexpr (kHasFieldExpiry) {
      if (open_ && current() != nullptr)
        ctx_->unit().FieldExpiryMoved(id_.db, id_.hash, field_expiry_,
                                      current()->template object<T>().NextExpiry());
    }
    open_ = false;
  }

  bool open_ = false;
  bool made_ = false;
  int64_t field_expiry_ = 0;  // of a hash: the earliest when it was handed out
};

// Replies the value of a string as a bulk; one of 16 KiB or more is lent to the connection, not
// copied. For what Context::Find found; a StringRef asks by itself.
void ReplyString(ReplyWriter& reply, const Entry& entry);

// A string, for reading or writing. Writers: Set* and Append replace or edit the value and keep
// the expiry; they mark the key changed and the command dirty by one; events are the caller's.
class StringRef : public RefBase {
 public:
  // The bytes; an integer is written out into this ref. Valid until the next change.
  std::string_view view() const;
  size_t size() const { return view().size(); }
  bool is_integer() const { return current()->form() == Entry::Form::kInt; }
  int64_t integer() const { return current()->integer(); }
  void ReplyBulk() const { ReplyString(ctx_->reply(), *current()); }

  // Creates the key if it is missing.
  void SetInteger(int64_t value);
  void SetBytes(std::string_view bytes);  // kept as an integer if the bytes spell one
  void SetRaw(std::string_view bytes);    // edited in place: encoding "raw"
  // At least `size` bytes, writable in place; new ones are zero. The key is made if missing.
  // The pointer is good until the next call. Encoding becomes raw.
  char* MutableBytes(size_t size);
  // The bytes there are, writable in place; the key must exist. Nothing is marked yet: if bytes
  // did change, Edited() is to follow.
  char* EditBytes();
  void Edited(int64_t dirty = 1);
  void Append(std::string_view bytes);

 private:
  friend class Context;
  using RefBase::RefBase;
  void Finish(Entry* fresh);
  mutable char digits_[24];
};

template <typename T>
ReadRef<T> Context::Read(std::string_view key) {
  const KeyId id = Id(key);
  const Entry* entry = Find(id);
  const bool wrong = entry != nullptr && entry->type() != kTypeOf<T>;
  if (wrong) Error(errors::kWrongType);
  return ReadRef<T>(this, id, wrong ? nullptr : const_cast<Entry*>(entry), wrong);
}

template <typename T>
WriteRef<T> Context::Write(std::string_view key) {
  const KeyId id = Id(key);
  Entry* entry = unit_.Lookup(id.db, id.key, id.hash);
  if (entry != nullptr && !session_.no_touch) unit_.Access(entry);
  const bool wrong = entry != nullptr && entry->type() != kTypeOf<T>;
  if (wrong) Error(errors::kWrongType);
  return WriteRef<T>(this, id, wrong ? nullptr : entry, wrong);
}

}  // namespace cairn
