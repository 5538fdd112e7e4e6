// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "tests/unit/support/temporary_folder.h"

namespace cairn {
TEST_CASE("A file lock is held once and names its owner", "[file-lock]") {
  TemporaryFolder folder;
  auto first = FileLock::Take(folder.Path("lock"));
  REQUIRE(first.ok());
  REQUIRE(first->held());
  auto second = FileLock::Take(folder.Path("lock"));
  REQUIRE(!second.ok());
  REQUIRE(second.status().code() == StatusCode::kUnavailable);
  REQUIRE(second.status().message().find("process " + std::to_string(getpid())) !=
          std::string::npos);
  REQUIRE(RealFileSystem()->ReadFile(folder.Path("lock")).value() == std::to_string(getpid()) + "\n");
}

TEST_CASE("A file lock ends with its object, and moves", "[file-lock]") {
  TemporaryFolder folder;
  FileLock kept;
  {
    auto first = FileLock::Take(folder.Path("lock"));
    REQUIRE(first.ok());
    kept = std::move(*first);
  }
  REQUIRE(!FileLock::Take(folder.Path("lock")).ok());
  kept = FileLock();
  REQUIRE(FileLock::Take(folder.Path("lock")).ok());
}

TEST_CASE("A file lock ends with its process", "[file-lock]") {
  TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    auto lock = FileLock::Take(folder.Path("lock"));
    _exit(lock.ok() ? 0 : 1);  // no destructor: as a killed process would
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(FileLock::Take(folder.Path("lock")).ok());
}

TEST_CASE("A lock in a folder that is not there fails", "[file-lock]") {
  auto lock = FileLock::Take("/nonexistent/folder/lock");
  REQUIRE(!lock.ok());
  REQUIRE(lock.status().code() != StatusCode::kUnavailable);
}

}  // namespace cairn
