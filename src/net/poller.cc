// SPDX-License-Identifier: BSD-3-Clause
#include "net/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"

namespace cairn {

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) {
    status_ = Status::FromErrno("epoll_create1", errno);
    return;
  }
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {};  // without a watcher
  event.events = EPOLLIN;
  if (wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0)
    status_ = Status::FromErrno("eventfd", errno);
}

Poller::~Poller() {
  if (epoll_ >= 0) close(epoll_);
  if (wake_ >= 0) close(wake_);
}

int Poller::Watch(int fd, uint32_t before, uint32_t wanted, PollWatcher* watcher) {
  struct epoll_event event = {};
  if (wanted & kReadable) event.events |= EPOLLIN;
  if (wanted & kWritable) event.events |= EPOLLOUT;
  event.data.ptr = watcher;
  // Unwatched it is taken out, for a hang-up is told whatever is watched for, again and again.
  const int operation = wanted == 0   ? EPOLL_CTL_DEL
                        : before == 0 ? EPOLL_CTL_ADD
                                      : EPOLL_CTL_MOD;
  return epoll_ctl(epoll_, operation, fd, &event) == 0 ? 0 : errno;
}

bool Poller::Wait(int timeout_ms) {
  struct epoll_event events[kEventsMax];
  const int n = epoll_wait(epoll_, events, kEventsMax, timeout_ms);
  CHECK(n >= 0 || errno == EINTR);
  bool woken = false;
  count_ = 0;
  for (int i = 0; i < n; ++i) {
    auto* watcher = static_cast<PollWatcher*>(events[i].data.ptr);
    if (watcher == nullptr) {
      uint64_t count;
      (void)!read(wake_, &count, sizeof count);
      woken = true;
      continue;
    }
    const uint32_t told = events[i].events;
    uint32_t ready = 0;
    if (told & EPOLLERR) {
      ready = kFailed;
    } else {
      if (told & EPOLLIN) ready |= kReadable;
      if (told & EPOLLOUT) ready |= kWritable;
      // The call that was waited for says how the connection ended.
      if (ready == 0) ready = kReadable | kWritable;
    }
    ready_[count_++] = {watcher, ready};
  }
  return woken;
}

// Of the events behind `index`, which is about to be told: the third's own first lines, what the
// second says that it touches, what the next says when it has that.
void Poller::ApproachBehind(int index) {
  constexpr int kLines = 3;
  if (const int third = index + kStepsAhead; third < count_) {
    const char* lines = reinterpret_cast<const char*>(ready_[third].watcher);
    for (int i = 0; i < kLines; ++i) __builtin_prefetch(lines + 64 * i);
  }
  if (index >= -2 && index + 2 < count_) ready_[index + 2].watcher->Approach(0);
  if (index >= -1 && index + 1 < count_) ready_[index + 1].watcher->Approach(1);
}

void Poller::Tell() {
  for (int i = -kStepsAhead; i < count_; ++i) {
    ApproachBehind(i);
    if (i >= 0) ready_[i].watcher->OnReady(ready_[i].events);
  }
  count_ = 0;
}

void Poller::Wake() {
  const uint64_t one = 1;
  if (wake_ >= 0) (void)!write(wake_, &one, sizeof one);
}

}  // namespace cairn
