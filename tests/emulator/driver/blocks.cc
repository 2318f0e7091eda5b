// Runs a grid: one block after the other on this OS thread, a block's threads as fibers.
//
// A thread runs until it meets a barrier or ends. Where no thread meets a barrier they all run on
// one stack, without a switch. Everything is deterministic; the order is chosen by settings.
#include <setjmp.h>
#include <signal.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "driver.h"
#include "switch.h"

namespace emulator {
namespace {

enum class State { waiting_to_start, ready, at_block, at_warp, ended };

struct Lane : Thread {
  Fiber *fiber;
  State state;
  // what it waits for
  int line, source, vote;
  WarpOp op;
  BlockOp block_op;
  unsigned mask, size;
  alignas(16) unsigned char in[16], out[16];
};

constexpr unsigned MOST = 1024;
Engine engine;
Lane lanes[MOST];
Fiber fibers[MOST], home;
Fiber *spare[MOST];
unsigned spares;
unsigned threads, started, ended;
unsigned start_order[MOST];
unsigned arrived[MOST / WARP];  // by warp: lanes that wait in a warp operation
Lane *ready_queue[MOST];
unsigned ready_head, ready_count;
const Kernel *kernel;
const char *arguments;
sigjmp_buf escape;  // out of a fiber, when the kernel has failed
int fault_error;
std::string fault_reason;

Lane *running() { return static_cast<Lane *>(engine.thread); }

[[noreturn]] void fail(int error, const char *reason, int line) {
  char text[768];
  const Lane *t = running();
  int n = snprintf(text, sizeof text, "kernel %s, block (%u,%u,%u)", kernel->name, engine.block.x,
                   engine.block.y, engine.block.z);
  if (t) n += snprintf(text + n, sizeof text - n, ", thread (%u,%u,%u)", t->index.x, t->index.y, t->index.z);
  if (line) n += snprintf(text + n, sizeof text - n, ", line %d", line);
  snprintf(text + n, sizeof text - n, ": %s", reason);
  fault_error = error;
  fault_reason = text;
  siglongjmp(escape, 1);
}

void on_signal(int number, siginfo_t *info, void *) {
  if (number == SIGSEGV || number == SIGBUS) {
    std::string what = "access to " + describe_address(info->si_addr);
    fail(CUDA_ERROR_ILLEGAL_ADDRESS, what.c_str(), 0);
  }
  if (number == SIGFPE) fail(CUDA_ERROR_LAUNCH_FAILED, "integer division by zero, or of the least integer by -1", 0);
  fail(CUDA_ERROR_ILLEGAL_INSTRUCTION, "illegal instruction", 0);
}

// Handlers on a stack of their own, as a fiber's may be what has overflowed.
struct Handlers {
  static constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  struct sigaction before[4];
  stack_t stack_before;
  Handlers() {
    static char *stack = static_cast<char *>(malloc(64 << 10));
    stack_t own{};
    own.ss_sp = stack;
    own.ss_size = 64 << 10;
    sigaltstack(&own, &stack_before);
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < 4; i++) sigaction(SIGNALS[i], &action, &before[i]);
  }
  ~Handlers() {
    for (int i = 0; i < 4; i++) sigaction(SIGNALS[i], &before[i], nullptr);
    sigaltstack(&stack_before, nullptr);
  }
};

// --- threads of a block ------------------------------------------------------------------------

void make_ready(Lane *t) {
  t->state = State::ready;
  ready_queue[(ready_head + ready_count++) % MOST] = t;
}

Lane *next_to_start() {
  Lane *t = &lanes[start_order[started++]];
  t->state = State::ready;
  return t;
}

void thread_main();
void open_block_barrier();

// The thread to run next, when the running one cannot.
Lane *pick() {
  for (;;) {
    if (started < threads) {
      Lane *t = next_to_start();
      t->fiber = spare[--spares];
      prepare(*t->fiber, thread_main);
      return t;
    }
    if (ready_count) {
      Lane *t = ready_queue[ready_head];
      ready_head = (ready_head + 1) % MOST;
      ready_count--;
      return t;
    }
    open_block_barrier();
  }
}

void wait() {
  Lane *self = running();
  Lane *next = pick();
  if (next != self) {
    engine.thread = next;
    switch_fiber(*self->fiber, *next->fiber);
  }
}

void thread_main() {
  for (;;) {
    kernel->body(arguments);
    Lane *self = running();
    self->state = State::ended;
    ended++;
    if (started < threads) {  // the next thread on this very stack
      Lane *next = next_to_start();
      next->fiber = self->fiber;
      engine.thread = next;
      continue;
    }
    spare[spares++] = self->fiber;
    if (ended == threads) {
      engine.thread = nullptr;
      switch_fiber(*self->fiber, home);
    }
    Lane *next = pick();
    engine.thread = next;
    switch_fiber(*self->fiber, *next->fiber);
  }
}

// Nobody can run: the barrier opens, or it is said why it never would.
void open_block_barrier() {
  Lane *first = nullptr;
  int all = 1, any = 0, count = 0;
  for (unsigned i = 0; i < threads; i++) {
    Lane &t = lanes[i];
    if (t.state == State::at_warp) {
      engine.thread = &t;
      fail(CUDA_ERROR_LAUNCH_FAILED,
           "a lane named in the mask of this warp operation never arrives at it", t.line);
    }
    if (t.state != State::at_block) continue;
    if (!first) first = &t;
    if (t.line != first->line) {
      engine.thread = &t;
      char text[128];
      snprintf(text, sizeof text, "divergent barrier: other threads wait at the one of line %d", first->line);
      fail(CUDA_ERROR_LAUNCH_FAILED, text, t.line);
    }
    count += t.vote != 0;
    all &= t.vote != 0;
    any |= t.vote != 0;
  }
  if (ended) {
    engine.thread = first;
    fail(CUDA_ERROR_LAUNCH_FAILED, "barrier after some threads of the block have ended", first->line);
  }
  for (unsigned i = 0; i < threads; i++) {
    Lane &t = lanes[start_order[i]];
    t.vote = t.block_op == BlockOp::count ? count : t.block_op == BlockOp::all ? all : any;
    make_ready(&t);
  }
}

int sync_block(BlockOp op, int value, int line) {
  Lane *self = running();
  self->state = State::at_block;
  self->block_op = op;
  self->vote = value;
  self->line = line;
  wait();
  return self->vote;
}

// --- warps -------------------------------------------------------------------------------------

template <class T>
T reduce(WarpOp op, T a, T b) {
  switch (op) {
    case WarpOp::min_signed: case WarpOp::min_unsigned: return std::min(a, b);
    case WarpOp::max_signed: case WarpOp::max_unsigned: return std::max(a, b);
    case WarpOp::all_bits: return a & b;
    case WarpOp::any_bits: return a | b;
    case WarpOp::odd_bits: return a ^ b;
    default: return a + b;
  }
}

template <class T>
void reduce_lanes(Lane *warp, unsigned mask) {
  T result{};
  bool first = true;
  for (unsigned i = 0; i < WARP; i++) {
    if (!(mask >> i & 1)) continue;
    T value;
    memcpy(&value, warp[i].in, sizeof value);
    result = first ? value : reduce(warp[i].op, result, value);
    first = false;
  }
  for (unsigned i = 0; i < WARP; i++)
    if (mask >> i & 1) memcpy(warp[i].out, &result, sizeof result);
}

// All lanes of the mask have arrived: each gets its result.
void exchange(Lane *warp, unsigned mask, WarpOp op) {
  unsigned votes = 0;
  switch (op) {
    case WarpOp::sync: return;
    case WarpOp::shuffle:
      for (unsigned i = 0; i < WARP; i++) {
        if (!(mask >> i & 1)) continue;
        Lane &t = warp[i];
        unsigned from = t.source < 0 ? i : t.source;
        if (from >= WARP || !(mask >> from & 1)) {
          engine.thread = &t;
          fail(CUDA_ERROR_LAUNCH_FAILED, "shuffle reads a lane that does not take part", t.line);
        }
        memcpy(t.out, warp[from].in, t.size);
      }
      return;
    case WarpOp::ballot:
      for (unsigned i = 0; i < WARP; i++)
        if ((mask >> i & 1) && *reinterpret_cast<const int *>(warp[i].in)) votes |= 1u << i;
      for (unsigned i = 0; i < WARP; i++)
        if (mask >> i & 1) memcpy(warp[i].out, &votes, sizeof votes);
      return;
    case WarpOp::match:
      for (unsigned i = 0; i < WARP; i++) {
        if (!(mask >> i & 1)) continue;
        votes = 0;
        for (unsigned j = 0; j < WARP; j++)
          if ((mask >> j & 1) && !memcmp(warp[i].in, warp[j].in, warp[i].size)) votes |= 1u << j;
        memcpy(warp[i].out, &votes, sizeof votes);
      }
      return;
    case WarpOp::min_signed: case WarpOp::max_signed: return reduce_lanes<int>(warp, mask);
    default: return reduce_lanes<unsigned>(warp, mask);
  }
}

void sync_warp(WarpOp op, unsigned mask, int source, void *value, unsigned size, int line) {
  Lane *self = running();
  unsigned base = self->linear & ~(WARP - 1), lane = self->linear - base;
  Lane *warp = &lanes[base];
  if (!(mask >> lane & 1)) fail(CUDA_ERROR_LAUNCH_FAILED, "the caller is not in its own mask", line);
  if (base + WARP > threads) mask &= (1u << (threads - base)) - 1;  // lanes that do not exist
  self->state = State::at_warp;
  self->op = op;
  self->mask = mask;
  self->source = source;
  self->size = size;
  self->line = line;
  memcpy(self->in, value, size);
  unsigned &here = arrived[base / WARP];
  here |= 1u << lane;
  bool all = (here & mask) == mask;
  for (unsigned i = 0; i < WARP && all; i++)
    if (mask >> i & 1) all = warp[i].line == line && warp[i].mask == mask && warp[i].op == op;
  if (all) {
    here &= ~mask;
    exchange(warp, mask, op);
    self->state = State::ready;
    for (unsigned k = 0; k < WARP; k++) {
      unsigned i = settings.order == 1 ? WARP - 1 - k : k;
      if ((mask >> i & 1) && i != lane) make_ready(&warp[i]);
    }
  } else {
    wait();
  }
  memcpy(value, self->out, size);
}

// --- grids -------------------------------------------------------------------------------------

uint64_t random_state;
unsigned random_below(unsigned n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % n;
}

void order_threads() {
  for (unsigned i = 0; i < threads; i++)
    start_order[i] = settings.order == 1 ? threads - 1 - i : i;
  if (settings.order == 2)
    for (unsigned i = threads; i > 1; i--) std::swap(start_order[i - 1], start_order[random_below(i)]);
}

// Dynamic shared memory ends at a page that faults.
void prepare_dynamic_shared(size_t n) {
  constexpr size_t ROOM = 256 << 10;
  static char *room = nullptr;
  if (!room) {
    room = static_cast<char *>(mmap(nullptr, 2 * ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(room, ROOM, PROT_READ | PROT_WRITE);
  }
  engine.dynamic_shared_bytes = n;
  engine.dynamic_shared = room + ROOM - ((n + 15) & ~size_t(15));
}

void run_block(const Module *module) {
  started = ended = ready_head = ready_count = 0;
  spares = MOST;
  for (unsigned i = 0; i < MOST; i++) spare[i] = &fibers[MOST - 1 - i];
  for (unsigned i = 0; i < threads; i++) lanes[i].state = State::waiting_to_start;
  memset(arrived, 0, sizeof arrived);
  memset(module->shared_begin, 0xff, module->shared_end - module->shared_begin);
  size_t n = engine.dynamic_shared_bytes;
  memset(engine.dynamic_shared, 0xff, (n + 15) & ~size_t(15));
  Lane *first = pick();
  engine.thread = first;
  switch_fiber(home, *first->fiber);
  for (size_t i = n; i < ((n + 15) & ~size_t(15)); i++)
    if (engine.dynamic_shared[i] != char(0xff))
      fail(CUDA_ERROR_ILLEGAL_ADDRESS, "write past the end of dynamic shared memory", 0);
}

void run_grid(const Launch &launch) {
  kernel = launch.kernel;
  arguments = launch.arguments.data();
  engine.grid_size = launch.grid;
  engine.block_size = launch.block;
  dim3 b = launch.block, g = launch.grid;
  threads = b.x * b.y * b.z;
  random_state = settings.seed * 0x9E3779B97F4A7C15ull | 1;
  order_threads();
  for (unsigned i = 0; i < threads; i++) {
    lanes[i].linear = i;
    lanes[i].index = {i % b.x, i / b.x % b.y, i / (b.x * b.y)};
  }
  prepare_dynamic_shared(launch.dynamic_shared);
  uint64_t blocks = uint64_t(g.x) * g.y * g.z;
  uint64_t turn = settings.order == 2 ? random_below(std::min<uint64_t>(blocks, ~0u)) : 0;
  for (uint64_t i = 0; i < blocks; i++) {
    uint64_t k = settings.order == 0 ? i : settings.order == 1 ? blocks - 1 - i : (i + turn) % blocks;
    engine.block = {unsigned(k % g.x), unsigned(k / g.x % g.y), unsigned(k / g.x / g.y)};
    run_block(launch.module);
  }
}

// What kernels are handed must be memory of their device: a host pointer would work here only.
void check_pointers(const Launch &launch) {
  for (unsigned i = 0; i < launch.kernel->count; i++) {
    const Parameter &p = launch.kernel->parameters[i];
    if (!p.pointer) continue;
    char *address;
    memcpy(&address, launch.arguments.data() + p.offset, sizeof address);
    if (!address || device_range(address, 0, launch.device)) continue;
    char text[256];
    snprintf(text, sizeof text, "parameter %u is %s", i, describe_address(address).c_str());
    fail(CUDA_ERROR_ILLEGAL_ADDRESS, text, 0);
  }
}

}  // namespace

void run_kernel(const Launch &launch) {
  static bool made = false;
  if (!made) {
    for (Fiber &f : fibers) f.make_stack();
    made = true;
  }
  engine.sync_block = sync_block;
  engine.sync_warp = sync_warp;
  engine.fail = fail;
  engine.thread = nullptr;
  engine.block = {0, 0, 0};
  kernel = launch.kernel;
  launch.module->bind(&engine);
  Handlers handlers;
  if (sigsetjmp(escape, 1) == 0) {
    check_pointers(launch);
    run_grid(launch);
  } else {
    set_sticky(fault_error, fault_reason);
  }
}

}  // namespace emulator
