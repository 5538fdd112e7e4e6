// SPDX-License-Identifier: BSD-3-Clause
#include "base/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "base/check.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace cairn {
namespace {

// Saves the registers that a call must preserve on this stack, puts its pointer into *save, and
// goes on with the registers and the return address that stand on the other one.
__attribute__((naked, noinline)) void SwitchStack(void** /*save*/, void* /*load*/) {
  asm volatile(
      "pushq %rbp\n"
      "pushq %rbx\n"
      "pushq %r12\n"
      "pushq %r13\n"
      "pushq %r14\n"
      "pushq %r15\n"
      "movq %rsp, (%rdi)\n"
      "movq %rsi, %rsp\n"
      "popq %r15\n"
      "popq %r14\n"
      "popq %r13\n"
      "popq %r12\n"
      "popq %rbx\n"
      "popq %rbp\n"
      "ret\n");
}

// The first "return address" of a fiber: calls r13(r12), which never returns.
__attribute__((naked, noinline)) void FirstEntry() {
  asm volatile(
      "movq %r12, %rdi\n"
      "callq *%r13\n"
      "ud2\n");
}

// The address sanitizer's frames are several times as large.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kFrameFactor = 8;
#else
constexpr size_t kFrameFactor = 1;
#endif

size_t PageBytes() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Fiber::Fiber(size_t stack_bytes) : memory_bytes_(stack_bytes * kFrameFactor + PageBytes()) {
  memory_ = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  CHECK(memory_ != MAP_FAILED);
  CHECK(mprotect(memory_, PageBytes(), PROT_NONE) == 0);
  // As SwitchStack leaves a stack: r15 r14 r13 r12 rbx rbp, return address. The top is a multiple
  // of 16, as the ABI wants it before a call.
  auto* top = reinterpret_cast<uint64_t*>(static_cast<char*>(memory_) + memory_bytes_);
  top[-1] = reinterpret_cast<uint64_t>(&FirstEntry);
  top[-2] = top[-3] = 0;
  top[-4] = reinterpret_cast<uint64_t>(this);
  top[-5] = reinterpret_cast<uint64_t>(&Main);
  top[-6] = top[-7] = 0;
  stack_pointer_ = top - 7;
#ifdef __SANITIZE_THREAD__
  sanitizer_fiber_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#ifdef __SANITIZE_THREAD__
  __tsan_destroy_fiber(sanitizer_fiber_);
#endif
  munmap(memory_, memory_bytes_);
}

bool Fiber::Start(Body body, void* arg) {
  DCHECK(!suspended_);
  body_ = body;
  arg_ = arg;
  return Enter();
}

bool Fiber::Resume() {
  DCHECK(suspended_);
  suspended_ = false;
  return Enter();
}

void Fiber::Suspend() {
  suspended_ = true;
  Leave();
}

bool Fiber::Enter() {
#ifdef __SANITIZE_THREAD__
  sanitizer_caller_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(sanitizer_fiber_, 0);
#endif
#ifdef __SANITIZE_ADDRESS__
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, static_cast<char*>(memory_) + PageBytes(),
                                 memory_bytes_ - PageBytes());
#endif
  SwitchStack(&caller_stack_pointer_, stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  return !suspended_;
}

void Fiber::Leave() {
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(sanitizer_caller_, 0);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&sanitizer_fiber_, caller_bottom_, caller_bytes_);
#endif
  SwitchStack(&stack_pointer_, caller_stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(sanitizer_fiber_, &caller_bottom_, &caller_bytes_);
#endif
}

void Fiber::Main(Fiber* fiber) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &fiber->caller_bottom_, &fiber->caller_bytes_);
#endif
  for (;;) {
    fiber->body_(fiber->arg_);
    fiber->Leave();
  }
}

}  // namespace cairn
