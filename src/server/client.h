// SPDX-License-Identifier: BSD-3-Clause
//
// Client: a connection, the parser of its requests and its session. Lives on one worker and
// deletes itself when the connection is gone.
//
//   bytes -> parser -> batch -> Executor::Run -> connection.out() -> one write at the turn's end
//
// A session that suspends itself in mid-batch (paused, parked for the log, blocked) leaves the rest
// of the batch unexecuted: the parser keeps those bytes and Resume parses them again. A suspended
// connection goes on reading, up to the query buffer limit, so that its end is noticed.
#pragma once

#include <memory>

#include "config/config.h"
#include "exec/session.h"
#include "net/connection.h"
#include "pubsub/local_table.h"
#include "resp/request_parser.h"
#include "server/worker_context.h"

namespace cairn {

class Server;

class Client final : public ConnectionHandler, public Subscriber {
 public:
  Client(Server* server, WorkerContext* context, std::shared_ptr<ClientRecord> record);
  ~Client() override;

  void Attach(Connection& connection);
  // The transport knows who this is (a verified certificate). False: no enabled user has this name.
  bool LogIn(std::string_view name);
  Session& session() { return session_; }
  Connection* connection() { return connection_; }
  // Lets `body` write output of its own; false if the connection is closing.
  bool Deliver(FunctionRef<void(Session&, OutputBuffer&)> body);
  void OnMessage(const std::shared_ptr<const PubsubMessage>& message,
                 std::string_view head) override;
  // Judges the unread output: by client-output-buffer-limit; and a follower's connection holds the
  // stream alone, so whatever else was said to it ends it, as in Redis. False: the connection is
  // closed, or was closing already. Called whenever output was added, and by cron for the soft
  // limit.
  bool MayKeepOutput();
  // Ends a connection whose first held reply has waited for min-replicas-durable-timeout.
  void CheckHeld();
  // What waits for the log is told that its outcome is not known, and the connection ends.
  void GiveUpHeld();
  // The reason for the suspension is gone: runs what was left.
  void Resume();
  // Answers the client's WAIT or WAITAOF if what it waits for is there. False: it waits on.
  bool EndSyncWait();

  void OnApproach() override;
  std::span<char> OnReadBuffer(Connection& connection, std::span<char> scratch) override;
  void OnData(Connection& connection, char* data, size_t n) override;
  void OnEof(Connection& connection) override;
  void OnOutputCap(Connection& connection) override;
  void OnClosed(Connection& connection) override;

 private:
  void Process();
  void MakeRoom();
  void Publish();
  void PublishMemory();
  void ArmWait();
  void ScheduleWait();
  void OnWaitTimeout();
  void EndWait(const std::shared_ptr<Waiter>& waiter);
  void AbandonWait();
  BufferClass OutputClass() const;
  bool WithinLimitBeforeAuth();
  void CloseForOutput();
  void CloseFollower();

  Server& server_;
  WorkerContext& context_;
  Connection* connection_ = nullptr;
  const ClientRecord* const record_;  // the session's
  int64_t soft_limit_since_ms_ = -1;  // monotonic; -1: below the soft limit
  int64_t counted_bytes_ = 0;         // of this client by ClientMemory
  Session session_;
  RequestParser parser_;
  int64_t held_since_ms_ = -1;  // monotonic; -1: nothing was held
  uint64_t held_position_ = 0;  // of the first held reply, as cron saw it last
  Timer wait_timer_;            // of a blocking command
  int64_t wait_ends_ms_ = 0;    // monotonic
};

}  // namespace cairn
