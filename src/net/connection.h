// SPDX-License-Identifier: BSD-3-Clause
//
// One socket, owned by one worker for its whole life. Bytes come in through the handler's OnData;
// bytes go out by writing into out() and asking for a flush. One read and one writev a batch.
//
// Life: created by Worker::Adopt; then OnData any number of times; OnEof at most once, when the
// peer has sent its last byte (it may still read: a half-closed peer gets its replies); OnClosed
// exactly once and last, from the loop, never from inside another call of this class. After it the
// Connection is gone. Close() and CloseAfterFlush() may be called at any time, also in OnData, and
// more than once; once Close() was called no callback but OnClosed comes.
//
// Output never blocks: what the socket does not take waits in out() until it is writable, what a
// hold (see base/output_buffer.h) keeps back waits until Worker::SetDurable. Whoever lets output
// grow must look at out().size(); as a last bound, output above the cap calls OnOutputCap.
//
// Thread rule: the worker's thread, all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/output_buffer.h"
#include "net/poller.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace cairn {

class Connection;
class Worker;

// The upper layer's side of a connection. Callbacks may call anything of the Connection.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;
  // OnData comes soon: may ask for memory that it will touch (see PollWatcher::Approach). Of this
  // object the first line is there.
  virtual void OnApproach() {}
  // Where the next read goes. The default is the worker's scratch buffer.
  virtual std::span<char> OnReadBuffer(Connection&, std::span<char> scratch) { return scratch; }
  // `n` bytes were read to `data`. They are only valid during the call.
  virtual void OnData(Connection& connection, char* data, size_t n) = 0;
  // The peer will send no more. The default sends what is in out() and closes.
  virtual void OnEof(Connection& connection);
  // out() became empty after it could not be sent at once (a socket or a hold was in the way).
  virtual void OnDrained(Connection&) {}
  // out() is larger than the output cap. The default closes. Called once until it drains.
  virtual void OnOutputCap(Connection& connection);
  // Gone, for whatever reason. The handler usually deletes itself here.
  virtual void OnClosed(Connection& connection) = 0;
};

// Its members stand in the order in which a turn touches them.
class alignas(64) Connection final : private PollWatcher {
 public:
  // Two texts for CLIENT LIST: "1.2.3.4:5", "[::1]:5", "/run/cairn.sock:0".
  const std::string& peer_address() const { return peer_address_; }
  const std::string& local_address() const { return local_address_; }
  bool is_unix() const { return is_unix_; }
  bool is_loopback() const { return is_loopback_; }  // or unix: what protected mode lets in
  int fd() const { return fd_; }  // -1 in OnClosed
  Worker& worker() { return worker_; }

  ConnectionHandler* handler() { return handler_; }
  // Takes effect from the next callback on.
  void set_handler(ConnectionHandler* handler) { handler_ = handler; }

  OutputBuffer& out() { return out_; }
  // Sends out() at the end of this loop turn: the normal way, one write for all replies of a turn.
  void FlushSoon();
  // Sends out() within the next turns, in line with all who asked so: for what many connections get
  // at once (messages). The loop serves others between them, and what is added until a
  // connection's turn comes leaves in the same write.
  void FlushLater();
  // Sends now what may and can be sent.
  void Flush();

  void PauseReading();
  void ResumeReading();
  bool reading_paused() const { return paused_; }

  // Sends what is in out(), reads nothing any more, then closes; closes anyway after
  // kLingerMs. Held output is waited for.
  static constexpr int64_t kLingerMs = 10'000;
  void CloseAfterFlush();
  void Close();
  bool closing() const { return state_ != State::kOpen; }
  // The errno that ended the connection, 0 for an orderly end.
  int error() const { return error_; }

  // Hard bound of out().size(), checked after each flush; 0: none. See OnOutputCap.
  void set_output_cap(size_t bytes) { output_cap_ = bytes; }

  uint64_t bytes_in() const { return bytes_in_; }
  uint64_t bytes_out() const { return bytes_out_; }

  // For the layer that wraps the socket (TLS), before the first byte.
  void set_transport(std::unique_ptr<Transport> transport) {
    layer_ = std::move(transport);
    transport_ = layer_.get();
  }

 private:
  friend class Worker;
  enum class State : uint8_t { kOpen, kFlushing, kClosed };
  static constexpr int kVectorsMax = 64;
  // A flush that has sent this much lets others have their turn before it goes on.
  static constexpr size_t kFlushBytesMax = 4 << 20;
  // The same for what a layer has taken from the socket already: bytes, and calls of OnData.
  static constexpr size_t kReadBytesMax = 256 << 10;
  static constexpr int kReadsMax = 1024;

  Connection(Worker* worker, int fd, ConnectionHandler* handler);
  ~Connection() override;

  void Approach(int step) override;
  void OnReady(uint32_t events) override;
  void OnReleased() override;
  void DescribeAddresses();
  void FailBySocket();
  void ReadAll();
  void ReadOnce();
  void UpdateInterest();
  void Fail(int error_number);
  void AfterFlush();
  void FlushLate();
  void DiscardInput();

  Worker& worker_;
  ConnectionHandler* handler_;
  Transport* transport_;  // the socket, or the layer over it; nullptr once it is closed
  PlainTransport socket_;
  int fd_;
  uint8_t interest_ = 0;  // PollEvents that the loop watches for now
  State state_ = State::kOpen;
  bool paused_ = false;
  bool eof_ = false;
  bool socket_full_ = false;  // the last write said EAGAIN
  bool in_flush_list_ = false;
  bool in_later_list_ = false;
  bool in_hold_list_ = false;
  bool was_delayed_ = false;  // OnDrained is owed
  bool cap_reported_ = false;
  bool is_unix_ = false;
  bool is_loopback_ = false;
  OutputBuffer out_;  // the second line
  size_t output_cap_ = 0;
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  size_t worker_index_ = 0;  // in the worker's table of connections
  int error_ = 0;
  std::unique_ptr<Transport> layer_;
  Timer linger_;
  Timer read_on_;  // the transport has input of which the loop will not tell
  std::string peer_address_;
  std::string local_address_;
};

}  // namespace cairn
