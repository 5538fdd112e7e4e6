// SPDX-License-Identifier: BSD-3-Clause
//
// What the fuzzers of files and of texts share: bytes that are mutated, a file that is only in
// memory, and how a finding is told.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/random.h"

namespace cairn {

class Registry;

// How to repeat what is under way, for a finding; no more than so many bytes.
constexpr size_t kRepeatBytes = 128;
extern char repeat_text[kRepeatBytes];

// Ends the process.
[[noreturn]] void Finding(const char* what);

// Every command, made once a process.
Registry& FuzzedCommands();

std::string Unhex(std::string_view hex);

// Flips, cuts out, doubles and overwrites bytes; some of what comes in is of `records`.
void Mutate(Random& random, const std::vector<std::string>& records, std::string* bytes);

// One file in memory, which is only read.
class OneFile final : public FileSystem {
 public:
  std::string bytes;

  Result<std::unique_ptr<File>> Open(const std::string&, Mode mode) override {
    if (mode != Mode::kRead) return Status::Io("read only");
    return std::unique_ptr<File>(new Opened(&bytes));
  }
  Status Rename(const std::string&, const std::string&) override { return Status::Io("no"); }
  Status Link(const std::string&, const std::string&) override { return Status::Io("no"); }
  Status Remove(const std::string&) override { return Status::Io("no"); }
  Status MakeDirectory(const std::string&) override { return Status::Io("no"); }
  Status SyncDirectory(const std::string&) override { return Status::Io("no"); }
  Result<std::vector<std::string>> List(const std::string&) override { return Status::Io("no"); }
  Result<bool> Exists(const std::string&) override { return true; }

 private:
  class Opened final : public File {
   public:
    explicit Opened(const std::string* bytes) : bytes_(*bytes) {}
    Status WriteAt(uint64_t, std::string_view) override { return Status::Io("read only"); }
    Result<size_t> ReadAt(uint64_t offset, char* buffer, size_t length) override {
      if (offset >= bytes_.size()) return size_t{0};
      return bytes_.copy(buffer, length, offset);
    }
    Status Sync() override { return Status::Ok(); }
    Result<uint64_t> Size() override { return uint64_t{bytes_.size()}; }
    Status Truncate(uint64_t) override { return Status::Io("read only"); }

   private:
    const std::string& bytes_;
  };
};

}  // namespace cairn
