// Device and pinned memory: host pages that end (to the alignment) at a guard zone, filled with
// 0xff, which is NaN. Freed blocks stay for a while as pages that fault.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "driver.h"

namespace emulator {
namespace {

constexpr size_t GUARD = 64 << 20;
constexpr size_t QUARANTINE = 256;      // freed blocks that are remembered
constexpr unsigned char POISON = 0xff;
std::map<const char *, Block> blocks;   // by their first byte
std::map<const char *, Block> freed;
std::deque<const char *> freed_order;
std::map<const char *, size_t> registered;  // host memory pinned by cuMemHostRegister
size_t in_use[16];

size_t page() {
  static size_t n = sysconf(_SC_PAGESIZE);
  return n;
}
size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Every byte between the data and the pages' ends is still poison.
bool slack_intact(const Block &b) {
  auto intact = [](const char *from, const char *to) {
    return std::all_of(from, to, [](char c) { return static_cast<unsigned char>(c) == POISON; });
  };
  char *end = b.map + b.map_size - GUARD;
  return intact(b.map + page(), b.data) && intact(b.data + b.size, end);
}

CUresult allocate(void **out, size_t n, int device, bool mapped) {
  if (!n || !out) return CUDA_ERROR_INVALID_VALUE;
  if (device >= 0 && in_use[device] + n > size_t(settings.memory)) return CUDA_ERROR_OUT_OF_MEMORY;
  size_t rounded = up(n, settings.align);
  size_t size = page() + up(rounded, page()) + GUARD;
  void *m = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (m == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  char *map = static_cast<char *>(m), *end = map + size - GUARD;
  mprotect(map + page(), end - map - page(), PROT_READ | PROT_WRITE);
  memset(map + page(), POISON, end - map - page());
  char *data = end - rounded;
  blocks[data] = {map, size, n, data, device, mapped};
  if (device >= 0) in_use[device] += n;
  *out = data;
  return CUDA_SUCCESS;
}

void forget_freed(const char *data) {
  auto it = freed.find(data);
  if (it == freed.end()) return;
  munmap(it->second.map, it->second.map_size);
  freed.erase(it);
}

CUresult release(void *p, bool host) {
  auto it = blocks.find(static_cast<char *>(p));
  if (it == blocks.end() || (it->second.device < 0) != host) return CUDA_ERROR_INVALID_VALUE;
  drain_all();  // freeing waits for all work
  Block b = it->second;
  if (!slack_intact(b)) {
    char text[160];
    snprintf(text, sizeof text, "something was written beside the %zu bytes of a block (found when it was freed)", b.size);
    set_sticky(CUDA_ERROR_ILLEGAL_ADDRESS, text);
  }
  if (b.device >= 0) in_use[b.device] -= b.size;
  blocks.erase(it);
  mmap(b.map, b.map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  freed[b.data] = b;
  freed_order.push_back(b.data);
  if (freed_order.size() > QUARANTINE) {
    forget_freed(freed_order.front());
    freed_order.pop_front();
  }
  return ready();
}

const Block *find(const std::map<const char *, Block> &in, const char *p, size_t beyond) {
  auto it = in.upper_bound(p);
  if (it == in.begin()) return nullptr;
  const Block &b = std::prev(it)->second;
  return p <= b.data + b.size + beyond ? &b : nullptr;
}

}  // namespace

const Block *find_block(const void *address) { return find(blocks, static_cast<const char *>(address), 0); }

bool device_range(const void *p, size_t n, int device) {
  const Block *b = find_block(p);
  if (!b || static_cast<const char *>(p) + n > b->data + b->size) return false;
  return b->device < 0 ? b->mapped : b->device == device || peers(device, b->device);
}

bool is_pinned(const void *p) {
  const Block *b = find_block(p);
  if (b && b->device < 0) return true;
  auto it = registered.upper_bound(static_cast<const char *>(p));
  return it != registered.begin() && static_cast<const char *>(p) < std::prev(it)->first + std::prev(it)->second;
}

std::string describe_address(const void *address) {
  const char *p = static_cast<const char *>(address);
  char text[200];
  auto kind = [](const Block &b) { return b.device < 0 ? "pinned" : "device"; };
  if (const Block *b = find(freed, p, 0); b && p < b->data + b->size) {
    snprintf(text, sizeof text, "byte %td of a freed block of %zu bytes", p - b->data, b->size);
    return text;
  }
  const Block *below = find(blocks, p, GUARD);
  auto next = blocks.upper_bound(p);
  ptrdiff_t past = below ? p - below->data - ptrdiff_t(below->size) : PTRDIFF_MAX;
  ptrdiff_t before = next != blocks.end() ? next->second.data - p : PTRDIFF_MAX;
  if (past < 0)
    snprintf(text, sizeof text, "byte %td of a block of %zu bytes of device %d", p - below->data,
             below->size, below->device);
  else if (below && past <= before)
    snprintf(text, sizeof text, "%td bytes past the end of a %s block of %zu bytes", past,
             kind(*below), below->size);
  else if (before < ptrdiff_t(GUARD))
    snprintf(text, sizeof text, "%td bytes before a %s block of %zu bytes", before,
             kind(next->second), next->second.size);
  else
    snprintf(text, sizeof text, "the address %p, which is in no memory of the device", address);
  return text;
}

}  // namespace emulator

using namespace emulator;

API cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  ENTER_CONTEXT;
  *total = settings.memory;
  *free_bytes = settings.memory - std::min<size_t>(settings.memory, in_use[current_device()]);
  return CUDA_SUCCESS;
}
API cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
  ENTER_CONTEXT;
  if (CUresult rc = not_while_capturing()) return rc;
  return allocate(reinterpret_cast<void **>(p), n, current_device(), true);
}
API cuMemAllocPitch_v2(CUdeviceptr *p, size_t *pitch, size_t width, size_t height, unsigned) {
  *pitch = up(width, 256);
  return cuMemAlloc_v2(p, *pitch * height);
}
API cuMemAllocManaged(CUdeviceptr *p, size_t n, unsigned) {
  ENTER_CONTEXT;
  if (CUresult rc = not_while_capturing()) return rc;
  return allocate(reinterpret_cast<void **>(p), n, -1, true);
}
API cuMemFree_v2(CUdeviceptr p) {
  ENTER_CONTEXT;
  if (CUresult rc = not_while_capturing()) return rc;
  if (!p) return CUDA_SUCCESS;
  const Block *b = find_block(reinterpret_cast<void *>(p));
  return release(reinterpret_cast<void *>(p), b && b->device < 0);
}
API cuMemHostAlloc(void **p, size_t n, unsigned) {
  ENTER_CONTEXT;
  if (CUresult rc = not_while_capturing()) return rc;
  return allocate(p, n, -1, true);  // with unified addressing kernels may use all of it
}
API cuMemAllocHost_v2(void **p, size_t n) { return cuMemHostAlloc(p, n, 0); }
API cuMemFreeHost(void *p) {
  ENTER;
  return release(p, true);
}
API cuMemHostRegister_v2(void *p, size_t n, unsigned) {
  ENTER_CONTEXT;
  if (!p || !n) return CUDA_ERROR_INVALID_VALUE;
  if (is_pinned(p)) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  registered[static_cast<char *>(p)] = n;
  return CUDA_SUCCESS;
}
API cuMemHostUnregister(void *p) {
  ENTER;
  drain_all();
  return registered.erase(static_cast<char *>(p)) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
API cuMemHostGetDevicePointer_v2(CUdeviceptr *d, void *p, unsigned) {
  ENTER_CONTEXT;
  if (!is_pinned(p)) return CUDA_ERROR_INVALID_VALUE;
  *d = reinterpret_cast<CUdeviceptr>(p);
  return CUDA_SUCCESS;
}
API cuMemHostGetFlags(unsigned *flags, void *p) {
  ENTER_CONTEXT;
  *flags = 0;
  return is_pinned(p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
API cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr p) {
  ENTER_CONTEXT;
  const Block *b = find_block(reinterpret_cast<void *>(p));
  if (!b) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = reinterpret_cast<CUdeviceptr>(b->data);
  if (size) *size = b->size;
  return CUDA_SUCCESS;
}
API cuPointerGetAttribute(void *out, CUpointer_attribute attribute, CUdeviceptr p) {
  ENTER;
  const Block *b = find_block(reinterpret_cast<void *>(p));
  if (!b) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned *>(out) = b->device < 0 ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(out) = std::max(0, b->device); return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: *static_cast<CUdeviceptr *>(out) = p; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *static_cast<char **>(out) = b->data; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *static_cast<size_t *>(out) = b->size; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<unsigned *>(out) = 0; return CUDA_SUCCESS;
    default: return CUDA_ERROR_NOT_SUPPORTED;
  }
}

// --- copies ------------------------------------------------------------------------------------

namespace {

bool valid_side(CUdeviceptr p, size_t n, bool device) {
  if (device) return device_range(reinterpret_cast<void *>(p), n, current_device());
  const Block *b = find_block(reinterpret_cast<void *>(p));
  if (b && b->device >= 0) {
    complain("a device pointer was given as host memory: %s", describe_address(reinterpret_cast<void *>(p)).c_str());
    return false;
  }
  return p != 0;
}

// A copy on a stream, by the driver's rules: from pageable memory it has read the source when the
// call returns; to pageable memory it has ended then.
CUresult copy(CUdeviceptr to, bool to_device, CUdeviceptr from, bool from_device, size_t n,
              CUstream stream, bool async) {
  if (!n) return CUDA_SUCCESS;
  if (!valid_side(to, n, to_device) || !valid_side(from, n, from_device)) {
    complain("a copy of %zu bytes lies outside the memory it names", n);
    return CUDA_ERROR_INVALID_VALUE;
  }
  char *d = reinterpret_cast<char *>(to), *s = reinterpret_cast<char *>(from);
  auto work = [=] {
    // the blocks may be gone by the time that a recorded copy runs
    if ((to_device && !find_block(d)) || (from_device && !find_block(s)))
      set_sticky(CUDA_ERROR_ILLEGAL_ADDRESS, "a copy uses " + describe_address(find_block(d) ? s : d));
    else
      memmove(d, s, n);
  };
  if (!async) return run_now(work);
  auto on = stream_of(stream);
  if (!on) return CUDA_ERROR_INVALID_HANDLE;
  bool pageable = (!to_device && !is_pinned(d)) || (!from_device && !is_pinned(s));
  if (pageable && on->capture) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (pageable && !from_device) {
    auto staged = std::make_shared<std::string>(s, n);
    return submit(stream, [=] { memmove(d, staged->data(), n); });
  }
  if (CUresult rc = submit(stream, work)) return rc;
  return pageable ? cuStreamSynchronize(stream) : CUDA_SUCCESS;
}

template <class T>
CUresult fill(CUdeviceptr p, T value, size_t n, CUstream stream, bool async) {
  if (p % sizeof(T)) return CUDA_ERROR_INVALID_VALUE;
  T *d = reinterpret_cast<T *>(p);
  if (n && !device_range(d, n * sizeof(T), current_device())) return CUDA_ERROR_INVALID_VALUE;
  auto work = [=] { std::fill(d, d + n, value); };
  return async ? submit(stream, work) : run_now(work);
}

CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool async) {
  auto side = [](CUmemorytype type, const void *host, CUdeviceptr device) {
    return type == CU_MEMORYTYPE_HOST ? reinterpret_cast<CUdeviceptr>(host) : device;
  };
  CUdeviceptr to = side(c->dstMemoryType, c->dstHost, c->dstDevice);
  CUdeviceptr from = side(c->srcMemoryType, c->srcHost, c->srcDevice);
  if (c->dstMemoryType == CU_MEMORYTYPE_ARRAY || c->srcMemoryType == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  size_t to_pitch = c->dstPitch ? c->dstPitch : c->WidthInBytes;
  size_t from_pitch = c->srcPitch ? c->srcPitch : c->WidthInBytes;
  for (size_t y = 0; y < c->Height; y++) {
    CUresult rc = copy(to + (c->dstY + y) * to_pitch + c->dstXInBytes, c->dstMemoryType != CU_MEMORYTYPE_HOST,
                       from + (c->srcY + y) * from_pitch + c->srcXInBytes, c->srcMemoryType != CU_MEMORYTYPE_HOST,
                       c->WidthInBytes, stream, async);
    if (rc) return rc;
  }
  return CUDA_SUCCESS;
}

CUdeviceptr host(const void *p) { return reinterpret_cast<CUdeviceptr>(p); }
bool on_device(CUdeviceptr p) {
  const Block *b = find_block(reinterpret_cast<void *>(p));
  return b && b->device >= 0;
}

}  // namespace

API cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n) { ENTER_CONTEXT; return copy(d, true, host(s), false, n, nullptr, false); }
API cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n) { ENTER_CONTEXT; return copy(host(d), false, s, true, n, nullptr, false); }
API cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n) { ENTER_CONTEXT; return copy(d, true, s, true, n, nullptr, true); }
API cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *s, size_t n, CUstream st) { ENTER_CONTEXT; return copy(d, true, host(s), false, n, st, true); }
API cuMemcpyDtoHAsync_v2(void *d, CUdeviceptr s, size_t n, CUstream st) { ENTER_CONTEXT; return copy(host(d), false, s, true, n, st, true); }
API cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream st) { ENTER_CONTEXT; return copy(d, true, s, true, n, st, true); }
API cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n) { ENTER_CONTEXT; return copy(d, on_device(d), s, on_device(s), n, nullptr, false); }
API cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream st) { ENTER_CONTEXT; return copy(d, on_device(d), s, on_device(s), n, st, true); }
API cuMemcpy2D_v2(const CUDA_MEMCPY2D *c) { ENTER_CONTEXT; return copy_2d(c, nullptr, false); }
API cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *c) { ENTER_CONTEXT; return copy_2d(c, nullptr, false); }
API cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *c, CUstream st) { ENTER_CONTEXT; return copy_2d(c, st, true); }
API cuMemcpyPeerAsync(CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t n, CUstream st) {
  ENTER_CONTEXT;  // works with and without peer access
  if (!device_range(reinterpret_cast<void *>(d), n, device_of(reinterpret_cast<Context *>(dc))) ||
      !device_range(reinterpret_cast<void *>(s), n, device_of(reinterpret_cast<Context *>(sc))))
    return CUDA_ERROR_INVALID_VALUE;
  return submit(st, [=] { memmove(reinterpret_cast<void *>(d), reinterpret_cast<void *>(s), n); });
}
API cuMemcpyPeer(CUdeviceptr d, CUcontext dc, CUdeviceptr s, CUcontext sc, size_t n) {
  ENTER_CONTEXT;
  if (CUresult rc = cuMemcpyPeerAsync(d, dc, s, sc, n, nullptr)) return rc;
  return cuStreamSynchronize(nullptr);
}
API cuMemsetD8_v2(CUdeviceptr p, unsigned char v, size_t n) { ENTER_CONTEXT; return fill(p, v, n, nullptr, false); }
API cuMemsetD16_v2(CUdeviceptr p, unsigned short v, size_t n) { ENTER_CONTEXT; return fill(p, v, n, nullptr, false); }
API cuMemsetD32_v2(CUdeviceptr p, unsigned v, size_t n) { ENTER_CONTEXT; return fill(p, v, n, nullptr, false); }
API cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream s) { ENTER_CONTEXT; return fill(p, v, n, s, true); }
API cuMemsetD16Async(CUdeviceptr p, unsigned short v, size_t n, CUstream s) { ENTER_CONTEXT; return fill(p, v, n, s, true); }
API cuMemsetD32Async(CUdeviceptr p, unsigned v, size_t n, CUstream s) { ENTER_CONTEXT; return fill(p, v, n, s, true); }
