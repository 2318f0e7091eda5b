"""The machine code that NVIDIA's compiler makes: no GPU is needed for that."""

from __future__ import annotations

import emulator
import pytest
import sass

TOOLS = ("cuobjdump", "nvdisasm")
if emulator.real_nvcc() is None or None in map(sass.tool, TOOLS):
    pytest.skip("needs NVIDIA's nvcc, cuobjdump and nvdisasm", allow_module_level=True)

COPY = """
extern "C" __global__ void __launch_bounds__(256) wide(float4 *__restrict__ y, const float4 *__restrict__ x) {
  int i = blockIdx.x * 256 + threadIdx.x;
  y[i] = x[i];
}
extern "C" __global__ void __launch_bounds__(256) narrow(float *__restrict__ y, const float *__restrict__ x) {
  __shared__ float s[256];
  int i = blockIdx.x * 256 + threadIdx.x;
  s[threadIdx.x] = x[i];
  __syncthreads();
  y[i] = s[255 - threadIdx.x] * 2;
}"""  # noqa: E501


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_instructions_and_resources(architecture):
    code = sass.compile_(COPY, architecture)
    wide, narrow = code["wide"], code["narrow"]
    assert wide.wide("LDG") == wide.wide("STG") == 1
    assert wide.narrow("LDG") == wide.narrow("STG") == 0
    assert narrow.wide("LDG") == narrow.wide("STG") == 0
    assert narrow.narrow("LDG") == narrow.narrow("STG") == 1
    assert narrow.count("LDS") == narrow.count("STS") == 1
    assert narrow.count("BAR.SYNC") == 1
    for one in (wide, narrow):
        assert one.spills == one.stack == 0 and 0 < one.registers <= 32
    assert narrow.shared == 1024 and wide.shared == 0


SPILL = """
extern "C" __global__ void __launch_bounds__(1024, 2) k(float *y, const float *x, int n) {
  float v[100];
  #pragma unroll
  for (int i = 0; i < 100; i++) v[i] = x[i * 1024 + threadIdx.x];
  for (int j = 0; j < n; j++) {
    #pragma unroll
    for (int i = 0; i < 100; i++) v[i] = v[i] * v[(i + 37) % 100] + x[i];
  }
  #pragma unroll
  for (int i = 0; i < 100; i++) y[i * 1024 + threadIdx.x] = v[i];
}"""
LOCAL = """
extern "C" __global__ void k(float *y, const int *x, int n) {
  float v[64] = {};
  #pragma unroll 1
  for (int i = 0; i < n; i++) v[x[i] & 63] += y[i];
  y[threadIdx.x] = v[x[threadIdx.x] & 63];
}"""


def test_spills_are_refused():
    with pytest.raises(sass.Refused, match=r"(?i)spill"):
        sass.compile_(SPILL)


def test_local_memory_is_counted():
    assert sass.compile_(LOCAL)["k"].stack == 256


def test_a_warning_is_refused():
    text = 'extern "C" __global__ void k(float *p) { int unused = 3; p[0] = 1; }'
    with pytest.raises(sass.Refused, match="never referenced"):
        sass.compile_(text)
