// SPDX-License-Identifier: BSD-3-Clause
#include "server/server.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/crash.h"
#include "base/memory.h"
#include "base/random.h"
#include "cluster/migrator.h"
#include "commands/families.h"
#include "exec/audit_log.h"
#include "repl/replication.h"
#include "script/registry.h"
#include "server/client.h"
#include "server/client_memory.h"
#include "server/departure.h"
#include "server/metrics_server.h"
#include "server/open_files.h"
#include "server/persistence.h"
#include "server/process.h"
#include "server/tls_service.h"

namespace cairn {
namespace {

constexpr std::string_view kDenied =
    "-DENIED Cairn is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface. To accept connections from other machines, set a password with 'requirepass', or "
    "turn protected mode off with 'CONFIG SET protected-mode no' sent from the loopback interface, "
    "once you are sure that no one you do not trust can reach this port.\r\n";

std::string RandomHexId() {
  unsigned char bytes[20];
  RandomBytes(bytes, sizeof bytes);
  std::string text;
  for (unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

bool IsLoopback(int fd) {
  sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return true;
  if (address.ss_family == AF_UNIX) return true;
  if (address.ss_family == AF_INET) {
    const auto* v4 =
        reinterpret_cast<const unsigned char*>(&reinterpret_cast<sockaddr_in*>(&address)->sin_addr);
    return v4[0] == 127;
  }
  const auto* v6 =
      reinterpret_cast<const unsigned char*>(&reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr);
  static const unsigned char kLoopback6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  static const unsigned char kMapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  return memcmp(v6, kLoopback6, 16) == 0 || memcmp(v6, kMapped, 13) == 0;
}

}  // namespace

Server::Server(ConfigStore* store, Log* log)
    : store_(*store), log_(*log), config_(store->config()) {}

Server::~Server() = default;

Status Server::Start() {
  start_time_ms_ = SystemClock()->MonotonicMs();
  // Signals are for the main thread's Wait alone: blocked before any other thread begins.
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file at its limit of size is an error of the write (EFBIG)
  uint64_t seed;
  RandomBytes(&seed, sizeof seed);
  SeedHash(seed);
  RegisterAllCommands(&registry_);
  for (const Words& rename : config_.renamed_commands())
    if (!registry_.Rename(rename[0], rename[1]))
      return Status::Invalid("rename-command: no such command '" + rename[0] +
                             "', or the new name is taken");
  keyspace_ = std::make_unique<Keyspace>(static_cast<int>(config_.databases()));
  engine_ = std::make_unique<Engine>(SystemClock(), &log_, &store_, &registry_, keyspace_.get());
  engine_->control = this;
  engine_->scripts = std::make_shared<ScriptRegistry>();
  engine_->run_id = RandomHexId();
  engine_->replication_id = RandomHexId();
  engine_->modes.Set(kModeLoading, true);
  CAIRN_RETURN_IF_ERROR(CheckDurableFollowers());
  CAIRN_RETURN_IF_ERROR(LoadUsers());
  RegisterHooks();
  CAIRN_RETURN_IF_ERROR(StartObserving());
  // Behind all that can refuse: the passwords that ACL SETUSER gave could not be put back.
  store_.OnChange({"requirepass"}, [this](const Config& config) {
    engine_->users.SetDefaultPassword(config.requirepass());
    engine_->modes.Bump();
    return Status::Ok();
  });
  client_memory_ = std::make_unique<ClientMemory>(this);
  engine_->migrator = std::make_shared<Migrator>();
  int threads = static_cast<int>(config_.threads());
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  constexpr int kThreadsMax = 240;  // below the slots of gate and journal
  threads = std::min(threads, kThreadsMax);
  CAIRN_RETURN_IF_ERROR(FitMaxClients(&store_, static_cast<size_t>(threads), &log_));
  pool_ = std::make_unique<WorkerPool>(threads, SystemClock());
  for (int i = 0; i < threads; ++i)
    contexts_.push_back(
        std::make_unique<WorkerContext>(engine_.get(), &(*pool_)[static_cast<size_t>(i)]));
  function_source_ = std::make_unique<FunctionSource>(engine_.get());
  persistence_ = std::make_unique<Persistence>(
      engine_.get(), std::vector<AuxSource*>{function_source_.get()}, [this] { ResumeParked(); });
  engine_->snapshots = persistence_.get();
  replication_ = std::make_unique<Replication>(engine_.get(), [this] { ResumeParked(); });
  departure_ = std::make_unique<Departure>(engine_.get(), persistence_.get(), replication_.get());
  engine_->replication = replication_.get();
  CAIRN_RETURN_IF_ERROR(RefuseUnfinishedBackup(RealFileSystem(), config_.dir()));
  // Before anybody can connect: what a second server on this folder would promise is void.
  if (config_.appendonly()) CAIRN_RETURN_IF_ERROR(LockJournal());
  CAIRN_RETURN_IF_ERROR(Listen());
  WritePidFile();
  CAIRN_RETURN_IF_ERROR(pool_->Start());
  for (size_t i = 0; i < contexts_.size(); ++i) StartCron(i);
  engine_->startup_bytes = MemoryMeter::Exact();
  listener_->Start(&(*pool_)[0]);
  CAIRN_RETURN_IF_ERROR(LoadKeys());
  tls_listener_->Start(&(*pool_)[0]);
  metrics_->Start(&(*pool_)[0]);
  if (config_.appendonly()) {
    CAIRN_RETURN_IF_ERROR(OpenJournal());
    HoldFromNowOn();
    logged_ = true;
  } else {
    TellUnreadJournal();
    CAIRN_RETURN_IF_ERROR(persistence_->LoadAtStart([this] { return StopAsked(); }));
  }
  CAIRN_RETURN_IF_ERROR(replication_->Start());
  if (const Status status = AdjustOomScore(config_, false); !status.ok())
    log_.Warning("%s", status.message().c_str());
  log_.Notice("Ready to accept connections");
  return Status::Ok();
}

ConnectionHandler* Server::MakeClient(Worker& worker, int fd, std::string* refusal) {
  WorkerContext& context = *contexts_[static_cast<size_t>(worker.index())];
  // Counted before it is judged: several workers accept at once.
  if (client_count_.fetch_add(1) >= static_cast<size_t>(config_.maxclients())) {
    client_count_.fetch_sub(1);
    *refusal = "-ERR max number of clients reached\r\n";
    context.executor.statistics().Add(Stat::kRejectedConnections);
    return nullptr;
  }
  if (config_.protected_mode() && engine_->users.default_nopass() && !IsLoopback(fd)) {
    client_count_.fetch_sub(1);
    *refusal = kDenied;
    context.executor.statistics().Add(Stat::kRejectedConnections);
    return nullptr;
  }
  context.executor.statistics().Add(Stat::kConnections);
  auto record = std::make_shared<ClientRecord>();
  record->id = engine_->next_client_id.fetch_add(1);
  record->created_ms = worker.monotonic_ms();
  record->last_active_ms.store(worker.monotonic_ms());
  record->worker = worker.index();
  return new Client(this, &context, std::move(record));
}

void Server::RegisterHooks() {
  // Hooks of CONFIG SET run under scope All.
  RegisterDurabilityHooks();
  store_.OnChange({"acl-pubsub-default"}, [this](const Config& config) {
    engine_->users.set_all_channels_by_default(config.acl_pubsub_default() ==
                                               AclPubsubDefault::kAllChannels);
    return Status::Ok();
  });
  RegisterTlsHooks();
  RegisterPortHooks();
  store_.OnChange({"oom-score-adj", "oom-score-adj-values"}, [this](const Config& config) {
    const Status status = AdjustOomScore(config, false);
    if (status.ok()) return status;
    log_.Warning("%s", status.message().c_str());
    return Status::Invalid("Failed to apply new oom_score_adj configuration, check server logs.");
  });
  store_.OnChange({"maxclients"}, [this](const Config& config) {
    return AllowMaxClients(config.maxclients(), contexts_.size());
  });
  store_.OnChange({"crash-log-enabled"}, [](const Config& config) {
    EnableCrashReport(config.crash_log_enabled());
    return Status::Ok();
  });
  store_.OnChange({"loglevel"}, [this](const Config& config) {
    log_.set_level(config.loglevel());
    return Status::Ok();
  });
  store_.OnChange({"journal-buffer-size"}, [this](const Config& config) {
    if (journal_ != nullptr)
      journal_->SetBufferBytesMax(static_cast<uint64_t>(config.journal_buffer_size()));
    return Status::Ok();
  });
  store_.OnChange({"restore-keep-expired"}, [this](const Config& config) {
    if (!config.restore_keep_expired()) engine_->kept_until_ms.store(0, std::memory_order_relaxed);
    return Status::Ok();
  });
  store_.OnChange(
      {"journal-retention-time", "journal-retention-bytes"}, [this](const Config& config) {
        if (journal_ != nullptr)
          journal_->SetRetention(static_cast<uint64_t>(config.journal_retention_time()) * 1000,
                                 static_cast<uint64_t>(config.journal_retention_bytes()));
        return Status::Ok();
      });
}

// Signals stay pending until Wait; a start that takes long looks for them itself.
bool Server::StopAsked() const {
  sigset_t pending;
  sigpending(&pending);
  return (departure_ != nullptr && departure_->pending()) || sigismember(&pending, SIGTERM) == 1 ||
         sigismember(&pending, SIGINT) == 1;
}

int Server::Wait() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  while (!departure_->Step()) {
    // What a departure waits for sends no signal.
    static constexpr timespec kSoon{0, 10'000'000};
    const int received = departure_->pending() ? sigtimedwait(&signals, nullptr, &kSoon)
                                               : sigwaitinfo(&signals, nullptr);
    if (received == SIGHUP) {
      const Status status = log_.Open(config_.logfile());
      if (!status.ok()) log_.Warning("%s", status.message().c_str());
      engine_->audit->Reopen();
      ReloadCertificates();
    }
    if (received != SIGTERM && received != SIGINT) continue;
    if (departure_->pending() && received == SIGINT) {
      log_.Warning("You insist... exiting now.");
      RemoveFiles();
      _exit(1);
    }
    if (woken_.exchange(false)) continue;
    log_.Warning("Received %s scheduling shutdown...", received == SIGTERM ? "SIGTERM" : "SIGINT");
    const int64_t how =
        received == SIGTERM ? config_.shutdown_on_sigterm() : config_.shutdown_on_sigint();
    ShutdownRequest request;
    request.save = (how & kShutdownSave) != 0;
    request.nosave = (how & kShutdownNoSave) != 0;
    request.force = (how & kShutdownForce) != 0;
    departure_->Ask(request, {});
  }
  log_.Notice("User requested shutdown...");
  TellSupervisorStopping(config_);
  engine_->modes.Set(kModeShutdown, true);
  replication_->Stop();
  listener_->CloseAndWait();
  tls_listener_->CloseAndWait();
  metrics_->CloseAndWait();
  pool_->Stop();
  engine_->migrator.reset();
  persistence_->Stop();
  int exit_status = 0;
  if (journal_ != nullptr) {
    const Status status = journal_->Close();
    if (!status.ok()) {
      log_.Warning("Error closing the journal: %s", status.message().c_str());
      exit_status = 1;
    }
  }
  RemoveFiles();
  log_.Warning("Cairn is now ready to exit, bye bye...");
  // What an unfinished script holds lies on a stack that will never run again: nobody can free it,
  // so nothing is torn down.
  for (const auto& context : contexts_)
    if (context->executor.aside()) _exit(exit_status);
  return exit_status;
}

// After the ports were bound: a server that finds them taken leaves the other one's file alone.
void Server::WritePidFile() {
  const std::string path = config_.pidfile();
  if (path.empty()) return;
  FILE* file = fopen(path.c_str(), "w");
  const bool written = file != nullptr && fprintf(file, "%d\n", getpid()) > 0;
  const bool closed = file != nullptr && fclose(file) == 0;
  if (!written || !closed) log_.Warning("Can't write the pid file %s", path.c_str());
}

void Server::RemoveFiles() const {
  if (!config_.pidfile().empty()) unlink(config_.pidfile().c_str());
  if (!config_.unixsocket().empty()) unlink(config_.unixsocket().c_str());
}

void Server::AddClient(std::shared_ptr<ClientRecord> record) {
  std::lock_guard guard(clients_mutex_);
  clients_[record->id] = std::move(record);
}

void Server::RemoveClient(uint64_t id) {
  client_count_.fetch_sub(1);
  std::lock_guard guard(clients_mutex_);
  clients_.erase(id);
}

uint64_t Server::accepted() const {
  return listener_ == nullptr ? 0 : listener_->accepted();
}

Server::NetTotals Server::net_totals() const {
  NetTotals sum;
  for (const auto& context : contexts_) {
    const WorkerTotals& t = context->worker.totals();
    sum.bytes_in += t.bytes_in.load(std::memory_order_relaxed);
    sum.bytes_out += t.bytes_out.load(std::memory_order_relaxed);
    sum.reads += t.reads.load(std::memory_order_relaxed);
    sum.writes += t.writes.load(std::memory_order_relaxed);
    sum.turns += t.turns.load(std::memory_order_relaxed);
  }
  return sum;
}

std::vector<std::shared_ptr<ClientRecord>> Server::Clients() {
  std::vector<std::shared_ptr<ClientRecord>> all;
  std::lock_guard guard(clients_mutex_);
  for (const auto& [id, record] : clients_) all.push_back(record);
  return all;
}

std::shared_ptr<ClientRecord> Server::FindClient(uint64_t client_id) {
  std::lock_guard guard(clients_mutex_);
  auto found = clients_.find(client_id);
  return found == clients_.end() ? nullptr : found->second;
}

bool Server::Kill(uint64_t client_id) {
  const std::shared_ptr<ClientRecord> record = FindClient(client_id);
  if (record == nullptr) return false;
  // Somebody else has killed it already: one kill counts once.
  if (record->closing.exchange(true)) return false;
  WorkerContext* context = contexts_[static_cast<size_t>(record->worker)].get();
  context->worker.Post([context, client_id] {
    auto found = context->clients.find(client_id);
    if (found == context->clients.end()) return;
    // What was delivered to it before, in this very turn perhaps, is its own.
    Connection* connection = found->second->connection();
    connection->Flush();
    connection->Close();
  });
  return true;
}

bool Server::Put(int worker, std::unique_ptr<WorkerTask> task) {
  WorkerContext* context = contexts_[static_cast<size_t>(worker)].get();
  return context->worker.Put(MakeTask([context, task = std::move(task)] { task->Run(*context); }));
}

void Server::Wake(int worker) {
  contexts_[static_cast<size_t>(worker)]->worker.Wake();
}

void Server::Pause(int64_t until_ms, bool writes_only) {
  std::lock_guard guard(pause_mutex_);
  if (until_ms == 0) return EndPause();
  // A shorter or milder pause does not end a longer or stricter one.
  pause_until_ms_ = std::max(pause_until_ms_, until_ms);
  engine_->modes.Set(writes_only ? kModePausedWrite : kModePausedAll, true);
}

// Judged and ended in one hold of the mutex: a pause that begins meanwhile stands.
void Server::EndOverduePause(int64_t now_ms) {
  std::lock_guard guard(pause_mutex_);
  if (pause_until_ms_ != 0 && now_ms >= pause_until_ms_) EndPause();
}

void Server::EndPause() {
  pause_until_ms_ = 0;
  engine_->modes.Set(kModePausedAll, false);
  engine_->modes.Set(kModePausedWrite, false);
  ResumeParked();
}

void Server::Shutdown(const ShutdownRequest& request, std::function<void()> went_on) {
  departure_->Ask(request, std::move(went_on));
  woken_.store(true);
  kill(getpid(), SIGTERM);  // wakes Wait
}

bool Server::AbortShutdown() {
  return departure_->Abort();
}

void Server::ResetStatistics() {
  engine_->statistics.Reset();
  engine_->evicted_clients.store(0);
}

void Server::Sleep(int64_t microseconds) {
  // Called under scope All: nobody else runs a command meanwhile.
  usleep(static_cast<useconds_t>(microseconds));
}

bool Server::OnlyReads(const Command& command, Arguments arguments) {
  return engine_->scripts->OnlyReads(command, arguments);
}

}  // namespace cairn
