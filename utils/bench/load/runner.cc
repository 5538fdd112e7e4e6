// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/runner.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "utils/bench/load/sockets.h"

namespace cairn::load {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// A server that says nothing for so long has failed.
constexpr uint64_t kSilenceNsMax = 60 * kSecond;
// Looks up from waiting this often: somebody may have said Stop().
constexpr uint64_t kWaitNsMax = kSecond / 10;
constexpr size_t kScratchBytes = 256 * 1024;
constexpr int kEventsMax = 256;

// Of the calling thread. False where it may not: that takes a privilege.
bool GoBeforeOthers() {
  sched_param least = {};
  least.sched_priority = sched_get_priority_min(SCHED_FIFO);
  return sched_setscheduler(0, SCHED_FIFO, &least) == 0;
}

// What falls to thread `index` of `threads`.
uint64_t Share(uint64_t total, uint64_t threads, uint64_t index) {
  return total / threads + (index < total % threads ? 1 : 0);
}

}  // namespace

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

Runner::Runner(const Plan* plan, uint64_t index, RunObserver* observer)
    : plan_(*plan),
      options_(plan->options),
      index_(index),
      replies_each_(static_cast<uint64_t>(plan->requests[0].replies())),
      observer_(index == 0 ? observer : nullptr),
      keys_(options_.distribution, options_.keys, options_.seed + index, plan->draws),
      random_(options_.seed + 1000 + index),
      scratch_(kScratchBytes) {
  if (options_.requests > 0) left_ = Share(options_.requests, options_.threads, index);
  if (options_.rate > 0) {
    interval_ns_ = static_cast<uint64_t>(
        static_cast<double>(options_.connections * options_.pipeline) * kSecond / options_.rate);
    interval_ns_ = std::max<uint64_t>(interval_ns_, 1);
  }
}

Runner::~Runner() {
  for (const Connection& connection : connections_) close(connection.fd);
  if (epoll_ >= 0) close(epoll_);
}

void Runner::Fail(const std::string& message) {
  if (error_.empty()) error_ = message;
  Stop();
}

void Runner::Connect() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return Fail(std::string("epoll: ") + std::strerror(errno));
  for (uint64_t i = Share(options_.connections, options_.threads, index_); i > 0; --i)
    if (!AddConnection(false)) return;
  for (uint64_t i = Share(options_.subscribers, options_.threads, index_); i > 0; --i)
    if (!AddConnection(true)) return;
}

bool Runner::AddConnection(bool subscriber) {
  Connection connection;
  connection.fd = ConnectTo(options_);
  if (connection.fd < 0) {
    Fail("connection " + std::to_string(connections_.size() + 1) + ": " + std::strerror(errno));
    return false;
  }
  connection.subscriber = subscriber;
  connection.turn = random_.Below(plan_.requests.size());
  connections_.push_back(std::move(connection));
  Connection* added = &connections_.back();
  if (subscriber) {
    const std::string error = Exchange(added->fd, Request("SUBSCRIBE news", ""), &keys_);
    if (!error.empty()) {
      Fail("SUBSCRIBE: " + error);
      return false;
    }
  }
  fcntl(added->fd, F_SETFL, O_NONBLOCK);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.ptr = added;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, added->fd, &event) == 0) return true;
  Fail(std::string("epoll_ctl: ") + std::strerror(errno));
  return false;
}

void Runner::Run(uint64_t start_ns, uint64_t begin_ns) {
  if (options_.real_time) real_time_ = GoBeforeOthers();
  prctl(PR_SET_TIMERSLACK, 1UL);  // a schedule is kept to the microsecond, not to fifty
  start_ns_ = last_reply_ns_ = start_ns;
  begin_ns_ = begin_ns;
  FirstDue();
  for (;;) {
    const uint64_t now = NowNs();
    if (observer_ != nullptr) Observe(now);
    if (stopped_.load(std::memory_order_relaxed) || Finished(now)) break;
    SendDue(now);
    Wait(now);
  }
  CountUnsent();
}

void Runner::Observe(uint64_t now) {
  if (!begun_ && now >= begin_ns_) {
    begun_ = true;
    observer_->OnBegin();
  }
  if (!ended_ && now >= end_ns()) {
    ended_ = true;
    observer_->OnEnd();
  }
}

// The connections' first batches, spread over an interval. Without a rate all are due at once.
void Runner::FirstDue() {
  uint64_t number = index_;
  for (Connection& connection : connections_) {
    if (connection.subscriber) continue;
    connection.next_due_ns = start_ns_;
    if (interval_ns_ > 0) {
      connection.next_due_ns +=
          options_.poisson ? Interval() : interval_ns_ / options_.connections * number;
    }
    number += options_.threads;
    idle_.emplace(connection.next_due_ns, &connection);
  }
}

uint64_t Runner::Interval() {
  if (!options_.poisson) return interval_ns_;
  return static_cast<uint64_t>(-std::log(1 - random_.Unit()) * static_cast<double>(interval_ns_));
}

void Runner::SendDue(uint64_t now) {
  while (!idle_.empty() && idle_.top().first <= now && left_ > 0 && now < end_ns()) {
    Connection* connection = idle_.top().second;
    idle_.pop();
    SendBatch(connection, interval_ns_ > 0 ? connection->next_due_ns : now);
  }
}

void Runner::Wait(uint64_t now) {
  uint64_t until = now + kWaitNsMax;
  if (now < begin_ns_) until = std::min(until, begin_ns_);
  if (now < end_ns()) {
    until = std::min(until, end_ns());
    if (!idle_.empty() && left_ > 0) until = std::min(until, idle_.top().first);
  }
  const uint64_t wait = until > now ? until - now : 0;
  const timespec timeout = {static_cast<time_t>(wait / kSecond), static_cast<long>(wait % kSecond)};
  epoll_event events[kEventsMax];
  int n = epoll_pwait2(epoll_, events, kEventsMax, &timeout, nullptr);
  if (n < 0 && errno == ENOSYS)  // before Linux 5.11: a schedule of whole milliseconds
    n = epoll_wait(epoll_, events, kEventsMax, static_cast<int>((wait + 999'999) / 1'000'000));
  if (n < 0 && errno != EINTR) return Fail(std::string("epoll_wait: ") + std::strerror(errno));
  for (int i = 0; i < n; ++i) {
    auto* connection = static_cast<Connection*>(events[i].data.ptr);
    if ((events[i].events & EPOLLOUT) != 0) Flush(connection);
    if ((events[i].events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) Receive(connection);
    if (!error_.empty()) return;
  }
}

bool Runner::Finished(uint64_t now) {
  if (under_way_ == 0) return left_ == 0 || now >= end_ns();
  if (now > last_reply_ns_ + kSilenceNsMax)
    Fail(std::to_string(under_way_) + " requests without a reply for a minute");
  return !error_.empty();
}

void Runner::SendBatch(Connection* connection, uint64_t due_ns) {
  const uint64_t count = std::min(options_.pipeline, left_);
  if (left_ != UINT64_MAX) left_ -= count;
  connection->due_ns = due_ns;
  if (interval_ns_ > 0) connection->next_due_ns += Interval();
  connection->out.clear();
  connection->written = 0;
  for (uint64_t i = 0; i < count; ++i) {
    plan_.requests[connection->turn].AppendTo(&connection->out, &keys_, &rising_);
    if (++connection->turn == plan_.requests.size()) connection->turn = 0;
  }
  connection->sent += count;
  under_way_ += count;
  Flush(connection);
}

void Runner::Flush(Connection* connection) {
  while (connection->written < connection->out.size()) {
    const ssize_t n = send(connection->fd, connection->out.data() + connection->written,
                           connection->out.size() - connection->written, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return Fail(std::string("send: ") + std::strerror(errno));
    connection->written += static_cast<size_t>(n);
  }
  const bool wants_write = connection->written < connection->out.size();
  if (wants_write == connection->wants_write) return;
  connection->wants_write = wants_write;
  epoll_event event = {};
  event.events = EPOLLIN | (wants_write ? EPOLLOUT : 0u);
  event.data.ptr = connection;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->fd, &event);
}

void Runner::Receive(Connection* connection) {
  const ssize_t n = recv(connection->fd, scratch_.data(), scratch_.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return Fail(std::string("recv: ") + std::strerror(errno));
  if (n == 0) return Fail("the server closed a connection");
  if (!connection->reader.Feed({scratch_.data(), static_cast<size_t>(n)}))
    return Fail("reply: " + connection->reader.error());
  if (connection->subscriber) return;
  const uint64_t whole = connection->reader.replies() / replies_each_;
  const uint64_t more = whole - connection->answered;
  if (whole > connection->sent) return Fail("more replies than requests");
  const uint64_t now = NowNs();
  last_reply_ns_ = now;
  connection->answered = whole;
  under_way_ -= more;
  answered_.store(answered_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  if (connection->due_ns >= begin_ns_)
    latencies_.Add(now > connection->due_ns ? now - connection->due_ns : 0, more);
  if (whole == connection->sent && more > 0) Continue(connection, now);
}

// After the last reply of a batch.
void Runner::Continue(Connection* connection, uint64_t now) {
  if (left_ == 0 || now >= end_ns()) return;
  if (interval_ns_ == 0) return SendBatch(connection, now);
  if (connection->next_due_ns <= now) return SendBatch(connection, connection->next_due_ns);
  idle_.emplace(connection->next_due_ns, connection);
}

void Runner::CountUnsent() {
  const uint64_t end = end_ns();
  if (interval_ns_ == 0 || end == kNever) return;
  for (Connection& connection : connections_) {
    if (connection.subscriber) continue;
    for (; connection.next_due_ns < end; connection.next_due_ns += Interval()) {
      if (connection.next_due_ns < begin_ns_) continue;
      latencies_.Add(end - connection.next_due_ns, options_.pipeline);
      unsent_ += options_.pipeline;
    }
  }
}

uint64_t Runner::nils() const {
  uint64_t sum = 0;
  for (const Connection& connection : connections_)
    if (!connection.subscriber) sum += connection.reader.nils();
  return sum;
}

uint64_t Runner::messages() const {
  uint64_t sum = 0;
  for (const Connection& connection : connections_)
    if (connection.subscriber) sum += connection.reader.replies();
  return sum;
}

}  // namespace cairn::load
