// SPDX-License-Identifier: BSD-3-Clause
#include "repl/feeder.h"

#include <algorithm>

#include "base/thread.h"
#include "exec/replication_control.h"
#include "journal/journal.h"

namespace cairn {
namespace {

constexpr auto kIdleWait = std::chrono::milliseconds(100);
constexpr auto kAloneWait = std::chrono::seconds(1);         // nobody follows
constexpr auto kBacklogWait = std::chrono::milliseconds(1);  // somebody's window is full
constexpr auto kHeldWait = std::chrono::milliseconds(10);    // a busy script has all locks
constexpr int64_t kKeepAliveMs = 1000;

// Puts bytes into the follower's connection, and says how much of what it holds is unsent.
class FeedTask final : public WorkerTask {
 public:
  FeedTask(std::shared_ptr<Follower> follower, std::string bytes)
      : follower_(std::move(follower)), bytes_(std::move(bytes)) {}

  void Run(LocalClients& clients) override {
    const uint64_t size = bytes_.size();
    const bool there = clients.Visit(follower_->record->id, [&](Session& session,
                                                                OutputBuffer& out) {
      if (size >= OutputBuffer::kBorrowBytesMin) {
        auto* owned = new std::string(std::move(bytes_));
        out.AppendBorrowed(
            *owned, [](void* owner) { delete static_cast<std::string*>(owner); }, owned);
      } else {
        out.Append(bytes_);
      }
      session.stream_end = out.end_position();
      follower_->buffered.store(out.size(), std::memory_order_relaxed);
    });
    follower_->posted.fetch_sub(size, std::memory_order_release);
    if (!there) follower_->gone.store(true, std::memory_order_relaxed);
  }

 private:
  const std::shared_ptr<Follower> follower_;
  std::string bytes_;
};

}  // namespace

FollowerSession::~FollowerSession() {
  if (follower != nullptr) feeder->Remove(follower);
}

Feeder::Feeder(Engine* engine)
    : engine_(*engine), executor_(engine), pinged_ms_(engine->clock.MonotonicMs()) {}

void Feeder::Start() {
  thread_ = std::thread([this] { Main(); });
}

Status Feeder::EnsureJournal() {
  for (;;) {
    {
      std::lock_guard step(step_mutex_);
      if (engine_.open_journal != nullptr) return Status::Ok();
      Status status = engine_.control->EnsureJournal();
      if (status.code() != StatusCode::kUnavailable) return status;
    }
    std::this_thread::sleep_for(kHeldWait);
  }
}

Feeder::~Feeder() {
  Stop();
}

void Feeder::Stop() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  // Its files go now: a server that leaves a script in its middle tears nothing down.
  sync_.reset();
  for (const auto& follower : followers()) follower->file.reset();
}

void Feeder::Add(std::shared_ptr<Follower> follower) {
  {
    std::lock_guard guard(mutex_);
    followers_.push_back(std::move(follower));
  }
  Notify();
}

void Feeder::Remove(const std::shared_ptr<Follower>& follower) {
  follower->gone.store(true, std::memory_order_relaxed);
  std::lock_guard guard(mutex_);
  if (std::erase(followers_, follower) == 0) return;
  if (follower->state.load() == State::kOnline) engine_.followers.fetch_sub(1);
}

void Feeder::Notify() {
  {
    std::lock_guard guard(mutex_);
    if (notified_ || followers_.empty()) return;
    notified_ = true;
  }
  wake_.notify_one();
}

std::unique_lock<std::mutex> Feeder::DetachAll(const char* reason) {
  std::unique_lock step(step_mutex_);
  for (const auto& follower : followers()) Drop(*follower, reason);
  sync_.reset();
  return step;
}

void Feeder::RequestAcknowledgements() {
  ack_wanted_.store(true, std::memory_order_relaxed);
  Notify();
}

std::vector<std::shared_ptr<Follower>> Feeder::followers() const {
  std::lock_guard guard(mutex_);
  return followers_;
}

void Feeder::Main() {
  BeginThread("feeder");
  std::unique_lock lock(mutex_);
  while (!stop_) {
    notified_ = false;
    lock.unlock();
    bool more = false, waiting = false;
    {
      std::lock_guard step(step_mutex_);
      Periodic();
      for (const auto& follower : followers()) {
        if (follower->gone.load(std::memory_order_relaxed)) continue;
        more |= Step(*follower);
        waiting |= follower->probing;
      }
      if (sync_ != nullptr && sync_.use_count() == 1) sync_.reset();
    }
    lock.lock();
    if (more || notified_ || stop_) continue;
    if (followers_.empty()) {
      wake_.wait_for(lock, kAloneWait);
    } else {
      wake_.wait_for(lock, waiting ? kBacklogWait : kIdleWait);
    }
  }
}

bool Feeder::Step(Follower& follower) {
  switch (follower.state.load()) {
    case State::kAsked:
      return Decide(follower);
    case State::kWaiting:
      WaitForFile(follower);
      return follower.state.load() != State::kWaiting;
    case State::kSending:
      return SendFile(follower);
    case State::kOnline:
      return SendStream(follower);
  }
  return false;
}

// What the client asked for is in the log, under an id that is ours.
bool Feeder::CanContinue(const Follower& follower) {
  const FollowerRequest& request = follower.request;
  if (request.old || request.offset < 1) return false;
  const StreamFacts stream = engine_.replication->Stream();
  const auto lsn = static_cast<Lsn>(request.offset - 1);
  const bool ours = request.id == stream.id;
  const bool former = !stream.second_id.empty() && request.id == stream.second_id &&
                      request.offset <= stream.second_offset;
  if ((!ours && !former) || lsn > stream.offset) return false;
  if (follower.tail.bytes != 0 && follower.tail.bytes <= lsn) {
    const auto tail = StreamTailBefore(*engine_.journal, lsn, follower.tail.bytes);
    if (tail && tail->crc != follower.tail.crc) {
      engine_.log.Warning(
          "Replica %s:%d has other data than this log before offset %llu, under the "
          "same replication id: it gets all of it anew",
          follower.address.c_str(), follower.port, static_cast<unsigned long long>(lsn));
      return false;
    }
  }
  char byte;
  if (lsn == stream.offset || engine_.journal->ReadMemory(lsn, &byte, 1) == 1) return true;
  const Journal& journal = *engine_.journal;
  return JournalReader::Open(RealFileSystem(), journal.dir(), journal.manifest(), lsn,
                             journal.written(), journal.keys())
      .ok();
}

// False: not now.
bool Feeder::Decide(Follower& follower) {
  if (engine_.open_journal == nullptr) {
    const Status status = engine_.control->EnsureJournal();
    if (status.code() == StatusCode::kUnavailable) return false;
    if (!status.ok()) {
      Drop(follower, "no journal for its stream: " + status.message());
      return true;
    }
  }
  if (CanContinue(follower)) {
    engine_.log.Notice("Partial resynchronization request from %s:%d accepted, from offset %lld",
                       follower.address.c_str(), follower.port,
                       static_cast<long long>(follower.request.offset));
    follower.next = static_cast<Lsn>(follower.request.offset - 1);
    // It has what it does not ask for. After a full sync only its first ACK says so.
    follower.acknowledged.store(follower.next, std::memory_order_relaxed);
    // Who knows of second ids is told the present one.
    Send(follower, follower.second_id_understood
                       ? "+CONTINUE " + engine_.replication->Stream().id + "\r\n"
                       : "+CONTINUE\r\n");
    GoOnline(follower);
    return true;
  }
  engine_.log.Notice("Full resync requested by replica %s:%d", follower.address.c_str(),
                     follower.port);
  follower.state.store(State::kWaiting);
  return true;
}

void Feeder::GoOnline(Follower& follower) {
  const int64_t now_ms = engine_.clock.MonotonicMs();
  follower.acknowledged_ms.store(now_ms, std::memory_order_relaxed);
  NotePlace(follower, KeptFrom(), now_ms);  // it may be gone before the next period
  Retain(now_ms);
  std::lock_guard guard(mutex_);
  // Removed meanwhile: then it was not counted, nor is it now.
  if (follower.gone.load(std::memory_order_relaxed)) return;
  follower.state.store(State::kOnline);
  engine_.followers.fetch_add(1);
  engine_.journal->SetFollowed(true);
}

bool Feeder::SendStream(Follower& follower) {
  const Journal& journal = *engine_.journal;
  const Lsn limit = journal.policy() == FsyncPolicy::kAlways ? journal.durable() : journal.tail();
  for (int i = 0; i < kPiecesPerStep; ++i) {
    if (follower.next >= limit || !HasRoom(follower)) return false;
    std::string bytes;
    const size_t n = ReadStream(follower, limit, &bytes);
    if (n == 0) return false;
    follower.next += n;
    Send(follower, std::move(bytes));
  }
  return true;
}

// Bytes from follower.next on; 0 if there are none yet, or the follower was dropped.
size_t Feeder::ReadStream(Follower& follower, Lsn limit, std::string* bytes) {
  const Journal& journal = *engine_.journal;
  if (follower.reader == nullptr) {
    bytes->resize(std::min<uint64_t>(kPieceBytes, limit - follower.next));
    const size_t n = journal.ReadMemory(follower.next, bytes->data(), bytes->size());
    bytes->resize(n);
    if (n != 0) return n;
    limit = std::min(limit, journal.written());
    if (limit <= follower.next) return 0;
    auto reader = JournalReader::Open(RealFileSystem(), journal.dir(), journal.manifest(),
                                      follower.next, limit, journal.keys());
    if (!reader.ok()) {
      Drop(follower, "the log cannot be read for it: " + reader.status().message());
      return 0;
    }
    follower.reader = std::move(*reader);
  }
  StreamPiece piece;
  const auto more = follower.reader->Next(&piece);
  if (!more.ok()) {
    Drop(follower, "the log cannot be read for it: " + more.status().message());
    return 0;
  }
  if (!*more) {
    follower.reader.reset();
    // What was written since then: from memory or by a new reader.
    return follower.next < limit ? ReadStream(follower, limit, bytes) : 0;
  }
  CHECK(piece.lsn == follower.next);
  bytes->assign(piece.bytes);
  return bytes->size();
}

bool Feeder::HasRoom(Follower& follower) {
  int64_t window = kWindowBytes;
  const BufferLimit limit =
      engine_.config.client_output_buffer_limit()[static_cast<size_t>(BufferClass::kReplica)];
  for (const int64_t bytes : {limit.hard_bytes, limit.soft_bytes})
    if (bytes != 0) window = std::min(window, std::max(bytes, kReplicaBufferBytesMin) / 2);
  const uint64_t posted = follower.posted.load(std::memory_order_acquire);
  const uint64_t buffered = follower.buffered.load(std::memory_order_relaxed);
  follower.probing = posted + buffered >= static_cast<uint64_t>(window);
  if (follower.probing) Probe(follower);
  return !follower.probing;
}

// Has its worker tell how much of what it was given is still unsent.
void Feeder::Probe(Follower& follower) {
  follower.probing = true;
  if (follower.posted.load(std::memory_order_acquire) == 0) Send(follower, std::string());
}

void Feeder::Send(Follower& follower, std::string bytes) {
  follower.posted.fetch_add(bytes.size(), std::memory_order_relaxed);
  std::shared_ptr<Follower> self;
  {
    std::lock_guard guard(mutex_);
    for (const auto& one : followers_)
      if (one.get() == &follower) self = one;
  }
  if (self == nullptr) return;
  const int worker = follower.record->worker;
  if (engine_.control->Put(worker, std::make_unique<FeedTask>(std::move(self), std::move(bytes))))
    engine_.control->Wake(worker);
}

void Feeder::Drop(Follower& follower, const std::string& reason) {
  if (follower.gone.exchange(true)) return;
  engine_.log.Notice("Closing the connection of replica %s:%d: %s", follower.address.c_str(),
                     follower.port, reason.c_str());
  std::shared_ptr<Follower> keep;
  {
    std::lock_guard guard(mutex_);
    for (const auto& one : followers_)
      if (one.get() == &follower) keep = one;
    if (std::erase(followers_, keep) != 0 && follower.state.load() == State::kOnline)
      engine_.followers.fetch_sub(1);
  }
  engine_.control->Kill(follower.record->id);
}

// So that a follower that waits for a snapshot sees that somebody is there.
void Feeder::KeepAlive(Follower& follower) {
  const int64_t now_ms = engine_.clock.MonotonicMs();
  if (now_ms - follower.kept_alive_ms < kKeepAliveMs) return;
  follower.kept_alive_ms = now_ms;
  Send(follower, "\n");
}

}  // namespace cairn
