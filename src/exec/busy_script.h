// SPDX-License-Identifier: BSD-3-Clause
//
// BusyScript: the script or function that has run for longer than busy-reply-threshold, if there is
// one. Its worker puts it aside now and then (Executor::PutAside) and goes on serving; everything
// but what may be said to a busy server is answered BUSY; SCRIPT KILL asks for its end here.
//
// One that has written is killed only while its unit remembers what was there before
// (Unit::SetSavepoint): its changes are taken back. Whether it is to be killed and whether its
// changes are to last is decided here, once, under one mutex.
//
// There is one at most: it holds scope All. Thread rule: Begin, NoteWrite, NoteLasting and End by
// its worker, the rest from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cairn {

class BusyScript {
 public:
  struct Description {
    std::string name;                  // a script's SHA-1, a function's name
    std::vector<std::string> command;  // as it was called
    int64_t start_ms = 0;              // monotonic
    bool is_function = false;
  };

  // `wrote`: it has called a write command; `lasting`: that cannot be taken back.
  void Begin(Description description, bool wrote, bool lasting) {
    std::lock_guard guard(mutex_);
    function_.store(description.is_function);
    description_ = std::move(description);
    wrote_ = wrote;
    lasting_ = lasting;
    kill_.store(false);
    running_.store(true);
  }
  // It is about to call its first write command. False: it is to end, and must not.
  [[nodiscard]] bool NoteWrite() {
    std::lock_guard guard(mutex_);
    if (kill_.load()) return false;
    wrote_ = true;
    return true;
  }
  // What it changes can be taken back no longer. False: it has to be, because it is to end. Of a
  // script that is not busy nobody wants anything.
  [[nodiscard]] bool NoteLasting() {
    if (!running()) return true;
    std::lock_guard guard(mutex_);
    // One that has not written leaves nothing that anybody would miss.
    if (kill_.load() && wrote_) return false;
    lasting_ = true;
    return true;
  }
  void End() { running_.store(false); }

  bool running() const { return running_.load(); }
  bool kill_requested() const { return kill_.load(); }
  Description Describe() const {
    std::lock_guard guard(mutex_);
    return description_;
  }
  // What everybody else is told.
  std::string_view Error() const {
    return function_.load()
               ? "BUSY Redis is busy running a script. You can only call FUNCTION KILL "
                 "or SHUTDOWN NOSAVE."
               : "BUSY Redis is busy running a script. You can only call SCRIPT KILL "
                 "or SHUTDOWN NOSAVE.";
  }
  // Asks the script to end, for SCRIPT KILL or FUNCTION KILL. The error to reply, or nothing.
  std::string_view Kill(bool is_function) {
    if (!running()) return "NOTBUSY No scripts in execution right now.";
    std::lock_guard guard(mutex_);
    if (wrote_ && lasting_)
      return "UNKILLABLE Sorry the script already executed write commands against the dataset. You "
             "can either wait the script termination or kill the server in a hard way using the "
             "SHUTDOWN NOSAVE command.";
    if (function_.load() != is_function) return Error();
    kill_.store(true);
    return {};
  }

 private:
  std::atomic<bool> running_{false}, function_{false}, kill_{false};
  mutable std::mutex mutex_;
  bool wrote_ = false, lasting_ = false;
  Description description_;
};

}  // namespace cairn
