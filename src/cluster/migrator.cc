// SPDX-License-Identifier: BSD-3-Clause
#include "cluster/migrator.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "base/clock.h"
#include "base/thread.h"
#include "repl/link_socket.h"

namespace cairn {
namespace {

constexpr std::string_view kNoConnection = "IOERR error or timeout connecting to the client";
constexpr std::string_view kNoWriting = "IOERR error or timeout writing to target instance";
constexpr std::string_view kNoReading = "IOERR error or timeout reading from target instance";
constexpr size_t kWriteBytes = 64 << 10;  // of payloads that are gathered for one write

void AppendRequest(std::string* out, std::initializer_list<std::string_view> words) {
  out->append("*").append(std::to_string(words.size())).append("\r\n");
  for (std::string_view word : words) {
    out->append("$").append(std::to_string(word.size())).append("\r\n");
    out->append(word).append("\r\n");
  }
}

// "-CODE text" as MIGRATE tells it; "" if the line is no error.
std::string ErrorOf(const std::string& line) {
  if (!line.starts_with("-")) return "";
  return "ERR Target instance replied with error: " + line.substr(1);
}

int64_t WallMs() { return SystemClock()->WallMs(); }

// One MIGRATE on a connection: requests first, then their replies.
class Journey {
 public:
  Journey(const MigrateJob& job, LinkSocket& socket) : job_(job), socket_(socket) {
    result_.taken.resize(job.keys.size());
  }

  MigrateResult Go(bool select) {
    const bool authenticates = !job_.password.empty();
    if (!SendRequests(authenticates, select)) return std::move(result_);
    // An error before the first key is the error of all.
    if (authenticates && !ReadReply(true)) return std::move(result_);
    if (select && !ReadReply(true)) return std::move(result_);
    for (size_t i = 0; i < job_.keys.size(); ++i) {
      if (!sent_[i]) continue;
      const size_t errors = errors_;
      if (!ReadReply(false)) return std::move(result_);
      result_.taken[i] = errors_ == errors;
    }
    return std::move(result_);
  }

  bool broken() const { return broken_; }
  // A connection that was kept has ended on the other side meanwhile: nothing was taken. A target
  // that only takes its time may have.
  bool never_began() const { return broken_ && !got_anything_ && !timed_out_; }

 private:
  bool Break(std::string_view error, const Status& status) {
    broken_ = true;
    timed_out_ = status.code() == StatusCode::kLimit;
    result_.error = error;
    return false;
  }

  bool SendRequests(bool authenticates, bool select) {
    std::string out;
    if (authenticates && job_.user.empty()) AppendRequest(&out, {"AUTH", job_.password});
    if (authenticates && !job_.user.empty()) AppendRequest(&out, {"AUTH", job_.user, job_.password});
    if (select) AppendRequest(&out, {"SELECT", std::to_string(job_.db)});
    for (const MigrateKey& key : job_.keys) {
      int64_t ttl = 0;
      if (key.expiry_ms >= 0) ttl = key.expiry_ms - WallMs();
      // One that has died meanwhile does not travel, and is not deleted as if it had.
      sent_.push_back(key.expiry_ms < 0 || ttl >= 0);
      if (!sent_.back()) continue;
      if (key.expiry_ms >= 0) ttl = std::max<int64_t>(ttl, 1);
      const std::string when = std::to_string(ttl);
      if (job_.replace) {
        AppendRequest(&out, {"RESTORE", key.key, when, key.payload, "REPLACE"});
      } else {
        AppendRequest(&out, {"RESTORE", key.key, when, key.payload});
      }
      if (out.size() < kWriteBytes) continue;
      if (!Write(out)) return false;
      out.clear();
    }
    return Write(out);
  }

  bool Write(std::string_view bytes) {
    const Status status = socket_.Write(bytes, job_.timeout_ms);
    return status.ok() || Break(kNoWriting, status);
  }

  // False: the connection is of no more use, or (`fatal`) the answer was an error.
  bool ReadReply(bool fatal) {
    auto line = socket_.ReadLine(job_.timeout_ms);
    if (!line.ok()) return Break(kNoReading, line.status());
    got_anything_ = true;
    const std::string error = ErrorOf(*line);
    if (error.empty()) return true;
    ++errors_;
    if (result_.error.empty()) result_.error = error;
    // Replies that are not read belong to nobody.
    if (fatal) broken_ = true;
    return !fatal;
  }

  const MigrateJob& job_;
  LinkSocket& socket_;
  MigrateResult result_;
  std::vector<bool> sent_;
  size_t errors_ = 0;
  bool broken_ = false, got_anything_ = false, timed_out_ = false;
};

}  // namespace

Migrator::~Migrator() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
    for (LinkSocket* socket : in_use_)
      if (socket != nullptr) socket->Interrupt();
  }
  wake_.notify_all();
  rest_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Migrator::Send(MigrateJob job, Done done) { Add({std::move(job), std::move(done), 0}); }

void Migrator::Later(int64_t rest_ms, std::function<void()> task) {
  Add({{}, [task = std::move(task)](MigrateResult) { task(); }, rest_ms});
}

void Migrator::Add(Task task) {
  std::lock_guard guard(mutex_);
  tasks_.push_back(std::move(task));
  if (idle_ < tasks_.size() && threads_.size() < kThreadsMax) {
    in_use_.push_back(nullptr);
    threads_.emplace_back([this, number = threads_.size()] { Main(number); });
  }
  wake_.notify_one();
}

void Migrator::Main(size_t number) {
  BeginThread("migrate");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    const auto called = [this] { return stop_ || !tasks_.empty(); };
    while (!called()) {
      if (kept_.empty()) {
        wake_.wait(lock);
      } else {
        wake_.wait_for(lock, std::chrono::milliseconds(kIdleConnectionMs));
        DropIdle();
      }
    }
    --idle_;
    if (stop_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    MigrateResult result;
    if (task.rest_ms > 0) {
      rest_.wait_for(lock, std::chrono::milliseconds(task.rest_ms), [this] { return stop_; });
    } else {
      lock.unlock();
      result = Run(task.job, number);
      lock.lock();
    }
    if (stop_) return;
    lock.unlock();
    task.done(std::move(result));
    lock.lock();
  }
}

void Migrator::DropIdle() {
  const int64_t now_ms = SystemClock()->MonotonicMs();
  std::erase_if(kept_, [&](const auto& kept) {
    return now_ms - kept.second->last_used_ms >= kIdleConnectionMs;
  });
}

std::unique_ptr<Migrator::Connection> Migrator::TakeConnection(const std::string& name) {
  std::lock_guard guard(mutex_);
  DropIdle();
  auto found = kept_.find(name);
  if (found == kept_.end()) return nullptr;
  auto connection = std::move(found->second);
  kept_.erase(found);
  return connection;
}

void Migrator::KeepConnection(const std::string& name, std::unique_ptr<Connection> connection) {
  connection->last_used_ms = SystemClock()->MonotonicMs();
  std::lock_guard guard(mutex_);
  kept_[name] = std::move(connection);
  if (kept_.size() <= kKeptMax) return;
  kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& one, const auto& other) {
    return one.second->last_used_ms < other.second->last_used_ms;
  }));
}

MigrateResult Migrator::Run(const MigrateJob& job, size_t number) {
  // Who does not know the password does not get the connection of one who does. (No host has a
  // NUL in it that any name service would find.)
  const std::string name = job.host + ":" + std::to_string(job.port) + '\0' + job.user + '\0' +
                           job.password;
  for (;;) {
    std::unique_ptr<Connection> connection = TakeConnection(name);
    const bool kept = connection != nullptr;
    if (!kept) {
      connection = std::make_unique<Connection>();
      connection->socket = std::make_unique<LinkSocket>();
    }
    {
      std::lock_guard guard(mutex_);
      in_use_[number] = connection->socket.get();
      if (stop_) connection->socket->Interrupt();
    }
    MigrateResult result;
    bool broken = false, retry = false;
    if (!kept && !connection->socket->Connect(job.host, job.port, "", job.timeout_ms).ok()) {
      broken = true;
      result.error = kNoConnection;
      result.taken.resize(job.keys.size());
    } else {
      Journey journey(job, *connection->socket);
      result = journey.Go(connection->db != job.db);
      connection->db = job.db;
      broken = journey.broken();
      retry = kept && journey.never_began();
    }
    {
      std::lock_guard guard(mutex_);
      in_use_[number] = nullptr;
    }
    if (!broken) KeepConnection(name, std::move(connection));
    if (!retry) return result;
  }
}

}  // namespace cairn
