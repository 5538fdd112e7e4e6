// SPDX-License-Identifier: BSD-3-Clause
//
// set-proc-title: what ps and top show of the process, as "cairn-server 127.0.0.1:6379". Linux has
// no call for it: the title is written over the memory in which the kernel laid out the arguments
// and, behind them, the environment, which is moved elsewhere for that.
//
//   argv[0] \0 argv[1] \0 ... | NAME=value \0 NAME=value \0 ...
//   title \0 \0 \0 ...                       a title longer than the arguments goes on behind them,
//                                            which the kernel takes from the lack of a last \0
//
// Thread rule: made by main before other threads run and before anything kept a pointer into argv
// or the environment; Show by one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/config.h"

namespace cairn {

class ProcessTitle {
 public:
  // `argv` as main got it; its texts are not to be used behind this.
  ProcessTitle(int argc, char** argv);
  ProcessTitle(const ProcessTitle&) = delete;
  ProcessTitle& operator=(const ProcessTitle&) = delete;

  // Cut to the room that there is.
  void Show(std::string_view title);
  const std::string& program() const { return program_; }  // argv[0]

 private:
  std::string program_;
  char* begin_;
  size_t size_;  // bytes of the arguments and of the environment
};

// proc-title-template, its variables filled in as Redis does.
std::string ExpandTitle(const Config& config, std::string_view program,
                        std::string_view config_file);

}  // namespace cairn
