"""Copies between the host's memory and a GPU's, through pinned memory.

Owns: the few pinned blocks of a device, and when each may be used again. Must not know: buffers.
The GPU reads and writes pinned memory by itself, at the full speed of the bus; from other memory
the driver would make the same copy, a piece at a time and without going ahead.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.driver import Gpu

BLOCK = 4 << 20
BLOCKS = 2  # one is filled while the other is on its way
SMALL = 64 << 10  # up to here the driver copies at once and comes back


class Staging:
    """The pinned blocks of one device, made when they are first needed."""

    def __init__(self, gpu: Gpu):
        self.gpu = gpu
        self._blocks: deque[tuple[np.ndarray, Any]] = deque()  # with the event of its last use
        self._lock = threading.RLock()
        gpu.at_close(self._blocks.clear)

    def _next(self) -> tuple[np.ndarray, Any]:
        """A block that nothing in the stream uses any more; it is the last one now."""
        if len(self._blocks) < BLOCKS:
            made = self.gpu.drv.pagelocked_empty(BLOCK, np.uint8), self.gpu.drv.Event()
        else:
            made = self._blocks.popleft()
            made[1].synchronize()
        self._blocks.append(made)
        return made

    def to_device(self, address: int, values: np.ndarray) -> None:
        """Copy there, in the stream; the values may change as soon as this comes back. The
        context must be current, as for `to_host`."""
        drv, stream = self.gpu.drv, self.gpu.stream
        if values.nbytes <= SMALL:
            drv.memcpy_htod_async(address, values, stream)
            return
        flat = values.reshape(-1).view(np.uint8)
        with self._lock:
            for start in range(0, len(flat), BLOCK):
                piece = flat[start : start + BLOCK]
                block, event = self._next()
                block[: len(piece)] = piece
                drv.memcpy_htod_async(address + start, block[: len(piece)], stream)
                event.record(stream)

    def to_host(self, out: np.ndarray, address: int) -> None:
        """Copy from there, when all that is in the stream has ended, and wait for it."""
        drv, stream = self.gpu.drv, self.gpu.stream
        if out.nbytes <= SMALL:
            drv.memcpy_dtoh_async(out, address, stream)
            stream.synchronize()
            return
        flat = out.reshape(-1).view(np.uint8)
        coming: deque[tuple[np.ndarray, np.ndarray, Any]] = deque()
        with self._lock:
            for start in range(0, len(flat), BLOCK):
                if len(coming) == BLOCKS:
                    _arrive(*coming.popleft())
                target = flat[start : start + BLOCK]
                block, event = self._next()
                source = block[: len(target)]
                drv.memcpy_dtoh_async(source, address + start, stream)
                event.record(stream)
                coming.append((target, source, event))
            while coming:
                _arrive(*coming.popleft())


def _arrive(target: np.ndarray, source: np.ndarray, event: Any) -> None:
    event.synchronize()
    target[...] = source
