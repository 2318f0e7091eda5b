// What the emulated cuBLAS and cuBLASLt have in common: types of elements, and where a matrix may lie.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { F32 = 0, F64 = 1, F16 = 2, BF16 = 14 };
enum Compute { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70,
               COMPUTE_64F_PEDANTIC = 71, COMPUTE_32F_FAST_TF32 = 77 };

size_t width(int type) { return type == F64 ? 8 : type == F32 ? 4 : 2; }
bool known(int type) { return type == F32 || type == F64 || type == F16 || type == BF16; }

double load(const char *p, int type, size_t i) {
  switch (type) {
    case F32: return reinterpret_cast<const float *>(p)[i];
    case F64: return reinterpret_cast<const double *>(p)[i];
    case F16: return __half2float(reinterpret_cast<const __half *>(p)[i]);
    default: return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(p)[i]);
  }
}
void store(char *p, int type, size_t i, double v) {
  switch (type) {
    case F32: reinterpret_cast<float *>(p)[i] = static_cast<float>(v); return;
    case F64: reinterpret_cast<double *>(p)[i] = v; return;
    case F16: reinterpret_cast<__half *>(p)[i] = __double2half(v); return;
    default: reinterpret_cast<__nv_bfloat16 *>(p)[i] = __double2bfloat16(v);
  }
}

// Whether a matrix of this layout lies inside one block of device memory.
bool inside(const char *p, int type, int rows, int columns, int ld, int batch, long long stride) {
  if (!rows || !columns) return true;
  CUdeviceptr base;
  size_t size;
  if (cuMemGetAddressRange(&base, &size, reinterpret_cast<CUdeviceptr>(p))) return false;
  size_t last = size_t(columns - 1) * ld + rows + size_t(batch - 1) * stride;
  return reinterpret_cast<CUdeviceptr>(p) + last * width(type) <= base + size;
}

// Put work into a stream. A captured one is run again and again, so that it is never freed.
template <class Work> int enqueue(CUstream stream, const Work &work) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (stream && cuStreamIsCapturing(stream, &status)) return EXECUTION_FAILED;
  CUhostFn run = [](void *p) { static_cast<Work *>(p)->run(); };
  CUhostFn once = [](void *p) { auto *w = static_cast<Work *>(p); w->run(); delete w; };
  bool again = status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return cuLaunchHostFunc(stream, again ? run : once, new Work(work)) ? EXECUTION_FAILED : SUCCESS;
}

}  // namespace
