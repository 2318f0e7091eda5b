// The parts of the emulated driver, as they see each other.
#pragma once
#define __CUDA_API_VERSION_INTERNAL  // names with their version suffixes, as libraries bind them
#include <cuda.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine.h"

#define API extern "C" __attribute__((visibility("default"))) CUresult
#define SETTING extern "C" __attribute__((visibility("default")))

namespace emulator {

// --- settings (settings.cc): environment variables EMULATOR_*, and emulator_set() -------------
struct Settings {
  long order = 0;      // 0 forward, 1 backward, 2 shuffled: of blocks in a grid, threads in a block
  long seed = 1;       // of the shuffled order
  long lazy = 0;       // 1: a stream's work is done when somebody waits for it, not before
  long devices = 2;
  long memory = 4l << 30;  // bytes of each device
  long align = 256;        // of allocations; 16 brings the guard zone closer to the last element
  long multiprocessors = 4;
};
extern Settings settings;
struct Counts {
  long launches = 0;        // calls of cuLaunchKernel, captured or not
  long graph_launches = 0;  // calls of cuGraphLaunch
  long instantiated = 0;    // graphs made executable
};
extern Counts counts;

// --- the lock and the state of the process (context.cc) ----------------------------------------
extern std::recursive_mutex lock;
struct Context {
  int device;
  bool primary;
};
extern thread_local std::vector<Context *> current;

CUresult ready();  // initialised in this process, not forked, no sticky error
CUresult ready_in_context();
void set_sticky(int error, const std::string &reason);
int device_of(const Context *context);
inline int current_device() { return current.empty() ? -1 : current.back()->device; }
bool peers(int device, int other);  // whether `device` may read the memory of `other`
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Every entry point begins with one of these.
#define ENTER                                            \
  std::lock_guard<std::recursive_mutex> guard(lock);     \
  if (CUresult rc_ = emulator::ready()) return rc_
#define ENTER_CONTEXT                                    \
  std::lock_guard<std::recursive_mutex> guard(lock);     \
  if (CUresult rc_ = emulator::ready_in_context()) return rc_

// --- memory (memory.cc) ------------------------------------------------------------------------
struct Block {
  char *map;
  size_t map_size, size;
  char *data;
  int device;   // -1: host memory
  bool mapped;  // host memory that kernels may use
};
const Block *find_block(const void *address);              // live and holding the address
bool device_range(const void *p, size_t n, int device);    // n bytes that the device may touch
bool is_pinned(const void *p);
std::string describe_address(const void *p);

// --- streams (streams.cc) ----------------------------------------------------------------------
using Work = std::function<void()>;
struct Graph;
struct Stream {
  int device;
  bool blocking;       // ordered with the null stream
  bool null = false;
  unsigned long last = 0, done = 0;  // numbers of the newest op, and of the newest that has run
  struct Op {
    unsigned long number;
    Work work;
    std::vector<std::pair<std::shared_ptr<Stream>, unsigned long>> after;
  };
  std::deque<Op> queue;
  std::shared_ptr<Graph> capture;
};
struct Graph {
  std::vector<Work> work;
  std::vector<std::string> kinds;  // of the nodes: an update must not change them
  CUstreamCaptureMode mode;
  unsigned long owner_thread;
  std::weak_ptr<Stream> origin;
  std::vector<std::weak_ptr<Stream>> joined;
  CUresult broken = CUDA_SUCCESS;
};
std::shared_ptr<Stream> stream_of(CUstream handle);  // null if there is no such stream
CUresult submit(CUstream handle, Work work, const char *kind = "");  // run, queue or record
CUresult run_now(Work work);                         // on the null stream, and wait for it
void drain_all();
CUresult not_while_capturing();  // what may not be called during a capture of this thread

// --- kernels (blocks.cc) -----------------------------------------------------------------------
struct Launch {
  const Module *module;
  const Kernel *kernel;
  int device;
  dim3 grid, block;
  size_t dynamic_shared;
  std::string arguments;
};
void run_kernel(const Launch &launch);  // a fault becomes the sticky error

}  // namespace emulator
