// SPDX-License-Identifier: BSD-3-Clause
//
// Value: a value outside any entry, on its way into or out of one: what RESTORE decodes, COPY
// clones, STORE commands compute, and DEL hands to the background to be freed. Move-only; frees
// what it holds. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "keyspace/entry.h"
#include "types/type.h"

namespace cairn {

class Value {
 public:
  Value() = default;  // the empty string
  Value(Value&& other) noexcept { *this = std::move(other); }
  Value& operator=(Value&& other) noexcept;
  ~Value() { Free(); }

  static Value FromString(std::string bytes);  // an integer if the bytes spell one
  static Value FromRawString(std::string bytes);  // never an integer (OBJECT ENCODING raw)
  static Value FromInteger(int64_t integer);
  static Value FromBlock(StringBlock* block);  // takes the reference over
  // Any of the handles of types/.
  template <typename T>
  static Value FromObject(T object) {
    return Value(kTypeOf<T>, object.Release());
  }
  static Value FromRep(Type type, uint64_t rep) { return Value(type, rep); }

  Type type() const { return type_; }
  Entry::Form form() const { return form_; }
  bool raw() const { return raw_; }
  void set_raw() { raw_ = true; }
  void clear_raw() { raw_ = false; }
  int64_t integer() const { return static_cast<int64_t>(word_); }
  StringBlock* block() const { return reinterpret_cast<StringBlock*>(word_); }
  const std::string& text() const { return text_; }  // embedded strings
  uint64_t rep() const { return word_; }
  // Gives the handle, integer or block away.
  uint64_t Release() {
    owned_ = false;
    return word_;
  }
  template <typename T>
  T& object() {
    static_assert(sizeof(T) == 8);
    return *reinterpret_cast<T*>(&word_);
  }
  // Elements to free one by one: what decides between freeing here and in the background.
  size_t FreeEffort() const;
  // Heap bytes, about; `samples` as in MEMORY USAGE.
  size_t MemoryUsage(size_t samples) const;
  // Whether a container holds nothing and so must not become a key.
  bool EmptyContainer() const;

 private:
  Value(Type type, uint64_t word) : type_(type), owned_(true), word_(word) {}
  void Free();

  Type type_ = Type::kString;
  Entry::Form form_ = Entry::Form::kEmbedded;
  bool raw_ = false;
  bool owned_ = false;  // word_ is a handle or block of ours
  uint64_t word_ = 0;
  std::string text_;
};

}  // namespace cairn
