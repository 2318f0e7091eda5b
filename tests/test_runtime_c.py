"""The C runtime (thread pool, schedule runner) and the generated matrix product, against numpy."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

from lazygrad.codegen.gemm import DEPTH, gemm_dims, gemm_grain, gemm_items, gemm_source
from lazygrad.ir.dtypes import bfloat16_to_float32, float32_to_bfloat16

CC = shlex.split(os.environ.get("CC", "")) or [shutil.which("gcc") or shutil.which("cc") or ""]
pytestmark = pytest.mark.skipif(not CC[0], reason="needs a C compiler")

FLAGS = (
    "-O2 -std=gnu11 -ffp-contract=off -fno-math-errno -fno-trapping-math -fwrapv "
    "-fno-strict-aliasing -fPIC -shared -nostdlib -Wall -Wextra -Werror -Wno-psabi"
).split()
RUNTIME = Path(__file__).parent.parent / "lazygrad" / "runtime" / "c" / "runtime.c"
CDEF = """
typedef void (*lg_kernel)(char **p, const int64_t *d, int64_t lo, int64_t hi);
typedef struct { int64_t items; int32_t nptr; int32_t slot0; int64_t dim0; } lg_instance;
typedef struct { lg_kernel fn; int64_t first, count; int64_t grain; } lg_step;
typedef struct { const lg_step *steps; int64_t nsteps; const lg_instance *inst;
    const int32_t *slot; const int64_t *offset; const int64_t *dims; } lg_program;
void lg_run(const lg_program *prog, char *const *slots, int64_t *times);
void lg_set_threads(int64_t n);
int64_t lg_get_threads(void);
"""
# y[i] = 3 y[i] + x[i] + d0 for each item, and a count of the item; `spin` makes items slow.
KERNEL = """
typedef long long i64;
void step(char **p, const i64 *d, i64 lo, i64 hi) {
  const i64 *x = (const i64 *)p[0];
  i64 *y = (i64 *)p[1];
  unsigned char *count = (unsigned char *)p[2];
  for (i64 i = lo; i < hi; i++) {
    for (volatile i64 spin = d[1]; spin > 0; spin--) {}
    y[i] = 3 * y[i] + x[i] + d[0];
    count[i]++;
  }
}
"""

ffi = cffi.FFI()
ffi.cdef(CDEF)
NUMPY: dict[str, Any] = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": np.uint16,
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Compiles C text with these flags and opens the library."""
    folder = tmp_path_factory.mktemp("c")

    def compiled(name: str, text: str, cdef: str, flags: Sequence[str]) -> Any:
        source, library = folder / f"{name}.c", folder / f"{name}.so"
        source.write_text(text, encoding="utf-8")
        subprocess.run([*CC, "-o", library, source, *flags], check=True)
        own = cffi.FFI()
        own.cdef(cdef)
        return own.dlopen(str(library))

    return compiled


@pytest.fixture(scope="module")
def runtime(build: Callable[..., Any]) -> Any:
    flags = "-O2 -std=gnu11 -fPIC -shared -Wall -Wextra -Werror -lpthread".split()
    if os.uname().sysname == "Linux":
        flags.append("-Wl,-z,nodelete")
    return build("runtime", RUNTIME.read_text(encoding="utf-8"), CDEF, flags)


@pytest.fixture(autouse=True)
def one_thread(runtime: Any) -> Iterator[None]:
    runtime.lg_set_threads(1)
    yield
    runtime.lg_set_threads(1)


def address_of(library: Any, name: str) -> int:
    own = cffi.FFI()
    own.cdef(f"void {name}(void);")
    return int(own.cast("intptr_t", own.addressof(library, name)))


class Program:
    """A lg_program of steps (function address, grain, [(items, [(slot, offset)], dims)])."""

    def __init__(self, steps: Sequence[tuple[int, int, Sequence[Any]]]):
        instances = [instance for _, _, group in steps for instance in group]
        pointers = [pointer for _, where, _ in instances for pointer in where]
        self.inst = ffi.new("lg_instance[]", max(1, len(instances)))
        self.steps = ffi.new("lg_step[]", max(1, len(steps)))
        self.slot = ffi.new("int32_t[]", [slot for slot, _ in pointers] or [0])
        self.offset = ffi.new("int64_t[]", [offset for _, offset in pointers] or [0])
        self.dims = ffi.new("int64_t[]", [v for _, _, dims in instances for v in dims] or [0])
        slot0 = dim0 = first = 0
        for entry, (items, where, dims) in zip(self.inst, instances):
            entry.items, entry.nptr, entry.slot0, entry.dim0 = items, len(where), slot0, dim0
            slot0, dim0 = slot0 + len(where), dim0 + len(dims)
        for step, (fn, grain, group) in zip(self.steps, steps):
            step.fn, step.first = ffi.cast("lg_kernel", fn), first
            step.count, step.grain = len(group), grain
            first += len(group)
        self.program = ffi.new("lg_program *")
        self.program.steps, self.program.nsteps = self.steps, len(steps)
        self.program.inst, self.program.slot = self.inst, self.slot
        self.program.offset, self.program.dims = self.offset, self.dims

    def run(self, runtime: Any, arrays: Sequence[np.ndarray], times: Any = ffi.NULL) -> None:
        slots = ffi.new("char *[]", [ffi.cast("char *", a.ctypes.data) for a in arrays])
        own = ffi.typeof("lg_program *"), self.program
        runtime.lg_run(_as(runtime, own[1]), _as(runtime, slots), _as(runtime, times))


def _as(runtime: Any, value: Any) -> Any:
    """cffi objects of one FFI are not accepted by another's functions: pass the address."""
    return value


# ---- the pool ---------------------------------------------------------------------------------
