// SPDX-License-Identifier: BSD-3-Clause
//
// The operating system's files: what the helpers over whole files keep and take.
#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "tests/unit/support/temporary_folder.h"

namespace cairn {

namespace {

mode_t ModeOf(const std::string& path) {
  struct stat st;
  REQUIRE(stat(path.c_str(), &st) == 0);
  return st.st_mode & 0777;
}

// How many pages of it the page cache has.
size_t CachedPages(const std::string& path, size_t bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  void* const map = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  REQUIRE(map != MAP_FAILED);
  std::vector<unsigned char> in_core(bytes / 4096);
  REQUIRE(mincore(map, bytes, in_core.data()) == 0);
  munmap(map, bytes);
  close(fd);
  return static_cast<size_t>(
      std::count_if(in_core.begin(), in_core.end(), [](unsigned char c) { return (c & 1) != 0; }));
}

}  // namespace

TEST_CASE("file: one that is removed leaves the page cache first, and its other names keep it") {
  constexpr size_t kBytes = 9 << 20;
  const TemporaryFolder folder;
  FileSystem* files = RealFileSystem();
  const std::string path = folder.Path("f"), other = folder.Path("other");
  std::string content(kBytes, 'x');
  content[kBytes - 1] = 'y';
  {
    auto file = files->Open(path, FileSystem::Mode::kCreate);
    REQUIRE(file.ok());
    REQUIRE((*file)->WriteAt(0, content).ok());
    REQUIRE((*file)->Sync().ok());
  }
  REQUIRE(files->Link(path, other).ok());
  REQUIRE(*files->ReadFile(path) == content);
  const size_t before = CachedPages(other, kBytes);
  REQUIRE(files->RemoveInSteps(path).ok());
  struct statfs system;
  REQUIRE(statfs(folder.path.c_str(), &system) == 0);
  // Under memory pressure there may have been few in the first place.
  if (system.f_type != TMPFS_MAGIC && before >= kBytes / 4096 / 2)
    REQUIRE(CachedPages(other, kBytes) < before / 2);
  REQUIRE(*files->ReadFile(other) == content);
}

TEST_CASE("file: one that is replaced keeps its permissions") {
  const TemporaryFolder folder;
  FileSystem* files = RealFileSystem();
  const std::string path = folder.Path("f");
  REQUIRE(files->WriteFileAtomically(path, "secret").ok());
  REQUIRE((ModeOf(path) & 0007) == 0);  // nobody else's affair
  for (mode_t mode : {0600, 0644}) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    REQUIRE(files->WriteFileAtomically(path, "new").ok());
    REQUIRE(ModeOf(path) == mode);
    REQUIRE(*files->ReadFile(path) == "new");
  }
  REQUIRE(files->List(folder.path)->size() == 1);
}

// Wherever the folder of temporary files is: a file system without O_DIRECT is to say the same.
TEST_CASE("file: large aligned writes, which go past the page cache, among others are all there") {
  const TemporaryFolder folder;
  auto file = RealFileSystem()->Open(folder.Path("f"), FileSystem::Mode::kCreate);
  REQUIRE(file.ok());
  Random random(3);
  std::string model;
  for (int i = 0; i < 60; ++i) {
    const bool aligned = random.Below(2) == 0;
    uint64_t offset = random.Below(1 << 20);
    size_t length = random.Below(2) == 0 ? 200'000 + random.Below(400'000) : random.Below(5000);
    if (aligned) {
      offset = offset / kDirectAlignBytes * kDirectAlignBytes;
      length = (length / kDirectAlignBytes + 1) * kDirectAlignBytes;
    }
    DirectString bytes(length, static_cast<char>('a' + i % 26));
    REQUIRE(((*file)->WriteAt(offset, bytes)).ok());
    model.resize(std::max<size_t>(model.size(), offset + length));
    model.replace(offset, length, bytes.data(), length);
    if (i % 7 == 0) REQUIRE((*file)->Sync().ok());
    std::string read(model.size(), '\0');
    const auto got = (*file)->ReadAt(0, read.data(), read.size());
    REQUIRE(got.ok());
    REQUIRE(*got == model.size());
    REQUIRE(read == model);
  }
  REQUIRE(RealFileSystem()->ReadFile(folder.Path("f")).value() == model);
}

TEST_CASE("file: a pipe is read to its end, as a file is") {
  const TemporaryFolder folder;
  const std::string path = folder.Path("pipe");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  const std::string text(200'000, 'x');
  std::thread writer([&] {
    FILE* file = fopen(path.c_str(), "w");
    fwrite(text.data(), 1, text.size(), file);
    fclose(file);
  });
  const auto read = RealFileSystem()->ReadFile(path);
  writer.join();
  REQUIRE(read.ok());
  REQUIRE(*read == text);
  REQUIRE(RealFileSystem()->WriteFileAtomically(folder.Path("empty"), "").ok());
  REQUIRE(RealFileSystem()->ReadFile(folder.Path("empty"))->empty());
}

}  // namespace cairn
