// Fibers: a stack each, and a switch from one to the next.
// x86-64: the six registers that a callee keeps, and the stack pointer; 9 ns. Elsewhere: ucontext,
// which asks the kernel twice per switch for the signal mask.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

struct Fiber {
  static constexpr size_t STACK = 128 << 10;  // pages are taken when touched
  char *stack = nullptr;
#if defined(__x86_64__)
  void *sp = nullptr;
#else
  ucontext_t context;
#endif

  void make_stack() {
    size_t page = sysconf(_SC_PAGESIZE);
    void *m = mmap(nullptr, STACK + page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) abort();
    mprotect(m, page, PROT_NONE);  // an overflow of the stack faults
    stack = static_cast<char *>(m) + page;
  }
};

#if defined(__x86_64__)
extern "C" void emulator_switch(void **save, void *load);
__asm__(
    ".text\n.type emulator_switch,@function\nemulator_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size emulator_switch,.-emulator_switch\n");

inline void prepare(Fiber &f, void (*entry)()) {
  void **sp = reinterpret_cast<void **>(f.stack + Fiber::STACK);
  *--sp = nullptr;  // where entry would return to: it does not; and its frame is aligned by it
  *--sp = reinterpret_cast<void *>(entry);
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  f.sp = sp;
}
inline void switch_fiber(Fiber &from, Fiber &to) { emulator_switch(&from.sp, to.sp); }
#else
inline void prepare(Fiber &f, void (*entry)()) {
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack;
  f.context.uc_stack.ss_size = Fiber::STACK;
  f.context.uc_link = nullptr;
  makecontext(&f.context, entry, 0);
}
inline void switch_fiber(Fiber &from, Fiber &to) { swapcontext(&from.context, &to.context); }
#endif

}  // namespace emulator
