// SPDX-License-Identifier: BSD-3-Clause
//
// A folder of a test's own, which goes with all that is in it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace cairn {

struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/cairn-unit-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string Path(const std::string& file) const { return path + "/" + file; }

  std::string path;
};

}  // namespace cairn
