// Settings, devices, contexts and errors.
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "driver.h"

namespace emulator {

Settings settings;
Counts counts;
std::recursive_mutex lock;
thread_local std::vector<Context *> current;

namespace {

pid_t initialised_in;  // the process that called cuInit
CUresult sticky;
std::string sticky_reason;
Context primary[16];
int retained[16];
std::set<std::pair<int, int>> peer_access;  // (device, other): `device` may read `other`

struct Named {
  const char *name;
  long Settings::*value;
};
const Named SETTINGS[] = {{"order", &Settings::order},     {"seed", &Settings::seed},
                          {"lazy", &Settings::lazy},       {"devices", &Settings::devices},
                          {"memory", &Settings::memory},   {"align", &Settings::align},
                          {"multiprocessors", &Settings::multiprocessors}};

void read_environment() {
  for (const Named &s : SETTINGS) {
    std::string name = "EMULATOR_";
    for (const char *c = s.name; *c; c++) name += static_cast<char>(toupper(*c));
    if (const char *text = getenv(name.c_str())) settings.*s.value = strtol(text, nullptr, 0);
  }
  settings.devices = std::min(settings.devices, 16l);
}

bool known_device(CUdevice d) { return d >= 0 && d < settings.devices; }
Context *as_context(CUcontext c) { return reinterpret_cast<Context *>(c); }
CUcontext as_handle(Context *c) { return reinterpret_cast<CUcontext>(c); }

}  // namespace

void complain(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("emulator: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
}

CUresult ready() {
  if (!initialised_in) return CUDA_ERROR_NOT_INITIALIZED;
  if (initialised_in != getpid()) return CUDA_ERROR_NOT_INITIALIZED;  // a fork has no device
  return sticky;
}
CUresult ready_in_context() {
  if (CUresult rc = ready()) return rc;
  return current.empty() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}
void set_sticky(int error, const std::string &reason) {
  if (sticky) return;
  sticky = static_cast<CUresult>(error);
  sticky_reason = reason;
  complain("%s", reason.c_str());
}
int device_of(const Context *context) { return context->device; }
bool peers(int device, int other) { return peer_access.count({device, other}); }

}  // namespace emulator

using namespace emulator;

// --- for tests: not part of CUDA ---------------------------------------------------------------

SETTING int emulator_set(const char *name, long value) {
  std::lock_guard<std::recursive_mutex> guard(lock);
  for (const Named &s : SETTINGS)
    if (!strcmp(s.name, name)) return settings.*s.value = value, 0;
  return 1;
}
SETTING long emulator_get(const char *name) {
  if (!strcmp(name, "launches")) return counts.launches;
  if (!strcmp(name, "graph_launches")) return counts.graph_launches;
  if (!strcmp(name, "instantiated")) return counts.instantiated;
  for (const Named &s : SETTINGS)
    if (!strcmp(s.name, name)) return settings.*s.value;
  return -1;
}
// A fault cannot be undone on a GPU but by a new process; a test of faults goes on.
SETTING void emulator_recover(void) {
  std::lock_guard<std::recursive_mutex> guard(lock);
  sticky = CUDA_SUCCESS;
  drain_all();
  sticky = CUDA_SUCCESS;
  sticky_reason.clear();
}
SETTING void emulator_drain(void) {
  std::lock_guard<std::recursive_mutex> guard(lock);
  drain_all();
}

// --- errors ------------------------------------------------------------------------------------

namespace {
struct ErrorText {
  CUresult code;
  const char *name, *text;
};
#define NAMED(code, text) {code, #code, text}
const ErrorText ERRORS[] = {
    NAMED(CUDA_SUCCESS, "no error"),
    NAMED(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    NAMED(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    NAMED(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    NAMED(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    NAMED(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    NAMED(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    NAMED(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    NAMED(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    NAMED(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "peer access is not supported between these two devices"),
    NAMED(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    NAMED(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"),
    NAMED(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    NAMED(CUDA_ERROR_NOT_READY, "device not ready"),
    NAMED(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    NAMED(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"),
    NAMED(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "peer access is already enabled"),
    NAMED(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "peer access has not been enabled"),
    NAMED(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address"),
    NAMED(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered"),
    NAMED(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    NAMED(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "capture was not ended in the same stream as it began"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"),
    NAMED(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "operation would make the legacy stream depend on a capturing blocking stream"),
    NAMED(CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"),
};
}  // namespace

API cuGetErrorString(CUresult code, const char **out) {
  static thread_local std::string text;
  for (const ErrorText &e : ERRORS) {
    if (e.code != code) continue;
    text = e.text;
    if (code && code == sticky) text += " (" + sticky_reason + ")";
    *out = text.c_str();
    return CUDA_SUCCESS;
  }
  text = "CUDA error " + std::to_string(code);
  *out = text.c_str();
  return CUDA_SUCCESS;
}
API cuGetErrorName(CUresult code, const char **out) {
  for (const ErrorText &e : ERRORS)
    if (e.code == code) return *out = e.name, CUDA_SUCCESS;
  *out = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

// --- devices -----------------------------------------------------------------------------------

API cuInit(unsigned) {
  std::lock_guard<std::recursive_mutex> guard(lock);
  if (initialised_in) return ready();
  read_environment();
  if (settings.devices < 1) return CUDA_ERROR_NO_DEVICE;
  initialised_in = getpid();
  for (int d = 0; d < 16; d++) primary[d] = {d, true};
  return CUDA_SUCCESS;
}
API cuDriverGetVersion(int *v) { *v = CUDA_VERSION; return CUDA_SUCCESS; }
API cuDeviceGetCount(int *n) { ENTER; *n = static_cast<int>(settings.devices); return CUDA_SUCCESS; }
API cuDeviceGet(CUdevice *d, int i) { ENTER; *d = i; return known_device(i) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE; }
API cuDeviceGetName(char *s, int n, CUdevice) { ENTER; snprintf(s, n, "Emulated GPU (on the CPU)"); return CUDA_SUCCESS; }
API cuDeviceGetPCIBusId(char *s, int n, CUdevice d) { ENTER; snprintf(s, n, "0000:%02x:00.0", d); return CUDA_SUCCESS; }
API cuDeviceGetUuid_v2(CUuuid *u, CUdevice d) { ENTER; memset(u, d, sizeof *u); return CUDA_SUCCESS; }
API cuDeviceComputeCapability(int *major, int *minor, CUdevice) { ENTER; *major = 9; *minor = 0; return CUDA_SUCCESS; }
API cuDeviceTotalMem_v2(size_t *n, CUdevice) { ENTER; *n = settings.memory; return CUDA_SUCCESS; }
API cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d) {
  ENTER;
  if (!known_device(d)) return CUDA_ERROR_INVALID_DEVICE;
  switch (a) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *v = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *v = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *v = 2147483647; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *v = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *v = 49152; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *v = 232448; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *v = 233472; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *v = 65536; break;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: *v = 65536; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *v = WARP; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = static_cast<int>(settings.multiprocessors); break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *v = 2048; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = 0; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *v = 50 << 20; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *v = 1000000; break;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *v = 64; break;
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: *v = 1; break;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: *v = d; break;
    default: *v = 0;
  }
  return CUDA_SUCCESS;
}
API cuDeviceCanAccessPeer(int *can, CUdevice a, CUdevice b) {
  ENTER;
  if (!known_device(a) || !known_device(b)) return CUDA_ERROR_INVALID_DEVICE;
  *can = a != b;
  return CUDA_SUCCESS;
}
API cuCtxEnablePeerAccess(CUcontext other, unsigned) {
  ENTER_CONTEXT;
  if (as_context(other)->device == current_device()) return CUDA_ERROR_INVALID_DEVICE;
  bool added = peer_access.insert({current_device(), as_context(other)->device}).second;
  return added ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}
API cuCtxDisablePeerAccess(CUcontext other) {
  ENTER_CONTEXT;
  bool had = peer_access.erase({current_device(), as_context(other)->device});
  return had ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

// --- contexts ----------------------------------------------------------------------------------

API cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) {
  ENTER;
  if (!known_device(d)) return CUDA_ERROR_INVALID_DEVICE;
  retained[d]++;
  *c = as_handle(&primary[d]);
  return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(CUdevice d) {
  ENTER;
  if (!known_device(d) || !retained[d]) return CUDA_ERROR_INVALID_CONTEXT;
  retained[d]--;
  return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxGetState(CUdevice d, unsigned *flags, int *active) {
  ENTER;
  if (!known_device(d)) return CUDA_ERROR_INVALID_DEVICE;
  *flags = 0;
  *active = retained[d] > 0;
  return CUDA_SUCCESS;
}
API cuDevicePrimaryCtxSetFlags_v2(CUdevice, unsigned) { ENTER; return CUDA_SUCCESS; }
API cuCtxCreate_v4(CUcontext *c, CUctxCreateParams *, unsigned, CUdevice d) {
  ENTER;
  if (!known_device(d)) return CUDA_ERROR_INVALID_DEVICE;
  Context *made = new Context{d, false};
  current.push_back(made);
  *c = as_handle(made);
  return CUDA_SUCCESS;
}
API cuCtxDestroy_v2(CUcontext c) {
  ENTER;
  drain_all();
  current.erase(std::remove(current.begin(), current.end(), as_context(c)), current.end());
  if (!as_context(c)->primary) delete as_context(c);
  return CUDA_SUCCESS;
}
API cuCtxPushCurrent_v2(CUcontext c) { ENTER; current.push_back(as_context(c)); return CUDA_SUCCESS; }
API cuCtxPopCurrent_v2(CUcontext *c) {
  std::lock_guard<std::recursive_mutex> guard(lock);  // also after a fault: at exit
  if (current.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (c) *c = as_handle(current.back());
  current.pop_back();
  return CUDA_SUCCESS;
}
API cuCtxSetCurrent(CUcontext c) {
  ENTER;
  if (!current.empty()) current.pop_back();
  if (c) current.push_back(as_context(c));
  return CUDA_SUCCESS;
}
API cuCtxGetCurrent(CUcontext *c) { ENTER; *c = current.empty() ? nullptr : as_handle(current.back()); return CUDA_SUCCESS; }
API cuCtxAttach(CUcontext *c, unsigned) { ENTER_CONTEXT; *c = as_handle(current.back()); return CUDA_SUCCESS; }
API cuCtxDetach(CUcontext) { ENTER; return CUDA_SUCCESS; }
API cuCtxGetDevice(CUdevice *d) { ENTER_CONTEXT; *d = current_device(); return CUDA_SUCCESS; }
API cuCtxGetApiVersion(CUcontext, unsigned *v) { ENTER; *v = CUDA_VERSION; return CUDA_SUCCESS; }
API cuCtxGetFlags(unsigned *flags) { ENTER_CONTEXT; *flags = 0; return CUDA_SUCCESS; }
API cuCtxGetLimit(size_t *v, CUlimit) { ENTER_CONTEXT; *v = 1024; return CUDA_SUCCESS; }
API cuCtxSetLimit(CUlimit, size_t) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuCtxGetCacheConfig(CUfunc_cache *c) { ENTER_CONTEXT; *c = CU_FUNC_CACHE_PREFER_NONE; return CUDA_SUCCESS; }
API cuCtxSetCacheConfig(CUfunc_cache) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  ENTER_CONTEXT;
  if (least) *least = 0;
  if (greatest) *greatest = 0;
  return CUDA_SUCCESS;
}
API cuProfilerStart(void) { ENTER; return CUDA_SUCCESS; }
API cuProfilerStop(void) { ENTER; return CUDA_SUCCESS; }
