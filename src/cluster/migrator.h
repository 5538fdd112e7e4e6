// SPDX-License-Identifier: BSD-3-Clause
//
// Migrator: sends keys to another server (MIGRATE). It knows no keyspace: a job brings the
// payloads, and is told which of them were taken.
//
// Thread rule: Send from any thread; `done` is called on a thread of the Migrator, once, unless the
// Migrator ends before.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cairn {

class LinkSocket;

struct MigrateKey {
  std::string key;
  std::string payload;       // as DUMP makes it
  int64_t expiry_ms = -1;    // wall clock; -1: none
};

struct MigrateJob {
  std::string host;
  int port = 0;
  int64_t db = 0;
  int64_t timeout_ms = 1000;  // of each step of the journey
  bool replace = false;
  std::string user, password;  // "" and "": none
  std::vector<MigrateKey> keys;
};

struct MigrateResult {
  std::string error;        // of the reply, with its code; "" if all is well
  std::vector<bool> taken;  // by key: the target has it
};

class Migrator {
 public:
  static constexpr size_t kThreadsMax = 4;
  static constexpr int64_t kIdleConnectionMs = 10'000;
  // Of kept connections; each holds three descriptors, which are of the server's reserve
  // (server/open_files.h). One more closes the one that was used least recently.
  static constexpr size_t kKeptMax = 16;

  Migrator() = default;
  ~Migrator();  // ends journeys under way; their `done` is not called
  Migrator(const Migrator&) = delete;
  Migrator& operator=(const Migrator&) = delete;

  using Done = std::function<void(MigrateResult)>;
  void Send(MigrateJob job, Done done);
  // Calls `task` in about `rest_ms` milliseconds, as if it were a `done`.
  void Later(int64_t rest_ms, std::function<void()> task);

 private:
  struct Connection {
    std::unique_ptr<LinkSocket> socket;
    int64_t db = -1;           // that was selected
    int64_t last_used_ms = 0;  // monotonic
  };
  struct Task {
    MigrateJob job;
    Done done;
    int64_t rest_ms;  // not 0: there is nothing to send, only time to pass
  };
  void Add(Task task);
  void Main(size_t number);
  MigrateResult Run(const MigrateJob& job, size_t number);
  void DropIdle();
  std::unique_ptr<Connection> TakeConnection(const std::string& name);
  void KeepConnection(const std::string& name, std::unique_ptr<Connection> connection);

  std::mutex mutex_;  // over all of this
  std::condition_variable wake_;  // of who waits for a task
  std::condition_variable rest_;  // of who lets time pass
  std::deque<Task> tasks_;
  std::vector<std::thread> threads_;
  std::vector<LinkSocket*> in_use_;  // by thread: to be interrupted at the end
  size_t idle_ = 0;
  bool stop_ = false;
  std::map<std::string, std::unique_ptr<Connection>> kept_;  // by address, user, password
};

}  // namespace cairn
