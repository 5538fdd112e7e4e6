// SPDX-License-Identifier: BSD-3-Clause
//
// Files and folders as interfaces, so that tests can inject faults: short writes, ENOSPC, EIO on
// write or fsync, lost unsynced sectors, failing renames. Production code that persists data goes
// through these; nothing else in src/ calls open/write/fsync/rename on data files.
//
// Large aligned writes go past the page cache (O_DIRECT): what is written in bulk, to be read after
// a crash, need not be copied there, nor push out what others have in it; and the kernel's way
// through it is most of what a log costs a write (utils/bench/FIGURES.md).
//
// Thread rule: a FileSystem may be used from any thread; a File from one thread at a time, except
// that Sync may run beside WriteAt (the journal's sync thread does).
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cairn {

constexpr size_t kDirectAlignBytes = 4096;
constexpr size_t kDirectBytesMin = 128 << 10;

// Memory as a write past the page cache wants it.
template <typename T>
struct DirectAllocator {
  using value_type = T;
  DirectAllocator() = default;
  template <typename U>
  DirectAllocator(const DirectAllocator<U>&) {}
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t{kDirectAlignBytes}));
  }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t{kDirectAlignBytes}); }
  bool operator==(const DirectAllocator&) const { return true; }
};
// What is collected for such a write.
using DirectString = std::basic_string<char, std::char_traits<char>, DirectAllocator<char>>;

class File {
 public:
  virtual ~File() = default;  // closes
  // Writes all of `bytes` at `offset` (pwrite, retried on short writes) or says why not; after an
  // error it is unknown which of the bytes are there. kDirectBytesMin and more, at an offset, of a
  // length and at an address that are multiples of kDirectAlignBytes (a DirectString's is), go past
  // the page cache, where the file system can; on disk they are after Sync, as all others.
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
  // The same for a large file whose bytes are all on disk: one that is not yet would be written
  // first. It leaves the page cache in steps before: removing it with what is there keeps a core in
  // the kernel for milliseconds in one piece, and nobody else gets that core.
  virtual Status RemoveInSteps(const std::string& path) { return Remove(path); }
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
