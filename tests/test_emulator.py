"""The emulated GPU itself: right kernels give right numbers, and planted bugs are caught."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import emulator
import numpy as np
import pycuda.autoprimaryctx
import pycuda.driver as drv
import pytest

DRIVER = emulator.Driver()
ORDERS = (0, 1, 2)


@pytest.fixture(autouse=True)
def settings():
    """Each test begins and ends with a device in order and the usual settings."""
    before = {name: DRIVER.get(name) for name in ("order", "seed", "lazy", "memory", "align")}
    yield
    DRIVER.recover()
    DRIVER.set(**before)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Kernels by text, each compiled once."""
    folder = tmp_path_factory.mktemp("kernels")
    known: dict[str, bytes] = {}

    def compile_(text: str) -> bytes:
        if text not in known:
            source = folder / f"k{len(known)}.cu"
            source.write_text(text)
            command = [str(emulator.NVCC), "-cubin", "-arch=sm_90", "-std=c++17", "-O3"]
            command += ["-fmad=false", "--Werror", "all-warnings"]
            command += ["-o", f"{source}bin", str(source)]
            subprocess.run(command, check=True)
            known[text] = Path(f"{source}bin").read_bytes()
        return known[text]

    return compile_


class Run:
    """Launches one kernel `k` on arrays; device memory is freed, and so checked, at the end."""

    def __init__(self, image: bytes, block: Any = 64, grid: Any = 1, shared: int = 0):
        self.function = drv.module_from_buffer(image).get_function("k")
        self.how = {"block": _three(block), "grid": _three(grid), "shared": shared}

    def __call__(self, out: np.ndarray, *arguments: Any) -> np.ndarray:
        """`out` is the first argument, copied there and back."""
        given = [out, *arguments]
        on_device = [drv.to_device(a) if isinstance(a, np.ndarray) else a for a in given]
        self.function(*on_device, **self.how)
        drv.Context.synchronize()
        result = drv.from_device(on_device[0], out.shape, out.dtype)
        for a, before in zip(on_device, given):
            if a is not before:
                a.free()
        return result


def _three(n: Any) -> tuple[int, int, int]:
    sizes = (n,) if isinstance(n, int) else tuple(n)
    return (*sizes, *(1,) * (3 - len(sizes)))


def f32(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


# --- right kernels -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_elementwise_with_vectors(compiled, order):
    text = """
    extern "C" __global__ void __launch_bounds__(128) k(
        float *__restrict__ y, const float *__restrict__ x, float scale, long long n) {
      long long i = (blockIdx.x * 128ll + threadIdx.x) * 4;
      if (i + 3 < n) {
        float4 v = __ldcs(reinterpret_cast<const float4 *>(x + i));
        v.x = expf(v.x) * scale; v.y = expf(v.y) * scale;
        v.z = expf(v.z) * scale; v.w = expf(v.w) * scale;
        __stcs(reinterpret_cast<float4 *>(y + i), v);
      } else {
        for (; i < n; i++) y[i] = expf(__ldg(x + i)) * scale;
      }
    }"""
    DRIVER.set(order=order)
    x = f32(1003)
    got = Run(compiled(text), 128, 2)(np.zeros_like(x), x, np.float32(0.5), np.int64(1003))
    np.testing.assert_allclose(got, np.exp(x) * np.float32(0.5), rtol=3e-7)


ROW_SUM = """
extern "C" __global__ void k(float *out, const float *x, int columns) {
  __shared__ float part[8];
  float s = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) s += x[blockIdx.x * columns + i];
  #pragma unroll
  for (int d = 16; d; d >>= 1) s += __shfl_xor_sync(0xffffffffu, s, d);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
  __syncthreads();
  if (threadIdx.x < 32) {
    s = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0.0f;
    for (int d = 4; d; d >>= 1) s += __shfl_down_sync(0xffffffffu, s, d);
    if (threadIdx.x == 0) out[blockIdx.x] = s;
  }
}"""


def test_reduction_by_shared_memory_and_shuffles(compiled):
    x = f32(5 * 1000).reshape(5, 1000)
    run = Run(compiled(ROW_SUM), 256, 5)
    results = []
    for order in ORDERS:
        DRIVER.set(order=order)
        results.append(run(np.zeros(5, np.float32), x, np.int32(1000)))
    np.testing.assert_allclose(results[0], x.sum(1, dtype=np.float64), rtol=1e-5)
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_sum_in_two_stages_with_a_ticket(compiled):
    text = """
    extern "C" __global__ void k(float *out, const float *x, float *partial,
                                 unsigned *ticket, int n) {
      extern __shared__ float s[];
      __shared__ bool last;
      float v = 0;
      for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        v += x[i];
      s[threadIdx.x] = v;
      for (int d = blockDim.x / 2; d; d >>= 1) {
        __syncthreads();
        if (threadIdx.x < d) s[threadIdx.x] += s[threadIdx.x + d];
      }
      if (threadIdx.x == 0) {
        partial[blockIdx.x] = s[0];
        __threadfence();
        last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
      }
      __syncthreads();
      if (last && threadIdx.x == 0) {
        float t = 0;
        for (int b = 0; b < gridDim.x; b++) t += partial[b];
        *out = t;
      }
    }"""
    x = f32(10_000)
    for order in ORDERS:
        DRIVER.set(order=order)
        run = Run(compiled(text), 128, 7, shared=128 * 4)
        arguments = (x, np.empty(7, np.float32), np.zeros(1, np.uint32), np.int32(x.size))
        got = run(np.zeros(1, np.float32), *arguments)
        np.testing.assert_allclose(got, x.sum(dtype=np.float64), rtol=1e-5)


def test_transpose_by_tiles(compiled):
    text = """
    extern "C" __global__ void k(float *y, const float *x, int rows, int columns) {
      __shared__ float tile[32][33];
      int c = blockIdx.x * 32 + threadIdx.x, r = blockIdx.y * 32 + threadIdx.y;
      for (int j = 0; j < 32; j += 8)
        if (c < columns && r + j < rows)
          tile[threadIdx.y + j][threadIdx.x] = x[(r + j) * columns + c];
      __syncthreads();
      c = blockIdx.y * 32 + threadIdx.x, r = blockIdx.x * 32 + threadIdx.y;
      for (int j = 0; j < 32; j += 8)
        if (c < rows && r + j < columns) y[(r + j) * rows + c] = tile[threadIdx.x][threadIdx.y + j];
    }"""
    x = f32(70 * 45).reshape(70, 45)
    for order in ORDERS:
        DRIVER.set(order=order)
        run = Run(compiled(text), (32, 8), (2, 3))
        assert (run(np.zeros((45, 70), np.float32), x, np.int32(70), np.int32(45)) == x.T).all()


def test_half_and_bfloat16_round_as_a_gpu(compiled):
    text = """
    #include <cuda_fp16.h>
    #include <cuda_bf16.h>
    extern "C" __global__ void k(__half *h, __nv_bfloat16 *b, const float *x) {
      h[threadIdx.x] = __float2half_rn(x[threadIdx.x]);
      b[threadIdx.x] = __float2bfloat16_rn(__half2float(h[threadIdx.x]) + x[threadIdx.x]);
    }"""
    x = f32(64) * 100
    device = drv.to_device(np.zeros(64, np.uint16))
    half = Run(compiled(text), 64)(np.zeros(64, np.float16), device, x)
    assert (half == x.astype(np.float16)).all()
    bits = (half.astype(np.float32) + x).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    assert (drv.from_device(device, 64, np.uint16) == rounded).all()


def test_warp_operations(compiled):
    text = """
    extern "C" __global__ void k(unsigned *out) {
      unsigned i = threadIdx.x, full = 0xffffffffu;
      unsigned *o = out + i * 10;
      o[0] = __ballot_sync(full, i % 3 == 0);
      o[1] = __any_sync(full, i == 7) * 2 + __all_sync(full, i < 32);
      o[2] = __shfl_up_sync(full, i, 1);
      o[3] = __shfl_sync(full, i, 3, 8);
      o[4] = __shfl_down_sync(full, i, 2, 16);
      o[5] = __reduce_add_sync(full, i);
      o[6] = (unsigned)__reduce_min_sync(full, 5 - (int)i);
      o[7] = __match_any_sync(full, i / 16);
      o[8] = __syncthreads_count(i > 20);
      o[9] = i < 16 ? __shfl_xor_sync(0xffffu, i, 1) : __shfl_xor_sync(0xffff0000u, i, 2);
    }"""
    out = Run(compiled(text), 32)(np.zeros((32, 10), np.uint32))
    i = np.arange(32)
    assert (out[:, 0] == sum(1 << int(j) for j in i if j % 3 == 0)).all()
    assert (out[:, 1] == 3).all()
    assert (out[:, 2] == np.maximum(i - 1, 0)).all()
    assert (out[:, 3] == i // 8 * 8 + 3).all()
    assert (out[:, 4] == np.where(i % 16 + 2 < 16, i + 2, i)).all()
    assert (out[:, 5] == 496).all()
    assert (out[:, 6].astype(np.int32) == -26).all()
    assert (out[:, 7] == np.where(i < 16, 0xFFFF, 0xFFFF0000)).all()
    assert (out[:, 8] == 11).all()
    assert (out[:, 9] == np.where(i < 16, i ^ 1, i ^ 2)).all()


def test_integers_and_conversions(compiled):
    text = """
    extern "C" __global__ void k(long long *o) {
      o[0] = __umulhi(0xfedcba98u, 0x12345678u);
      o[1] = __popc(0xf0f0u) + __clz(1) + __ffs(8);
      o[2] = __float2int_rn(2.5f) + __float2int_rz(-2.5f);
      o[3] = __float2int_rz(1e20f);
      o[4] = __double2ll_rn(-1e300);
      o[5] = __float_as_int(1.0f);
      o[6] = __brev(1u);
      o[7] = __byte_perm(0x33221100u, 0x77665544u, 0x7520u);
      o[8] = max(3, 5) + min(2u, 7u);
      o[9] = __float2uint_rz(-3.0f);
    }"""
    got = Run(compiled(text), 1)(np.zeros(10, np.int64))
    want = [0xFEDCBA98 * 0x12345678 >> 32, 8 + 31 + 4, 0, 2**31 - 1, -(2**63), 0x3F800000]
    assert got.tolist() == [*want, 2**31, 0x77552200, 7, 0]


# --- planted bugs ------------------------------------------------------------------------------

FAULTS = {
    "divergent barrier": (
        "if (threadIdx.x < 32) __syncthreads();\nelse { p[1] = 2;\n__syncthreads(); }",
        "divergent barrier",
    ),
    "barrier after some threads have ended": (
        "if (threadIdx.x > 40) return;\n__syncthreads(); p[threadIdx.x] = 1;",
        "barrier after some threads of the block have ended",
    ),
    "shuffle with lanes gone": (
        "if (threadIdx.x > 40) return;\n"
        "p[threadIdx.x] += __shfl_xor_sync(0xffffffffu, p[threadIdx.x], 1);",
        "never arrives",
    ),
    "shuffle outside its own mask": (
        "p[threadIdx.x] += __shfl_xor_sync(0xffffu, p[threadIdx.x], 1);",
        "not in its own mask",
    ),
    "shuffle from a lane that is not in the mask": (
        "if (threadIdx.x < 16) p[threadIdx.x] = __shfl_sync(0xffffu, p[threadIdx.x], 20);",
        "lane that does not take part",
    ),
    "half a warp at another shuffle": (
        "float v;\nif (threadIdx.x % 32 < 16) v = __shfl_sync(~0u, 1.0f, 0);\n"
        "else v = __shfl_sync(~0u, 2.0f, 0);\np[threadIdx.x] = v;",
        "never arrives",
    ),
    "store past the end": (
        "p[threadIdx.x + 1] = 1;",
        "0 bytes past the end of a device block of 256",
    ),
    "read past the end": ("p[threadIdx.x] = p[threadIdx.x + 4096];", "16128 bytes past the end"),
    "read before the start": (
        "p[threadIdx.x] = p[(int)threadIdx.x - 2048];",
        "before a device block",
    ),
    "misaligned vector": (
        "float4 v = *(float4 *)(p + 1); p[threadIdx.x] = v.x;",
        "misaligned access",
    ),
    "null pointer": ("float *q = nullptr; p[0] = q[threadIdx.x];", "null pointer"),
    "index out of shared memory": (
        "__shared__ float s[64]; s[threadIdx.x + 1] = p[threadIdx.x];\n"
        "__syncthreads(); p[threadIdx.x] = s[threadIdx.x];",
        "index 64 is out of the array's bounds",
    ),
    "past the end of dynamic shared memory": (
        "extern __shared__ float s[]; s[threadIdx.x + 1] = 1; p[threadIdx.x] = s[threadIdx.x];",
        "access to",
    ),
    "division by zero": ("int z = (int)p[0]; p[threadIdx.x] = 7 / z;", "division by zero"),
    "shift too far": ("int z = (int)p[63]; p[threadIdx.x] = 1 << z;", "shift by"),
    "endless recursion": (
        "struct R { static float f(float x, volatile float *q) { volatile float a[64]; a[0] = x; "
        "return f(x + 1, q) + a[0] + q[0]; } }; p[0] = R::f(1, p);",
        "access to",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_reported_with_kernel_and_thread(compiled, name):
    body, expected = FAULTS[name]
    text = f'extern "C" __global__ void k(float *p) {{\n{body}\n}}'
    x = np.arange(64, dtype=np.float32)
    run = Run(compiled(text), 64, shared=256)
    with pytest.raises(drv.Error) as caught:
        run(x)
    said = str(caught.value)
    assert expected in said and "kernel k, block (0,0,0), thread (" in said
    with pytest.raises(drv.Error):  # as on a GPU: nothing works any more
        drv.mem_alloc(16)


SILENT = {
    "missing barrier": (
        "__shared__ float s[64]; s[threadIdx.x] = p[threadIdx.x];\n"
        "p[threadIdx.x] = s[63 - threadIdx.x];"
    ),
    "missing warp barrier": (
        "__shared__ float s[64]; s[threadIdx.x] = p[threadIdx.x];\n"
        "p[threadIdx.x] = s[threadIdx.x ^ 1];"
    ),
    "uninitialised shared memory": (
        "__shared__ float s[64]; if (threadIdx.x != 5) s[threadIdx.x] = p[threadIdx.x];\n"
        "__syncthreads(); p[threadIdx.x] = s[threadIdx.x];"
    ),
    "uninitialised dynamic shared memory": (
        "extern __shared__ float s[]; p[threadIdx.x] = s[threadIdx.x];"
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_bugs_without_a_fault_give_nan(compiled, name):
    text = f'extern "C" __global__ void k(float *p) {{\n{SILENT[name]}\n}}'
    for order in ORDERS:
        DRIVER.set(order=order)
        assert np.isnan(Run(compiled(text), 64, shared=256)(np.arange(64, dtype=np.float32))).any()


def test_blocks_that_count_on_their_order_differ_between_orders(compiled):
    text = 'extern "C" __global__ void k(float *p) { p[0] = p[0] * 2 + blockIdx.x; }'
    results = set()
    for order in ORDERS:
        DRIVER.set(order=order)
        results.add(float(Run(compiled(text), 1, 9)(np.zeros(1, np.float32))[0]))
    assert len(results) == 3


def test_the_end_of_a_block_is_checked_when_it_is_freed(compiled):
    text = 'extern "C" __global__ void k(float *p) { p[threadIdx.x] = 1; }'
    block = drv.mem_alloc(63 * 4)
    Run(compiled(text), 64).function(block, block=(64, 1, 1))
    drv.Context.synchronize()
    with contextlib.suppress(drv.Error):
        block.free()
    with pytest.raises(drv.Error, match="written beside the 252 bytes of a block"):
        drv.Context.synchronize()


def test_a_freed_block_is_named(compiled):
    text = 'extern "C" __global__ void k(float **p) { p[0][threadIdx.x] = 1; }'
    block = drv.mem_alloc(4096)
    table = drv.to_device(np.array([int(block)], np.uint64))
    block.free()
    Run(compiled(text), 64).function(table, block=(64, 1, 1))
    with pytest.raises(drv.Error, match="byte 0 of a freed block of 4096 bytes"):
        drv.Context.synchronize()


def test_a_host_pointer_is_no_device_memory(compiled):
    text = 'extern "C" __global__ void k(float *p) { p[threadIdx.x] = 1; }'
    x = np.zeros(64, np.float32)
    Run(compiled(text), 64).function(np.uint64(x.ctypes.data), block=(64, 1, 1))
    with pytest.raises(drv.Error, match=r"parameter 0 is .* no memory of the device"):
        drv.Context.synchronize()


# --- launches ----------------------------------------------------------------------------------

STORE = """
extern "C" __global__ void __launch_bounds__(256) k(float *p, int n) {
  if (threadIdx.x < n) p[threadIdx.x] = n;
}"""


def test_arguments_of_another_size_are_refused(compiled):
    p = drv.mem_alloc(256)
    with pytest.raises(drv.Error, match="invalid argument"):
        Run(compiled(STORE)).function(p, np.int64(1), block=(1, 1, 1))
    with pytest.raises(drv.Error, match="invalid argument"):
        Run(compiled(STORE)).function(p, block=(1, 1, 1))


@pytest.mark.parametrize(
    "block, grid, shared, error",
    [
        ((1025, 1, 1), (1, 1, 1), 0, "invalid argument"),
        ((32, 32, 2), (1, 1, 1), 0, "invalid argument"),
        ((512, 1, 1), (1, 1, 1), 0, "too many resources"),
        ((1, 1, 65), (1, 1, 1), 0, "invalid argument"),
        ((1, 1, 1), (1, 65536, 1), 0, "invalid argument"),
        ((1, 1, 1), (1, 1, 65536), 0, "invalid argument"),
        ((1, 1, 1), (1, 1, 1), 49153, "invalid argument"),
    ],
)
def test_limits_of_a_launch(compiled, block, grid, shared, error):
    p = drv.mem_alloc(256)
    function = Run(compiled(STORE)).function
    with pytest.raises(drv.Error, match=error):
        function(p, np.int32(1), block=block, grid=grid, shared=shared)


def test_more_dynamic_shared_memory_on_request(compiled):
    function = Run(compiled(STORE)).function
    function.set_attribute(drv.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, 100_000)
    function(drv.mem_alloc(256), np.int32(1), block=(1, 1, 1), shared=100_000)
    drv.Context.synchronize()


def test_unknown_kernels_and_images(compiled):
    with pytest.raises(drv.Error, match="named symbol not found"):
        drv.module_from_buffer(compiled(STORE)).get_function("other")
    with pytest.raises(drv.Error, match="device kernel image is invalid"):
        drv.module_from_buffer(b"\0" * 1000)


# --- memory, streams, events, graphs -----------------------------------------------------------


def test_memory_is_limited():
    DRIVER.set(memory=1 << 20)
    held = drv.mem_alloc(600_000)
    with pytest.raises(drv.MemoryError):
        drv.mem_alloc(600_000)
    free, total = drv.mem_get_info()
    assert total == 1 << 20 and free <= total - 600_000
    held.free()
    drv.mem_alloc(600_000).free()


def test_copies_are_checked():
    p = drv.mem_alloc(256)
    with pytest.raises(drv.Error, match="invalid argument"):
        drv.memcpy_htod(p, np.zeros(65, np.float32))
    with pytest.raises(drv.Error, match="invalid argument"):
        drv.memcpy_dtoh(np.zeros(1, np.float32), int(p) + 256)
    with pytest.raises(drv.Error, match="invalid argument"):
        drv.memcpy_dtod(p, int(p) + 4, 256)


def test_new_memory_is_nan():
    assert np.isnan(drv.from_device(drv.mem_alloc(400), 100, np.float32)).all()


ADD_ONE = 'extern "C" __global__ void k(float *p) { p[threadIdx.x] += 1; }'


def test_lazy_streams_catch_a_missing_synchronisation(compiled):
    stream = drv.Stream()
    host = drv.pagelocked_empty(64, np.float32)
    device = drv.to_device(np.zeros(64, np.float32))
    function = Run(compiled(ADD_ONE)).function
    DRIVER.set(lazy=1)
    host[:] = 7
    function(device, block=(64, 1, 1), stream=stream)
    drv.memcpy_dtoh_async(host, device, stream)
    assert (host == 7).all()  # read too early: nothing is there
    stream.synchronize()
    assert (host == 1).all()


def test_lazy_streams_catch_a_source_changed_too_early():
    stream = drv.Stream()
    host = drv.pagelocked_empty(64, np.float32)
    device = drv.to_device(np.zeros(64, np.float32))
    DRIVER.set(lazy=1)
    host[:] = 1
    drv.memcpy_htod_async(device, host, stream)
    host[:] = 2
    stream.synchronize()
    assert (drv.from_device(device, 64, np.float32) == 2).all()
    pageable = np.full(64, 3, np.float32)  # which the driver reads before it returns
    drv.memcpy_htod_async(device, pageable, stream)
    pageable[:] = 4
    stream.synchronize()
    assert (drv.from_device(device, 64, np.float32) == 3).all()


def test_lazy_streams_keep_to_events(compiled):
    first, second = drv.Stream(), drv.Stream()
    device = drv.to_device(np.zeros(64, np.float32))
    function = Run(compiled(ADD_ONE)).function
    double = Run(compiled(ADD_ONE.replace("+= 1", "*= 3"))).function
    DRIVER.set(lazy=1)
    function(device, block=(64, 1, 1), stream=first)
    event = drv.Event().record(first)
    assert not event.query()
    second.wait_for_event(event)
    double(device, block=(64, 1, 1), stream=second)
    second.synchronize()
    assert event.query()
    assert (drv.from_device(device, 64, np.float32) == 3).all()


def test_lazy_streams_without_an_event_run_in_another_order(compiled):
    first, second = drv.Stream(), drv.Stream()
    device = drv.to_device(np.zeros(64, np.float32))
    one = Run(compiled(ADD_ONE)).function
    triple = Run(compiled(ADD_ONE.replace("+= 1", "*= 3"))).function
    DRIVER.set(lazy=1)
    one(device, block=(64, 1, 1), stream=first)
    triple(device, block=(64, 1, 1), stream=second)
    second.synchronize()
    first.synchronize()
    assert (drv.from_device(device, 64, np.float32) == 1).all()  # and not 3


def test_events_measure_time(compiled):
    start, end = drv.Event().record(), drv.Event().record()
    end.synchronize()
    assert 0 <= start.time_till(end) < 10_000


class Capture:
    """Stream capture through the driver's own functions, as pycuda has none."""

    def __init__(self, stream: Any):
        self.library = ctypes.CDLL("libcuda.so.1")
        self.stream = ctypes.c_void_p(stream.handle)

    def begin(self, mode: int = 1) -> int:
        return int(self.library.cuStreamBeginCapture_v2(self.stream, mode))

    def end(self) -> tuple[int, Any]:
        graph = ctypes.c_void_p()
        return int(self.library.cuStreamEndCapture(self.stream, ctypes.byref(graph))), graph

    def instantiate(self, graph: Any) -> Any:
        made = ctypes.c_void_p()
        call = self.library.cuGraphInstantiateWithFlags
        assert call(ctypes.byref(made), graph, ctypes.c_ulonglong(0)) == 0
        return made

    def launch(self, made: Any) -> int:
        return int(self.library.cuGraphLaunch(made, self.stream))


@pytest.mark.parametrize("lazy", [0, 1])
def test_a_captured_graph_runs_again(compiled, lazy):
    stream = drv.Stream()
    device = drv.to_device(np.zeros(64, np.float32))
    function = Run(compiled(ADD_ONE)).function
    DRIVER.set(lazy=lazy)
    capture = Capture(stream)
    assert capture.begin() == 0
    function(device, block=(64, 1, 1), stream=stream)
    function(device, block=(64, 1, 1), stream=stream)
    rc, graph = capture.end()
    assert rc == 0
    assert (drv.from_device(device, 64, np.float32) == 0).all()  # recorded, not run
    made = capture.instantiate(graph)
    for _ in range(3):
        assert capture.launch(made) == 0
    stream.synchronize()
    assert (drv.from_device(device, 64, np.float32) == 6).all()


def test_an_executable_graph_takes_new_parameters_and_no_new_shape(compiled):
    stream = drv.Stream()
    first, second = (drv.to_device(np.zeros(64, np.float32)) for _ in range(2))
    function = Run(compiled(ADD_ONE)).function
    capture = Capture(stream)

    def captured(device, times: int):
        assert capture.begin() == 0
        for _ in range(times):
            function(device, block=(64, 1, 1), stream=stream)
        return capture.end()[1]

    def update(graph) -> int:
        info = (ctypes.c_longlong * 3)()
        return capture.library.cuGraphExecUpdate_v2(made, graph, ctypes.byref(info))

    made = capture.instantiate(captured(first, 1))
    DRIVER.set(lazy=1)
    assert capture.launch(made) == 0
    assert update(captured(second, 1)) == 0  # what was launched before keeps its parameters
    assert capture.launch(made) == 0
    assert update(captured(second, 2)) == 910
    stream.synchronize()
    for device in (first, second):
        assert (drv.from_device(device, 64, np.float32) == 1).all()


def test_what_a_capture_forbids(compiled):
    stream = drv.Stream()
    device = drv.to_device(np.zeros(64, np.float32))
    function = Run(compiled(ADD_ONE)).function
    capture = Capture(stream)
    for forbidden in (
        stream.synchronize,
        lambda: drv.mem_alloc(16),
        drv.Context.synchronize,
        lambda: function(device, block=(64, 1, 1)),  # on the null stream
    ):
        assert capture.begin() == 0
        with pytest.raises(drv.Error, match="captur"):
            forbidden()
        assert capture.end()[0] == 901  # invalidated


# --- several devices, processes, cuBLAS --------------------------------------------------------


def test_memory_of_another_device_needs_peer_access(compiled):
    assert drv.Device.count() == 2
    here = pycuda.autoprimaryctx.context
    other = drv.Device(1).retain_primary_context()
    other.push()
    far = drv.to_device(np.zeros(64, np.float32))
    other.pop()
    function = Run(compiled(ADD_ONE)).function
    function(far, block=(64, 1, 1))
    with pytest.raises(drv.Error, match="device 1"):
        drv.Context.synchronize()
    DRIVER.recover()
    here.enable_peer_access(other)
    function(far, block=(64, 1, 1))
    drv.Context.synchronize()
    here.disable_peer_access(other)
    other.push()
    assert (drv.from_device(far, 64, np.float32) == 1).all()
    far.free()
    other.pop()


def test_a_forked_process_has_no_device():
    code = (
        "import os, pycuda.autoprimaryctx, pycuda.driver as drv\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try: drv.mem_alloc(4)\n"
        "    except drv.Error as error: os._exit(7 if 'initialization' in str(error) else 1)\n"
        "    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    folder = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stdout.split() == ["7"], done.stderr


@pytest.mark.parametrize("dtype, code, compute", [("f4", 0, 68), ("f8", 1, 70), ("f2", 2, 68)])
@pytest.mark.parametrize("ta, tb", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_matrix_products(dtype, code, compute, ta, tb):
    m, n, k, batch = 5, 4, 6, 3
    library = ctypes.CDLL(str(emulator.driver() / "libcublas.so.13"))
    handle = ctypes.c_void_p()
    assert library.cublasCreate_v2(ctypes.byref(handle)) == 0
    rng = np.random.default_rng(0)
    # column-major: the transposed arrays, row-major
    a = rng.standard_normal((batch, m, k) if ta else (batch, k, m)).astype(dtype)
    b = rng.standard_normal((batch, k, n) if tb else (batch, n, k)).astype(dtype)
    da, db, dc = drv.to_device(a), drv.to_device(b), drv.mem_alloc(batch * m * n * a.itemsize)
    scalar = ctypes.c_double if dtype == "f8" else ctypes.c_float
    one, zero, p, i, ll = scalar(1), scalar(0), ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
    call = library.cublasGemmStridedBatchedEx
    call.argtypes = [p, i, i, i, i, i, p, p, i, i, ll, p, i, i, ll, p, p, i, i, ll, i, i, i]
    arguments = [
        handle,
        ta,
        tb,
        m,
        n,
        k,
        ctypes.addressof(one),
        int(da),
        code,
        a.shape[2],
        a[0].size,
    ]
    arguments += [
        int(db),
        code,
        b.shape[2],
        b[0].size,
        ctypes.addressof(zero),
        int(dc),
        code,
        m,
        m * n,
    ]
    assert call(*arguments, batch, compute, -1) == 0
    got = drv.from_device(dc, (batch, n, m), dtype).transpose(0, 2, 1)
    left = a if ta else a.transpose(0, 2, 1)
    right = b if tb else b.transpose(0, 2, 1)
    tolerance = {"f2": 5e-3, "f4": 1e-5, "f8": 1e-12}[dtype]
    np.testing.assert_allclose(
        got, left.astype("f8") @ right.astype("f8"), rtol=tolerance, atol=tolerance
    )
    assert call(*arguments, batch, 64, -1) == 15  # half accumulation: not what is wanted


# --- the stand-in for nvcc ---------------------------------------------------------------------


def test_the_compiler_says_what_is_wrong(tmp_path):
    source = tmp_path / "broken.cu"
    source.write_text('extern "C" __global__ void k(float *p) {\n  p[0] = nothing;\n}\n')
    command = [
        str(emulator.NVCC),
        "-cubin",
        "-arch=sm_90",
        "-o",
        str(tmp_path / "out"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "broken.cu:2" in done.stderr


def test_the_version_names_the_content():
    done = subprocess.run(
        [str(emulator.NVCC), "--version"], capture_output=True, text=True, check=True
    )
    assert "release 13.0, V13.0." in done.stdout
