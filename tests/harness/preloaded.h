// SPDX-License-Identifier: BSD-3-Clause
//
// What the libraries share that harness/preloaded.py puts before the C library. Included first.
// They call what they replace by REAL, or by syscall where their bookkeeping is not to meet itself.
#ifndef CAIRN_TESTS_HARNESS_PRELOADED_H_
#define CAIRN_TESTS_HARNESS_PRELOADED_H_

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

// The function that a caller would reach without us.
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// `name` is another name of our `function`: pwrite of pwrite64, say, as off_t has 64 bits.
#define ALSO(name, function) __typeof__(function) name __attribute__((alias(#function)))

// The third argument of an open, which is there if it may create the file.
#define MODE_BEHIND(flags)                                            \
  __extension__({                                                     \
    va_list more;                                                     \
    va_start(more, flags);                                            \
    const mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                     \
    mode;                                                             \
  })

// The path of what the descriptor is open on; "" if there is none.
static inline void PathOf(int fd, char* path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, size - 1);
  path[length < 0 ? 0 : length] = '\0';
}

#endif
