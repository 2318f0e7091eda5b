"""What a GPU can do, to compare programs with: the bandwidth of a copy, cuBLAS's rate.

Owns: these two measurements. Must not know: programs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.device import Backend

_ROUNDS, _CALLS = 5, 10


def _seconds(backend: Backend, call: Callable[[], None]) -> float:
    """The least time of a call, of several measured by events."""
    best = math.inf
    call()
    for _ in range(_ROUNDS):
        start = backend.event()
        for _ in range(_CALLS):
            call()
        stop = backend.event()
        backend.synchronize()
        best = min(best, start.time_till(stop) / 1e3 / _CALLS)
    return max(best, 1e-9)


def measure(backend: Backend, elements: int) -> dict[str, float]:
    """Bytes per second read and written by a copy of so many float32, and operations per second
    of a square product of theirs (0 without cuBLAS)."""
    found = {"copy": 0.0, "product": 0.0}
    with backend.gpu.active(), backend.gpu.failures():
        source, target = backend.allocate(4 * elements), backend.allocate(4 * elements)
        for buffer in (source, target):
            buffer.clear()
        found["copy"] = 8 * elements / _seconds(backend, lambda: target.assign(source))
        blas, side = backend.blas, min(math.isqrt(elements), 8192)
        if blas is not None:
            third = backend.allocate(4 * side * side)
            at = (source.address, target.address, third.address)
            dims = (0, side, side, side, side, 1, side, 1, side, 1)
            stream = backend.gpu.stream
            seconds = _seconds(backend, lambda: blas.product("float32", at, dims, stream))
            found["product"] = 2 * side**3 / seconds
    return found
