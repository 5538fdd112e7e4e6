// SPDX-License-Identifier: BSD-3-Clause
//
// Selector: one set of permissions: which commands, on which keys, channels and databases. A user
// has a root selector and any number of others; whatever one of them allows is allowed.
//
// The rules, each a word, applied in order (the notation of Redis's ACL SETUSER):
//
//   +NAME -NAME         a command, with its subcommands; +NAME|SUB -NAME|SUB one subcommand
//   +NAME|ARGUMENT      a command without subcommands, if its first argument is this word
//   +@CATEGORY -@CATEGORY    all commands of a category; @all: every one, future ones included
//   allcommands nocommands
//   ~PATTERN            keys, to read and write; %R~PATTERN %W~PATTERN one of them
//   allkeys resetkeys
//   &PATTERN allchannels resetchannels
//   db=N[,N...] alldbs resetdbs
//
// Thread rule: changed by one thread while no other looks (scope All); Check from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "spec/registry.h"

namespace cairn {

// What is refused, in the order in which the closest miss of several selectors is chosen.
enum class AclDenial : uint8_t { kNone, kCommand, kDatabase, kKey, kChannel, kAuth, kCertificate };

// What a call wants, told once and asked of each selector. `position` indexes the arguments.
struct AclKeyUse {
  int position;
  bool read, write;  // neither: it is enough that some pattern matches
};
struct AclChannelUse {
  int position;
  bool pattern;  // PSUBSCRIBE: the pattern itself has to be one of the allowed ones
};
struct AclCall {
  const Command* command;
  Arguments arguments;
  const std::vector<AclKeyUse>* keys;
  const std::vector<AclChannelUse>* channels;
  const std::vector<int>* databases;
  bool reads_any_key = false;  // also keys that no argument names
};

class Selector {
 public:
  explicit Selector(const Registry* registry) : registry_(registry) {}

  // Applies one rule word. The error is the text that follows "Error in ACL SETUSER modifier".
  Status Apply(std::string_view rule);
  // `*position` becomes the argument that was refused; 0 for the command itself.
  AclDenial Check(const AclCall& call, int* position) const;

  // All commands of now and later, all keys, channels and databases.
  bool unrestricted() const {
    return all_commands_ && all_keys_ && all_channels_ && all_databases_;
  }
  bool all_channels() const { return all_channels_; }
  bool AllowsChannel(std::string_view channel, bool pattern) const;

  // The parts of the canonical text: "~a* %R~b*", "&c*", "+@all -get", "db=0,2" ("" for all).
  std::string DescribeKeys() const;
  std::string DescribeChannels() const;
  std::string DescribeCommands() const;
  std::string DescribeDatabases() const;
  // As a line of ACL LIST.
  std::string Describe() const;

 private:
  struct KeyPattern {
    std::string text;
    bool read, write;
  };

  Status ApplyKeyPattern(std::string_view rule);
  Status ApplyChannel(std::string_view pattern);
  Status ApplyCommand(std::string_view rule);
  Status ApplyFirstArgument(std::string_view name);
  Status ApplyDatabases(std::string_view list);
  bool SetCategory(std::string_view category, bool allow);
  void SetAll(bool allow);
  void SetCommand(const Command& command, bool allow);
  void SetBit(int id, bool allow);
  bool Bit(int id) const;
  void NoteRule(std::string rule, bool allow);
  bool AllowsCommand(const AclCall& call) const;
  bool AllowsKey(std::string_view key, const AclKeyUse& use) const;
  bool ReadsEveryKey() const;

  const Registry* registry_;
  bool all_keys_ = false, all_channels_ = false, all_databases_ = true;
  bool all_commands_ = false;      // every one, none taken away since
  bool future_commands_ = false;   // the base that the noted rules build on: +@all or -@all
  std::vector<uint64_t> commands_;                          // bits by Command::id
  std::map<int, std::vector<std::string>> first_arguments_;  // of commands whose bit is not set
  std::vector<std::string> rules_;                          // "+get", "-@write", behind the base
  std::vector<KeyPattern> keys_;
  std::vector<std::string> channels_;
  std::vector<int> databases_;  // ascending
};

}  // namespace cairn
