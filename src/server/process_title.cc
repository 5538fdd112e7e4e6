// SPDX-License-Identifier: BSD-3-Clause
#include "server/process_title.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "base/numbers.h"

namespace cairn {

ProcessTitle::ProcessTitle(int argc, char** argv)
    : program_(argc > 0 ? argv[0] : ""), begin_(argc > 0 ? argv[0] : nullptr), size_(0) {
  if (begin_ == nullptr) return;
  // Only what lies without a gap is known to be the kernel's row.
  const auto take = [this](const char* text) {
    if (text == begin_ + size_) size_ += strlen(text) + 1;
  };
  for (int i = 0; i < argc; ++i) take(argv[i]);
  size_t variables = 0;
  while (environ[variables] != nullptr) take(environ[variables++]);
  // For ever: what runs behind main may ask for variables, too.
  auto** copies = new char*[variables + 1];
  for (size_t i = 0; i < variables; ++i) copies[i] = strdup(environ[i]);
  copies[variables] = nullptr;
  environ = copies;
  // glibc's messages name the program.
  char* name = strdup(begin_);
  program_invocation_short_name = name + (program_invocation_short_name - program_invocation_name);
  program_invocation_name = name;
}

void ProcessTitle::Show(std::string_view title) {
  if (size_ == 0) return;
  const size_t length = std::min(title.size(), size_ - 1);
  memcpy(begin_, title.data(), length);
  memset(begin_ + length, 0, size_ - length);
}

std::string ExpandTitle(const Config& config, std::string_view program,
                        std::string_view config_file) {
  const int64_t port = config.port() != 0 ? config.port() : config.tls_port();
  const Words& bind = config.bind();
  const std::string address =
      port == 0 ? config.unixsocket() : (bind.empty() ? "*" : bind[0]) + ":" + ToString(port);
  const auto value_of = [&](std::string_view name) -> std::string {
    if (name == "title") return std::string(program);
    if (name == "listen-addr") return address;
    if (name == "port") return ToString(config.port());
    if (name == "tls-port") return ToString(config.tls_port());
    if (name == "unixsocket") return config.unixsocket();
    if (name == "config-file") return std::string(config_file);
    return "";  // {server-mode}: neither a cluster's node nor a Sentinel
  };
  const std::string text = config.proc_title_template();
  std::string title;
  for (size_t at = 0; at < text.size();) {
    const size_t open = std::min(text.find('{', at), text.size());
    title += text.substr(at, open - at);
    const size_t close = text.find('}', open);
    if (close == std::string::npos) break;
    title += value_of(std::string_view(text).substr(open + 1, close - open - 1));
    at = close + 1;
  }
  const size_t first = title.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return title.substr(first, title.find_last_not_of(' ') - first + 1);
}

}  // namespace cairn
