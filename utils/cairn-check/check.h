// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-check is the server's binary under a second name, as redis-check-rdb is redis-server's: it
// reads through the same code, and a second copy of it would only cost a second link and disk.
#pragma once

#include <string>
#include <vector>

namespace cairn {

// Whether a process that was started as `program` (argv[0]) is to be cairn-check.
bool IsCheckName(const std::string& program);

// Runs cairn-check with the arguments behind the program's name; returns the exit status, as
// `cairn-check --help` lists them. Prints to standard output and standard error.
int CheckMain(const std::vector<std::string>& args);

}  // namespace cairn
