// SPDX-License-Identifier: BSD-3-Clause
#include "server/client.h"

#include <algorithm>

#include "exec/blocking.h"
#include "exec/client_text.h"
#include "exec/monitoring.h"
#include "exec/replication_control.h"
#include "exec/subscribing.h"
#include "exec/tracking.h"
#include "exec/transaction.h"
#include "server/client_memory.h"
#include "server/server.h"

namespace cairn {
namespace {
constexpr size_t kParseAhead = 64;                   // requests parsed before they are run
constexpr size_t kPublishedOutputBytes = 16 << 10;   // less goes out before anybody counts it
constexpr int64_t kTimeoutMsMax = int64_t{1} << 52;  // of a wait; longer ones never end
constexpr size_t kSharedMessageBytesMin = 2048;      // longer messages are not copied
constexpr int64_t kMakeRoomUs = 500;                 // a read, for the rest of a big argument
constexpr size_t kUnsentMessageBytesMax = 16 * 1024;
// Of replies to one who has not logged in and does not read them.
constexpr size_t kUnsentBytesMaxBeforeAuth = 16 * 1024;
}  // namespace

Client::Client(Server* server, WorkerContext* context, std::shared_ptr<ClientRecord> record)
    : server_(*server),
      context_(*context),
      record_(record.get()),
      session_(std::move(record)) {
  session_.subscriber = this;
  session_.incoming = &parser_.own();
  wait_timer_.set_callback([this] { OnWaitTimeout(); });
  session_.user = server_.engine().users.default_user();
  session_.authenticated = server_.engine().users.default_open();
}

Client::~Client() = default;

void Client::Attach(Connection& connection) {
  connection_ = &connection;
  ClientRecord& record = *session_.record;
  {
    std::lock_guard guard(record.mutex);
    record.address = connection.peer_address();
    record.local_address = connection.local_address();
  }
  record.fd = connection.fd();
  if (connection.is_unix()) record.flags.fetch_or(kClientUnix, std::memory_order_relaxed);
  connection.set_output_cap(server_.engine().output_bytes_max);
  context_.clients[session_.id()] = this;
  server_.AddClient(session_.record);
}

// Outside the gate, which a script may hold for long. Whoever deletes the user comes before, or
// sees this client among those to be closed.
bool Client::LogIn(std::string_view name) {
  const auto users = server_.engine().users.KeepStill();
  std::shared_ptr<User> user = server_.engine().users.Find(name);
  if (user == nullptr || !user->enabled()) return false;
  {
    std::lock_guard guard(session_.record->mutex);
    session_.record->user = user->name();
  }
  session_.user = std::move(user);
  session_.authenticated = true;
  return true;
}

// What Process touches of it, but for what most clients never have.
void Client::OnApproach() {
  const auto fetch = [](const void* object, int lines) {
    for (int i = 0; i < lines; ++i) __builtin_prefetch(static_cast<const char*>(object) + 64 * i);
  };
  fetch(&session_, 3);
  fetch(&parser_, 2);
  fetch(record_, 2);
}

std::span<char> Client::OnReadBuffer(Connection&, std::span<char> scratch) {
  const std::span<char> target = parser_.ReadTarget(scratch);
  if (target.data() != scratch.data()) [[unlikely]] MakeRoom();
  return target;
}

// The memory for a big argument is there before its bytes are: keys go while it comes, not when it
// has come and they, it and those of other clients are all in memory.
void Client::MakeRoom() {
  if (server_.engine().config.maxmemory() == 0) return;
  context_.executor.EvictSlice(context_.worker.wall_ms(), kMakeRoomUs);
}

void Client::OnData(Connection& connection, char* data, size_t n) {
  session_.record->last_active_ms.store(context_.worker.monotonic_ms(), std::memory_order_relaxed);
  parser_.Feed(data, n);
  if (session_.suspended) {
    parser_.EndRead();
  } else {
    Process();
  }
  const auto limit = static_cast<size_t>(server_.engine().config.client_query_buffer_limit());
  if (parser_.buffered_bytes() > limit && !connection.closing()) [[unlikely]] {
    server_.engine().log.Warning(
        "Closing client that reached max query buffer length: id=%llu addr=%s",
        static_cast<unsigned long long>(session_.id()), connection.peer_address().c_str());
    connection.Close();
  }
}

void Client::Process() {
  RequestBatch& batch = context_.batch;
  OutputBuffer& out = connection_->out();
  const Config& config = server_.engine().config;
  ParseOutcome outcome = ParseOutcome::kRequest;
  while (outcome == ParseOutcome::kRequest) {
    batch.Clear();
    ParseLimits limits;
    limits.bulk_bytes_max = static_cast<uint64_t>(config.proto_max_bulk_len());
    limits.authenticated = session_.authenticated;
    // Before AUTH the limits may change with every request, so nothing is parsed ahead.
    const size_t ahead = session_.authenticated ? kParseAhead : 1;
    while (batch.size() < ahead && outcome == ParseOutcome::kRequest)
      outcome = parser_.Next(limits, &batch);
    if (!batch.empty()) {
      const size_t done = context_.executor.Run(session_, batch, 0, out, context_.worker.wall_ms());
      if (done < batch.size() && !session_.close_after_reply) {
        parser_.Rewind(batch[done]);
        outcome = ParseOutcome::kRequest;  // behind a barrier; an error is met again
      }
      if (session_.suspended || session_.close_after_reply) outcome = ParseOutcome::kNeedMore;
      if (!MayKeepOutput()) {
        // A script of this batch that was put aside has to be gone on with all the same.
        context_.DriveAside();
        return;
      }
    }
    if (session_.record->closing.load(std::memory_order_relaxed)) break;
  }
  if (outcome == ParseOutcome::kError) {
    server_.engine().log.Verbose(
        "Protocol error (%s) from client: id=%llu addr=%s", parser_.error().c_str(),
        static_cast<unsigned long long>(session_.id()), connection_->peer_address().c_str());
    ReplyWriter(&out, session_.resp).Error("ERR " + parser_.error());
    session_.close_after_reply = true;
    (void)MayKeepOutput();
  }
  parser_.EndRead();
  Publish();
  if (session_.retry) context_.parked.push_back(session_.id());
  if (session_.waiter != nullptr) ArmWait();
  context_.DriveAside();
  if (session_.close_after_reply || session_.record->closing.load(std::memory_order_relaxed)) {
    connection_->CloseAfterFlush();
  } else {
    connection_->FlushSoon();
  }
}

void Client::Resume() {
  if (!session_.suspended || session_.waiter != nullptr || connection_->closing()) return;
  wait_timer_.Cancel();
  session_.suspended = session_.retry = false;
  Process();
}

bool Client::Deliver(FunctionRef<void(Session&, OutputBuffer&)> body) {
  if (connection_->closing()) return false;
  body(session_, connection_->out());
  if (MayKeepOutput()) connection_->FlushSoon();
  return true;
}

void Client::OnMessage(const std::shared_ptr<const PubsubMessage>& message, std::string_view head) {
  if (connection_->closing()) return;
  OutputBuffer& out = connection_->out();
  // What waits for the connection's turn is bounded, so that many of them do not hold much.
  if (out.size() >= kUnsentMessageBytesMax) connection_->Flush();
  if (connection_->closing()) return;
  const uint64_t start = out.end_position();
  out.StartSmall();
  if (message->kind() != PubsubKind::kMonitor) out.Append(session_.resp >= 3 ? ">" : "*");
  const std::string_view rest = head.empty() ? message->body() : message->tail();
  out.Append(head);
  if (rest.size() < kSharedMessageBytesMin) {
    out.Append(rest);
  } else {
    using Owner = std::shared_ptr<const PubsubMessage>;
    out.AppendBorrowed(
        rest, [](void* owner) { delete static_cast<Owner*>(owner); }, new Owner(message));
  }
  if (message->hold() > context_.worker.durable()) out.MarkHold(start, message->hold());
  if (!MayKeepOutput()) return;
  if (out.size() > kPublishedOutputBytes) PublishMemory();
  connection_->FlushLater();
}

void Client::ArmWait() {
  const Waiter& waiter = *session_.waiter;
  if (waiter.what != BlockRequest::For::kKeys) context_.sync_waits.push_back(session_.id());
  const bool ends = waiter.timeout_ms > 0 && waiter.timeout_ms < kTimeoutMsMax;
  wait_ends_ms_ = ends ? context_.worker.monotonic_ms() + waiter.timeout_ms : INT64_MAX;
  ScheduleWait();
}

void Client::ScheduleWait() {
  // Looks are not too many, and the time of the next, which may have come nearer, is asked for now
  // and then.
  constexpr int64_t kLookMsMin = 20, kLookMsMax = 1000;
  const int64_t next_look_ms = session_.waiter->next_look_ms.load(std::memory_order_relaxed);
  int64_t delay_ms = wait_ends_ms_ - context_.worker.monotonic_ms();
  if (next_look_ms != 0) {
    const int64_t until_look_ms = next_look_ms - context_.worker.wall_ms();
    delay_ms = std::min(delay_ms, std::clamp(until_look_ms, kLookMsMin, kLookMsMax));
  }
  if (delay_ms < kTimeoutMsMax)
    context_.worker.ScheduleAfter(&wait_timer_, std::max<int64_t>(delay_ms, 0));
}

void Client::OnWaitTimeout() {
  const std::shared_ptr<Waiter> waiter = session_.waiter;
  if (waiter == nullptr) return;
  if (context_.worker.monotonic_ms() >= wait_ends_ms_) {
    if (ClaimWait(*waiter)) EndWait(waiter);
    return;
  }
  const int64_t next_look_ms = waiter->next_look_ms.load(std::memory_order_relaxed);
  if (next_look_ms != 0 && next_look_ms <= context_.worker.wall_ms())
    LookAgain(context_.executor, *waiter, context_.worker.wall_ms());
  // Served, if it was, by a reply that is still on its way here.
  if (!waiter->over()) ScheduleWait();
}

bool Client::EndSyncWait() {
  const std::shared_ptr<Waiter> waiter = session_.waiter;
  if (waiter == nullptr || waiter->what == BlockRequest::For::kKeys) return true;
  if (!IsAcknowledged(server_.engine(), *waiter)) return false;
  if (ClaimWait(*waiter)) EndWait(waiter);
  return true;
}

// Nobody served it: its time is up, or what WAITAOF waits for has come.
void Client::EndWait(const std::shared_ptr<Waiter>& waiter) {
  context_.WaitUnserved(waiter, false);
  FinishWait(session_, connection_->out(), 0,
             [&](ReplyWriter& reply) { ReplyTimedOut(server_.engine(), *waiter, reply); });
  if (MayKeepOutput()) Resume();
}

// The connection ends: from here on nothing is given to it.
void Client::AbandonWait() {
  const std::shared_ptr<Waiter> waiter = std::move(session_.waiter);
  if (waiter == nullptr) return;
  if (ClaimWait(*waiter)) context_.ForgetWait(waiter);
  std::lock_guard guard(session_.record->mutex);
  session_.record->waiter.reset();
}

BufferClass Client::OutputClass() const {
  const uint32_t flags = session_.record->flags.load(std::memory_order_relaxed);
  if ((flags & kClientReplica) != 0) return BufferClass::kReplica;
  return (flags & kClientPubsub) != 0 ? BufferClass::kPubsub : BufferClass::kNormal;
}

bool Client::MayKeepOutput() {
  if (connection_->closing()) return false;
  if (!session_.authenticated && !WithinLimitBeforeAuth()) [[unlikely]]
    return false;
  const Config& config = server_.engine().config;
  const BufferClass output_class = OutputClass();
  BufferLimit limit = config.client_output_buffer_limit()[static_cast<size_t>(output_class)];
  if (output_class == BufferClass::kReplica) [[unlikely]] {
    if (connection_->out().end_position() != session_.stream_end) {
      CloseFollower();
      return false;
    }
    for (int64_t* bytes : {&limit.hard_bytes, &limit.soft_bytes})
      if (*bytes != 0) *bytes = std::max(*bytes, kReplicaBufferBytesMin);
  }
  const auto bytes = static_cast<int64_t>(connection_->out().size());
  bool over = limit.hard_bytes != 0 && bytes >= limit.hard_bytes;
  if (limit.soft_bytes != 0 && bytes >= limit.soft_bytes) {
    const int64_t now_ms = context_.worker.monotonic_ms();
    if (soft_limit_since_ms_ < 0) soft_limit_since_ms_ = now_ms;
    over |= now_ms - soft_limit_since_ms_ >
            std::min(limit.soft_seconds, INT64_MAX / 1000) * 1000;
  } else {
    soft_limit_since_ms_ = -1;
  }
  if (!over) [[likely]]
    return true;
  CloseForOutput();
  return false;
}

// client-output-buffer-limit is for clients; anybody can ask for errors without end.
bool Client::WithinLimitBeforeAuth() {
  if (server_.engine().users.default_open()) return true;
  if (connection_->out().size() <= kUnsentBytesMaxBeforeAuth) return true;
  connection_->Flush();
  if (connection_->closing()) return false;
  if (connection_->out().size() <= kUnsentBytesMaxBeforeAuth) return true;
  CloseForOutput();
  return false;
}

// A reply, a message or a monitored line would stand in the midst of the stream.
void Client::CloseFollower() {
  server_.engine().log.Warning(
      "Replica generated a reply, disconnecting it: %s",
      DescribeClient(*session_.record, server_.engine().registry, context_.worker.monotonic_ms(),
                     server_.engine().config.hide_user_data_from_log())
          .c_str());
  connection_->Close();
}

void Client::CloseForOutput() {
  Publish();
  server_.engine().log.Warning(
      "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.",
      DescribeClient(*session_.record, server_.engine().registry, context_.worker.monotonic_ms(),
                     server_.engine().config.hide_user_data_from_log())
          .c_str());
  context_.executor.statistics().Add(Stat::kOutputLimitDisconnects);
  connection_->Close();
}

void Client::CheckHeld() {
  OutputBuffer& out = connection_->out();
  const size_t sendable = out.Sendable(context_.worker.durable());
  if (sendable == out.size()) {
    held_since_ms_ = -1;
    return;
  }
  const uint64_t position = out.begin_position() + sendable;
  const int64_t now_ms = context_.worker.monotonic_ms();
  if (held_since_ms_ < 0 || position != held_position_) {
    held_position_ = position;
    held_since_ms_ = now_ms;
    return;
  }
  const int64_t timeout_ms = server_.engine().config.min_replicas_durable_timeout();
  if (timeout_ms != 0 && now_ms - held_since_ms_ >= timeout_ms) GiveUpHeld();
}

// What is held begins with a whole reply; the error takes its place, and whatever is behind it
// stays unsaid.
void Client::GiveUpHeld() {
  OutputBuffer& out = connection_->out();
  const size_t sendable = out.Sendable(context_.worker.durable());
  if (connection_->closing() || sendable == out.size()) return;
  out.TruncateTo(out.begin_position() + sendable);
  ReplyWriter(&out, session_.resp).Error(errors::kUnconfirmed);
  connection_->CloseAfterFlush();
}

// What CLIENT LIST shows of this client, refreshed once a read.
void Client::Publish() {
  ClientRecord& record = *session_.record;
  record.query_bytes.store(parser_.buffered_bytes(), std::memory_order_relaxed);
  record.bytes_in.store(connection_->bytes_in(), std::memory_order_relaxed);
  record.bytes_out.store(connection_->bytes_out(), std::memory_order_relaxed);
  record.db.store(session_.db, std::memory_order_relaxed);
  record.resp.store(session_.resp, std::memory_order_relaxed);
  PublishMemory();
}

// What it takes, as far as others are interested: buffers, queued and blocked requests, and what is
// remembered for it. Once a read, and when output was added.
void Client::PublishMemory() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  constexpr uint64_t kSubscriptionBytes = 160;  // a node here and one at the hub, a short name
  ClientRecord& record = *session_.record;
  record.query_capacity.store(parser_.memory_bytes(), kRelaxed);
  record.output_bytes.store(connection_->out().size(), kRelaxed);
  record.output_memory.store(connection_->out().memory_bytes(), kRelaxed);
  record.multi_bytes.store(static_cast<int64_t>(session_.transaction.bytes), kRelaxed);
  record.argument_bytes.store(session_.waiter == nullptr ? 0 : session_.waiter->args.bytes(),
                              kRelaxed);
  uint64_t state = 0;
  for (const WatchedKey& watched : session_.watched) state += sizeof watched + watched.key.size();
  const int subscriptions = record.subscriptions.load(kRelaxed) +
                            record.pattern_subscriptions.load(kRelaxed) +
                            record.shard_subscriptions.load(kRelaxed);
  state += static_cast<uint64_t>(subscriptions) * kSubscriptionBytes;
  record.state_bytes.store(state, kRelaxed);
  server_.client_memory().Note(record, &counted_bytes_);
}

void Client::OnEof(Connection& connection) {
  // Whoever hung up will not read a parked or blocked command's reply.
  if (session_.suspended) {
    AbandonWait();
    connection.Close();
  } else {
    connection.CloseAfterFlush();
  }
}

void Client::OnOutputCap(Connection& connection) {
  server_.engine().log.Warning(
      "Client id=%llu addr=%s closed for overcoming of output buffer limits.",
      static_cast<unsigned long long>(session_.id()), connection.peer_address().c_str());
  connection.Close();
}

void Client::OnClosed(Connection&) {
  AbandonWait();
  ForgetWatches(session_);
  DropSubscriptions(session_);
  StopMonitor(session_);
  session_.tracking.reset();
  session_.replication.reset();
  context_.clients.erase(session_.id());
  server_.RemoveClient(session_.id());
  server_.client_memory().Forget(&counted_bytes_);
  // A script of this client's goes on without it.
  if (context_.executor.IsAside(session_)) {
    context_.orphan = this;
    return;
  }
  delete this;
}

}  // namespace cairn
