// SPDX-License-Identifier: BSD-3-Clause
//
// Fiber: a second stack of a thread, for work that may have to be put aside anywhere inside it.
//
//   fiber.Start(body, arg)  runs body(arg) on the fiber's stack; true: it has ended
//     ... fiber.Suspend()   inside the body: Start (or Resume) returns false
//   fiber.Resume()          goes on behind Suspend; true: it has ended
//
// Entering and leaving costs a few nanoseconds and no system call. A body must not let an
// exception out. A fiber that is destroyed while suspended never ends: what lives on its stack is
// not destroyed.
//
// Thread rule: made, run and destroyed by one thread. x86-64 only, as is the build.
#pragma once

#include <cstddef>

namespace cairn {

class Fiber {
 public:
  using Body = void (*)(void* arg);

  // Pages of the stack are taken when they are touched; below it lies one that may not be.
  explicit Fiber(size_t stack_bytes);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool Start(Body body, void* arg);
  bool Resume();
  void Suspend();
  bool suspended() const { return suspended_; }

 private:
  static void Main(Fiber* fiber);
  bool Enter();
  void Leave();

  void* memory_;
  const size_t memory_bytes_;
  void* stack_pointer_ = nullptr;         // of the fiber, while it does not run
  void* caller_stack_pointer_ = nullptr;  // of the caller, while the fiber runs
  Body body_ = nullptr;
  void* arg_ = nullptr;
  bool suspended_ = false;
  // What the sanitizers want to know of stacks.
  void* sanitizer_fiber_ = nullptr;
  void* sanitizer_caller_ = nullptr;
  const void* caller_bottom_ = nullptr;
  size_t caller_bytes_ = 0;
};

}  // namespace cairn
