// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/entry.h"

#include <malloc.h>
#include <stdlib.h>

#include <cstring>

#include "base/hash.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "keyspace/object_ops.h"
#include "keyspace/value.h"
#include "types/hash.h"

namespace cairn {
namespace {

size_t VarintBytes(size_t n) {
  size_t bytes = 1;
  for (; n >= 128; n >>= 7) ++bytes;
  return bytes;
}

char* PutVarint(char* p, size_t n) {
  for (; n >= 128; n >>= 7) *p++ = static_cast<char>(n | 128);
  *p++ = static_cast<char>(n);
  return p;
}

uint32_t Head(Type type, Entry::Form form, bool raw, bool expiry) {
  return static_cast<uint32_t>(type) | static_cast<uint32_t>(form) << 3 | uint32_t{expiry} << 6 |
         uint32_t{raw} << 7;
}

void* Allocate(size_t bytes) {
  void* memory = malloc(bytes);
  CHECK(memory != nullptr);
  return memory;
}

// A string entry without its value: `value_bytes` are left free behind the key, at *value.
Entry* NewStringShell(std::string_view key, uint32_t head, int64_t expiry_ms, size_t value_bytes,
                      char** value) {
  const bool expiry = expiry_ms != kNoExpiry;
  const size_t bytes =
      kEntryHeadBytes + VarintBytes(key.size()) + (expiry ? 8 : 0) + key.size() + value_bytes;
  char* start = static_cast<char*>(Allocate(bytes));
  StoreLe(start, head);
  char* p = PutVarint(start + kEntryHeadBytes, key.size());
  if (expiry) {
    StoreLe(p, expiry_ms);
    p += 8;
  }
  memcpy(p, key.data(), key.size());
  *value = p + key.size();
  return reinterpret_cast<Entry*>(start);
}

Entry* NewEmbedded(std::string_view key, std::string_view bytes, int64_t expiry_ms, bool raw) {
  char* p;
  Entry* entry =
      NewStringShell(key, Head(Type::kString, Entry::Form::kEmbedded, raw, expiry_ms != kNoExpiry),
                     expiry_ms, VarintBytes(bytes.size()) + bytes.size(), &p);
  p = PutVarint(p, bytes.size());
  if (!bytes.empty()) memcpy(p, bytes.data(), bytes.size());
  return entry;
}

Entry* NewWord(std::string_view key, Entry::Form form, uint64_t word, int64_t expiry_ms) {
  char* p;
  Entry* entry = NewStringShell(key, Head(Type::kString, form, false, expiry_ms != kNoExpiry),
                                expiry_ms, 8, &p);
  StoreLe(p, word);
  return entry;
}

Entry* NewObject(std::string_view key, Type type, uint64_t rep, int64_t expiry_ms) {
  const bool expiry = expiry_ms != kNoExpiry;
  char* start =
      static_cast<char*>(Allocate(kObjectKeyOffset + (expiry ? 8 : 0) + key.size()));
  StoreLe(start, Head(type, Entry::Form::kEmbedded, false, expiry));
  StoreLe(start + 4, static_cast<uint32_t>(key.size()));
  StoreLe(start + 8, rep);
  char* p = start + kObjectKeyOffset;
  if (expiry) {
    StoreLe(p, expiry_ms);
    p += 8;
  }
  memcpy(p, key.data(), key.size());
  return reinterpret_cast<Entry*>(start);
}

}  // namespace

Entry* Entry::New(std::string_view key, Value&& value, int64_t expiry_ms) {
  if (value.type() != Type::kString) {
    const Type type = value.type();
    return NewObject(key, type, value.Release(), expiry_ms);
  }
  if (value.form() == Form::kEmbedded) {
    return NewEmbedded(key, value.text(), expiry_ms, value.raw());
  }
  const Form form = value.form();
  return NewWord(key, form, value.Release(), expiry_ms);
}

Entry* Entry::NewString(std::string_view key, std::string_view bytes, int64_t expiry_ms) {
  int64_t integer;
  if (bytes.size() <= kInt64CharsMax && ParseInt64(bytes, &integer))
    return NewWord(key, Form::kInt, static_cast<uint64_t>(integer), expiry_ms);
  if (bytes.size() < kBlockBytesMin) return NewEmbedded(key, bytes, expiry_ms, false);
  StringBlock* block = StringBlock::New(bytes.size(), bytes.size());
  memcpy(block->data(), bytes.data(), bytes.size());
  return NewBlock(key, block, expiry_ms);
}

Entry* Entry::NewBlock(std::string_view key, StringBlock* block, int64_t expiry_ms) {
  return NewWord(key, Form::kBlock, reinterpret_cast<uint64_t>(block), expiry_ms);
}

const char* Entry::GetLongLength(const char* p, size_t* n) {
  size_t value = static_cast<unsigned char>(*p++) & 127;
  for (int shift = 7;; shift += 7) {
    const size_t byte = static_cast<unsigned char>(*p++);
    value |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  *n = value;
  return p;
}

const char* Entry::expiry_at() const {
  if (!is_string()) return bytes() + kObjectKeyOffset;
  size_t length;
  return GetLength(bytes() + kEntryHeadBytes, &length);
}

char* Entry::embedded_data() { return const_cast<char*>(text().data()); }

Value Entry::TakeValue() {
  if (!is_string()) return Value::FromRep(type(), rep());
  if (form() == Form::kInt) return Value::FromInteger(integer());
  if (form() == Form::kBlock) return Value::FromBlock(block());
  // Embedded bytes never become an integer here: they would have been one already.
  Value value = Value::FromRawString(std::string(text()));
  if (!raw()) value.clear_raw();
  return value;
}

Value Entry::CopyValue() const {
  if (!is_string()) return Value::FromRep(type(), CloneObject(type(), rep()));
  if (form() == Form::kBlock) {
    block()->AddReference();
    return Value::FromBlock(block());
  }
  return const_cast<Entry*>(this)->TakeValue();  // integers and embedded bytes are copied anyway
}

void Entry::FreeShell(Entry* entry) { free(entry); }

void Entry::Free(Entry* entry) {
  if (!entry->is_string()) {
    FreeObject(entry->type(), entry->rep());
  } else if (entry->form() == Form::kBlock) {
    entry->block()->Release();
  }
  free(entry);
}

Entry* Entry::WithExpiry(int64_t expiry_ms) {
  Entry* copy;
  if (!is_string()) {
    copy = NewObject(key(), type(), rep(), expiry_ms);
  } else if (form() == Form::kEmbedded) {
    copy = NewEmbedded(key(), text(), expiry_ms, raw());
  } else {
    copy = NewWord(key(), form(), LoadLe<uint64_t>(string_value()), expiry_ms);
  }
  // Everything of the head but the expiry bit: access clock, epoch.
  copy->set_head((head() & ~(1u << 6)) | (copy->head() & (1u << 6)));
  FreeShell(this);
  return copy;
}

Encoding Entry::encoding() const {
  if (!is_string()) return ObjectEncoding(type(), rep());
  if (form() == Form::kInt) return Encoding::kInt;
  if (form() == Form::kBlock || raw() || text().size() > kEmbstrBytesMax) return Encoding::kRaw;
  return Encoding::kEmbstr;
}

size_t Entry::MemoryUsage(size_t samples) const {
  size_t total = AllocatedBytes(this);
  if (!is_string()) return total + ObjectMemory(type(), rep(), samples);
  if (form() == Form::kBlock) total += AllocatedBytes(block());
  return total;
}

int64_t Entry::NextFieldExpiryOfHash() const {
  static_assert(Hash::kNoExpiry == 0);
  return const_cast<Entry*>(this)->object<Hash>().NextExpiry();
}

uint64_t EntryTraits::Hash(const Entry* entry) { return HashBytes(entry->key()); }

}  // namespace cairn
