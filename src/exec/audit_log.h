// SPDX-License-Identifier: BSD-3-Clause
//
// AuditLog: who did what, a JSON line an event, chained by hashes (base/audit_chain.h):
//
//   {"seq":7,"time":"2026-01-31T10:11:12.345Z","event":"command","id":3,"user":"alice",
//    "addr":"127.0.0.1:5001","db":0,"cmd":"set","keys":["k"],"outcome":"ok","usec":4,"hash":"..."}
//
// `outcome` is "ok" or the code of the error reply; values never appear. Keys are shortened to
// kKeyBytesMax, and of more than kKeysMax only the number is told ("keys_total").
//
// Who is about to set options of the log itself (to turn it off, say) is told before that is done,
// whatever the rules, with the names of the options:
//
//   {"seq":8,"time":"...","event":"settings","id":3,"user":"alice","addr":"127.0.0.1:5001",
//    "options":["audit-log"],"hash":"..."}
//
// Events go into a queue of kQueueBytesMax; what does not fit is dropped and counted, and a line
// {"event":"dropped","count":n} stands in its place. A thread of its own writes them, some ten
// milliseconds later: it takes the whole queue, and not again before all of that is in the file. So
// what the disk refuses waits, in at most twice that bound, and the chain has no gap.
//
// Thread rule: Wants and Add on any thread, under a shard lock too (memory and a short mutex);
// Configure, SetRules and Reopen by one thread at a time (start, CONFIG SET, SIGHUP).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/audit_chain.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "spec/registry.h"

namespace cairn {

struct ClientRecord;
struct Engine;

// What is written: events that one of the rules is about; all events if there is no rule.
//
//   rules = rule *(";" rule)
//   rule  = *( "user:" GLOB | "@" CATEGORY | COMMAND | "~" GLOB )     words of one rule, by blanks
//
// A word of each kind that a rule has must fit: the user; a category or a command by name (a
// container's name stands for its subcommands); one of the keys.
class AuditRules {
 public:
  static Result<AuditRules> Parse(std::string_view text, const Registry& registry);
  bool Match(std::string_view user, const Command& command,
             const std::vector<std::string_view>& keys) const;

 private:
  struct Rule {
    std::vector<std::string> users, keys;
    uint64_t categories = 0;
    std::vector<const Command*> commands;
  };
  static bool MatchRule(const Rule& rule, std::string_view user, const Command& command,
                        const std::vector<std::string_view>& keys);
  std::vector<Rule> rules_;
};

struct AuditEvent {
  const Command* command = nullptr;
  uint64_t client_id = 0;
  std::string_view user, address, outcome;
  int db = 0;
  int64_t duration_us = 0;
  std::vector<std::string_view> keys;
};

class AuditLog {
 public:
  static constexpr size_t kQueueBytesMax = size_t{16} << 20;
  static constexpr size_t kKeysMax = 32, kKeyBytesMax = 256;  // the latter for a user too

  AuditLog(FileSystem* files, Clock* clock, Log* log)
      : files_(*files), clock_(*clock), log_(*log) {}
  ~AuditLog();  // writes what is queued
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // "": no log. The chain goes on where the file's last whole line ends; a torn one is cut off.
  // After an error the log that was on goes on.
  Status Configure(const std::string& path);
  // 0: the file grows. Else it becomes FILE.1, FILE.1 becomes FILE.2 ... and FILE.`keep` goes.
  void SetRotation(uint64_t bytes_max, int keep);
  void SetRules(AuditRules rules);
  // The file was renamed by somebody else (logrotate): begins a new one under the old name.
  void Reopen();

  bool on() const { return on_.load(std::memory_order_relaxed); }
  void Add(const AuditEvent& event);
  // The client of `event` sets these options of the log.
  void AddSettings(const AuditEvent& event, const std::vector<std::string_view>& options);

  uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Target {
    std::string path;
    std::unique_ptr<File> file;
    uint64_t size = 0;
    AuditChain chain;   // as of `size`
    bool first = true;  // nothing was written to this file by us yet
  };
  void Main();
  void Stop();
  Status Open(const std::string& path, Target* target);
  Status RecoverChain(Target* target);
  bool WriteBatch();
  bool WriteSome();
  void Rotate();
  Status MoveAside();
  void Reopened();
  std::string TimeMember() const;
  std::string Begin(const char* kind, const AuditEvent& event) const;
  // `spare`: so many bytes above its bound the queue may grow for this one.
  void Enqueue(std::string body, size_t spare = 0);

  FileSystem& files_;
  Clock& clock_;
  Log& log_;
  std::atomic<bool> on_{false};
  std::atomic<uint64_t> written_{0}, dropped_{0}, failures_{0};
  std::atomic<uint64_t> bytes_max_{0};
  std::atomic<int> keep_{0};

  std::mutex mutex_;  // over what follows
  std::condition_variable wake_;
  std::deque<std::string> queue_;  // bodies of lines
  size_t queued_bytes_ = 0;
  uint64_t dropped_unsaid_ = 0;
  bool stop_ = false, reopen_ = false;
  std::shared_ptr<const AuditRules> rules_ = std::make_shared<AuditRules>();

  // The writer's, and Configure's while there is no writer.
  std::thread writer_;
  Target target_;
  std::deque<std::string> batch_;  // bodies taken from the queue and not in the file yet
  bool failing_ = false, rotation_failing_ = false;  // said in a message already
  // target_.file has another name by now, and a new one could not be opened yet.
  bool reopen_owed_ = false;
};

// Tells the log of a call of this client: `duration_us` 0 if it was refused.
void AuditCall(Engine& engine, const ClientRecord& record, const Command& command,
               Arguments arguments, int db, int64_t duration_us, std::string_view outcome);
// The same client is about to set options of the log.
void AuditSettings(Engine& engine, const ClientRecord& record,
                   const std::vector<std::string_view>& options);

}  // namespace cairn
