// SPDX-License-Identifier: BSD-3-Clause
//
// The conversation with the leader. What becomes of its snapshot is in link_sync.cc.
#include "repl/link.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/thread.h"
#include "journal/journal.h"
#include "repl/stream_tail.h"

namespace cairn {
namespace {

constexpr int64_t kRetryMs = 1000;
constexpr int64_t kRetryMsMax = 60'000;
constexpr int64_t kAckMs = 1000;
constexpr int64_t kPollMs = 100;
constexpr size_t kReadBytes = 256 << 10;
// Nobody has written so much; and what comes behind it needs room below kLsnMax.
constexpr int64_t kOffsetMax = static_cast<int64_t>(kLsnMax / 2);

bool IsError(std::string_view line, std::string_view error) {
  return line.starts_with('-') && line.substr(1) == error;
}

// Whether a target that was asked to lead before does not, as it could not say this if it did: it
// follows another one by now, or still this server, whose id it has.
bool HasNotLed(std::string_view line) {
  return IsError(line, kFollowsAnother) || IsError(line, kCannotBePromoted);
}

// What this server shows its leader, and whom it believes. Read afresh for every connection.
TlsSettings ReadTlsSettings(const Config& config) {
  TlsSettings settings;
  const bool own = !config.tls_client_cert_file().empty();
  settings.certificate_file = own ? config.tls_client_cert_file() : config.tls_cert_file();
  settings.key_file = own ? config.tls_client_key_file() : config.tls_key_file();
  settings.key_password = own ? config.tls_client_key_file_pass() : config.tls_key_file_pass();
  settings.authorities_file = config.tls_ca_cert_file();
  settings.authorities_dir = config.tls_ca_cert_dir();
  settings.protocols = config.tls_protocols();
  settings.ciphers = config.tls_ciphers();
  settings.ciphersuites = config.tls_ciphersuites();
  settings.cache_sessions = false;
  return settings;
}

}  // namespace

Link::Link(Engine* engine, Executor* executor, Feeder* feeder, Target target, std::string id,
           int database, PromotionRequest* promotion)
    : engine_(*engine),
      executor_(*executor),
      feeder_(*feeder),
      target_(std::move(target)),
      promotion_(promotion),
      id_(std::move(id)),
      applier_(engine, executor, [this] { return socket_.interrupted(); }),
      down_since_ms_(engine->clock.MonotonicMs()) {
  applier_.Begin(database);
  thread_ = std::thread([this] { Main(); });
}

Link::~Link() {
  Stop();
}

void Link::Stop() {
  socket_.Interrupt();
  if (thread_.joinable()) thread_.join();
}

void Link::SetState(State state) {
  if (up() && state != State::kConnected) down_since_ms_.store(engine_.clock.MonotonicMs());
  state_.store(state);
}

LinkFacts Link::facts() const {
  static constexpr const char* kNames[] = {"connect", "connecting", "handshake", "sync",
                                           "connected"};
  const State state = state_.load();
  const int64_t now_ms = engine_.clock.MonotonicMs();
  LinkFacts facts;
  facts.follower = true;
  facts.host = target_.host;
  facts.port = target_.port;
  facts.state = kNames[static_cast<size_t>(state)];
  facts.up = state == State::kConnected;
  facts.syncing = state == State::kSync;
  facts.loading_as_it_comes = loads_as_it_comes_.load();
  if (facts.up || facts.syncing) facts.last_io_s = (now_ms - last_io_ms_.load()) / 1000;
  if (!facts.up) facts.down_since_s = (now_ms - down_since_ms_.load()) / 1000;
  facts.sync_total_bytes = sync_total_.load();
  facts.sync_read_bytes = sync_read_.load();
  return facts;
}

void Link::Main() {
  BeginThread("leader-link");
  int refusals = 0;
  while (!socket_.interrupted()) {
    followed_since_ms_ = 0;
    const Status status = RunOnce();
    socket_.Close();
    SetState(State::kConnect);
    if (socket_.interrupted()) break;
    engine_.log.Warning("Link to the leader %s:%d: %s", target_.host.c_str(), target_.port,
                        status.message().c_str());
    // What cannot be loaded or applied may come again behind every full sync, and each costs the
    // leader a snapshot and this server its data: it is asked for less and less often.
    int64_t pause_ms = kRetryMs;
    const int64_t now_ms = engine_.clock.MonotonicMs();
    if (followed_since_ms_ != 0 && now_ms - followed_since_ms_ > kRetryMsMax) refusals = 0;
    if (status.code() == StatusCode::kCorrupt) {
      pause_ms = std::min(kRetryMs << refusals, kRetryMsMax);
      refusals = std::min(refusals + 1, 6);
    }
    if (pause_ms > kRetryMs)
      engine_.log.Warning("The next full resynchronization is asked for in %lld seconds",
                          static_cast<long long>(pause_ms / 1000));
    socket_.Pause(pause_ms);
  }
  SetState(State::kConnect);
}

Status Link::RunOnce() {
  SetState(State::kConnecting);
  engine_.log.Notice("Connecting to MASTER %s:%d", target_.host.c_str(), target_.port);
  CAIRN_RETURN_IF_ERROR(socket_.Connect(target_.host, target_.port,
                                        engine_.config.bind_source_addr(), timeout_ms()));
  SetState(State::kHandshake);
  if (engine_.config.tls_replication()) {
    auto context = TlsContext::ForClient(ReadTlsSettings(engine_.config));
    if (!context.ok()) return context.status();
    CAIRN_RETURN_IF_ERROR(socket_.StartTls(std::move(*context), timeout_ms()));
  }
  CAIRN_RETURN_IF_ERROR(Handshake());
  CAIRN_RETURN_IF_ERROR(Synchronize());
  SetState(State::kConnected);
  followed_since_ms_ = engine_.clock.MonotonicMs();
  return Follow();
}

Result<size_t> Link::Read(char* buffer, size_t length, bool nudged) {
  auto n = socket_.Read(buffer, length, kPollMs, nudged);
  const int64_t now_ms = engine_.clock.MonotonicMs();
  if (n.ok() && *n > 0) last_io_ms_.store(now_ms);
  if (n.ok() && *n == 0 && now_ms - last_io_ms_.load() > timeout_ms())
    return Status::Io("no data nor PING received from the leader within repl-timeout");
  return n;
}

// Says `parts`; an error reply counts only where it `must` not be one.
Status Link::Ask(std::string_view what, std::initializer_list<std::string_view> parts, bool must) {
  std::string request;
  AppendResp(&request, {parts.begin(), parts.size()});
  CAIRN_RETURN_IF_ERROR(socket_.Write(request, timeout_ms()));
  auto line = socket_.ReadLine(timeout_ms());
  if (!line.ok()) return line.status();
  if (must && !line->starts_with("+"))
    return Status::Io("the leader refused " + std::string(what) + ": " + *line);
  return Status::Ok();
}

Status Link::Handshake() {
  const Config& config = engine_.config;
  std::string request;
  const std::string_view ping[] = {"PING"};
  AppendResp(&request, ping);
  CAIRN_RETURN_IF_ERROR(socket_.Write(request, timeout_ms()));
  auto pong = socket_.ReadLine(timeout_ms());
  if (!pong.ok()) return pong.status();
  // Whoever wants a password answers; that it is there is all that counts.
  if (!pong->starts_with("+") && !pong->starts_with("-NOAUTH") && !pong->starts_with("-NOPERM") &&
      !pong->starts_with("-ERR operation not permitted"))
    return Status::Io("error reply to PING from the leader: " + *pong);
  const std::string user = config.masteruser(), password = config.masterauth();
  if (!password.empty()) {
    if (user.empty()) {
      CAIRN_RETURN_IF_ERROR(Ask("AUTH", {"AUTH", password}, true));
    } else {
      CAIRN_RETURN_IF_ERROR(Ask("AUTH", {"AUTH", user, password}, true));
    }
  }
  int64_t announced = config.replica_announce_port();
  if (announced == 0 && config.tls_replication()) announced = config.tls_port();
  const std::string port = std::to_string(announced != 0 ? announced : config.port());
  CAIRN_RETURN_IF_ERROR(Ask("REPLCONF", {"REPLCONF", "listening-port", port}, false));
  const std::string address = config.replica_announce_ip();
  if (!address.empty())
    CAIRN_RETURN_IF_ERROR(Ask("REPLCONF", {"REPLCONF", "ip-address", address}, false));
  CAIRN_RETURN_IF_ERROR(Ask("REPLCONF", {"REPLCONF", "capa", "eof", "capa", "psync2"}, false));
  // With keys of our own what comes is packed anew.
  if (engine_.journal->keys() != nullptr) return Status::Ok();
  return Ask("REPLCONF", {"REPLCONF", "capa", kPackedCapability}, false);
}

// The leader compares it with what it has there. One that does not know of this says no.
Status Link::TellTail() {
  const Journal& journal = *engine_.journal;
  const Lsn tail = journal.tail();
  const Manifest manifest = journal.manifest();
  const Lsn first = manifest.segments.empty() ? tail : manifest.segments.front().first_lsn;
  const uint64_t bytes = std::min(kStreamTailBytesMax, tail - std::min(first, tail));
  const auto told = StreamTailBefore(journal, tail, bytes);
  if (!told || told->bytes == 0) return Status::Ok();
  return Ask("REPLCONF", {"REPLCONF", "cairn-tail", told->Text()}, false);
}

Result<std::string> Link::AskForStream(std::string_view id, std::string_view offset,
                                       bool promote) {
  std::string request;
  const std::string_view parts[] = {"PSYNC", id, offset, "FAILOVER"};
  AppendResp(&request, std::span(parts).first(promote ? 4 : 3));
  CAIRN_RETURN_IF_ERROR(socket_.Write(request, timeout_ms()));
  for (;;) {
    auto line = socket_.ReadLine(timeout_ms());
    // Empty lines say that the leader is at work.
    if (!line.ok() || !line->empty()) return line;
  }
}

Status Link::Synchronize() {
  const bool none = needs_file_ || id_.empty();
  if (!none) CAIRN_RETURN_IF_ERROR(TellTail());
  const std::string_view id = none ? "?" : std::string_view(id_);
  const std::string offset = none ? "-1" : std::to_string(engine_.journal->tail() + 1);
  const bool promote = promotion_->asked.load() && !promotion_->refused.load();
  const bool unsure = promote && promotion_->unanswered.exchange(true);
  auto answer = AskForStream(id, offset, promote);
  // It leads because it was asked before, on a connection that broke before its answer came.
  // Whatever it says next, there is no way back.
  const bool leads = unsure && answer.ok() && IsError(*answer, kLeadsAlready);
  if (leads) {
    promotion_->asked.store(false);
    answer = AskForStream(id, offset, false);
  }
  if (!answer.ok()) return answer.status();
  const std::string& line = *answer;
  // A first request that was answered with an error is over. Of one whose answer was lost,
  // -LOADING, -BUSY or -NOPERM to the next say nothing: it is asked again.
  const bool refuses = line.starts_with("-") && (!unsure || leads || HasNotLed(line));
  if (promote && !leads && refuses) promotion_->refused.store(true);
  if (line.starts_with("+")) promotion_->asked.store(false);
  if (refuses || line.starts_with("+")) promotion_->unanswered.store(false);
  if (promote && promotion_->answered) promotion_->answered();
  if (line.starts_with("+CONTINUE") && !none)
    return Continue(line.size() > 10 ? line.substr(10) : id_);
  const size_t space = line.find(' ', 12);
  int64_t lsn;
  if (!line.starts_with("+FULLRESYNC ") || space == std::string::npos ||
      !IsReplicationId(line.substr(12, space - 12)) || !ParseInt64(line.substr(space + 1), &lsn) ||
      lsn < 0 || lsn > kOffsetMax)
    return Status::Io("unexpected reply to PSYNC from the leader: " + line);
  return FullSync(line.substr(12, space - 12), static_cast<uint64_t>(lsn));
}

// The journal's bytes are the leader's, so they keep their place; an id that is new to the journal
// begins a timeline in it.
Status Link::Continue(const std::string& id) {
  if (!IsReplicationId(id)) return Status::Io("the leader's replication id is none: " + id);
  engine_.log.Notice("Successful partial resynchronization with the leader at offset %llu",
                     static_cast<unsigned long long>(engine_.journal->tail()));
  last_io_ms_.store(engine_.clock.MonotonicMs());
  if (engine_.journal->manifest().replid != id) {
    engine_.log.Notice("Master replication ID changed to %s", id.c_str());
    const auto nobody_fed = feeder_.DetachAll("the leader's replication id changed");
    TimelineStart start;
    start.replid = id;
    if (id != id_) {
      start.replid2 = id_;
      start.second_offset = engine_.journal->tail();
    }
    CAIRN_RETURN_IF_ERROR(engine_.journal->StartTimeline(start));
  }
  id_ = id;
  applier_.Begin(applier_.database());
  return Status::Ok();
}

Status Link::Acknowledge() {
  const Journal& journal = *engine_.journal;
  std::string request;
  const std::string applied = std::to_string(journal.tail());
  told_durable_ = journal.durable();
  const std::string durable = std::to_string(told_durable_);
  if (engine_.journal_kept) {
    const std::string_view parts[] = {"REPLCONF", "ACK", applied, "FACK", durable};
    AppendResp(&request, parts);
  } else {
    const std::string_view parts[] = {"REPLCONF", "ACK", applied};
    AppendResp(&request, parts);
  }
  return socket_.Write(request, timeout_ms());
}

Status Link::Follow() {
  std::vector<char> buffer(kReadBytes);
  // A leader whose snapshot ended with a mark sends nothing before this.
  CAIRN_RETURN_IF_ERROR(Acknowledge());
  int64_t acknowledged_ms = engine_.clock.MonotonicMs();
  for (;;) {
    const auto n = Read(buffer.data(), buffer.size(), true);
    if (!n.ok()) return n.status();
    if (*n > 0) {
      const Status applied = applier_.Feed(buffer.data(), *n);
      if (applied.code() == StatusCode::kCorrupt) {
        // Never go on with other data than the leader's.
        engine_.log.Warning("A full resynchronization is needed: %s", applied.message().c_str());
        Disown();
      }
      CAIRN_RETURN_IF_ERROR(applied);
    }
    const int64_t now_ms = engine_.clock.MonotonicMs();
    const bool synced = engine_.journal_kept && engine_.journal->durable() != told_durable_;
    if (!applier_.TakeAckWanted() && !synced && now_ms - acknowledged_ms < kAckMs) continue;
    acknowledged_ms = now_ms;
    CAIRN_RETURN_IF_ERROR(Acknowledge());
  }
}

}  // namespace cairn
