// What a compiled kernel and the engine that runs it know of each other.
// Included by device.h (g++ compiling a kernel) and by the driver. Plain data and function
// pointers: a module is a shared object that the driver opens and gives its engine to.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector_types.h>

namespace emulator {

inline constexpr unsigned ABI = 1;
inline constexpr unsigned WARP = 32;

struct Thread {
  uint3 index;      // threadIdx
  unsigned linear;  // its number in the block
};

enum class WarpOp { sync, shuffle, ballot, add, min_signed, max_signed, min_unsigned, max_unsigned,
                    all_bits, any_bits, odd_bits, match };
enum class BlockOp { sync, count, all, any };

struct Engine {
  Thread *thread;  // the one that runs
  uint3 block;     // blockIdx
  dim3 block_size, grid_size;
  char *dynamic_shared;
  size_t dynamic_shared_bytes;
  // All threads of the block meet; returns what `op` makes of their `value`s.
  int (*sync_block)(BlockOp op, int value, int line);
  // The lanes of `mask` meet; each leaves `size` bytes at `value` and gets its result there. For a
  // shuffle that is the value of lane `source` (negative: it keeps its own).
  void (*sync_warp)(WarpOp op, unsigned mask, int source, void *value, unsigned size, int line);
  // The kernel is ended with a CUresult and a reason.
  [[noreturn]] void (*fail)(int error, const char *reason, int line);
};

struct Parameter {
  unsigned offset, size;
  bool pointer;
};

struct Kernel {
  const char *name;
  void (*body)(const char *arguments);
  unsigned max_threads;  // __launch_bounds__, or 1024
  unsigned count;
  const Parameter *parameters;
};

struct Module {
  unsigned abi;
  unsigned count;
  const Kernel *kernels;
  char *shared_begin, *shared_end;  // all static shared memory of the module
  void (*bind)(Engine *);
};

using GetModule = const Module *(*)();
inline constexpr const char *GET_MODULE = "emulator_module";

}  // namespace emulator
