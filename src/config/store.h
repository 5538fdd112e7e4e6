// SPDX-License-Identifier: BSD-3-Clause
//
// ConfigStore: the one writer of a Config. It loads files and command lines at start, carries out
// CONFIG GET, SET and REWRITE, and tells who asked to know about changes.
//
// Thread rule: Load and OnChange before other threads run. Get, Set, SetInternally and Rewrite
// from any thread; they take a mutex, and Rewrite does file work, so none may be called under a
// shard lock. Hooks run on the setting thread with that mutex held: they must not call back into
// the store. Reading config() needs none of this.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "config/config.h"
#include "config/file_parser.h"
#include "config/options.h"

namespace cairn {

// What the words of a command line ask for, as redis-server takes them:
//   [FILE] [-] [--directive value ...] ... [-]
struct CommandLine {
  std::string file;         // "": none
  bool standard_input = false;
  std::string directives;   // one line each, in the syntax of a file
};
Result<CommandLine> ParseCommandLine(std::span<const std::string> arguments);

class ConfigStore {
 public:
  explicit ConfigStore(FileSystem* files = RealFileSystem()) : files_(files) {}
  ConfigStore(const ConfigStore&) = delete;
  ConfigStore& operator=(const ConfigStore&) = delete;

  const Config& config() const { return config_; }

  // Start-up: the file, then `standard_input` (its whole text), then the directives; later ones
  // win. The error is one line that names file, line and directive. Arguments exclude argv[0].
  Status Load(const CommandLine& line, std::string_view standard_input);
  // One line for the log that names options which were set but have no effect here, or not yet;
  // "" if none.
  std::string InertWarning() const;
  // The `user NAME RULE...` lines, in their order; whoever knows users reads them.
  const std::vector<Directive>& user_directives() const { return user_directives_; }
  // Where an option got its value at start, for messages such as "port in use":
  // "cairn.conf:3: 'port 6379'", or "default: 'port 6379'".
  std::string Origin(std::string_view name) const;
  // Absolute path of the file given at start, "" if there was none.
  const std::string& file() const { return file_; }

  // A hook sees the new values in config() and may refuse them with a message for the client.
  // If any hook of a Set refuses, all its values are put back and the hooks that had agreed run
  // again with the old ones. A hook runs once a Set, however many of its options changed.
  using Hook = std::function<Status(const Config&)>;
  void OnChange(std::vector<std::string> names, Hook hook);

  using Pairs = std::vector<std::pair<std::string, std::string>>;
  // CONFIG GET: (name, value) of every option that a pattern names. A pattern without special
  // characters answers with the name as it was asked.
  Pairs Get(std::span<const std::string_view> patterns) const;
  // CONFIG SET: all or nothing. The message is what follows "ERR " in Redis's reply.
  Status Set(const Pairs& pairs, bool may_set_protected);
  // For values the server finds out itself (dir made absolute, replicaof, a lowered maxclients):
  // no hooks, no protection. `text` must be valid: a CHECK.
  void SetInternally(std::string_view name, std::string_view text);

  // CONFIG REWRITE: makes the file given at start say what is in force now; see rewrite.h.
  // `user_lines`, if given, replace the `user ...` lines ("alice on >secret", without "user ").
  Status Rewrite(const std::optional<std::vector<std::string>>& user_lines = std::nullopt);

 private:
  struct Registration {
    std::vector<const Option*> options;
    Hook hook;
  };

  FileSystem* files_;
  mutable std::mutex mutex_;
  std::mutex rewrite_mutex_;  // of the file; never asked for under mutex_
  Config config_;
  std::string file_;
  std::map<const Option*, std::string> origins_;  // written by Load alone
  std::vector<Directive> user_directives_;        // so is this
  std::vector<Registration> hooks_;
};

}  // namespace cairn
