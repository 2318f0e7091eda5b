// Modules, functions and launches. A module's image is a shared object made by the nvcc stand-in.
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "driver.h"

namespace emulator {
namespace {

struct Loaded {
  void *library;
  const Module *module;
  std::vector<std::unique_ptr<struct Function>> functions;
};
struct Function {
  Loaded *loaded;
  const Kernel *kernel;
  int dynamic_limit;
};
constexpr int SHARED_DEFAULT = 49152, SHARED_MOST = 232448;
std::map<CUmodule, std::unique_ptr<Loaded>> modules;

Function *as_function(CUfunction f) { return reinterpret_cast<Function *>(f); }
size_t static_shared(const Function &f) { return f.loaded->module->shared_end - f.loaded->module->shared_begin; }

CUresult open(CUmodule *out, const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    complain("%s", dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  auto get = reinterpret_cast<GetModule>(dlsym(library, GET_MODULE));
  if (!get || get()->abi != ABI) {
    complain("%s is no module of this emulator", path);
    dlclose(library);
    return CUDA_ERROR_INVALID_IMAGE;
  }
  auto loaded = std::make_unique<Loaded>();
  loaded->library = library;
  loaded->module = get();
  *out = reinterpret_cast<CUmodule>(loaded.get());
  modules[*out] = std::move(loaded);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

API cuModuleLoad(CUmodule *out, const char *path) { ENTER_CONTEXT; return emulator::open(out, path); }
API cuModuleLoadData(CUmodule *out, const void *image) {
  ENTER_CONTEXT;
  auto *header = static_cast<const Elf64_Ehdr *>(image);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG)) return CUDA_ERROR_INVALID_IMAGE;
#if defined(__x86_64__)
  if (header->e_machine != EM_X86_64) {
    complain("this module is for a GPU; build it with the nvcc beside this driver");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
#endif
  // dlopen goes by the name, so it must be fresh each time
  size_t n = header->e_shoff + size_t(header->e_shnum) * header->e_shentsize;
  const char *folder = getenv("TMPDIR");
  std::string path = std::string(folder && *folder ? folder : "/tmp") + "/emulator-XXXXXX";
  int file = mkstemp(path.data());
  if (file < 0) return CUDA_ERROR_UNKNOWN;
  for (size_t at = 0; at < n;) {
    ssize_t w = write(file, static_cast<const char *>(image) + at, n - at);
    if (w <= 0) break;
    at += w;
  }
  close(file);
  CUresult rc = emulator::open(out, path.c_str());
  unlink(path.c_str());
  return rc;
}
API cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned n, CUjit_option *options, void **values) {
  for (unsigned i = 0; i < n; i++)  // there is no compiler here that would write a log
    if ((options[i] == CU_JIT_INFO_LOG_BUFFER || options[i] == CU_JIT_ERROR_LOG_BUFFER) && values[i])
      *static_cast<char *>(values[i]) = 0;
  return cuModuleLoadData(out, image);
}
API cuModuleUnload(CUmodule m) {
  ENTER;
  auto it = modules.find(m);
  if (it == modules.end()) return CUDA_ERROR_INVALID_HANDLE;
  drain_all();
  dlclose(it->second->library);
  modules.erase(it);
  return CUDA_SUCCESS;
}
API cuModuleGetFunction(CUfunction *out, CUmodule m, const char *name) {
  ENTER_CONTEXT;
  auto it = modules.find(m);
  if (it == modules.end()) return CUDA_ERROR_INVALID_HANDLE;
  Loaded &loaded = *it->second;
  for (unsigned i = 0; i < loaded.module->count; i++) {
    const Kernel &k = loaded.module->kernels[i];
    if (strcmp(k.name, name)) continue;
    loaded.functions.push_back(std::make_unique<Function>(Function{&loaded, &k, SHARED_DEFAULT}));
    *out = reinterpret_cast<CUfunction>(loaded.functions.back().get());
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}
API cuFuncGetAttribute(int *v, CUfunction_attribute a, CUfunction handle) {
  ENTER_CONTEXT;
  const Function &f = *as_function(handle);
  switch (a) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = static_cast<int>(f.kernel->max_threads); break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *v = f.dynamic_limit; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *v = static_cast<int>(static_shared(f)); break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *v = 32; break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    case CU_FUNC_ATTRIBUTE_PTX_VERSION: *v = 90; break;
    default: *v = 0;
  }
  return CUDA_SUCCESS;
}
API cuFuncSetAttribute(CUfunction handle, CUfunction_attribute a, int v) {
  ENTER_CONTEXT;
  if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
  if (v < 0 || v > SHARED_MOST) return CUDA_ERROR_INVALID_VALUE;
  as_function(handle)->dynamic_limit = v;
  return CUDA_SUCCESS;
}
API cuFuncSetCacheConfig(CUfunction, CUfunc_cache) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuFuncSetBlockShape(CUfunction, int, int, int) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuFuncSetSharedSize(CUfunction, unsigned) { ENTER_CONTEXT; return CUDA_SUCCESS; }
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction, int block, size_t dynamic) {
  ENTER_CONTEXT;
  if (block < 1 || block > 1024) return CUDA_ERROR_INVALID_VALUE;
  *n = std::min(2048 / block, 32);
  if (dynamic) *n = std::min<int>(*n, static_cast<int>(SHARED_MOST / dynamic));
  return CUDA_SUCCESS;
}

API cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned dynamic, CUstream stream, void **params, void **extra) {
  ENTER_CONTEXT;
  if (!handle) return CUDA_ERROR_INVALID_HANDLE;
  const Function &f = *as_function(handle);
  const Kernel &k = *f.kernel;
  auto refuse = [&](CUresult rc, const std::string &why) {
    complain("launch of %s: %s", k.name, why.c_str());
    return rc;
  };
  if (!gx || !gy || !gz || gx > 2147483647u || gy > 65535 || gz > 65535)
    return refuse(CUDA_ERROR_INVALID_VALUE, "a grid of " + std::to_string(gx) + " x " + std::to_string(gy) + " x " + std::to_string(gz) + " blocks");
  uint64_t threads = uint64_t(bx) * by * bz;
  if (!threads || bx > 1024 || by > 1024 || bz > 64 || threads > 1024)
    return refuse(CUDA_ERROR_INVALID_VALUE, "a block of " + std::to_string(threads) + " threads");
  if (threads > k.max_threads)
    return refuse(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "more threads than its __launch_bounds__");
  if (dynamic > unsigned(f.dynamic_limit))
    return refuse(CUDA_ERROR_INVALID_VALUE, std::to_string(dynamic) + " bytes of dynamic shared memory");

  size_t want = k.count ? k.parameters[k.count - 1].offset + k.parameters[k.count - 1].size : 0;
  if (want > 32764) return refuse(CUDA_ERROR_INVALID_VALUE, std::to_string(want) + " bytes of arguments");
  std::string arguments(want, '\0');
  if (extra) {
    const char *buffer = nullptr;
    size_t got = 0;
    for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = static_cast<const char *>(extra[i + 1]);
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE) got = *static_cast<size_t *>(extra[i + 1]);
    }
    if (got != want)
      return refuse(CUDA_ERROR_INVALID_VALUE, "it takes " + std::to_string(want) + " bytes of arguments and got " + std::to_string(got));
    memcpy(arguments.data(), buffer, want);
  } else {
    for (unsigned i = 0; i < k.count; i++)
      memcpy(arguments.data() + k.parameters[i].offset, params[i], k.parameters[i].size);
  }
  Launch launch{f.loaded->module, &k, current_device(), dim3{gx, gy, gz}, dim3{bx, by, bz}, dynamic, arguments};
  counts.launches++;
  return submit(stream, [launch] { run_kernel(launch); }, "kernel");
}
