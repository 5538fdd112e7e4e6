// SPDX-License-Identifier: BSD-3-Clause
//
// MIGRATE: keys go to another server while the client waits; see src/cluster/README.md.
#include "cluster/migrator.h"
#include "commands/families.h"
#include "exec/args.h"
#include "exec/blocking.h"
#include "exec/executor.h"
#include "rdb/dump.h"

namespace cairn {
namespace {

// One key that is under way.
struct Traveller {
  KeyId id;
  std::string name;  // what id.key points to
  std::shared_ptr<WatchState> watch;
};

struct Voyage {
  Engine* engine = nullptr;
  std::shared_ptr<Waiter> waiter;
  uint64_t client_id = 0;
  int worker = 0;
  bool copy = false;
  std::vector<std::unique_ptr<Traveller>> travellers;
};

std::string PayloadOf(const Entry& entry) {
  if (!entry.is_string()) return DumpValue(entry.type(), entry.rep());
  if (entry.form() == Entry::Form::kInt) return DumpString(ToString(entry.integer()));
  return DumpString(entry.text());
}

void Arrive(const std::shared_ptr<Voyage>& voyage, MigrateResult result);

// The end of the journey, on the client's worker: whether the client is there or not, the keys that
// arrived go.
class Arrival final : public WorkerTask {
 public:
  Arrival(std::shared_ptr<Voyage> voyage, MigrateResult result)
      : voyage_(std::move(voyage)), result_(std::move(result)) {}

  void Run(LocalClients& clients) override {
    if (!voyage_->copy && !Settle(clients.OwnExecutor())) return TryAgain();
    for (const auto& traveller : voyage_->travellers) traveller->watch->dead.store(true);
    if (voyage_->waiter == nullptr || !ClaimWait(*voyage_->waiter)) return;
    clients.WaitUnserved(voyage_->waiter, !result_.error.empty());
    const bool there =
        clients.Visit(voyage_->client_id, [this](Session& session, OutputBuffer& out) {
          FinishWait(session, out, hold_lsn_, [this](ReplyWriter& reply) {
            if (result_.error.empty()) return reply.Ok();
            reply.Error(result_.error);
            voyage_->engine->statistics.CountError(reply.last_error_code());
          });
          if (end_lsn_ != 0) session.last_write_lsn = end_lsn_;
        });
    if (there) clients.Resume(voyage_->client_id);
  }

 private:
  // False: a script keeps everything locked.
  bool Settle(Executor& executor) {
    LockPlan plan;
    for (size_t i = 0; i < voyage_->travellers.size(); ++i)
      if (result_.taken[i]) plan.AddHash(voyage_->travellers[i]->id.hash);
    if (plan.shards.empty()) return true;
    if (executor.CurrentExpiryMode() != ExpiryMode::kNormal) {
      if (result_.error.empty())
        result_.error = "READONLY The keys have arrived, but nothing may be deleted here now.";
      return true;
    }
    bool ran = false;
    end_lsn_ = executor.RunUnit(plan, voyage_->engine->clock.WallMs(), [&](Unit& unit) {
      ran = true;
      DeleteArrived(unit);
    });
    hold_lsn_ = end_lsn_ != 0 && voyage_->engine->stripes != nullptr ? end_lsn_ : 0;
    return ran;
  }

  void DeleteArrived(Unit& unit) {
    size_t changed = 0;
    for (size_t i = 0; i < voyage_->travellers.size(); ++i) {
      if (!result_.taken[i]) continue;
      Traveller& traveller = *voyage_->travellers[i];
      const KeyId& id = traveller.id;
      // Gone or past its time: nothing to delete.
      if (unit.Lookup(id.db, id.key, id.hash) == nullptr) continue;
      if (traveller.watch->dirty.load()) {
        ++changed;
        continue;
      }
      unit.Delete(id.db, id.key, id.hash);
      unit.Dirty(1);
      const std::string_view parts[] = {"DEL", id.key};
      unit.Effect(id.db, parts);
      unit.Event(kNotifyGeneric, "del", id.db, id.key);
    }
    if (changed != 0 && result_.error.empty())
      result_.error = "ERR " + std::to_string(changed) +
                      " of the keys changed while they were sent and stay here; the target has "
                      "what they held before";
  }

  // A script may take long: this worker has others to serve meanwhile.
  void TryAgain() {
    constexpr int64_t kRestMs = 10;
    auto again = std::make_shared<MigrateResult>(std::move(result_));
    voyage_->engine->migrator->Later(
        kRestMs, [voyage = voyage_, again] { Arrive(voyage, std::move(*again)); });
  }

  std::shared_ptr<Voyage> voyage_;
  MigrateResult result_;
  uint64_t end_lsn_ = 0, hold_lsn_ = 0;
};

void Arrive(const std::shared_ptr<Voyage>& voyage, MigrateResult result) {
  ServerControl& control = *voyage->engine->control;
  if (control.Put(voyage->worker, std::make_unique<Arrival>(voyage, std::move(result))))
    control.Wake(voyage->worker);
}

struct MigrateOptions {
  bool copy = false, replace = false;
  std::string_view user, password;
  size_t first_key = 3, keys = 1;
  int64_t db = 0, timeout_ms = 0, port = 0;
};

// False: an error was replied.
bool ReadOptions(Context& ctx, MigrateOptions* options) {
  Args args(ctx, 6);
  while (args.More()) {
    if (args.Take("COPY")) {
      options->copy = true;
    } else if (args.Take("REPLACE")) {
      options->replace = true;
    } else if (args.Take("AUTH", 1)) {
      options->password = args.Next();
    } else if (args.Take("AUTH2", 2)) {
      options->user = args.Next();
      options->password = args.Next();
    } else if (args.Take("KEYS")) {
      if (!ctx.arg(3).empty())
        args.Fail("ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
                  "string");
      options->first_key = args.position();
      options->keys = ctx.argc() - args.position();
      break;
    } else {
      args.Fail(errors::kSyntax);
    }
  }
  if (!args.Done()) return false;
  if (!ParseInt64(ctx.arg(5), &options->timeout_ms) || !ParseInt64(ctx.arg(4), &options->db)) {
    ctx.Error(errors::kNotInteger);
    return false;
  }
  if (!ParseInt64(ctx.arg(2), &options->port) || options->port < 1 || options->port > 65535)
    options->port = 0;
  if (options->timeout_ms <= 0) options->timeout_ms = 1000;
  return true;
}

void Watch(Context& ctx, const KeyId& id, const std::shared_ptr<WatchState>& state) {
  Shard& shard = ctx.unit().keyspace().shard(ShardOf(id.hash));
  if (shard.watches == nullptr) shard.watches = std::make_unique<WatchTable>();
  shard.watches->Add(id.db, id.key, state);
}

// The key, or those behind KEYS, which is no other option's argument.
bool MigrateKeys(Arguments arguments, KeySink& sink) {
  constexpr uint16_t kFlags = kRW | kAccess | kDelete;
  for (size_t i = 6; i < arguments.size(); ++i) {
    if (EqualsIgnoreCase(arguments[i], "auth")) {
      ++i;
    } else if (EqualsIgnoreCase(arguments[i], "auth2")) {
      i += 2;
    } else if (EqualsIgnoreCase(arguments[i], "keys") && arguments[3].empty()) {
      for (++i; i < arguments.size(); ++i) sink.Add(static_cast<int>(i), kFlags);
      return true;
    }
  }
  if (arguments.size() > 3) sink.Add(3, kFlags);
  return true;
}

// MIGRATE host port key|"" destination-db timeout [COPY] [REPLACE] [AUTH password]
//         [AUTH2 user password] [KEYS key ...]  O(N) for the bytes of the values
void Migrate(Context& ctx) {
  MigrateOptions options;
  if (!ReadOptions(ctx, &options)) return;
  if (!ctx.may_block())
    return ctx.Error("ERR MIGRATE inside a transaction would hold its locks for the journey");
  MigrateJob job;
  auto voyage = std::make_shared<Voyage>();
  for (std::string_view key : ctx.args().subspan(options.first_key, options.keys)) {
    const KeyId id = ctx.Id(key);
    const Entry* entry = ctx.Find(id);
    if (entry == nullptr) continue;
    job.keys.push_back({std::string(key), PayloadOf(*entry),
                        entry->has_expiry() ? entry->expiry_ms() : int64_t{-1}});
    auto traveller = std::make_unique<Traveller>(
        Traveller{id, std::string(key), std::make_shared<WatchState>()});
    traveller->id.key = traveller->name;
    Watch(ctx, id, traveller->watch);
    voyage->travellers.push_back(std::move(traveller));
  }
  if (job.keys.empty()) return ctx.reply().SimpleString("NOKEY");
  job.host = ctx.arg(1);
  job.port = static_cast<int>(options.port);
  job.db = options.db;
  job.timeout_ms = options.timeout_ms;
  job.replace = options.replace;
  job.user = options.user;
  job.password = options.password;
  ctx.Block({});
  Session& session = ctx.session();
  voyage->engine = &ctx.engine();
  voyage->waiter = session.waiter;
  voyage->client_id = session.id();
  voyage->worker = session.record->worker;
  voyage->copy = options.copy;
  ctx.unit().AfterUnit([voyage, job = std::move(job)]() mutable {
    voyage->engine->migrator->Send(
        std::move(job), [voyage](MigrateResult result) { Arrive(voyage, std::move(result)); });
  });
}

constexpr CommandSpec kRows[] = {
    {"MIGRATE", -6, kWrite,
     Key(kRW | kAccess | kDelete, 3) +
         KeyAfter(kRW | kAccess | kDelete | kIncomplete, "KEYS", -2, -1),
     kAclKeyspace | kAclDangerous, &Migrate, Scope::kKeys, nullptr,
     &MigrateKeys},
};

}  // namespace

std::span<const CommandSpec> MigrateCommands() { return kRows; }

}  // namespace cairn
