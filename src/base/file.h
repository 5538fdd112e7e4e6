// SPDX-License-Identifier: BSD-3-Clause
//
// Files and folders as interfaces, so that tests can inject faults: short writes, ENOSPC, EIO on
// write or fsync, lost unsynced sectors, failing renames. Production code that persists data goes
// through these; nothing else in src/ calls open/write/fsync/rename on data files.
//
// Thread rule: a FileSystem may be used from any thread; a File from one thread at a time, except
// that Sync may run beside WriteAt (the journal's sync thread does).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cairn {

class File {
 public:
  virtual ~File() = default;  // closes
  // Writes all of `bytes` at `offset` (pwrite, retried on short writes) or says why not; after an
  // error it is unknown which of the bytes are there.
  virtual Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  // Reads up to `length` bytes at `offset`; fewer only at the end of the file. Returns the count.
  virtual Result<size_t> ReadAt(uint64_t offset, char* buffer, size_t length) = 0;
  virtual Status Sync() = 0;  // fdatasync
  virtual Result<uint64_t> Size() = 0;
  virtual Status Truncate(uint64_t size) = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  enum class Mode {
    kRead,         // must exist
    kCreate,       // created; an existing file is an error
    kReadWrite,    // created if missing, kept as it is
    kTruncate      // created or emptied
  };
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Link(const std::string& from, const std::string& to) = 0;  // hard link
  virtual Status Remove(const std::string& path) = 0;
  virtual Status MakeDirectory(const std::string& path) = 0;  // OK if it is there already
  virtual Status SyncDirectory(const std::string& path) = 0;  // makes its entries durable
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;  // names, sorted
  virtual Result<bool> Exists(const std::string& path) = 0;
  // Gives `path` the permissions of `model`, if that exists; where there are none, nothing.
  virtual void CopyPermissions(const std::string& /*model*/, const std::string& /*path*/) {}

  // Whole-file helpers over the above. ReadFile takes pipes too. WriteFileAtomically: temporary
  // file, sync, rename over `path`, sync of the folder; after an error the old content of `path`
  // stands. A file that is replaced keeps its permissions.
  Result<std::string> ReadFile(const std::string& path);
  Status WriteFileAtomically(const std::string& path, std::string_view content);
};

// The operating system's files. One object for the process, never deleted.
FileSystem* RealFileSystem();

}  // namespace cairn
