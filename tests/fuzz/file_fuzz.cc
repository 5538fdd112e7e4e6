// SPDX-License-Identifier: BSD-3-Clause
//
// Mutated files through the loaders, in one process:
//
//   file-fuzz [--count N] [--seed S] [--from I] [--jobs N]
//
// RDB files of records that redis-server wrote, and of forms that only others write, have bytes
// flipped, cut out, doubled, and set to lengths that lie; they are loaded plain, inside LZ4 frames,
// and packed as Cairn packs them, with sums that are right, absent or wrong. A file loads or is
// refused with its offset and a reason; what was loaded is sound, also before the place where a
// file was refused: every value is read whole, saved, and loads again to the same digest. Nothing
// may crash, hang, or set memory aside without bound. Files of users and configuration go through
// their parsers now and then.
//
// A finding says how to repeat it alone. With the address sanitizer every allocation is bounded,
// without it the process as a whole.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/crc.h"
#include "base/random.h"
#include "commands/digest.h"
#include "config/store.h"
#include "exec/engine.h"
#include "script/registry.h"
#include "server/function_source.h"
#include "snapshot/format.h"
#include "snapshot/loader.h"
#include "snapshot/part.h"
#include "tests/fuzz/mutated_texts.h"
#include "tests/fuzz/mutation.h"
#include "tests/unit/rdb/golden_dumps.h"

// A length that lies must not be believed: no file here holds a value of 32 MiB.
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=32:allocator_may_return_null=0:hard_rss_limit_mb=3000";
}
extern "C" const char* __ubsan_default_options() {
  return "halt_on_error=1:print_stacktrace=1";
}

namespace cairn {
namespace {

constexpr unsigned kSecondsMax = 120;  // for one file: a hang, also on a busy machine
[[maybe_unused]] constexpr rlim_t kAddressSpaceMax = rlim_t{2} << 30;
constexpr uint64_t kTextsEach = 8;
constexpr char kName[] = "f";

void OnAlarm(int) {
  (void)!write(2, "FINDING: it hangs\n", 18);
  (void)!write(2, repeat_text, strlen(repeat_text));
  abort();
}

std::string LittleEndian(uint64_t value) {
  return std::string(reinterpret_cast<const char*>(&value), 8);
}

// clang-format off: a value a line.
// Type and value of what redis-server 7.0 does not write: older forms and newer ones.
constexpr const char* kForms[] = {
    "0103016102626200",        // list of strings
    "0302016103312e350162fe",  // scores as text
    "090e0201660200763101670200"
    "7777ff",  // zipmap
    "0a12120000000d0000000200000161030262"
    "62ff",  // ziplists
    "0e0112120000000d0000000200000161030262"
    "62ff",
    "0d12120000000d0000000200000166030276"
    "76ff",
    "140c0c0000000200816102"
    "0501ff",  // set listpack
    "18e803000000000000030102663102763100026632027632"
    "41f5026633027633",  // field times
    "160243e80266310276310002663202"
    "7632",
    "16010266310276"
    "31e803000000000000",  // Valkey's
    "19e8030000000000001c1c00000006008266310382763103c3e8028266320382763203"
    "0001ff",
    "0f000043e80201016743e80200010163010000000000000000",  // streams
    "15000043e802000000000501016743e80205000101630100000000000000020000000000000000",
    "1a000043e80200000000050040644064010170"
    "01016d05010200",
    "1b000043e802000000000501016743e802050100000000000000050000000000000001"
    "07000000000000000300"
    "010000000000000005000000000000000140644064000000",
    "07817f5ca1b2c3d4e4010205012a0504626c6f6200",  // a module's value
};
// clang-format on
// Records that are no keys.
constexpr const char* kOthers[] = {
    "fa0972656469732d76657205372e302e30",
    "fb0502",
    "fe03",
    "f4010203",
    "f3036a6f62010509",
    "f301010203040205012a00",
    "f7817f5ca1b2c3d4e40102010205012a00",
    "f805",
    "f9ff",
};
constexpr char kLibrary[] =
    "#!lua name=lib\nredis.register_function('f', function(keys, args) return 1 end)";
std::vector<std::string> Records() {
  std::vector<std::string> records;
  const auto add = [&records](const std::string& value) {
    const std::string key = "k" + std::to_string(records.size());
    const std::string head =
        records.size() % 3 == 0 ? Unhex("fc") + LittleEndian(4102444800000 + records.size()) : "";
    records.push_back(head + value[0] + static_cast<char>(key.size()) + key + value.substr(1));
  };
  for (const GoldenDump& golden : kGoldenDumps) {
    const std::string payload = Unhex(golden.payload);
    add(payload.substr(0, payload.size() - kDumpFooterBytes));
  }
  for (const char* form : kForms) add(Unhex(form));
  for (const char* other : kOthers) records.push_back(Unhex(other));
  const std::string code = kLibrary;
  records.push_back(Unhex("f540") + static_cast<char>(code.size()) + code);
  return records;
}

struct Target {
  Target()
      : keyspace(16),
        again(16),
        engine(SystemClock(), &log, &config, &registry, &keyspace),
        functions(&engine) {
    log.set_level(LogLevel::kNothing);
    engine.scripts = std::make_shared<ScriptRegistry>();
    for (Keyspace* each : {&keyspace, &again})
      slots.push_back({each->gate().AddThread(), each->gate().AddThread()});
  }

  Result<LoadReport> Load(Keyspace* into, int threads, LoadTotals* totals) {
    LoadOptions options;
    options.keyspace = into;
    options.slots = slots[into == &again];
    options.slots.resize(static_cast<size_t>(threads));
    options.thresholds = engine.ReadThresholds();
    if (into == &keyspace) options.aux_sources = {&functions};
    options.log = &log;
    options.now_ms = 1700000000000;
    return LoadSnapshot(&file, kName, options, totals);
  }

  static void Clear(Keyspace* each) {
    for (int db = 0; db < each->databases(); ++db) Keyspace::FreeTables(each->Detach(db));
  }

  OneFile file;
  Log log;
  ConfigStore config;
  Registry& registry = FuzzedCommands();
  Keyspace keyspace, again;
  Engine engine;
  FunctionSource functions;
  std::vector<std::vector<int>> slots;
};

std::string Finish(Random& random, std::string rdb) {
  rdb.push_back(static_cast<char>(RdbOpcode::kEof));
  const uint64_t kind = random.Below(16);
  return rdb + LittleEndian(kind == 0 ? 0 : kind == 1 ? random.Next() : Crc64(0, rdb));
}

// As snapshot/format.h says, every sum right whatever the records are.
std::string Pack(Random& random, const std::string& magic, const std::string& records) {
  std::string out, rdb = magic;
  EncodeSnapshotHeader({}, &out);
  AppendFrame(magic, 0, &out);
  SnapshotTrailer trailer;
  for (size_t at = 0; at < records.size();) {
    const size_t size = 1 + random.Below(records.size() - at);
    EncodePart({}, std::string_view(records).substr(at, size), 1, nullptr, &out);
    ++trailer.parts;
    at += size;
  }
  rdb += records;
  const std::string end = Finish(random, rdb).substr(rdb.size());
  PartHeader last;
  last.flags = kPartEnd;
  EncodePart(last, end, 0, nullptr, &out);
  ++trailer.parts;
  trailer.plain_bytes = rdb.size() + end.size();
  EncodeSnapshotTrailer(trailer, &out);
  return out;
}

std::string RandomFile(Random& random, const std::vector<std::string>& records) {
  std::string body;
  // One after the other from somewhere on, so that no key is there twice by itself.
  const uint64_t first = random.Below(records.size()), step = 1 + random.Below(3);
  for (uint64_t n = random.Below(6) + 1; n > 0; --n)
    body += records[(first + n * step) % records.size()];
  if (random.Below(16) != 0) Mutate(random, records, &body);
  const int version = 1 + static_cast<int>(random.Below(15));
  char magic[16];
  snprintf(magic, sizeof magic, version == 15 ? "VALKEY080" : "REDIS%04d", version);
  std::string bytes;
  switch (random.Below(8)) {
    case 0:
    case 1:
      bytes = Pack(random, magic, body);
      break;
    case 2:
      AppendFrame(Finish(random, magic + body), 1, &bytes);
      break;
    default:
      bytes = Finish(random, magic + body);
      break;
  }
  if (random.Below(8) == 0) Mutate(random, records, &bytes);
  return bytes;
}

// Reads every value, saves it, and loads what was saved.
void CheckSound(Target& target, uint64_t keys) {
  Part part;
  const Digest digest = DigestKeyspace(target.keyspace);
  for (int shard = 0; shard < kShards; ++shard) {
    for (int db = 0; db < target.keyspace.databases(); ++db) {
      KeyTable* table = target.keyspace.PeekTable(shard, db);
      if (table == nullptr) continue;
      table->entries.ForEach([&](Entry* entry) {
        part.Add(db, *entry, {});
        return true;
      });
    }
  }
  part.Seal({}, true);
  if (part.keys() != keys) Finding("other keys than were counted");
  char magic[16];
  snprintf(magic, sizeof magic, "REDIS%04d", part.version());
  std::string rdb = magic + part.bytes();
  rdb.push_back(static_cast<char>(RdbOpcode::kEof));
  target.file.bytes = rdb + LittleEndian(Crc64(0, rdb));
  LoadTotals totals;
  auto report = target.Load(&target.again, 1, &totals);
  if (!report.ok())
    Finding(("what was loaded does not load again: " + report.status().message()).c_str());
  if (DigestKeyspace(target.again).Hex() != digest.Hex())
    Finding("what loads again is something else");
  Target::Clear(&target.again);
}

void TryFile(Target& target, Random& random, const std::vector<std::string>& records,
             uint64_t* taken) {
  target.file.bytes = RandomFile(random, records);
  LoadTotals totals;
  auto report = target.Load(&target.keyspace, random.Below(8) == 0 ? 2 : 1, &totals);
  if (report.ok()) {
    ++*taken;
  } else {
    const Status& status = report.status();
    if (status.code() != StatusCode::kCorrupt || !status.message().starts_with("f: offset "))
      Finding(("refused without offset and reason: " + status.message()).c_str());
  }
  CheckSound(target, totals.keys);
  Target::Clear(&target.keyspace);
}

struct Options {
  uint64_t count = 100'000, seed = 1, from = 0;
  int jobs = 1;
};

int RunJob(const Options& options, int job) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit = {kAddressSpaceMax, kAddressSpaceMax};
  setrlimit(RLIMIT_AS, &limit);
#endif
  const std::vector<std::string> records = Records();
  signal(SIGALRM, OnAlarm);
  Target target;
  uint64_t files = 0, taken = 0;
  for (uint64_t i = options.from + static_cast<uint64_t>(job); i < options.from + options.count;
       i += static_cast<uint64_t>(options.jobs)) {
    snprintf(repeat_text, sizeof repeat_text,
             "repeat: file-fuzz --seed %llu --from %llu --count 1\n",
             static_cast<unsigned long long>(options.seed), static_cast<unsigned long long>(i));
    alarm(kSecondsMax);
    Random random(options.seed * 1'000'000'007 + i);
    TryFile(target, random, records, &taken);
    if (i % kTextsEach == 0) TryTexts(random);
    ++files;
  }
  printf("%llu files, %llu of them loaded\n", static_cast<unsigned long long>(files),
         static_cast<unsigned long long>(taken));
  fflush(stdout);
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const uint64_t value = strtoull(argv[i + 1], nullptr, 10);
    if (name == "--count") options.count = value;
    if (name == "--seed") options.seed = value;
    if (name == "--from") options.from = value;
    if (name == "--jobs") options.jobs = static_cast<int>(value);
  }
  printf("seeds %llu\n", static_cast<unsigned long long>(options.seed));
  fflush(stdout);
  std::vector<pid_t> jobs;
  for (int job = 0; job < options.jobs; ++job) {
    const pid_t pid = fork();
    if (pid == 0) _exit(RunJob(options, job));
    jobs.push_back(pid);
  }
  int failed = 0;
  for (pid_t pid : jobs) {
    int status = 1;
    waitpid(pid, &status, 0);
    failed += status != 0;
  }
  printf("%d passed, %d failed\n", failed == 0, failed);
  return failed != 0;
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  return cairn::Main(argc, argv);
}
