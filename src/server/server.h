// SPDX-License-Identifier: BSD-3-Clause
//
// Server: wires everything together and owns it: engine, workers, listeners, journal; the registry
// of clients; cron; the orderly start and end.
//
//   start:  configuration -> bind the sockets -> workers (answering -LOADING) -> replay ->
//           journal -> ready
//   end:    listeners, sessions, workers, journal (its clean mark), files
//
// Thread rule: made, run and destroyed by the main thread, which sleeps waiting for signals;
// ServerControl's calls come from any worker.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "exec/engine.h"
#include "exec/executor.h"
#include "exec/replay.h"
#include "journal/journal.h"
#include "journal/stripes.h"
#include "net/listener.h"
#include "net/worker_pool.h"
#include "server/function_source.h"
#include "server/ports.h"
#include "server/rates.h"
#include "server/worker_context.h"

namespace cairn {

class Persistence;
class Replication;
class ClientMemory;
class MetricsServer;
class TlsService;
class Departure;

class Server final : public ServerControl, public JournalListener {
 public:
  Server(ConfigStore* store, Log* log);
  ~Server() override;

  // Before Start: the log is to end at this LSN or time, see server_restore.cc.
  void set_restore_to(std::string target) { restore_to_ = std::move(target); }
  // Everything up to "Ready to accept connections". The error is one line for the operator.
  Status Start();
  // Sleeps until a signal or SHUTDOWN asks for the end, then ends in order. The exit status.
  int Wait();
  // Somebody asked for the end: a signal that Wait has not seen yet, or SHUTDOWN. Main thread.
  bool StopAsked() const;
  // The pid file and the unix socket, at the end of the process.
  void RemoveFiles() const;

  Engine& engine() { return *engine_; }
  WorkerContext& context(size_t worker) { return *contexts_[worker]; }
  size_t workers() const { return contexts_.size(); }
  int64_t start_time_ms() const { return start_time_ms_; }
  const Persistence& persistence() const { return *persistence_; }
  const TlsService& tls() const { return *tls_; }
  ClientMemory& client_memory() { return *client_memory_; }

  void AddClient(std::shared_ptr<ClientRecord> record);
  void RemoveClient(uint64_t id);
  size_t client_count() const { return client_count_.load(std::memory_order_relaxed); }
  uint64_t accepted() const;
  // Bytes and loop turns of all workers.
  struct NetTotals {
    uint64_t bytes_in = 0, bytes_out = 0, reads = 0, writes = 0, turns = 0;
  };
  NetTotals net_totals() const;

  // ServerControl
  std::vector<std::shared_ptr<ClientRecord>> Clients() override;
  bool Kill(uint64_t client_id) override;
  std::shared_ptr<ClientRecord> FindClient(uint64_t client_id) override;
  void Pause(int64_t until_ms, bool writes_only) override;
  void Shutdown(const ShutdownRequest& request, std::function<void()> went_on) override;
  bool AbortShutdown() override;
  std::string Info(const std::vector<std::string>& sections) override;
  void ResetStatistics() override;
  bool Put(int worker, std::unique_ptr<WorkerTask> task) override;
  void Wake(int worker) override;
  Status ReloadJournal() override;
  Status EnsureJournal() override;
  Status SwitchJournal() override;
  void OnFirstBase() override;
  void OnTimeline(uint64_t lsn) override;
  void OnAcknowledged() override;
  void GiveUpHeld() override;
  void Sleep(int64_t microseconds) override;
  bool OnlyReads(const Command& command, Arguments arguments) override;

  // JournalListener: from the journal's threads.
  void OnDurable(Lsn durable) override;
  void OnWritten(Lsn written) override;
  void OnAdmissionOpen() override;
  void OnStateChange(JournalState state, const std::string& reason) override;
  void OnRebaseNeeded(Lsn durable) override;

 private:
  Status Listen();
  Status ListenTls();
  void RegisterPortHooks();
  void RegisterTlsHooks();
  Status StartObserving();
  void ReloadCertificates();
  Status LoadUsers();
  Status LoadConfiguredUsers();
  Status LockJournal();
  Status OpenJournal();
  Status RemoveTemporaryFiles(const std::string& dir);
  Status BeginJournal();
  Status EndJournal();
  void RetireJournal(const std::function<void()>& next);
  Status ImportRedisFiles(struct Recovered* recovered);
  void TellPassedOver();
  void TellUnreadJournal();
  void MakeReplayer();
  void HoldFromNowOn();
  std::string JournalFolder() const;
  Status LoadKeys();
  Result<Lsn> RestoreLimit(struct Recovered* recovered);
  Result<Lsn> Replay(const Manifest& manifest, Lsn limit, const std::function<bool()>& stop);
  Status LoadJournalAgain();
  Status LoadBase(const Manifest& manifest, const std::function<bool()>& stop, int* database);
  JournalOptions JournalSettings(const std::string& dir);
  void RegisterHooks();
  void StartCron(size_t worker);
  void Cron(size_t worker);
  void EndOverduePause(int64_t now_ms);
  void EndPause();
  void ResumeParked();
  void ResumeOverdue(WorkerContext& context, int64_t now_ms);
  void SampleRates(int64_t now_ms);
  void Background(size_t worker);
  void LimitTracking(WorkerContext& context, size_t index);
  void ApplyFsyncPolicy();
  Status CheckDurableFollowers() const;
  void RegisterDurabilityHooks();
  std::string FsyncName() const;
  void WritePidFile();
  ConnectionHandler* MakeClient(Worker& worker, int fd, std::string* refusal);

  ConfigStore& store_;
  Log& log_;
  const Config& config_;
  Registry registry_;
  std::unique_ptr<Keyspace> keyspace_;
  std::unique_ptr<Engine> engine_;
  LsnStripes stripes_;
  FileLock journal_lock_;  // as long as there is a journal
  std::unique_ptr<Journal> journal_;
  std::vector<std::unique_ptr<Journal>> retired_;  // at rest, see Engine::journal
  std::mutex switch_mutex_;  // one SwitchJournal at a time; held across files, taken before all
  bool logged_ = false;      // what the last one made of `appendonly`
  std::unique_ptr<Replayer> replayer_;
  std::unique_ptr<KeyRing> keys_;  // null: no encryption
  int stream_database_ = 0;  // that the replayed stream ends in
  std::string restore_to_;
  std::atomic<Lsn> restored_to_{kLsnMax};  // by this start; kLsnMax: it was none
  std::unique_ptr<FunctionSource> function_source_;
  std::unique_ptr<Persistence> persistence_;
  std::unique_ptr<Replication> replication_;
  std::unique_ptr<WorkerPool> pool_;
  std::vector<std::unique_ptr<WorkerContext>> contexts_;
  Ports ports_{config_, config_.port, config_.bind};
  std::unique_ptr<Listener> listener_;
  Ports tls_ports_{config_, config_.tls_port, config_.bind};
  std::unique_ptr<TlsService> tls_;
  std::unique_ptr<ClientMemory> client_memory_;
  std::unique_ptr<MetricsServer> metrics_;
  std::unique_ptr<Listener> tls_listener_;  // without sockets while tls-port is 0
  int64_t start_time_ms_ = 0;  // monotonic
  std::mutex pause_mutex_;  // of the pause's modes and end; a leaf
  int64_t pause_until_ms_ = 0;  // monotonic; 0: there is none
  std::atomic<size_t> client_count_{0};
  std::unique_ptr<Departure> departure_;
  std::atomic<bool> woken_{false};  // the SIGTERM that comes is our own
  std::atomic<bool> limits_tracking_{false};  // a worker is about to, see LimitTracking
  Rate commands_rate_, input_rate_, output_rate_;  // sampled by worker 0
  mutable std::mutex clients_mutex_;
  std::map<uint64_t, std::shared_ptr<ClientRecord>> clients_;
  friend class InfoWriter;
};

}  // namespace cairn
