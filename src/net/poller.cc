// SPDX-License-Identifier: BSD-3-Clause
#include "net/poller.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "base/check.h"

namespace cairn {

struct Poller::Loop {
  uv_loop_t loop;
  uv_async_t wake;
};

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) {
    status_ = Status::FromErrno("epoll_create1", errno);
    return;
  }
  auto parts = std::make_unique<Loop>();
  int error = uv_loop_init(&parts->loop);
  if (error != 0) {
    status_ = Status::FromErrno("event loop", -error);
    return;
  }
  loop_ = std::move(parts);
  loop_->loop.data = this;
  error = uv_async_init(&loop_->loop, &loop_->wake, [](uv_async_t* handle) {
    static_cast<Poller*>(handle->loop->data)->woken_ = true;
  });
  struct epoll_event event = {};  // without a watcher
  event.events = EPOLLIN;
  if (error != 0) {
    status_ = Status::FromErrno("event loop", -error);
  } else if (epoll_ctl(epoll_, EPOLL_CTL_ADD, uv_backend_fd(&loop_->loop), &event) != 0) {
    status_ = Status::FromErrno("epoll_ctl", errno);
  }
  // A loop begins to watch what it was given when it runs.
  uv_run(&loop_->loop, UV_RUN_NOWAIT);
}

Poller::~Poller() {
  if (loop_ != nullptr) {
    uv_walk(
        &loop_->loop, [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); }, nullptr);
    uv_run(&loop_->loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_->loop) == 0);
  }
  if (epoll_ >= 0) close(epoll_);
}

int Poller::Watch(int fd, uint32_t before, uint32_t wanted, PollWatcher* watcher) {
  struct epoll_event event = {};
  if (wanted & kReadable) event.events |= EPOLLIN;
  if (wanted & kWritable) event.events |= EPOLLOUT;
  event.data.ptr = watcher;
  // Unwatched it is taken out, for a hang-up is told whatever is watched for, again and again.
  const int operation = wanted == 0 ? EPOLL_CTL_DEL : before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  return epoll_ctl(epoll_, operation, fd, &event) == 0 ? 0 : errno;
}

bool Poller::Wait(int timeout_ms) {
  struct epoll_event events[kEventsMax];
  const int n = epoll_wait(epoll_, events, kEventsMax, timeout_ms);
  CHECK(n >= 0 || errno == EINTR);
  woken_ = false;
  count_ = 0;
  for (int i = 0; i < n; ++i) {
    auto* watcher = static_cast<PollWatcher*>(events[i].data.ptr);
    if (watcher == nullptr) {
      uv_run(&loop_->loop, UV_RUN_NOWAIT);
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
  return woken_;
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
  if (status_.ok()) uv_async_send(&loop_->wake);
}

}  // namespace cairn
