// SPDX-License-Identifier: BSD-3-Clause
#include "net/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "net/bump.h"
#include "net/worker.h"

namespace cairn {

void ConnectionHandler::OnEof(Connection& connection) { connection.CloseAfterFlush(); }
void ConnectionHandler::OnOutputCap(Connection& connection) { connection.Close(); }

namespace {

std::string SocketText(const sockaddr_storage& address, socklen_t length) {
  char text[INET6_ADDRSTRLEN];
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(in.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return std::string("[").append(text).append("]:").append(
        std::to_string(ntohs(in.sin6_port)));
  }
  const auto& un = reinterpret_cast<const sockaddr_un&>(address);
  size_t path = 0;  // an unnamed socket has none
  if (length > offsetof(sockaddr_un, sun_path)) path = strnlen(un.sun_path, sizeof un.sun_path);
  return std::string(un.sun_path, path) + ":0";
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127;
  }
  if (address.ss_family != AF_INET6) return true;
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && ip.s6_addr[12] == 127);
}

}  // namespace

Connection::Connection(Worker* worker, int fd, ConnectionHandler* handler)
    : worker_(*worker),
      handler_(handler),
      transport_(&socket_),
      socket_(fd),
      fd_(fd),
      out_(worker->chunk_pool()) {
  CHECK(handler != nullptr);
  linger_.set_callback([this] { Fail(ETIMEDOUT); });
  read_on_.set_callback([this] { OnReady(kReadable); });
  DescribeAddresses();
}

Connection::~Connection() = default;

// A unix socket shows its path on both sides, as Redis does.
void Connection::DescribeAddresses() {
  sockaddr_storage local{}, peer{};
  socklen_t local_length = sizeof local, peer_length = sizeof peer;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &local_length) != 0) return;
  local_address_ = SocketText(local, local_length);
  is_unix_ = local.ss_family == AF_UNIX;
  is_loopback_ = is_unix_;
  if (is_unix_) {
    peer_address_ = local_address_;
  } else if (getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &peer_length) == 0) {
    peer_address_ = SocketText(peer, peer_length);
    is_loopback_ = IsLoopback(peer);
  } else {
    peer_address_ = "?:0";
  }
}

void Connection::UpdateInterest() {
  if (state_ == State::kClosed) return;
  uint8_t wanted = 0;
  if (state_ == State::kOpen && !paused_ && !eof_) wanted |= kReadable;
  if (socket_full_ || transport_->WantsWritable()) wanted |= kWritable;
  if (wanted == interest_) [[likely]]
    return;
  const int error = worker_.poller_.Watch(fd_, interest_, wanted, this);
  interest_ = wanted;
  if (error != 0) Fail(error);
}

void Connection::Approach(int step) {
  if (step == 0) {
    __builtin_prefetch(handler_);
  } else {
    handler_->OnApproach();
  }
}

void Connection::FailBySocket() {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  Fail(error != 0 ? error : EIO);
}

void Connection::OnReady(uint32_t events) {
  if (state_ == State::kClosed) return;  // since the event was fetched
  worker_.BeginTurn();
  if (events == kFailed) return FailBySocket();
  if (events & interest_ & kWritable) {
    socket_full_ = false;
    Flush();
  }
  if (state_ == State::kClosed) return;
  // A handshake may wait to send before it can read on.
  if ((events & kReadable) || (state_ == State::kOpen && transport_->WantsWritable())) {
    ReadAll();
  }
  UpdateInterest();
}

void Connection::ReadAll() {
  const uint64_t before = bytes_in_;
  int reads = 0;
  do {
    ReadOnce();
    if (state_ != State::kOpen || paused_ || eof_ || !transport_->HasBufferedInput()) return;
  } while (bytes_in_ - before < kReadBytesMax && ++reads < kReadsMax);
  worker_.ScheduleAfter(&read_on_, 0);
}

void Connection::ReadOnce() {
  if (state_ != State::kOpen || paused_ || eof_) return;
  std::span<char> target =
      handler_->OnReadBuffer(*this, {worker_.scratch_.get(), Worker::kScratchBytes});
  ssize_t n = transport_->Read(target.data(), target.size());
  if (n > 0) [[likely]] {
    size_t bytes = static_cast<size_t>(n);
    bytes_in_ += bytes;
    Bump(&worker_.totals_.reads, 1);
    Bump(&worker_.totals_.bytes_in, bytes);
    handler_->OnData(*this, target.data(), bytes);
  } else if (n == 0) {
    eof_ = true;
    UpdateInterest();
    if (state_ == State::kOpen) handler_->OnEof(*this);
  } else if (n != -EAGAIN) {
    Fail(static_cast<int>(-n));
  }
}

void Connection::FlushSoon() {
  DCHECK(worker_.InThread());
  if (in_flush_list_ || state_ == State::kClosed) return;
  in_flush_list_ = true;
  worker_.flush_list_.push_back(this);
}

void Connection::FlushLater() {
  DCHECK(worker_.InThread());
  if (in_later_list_ || in_flush_list_ || state_ == State::kClosed) return;
  in_later_list_ = true;
  worker_.later_list_.push_back(this);
}

void Connection::Flush() {
  DCHECK(worker_.InThread());
  if (state_ == State::kClosed) return;
  size_t sent = 0;
  while (!socket_full_) {
    size_t sendable = out_.Sendable(worker_.durable_);
    if (sendable == 0) break;
    struct iovec vectors[kVectorsMax];
    int count = out_.Gather(vectors, kVectorsMax, sendable);
    size_t gathered = 0;
    for (int i = 0; i < count; i++) gathered += vectors[i].iov_len;
    ssize_t n = transport_->Write(vectors, count);
    if (n < 0 && n != -EAGAIN) return Fail(static_cast<int>(-n));
    size_t bytes = n < 0 ? 0 : static_cast<size_t>(n);
    out_.Consume(bytes);
    bytes_out_ += bytes;
    sent += bytes;
    Bump(&worker_.totals_.writes, 1);
    Bump(&worker_.totals_.bytes_out, bytes);
    if (bytes < gathered || sent >= kFlushBytesMax) {
      socket_full_ = out_.Sendable(worker_.durable_) > 0;
    }
  }
  AfterFlush();
}

void Connection::AfterFlush() {
  if (out_.empty()) {
    cap_reported_ = false;
    if (state_ == State::kFlushing) return Close();
    if (was_delayed_) {
      was_delayed_ = false;
      UpdateInterest();
      if (state_ == State::kOpen) handler_->OnDrained(*this);
      return;
    }
  } else {
    was_delayed_ = true;
    if (!socket_full_ && !in_hold_list_) {
      in_hold_list_ = true;
      worker_.hold_list_.push_back(this);
    }
    if (output_cap_ != 0 && out_.size() > output_cap_ && !cap_reported_) {
      cap_reported_ = true;
      handler_->OnOutputCap(*this);
    }
  }
  UpdateInterest();
}

void Connection::PauseReading() {
  paused_ = true;
  UpdateInterest();
}

void Connection::ResumeReading() {
  paused_ = false;
  if (transport_ != nullptr && transport_->HasBufferedInput()) worker_.ScheduleAfter(&read_on_, 0);
  UpdateInterest();
}

void Connection::CloseAfterFlush() {
  if (state_ != State::kOpen) return;
  state_ = State::kFlushing;
  worker_.ScheduleAfter(&linger_, kLingerMs);
  UpdateInterest();
  FlushSoon();
}

// Closing a socket that has unread input makes the kernel send a reset, which may overtake the
// last reply (the text of a protocol error, say). A bounded look for such input avoids most of it.
void Connection::DiscardInput() {
  for (int i = 0; i < 16; i++) {
    if (recv(fd_, worker_.scratch_.get(), Worker::kScratchBytes, MSG_DONTWAIT) <= 0) return;
  }
}

// Sends what would have been sent by now if it had not had to wait for its turn.
void Connection::FlushLate() {
  std::deque<Connection*>& list = worker_.later_list_;
  std::replace(list.begin(), list.end(), this, static_cast<Connection*>(nullptr));
  in_later_list_ = false;
  Flush();
}

void Connection::Close() {
  DCHECK(worker_.InThread());
  if (in_later_list_) FlushLate();
  if (state_ == State::kClosed) return;
  bool orderly = state_ == State::kFlushing && error_ == 0;
  state_ = State::kClosed;
  linger_.Cancel();
  read_on_.Cancel();
  if (orderly && !eof_) DiscardInput();
  // The loop lets go of the descriptor first: once closed, its number may be another connection's.
  if (interest_ != 0) (void)worker_.poller_.Watch(fd_, interest_, 0, this);
  interest_ = 0;
  worker_.Release(this);
  transport_ = nullptr;
  layer_.reset();
  close(fd_);
  fd_ = -1;
}

void Connection::Fail(int error_number) {
  if (state_ == State::kClosed) return;
  error_ = error_number;
  Close();
}

void Connection::OnReleased() {
  out_.Clear();
  handler_->OnClosed(*this);
  worker_.Remove(this);
  delete this;
}

}  // namespace cairn
