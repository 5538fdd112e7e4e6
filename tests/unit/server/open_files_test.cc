// SPDX-License-Identifier: BSD-3-Clause
//
// How many clients fit below a limit of open files. A lowered hard limit cannot be raised again, so
// each case asks in a process of its own.
#include "server/open_files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

namespace cairn {
namespace {

// What is left of `clients` under a hard limit, with one worker or some.
int64_t Fit(rlim_t files, int64_t clients, size_t workers) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit limit{files, files};
    int64_t fit = INT64_MIN;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) fit = MakeRoomForClients(clients, workers).clients;
    _exit(write(pipe_ends[1], &fit, sizeof fit) != sizeof fit);
  }
  close(pipe_ends[1]);
  int64_t fit = 0;
  REQUIRE(read(pipe_ends[0], &fit, sizeof fit) == sizeof fit);
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return fit;
}

}  // namespace

TEST_CASE("open files: all clients fit beside the whole reserve, or fewer do") {
  const int64_t reserve = kReservedFiles + 4 * kReservedFilesPerWorker;
  REQUIRE(Fit(1024, 1024 - reserve, 4) == 1024 - reserve);
  REQUIRE(Fit(1024, 1024 - reserve + 1, 4) == 1024 - reserve);
  REQUIRE(Fit(1024, 10'000, 4) == 1024 - reserve);
}

TEST_CASE("open files: what is set aside shrinks before nobody is served") {
  // A limit that the whole reserve alone would not leave anything of.
  REQUIRE(Fit(160, 10'000, 4) == (160 - 52) / 2);
  REQUIRE(Fit(54, 10'000, 4) == 1);
  REQUIRE(Fit(52, 10'000, 4) < 1);
  // Where little is left beside it, the half of more is more.
  REQUIRE(Fit(200, 10'000, 1) == (200 - 37) / 2);
  // Never fewer for a higher limit.
  int64_t before = 0;
  for (rlim_t files = 40; files < 600; files += 20) {
    const int64_t fit = Fit(files, 10'000, 1);
    REQUIRE(fit > before);
    before = fit;
  }
}

}  // namespace cairn
