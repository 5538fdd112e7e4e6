// SPDX-License-Identifier: BSD-3-Clause
//
// cairn-server [FILE] [--directive value ...]: the command line as redis-server takes it. Under the
// name cairn-check the same binary is that tool.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/crash.h"
#include "base/log.h"
#include "base/version.h"
#include "config/store.h"
#include "server/process.h"
#include "server/process_title.h"
#include "server/server.h"
#include "utils/cairn-check/check.h"

namespace {

constexpr char kHelp[] =
    "Usage: cairn-server [FILE] [--directive value ...]\n"
    "       cairn-server - (read the configuration from standard input)\n"
    "       cairn-server ... --restore-to LSN|TIME (go back, on a new timeline)\n"
    "       cairn-server -v or --version\n"
    "       cairn-server -h or --help\n\n"
    "Examples:\n"
    "       cairn-server (with the default configuration)\n"
    "       cairn-server conf/cairn.conf\n"
    "       cairn-server --port 7777 --appendfsync always\n"
    "       cairn-server conf/cairn.conf --loglevel verbose\n";

std::string ReadStandardInput() {
  std::string text;
  char buffer[4096];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) text.append(buffer, n);
  return text;
}

int Fail(const cairn::Status& status) {
  fprintf(stderr, "cairn-server: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (cairn::IsCheckName(argv[0])) return cairn::CheckMain(arguments);
  if (arguments.size() == 1 && (arguments[0] == "-v" || arguments[0] == "--version")) {
    printf("Cairn server v=%s redis=%s bits=64\n", cairn::kVersion, cairn::kRedisVersion);
    return 0;
  }
  if (arguments.size() == 1 && (arguments[0] == "-h" || arguments[0] == "--help")) {
    fputs(kHelp, stdout);
    return 0;
  }
  cairn::ProcessTitle title(argc, argv);
  // No directive: it must never stand in a configuration file, or every start would go back.
  std::string restore_to;
  if (auto at = std::find(arguments.begin(), arguments.end(), "--restore-to");
      at != arguments.end()) {
    if (at + 1 == arguments.end() || at[1].empty())
      return Fail(cairn::Status::Invalid("--restore-to takes an LSN or a time"));
    restore_to = at[1];
    arguments.erase(at, at + 2);
  }
  auto line = cairn::ParseCommandLine(arguments);
  if (!line.ok()) return Fail(line.status());
  cairn::ConfigStore store;
  bool from_input = false;
  for (const std::string& argument : arguments) from_input |= argument == "-";
  if (cairn::Status status = store.Load(*line, from_input ? ReadStandardInput() : ""); !status.ok())
    return Fail(status);
  const cairn::Config& config = store.config();
  // Without a journal there is nothing to go back in, and a start as ever would hide that.
  if (!restore_to.empty() && !config.appendonly())
    return Fail(cairn::Status::Invalid("--restore-to needs appendonly yes"));

  if (chdir(config.dir().c_str()) != 0)
    return Fail(cairn::Status::FromErrno("Can't chdir to '" + config.dir() + "'", errno));
  if (char* absolute = realpath(".", nullptr); absolute != nullptr) {
    store.SetInternally("dir", absolute);
    free(absolute);
  }
  if (config.daemonize() && !cairn::IsSupervised(config) && daemon(1, 0) != 0)
    return Fail(cairn::Status::FromErrno("daemonize", errno));

  const auto show_title = [&](const cairn::Config& now) {
    if (now.set_proc_title()) title.Show(cairn::ExpandTitle(now, title.program(), store.file()));
    return cairn::Status::Ok();
  };
  (void)show_title(config);
  store.OnChange({"port", "tls-port", "bind", "proc-title-template"}, show_title);
  cairn::Log log;
  log.set_level(config.loglevel());
  if (cairn::Status status = log.Open(config.logfile()); !status.ok()) return Fail(status);
  const std::string syslog_ident = config.syslog_ident();
  if (config.syslog_enabled())
    log.OpenSyslog(syslog_ident.c_str(), static_cast<int>(config.syslog_facility()));
  cairn::EnableCrashReport(config.crash_log_enabled());
  cairn::InstallCrashReport(log.fd(), cairn::kVersion);
  log.Notice("Cairn %s starting, pid %d, port %d", cairn::kVersion, getpid(),
             static_cast<int>(config.port()));
  if (const std::string warning = store.InertWarning(); !warning.empty())
    log.Warning("%s", warning.c_str());
  cairn::Server server(&store, &log);
  server.set_restore_to(restore_to);
  if (cairn::Status status = server.Start(); !status.ok()) {
    if (status.code() == cairn::StatusCode::kUnavailable && server.StopAsked()) {
      log.Warning("Received a request to shut down while loading, exiting now");
      server.RemoveFiles();
      _exit(0);
    }
    log.Warning("%s", status.message().c_str());
    if (!config.logfile().empty()) fprintf(stderr, "cairn-server: %s\n", status.message().c_str());
    // Threads may be running: leave without tearing down what they use.
    fflush(stdout);
    _exit(1);
  }
  cairn::TellSupervisorReady(config, log);
  return server.Wait();
}
