// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/entry_image.h"

#include <stdlib.h>

#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "keyspace/object_ops.h"

namespace cairn {
namespace {

constexpr size_t kHandleOffset = 8;  // of an object; see entry.h
constexpr size_t kWordBytes = 8;     // an integer, or a block's address

// Of the entry's own allocation.
size_t BytesOf(const Entry& entry) {
  const char* start = reinterpret_cast<const char*>(&entry);
  if (entry.is_string() && entry.form() == Entry::Form::kEmbedded) {
    const std::string_view text = entry.text();
    return static_cast<size_t>(text.data() + text.size() - start);
  }
  const std::string_view key = entry.key();
  const size_t bytes = static_cast<size_t>(key.data() + key.size() - start);
  return entry.is_string() ? bytes + kWordBytes : bytes;
}

}  // namespace

void AppendImage(const Entry& entry, std::string* bytes) {
  const size_t at = bytes->size();
  bytes->append(reinterpret_cast<const char*>(&entry), BytesOf(entry));
  if (!entry.is_string()) {
    StoreLe(bytes->data() + at + kHandleOffset, CloneObject(entry.type(), entry.rep()));
  } else if (entry.form() == Entry::Form::kBlock) {
    entry.block()->AddReference();
  }
}

Entry* EntryOfImage(const char* image) {
  const size_t bytes = BytesOf(*ViewImage(image));
  void* memory = malloc(bytes);
  CHECK(memory != nullptr);
  memcpy(memory, image, bytes);
  return static_cast<Entry*>(memory);
}

void DropImage(const char* image) {
  const Entry& entry = *ViewImage(image);
  if (!entry.is_string()) {
    FreeObject(entry.type(), entry.rep());
  } else if (entry.form() == Entry::Form::kBlock) {
    entry.block()->Release();
  }
}

}  // namespace cairn
