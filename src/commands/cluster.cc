// SPDX-License-Identifier: BSD-3-Clause
//
// CLUSTER and its subcommands, READONLY, READWRITE, ASKING: while the cluster is off they all
// answer with the error that clients look for.
#include "commands/families.h"
#include "exec/context.h"

namespace cairn {
namespace {

void ClusterDisabled(Context& ctx) { ctx.Error(errors::kClusterDisabled); }

constexpr CommandSpec kRows[] = {
    {"CLUSTER", -2, 0, {}, 0, nullptr, Scope::kNone},
    {"CLUSTER|ADDSLOTS", -3, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|ADDSLOTSRANGE", -4, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|BUMPEPOCH", 2, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|COUNT-FAILURE-REPORTS", 3, kAdmin | kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|COUNTKEYSINSLOT", 3, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|DELSLOTS", -3, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|DELSLOTSRANGE", -4, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|FAILOVER", -2, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|FLUSHSLOTS", 2, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|FORGET", 3, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|GETKEYSINSLOT", 4, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|HELP", 2, kLoading | kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|INFO", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|KEYSLOT", 3, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|LINKS", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|MEET", -4, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|MYID", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|NODES", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|REPLICAS", 3, kAdmin | kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|REPLICATE", 3, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|RESET", -2, kAdmin | kNoScript | kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|SAVECONFIG", 2, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|SET-CONFIG-EPOCH", 3, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|SETSLOT", -4, kAdmin | kStale | kNoAsyncLoading, {}, 0, &ClusterDisabled},
    {"CLUSTER|SHARDS", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|SLAVES", 3, kAdmin | kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|SLOTS", 2, kStale, {}, 0, &ClusterDisabled},
    {"CLUSTER|MYSHARDID", 2, kStale, {}, 0, &ClusterDisabled},
    {"READONLY", 1, kLoading | kStale | kFast, {}, kAclConnection, &ClusterDisabled},
    {"READWRITE", 1, kLoading | kStale | kFast, {}, kAclConnection, &ClusterDisabled},
    {"ASKING", 1, kFast, {}, kAclConnection, &ClusterDisabled},
};

}  // namespace

std::span<const CommandSpec> ClusterCommands() { return kRows; }

}  // namespace cairn
