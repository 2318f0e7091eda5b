"""Host memory: a pool of aligned blocks, and buffers that give theirs back when dropped.

Owns: allocation of CPU memory, and the report of what fills it. Must not know: kernels, tensors;
nodes only for that report. Fresh pages cost more than
the kernel that fills them, so blocks are kept and used again; sizes are rounded up so that a
block serves many requests.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

ALIGNMENT = 64
_SMALL = 4096
_LARGE = 1 << 22  # from here on blocks are mapped alone, in huge pages where the system has them
_HUGE_PAGE = 1 << 21
_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)
_KEEP_BYTES = 1 << 32  # free blocks beyond this are given back to the system


_alloc = object.__new__


class OutOfMemoryError(RuntimeError, MemoryError):
    """Memory could not be allocated. The message lists the largest values that are in memory."""

    __module__ = "lazygrad"


def _rounded(nbytes: int) -> int:
    """Powers of two up to a page, then steps of an eighth of the next power of two."""
    if nbytes <= ALIGNMENT:
        return ALIGNMENT
    if nbytes <= _SMALL:
        return 1 << (nbytes - 1).bit_length()
    step = 1 << max((nbytes - 1).bit_length() - 4, 6)
    return -(-nbytes // step) * step


def _mapped(size: int) -> tuple[int, Any]:
    """(address, owner) of fresh memory that starts at a huge page.

    Only whole huge pages are asked for: the rest of the block takes no more memory than it needs.
    Raises OSError, ValueError or OverflowError.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    mapping = mmap.mmap(-1, size + _HUGE_PAGE, flags=flags)
    raw = np.frombuffer(mapping, np.uint8)
    start = -raw.ctypes.data % _HUGE_PAGE
    with contextlib.suppress(OSError):  # a system built without them: the memory is as good
        mapping.madvise(_ADVICE, start, size // _HUGE_PAGE * _HUGE_PAGE)  # type: ignore[arg-type]
    return raw.ctypes.data + start, raw


class Usage:
    """Bytes that values take, on all devices together."""

    __slots__ = ("in_use",)

    def __init__(self) -> None:
        self.in_use = 0


usage = Usage()
# Of all pools. Buffers' finalizers take it too, which the garbage collector may run while this
# thread holds it: every statement under it leaves the pool whole.
_lock = threading.RLock()


class Pool:
    """Free blocks by size. A block is (address, owner): the owner keeps the memory alive."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[tuple[int, Any]]] = defaultdict(list)
        self._lock = _lock
        self.held = 0  # bytes in free blocks
        self.in_use = 0
        self.peak = 0

    rounded = staticmethod(_rounded)

    def take(self, nbytes: int) -> tuple[int, int, Any]:
        """(size, address, owner) of a block of at least nbytes. Raises OutOfMemoryError."""
        size = self.rounded(nbytes)
        with self._lock:
            blocks = self._free.get(size)
            if blocks:
                self.held -= size
                self.in_use += size
                usage.in_use += size
                if self.in_use > self.peak:
                    self.peak = self.in_use
                return (size, *blocks.pop())
        found = self._fresh(size)
        with self._lock:
            self.in_use += size
            usage.in_use += size
            self.peak = max(self.peak, self.in_use)
        return (size, *found)

    def buffers(self, sizes: Sequence[tuple[int, int]]) -> list[Buffer]:
        """A buffer for each (bytes, what that is `rounded`). Raises OutOfMemoryError."""
        made = []
        free = self._free
        with self._lock:
            total = 0
            for nbytes, size in sizes:
                blocks = free.get(size)
                if not blocks:
                    break
                buffer = _alloc(Buffer)
                buffer.nbytes = nbytes
                buffer._size = size
                buffer.address, buffer.owner = blocks.pop()
                total += size
                made.append(buffer)
            self.held -= total
            self.in_use += total
            usage.in_use += total
            if self.in_use > self.peak:
                self.peak = self.in_use
        for nbytes, _ in sizes[len(made) :]:
            made.append(Buffer(nbytes))
        return made

    def new(self, size: int) -> tuple[int, Any]:
        """(address, owner) of fresh memory. Raises MemoryError."""
        try:
            if size >= _LARGE and _ADVICE is not None:
                return _mapped(size)
            raw = np.empty(size + ALIGNMENT, np.uint8)
        except (OSError, ValueError, OverflowError) as error:  # none left, or no such address
            raise MemoryError(str(error)) from None
        address = raw.ctypes.data
        return -(-address // ALIGNMENT) * ALIGNMENT, raw

    def _fresh(self, size: int) -> tuple[int, Any]:
        """Memory from the system, if need be in place of what the pool keeps."""
        try:
            return self.new(size)
        except MemoryError:
            self.trim()
        try:
            return self.new(size)
        except MemoryError:
            raise OutOfMemoryError(_report(size, self)) from None

    def give(self, size: int, address: int, owner: Any) -> None:
        with self._lock:
            self.in_use -= size
            usage.in_use -= size
            if self.held + size <= _KEEP_BYTES:
                self.held += size
                self._free[size].append((address, owner))

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
        self._size = 0
        if address is None:
            self._size, self.address, self.owner = pool.take(nbytes)
        else:
            self._size, self.address, self.owner = 0, address, owner

    def __del__(self) -> None:
        size = self._size
        if size:
            with _lock:  # as `pool.give`, without a call
                pool.in_use -= size
                usage.in_use -= size
                held = pool.held + size
                if held <= _KEEP_BYTES:
                    pool.held = held
                    pool._free[size].append((self.address, self.owner))

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


def _report(wanted: int, of: Pool) -> str:
    lines = [
        f"can't allocate memory: you tried to allocate {wanted} bytes; {of.in_use} bytes are in use"
    ]
    found = largest()
    if found:
        lines += ["The largest values in memory are:", *found]
    return "\n".join(lines)


def largest(count: int = 10) -> list[str]:
    """A line on each of the largest values in memory: its size, what made it and where.

    Looks at all objects that Python knows: only for when something has gone wrong.
    """
    from lazygrad.ir.node import Node, place_text

    nodes: dict[int, Any] = {}
    for item in gc.get_objects():
        if isinstance(item, Node) and item.buffer is not None:
            nodes.setdefault(id(item.buffer), item)
    chosen = sorted(nodes.values(), key=lambda node: -int(node.buffer.nbytes))[:count]
    lines = []
    for node in chosen:
        dims = ", ".join(map(str, node.shape))
        place = place_text(node.place) or "unknown place"
        size = node.buffer.nbytes
        lines.append(f"  {size:>14,} bytes  {node.dtype.name}[{dims}] {node.op.name} {place}")
    return lines


def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes in use now (`current`), at most since the last reset (`peak`), and kept free for
    later values (`cached`)."""
    return {"current": pool.in_use, "peak": pool.peak, "cached": pool.held}


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count the peak from what is in use now."""
    pool.peak = pool.in_use


def from_array(values: np.ndarray) -> Buffer:
    """A new buffer with a copy of the values."""
    buffer = Buffer(values.nbytes)
    if values.size:
        buffer.array(values.dtype, values.shape)[...] = values
    return buffer
