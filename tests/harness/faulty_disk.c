// SPDX-License-Identifier: BSD-3-Clause
//
// A disk that fails on demand, for LD_PRELOAD. $FAULTY_DISK names a file that
// harness/faulty_disk.py writes and that is read anew at each call, a rule a line:
//
//   OPERATION ERRNO PERCENT PATH
//
// OPERATION is pwrite (or write), half (a pwrite of which half is written), sync (of a file),
// syncdir, rename, open (for writing), link, unlink, pread, stall (a pwrite waits while the rule
// stands, and an open for writing, whatever ERRNO), stallsync (a sync of either kind does); ERRNO a
// number; PERCENT how many of the calls fail; and PATH a part of the file's path. The first rule
// that fits decides.
#include "preloaded.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The number of the error that `operation` on `path` is to end with; 0: none.
static int Fault(const char* operation, const char* path) {
  static _Atomic uint32_t state = 12345;
  const char* rules_path = getenv("FAULTY_DISK");
  char rules[4096];
  if (rules_path == NULL) return 0;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, rules_path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  const ssize_t size = syscall(SYS_read, fd, rules, sizeof rules - 1);
  syscall(SYS_close, fd);
  if (size <= 0) return 0;
  rules[size] = '\0';
  char* rest = rules;
  for (char* line; (line = strsep(&rest, "\n")) != NULL;) {
    char wanted[16], part[1024];
    int error, percent;
    if (sscanf(line, "%15s %d %d %1023s", wanted, &error, &percent, part) != 4) continue;
    if (strcmp(wanted, operation) != 0 || strstr(path, part) == NULL) continue;
    const uint32_t dice = atomic_fetch_add(&state, 2654435761u);
    return (int)((dice >> 8) % 100) < percent ? error : 0;
  }
  return 0;
}

static int FaultOf(const char* operation, int fd) {
  char path[4096];
  PathOf(fd, path, sizeof path);
  return path[0] == '/' ? Fault(operation, path) : 0;
}

// What is logged is not written to the disk that fails.
ssize_t write(int fd, const void* bytes, size_t size) {
  errno = fd <= STDERR_FILENO ? 0 : FaultOf("pwrite", fd);
  return errno != 0 ? -1 : REAL(write)(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  while (FaultOf("stall", fd) != 0) usleep(2000);
  errno = FaultOf("pwrite", fd);
  if (errno != 0) return -1;
  const int half = FaultOf("half", fd);
  if (half != 0) {
    if (size > 1) return REAL(pwrite64)(fd, bytes, size / 2, offset);
    errno = half;
    return -1;
  }
  return REAL(pwrite64)(fd, bytes, size, offset);
}
ALSO(pwrite, pwrite64);

ssize_t pread64(int fd, void* bytes, size_t size, off64_t offset) {
  errno = FaultOf("pread", fd);
  return errno != 0 ? -1 : REAL(pread64)(fd, bytes, size, offset);
}
ALSO(pread, pread64);

static int SyncFault(int fd) {
  while (FaultOf("stallsync", fd) != 0) usleep(2000);
  struct stat st;
  const int folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
  return FaultOf(folder ? "syncdir" : "sync", fd);
}
int fdatasync(int fd) {
  errno = SyncFault(fd);
  return errno != 0 ? -1 : REAL(fdatasync)(fd);
}
int fsync(int fd) {
  errno = SyncFault(fd);
  return errno != 0 ? -1 : REAL(fsync)(fd);
}

int rename(const char* from, const char* to) {
  errno = Fault("rename", to);
  return errno != 0 ? -1 : REAL(rename)(from, to);
}
int link(const char* from, const char* to) {
  errno = Fault("link", to);
  return errno != 0 ? -1 : REAL(link)(from, to);
}
int unlink(const char* path) {
  errno = Fault("unlink", path);
  return errno != 0 ? -1 : REAL(unlink)(path);
}

int open64(const char* path, int flags, ...) {
  const mode_t mode = MODE_BEHIND(flags);
  if ((flags & O_ACCMODE) != O_RDONLY) {
    errno = Fault("open", path);
    if (errno != 0) return -1;
  }
  const int fd = REAL(open64)(path, flags, mode);
  const int error = errno;
  while (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY && FaultOf("stall", fd) != 0) usleep(2000);
  errno = error;
  return fd;
}
ALSO(open, open64);
