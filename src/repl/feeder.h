// SPDX-License-Identifier: BSD-3-Clause
//
// Feeder: the leader's thread. It decides how a follower begins, has snapshots made for full syncs,
// and hands followers the bytes of the journal, from memory or from its segments on disk. There is
// no buffer of its own: who is slow is given less, and the log waits for it on disk.
//
// A snapshot is a file, which is sent while it grows: whoever makes it never waits for a follower,
// and who comes late shares it.
//
//   journal: written, durable --Notify--> feeder --WorkerTask--> the follower's connection
//                                           ^------ how much it still holds ------'
//
// At most kWindowBytes are under way to a connection. Under appendfsync always only what is durable
// here is sent, so that no follower is ever ahead of a leader that crashed.
// What only followers want (PING, GETACK) is appended while one is online and this server leads.
//
// Thread rule: any thread may call anything; Detach waits for the thread's current step, so not
// under locks. The mutex is held for moments.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "exec/executor.h"
#include "repl/follower.h"

namespace cairn {

// What a follower says after REPLCONF capa that takes a packed snapshot (snapshot/format.h), so
// that it needs no other one on the way. Redis ignores words that it does not know.
constexpr std::string_view kPackedCapability = "cairn-packed";

class Feeder {
 public:
  static constexpr uint64_t kWindowBytes = 8 << 20;
  static constexpr size_t kPieceBytes = 256 << 10;

  explicit Feeder(Engine* engine);
  ~Feeder();
  // After the server's own journal was opened, if it has one.
  void Start();
  void Stop();
  // Nothing can be fed, or followed, without one. Blocks.
  Status EnsureJournal();

  void Add(std::shared_ptr<Follower> follower);
  void Remove(const std::shared_ptr<Follower>& follower);
  // The journal has more, or somebody's state changed.
  void Notify();
  // Cuts all followers off. As long as the caller keeps what this returns nobody is fed or decided
  // upon: while the stream's id or positions change.
  [[nodiscard]] std::unique_lock<std::mutex> DetachAll(const char* reason);
  // An ACK of everything appended so far is asked for.
  void RequestAcknowledgements();

  std::vector<std::shared_ptr<Follower>> followers() const;

 private:
  using State = Follower::State;
  static constexpr int kPiecesPerStep = 8;  // for one follower, then the others have their turn
  // What a follower may lack of what was sent: a window's worth, and as much in sockets.
  static constexpr uint64_t kUnderWayBytesMax = 2 * kWindowBytes;
  static constexpr size_t kPlacesMax = 256;

  // Where a follower stands that would go on from there if its connection broke.
  struct Place {
    uint64_t client;
    Lsn lsn;  // it has everything before, and if it keeps a log it has it on disk
    int64_t seen_ms;
  };

  void Main();
  bool Step(Follower& follower);
  bool Decide(Follower& follower);
  bool CanContinue(const Follower& follower);
  void WaitForFile(Follower& follower);
  std::shared_ptr<SyncFile> FileFor(const Follower& follower);
  bool Shared(const SyncFile& file, const Follower& follower) const;
  void StartSync();
  void SendKeyless(Follower& follower);
  bool OpenFile(Follower& follower);
  void BeginFile(Follower& follower);
  bool SendFile(Follower& follower);
  bool EndFile(Follower& follower);
  bool SendStream(Follower& follower);
  size_t ReadStream(Follower& follower, Lsn limit, std::string* bytes);
  void GoOnline(Follower& follower);
  bool HasRoom(Follower& follower);
  void Probe(Follower& follower);
  void Send(Follower& follower, std::string bytes);
  void Drop(Follower& follower, const std::string& reason);
  void KeepAlive(Follower& follower);
  void Periodic();
  void CheckTimeouts(int64_t now_ms);
  void AppendForFollowers(int64_t now_ms);
  bool Forgotten(int64_t now_ms);
  uint64_t PinnedBytesMax() const;
  Lsn KeptFrom() const;
  void DropWhoeverKeepsTooMuch(Lsn kept_from);
  void NotePlace(const Follower& follower, Lsn kept_from, int64_t now_ms);
  void NotePlaces(Lsn kept_from, int64_t now_ms);
  void Retain(int64_t now_ms);

  Engine& engine_;
  Executor executor_;
  std::shared_ptr<SyncFile> sync_;  // being made, or made while somebody still wants it
  uint64_t syncs_ = 0;
  int64_t pinged_ms_;  // of the last PING; the first is due a period after the start
  int64_t periodic_ms_ = 0;
  int64_t alone_since_ms_ = -1;  // monotonic; -1: somebody follows
  std::vector<Place> places_;    // of who is connected, or was within repl-timeout; oldest first
  std::atomic<bool> ack_wanted_{false};

  std::mutex step_mutex_;  // held while a follower is served; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Follower>> followers_;
  bool notified_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace cairn
