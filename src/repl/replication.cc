// SPDX-License-Identifier: BSD-3-Clause
#include "repl/replication.h"

#include "base/numbers.h"
#include "exec/blocking.h"
#include "journal/journal.h"

namespace cairn {
namespace {

// "1.2.3.4:5" and "[::1]:5" without the port.
std::string HostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

Replication::Replication(Engine* engine, std::function<void()> resume_parked)
    : engine_(*engine),
      feeder_(engine),
      link_executor_(engine),
      role_executor_(engine),
      resume_parked_(std::move(resume_parked)) {
  promotion_.answered = [this] { LookAtFailover(); };
  const std::string& leader = engine_.config.replicaof();  // "HOST PORT", or "" for none
  const size_t space = leader.rfind(' ');
  int64_t port = 0;
  if (space != std::string::npos && ParseInt64(std::string_view(leader).substr(space + 1), &port))
    SetLeader(leader.substr(0, space), static_cast<int>(port));
}

Replication::~Replication() {
  Stop();
}

Status Replication::Start() {
  feeder_.Start();
  if (!leader_.follower) {
    (void)UpdateConfirmed();
    UpdateFewFollowers();
    engine_.modes.Set(kModeLoading, false);
    return Status::Ok();
  }
  std::lock_guard guard(role_mutex_);
  // From the link's beginning on its thread says whether something is being loaded.
  SetMode(kModeFollower, true);
  engine_.modes.Set(kModeLoading, false);
  return BecomeFollower(leader_.host, leader_.port);
}

void Replication::Stop() {
  std::lock_guard guard(role_mutex_);
  stopped_ = true;
  {
    std::lock_guard link(mutex_);
    if (link_ != nullptr) link_->Abandon();
  }
  StopLink();
  feeder_.Stop();
}

// -- leader --

FollowerSession& Replication::SessionOf(Session& session) {
  if (session.replication == nullptr) {
    auto fresh = std::make_unique<FollowerSession>();
    fresh->feeder = &feeder_;
    session.replication = std::move(fresh);
  }
  return static_cast<FollowerSession&>(*session.replication);
}

bool Replication::Describe(Session& session, std::string_view option, std::string_view value) {
  FollowerSession& state = SessionOf(session);
  int64_t number = 0;
  if (EqualsIgnoreCase(option, "listening-port")) {
    if (!ParseInt64(value, &number)) return false;
    state.port = static_cast<int>(number);
  } else if (EqualsIgnoreCase(option, "ip-address")) {
    state.address = value;
  } else if (EqualsIgnoreCase(option, "capa")) {
    if (EqualsIgnoreCase(value, "psync2")) state.capable_psync2 = true;
    if (EqualsIgnoreCase(value, "eof")) state.capable_eof = true;
    if (EqualsIgnoreCase(value, kPackedCapability)) state.capable_packed = true;
  } else if (EqualsIgnoreCase(option, "rdb-only")) {
    state.snapshot_only = ParseInt64(value, &number) && number != 0;
  } else if (EqualsIgnoreCase(option, "rdb-filter-only")) {
    const bool functions = value.find_first_not_of(' ') != std::string_view::npos;
    state.content = functions ? SnapshotContent::kFunctions : SnapshotContent::kNothing;
  } else if (EqualsIgnoreCase(option, "cairn-tail")) {
    const auto tail = StreamTail::Parse(value);
    if (!tail) return false;
    state.tail = *tail;
  } else {
    return false;
  }
  return true;
}

std::string Replication::Follow(Session& session, const FollowerRequest& request) {
  FollowerSession& state = SessionOf(session);
  // Once it follows, its further requests mean nothing.
  if (state.follower != nullptr) return "";
  if (FailingOver()) return kNoSyncNow;
  if (engine_.modes.Has(kModeFollower) && !Link().up)
    return "NOMASTERLINK Can't SYNC while not connected with my master";
  auto follower = std::make_shared<Follower>();
  follower->record = session.record;
  follower->request = request;
  {
    std::lock_guard guard(session.record->mutex);
    follower->address = state.address.empty() ? HostOf(session.record->address) : state.address;
  }
  follower->port = state.port;
  follower->second_id_understood = state.capable_psync2;
  follower->mark_understood = state.capable_eof;
  follower->packed_understood = state.capable_packed;
  follower->snapshot_only = state.snapshot_only;
  follower->content = state.content;
  follower->tail = state.tail;
  state.follower = follower;
  session.record->flags.fetch_or(kClientReplica, std::memory_order_relaxed);
  engine_.log.Notice("Replica %s:%d asks for synchronization", follower->address.c_str(),
                     follower->port);
  feeder_.Add(std::move(follower));
  return "";
}

void Replication::Acknowledge(Session& session, uint64_t applied,
                              std::optional<uint64_t> durable) {
  auto* state = static_cast<FollowerSession*>(session.replication.get());
  if (state == nullptr || state->follower == nullptr) return;
  Follower& follower = *state->follower;
  // Whoever is still being sent the snapshot speaks of what it had before.
  if (follower.state.load() != Follower::State::kOnline && !follower.sent_all.load()) return;
  if (applied > follower.acknowledged.load(std::memory_order_relaxed))
    follower.acknowledged.store(applied, std::memory_order_relaxed);
  if (durable.has_value()) {
    if (*durable > follower.durable.load(std::memory_order_relaxed))
      follower.durable.store(*durable, std::memory_order_relaxed);
    follower.keeps_log.store(true, std::memory_order_release);
  } else {
    follower.keeps_log.store(false, std::memory_order_relaxed);  // any more
  }
  follower.acknowledged_ms.store(engine_.clock.MonotonicMs(), std::memory_order_relaxed);
  if (!follower.answered.exchange(true)) feeder_.Notify();
  (void)UpdateConfirmed();
  engine_.control->OnAcknowledged();
  if (failover_state_.load() == FailoverState::kWaiting) LookAtFailover();
}

bool Replication::UpdateConfirmed() {
  cairn::Journal* journal = engine_.journal;
  if (journal == nullptr) return false;
  const int64_t wanted = engine_.config.min_replicas_durable();
  std::lock_guard guard(confirm_mutex_);
  const Lsn before = journal->confirmed();
  Lsn confirmed = kLsnMax;
  if (wanted > 0 && leads_) {
    // What was answered before this began was promised less.
    confirmed = before == kLsnMax ? journal->durable() : before;
    int64_t count = 0;
    Lsn least = kLsnMax;
    for (const auto& follower : feeder_.followers()) {
      if (follower->state.load() != Follower::State::kOnline || !follower->keeps_log.load()) continue;
      ++count;
      least = std::min<Lsn>(least, follower->durable.load(std::memory_order_relaxed));
    }
    if (count >= wanted) confirmed = std::max(confirmed, least);
  }
  if (confirmed == before) return false;
  journal->SetConfirmed(confirmed);
  return true;
}

// Followers that keep a log, and told of it lately.
int64_t Replication::CountDurable() const {
  const int64_t now_ms = engine_.clock.MonotonicMs();
  const int64_t lag_ms = engine_.config.min_replicas_max_lag() * 1000;
  int64_t count = 0;
  for (const auto& one : feeder_.followers())
    count += one->state.load() == Follower::State::kOnline && one->keeps_log.load() &&
             (lag_ms == 0 || now_ms - one->acknowledged_ms.load() <= lag_ms);
  return count;
}

void Replication::OnDurable() {
  feeder_.Notify();
  std::lock_guard guard(mutex_);
  if (link_ != nullptr) link_->OnDurable();
}

std::vector<FollowerFacts> Replication::Followers() {
  static constexpr const char* kStates[] = {"wait_bgsave", "wait_bgsave", "send_bulk", "online"};
  const int64_t now_ms = engine_.clock.MonotonicMs();
  std::vector<FollowerFacts> all;
  for (const auto& follower : feeder_.followers()) {
    if (follower->gone.load(std::memory_order_relaxed)) continue;
    const Follower::State state = follower->state.load();
    FollowerFacts facts;
    facts.address = follower->address;
    facts.port = follower->port;
    facts.state = kStates[static_cast<size_t>(state)];
    if (state == Follower::State::kOnline) {
      facts.acknowledged = follower->acknowledged.load(std::memory_order_relaxed);
      facts.keeps_log = follower->keeps_log.load();
      facts.lag_s = std::max<int64_t>(
          0, (now_ms - follower->acknowledged_ms.load(std::memory_order_relaxed)) / 1000);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

int64_t Replication::CountAcknowledged(uint64_t lsn, bool durable) {
  int64_t count = 0;
  for (const auto& follower : feeder_.followers()) {
    if (follower->state.load() != Follower::State::kOnline || follower->request.old) continue;
    const auto& position = durable ? follower->durable : follower->acknowledged;
    count += position.load(std::memory_order_relaxed) >= lsn;
  }
  return count;
}

// -- both --

StreamFacts Replication::Stream() const {
  StreamFacts facts;
  if (engine_.journal == nullptr) {
    facts.id = engine_.replication_id;
    return facts;
  }
  const Manifest manifest = engine_.journal->manifest();
  facts.id = manifest.replid;
  facts.second_id = manifest.replid2;
  if (!facts.second_id.empty())
    facts.second_offset = static_cast<int64_t>(manifest.second_offset) + 1;
  facts.offset = engine_.journal->tail();
  return facts;
}

LinkFacts Replication::Link() {
  std::lock_guard guard(mutex_);
  return link_ != nullptr ? link_->facts() : leader_;
}

uint64_t Replication::AtSnapshot(AuxRecords* aux) {
  Journal* journal = engine_.journal;
  if (journal == nullptr) return 0;
  // A leader's stream stands alone from here on. A follower's is its leader's: whoever goes on
  // from here has to know the database.
  int database = 0;
  uint64_t lsn;
  if (engine_.modes.Has(kModeFollower)) {
    std::lock_guard guard(mutex_);
    database = link_ != nullptr ? link_->database() : database_;
    lsn = journal->tail();
  } else {
    lsn = journal->BeginSnapshot();
  }
  aux->emplace_back("repl-stream-db", std::to_string(database));
  aux->emplace_back("repl-id", journal->manifest().replid);
  aux->emplace_back("repl-offset", std::to_string(lsn));
  return lsn;
}

Status Replication::ChangeId() {
  std::lock_guard guard(role_mutex_);
  if (engine_.modes.Has(kModeFollower)) return Status::Invalid("a follower has its leader's id");
  CAIRN_RETURN_IF_ERROR(feeder_.EnsureJournal());
  const NoScripts no_scripts(this);
  if (!no_scripts) return Status::Unavailable("a busy script has all locks");
  const auto nobody_fed = feeder_.DetachAll("the replication id changes");
  Gate& gate = engine_.keyspace.gate();
  gate.Close();
  const Status status = engine_.journal->StartTimeline({});
  gate.Open();
  return status;
}

}  // namespace cairn
