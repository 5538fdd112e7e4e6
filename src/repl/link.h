// SPDX-License-Identifier: BSD-3-Clause
//
// Link: a follower's way to its leader, on a thread of its own:
//
//   connect -> PING, AUTH, REPLCONF -> PSYNC id offset
//     +CONTINUE [id]    the journal goes on where it is, under that id
//     +FULLRESYNC       the snapshot is received beside the dataset, which is served meanwhile;
//     then
//                       it takes the dataset's place. Where there are no keys that could be served
//                       it is loaded as it comes. The journal begins a new timeline on it
//   -> the stream, until the connection breaks; then all over, once a second, or less and less
//      often where what came cannot be loaded or applied
//
// A crash at any point leaves either the old dataset with its old chain or the new one with its
// own: the manifest names the file only when it is durable and has been loaded. A link that breaks
// while a snapshot is loaded as it comes leaves no key, as there was none.
//
// Thread rule: Stop and the facts from any thread that is not inside the gate; Stop waits for the
// thread, which waits for the load of a file that has begun.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "repl/feeder.h"
#include "repl/link_socket.h"
#include "repl/stream_applier.h"

namespace cairn {

// That the leader which is followed is to lead: asked for with every PSYNC, until it has answered.
struct PromotionRequest {
  std::atomic<bool> asked{false};       // until it has agreed
  std::atomic<bool> refused{false};     // then it is asked no more
  std::atomic<bool> unanswered{false};  // it may have heard of it, so it may lead by now
  std::function<void()> answered;       // one of the first two has changed; on the link's thread
};

// What Replication::TakeOver answers that tells the one who asks again whether this server leads
// because it was asked before. The first two Redis says, too. Any other answer tells nothing: most
// errors are said before anybody looks at the role.
constexpr const char* kLeadsAlready = "ERR PSYNC FAILOVER can't be sent to a master.";
constexpr const char* kFollowsAnother = "ERR PSYNC FAILOVER replid must match my replid.";
constexpr const char* kCannotBePromoted = "ERR This replica cannot be promoted, see its log";

class ReceivedFile;
class SyncBody;

class Link {
 public:
  struct Target {
    std::string host;
    int port = 0;
  };

  // `id`: under which the journal's tail is known to the leader, perhaps.
  Link(Engine* engine, Executor* executor, Feeder* feeder, Target target, std::string id,
       int database, PromotionRequest* promotion);
  ~Link();
  void Stop();
  // The server ends: a load is given up, too.
  void Abandon() { abandoned_.store(true); }
  // More of the journal is on disk.
  void OnDurable() {
    if (up()) socket_.Nudge();
  }

  const Target& target() const { return target_; }
  LinkFacts facts() const;
  bool up() const { return state_.load() == State::kConnected; }
  // After Stop: no part of what is here may be kept for another leader.
  bool needs_file() const { return needs_file_; }
  // See StreamApplier.
  int database() const { return applier_.database(); }

 private:
  enum class State { kConnect, kConnecting, kHandshake, kSync, kConnected };

  void Main();
  Status RunOnce();
  Status Handshake();
  Status Ask(std::string_view what, std::initializer_list<std::string_view> parts, bool must);
  Status Synchronize();
  Result<std::string> AskForStream(std::string_view id, std::string_view offset, bool promote);
  Status TellTail();
  Status Continue(const std::string& id);
  Status FullSync(const std::string& id, uint64_t lsn);
  Result<std::unique_ptr<ReceivedFile>> Receive(SyncBody* body, uint64_t lsn);
  Status LoadFile(const std::string& path, bool kept, const std::string& id, uint64_t lsn);
  Status LoadAsItComes(SyncBody* body, const std::string& id, uint64_t lsn);
  void BeginLoading();
  void EndLoading();
  Status Settle(const std::string& path, const std::string& id, uint64_t lsn, int database);
  void EmptyAll();
  Status StartEmpty();
  void Disown();
  Status Follow();
  Status Acknowledge();
  Result<size_t> Read(char* buffer, size_t length, bool nudged = false);
  void SetState(State state);
  int64_t timeout_ms() const { return engine_.config.repl_timeout() * 1000; }
  std::string Folder() const;

  Engine& engine_;
  Executor& executor_;
  Feeder& feeder_;
  const Target target_;
  PromotionRequest* const promotion_;
  std::string id_;  // of the stream at the journal's tail
  LinkSocket socket_;
  StreamApplier applier_;
  uint64_t told_durable_ = 0;
  int64_t followed_since_ms_ = 0;  // monotonic; 0: not yet
  bool needs_file_ = false;  // what is here was not the leader's to the end
  std::atomic<State> state_{State::kConnect};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> loads_as_it_comes_{false};
  std::atomic<int64_t> last_io_ms_{0}, down_since_ms_;  // monotonic
  std::atomic<uint64_t> sync_total_{0}, sync_read_{0};
  std::thread thread_;
};

}  // namespace cairn
