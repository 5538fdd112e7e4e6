// SPDX-License-Identifier: BSD-3-Clause
#include "server/redis_import.h"

#include <algorithm>

#include "base/numbers.h"
#include "journal/recovery.h"
#include "rdb/opcodes.h"
#include "server/persistence.h"

namespace cairn {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

// The words of a manifest's line; a word may stand in double quotes.
std::vector<std::string> WordsOf(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    if (line[at] == ' ' || line[at] == '\r') {
      ++at;
      continue;
    }
    const bool quoted = line[at] == '"';
    const size_t begin = quoted ? at + 1 : at;
    const size_t end = std::min(line.find_first_of(quoted ? "\"" : " \r", begin), line.size());
    words.emplace_back(line.substr(begin, end - begin));
    at = end + (quoted ? 1 : 0);
  }
  return words;
}

// Hands a file out in pieces, from `offset` on.
class FilePieces {
 public:
  FilePieces(const std::string& path, File* file, uint64_t offset)
      : path_(path), file_(*file), at_(offset) {}
  Result<bool> operator()(StreamPiece* piece) {
    buffer_.resize(kPieceBytes);
    auto read = file_.ReadAt(at_, buffer_.data(), buffer_.size());
    if (!read.ok()) return read.status();
    if (*read == 0) return false;
    piece->lsn = at_;
    piece->bytes = std::string_view(buffer_).substr(0, *read);
    piece->file = path_;
    at_ += *read;
    return true;
  }

 private:
  const std::string& path_;
  File& file_;
  uint64_t at_;
  std::string buffer_;
};

}  // namespace

Result<std::vector<std::string>> ParseAofManifest(std::string_view text) {
  std::vector<std::string> base;
  std::vector<std::pair<int64_t, std::string>> increments;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> words = WordsOf(line);
    int64_t sequence = 0;
    if (words.size() < 6 || words[0] != "file" || words[2] != "seq" || words[4] != "type" ||
        !ParseInt64(words[3], &sequence) || words[1].empty() ||
        words[1].find('/') != std::string::npos)
      return Status::Corrupt("a line of the manifest is malformed: " + std::string(line));
    if (words[5] == "b") {
      if (!base.empty()) return Status::Corrupt("the manifest lists two base files");
      base.push_back(words[1]);
    } else if (words[5] == "i") {
      if (!increments.empty() && increments.back().first >= sequence)
        return Status::Corrupt("the manifest's increments are out of order");
      increments.emplace_back(sequence, words[1]);
    } else if (words[5] != "h") {
      return Status::Corrupt("the manifest lists a file of an unknown type: " + std::string(line));
    }
  }
  for (auto& [sequence, name] : increments) base.push_back(std::move(name));
  return base;
}

Result<RedisFiles> FindRedisFiles(FileSystem* fs, const Config& config) {
  RedisFiles files;
  const std::string dir = config.dir(), name = config.appendfilename();
  const std::string folder = dir + "/" + config.appenddirname();
  const std::string manifest_path = folder + "/" + name + ".manifest";
  auto manifest = fs->ReadFile(manifest_path);
  if (manifest.ok()) {
    auto names = ParseAofManifest(*manifest);
    if (!names.ok()) return Status::Corrupt(manifest_path + ": " + names.status().message());
    for (const std::string& part : *names) files.aofs.push_back(folder + "/" + part);
  } else if (manifest.status().code() != StatusCode::kNotFound) {
    return manifest.status();
  }
  for (const std::string& path : files.aofs) {
    auto there = fs->Exists(path);
    if (!there.ok()) return there.status();
    if (!*there) return Status::Corrupt(path + " is missing, which " + manifest_path + " lists");
  }
  auto aof = fs->Exists(dir + "/" + name);
  if (!aof.ok()) return aof.status();
  if (files.aofs.empty() && *aof) files.aofs.push_back(dir + "/" + name);
  const std::string rdb = dir + "/" + config.dbfilename();
  auto snapshot = fs->Exists(rdb);
  if (!snapshot.ok()) return snapshot.status();
  if (*snapshot) (files.aofs.empty() ? files.rdb : files.passed_over) = rdb;
  return files;
}

namespace {

class AofImport {
 public:
  AofImport(FileSystem* fs, Engine* engine, Persistence* persistence, Replayer* replayer,
            const std::function<bool()>& stop)
      : fs_(*fs), engine_(*engine), persistence_(*persistence), replayer_(*replayer), stop_(stop) {}

  // `last`: it may be cut short.
  Status Load(const std::string& path, bool last) {
    auto file = fs_.Open(path, FileSystem::Mode::kRead);
    if (!file.ok()) return file.status();
    auto size = (*file)->Size();
    if (!size.ok()) return size.status();
    auto offset = LoadPreamble(path, file->get());
    if (!offset.ok()) return offset.status();
    if (*offset == *size) return Status::Ok();
    engine_.loading.Begin(*size - *offset, engine_.clock.WallMs());
    FilePieces pieces(path, file->get(), *offset);
    auto done = replayer_.Run(
        *offset, [&pieces](StreamPiece* piece) { return pieces(piece); }, stop_,
        StreamKind::kRedisAof);
    if (!done.ok()) return done.status();
    if (!done->unfinished.empty()) CAIRN_RETURN_IF_ERROR(Truncated(path, last, *size, *done));
    Tell(path, *done);
    return Status::Ok();
  }

 private:
  // Where the commands begin: behind the RDB, if the file begins with one.
  Result<uint64_t> LoadPreamble(const std::string& path, File* file) {
    char magic[sizeof kRdbMagicValkey] = {};
    auto read = file->ReadAt(0, magic, sizeof magic);
    if (!read.ok()) return read.status();
    const std::string_view head(magic, *read);
    if (!head.starts_with(kRdbMagic) && !head.starts_with(kRdbMagicValkey)) return uint64_t{0};
    auto report = persistence_.LoadFile(path, stop_);
    if (!report.ok()) return report.status();
    return report->end_offset;
  }

  Status Truncated(const std::string& path, bool last, uint64_t size, const ReplayReport& done) {
    const std::string what = path + ": the last " + std::to_string(size - done.end_lsn) +
                             " bytes, from offset " + std::to_string(done.end_lsn) +
                             " on, are no whole command: " + done.unfinished;
    if (!last) return Status::Corrupt(what);
    if (!engine_.config.aof_load_truncated())
      return Status::Corrupt(what + "; with aof-load-truncated they are left out");
    engine_.log.Warning("%s; they are left out, as aof-load-truncated says", what.c_str());
    return Status::Ok();
  }

  void Tell(const std::string& path, const ReplayReport& done) {
    if (done.refused > 0)
      engine_.log.Warning("%llu commands of %s failed and were passed over, as Redis does: %s",
                          static_cast<unsigned long long>(done.refused), path.c_str(),
                          done.first_refused.c_str());
    engine_.log.Notice("DB loaded from append only file %s: %llu commands in %.3f seconds",
                       path.c_str(), static_cast<unsigned long long>(done.commands),
                       static_cast<double>(done.milliseconds) / 1000);
  }

  FileSystem& fs_;
  Engine& engine_;
  Persistence& persistence_;
  Replayer& replayer_;
  const std::function<bool()>& stop_;
};

}  // namespace

Status SaveFirstBase(Persistence* persistence, const std::string& dir, Recovered* recovered) {
  // Of timeline 1 at LSN 0, as other bases are named.
  constexpr const char* kFirstBaseName = "0001-0000000000000000.rdb.lz4";
  CAIRN_RETURN_IF_ERROR(persistence->SaveAs(dir, kFirstBaseName, SnapshotFormat::kPacked));
  recovered->manifest.base_name = kFirstBaseName;
  recovered->manifest.base_lsn = 0;
  return Status::Ok();
}

Status LoadRedisFiles(FileSystem* fs, const RedisFiles& files, Engine* engine,
                      Persistence* persistence, Replayer* replayer,
                      const std::function<bool()>& stop) {
  if (!files.passed_over.empty())
    engine->log.Warning("%s is not loaded: there is an append only file beside it",
                        files.passed_over.c_str());
  if (!files.rdb.empty()) return persistence->LoadFile(files.rdb, stop).status();
  AofImport import(fs, engine, persistence, replayer, stop);
  for (const std::string& path : files.aofs)
    CAIRN_RETURN_IF_ERROR(import.Load(path, &path == &files.aofs.back()));
  return Status::Ok();
}

}  // namespace cairn
