"""What the machine can do: bandwidths, the peak of multiply-adds, and the chain written by hand.

Owns: the functions of `limits.c`, their runs on one and on several threads, and units. Must not
know: workloads or peers.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.codegen.prelude import prelude
from lazygrad.runtime import compiler

N = 1 << 24  # floats: 64 MB an array, more than the caches
SMALL = 10_000_000  # of the chain, as the workload's
_CDEF = """
float lim_read(const float *x, int64_t n);
float lim_triad(float *y, const float *a, const float *b, int64_t n);
float lim_copy(float *y, const float *a, int64_t n);
float lim_fma(int64_t n);
float lim_chain(float *y, const float *a, const float *b, const float *c, int64_t n);
"""


def _library() -> tuple[Any, Any, int]:
    """The opened functions and the number of lanes they are written for."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(_CDEF)
    width = compiler.target().vector_bytes
    lanes = width // 4
    names = [(f"v_{f}_f32xV", lanes) for f in ("exp", "sigmoid", "tanh", "fma")]
    own = (Path(__file__).parent / "limits.c").read_text(encoding="utf-8")
    own = re.sub(r"\bNV\b", str(lanes), own.replace("f32xV", f"f32x{lanes}"))
    return ffi, ffi.dlopen(str(compiler.build(prelude(names, width) + own, ()))), lanes


def aligned(n: int, value: float) -> np.ndarray:
    """n floats whose first lies on a 2 MB boundary, so that huge pages can hold them."""
    space = np.full(n + (1 << 19), value, np.float32)
    skip = (-space.ctypes.data % (1 << 21)) // 4
    return space[skip : skip + n]


def _rate(threads: int, amount: float, runs: list[Callable[[], Any]], rounds: int) -> float:
    """Amount per second when each thread does its run."""
    with ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            list(pool.map(lambda run: run(), runs))
            times.append(time.perf_counter() - begin)
    return amount / statistics.median(times)


def measure(threads: int, rounds: int = 15) -> dict[str, float]:
    """GB/s of `read`, `triad` and `copy`, GFLOP/s of `fma`, seconds of `chain` on 1e7 elements."""
    ffi, lib, lanes = _library()
    arrays = [aligned(N, 0.5) for _ in range(4)]
    size = N // threads // 64 * 64

    def pointers(part: int, length: int) -> list[Any]:
        return [ffi.cast("float *", a.ctypes.data + 4 * part * length) for a in arrays]

    def each(name: str, count: int, length: int) -> list[Callable[[], Any]]:
        function = getattr(lib, name)
        given = [pointers(part, length)[:count] for part in range(threads)]
        return [partial(function, *g, length) for g in given]

    loops = 2_000_000
    few = SMALL // threads // 64 * 64
    return {
        "read": _rate(threads, 4e-9 * size * threads, each("lim_read", 1, size), rounds),
        "triad": _rate(threads, 12e-9 * size * threads, each("lim_triad", 3, size), rounds),
        "copy": _rate(threads, 8e-9 * size * threads, each("lim_copy", 2, size), rounds),
        "fma": _rate(
            threads,
            24e-9 * lanes * loops * threads,
            [partial(lib.lim_fma, loops)] * threads,
            rounds,
        ),
        "chain": 1 / _rate(threads, 1.0, each("lim_chain", 4, few), rounds),
    }
