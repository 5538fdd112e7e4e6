// SPDX-License-Identifier: BSD-3-Clause
//
// ReplayDispatcher: cuts the stream into top-level records and says which appliers each concerns.
// It alone knows the stream's database and whether it is inside MULTI; SELECT, MULTI and EXEC go no
// further than here, and records that are not data (PING, REPLCONF, PUBLISH) are skipped.
//
//   key's hash -> shard -> group = shard mod groups          a record with unknown keys, or of
//                                                            scope All: every group (a barrier)
//
// Thread rule: one thread.
#pragma once

#include <optional>

#include "exec/replay_parts.h"

namespace cairn {

class ReplayDispatcher {
 public:
  static constexpr int kGroupsMax = 32;

  // Records begin at `from`; `database`: the one the stream is in there.
  ReplayDispatcher(Engine* engine, int groups, Lsn from, int database, StreamKind kind,
                   ReplayFailure* failure);

  // Fills the shares of `batch`, whose bytes follow those of the batch before. jobs[g] is group
  // g's. False: the failure was noted.
  bool Dispatch(const std::shared_ptr<ReplayBatch>& batch, std::vector<ReplayJob>* jobs);

  // The end of the last whole top-level record.
  Lsn end_lsn() const { return end_lsn_; }
  // Why bytes behind end_lsn() are no record; "" if there are none.
  std::string Unfinished() const;
  // Of the stream there.
  int database() const { return end_database_; }
  uint64_t commands() const { return commands_; }

 private:
  using Groups = uint32_t;  // a bit each

  bool Take(const Request& request, Lsn lsn);
  bool Fail(Lsn lsn, const std::string& what);
  bool FailOrRefuse(Lsn lsn, const std::string& what);
  bool FailDatabase(const std::string& database, Lsn lsn);
  bool Select(Arguments arguments, Lsn lsn);
  Groups GroupsOf(const Command& command, Arguments arguments, uint64_t* hash);
  void Push(Groups groups, const ReplayEntry& entry);
  void FinishUnit();
  void OwnPending();
  bool IsNonData(const Command* command) const;

  Engine& engine_;
  const int groups_;
  const StreamKind kind_;
  ReplayFailure& failure_;
  const Command *select_, *multi_, *exec_;
  const Command* non_data_[4];
  RequestParser parser_;
  KeySink keys_;
  ReplayBatch* batch_ = nullptr;
  std::vector<ReplayJob>* jobs_ = nullptr;
  int db_;
  Lsn position_;  // of the first byte that was not yet a request
  Lsn fed_;       // behind the last byte that was fed
  Lsn end_lsn_;
  int end_database_;
  uint64_t commands_ = 0;
  // Since MULTI. Its commands may point into the current batch; OwnPending frees them of it.
  struct Pending {
    std::vector<AppliedCommand> commands;
    std::deque<OwnedArgs> owned;
    size_t owned_commands = 0;  // the first so many no longer point into a batch
    Groups groups = 0;
    Lsn lsn = 0;
  };
  std::optional<Pending> multi_pending_;
};

}  // namespace cairn
