// SPDX-License-Identifier: BSD-3-Clause
//
// What a power cut would leave of a server's files, for LD_PRELOAD; harness/power_cut.py cuts.
// $POWER_CUT names a folder. Of each file below a folder of the name appendonlydir that is opened
// for writing, FOLDER/INODE has the bytes that syncs have made durable: those that were in the file
// when a sync began which has ended since. Names of files are taken for durable at once.
//
// FOLDER/times gets a line for each write and sync of such a file that succeeded, once it has:
//
//   write|sync BEGIN END PATH      (nanoseconds of CLOCK_MONOTONIC)
//
// While FOLDER/hold is there, syncs hang.
#include "preloaded.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// A part of a file that was written since the last sync that began.
struct Range {
  off64_t from, to;
};
struct Tracked {
  ino64_t inode;
  struct Range* dirty;
  size_t count, room;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct Tracked* tracked;
static size_t tracked_count;

static int OpenInFolder(const char* name, int flags) {
  char path[4096];
  const char* folder = getenv("POWER_CUT");
  if (folder == NULL) return -1;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static int OpenShadow(ino64_t inode, int flags) {
  char name[32];
  snprintf(name, sizeof name, "%llu", (unsigned long long)inode);
  return OpenInFolder(name, O_RDWR | O_CREAT | flags);
}

static int64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

// Under the mutex, as the next. NULL: no file of ours.
static struct Tracked* Find(int fd) {
  struct stat64 st;
  if (fstat64(fd, &st) != 0) return NULL;
  for (size_t i = 0; i < tracked_count; ++i)
    if (tracked[i].inode == st.st_ino) return &tracked[i];
  return NULL;
}

static void Add(struct Tracked* file, off64_t from, off64_t to) {
  if (from >= to) return;
  if (file->count > 0 && file->dirty[file->count - 1].to == from) {
    file->dirty[file->count - 1].to = to;
    return;
  }
  if (file->count == file->room) {
    file->room = 2 * file->room + 16;
    file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty);
  }
  file->dirty[file->count++] = (struct Range){from, to};
}

static void Note(const char* what, int64_t begin, int fd) {
  char path[2048], line[2200];
  PathOf(fd, path, sizeof path);
  const int length = snprintf(line, sizeof line, "%s %lld %lld %s\n", what, (long long)begin,
                              (long long)Now(), path);
  const int out = OpenInFolder("times", O_WRONLY | O_CREAT | O_APPEND);
  if (out < 0 || syscall(SYS_write, out, line, (size_t)length) != length) abort();
  syscall(SYS_close, out);
}

static void Track(int fd, const char* path) {
  struct stat64 st;
  if (fd < 0 || strstr(path, "appendonlydir/") == NULL || fstat64(fd, &st) != 0) return;
  pthread_mutex_lock(&mutex);
  struct Tracked* file = Find(fd);
  if (file == NULL) {
    tracked = realloc(tracked, (tracked_count + 1) * sizeof *tracked);
    file = &tracked[tracked_count++];
    memset(file, 0, sizeof *file);
    file->inode = st.st_ino;
    // Perhaps another process wrote it, and never synced.
    Add(file, 0, st.st_size);
  }
  if (st.st_size == 0) {  // new, or emptied: of a file of that number before it nothing is left
    file->count = 0;
    const int shadow = OpenShadow(file->inode, O_TRUNC);
    if (shadow >= 0) syscall(SYS_close, shadow);
  }
  pthread_mutex_unlock(&mutex);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  const int64_t begin = Now();
  const ssize_t done = REAL(pwrite64)(fd, bytes, size, offset);
  pthread_mutex_lock(&mutex);
  struct Tracked* file = Find(fd);
  if (file != NULL && done > 0) Add(file, offset, offset + done);
  pthread_mutex_unlock(&mutex);
  if (file != NULL && done > 0) Note("write", begin, fd);
  return done;
}
ALSO(pwrite, pwrite64);

// Copies the ranges out of the file as it is now, into one block of memory.
static char* CopyOut(int fd, const struct Range* ranges, size_t count) {
  size_t bytes = 1, done = 0;
  for (size_t i = 0; i < count; ++i) bytes += (size_t)(ranges[i].to - ranges[i].from);
  char* copy = calloc(1, bytes);
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);  // a descriptor without O_DIRECT
  const int file = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) abort();
  for (size_t i = 0; i < count; ++i) {
    const size_t length = (size_t)(ranges[i].to - ranges[i].from);
    // Shorter if the file was cut since.
    if (syscall(SYS_pread64, file, copy + done, length, ranges[i].from) < 0) abort();
    done += length;
  }
  syscall(SYS_close, file);
  return copy;
}

static void CopyIn(ino64_t inode, const struct Range* ranges, size_t count, const char* copy,
                   off64_t size) {
  const int shadow = OpenShadow(inode, 0);
  if (shadow < 0) abort();
  for (size_t i = 0; i < count; ++i) {
    const size_t length = (size_t)(ranges[i].to - ranges[i].from);
    if (syscall(SYS_pwrite64, shadow, copy, length, ranges[i].from) != (ssize_t)length) abort();
    copy += length;
  }
  struct stat64 st;
  if (fstat64(shadow, &st) == 0 && st.st_size > size && syscall(SYS_ftruncate, shadow, size) != 0)
    abort();
  syscall(SYS_close, shadow);
}

static void WaitWhileHeld(void) {
  for (;;) {
    const int held = OpenInFolder("hold", O_RDONLY);
    if (held < 0) return;
    syscall(SYS_close, held);
    usleep(2000);
  }
}

static int Sync(int fd, int (*real)(int)) {
  pthread_mutex_lock(&mutex);
  struct Tracked* file = Find(fd);
  if (file == NULL) {
    pthread_mutex_unlock(&mutex);
    return real(fd);
  }
  const ino64_t inode = file->inode;
  struct Range* ranges = file->dirty;
  const size_t count = file->count;
  file->dirty = NULL;
  file->count = file->room = 0;
  struct stat64 st;
  if (fstat64(fd, &st) != 0) abort();
  pthread_mutex_unlock(&mutex);
  const int64_t begin = Now();
  char* copy = CopyOut(fd, ranges, count);
  WaitWhileHeld();
  const int result = real(fd);
  if (result != 0) abort();  // the test's disk works
  CopyIn(inode, ranges, count, copy, st.st_size);
  Note("sync", begin, fd);
  free(copy);
  free(ranges);
  return result;
}
int fdatasync(int fd) {
  return Sync(fd, REAL(fdatasync));
}
int fsync(int fd) {
  return Sync(fd, REAL(fsync));
}

int open64(const char* path, int flags, ...) {
  const int fd = REAL(open64)(path, flags, MODE_BEHIND(flags));
  if ((flags & O_ACCMODE) != O_RDONLY) Track(fd, path);
  return fd;
}
ALSO(open, open64);
