// SPDX-License-Identifier: BSD-3-Clause
#include "keyspace/value.h"

#include <cstring>

#include "base/memory.h"
#include "base/numbers.h"
#include "keyspace/object_ops.h"

namespace cairn {

Value& Value::operator=(Value&& other) noexcept {
  if (this == &other) return *this;
  Free();
  type_ = other.type_;
  form_ = other.form_;
  raw_ = other.raw_;
  owned_ = std::exchange(other.owned_, false);
  word_ = other.word_;
  text_ = std::move(other.text_);
  return *this;
}

Value Value::FromString(std::string bytes) {
  int64_t integer;
  if (bytes.size() <= kInt64CharsMax && ParseInt64(bytes, &integer)) return FromInteger(integer);
  Value value = FromRawString(std::move(bytes));
  value.raw_ = false;
  return value;
}

Value Value::FromRawString(std::string bytes) {
  if (bytes.size() >= kBlockBytesMin) {
    StringBlock* block = StringBlock::New(bytes.size(), bytes.size());
    memcpy(block->data(), bytes.data(), bytes.size());
    return FromBlock(block);
  }
  Value value;
  value.raw_ = true;
  value.text_ = std::move(bytes);
  return value;
}

Value Value::FromInteger(int64_t integer) {
  Value value;
  value.form_ = Entry::Form::kInt;
  value.word_ = static_cast<uint64_t>(integer);
  return value;
}

Value Value::FromBlock(StringBlock* block) {
  Value value;
  value.form_ = Entry::Form::kBlock;
  value.word_ = reinterpret_cast<uint64_t>(block);
  value.owned_ = true;
  return value;
}

size_t Value::FreeEffort() const {
  return owned_ && type_ != Type::kString ? ObjectFreeEffort(type_, word_) : 1;
}

size_t Value::MemoryUsage(size_t samples) const {
  if (!owned_) return text_.capacity();
  return type_ == Type::kString ? AllocatedBytes(block()) : ObjectMemory(type_, word_, samples);
}

bool Value::EmptyContainer() const {
  return type_ != Type::kString && ObjectIsEmptyContainer(type_, word_);
}

void Value::Free() {
  if (!owned_) return;
  owned_ = false;
  if (type_ == Type::kString) {
    block()->Release();
  } else {
    FreeObject(type_, word_);
  }
}

}  // namespace cairn
