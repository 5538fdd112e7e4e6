// SPDX-License-Identifier: BSD-3-Clause
#include "redis_oracle.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace cairn {

RedisOracle::RedisOracle() {
  char folder[] = "/tmp/cairn-oracle-XXXXXX";
  if (mkdtemp(folder) == nullptr) return;
  folder_ = folder;
  std::string socket = folder_ + "/s";
  const char* arguments[] = {"redis-server", "--port",       "0",  "--unixsocket", socket.c_str(),
                             "--save",       "",             "--appendonly", "no", "--dir",
                             folder,         "--enable-debug-command", "yes", nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  int error = posix_spawnp(&pid_, arguments[0], &actions, nullptr,
                           const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    pid_ = -1;
    return;
  }
  for (int attempt = 0; attempt < 6000 && context_ == nullptr; ++attempt) {
    usleep(10'000);
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return;
    }
    context_ = redisConnectUnix(socket.c_str());
    if (context_ != nullptr && context_->err != 0) {
      redisFree(context_);
      context_ = nullptr;
    }
  }
}

RedisOracle::~RedisOracle() {
  if (context_ != nullptr) redisFree(context_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (!folder_.empty()) {
    unlink((folder_ + "/s").c_str());
    rmdir(folder_.c_str());
  }
}

void RedisOracle::Send(const std::vector<std::string_view>& arguments) {
  std::vector<const char*> data;
  std::vector<size_t> lengths;
  for (std::string_view argument : arguments) {
    data.push_back(argument.data() ? argument.data() : "");
    lengths.push_back(argument.size());
  }
  redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), lengths.data());
}

RedisOracle::Reply RedisOracle::Next() {
  void* reply = nullptr;
  redisGetReply(context_, &reply);
  return Reply(static_cast<redisReply*>(reply));
}

RedisOracle::Reply RedisOracle::Call(const std::vector<std::string_view>& arguments) {
  Send(arguments);
  return Next();
}

std::string RedisOracle::TextOf(const redisReply* reply) {
  if (reply == nullptr) return "(gone)";
  switch (reply->type) {
    case REDIS_REPLY_INTEGER: return std::to_string(reply->integer);
    case REDIS_REPLY_NIL: return "(nil)";
    case REDIS_REPLY_ARRAY: {
      std::string text = "[";
      for (size_t i = 0; i < reply->elements; ++i) {
        if (i > 0) text += ",";
        text += TextOf(reply->element[i]);
      }
      return text + "]";
    }
    default: return std::string(reply->str, reply->len);
  }
}

std::string RedisOracle::Text(const std::vector<std::string_view>& arguments) {
  return TextOf(Call(arguments).get());
}

}  // namespace cairn
