// SPDX-License-Identifier: BSD-3-Clause
//
// A wall clock that somebody sets, for LD_PRELOAD: the file that $STEPPED_CLOCK names holds by how
// many seconds it is off, as an int64_t; harness/stepped_clock.py writes it. Other clocks are what
// they are.
#include "preloaded.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* g_seconds;

__attribute__((constructor)) static void Map(void) {
  const char* path = getenv("STEPPED_CLOCK");
  const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* map = mmap(NULL, sizeof *g_seconds, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) g_seconds = map;
}

int clock_gettime(clockid_t id, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, id, now);
  if (result == 0 && g_seconds != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    now->tv_sec += *g_seconds;
  return result;
}
