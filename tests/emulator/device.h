// What CUDA C has built in, for g++: the nvcc stand-in includes this before a kernel's text.
// Declarations and numbers only; blocks, barriers and warps are the driver's (driver/engine.h).
// Vector types, half and bfloat16 are CUDA's own headers, which g++ takes: alignment and rounding
// are those of a GPU.
#pragma once
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include <vector_functions.h>
#include <vector_types.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math_constants.h>

#include "driver/engine.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __managed__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __align__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
// One section, so that it can be filled with NaN before each block. `extern __shared__ T x[];` is
// rewritten by the nvcc stand-in to `T *x = emulator::dynamic_shared<T>();`.
#define __shared__ static __attribute__((section("emulator_shared")))
#define __CUDA_ARCH__ 900

namespace emulator {
inline Engine *engine;
template <class T>
inline T *dynamic_shared() {
  return reinterpret_cast<T *>(engine->dynamic_shared);
}
}  // namespace emulator

#define threadIdx (::emulator::engine->thread->index)
#define blockIdx (::emulator::engine->block)
#define blockDim (::emulator::engine->block_size)
#define gridDim (::emulator::engine->grid_size)
#define warpSize 32

// --- barriers, warps ---------------------------------------------------------------------------

#define __syncthreads() ((void)::emulator::engine->sync_block(::emulator::BlockOp::sync, 0, __LINE__))
#define __syncthreads_count(p) ::emulator::engine->sync_block(::emulator::BlockOp::count, (p) != 0, __LINE__)
#define __syncthreads_and(p) ::emulator::engine->sync_block(::emulator::BlockOp::all, (p) != 0, __LINE__)
#define __syncthreads_or(p) ::emulator::engine->sync_block(::emulator::BlockOp::any, (p) != 0, __LINE__)

namespace emulator {
inline int lane() { return engine->thread->linear % WARP; }

template <class T>
inline T warp(WarpOp op, unsigned mask, int source, T value, int line) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable<T>::value, "type of a warp operation");
  engine->sync_warp(op, mask, source, &value, sizeof value, line);
  return value;
}
// Where a lane reads; -1: its own, as it would reach over the end of its group of `width`.
inline int idx_source(int source, int width) { return (lane() & ~(width - 1)) + (source & (width - 1)); }
inline int down_source(unsigned d, int width) { return (lane() & (width - 1)) + int(d) < width ? lane() + int(d) : -1; }
inline int up_source(unsigned d, int width) { return (lane() & (width - 1)) >= int(d) ? lane() - int(d) : -1; }
inline int xor_source(int x, int width) {
  int s = lane() ^ x;
  return (s & ~(width - 1)) <= (lane() | (width - 1)) && s < int(WARP) ? s : -1;
}
inline unsigned ballot(unsigned mask, int predicate, int line) {
  return unsigned(warp(WarpOp::ballot, mask, -1, predicate != 0 ? 1 : 0, line));
}
template <class T>
inline unsigned match(unsigned mask, T value, int line) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "type of a match");
  uint64_t both = 0;
  memcpy(&both, &value, sizeof value);
  return unsigned(warp(WarpOp::match, mask, -1, both, line));
}
inline void sync_lanes(int line, unsigned mask = 0xffffffffu) { warp(WarpOp::sync, mask, -1, 0, line); }
}  // namespace emulator

#define EMULATOR_SHUFFLE(rule)                                                                \
  template <class T, class S>                                                                 \
  inline T emulator_shuffle_##rule(int line, unsigned mask, T value, S s, int width = 32) {   \
    return ::emulator::warp(::emulator::WarpOp::shuffle, mask, ::emulator::rule##_source(s, width), value, line); \
  }
EMULATOR_SHUFFLE(idx)
EMULATOR_SHUFFLE(down)
EMULATOR_SHUFFLE(up)
EMULATOR_SHUFFLE(xor)
// cuda_fp16.h declares overloads of these names for half; the templates above take those too
#define __shfl_sync(...) emulator_shuffle_idx(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) emulator_shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) emulator_shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) emulator_shuffle_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(m, p) ::emulator::ballot(m, p, __LINE__)
#define __any_sync(m, p) (::emulator::ballot(m, (p) != 0, __LINE__) != 0)
#define __all_sync(m, p) (::emulator::ballot(m, (p) == 0, __LINE__) == 0)
#define __syncwarp(...) ::emulator::sync_lanes(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __match_any_sync(m, v) ::emulator::match(m, v, __LINE__)
#define __activemask() 0xffffffffu
namespace emulator {
template <class T>
inline T reduce(WarpOp is_signed, WarpOp is_unsigned, unsigned mask, T value, int line) {
  return warp(std::is_signed<T>::value ? is_signed : is_unsigned, mask, -1, value, line);
}
}  // namespace emulator
#define EMULATOR_REDUCE(s, u, m, v) ::emulator::reduce(::emulator::WarpOp::s, ::emulator::WarpOp::u, m, v, __LINE__)
#define __reduce_add_sync(m, v) EMULATOR_REDUCE(add, add, m, v)
#define __reduce_min_sync(m, v) EMULATOR_REDUCE(min_signed, min_unsigned, m, v)
#define __reduce_max_sync(m, v) EMULATOR_REDUCE(max_signed, max_unsigned, m, v)
#define __reduce_and_sync(m, v) EMULATOR_REDUCE(all_bits, all_bits, m, v)
#define __reduce_or_sync(m, v) EMULATOR_REDUCE(any_bits, any_bits, m, v)
#define __reduce_xor_sync(m, v) EMULATOR_REDUCE(odd_bits, odd_bits, m, v)

// --- memory ------------------------------------------------------------------------------------

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
#define EMULATOR_LOAD(name) \
  template <class T>        \
  inline T name(const T *p) { return *p; }
#define EMULATOR_STORE(name)     \
  template <class T, class U>    \
  inline void name(T *p, U v) { *p = v; }
EMULATOR_LOAD(__ldg)
EMULATOR_LOAD(__ldca)
EMULATOR_LOAD(__ldcg)
EMULATOR_LOAD(__ldcs)
EMULATOR_LOAD(__ldlu)
EMULATOR_LOAD(__ldcv)
EMULATOR_STORE(__stwb)
EMULATOR_STORE(__stcg)
EMULATOR_STORE(__stcs)
EMULATOR_STORE(__stwt)

#define EMULATOR_ATOMIC(name, after)   \
  template <class T, class U>          \
  inline T name(T *p, U u) {           \
    T old = *p, v = static_cast<T>(u); \
    (void)v;                           \
    *p = after;                        \
    return old;                        \
  }
EMULATOR_ATOMIC(atomicAdd, static_cast<T>(old + v))
EMULATOR_ATOMIC(atomicSub, static_cast<T>(old - v))
EMULATOR_ATOMIC(atomicExch, v)
EMULATOR_ATOMIC(atomicMax, v > old ? v : old)
EMULATOR_ATOMIC(atomicMin, v < old ? v : old)
EMULATOR_ATOMIC(atomicAnd, old & v)
EMULATOR_ATOMIC(atomicOr, old | v)
EMULATOR_ATOMIC(atomicXor, old ^ v)
EMULATOR_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
EMULATOR_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1)
template <class T, class U, class V>
inline T atomicCAS(T *p, U expected, V v) {
  T old = *p;
  if (old == static_cast<T>(expected)) *p = static_cast<T>(v);
  return old;
}
template <class T> inline bool __isShared(const T *) { return false; }

// --- bits and integers -------------------------------------------------------------------------

namespace emulator {
template <class To, class From>
inline To bits(From v) {
  static_assert(sizeof(To) == sizeof(From), "bits of one size");
  To out;
  memcpy(&out, &v, sizeof out);
  return out;
}
}  // namespace emulator
inline int __float_as_int(float v) { return emulator::bits<int>(v); }
inline float __int_as_float(int v) { return emulator::bits<float>(v); }
inline unsigned __float_as_uint(float v) { return emulator::bits<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return emulator::bits<float>(v); }
inline long long __double_as_longlong(double v) { return emulator::bits<long long>(v); }
inline double __longlong_as_double(long long v) { return emulator::bits<double>(v); }
inline double __hiloint2double(int hi, int lo) { return emulator::bits<double>(uint64_t(unsigned(hi)) << 32 | unsigned(lo)); }
inline int __double2hiint(double v) { return int(emulator::bits<uint64_t>(v) >> 32); }
inline int __double2loint(double v) { return int(emulator::bits<uint64_t>(v)); }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(static_cast<unsigned long long>(v)) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (v >> i & 1u) << (31 - i);
  return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
inline int __mulhi(int a, int b) { return int(int64_t(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64); }
inline long long __mul64hi(long long a, long long b) { return static_cast<long long>(static_cast<__int128>(a) * b >> 64); }
inline int __mul24(int a, int b) { return (a << 8 >> 8) * (b << 8 >> 8); }
inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned s) { return unsigned((uint64_t(hi) << 32 | lo) << (s & 31) >> 32); }
inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned s) { return unsigned((uint64_t(hi) << 32 | lo) >> (s & 31)); }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
  uint64_t all = uint64_t(b) << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= unsigned(all >> 8 * (s >> 4 * i & 7) & 0xff) << 8 * i;
  return r;
}

// --- arithmetic --------------------------------------------------------------------------------

using std::max;
using std::min;
#define EMULATOR_MIXED(a, b, c)                                          \
  inline c min(a x, b y) { return std::min(static_cast<c>(x), static_cast<c>(y)); }                \
  inline c max(a x, b y) { return std::max(static_cast<c>(x), static_cast<c>(y)); }
EMULATOR_MIXED(int, unsigned, unsigned)
EMULATOR_MIXED(unsigned, int, unsigned)
EMULATOR_MIXED(long, long long, long long)
EMULATOR_MIXED(long long, long, long long)
EMULATOR_MIXED(int, long long, long long)
EMULATOR_MIXED(long long, int, long long)

inline float rsqrtf(float x) { return float(1.0 / sqrt(double(x))); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return float(pow(10.0, double(x))); }
inline float exp10f(float x) { return __exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float fdividef(float a, float b) { return a / b; }
inline float sinpif(float x) { return float(sin(M_PI * fmod(double(x), 2.0))); }
inline float cospif(float x) { return float(cos(M_PI * fmod(double(x), 2.0))); }
inline double sinpi(double x) { return double(sinl(3.14159265358979323846264338327950288L * fmodl(x, 2.0L))); }
inline double cospi(double x) { return double(cosl(3.14159265358979323846264338327950288L * fmodl(x, 2.0L))); }
inline float erfcxf(float x) { return float(exp(double(x) * x) * erfc(double(x))); }
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float normcdff(float x) { return float(normcdf(double(x))); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// Conversions saturate on a GPU, and NaN becomes 0.
namespace emulator {
template <class To>
inline To saturate(double v) {
  using Limits = std::numeric_limits<To>;
  if (v != v) return 0;
  if (v <= double(Limits::min())) return Limits::min();
  if (v >= double(Limits::max())) return Limits::max();
  return To(v);
}
}  // namespace emulator
#define EMULATOR_CONVERT(from, name, to, type)                                                    \
  inline to __##from##2##name##_rn(type v) { return emulator::saturate<to>(nearbyint(double(v))); } \
  inline to __##from##2##name##_rz(type v) { return emulator::saturate<to>(trunc(double(v))); }     \
  inline to __##from##2##name##_rd(type v) { return emulator::saturate<to>(floor(double(v))); }     \
  inline to __##from##2##name##_ru(type v) { return emulator::saturate<to>(ceil(double(v))); }
EMULATOR_CONVERT(float, int, int, float)
EMULATOR_CONVERT(float, uint, unsigned, float)
EMULATOR_CONVERT(float, ll, long long, float)
EMULATOR_CONVERT(float, ull, unsigned long long, float)
EMULATOR_CONVERT(double, int, int, double)
EMULATOR_CONVERT(double, uint, unsigned, double)
EMULATOR_CONVERT(double, ll, long long, double)
EMULATOR_CONVERT(double, ull, unsigned long long, double)
inline float __double2float_rn(double v) { return float(v); }
inline float __int2float_rn(int v) { return float(v); }
inline float __uint2float_rn(unsigned v) { return float(v); }
inline float __ll2float_rn(long long v) { return float(v); }
inline float __ull2float_rn(unsigned long long v) { return float(v); }
inline double __int2double_rn(int v) { return double(v); }
inline double __uint2double_rn(unsigned v) { return double(v); }
inline double __ll2double_rn(long long v) { return double(v); }
inline double __ull2double_rn(unsigned long long v) { return double(v); }

// --- the checks that g++ compiles in (-fsanitize=...), with the kernel's line ------------------
// Names and layouts are those of GCC's undefined-behaviour runtime, which is not linked.

extern "C" {
struct EmulatorSite {
  const char *file;
  uint32_t line, column;
};
[[noreturn]] inline __attribute__((cold, noinline, used)) void __ubsan_handle_type_mismatch_v1_abort(EmulatorSite *site, void *p) {
  char text[96];
  snprintf(text, sizeof text, p ? "misaligned access at %p" : "access at the null pointer", p);
  emulator::engine->fail(p ? 716 : 700, text, int(site->line));  // misaligned, illegal address
}
[[noreturn]] inline __attribute__((cold, noinline, used)) void __ubsan_handle_out_of_bounds_abort(EmulatorSite *site, size_t index) {
  char text[96];
  snprintf(text, sizeof text, "index %lld is out of the array's bounds", static_cast<long long>(index));
  emulator::engine->fail(700, text, int(site->line));
}
[[noreturn]] inline __attribute__((cold, noinline, used)) void __ubsan_handle_shift_out_of_bounds_abort(EmulatorSite *site, size_t, size_t by) {
  char text[96];
  snprintf(text, sizeof text, "shift by %lld, or of a negative number", static_cast<long long>(by));
  emulator::engine->fail(719, text, int(site->line));
}
[[noreturn]] inline __attribute__((cold, noinline, used)) void __ubsan_handle_divrem_overflow_abort(EmulatorSite *site, size_t, size_t) {
  emulator::engine->fail(719, "integer division by zero, or of the least integer by -1", int(site->line));
}
}

// --- the module's interface --------------------------------------------------------------------

extern "C" {
extern char __start_emulator_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_emulator_shared[] __attribute__((weak, visibility("hidden")));
}
namespace emulator {
template <class... A>
struct Signature {
  static constexpr unsigned count = sizeof...(A);
  // as nvcc lays parameters out: each aligned to its type
  static const Parameter *parameters() {
    static Parameter all[count + 1];
    unsigned at = 0, i = 0;
    ((at = (at + alignof(A) - 1) & ~unsigned(alignof(A) - 1),
      all[i++] = {at, unsigned(sizeof(A)), std::is_pointer<A>::value}, at += sizeof(A)), ...);
    return all;
  }
  template <class T>
  static T read(const char *at) {
    T value;
    memcpy(&value, at, sizeof value);
    return value;
  }
  template <size_t... I>
  static void call(void (*f)(A...), const char *arguments, std::index_sequence<I...>) {
    static const Parameter *p = parameters();
    (void)p, (void)arguments;
    f(read<A>(arguments + p[I].offset)...);
  }
};
template <class... A>
Signature<A...> signature_of(void (*)(A...));
template <auto f, class... A>
inline void call(void (*)(A...), const char *arguments) {
  Signature<A...>::call(f, arguments, std::index_sequence_for<A...>());
}
template <auto f>
inline void body(const char *arguments) { call<f>(f, arguments); }
}  // namespace emulator

// Written behind a kernel's text by the nvcc stand-in.
#define EMULATOR_KERNEL(name, max_threads)                                                    \
  {#name, ::emulator::body<&name>, unsigned(max_threads), decltype(::emulator::signature_of(&name))::count, \
   decltype(::emulator::signature_of(&name))::parameters()},
#define EMULATOR_MODULE(n, ...)                                                               \
  extern "C" __attribute__((visibility("default"))) const ::emulator::Module *emulator_module() { \
    static const ::emulator::Kernel kernels[] = {__VA_ARGS__};                                \
    static const ::emulator::Module module = {                                                \
        ::emulator::ABI, n, kernels, __start_emulator_shared, __stop_emulator_shared,         \
        [](::emulator::Engine *e) { ::emulator::engine = e; }};                               \
    return &module;                                                                           \
  }
