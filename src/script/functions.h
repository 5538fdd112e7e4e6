// SPDX-License-Identifier: BSD-3-Clause
//
// Libraries of functions: what FUNCTION LOAD brought, for all workers.
//
// A `Libraries` is an immutable snapshot: whoever holds one may read it at leisure. A change makes
// a new one from a copy and installs it under scope All, journaled in the same hold; FCALL looks
// at it after locking, so a load has its place in the serial order. Each worker runs a library's
// code once to get at its functions (host.h): what the code keeps in local variables is a worker's
// own and lost when the server ends.
//
// Thread rule: FunctionRegistry from any thread; Install under All.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

struct FunctionInfo {
  std::string name, description;
  bool has_description = false;
  uint64_t flags = 0;  // ScriptFlag
};

struct Library {
  std::string name, code;
  size_t code_offset = 0;  // of the Lua code, behind the shebang's words
  std::vector<FunctionInfo> functions;
  mutable std::atomic<bool> needs_all{false};  // the locks of a call's keys did not do
};

// The shebang of a library, "#!lua name=NAME". False: *error is the reply.
bool ReadLibraryShebang(std::string_view code, Library* library, std::string* error);
// Letters, digits and underscores, at least one.
bool IsFunctionName(std::string_view name);

class Libraries {
 public:
  struct Found {
    std::shared_ptr<const Library> library;
    size_t index = 0;  // of the function in it
  };

  // Adds a library, in place of the one of its name if `replace`. False: *error is the reply, and
  // nothing was changed.
  bool Add(std::shared_ptr<const Library> library, bool replace, std::string* error);
  bool Remove(const std::string& name);
  // A function by name, any case; library is nullptr if there is none.
  Found Find(std::string_view function) const;
  const std::map<std::string, std::shared_ptr<const Library>>& all() const { return libraries_; }
  size_t function_count() const { return functions_.size(); }

 private:
  std::map<std::string, std::shared_ptr<const Library>> libraries_;
  std::map<std::string, Found, std::less<>> functions_;  // by lower-case name
};

class FunctionRegistry {
 public:
  std::shared_ptr<const Libraries> Current() const;
  void Install(std::shared_ptr<const Libraries> libraries);
  // Changes with every Install.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Libraries> current_ = std::make_shared<Libraries>();
  std::atomic<uint64_t> generation_{0};
};

// What FUNCTION DUMP answers: an RDB function record for each library, version, checksum.
std::string DumpLibraries(const Libraries& libraries);
// The codes in such a payload. False: *error is the reply.
bool ReadLibraryDump(std::string_view payload, std::vector<std::string>* codes, std::string* error);

}  // namespace cairn
