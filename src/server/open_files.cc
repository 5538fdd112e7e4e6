// SPDX-License-Identifier: BSD-3-Clause
#include "server/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace cairn {
namespace {

constexpr rlim_t kAssumedFiles = 1024;  // where the system does not tell

using Number = unsigned long long;

}  // namespace

ClientRoom MakeRoomForClients(int64_t clients, size_t workers) {
  const int64_t reserve = kReservedFiles + kReservedFilesPerWorker * static_cast<int64_t>(workers);
  ClientRoom room{};
  room.wanted = static_cast<uint64_t>(clients + reserve);
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit = {kAssumedFiles, kAssumedFiles};
  room.before = room.now = limit.rlim_cur;
  if (room.now < room.wanted) {
    // Whoever has the right to may pass the hard limit; anybody may reach it.
    const rlim_t hard = limit.rlim_max;
    for (const rlim_t target : {std::max<rlim_t>(room.wanted, hard), hard}) {
      const rlimit raised{std::min<rlim_t>(target, room.wanted), target};
      if (raised.rlim_cur <= room.now) break;
      if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        room.now = raised.rlim_cur;
        break;
      }
      room.error = errno;
    }
  }
  room.clients = clients;
  if (room.now < room.wanted) {
    // What is set aside shrinks before nobody is served: to what loops need, and Redis's 32.
    const int64_t least = 32 + 5 * static_cast<int64_t>(workers);
    const auto now = static_cast<int64_t>(room.now);
    room.clients = std::max(now - reserve, (now - least) / 2);
  }
  return room;
}

Status FitMaxClients(ConfigStore* store, size_t workers, Log* log) {
  const int64_t asked = store->config().maxclients();
  const ClientRoom room = MakeRoomForClients(asked, workers);
  if (room.clients == asked) {
    if (room.now != room.before)
      log->Notice(
          "Increased maximum number of open files to %llu (it was originally set to %llu).",
          Number{room.now}, Number{room.before});
    return Status::Ok();
  }
  if (room.clients < 1)
    return Status::Limit("Your current 'ulimit -n' of " + std::to_string(room.before) +
                         " is not enough for the server to start. Please increase your open file "
                         "limit to at least " +
                         std::to_string(room.wanted) + ". Exiting.");
  store->SetInternally("maxclients", std::to_string(room.clients));
  log->Warning("You requested maxclients of %lld requiring at least %llu max file descriptors.",
               static_cast<long long>(asked), Number{room.wanted});
  log->Warning("Server can't set maximum open files to %llu because of OS error: %s.",
               Number{room.wanted}, strerror(room.error));
  log->Warning(
      "Current maximum open files is %llu. maxclients has been reduced to %lld to compensate for "
      "low ulimit. If you need higher maxclients increase 'ulimit -n'.",
      Number{room.now}, static_cast<long long>(room.clients));
  return Status::Ok();
}

Status AllowMaxClients(int64_t clients, size_t workers) {
  const ClientRoom room = MakeRoomForClients(clients, workers);
  if (room.clients == clients) return Status::Ok();
  return Status::Limit(
      "The operating system is not able to handle the specified number of clients, try with " +
      std::to_string(room.clients));
}

}  // namespace cairn
