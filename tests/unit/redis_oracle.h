// SPDX-License-Identifier: BSD-3-Clause
//
// A redis-server to compare with, if the machine has one: started on a Unix socket in a fresh
// folder, without persistence, and ended with the object. Tests that need it pass quietly where
// ok() is false.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

class RedisOracle {
 public:
  RedisOracle();
  ~RedisOracle();
  RedisOracle(const RedisOracle&) = delete;
  RedisOracle& operator=(const RedisOracle&) = delete;

  bool ok() const { return context_ != nullptr; }

  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  using Reply = std::unique_ptr<redisReply, FreeReply>;
  Reply Call(const std::vector<std::string_view>& arguments);
  // Sends without reading the reply; Next() reads one. For long rows of commands.
  void Send(const std::vector<std::string_view>& arguments);
  Reply Next();

  // The reply as text: integers in decimal, nil as "(nil)", errors with their "ERR ...", arrays as
  // [a,b,c].
  std::string Text(const std::vector<std::string_view>& arguments);
  static std::string TextOf(const redisReply* reply);

 private:
  int pid_ = -1;
  std::string folder_;
  redisContext* context_ = nullptr;
};

}  // namespace cairn
