"""Host memory: a pool of aligned blocks, and buffers that give theirs back when dropped.

Owns: allocation of CPU memory. Must not know: nodes, kernels, tensors. Fresh pages cost more than
the kernel that fills them, so blocks are kept and used again; sizes are rounded up so that a
block serves many requests.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np

ALIGNMENT = 64
_SMALL = 4096
_KEEP_BYTES = 1 << 32  # free blocks beyond this are given back to the system


def _rounded(nbytes: int) -> int:
    """Powers of two up to a page, then steps of an eighth of the next power of two."""
    if nbytes <= ALIGNMENT:
        return ALIGNMENT
    if nbytes <= _SMALL:
        return 1 << (nbytes - 1).bit_length()
    step = 1 << max((nbytes - 1).bit_length() - 4, 6)
    return -(-nbytes // step) * step


class Pool:
    """Free blocks by size. A block is (address, owner): the owner keeps the memory alive."""

    def __init__(self) -> None:
        self._free: dict[int, list[tuple[int, Any]]] = {}
        self._lock = threading.Lock()
        self.held = 0  # bytes in free blocks
        self.in_use = 0
        self.peak = 0

    rounded = staticmethod(_rounded)

    def take(self, nbytes: int) -> tuple[int, int, Any]:
        """(size, address, owner) of a block of at least nbytes. Raises MemoryError."""
        size = self.rounded(nbytes)
        with self._lock:
            self.in_use += size
            self.peak = max(self.peak, self.in_use)
            blocks = self._free.get(size)
            if blocks:
                self.held -= size
                return (size, *blocks.pop())
        try:
            return (size, *self.new(size))
        except MemoryError:
            self.trim()
        try:
            return (size, *self.new(size))
        except MemoryError:
            with self._lock:
                self.in_use -= size
            raise

    def new(self, size: int) -> tuple[int, Any]:
        """(address, owner) of fresh memory. Raises MemoryError."""
        raw = np.empty(size + ALIGNMENT, np.uint8)
        address = raw.ctypes.data
        return -(-address // ALIGNMENT) * ALIGNMENT, raw

    def give(self, size: int, address: int, owner: Any) -> None:
        with self._lock:
            self.in_use -= size
            if self.held + size <= _KEEP_BYTES:
                self.held += size
                self._free.setdefault(size, []).append((address, owner))

    def trim(self) -> None:
        """Give all free blocks back to the system."""
        with self._lock:
            self._free.clear()
            self.held = 0


pool = Pool()


class Buffer:
    """Row-major memory of one value. Its block goes back to the pool with it.

    `owner` is a foreign object (a numpy array) for memory that is not the pool's.
    """

    __slots__ = ("__weakref__", "_size", "address", "nbytes", "owner")

    def __init__(self, nbytes: int, address: int | None = None, owner: Any = None):
        self.nbytes = nbytes
        if address is None:
            self._size, self.address, self.owner = pool.take(nbytes)
        else:
            self._size, self.address, self.owner = 0, address, owner

    def __del__(self) -> None:
        if self._size:
            pool.give(self._size, self.address, self.owner)

    def assign(self, other: Buffer) -> None:
        """Copy another buffer's bytes here; it holds at least as many."""
        ctypes.memmove(self.address, other.address, self.nbytes)

    def clone(self) -> Buffer:
        """New memory with the same bytes."""
        fresh = Buffer(self.nbytes)
        fresh.assign(self)
        return fresh

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        """A numpy array over this memory that keeps the buffer alive."""
        return np.asarray(_Exposed(self, dtype, shape))


class _Exposed:
    """Carries __array_interface__, so that numpy holds the buffer as the array's base."""

    __slots__ = ("__array_interface__", "buffer")

    def __init__(self, buffer: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...]):
        self.buffer = buffer
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (buffer.address, False),
            "strides": None,
            "version": 3,
        }


def from_array(values: np.ndarray) -> Buffer:
    """A new buffer with a copy of the values."""
    buffer = Buffer(values.nbytes)
    if values.size:
        buffer.array(values.dtype, values.shape)[...] = values
    return buffer
