// SPDX-License-Identifier: BSD-3-Clause
//
// HyperLogLogs: strings in Redis's format (types/hyperloglog.h). PFCOUNT of one key keeps the
// count in the key's header and so changes it, except where nothing may be changed (a follower's
// clients): there it counts anew each time.
#include "types/hyperloglog.h"

#include <memory>

#include "base/numbers.h"
#include "commands/families.h"
#include "exec/refs.h"

namespace cairn {
namespace {

constexpr std::string_view kNotHll =
    "WRONGTYPE Key is not a valid HyperLogLog string value.";
constexpr std::string_view kCorrupt = "INVALIDOBJ Corrupted HLL object detected";

// Whether the string is missing or a HyperLogLog; replies the error.
bool IsHll(Context& ctx, const StringRef& string) {
  if (string.failed()) return false;
  if (!string || HllLooksValid(string.view())) return true;
  ctx.Error(kNotHll);
  return false;
}

// Adds to a dense HyperLogLog in place; returns how many elements changed it.
int64_t AddDense(Context& ctx, StringRef& string) {
  char* bytes = string.EditBytes();
  int64_t changes = 0;
  for (size_t i = 2; i < ctx.argc(); ++i)
    changes += HllAddDense(bytes, ctx.arg(i)) == HllAdded::kChanged ? 1 : 0;
  if (changes > 0) {
    HllInvalidateCache(bytes);
    string.Edited(changes);
  }
  return changes;
}

// Adds to a sparse or new one, which may change its size; -1: corrupt.
int64_t AddSparse(Context& ctx, StringRef& string) {
  std::string bytes = string ? std::string(string.view()) : HllEmpty();
  const int64_t sparse_max = ctx.config().hll_sparse_max_bytes();
  int64_t changes = string ? 0 : 1;
  for (size_t i = 2; i < ctx.argc(); ++i) {
    const HllAdded added = HllAdd(&bytes, ctx.arg(i), sparse_max);
    if (added == HllAdded::kCorrupt) return -1;
    changes += added == HllAdded::kChanged ? 1 : 0;
  }
  if (changes > 0) {
    HllInvalidateCache(bytes.data());
    string.SetRaw(bytes);
    ctx.Dirty(changes - 1);
  }
  return changes;
}

// PFADD key [element ...]  O(1) an element
void PfAdd(Context& ctx) {
  StringRef string = ctx.WriteString(ctx.arg(1));
  if (!IsHll(ctx, string)) return;
  const int64_t changes =
      string && HllIsDense(string.view()) ? AddDense(ctx, string) : AddSparse(ctx, string);
  if (changes < 0) return ctx.Error(kCorrupt);
  if (changes > 0) ctx.Notify(kNotifyString, "pfadd", ctx.arg(1));
  ctx.reply().Integer(changes > 0);
}

// Takes the registers of the keys from argument `first` on. False: the error was replied.
bool MergeKeys(Context& ctx, size_t first, HllRegisters* registers, bool* dense) {
  for (size_t i = first; i < ctx.argc(); ++i) {
    const StringRef string = ctx.ReadString(ctx.arg(i));
    if (!IsHll(ctx, string)) return false;
    if (!string) continue;
    *dense |= HllIsDense(string.view());
    if (!HllMergeInto(string.view(), registers).ok()) {
      ctx.Error(kCorrupt);
      return false;
    }
  }
  return true;
}

// PFCOUNT key [key ...]  O(1) for one key with a count kept, else O(N)
void PfCount(Context& ctx) {
  if (ctx.argc() > 2) {
    const auto registers = std::make_unique<HllRegisters>();
    bool dense = false;
    if (!MergeKeys(ctx, 1, registers.get(), &dense)) return;
    return ctx.reply().Integer(static_cast<int64_t>(HllCount(*registers)));
  }
  StringRef string = ctx.ReadString(ctx.arg(1));
  if (!IsHll(ctx, string)) return;
  if (!string) return ctx.reply().Integer(0);
  if (HllCacheValid(string.view()))
    return ctx.reply().Integer(static_cast<int64_t>(HllCachedCount(string.view())));
  const Result<uint64_t> count = HllCount(string.view());
  if (!count.ok()) return ctx.Error(kCorrupt);
  if (ctx.unit().expiry_mode() != ExpiryMode::kHide) {
    HllStoreCount(string.EditBytes(), count.value());
    string.Edited();
  }
  ctx.reply().Integer(static_cast<int64_t>(count.value()));
}

// PFMERGE destkey [sourcekey ...]  O(N)
void PfMerge(Context& ctx) {
  const auto registers = std::make_unique<HllRegisters>();
  bool dense = false;
  if (!MergeKeys(ctx, 1, registers.get(), &dense)) return;
  StringRef string = ctx.WriteString(ctx.arg(1));
  std::string bytes = string ? std::string(string.view()) : HllEmpty();
  if (!HllStoreMerged(*registers, dense, ctx.config().hll_sparse_max_bytes(), &bytes).ok())
    return ctx.Error(kCorrupt);
  string.SetRaw(bytes);
  // Redis names the event so.
  ctx.Notify(kNotifyString, "pfadd", ctx.arg(1));
  ctx.Ok();
}

// Makes a sparse string dense. False: the error was replied.
bool MakeDense(Context& ctx, StringRef& string, bool* converted) {
  *converted = !HllIsDense(string.view());
  if (!*converted) return true;
  std::string bytes(string.view());
  if (!HllToDense(&bytes).ok()) {
    ctx.Error(kCorrupt);
    return false;
  }
  string.SetRaw(bytes);
  return true;
}

// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key  O(N)
void PfDebug(Context& ctx) {
  StringRef string = ctx.WriteString(ctx.arg(2));
  if (string.failed()) return;
  if (!string) return ctx.Error("ERR The specified key does not exist");
  if (!IsHll(ctx, string)) return;
  const std::string_view what = ctx.arg(1);
  bool converted;
  if (EqualsIgnoreCase(what, "getreg")) {
    if (!MakeDense(ctx, string, &converted)) return;
    const auto registers = std::make_unique<HllRegisters>();
    if (!HllMergeInto(string.view(), registers.get()).ok()) return ctx.Error(kCorrupt);
    ctx.reply().Array(kHllRegisters);
    for (uint8_t value : registers->value) ctx.reply().Integer(value);
  } else if (EqualsIgnoreCase(what, "decode")) {
    if (HllIsDense(string.view())) return ctx.Error("ERR HLL encoding is not sparse");
    std::string text;
    if (!HllDecodeSparse(string.view(), &text).ok()) return ctx.Error(kCorrupt);
    ctx.reply().Bulk(text);
  } else if (EqualsIgnoreCase(what, "encoding")) {
    ctx.reply().SimpleString(HllIsDense(string.view()) ? "dense" : "sparse");
  } else if (EqualsIgnoreCase(what, "todense")) {
    if (MakeDense(ctx, string, &converted)) ctx.reply().Integer(converted);
  } else {
    ctx.Error("ERR Unknown PFDEBUG subcommand '" + std::string(what) + "'");
  }
}

// PFSELFTEST  O(1), some seconds of work in Redis
void PfSelfTest(Context& ctx) {
  const Status status = HllSelfTest();
  if (!status.ok()) return ctx.Error("TESTFAILED " + status.message());
  ctx.Ok();
}

constexpr CommandSpec kRows[] = {
    {"PFADD", -2, kWrite | kDenyOom | kFast, Key(kRW | kInsert), kAclHyperLogLog, &PfAdd},
    {"PFCOUNT", -2, kReadonly | kMayReplicate, KeyRange(kRW | kAccess, 1, -1), kAclHyperLogLog,
     &PfCount},
    {"PFDEBUG", 3, kWrite | kDenyOom | kAdmin, Key(kRW | kAccess, 2), kAclHyperLogLog, &PfDebug},
    {"PFMERGE", -2, kWrite | kDenyOom,
     Key(kRW | kAccess | kInsert) + KeyRange(kRO | kAccess, 2, -1), kAclHyperLogLog, &PfMerge},
    {"PFSELFTEST", 1, kAdmin, {}, kAclHyperLogLog, &PfSelfTest},
};

}  // namespace

std::span<const CommandSpec> HyperLogLogCommands() { return kRows; }

}  // namespace cairn
