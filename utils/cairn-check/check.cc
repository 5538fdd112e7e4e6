// SPDX-License-Identifier: BSD-3-Clause
//
// Looks at a journal folder, also while a server runs in it; changes nothing except `repair --yes`.
// `repair` does not run beside a server.
#include "utils/cairn-check/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/encryption.h"
#include "base/file.h"
#include "base/numbers.h"
#include "journal/folder_lock.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/verify.h"
#include "snapshot/verify.h"
#include "utils/cairn-check/audit.h"
#include "utils/cairn-check/export.h"
#include "utils/cairn-check/look.h"
#include "utils/cairn-check/loss.h"
#include "utils/cairn-check/repair.h"

namespace cairn {
namespace {

// Exit statuses, as --help lists them.
enum Exit { kExitOk = 0, kExitTornTail = 1, kExitCorrupt = 2, kExitUsage = 3, kExitIo = 4 };

constexpr const char* kHelp =
    "cairn-check - examine a Cairn journal folder\n"
    "\n"
    "  cairn-check verify DIR                  check every block of the log\n"
    "  cairn-check list DIR                    timelines, base snapshot, segments\n"
    "  cairn-check cat DIR|SEGMENT [--from LSN] [--to LSN]\n"
    "                                          print the stream: an AOF\n"
    "  cairn-check cat SNAPSHOT                print the RDB that a snapshot file holds\n"
    "  cairn-check points DIR                  what cairn-server --restore-to can go back to\n"
    "  cairn-check export DIR --aof FILE       write an AOF that redis-server loads\n"
    "  cairn-check export DIR --rdb FILE [--to LSN|TIME]\n"
    "                                          write a dump.rdb that redis-server loads, of the\n"
    "                                          newest point or an earlier one\n"
    "  cairn-check repair DIR [--yes]          take what is damaged out of the log;\n"
    "                                          without --yes only say what would go\n"
    "\n"
    "  cairn-check audit FILE ...              check the chain of audit logs, oldest first\n"
    "\n"
    "  --key-file FILE behind any of them      the encryption-key-file of encrypted logs\n"
    "\n"
    "A server may run meanwhile: what is shown is then the log as it was at some moment, and\n"
    "cat ends with a line that says so where a rewrite deletes what comes next. repair refuses to\n"
    "run beside one: it would take for damage what is being written.\n"
    "\n"
    "repair ends a log that is damaged behind its base before the damage, and says first what that\n"
    "loses: LSNs, times, and how many commands could still be read there. Damage before the base\n"
    "costs only the points in time that it led to. A damaged base gives way to an older one. What\n"
    "leaves the log is not deleted: it is kept, with the old manifest, in DIR/damaged-N.\n"
    "\n"
    "Exit status: 0 the log is whole; 1 it has a torn tail, which the server cuts by\n"
    "itself at its next start, or a server was just writing it; 2 it is damaged; 3 wrong\n"
    "usage; 4 a file cannot be read or written, there is no log, or a server uses the\n"
    "folder. Of audit: 1 the last line is not\n"
    "whole, as while a server writes it; 2 a line is not what a server wrote there, or the\n"
    "file is no audit log.\n";

int Complain(const Status& status) {
  fprintf(stderr, "cairn-check: %s\n", status.message().c_str());
  return status.code() == StatusCode::kCorrupt ? kExitCorrupt : kExitIo;
}

Status NoJournal(const std::string& dir, const std::string& meant = "") {
  return Status::NotFound("there is no journal in " + dir + meant);
}

// Whether `dir` has a journal; where it has none, but a folder in it does, that is what was meant: the
// server's `dir` instead of appenddirname. One that has lost its manifest alone is left to recovery.
Status FindJournal(FileSystem* fs, const std::string& dir) {
  auto listed = fs->Exists(ManifestPath(dir));
  if (!listed.ok()) return listed.status();
  if (*listed) return Status::Ok();
  auto names = fs->List(dir);
  if (!names.ok())
    return names.status().code() == StatusCode::kNotFound ? NoJournal(dir) : names.status();
  std::string meant;
  for (const std::string& name : *names) {
    uint32_t timeline;
    uint64_t sequence;
    if (ParseSegmentName(name, &timeline, &sequence)) return Status::Ok();
    auto there = fs->Exists(ManifestPath(dir + "/" + name));
    if (there.ok() && *there) meant += (meant.empty() ? "; there is one in " : ", ") + dir + "/" + name;
  }
  return NoJournal(dir, meant);
}

// Of what a start only warns of.
Status LostStatus(const RecoveryReport& report) {
  const std::string unread = report.unread.empty() ? "" : "cannot be read: " + report.unread;
  if (!report.lost.empty())
    return Status::Corrupt("lost: " + report.lost + (unread.empty() ? "" : "; " + unread));
  if (!unread.empty()) return Status::Io(unread);
  return report.odd.empty() ? Status::Ok() : Status::Corrupt("nothing is lost: " + report.odd);
}

// The log and its snapshots, in words; they may be there though something is not whole.
Status Verify(FileSystem* fs, const std::string& dir, const KeyRing* keys, std::string* text,
              RecoveryReport* report) {
  text->clear();
  auto recovered = RecoverJournal(fs, dir, keys, /*in_use=*/true);
  if (!recovered.ok()) return recovered.status();
  const Manifest& m = recovered->manifest;
  *report = recovered->report;
  if (report->fresh) return NoJournal(dir);
  CAIRN_RETURN_IF_ERROR(VerifyChain(fs, dir, m, recovered->tail_lsn, keys));
  *text = "LSN " + std::to_string(m.NeededFrom()) + " to " + std::to_string(recovered->tail_lsn) + " in " +
          std::to_string(m.segments.size()) + " segments; " + report->Text() + "\n";
  std::vector<SnapshotEntry> snapshots = m.snapshots;
  if (snapshots.empty()) snapshots.push_back({m.base_name, m.base_lsn, 0, 0});
  for (const SnapshotEntry& snapshot : snapshots) {
    if (snapshot.name.empty()) continue;
    const auto keys_there = VerifyBase(fs, dir + "/" + snapshot.name, snapshot.lsn, keys);
    if (!keys_there.ok()) return keys_there.status();
    *text +=
        "snapshot " + snapshot.name + ": " + std::to_string(*keys_there) + " keys, whole\n";
  }
  return LostStatus(*report);
}

int Verify(FileSystem* fs, const std::string& dir, const KeyRing* keys) {
  std::string text;
  RecoveryReport report;
  const Status status =
      LookUntilStill(fs, dir, [&] { return Verify(fs, dir, keys, &text, &report); });
  fputs(text.c_str(), stdout);
  if (!status.ok()) return Complain(status);
  return report.bytes_cut > 0 ? kExitTornTail : kExitOk;
}

// Both change together while a server runs.
Result<Recovered> Recover(FileSystem* fs, const std::string& dir, const KeyRing* keys,
                          Manifest* listed) {
  Result<Recovered> recovered = NoJournal(dir);
  (void)LookUntilStill(fs, dir, [&] {
    auto manifest = LoadManifest(fs, dir);
    if (manifest.ok()) *listed = std::move(*manifest);
    recovered = RecoverJournal(fs, dir, keys, /*in_use=*/true);
    return recovered.ok() ? LostStatus(recovered->report) : recovered.status();
  });
  return recovered;
}

int List(FileSystem* fs, const std::string& dir, const KeyRing* keys) {
  auto listed = LoadManifest(fs, dir);
  if (!listed.ok()) return Complain(listed.status());
  // Ends of open segments are known only by reading; a damaged log is listed as it stands.
  auto recovered = Recover(fs, dir, keys, &*listed);
  const Manifest& m = recovered.ok() ? recovered->manifest : *listed;
  printf("replication id %s", m.replid.c_str());
  if (!m.replid2.empty())
    printf(", before LSN %llu %s", static_cast<unsigned long long>(m.second_offset),
           m.replid2.c_str());
  printf("\n");
  for (const Timeline& t : m.timelines)
    printf("timeline %u  %s  parent %u  from LSN %llu\n", t.number, t.replid.c_str(), t.parent,
           static_cast<unsigned long long>(t.branch_lsn));
  for (const SnapshotEntry& snapshot : m.snapshots)
    if (!snapshot.name.empty() && snapshot.name != m.base_name)
      printf("snapshot %s  LSN %llu\n", snapshot.name.c_str(),
             static_cast<unsigned long long>(snapshot.lsn));
  if (!m.base_name.empty())
    printf("base %s  LSN %llu\n", m.base_name.c_str(), static_cast<unsigned long long>(m.base_lsn));
  for (const SegmentEntry& s : m.segments)
    printf("%-24s %-6s timeline %u  LSN %llu to %llu  %s to %s\n",
           SegmentName(s.timeline, s.sequence).c_str(), SegmentStateName(s.state), s.timeline,
           static_cast<unsigned long long>(s.first_lsn), static_cast<unsigned long long>(s.end_lsn),
           TimeText(s.first_ms).c_str(), TimeText(s.last_ms).c_str());
  if (m.clean) printf("clean shutdown at LSN %llu\n", static_cast<unsigned long long>(m.clean_lsn));
  const Status status = recovered.ok() ? LostStatus(recovered->report) : recovered.status();
  return status.ok() ? kExitOk : Complain(status);
}

// Any LSN in the range will do (the server rounds down to a record's end); times by the blocks.
int Points(FileSystem* fs, const std::string& dir, const KeyRing* keys) {
  Manifest listed;
  auto recovered = Recover(fs, dir, keys, &listed);
  if (!recovered.ok()) return Complain(recovered.status());
  if (recovered->report.fresh) return Complain(NoJournal(dir));
  const Manifest& m = recovered->manifest;
  const Lsn from = m.RestorableFrom();
  printf("LSN %llu to %llu\n", static_cast<unsigned long long>(from),
         static_cast<unsigned long long>(recovered->tail_lsn));
  for (const SnapshotEntry& s : m.snapshots)
    printf("begins at LSN %llu  %s  %s\n", static_cast<unsigned long long>(s.lsn),
           TimeText(s.created_ms).c_str(), s.name.empty() ? "(empty)" : s.name.c_str());
  for (const SegmentEntry& s : m.segments) {
    if (s.end_lsn <= from) continue;
    printf("LSN %llu to %llu  %s to %s  timeline %u\n",
           static_cast<unsigned long long>(std::max(s.first_lsn, from)),
           static_cast<unsigned long long>(s.end_lsn), TimeText(s.first_ms).c_str(),
           TimeText(s.last_ms).c_str(), s.timeline);
  }
  auto names = fs->List(dir);
  if (!names.ok()) return Complain(names.status());
  for (const std::string& name : *names)
    if (name.starts_with("timeline-"))
      printf("kept timeline: %s/%s (a journal folder)\n", dir.c_str(), name.c_str());
  const Status status = LostStatus(recovered->report);
  return status.ok() ? kExitOk : Complain(status);
}

bool Print(std::string_view bytes) {
  return fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
}

// Database of the stream at `lsn`, for a start in mid-stream: by the block that begins there.
void PrintSelect(const StreamPiece& piece) {
  if (piece.first_record != 0 || piece.database == kNoDatabase || piece.database == 0) return;
  char select[kSelectBytesMax];
  Print({select, EncodeSelect(select, piece.database)});
}

int CatSegment(FileSystem* fs, const std::string& path, Lsn from, Lsn to, const KeyRing* keys) {
  auto reader = SegmentReader::Open(fs, path, keys);
  if (!reader.ok()) return Complain(reader.status());
  SegmentReader::Block block;
  std::string plain;
  SegmentReader::End end;
  while ((end = (*reader)->Next(&block)) == SegmentReader::End::kNone) {
    const BlockHeader& h = block.header;
    if (h.in_stream() ? h.end_lsn() <= from : from > h.first_lsn) continue;
    if (h.first_lsn >= to) return kExitOk;
    if (Status status = (*reader)->Decode(block, &plain); !status.ok()) return Complain(status);
    const size_t skip = h.in_stream() && from > h.first_lsn ? from - h.first_lsn : 0;
    const size_t length = h.in_stream() ? std::min(h.end_lsn(), to) - h.first_lsn : plain.size();
    if (!Print(std::string_view(plain).substr(skip, length - skip))) return kExitIo;
  }
  return end == SegmentReader::End::kBad ? Complain((*reader)->status()) : kExitOk;
}

// What of a folder's stream is printed so far.
struct Printed {
  bool begun = false, failed = false;
  Lsn at = 0, to = kLsnMax;
};

// Goes on where the last look ended. kUnavailable: what comes next is gone for good.
Status CatOnce(FileSystem* fs, const std::string& dir, const KeyRing* keys, Printed* printed) {
  auto recovered = RecoverJournal(fs, dir, keys, /*in_use=*/true);
  if (!recovered.ok()) return recovered.status();
  if (recovered->report.fresh) return NoJournal(dir);
  const Manifest& m = recovered->manifest;
  const Lsn first = m.segments.empty() ? m.base_lsn : m.segments.front().first_lsn;
  if (printed->begun && first > printed->at)
    return Status::Unavailable("a rewrite has deleted the log up to LSN " + std::to_string(first) +
                               " meanwhile; printed is what was before LSN " +
                               std::to_string(printed->at));
  if (!printed->begun) printed->to = std::min(printed->to, recovered->tail_lsn);
  const Lsn from = printed->at == 0 ? first : printed->at;
  auto reader = JournalReader::Open(fs, dir, m, from, printed->to, keys);
  if (!reader.ok()) return reader.status();
  StreamPiece piece;
  for (;;) {
    auto more = (*reader)->Next(&piece);
    if (!more.ok()) return more.status();
    if (!*more) return Status::Ok();
    if (!printed->begun) PrintSelect(piece);
    printed->begun = true;
    printed->at = piece.lsn + piece.bytes.size();
    printed->failed = !Print(piece.bytes);
    if (printed->failed) return Status::Ok();
  }
}

int CatFolder(FileSystem* fs, const std::string& dir, Lsn from, Lsn to, const KeyRing* keys) {
  Printed printed;
  printed.at = from;
  printed.to = to;
  const Status status =
      LookUntilStill(fs, dir, [&] { return CatOnce(fs, dir, keys, &printed); });
  if (!status.ok()) return Complain(status);
  return printed.failed ? kExitIo : kExitOk;
}

int CatSnapshot(FileSystem* fs, const std::string& path, const KeyRing* keys) {
  auto scanned = ScanSnapshot(fs, path, keys, Print);
  return scanned.ok() ? kExitOk : Complain(scanned.status());
}

int Usage() {
  fputs(kHelp, stderr);
  return kExitUsage;
}

// What stands behind the command and the path.
struct Options {
  Lsn from = 0, to = kLsnMax;
  bool yes = false;
  std::string aof_file, rdb_file, target, key_file;
};

// False: not understood.
bool ParseOptions(const std::vector<std::string>& args, Options* options) {
  const std::string& command = args[0];
  for (size_t i = 2; i < args.size(); ++i) {
    if (command == "repair" && args[i] == "--yes") {
      options->yes = true;
      continue;
    }
    if (i + 1 == args.size()) return false;
    const std::string& name = args[i];
    const std::string& value = args[++i];
    if (name == "--key-file") {
      options->key_file = value;
    } else if (command == "export" && name == "--aof") {
      options->aof_file = value;
    } else if (command == "export" && name == "--rdb") {
      options->rdb_file = value;
    } else if (command == "export" && name == "--to") {
      options->target = value;
    } else if (!(command == "cat" && name == "--from" && ParseUint64(value, &options->from)) &&
               !(command == "cat" && name == "--to" && ParseUint64(value, &options->to))) {
      return false;
    }
  }
  if (options->from > options->to) return false;
  if (command != "export") return true;
  return options->aof_file.empty() != options->rdb_file.empty() &&
         (options->target.empty() || options->aof_file.empty());
}

int Repair(FileSystem* fs, const std::string& path, bool yes, const KeyRing* keys) {
  // Until this process ends; without it a server could be appending to what is cut here, or to what
  // would be taken for damage. Who may not write to the folder may look at it.
  Result<FileLock> lock = FileLock();
  const auto locked_before = fs->Exists(path + "/" + kFolderLockName);
  if (yes || (locked_before.ok() && *locked_before)) lock = LockJournalFolder(path);
  if (!lock.ok() && (yes || lock.status().code() == StatusCode::kUnavailable))
    return Complain(lock.status());
  std::string text;
  Status status = RepairJournal(fs, path, yes, keys, &text);
  fputs(text.c_str(), stdout);
  return status.ok() ? kExitOk : Complain(status);
}

int Audit(FileSystem* fs, const std::vector<std::string>& paths) {
  auto report = VerifyAudit(fs, paths);
  if (!report.ok()) return Complain(report.status());
  fputs(report->text.c_str(), stdout);
  return report->torn ? kExitTornTail : kExitOk;
}

int Run(const std::vector<std::string>& args) {
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    fputs(kHelp, stdout);
    return kExitOk;
  }
  if (args.size() >= 2 && args[0] == "audit")
    return Audit(RealFileSystem(), {args.begin() + 1, args.end()});
  Options options;
  if (args.size() < 2 || !ParseOptions(args, &options)) return Usage();
  FileSystem* fs = RealFileSystem();
  std::unique_ptr<KeyRing> ring;
  if (!options.key_file.empty()) {
    auto loaded = KeyRing::Load(fs, options.key_file);
    if (!loaded.ok()) return Complain(loaded.status());
    ring = std::make_unique<KeyRing>(std::move(*loaded));
  }
  const KeyRing* keys = ring.get();
  const std::string& command = args[0];
  const std::string& path = args[1];
  constexpr std::string_view kCommands[] = {"verify", "list", "points", "cat", "export", "repair"};
  if (std::find(std::begin(kCommands), std::end(kCommands), command) == std::end(kCommands))
    return Usage();
  const bool folder = command != "cat" || fs->List(path).ok();
  if (folder)
    if (const Status there = FindJournal(fs, path); !there.ok()) return Complain(there);
  if (command == "verify") return Verify(fs, path, keys);
  if (command == "list") return List(fs, path, keys);
  if (command == "points") return Points(fs, path, keys);
  if (command == "cat" && folder) return CatFolder(fs, path, options.from, options.to, keys);
  if (command == "cat")
    return IsPackedSnapshot(fs, path) ? CatSnapshot(fs, path, keys)
                                      : CatSegment(fs, path, options.from, options.to, keys);
  if (command == "export") {
    const Status status = options.rdb_file.empty()
                              ? ExportAof(fs, path, options.aof_file, keys)
                              : ExportRdb(fs, path, options.rdb_file, options.target, keys);
    return status.ok() ? kExitOk : Complain(status);
  }
  return Repair(fs, path, options.yes, keys);
}

}  // namespace

bool IsCheckName(const std::string& program) {
  return program.substr(program.rfind('/') + 1) == "cairn-check";
}

int CheckMain(const std::vector<std::string>& args) {
  const int status = Run(args);
  // What is still in stdio's buffer may be what a full disk does not take.
  if (fflush(stdout) == 0 && ferror(stdout) == 0) return status;
  fprintf(stderr, "cairn-check: not all could be written: %s\n", strerror(errno));
  return status == kExitOk ? kExitIo : status;
}

}  // namespace cairn
