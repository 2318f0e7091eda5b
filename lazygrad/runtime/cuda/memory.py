"""GPU memory: buffers, the pool that their blocks return to, copies to and from the host.

Owns: allocation, counting, and what is said when memory runs out. Must not know: programs. All
work of a device is in one stream, so a block may be handed out again as soon as it is free: what
reads it comes earlier in the stream than what writes it next.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from typing import Any

import numpy as np

from lazygrad.config import config
from lazygrad.ir.node import Node, place_text
from lazygrad.runtime.cuda.driver import Gpu
from lazygrad.runtime.cuda.reports import Reports
from lazygrad.runtime.cuda.staging import Staging
from lazygrad.runtime.memory import OutOfMemoryError, Pool, usage

_LISTED = 10  # buffers named when memory has run out


class GpuPool(Pool):
    """Blocks of one device."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu
        self.staging = Staging(gpu)
        self.reports = Reports(gpu)
        self.reserved = 0  # bytes that the driver has given us
        self.peak_reserved = 0
        gpu.at_close(self.trim)

    @staticmethod
    def rounded(nbytes: int) -> int:
        return Pool.rounded(max(nbytes, 512)) if config.pool else max(nbytes, 1)

    def new(self, size: int) -> tuple[int, Any]:
        with self.gpu.active():
            try:
                owner = self.gpu.drv.mem_alloc(size)
            except self.gpu.drv.MemoryError as error:
                raise MemoryError(str(error)) from None
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return int(owner), owner

    def give(self, size: int, address: int, owner: Any) -> None:
        if not self.gpu.usable():
            return
        if config.pool:
            super().give(size, address, owner)
            return
        with self._lock:
            self.in_use -= size
            usage.in_use -= size
        self.release(size, owner)

    def release(self, size: int, owner: Any) -> None:
        """Give a block back to the driver."""
        with self.gpu.active():
            owner.free()
        self.reserved -= size

    def trim(self) -> None:
        with self._lock:
            free, self._free = self._free, defaultdict(list)
            self.held = 0
        for size, blocks in free.items():
            for _, owner in blocks:
                self.release(size, owner)


class GpuBuffer:
    """Row-major memory of one value on a GPU. `owner` is a foreign object for memory that is not
    the pool's."""

    __slots__ = ("__weakref__", "_size", "address", "nbytes", "owner", "pool")

    def __init__(self, pool: GpuPool, nbytes: int, address: int | None = None, owner: Any = None):
        self._size = 0
        self.owner: Any = None
        self.pool = pool
        self.nbytes = nbytes
        if address is not None:
            self.address, self.owner = address, owner
            return
        try:
            self._size, self.address, self.owner = pool.take(nbytes)
        except MemoryError:
            raise OutOfMemoryError(_out_of_memory(pool, nbytes)) from None

    def __del__(self) -> None:
        if self._size:
            self.pool.reports.forget(self.address)
            self.pool.give(self._size, self.address, self.owner)
        elif self.owner is not None and self.pool.gpu.usable():
            self.pool.gpu.synchronize()  # its owner may use it in another stream at once

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        """A copy of the values in the host's memory, when all work so far has ended. Raises what
        kernels have reported so far."""
        out = self.fetched(dtype, shape)
        with self.pool.gpu.active(), self.pool.gpu.failures():
            self.pool.reports.settled(self.address)
        return out

    def fetched(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        """`array`, whatever has been reported."""
        out = np.empty(shape, dtype)
        gpu = self.pool.gpu
        with gpu.active(), gpu.failures():
            if out.size:
                self.pool.staging.to_host(out, self.address)
            gpu.synchronize()
        return out

    def load(self, values: np.ndarray) -> None:
        """Copy values from the host here."""
        gpu = self.pool.gpu
        if values.size:
            with gpu.active():
                self.pool.staging.to_device(self.address, np.ascontiguousarray(values))

    def clear(self) -> None:
        """Fill with zero bytes."""
        gpu = self.pool.gpu
        with gpu.active():
            gpu.drv.memset_d8_async(self.address, 0, self.nbytes, gpu.stream)

    def assign(self, other: GpuBuffer) -> None:
        """Copy another buffer's bytes here; it holds at least as many."""
        gpu = self.pool.gpu
        if self.nbytes:
            with gpu.active():
                gpu.drv.memcpy_dtod_async(self.address, other.address, self.nbytes, gpu.stream)

    def clone(self) -> GpuBuffer:
        """New memory with the same bytes."""
        fresh = GpuBuffer(self.pool, self.nbytes)
        fresh.assign(self)
        return fresh


def _size_text(nbytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.2f} GiB"


def _out_of_memory(pool: GpuPool, nbytes: int) -> str:
    """PyTorch's words, and the largest live buffers with the lines that made them."""
    gpu = pool.gpu
    with gpu.active():
        free, total = gpu.drv.mem_get_info()
    lines = [
        f"CUDA out of memory. Tried to allocate {_size_text(nbytes)}. GPU {gpu.number} has a total "
        f"capacity of {_size_text(total)} of which {_size_text(free)} is free. "
        f"{_size_text(pool.in_use)} is in use by tensors, {_size_text(pool.held)} is held free."
    ]
    place: dict[int, str] = {}
    live: dict[int, GpuBuffer] = {}
    for item in gc.get_objects():
        if type(item) is GpuBuffer and item.pool is pool:
            live[id(item)] = item
        elif isinstance(item, Node) and type(item.buffer) is GpuBuffer:
            live[id(item.buffer)] = item.buffer
            place[id(item.buffer)] = f"{item.op.name}{list(item.shape)} {place_text(item.place)}"
    largest = sorted(live.values(), key=lambda b: -b.nbytes)[:_LISTED]
    lines += [f"  {_size_text(b.nbytes)}  {place.get(id(b), '')}".rstrip() for b in largest]
    return "\n".join(lines)
