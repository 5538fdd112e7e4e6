// SPDX-License-Identifier: BSD-3-Clause
#include "utils/bench/load/process_cpu.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace cairn::load {
namespace {

double TicksOf(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  // utime and stime are the 12th and 13th words after the name, which may hold anything.
  std::size_t at = text.rfind(')');
  for (int i = 0; i < 12 && at != text.npos; ++i) at = text.find(' ', at + 1);
  if (at == text.npos) return -1;
  std::size_t used = 0;
  const double user = std::stod(text.substr(at), &used);
  return (user + std::stod(text.substr(at + used))) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

double ProcessCpuSeconds(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::error_code error;
  double seconds = 0;
  for (const auto& thread : std::filesystem::directory_iterator(folder + "/task", error)) {
    std::ifstream file(thread.path() / "schedstat");
    double ns = 0;
    if (!(file >> ns) && std::filesystem::exists(thread.path(), error))
      return TicksOf(folder + "/stat");
    seconds += ns / 1e9;
  }
  return error ? TicksOf(folder + "/stat") : seconds;
}

}  // namespace cairn::load
