// SPDX-License-Identifier: BSD-3-Clause
//
// A FileSystem of texts in memory: what the configuration tests read and write.
#pragma once

#include <algorithm>
#include <functional>
#include <map>

#include "base/file.h"

namespace cairn {

class MemoryFiles final : public FileSystem {
 public:
  std::map<std::string, std::string> texts;
  bool fail_writes = false;
  std::function<void()> on_open;

  Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    if (on_open) on_open();
    if (mode != Mode::kRead && fail_writes) return Status::Io("open " + path + ": refused");
    if (mode == Mode::kRead && texts.count(path) == 0)
      return Status::NotFound("open " + path + ": No such file or directory");
    if (mode == Mode::kTruncate) texts[path].clear();
    return std::unique_ptr<File>(new MemoryFile(&texts[path]));
  }
  Status Rename(const std::string& from, const std::string& to) override {
    texts[to] = texts[from];
    texts.erase(from);
    return Status::Ok();
  }
  Status Link(const std::string&, const std::string&) override { return Status::Io("no links"); }
  Status Remove(const std::string& path) override {
    texts.erase(path);
    return Status::Ok();
  }
  Status MakeDirectory(const std::string&) override { return Status::Ok(); }
  Status SyncDirectory(const std::string&) override { return Status::Ok(); }
  Result<std::vector<std::string>> List(const std::string&) override {
    return std::vector<std::string>();
  }
  Result<bool> Exists(const std::string& path) override { return texts.count(path) != 0; }

 private:
  class MemoryFile final : public File {
   public:
    explicit MemoryFile(std::string* text) : text_(text) {}
    Status WriteAt(uint64_t offset, std::string_view bytes) override {
      text_->resize(std::max<size_t>(text_->size(), offset + bytes.size()));
      text_->replace(offset, bytes.size(), bytes);
      return Status::Ok();
    }
    Result<size_t> ReadAt(uint64_t offset, char* buffer, size_t length) override {
      return text_->copy(buffer, length, offset);
    }
    Status Sync() override { return Status::Ok(); }
    Result<uint64_t> Size() override { return uint64_t{text_->size()}; }
    Status Truncate(uint64_t size) override {
      text_->resize(size);
      return Status::Ok();
    }

   private:
    std::string* text_;
  };
};

}  // namespace cairn
