// SPDX-License-Identifier: BSD-3-Clause
//
// Poller: tells a worker which of its descriptors are ready: one epoll instance for the
// connections, and a libuv loop inside of it, whose descriptor is one of those that the instance
// waits for. The loop holds what is not of every request: now the wake-up by which other threads
// end a wait. It runs when its descriptor is ready, so that a turn of connections alone makes one
// epoll_wait.
//
// A wait fetches kEventsMax events at most. To tell that a socket is ready the kernel looks at it;
// so few are still in the processor's caches when they are read and, at the turn's end, written,
// however many are ready. Events are of the level: what is still ready is told again, behind the
// others. Who is told comes with the event (no table by descriptor), and before it is told its
// memory is fetched in steps (PollWatcher::Approach): with ten thousand connections none of it is
// in the caches, and its misses would be most of what serving one costs.
//
// A watcher that was forgotten may still be told of events that were fetched before: it has to
// live to the end of the turn (Worker::Release).
//
// Thread rule: the worker's thread (or before it starts), but Wake: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/status.h"

namespace cairn {

// What is ready, and what is watched for; errors and hang-ups are told without being asked for.
enum PollEvents : uint32_t {
  kReadable = 1 << 0,
  kWritable = 1 << 1,
  kFailed = 1 << 2,  // the socket has an error, told alone
};

class PollWatcher {
 public:
  virtual ~PollWatcher() = default;
  virtual void OnReady(uint32_t events) = 0;
  // Its OnReady comes soon: asks for memory that it will touch, without waiting for any. Step 0
  // finds this object's own first lines there, step 1 what step 0 asked for. It may be released
  // before it is told anything.
  virtual void Approach(int step) { (void)step; }
  // Worker::Release: no event is under way any more. Called once and last.
  virtual void OnReleased() = 0;
};

class Poller {
 public:
  static constexpr int kEventsMax = 64;

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Whether the system gave what it takes; nothing else may be called otherwise but Wake.
  const Status& status() const { return status_; }

  // The descriptor is watched for `wanted` events, no longer for those of `before` (0: it was not
  // watched). Returns 0, or an errno.
  int Watch(int fd, uint32_t before, uint32_t wanted, PollWatcher* watcher);
  // Waits for events, for `timeout_ms` at most (-1: for ever). True if somebody called Wake.
  bool Wait(int timeout_ms);
  // Whether the last Wait has anything to tell.
  bool tells() const { return count_ > 0; }
  // Tells the watchers of the last Wait.
  void Tell();

  // Ends a wait, or the next one.
  void Wake();

 private:
  struct Event {
    PollWatcher* watcher;
    uint32_t events;
  };
  struct Loop;  // libuv's
  static constexpr int kStepsAhead = 3;
  void ApproachBehind(int index);

  Status status_;
  int epoll_ = -1;
  int count_ = 0;
  bool woken_ = false;  // since the last Wait
  std::unique_ptr<Loop> loop_;
  Event ready_[kEventsMax];
};

}  // namespace cairn
