// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_lock.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/file.h"

namespace cairn {
namespace {

struct TemporaryFolder {
  TemporaryFolder() { REQUIRE(mkdtemp(path) != nullptr); }
  ~TemporaryFolder() {
    unlink(Lock().c_str());
    rmdir(path);
  }
  std::string Lock() const { return std::string(path) + "/lock"; }
  char path[32] = "/tmp/cairn-unit-XXXXXX";
};

}  // namespace

TEST_CASE("A file lock is held once and names its owner", "[file-lock]") {
  TemporaryFolder folder;
  auto first = FileLock::Take(folder.Lock());
  REQUIRE(first.ok());
  REQUIRE(first->held());
  auto second = FileLock::Take(folder.Lock());
  REQUIRE(!second.ok());
  REQUIRE(second.status().code() == StatusCode::kUnavailable);
  REQUIRE(second.status().message().find("process " + std::to_string(getpid())) !=
          std::string::npos);
  REQUIRE(RealFileSystem()->ReadFile(folder.Lock()).value() == std::to_string(getpid()) + "\n");
}

TEST_CASE("A file lock ends with its object, and moves", "[file-lock]") {
  TemporaryFolder folder;
  FileLock kept;
  {
    auto first = FileLock::Take(folder.Lock());
    REQUIRE(first.ok());
    kept = std::move(*first);
  }
  REQUIRE(!FileLock::Take(folder.Lock()).ok());
  kept = FileLock();
  REQUIRE(FileLock::Take(folder.Lock()).ok());
}

TEST_CASE("A file lock ends with its process", "[file-lock]") {
  TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    auto lock = FileLock::Take(folder.Lock());
    _exit(lock.ok() ? 0 : 1);  // no destructor: as a killed process would
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(FileLock::Take(folder.Lock()).ok());
}

TEST_CASE("A lock in a folder that is not there fails", "[file-lock]") {
  auto lock = FileLock::Take("/nonexistent/folder/lock");
  REQUIRE(!lock.ok());
  REQUIRE(lock.status().code() != StatusCode::kUnavailable);
}

}  // namespace cairn
