// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace cairn {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;

class PosixFile final : public File {
 public:
  PosixFile(int fd, int flags, std::string path) : fd_(fd), flags_(flags), path_(std::move(path)) {}
  ~PosixFile() override { close(fd_); }

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      SetDirect(MayBeDirect(offset, bytes));
      ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL && direct_ && !direct_refused_) {
          direct_refused_ = true;
          continue;
        }
        return Status::FromErrno("write " + path_, errno);
      }
      // pwrite of a non-empty buffer that makes no progress would loop for ever.
      if (n == 0) return Status::Io("write " + path_ + ": no progress");
      offset += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return Status::Ok();
  }

  Result<size_t> ReadAt(uint64_t offset, char* buffer, size_t length) override {
    size_t done = 0;
    SetDirect(false);
    while (done < length) {
      ssize_t n = pread(fd_, buffer + done, length - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == ESPIPE) n = read(fd_, buffer + done, length - done);  // a pipe
      if (n < 0) {
        if (errno == EINTR) continue;
        return Status::FromErrno("read " + path_, errno);
      }
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status Sync() override {
    if (fdatasync(fd_) != 0) return Status::FromErrno("fsync " + path_, errno);
    return Status::Ok();
  }

  Result<uint64_t> Size() override {
    struct stat st;
    if (fstat(fd_, &st) != 0) return Status::FromErrno("stat " + path_, errno);
    return static_cast<uint64_t>(st.st_size);
  }

  Status Truncate(uint64_t size) override {
    if (ftruncate(fd_, static_cast<off_t>(size)) != 0)
      return Status::FromErrno("truncate " + path_, errno);
    return Status::Ok();
  }

 private:
  bool MayBeDirect(uint64_t offset, std::string_view bytes) const {
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    return bytes.size() >= kDirectBytesMin && !direct_refused_ &&
           (offset | bytes.size() | address) % kDirectAlignBytes == 0;
  }

  void SetDirect(bool direct) {
    if (direct == direct_) return;
    // Some file systems refuse the flag, others the write.
    if (fcntl(fd_, F_SETFL, direct ? flags_ | O_DIRECT : flags_) == 0) {
      direct_ = direct;
    } else {
      direct_refused_ = true;
    }
  }

  const int fd_;
  const int flags_;  // of Open
  bool direct_ = false, direct_refused_ = false;
  const std::string path_;
};

// Takes what a file has in the page cache out of it; a step takes a quarter of a millisecond. Other
// names of the file lose nothing but the cache.
void EvictFromCache(const std::string& path) {
  constexpr off_t kStepBytes = 2 << 20;
  struct stat st;
  if (lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= kStepBytes) return;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  for (off_t at = 0; at < st.st_size; at += kStepBytes)
    (void)posix_fadvise(fd, at, kStepBytes, POSIX_FADV_DONTNEED);
  close(fd);
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case Mode::kRead: flags |= O_RDONLY; break;
      case Mode::kCreate: flags |= O_RDWR | O_CREAT | O_EXCL; break;
      case Mode::kReadWrite: flags |= O_RDWR | O_CREAT; break;
      case Mode::kTruncate: flags |= O_RDWR | O_CREAT | O_TRUNC; break;
    }
    int fd = open(path.c_str(), flags, kFileMode);
    if (fd < 0) return Status::FromErrno("open " + path, errno);
    return std::unique_ptr<File>(new PosixFile(fd, flags, path));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0)
      return Status::FromErrno("rename " + from + " to " + to, errno);
    return Status::Ok();
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (link(from.c_str(), to.c_str()) != 0)
      return Status::FromErrno("link " + from + " to " + to, errno);
    return Status::Ok();
  }

  Status Remove(const std::string& path) override {
    if (unlink(path.c_str()) != 0) return Status::FromErrno("remove " + path, errno);
    return Status::Ok();
  }

  Status RemoveInSteps(const std::string& path) override {
    EvictFromCache(path);
    return Remove(path);
  }

  Status MakeDirectory(const std::string& path) override {
    if (mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST)
      return Status::FromErrno("mkdir " + path, errno);
    return Status::Ok();
  }

  Status SyncDirectory(const std::string& path) override {
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Status::FromErrno("open folder " + path, errno);
    int result = fsync(fd);
    int error = errno;
    close(fd);
    if (result != 0) return Status::FromErrno("fsync folder " + path, error);
    return Status::Ok();
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    DIR* dir = opendir(path.c_str());
    if (dir == nullptr) return Status::FromErrno("open folder " + path, errno);
    std::vector<std::string> names;
    errno = 0;
    while (dirent* entry = readdir(dir)) {
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    closedir(dir);
    if (error != 0) return Status::FromErrno("read folder " + path, error);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat st;
    if (stat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return Status::FromErrno("stat " + path, errno);
  }

  void CopyPermissions(const std::string& model, const std::string& path) override {
    struct stat st;
    if (stat(model.c_str(), &st) == 0) (void)!chmod(path.c_str(), st.st_mode & 07777);
  }
};

}  // namespace

Result<std::string> FileSystem::ReadFile(const std::string& path) {
  auto file = Open(path, Mode::kRead);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  // What tells no size (a pipe, a file of the system's) is read in steps up to its end.
  constexpr size_t kStepBytes = 64 * 1024;
  std::string content;
  size_t step = *size == 0 ? kStepBytes : *size;
  for (;;) {
    const size_t done = content.size();
    content.resize(done + step);
    auto read = (*file)->ReadAt(done, content.data() + done, step);
    if (!read.ok()) return read.status();
    content.resize(done + *read);
    if (*size != 0 || *read < step) return content;
  }
}

Status FileSystem::WriteFileAtomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    auto file = Open(temporary, Mode::kTruncate);
    if (!file.ok()) return file.status();
    CopyPermissions(path, temporary);
    CAIRN_RETURN_IF_ERROR((*file)->WriteAt(0, content));
    CAIRN_RETURN_IF_ERROR((*file)->Sync());
  }
  CAIRN_RETURN_IF_ERROR(Rename(temporary, path));
  size_t slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

FileSystem* RealFileSystem() {
  static PosixFileSystem file_system;
  return &file_system;
}

}  // namespace cairn
