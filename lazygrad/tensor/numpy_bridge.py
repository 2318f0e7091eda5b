"""Sharing memory with numpy, in both directions.

Owns: `from_numpy`, `.numpy()`, the array protocols, tensors on memory of others. Must not know:
how shared memory is kept consistent (storage.py does that).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir.dtypes import DType
from lazygrad.ir.views import View
from lazygrad.realize import FROM_NUMPY, value_read
from lazygrad.runtime.device import Device, device
from lazygrad.runtime.memory import Buffer
from lazygrad.tensor import storage as memory
from lazygrad.tensor.core import Tensor, view_of
from lazygrad.tensor.declare import declare
from lazygrad.tensor.from_data import array_dtype
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.storage import Shared


def from_numpy(array: Any) -> Tensor:
    """A tensor on the array's memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    value_read(FROM_NUMPY)
    dtype = array_dtype(array)
    size = dtype.itemsize
    if not array.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You "
            "may want to copy the array to protect its data or make it writable before "
            "converting it to a tensor. This type of warning will be suppressed for the rest of "
            "this program.",
            stacklevel=2,
        )
    view = View(array.shape, tuple(step // size for step in array.strides))
    whole = bool(array.size) and view.has_dense_strides  # numpy's strides of no elements are 0
    count = array.size if whole or not array.size else view.bounds()[1] + 1
    shape = array.shape if whole else (count,)
    buffer = Buffer(count * size, array.__array_interface__["data"][0], array)
    stored = memory.Storage(None)
    stored.shared = Shared(buffer, shape, dtype, "cpu")
    stored.shared.owner = array
    return on_storage(stored, None if whole else view)


def on_storage(stored: memory.Storage, view: View | None) -> Tensor:
    made: Tensor = object.__new__(Tensor)
    made._storage = stored
    made._view = view
    made._cached = None
    made._meta = None
    return made


@declare(function=False)
def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """An array on the tensor's memory."""
    if needs_grad(self):
        if not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        self = self.detach()
    if not self.is_cpu:
        if not force:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        self = self.cpu()
    if self.dtype is D.bfloat16:
        raise TypeError(
            "Got unsupported ScalarType BFloat16: numpy has no such dtype. Use tensor.float() "
            "first."
        )
    return memory.export(self._storage, view_of(self))


def array_protocol(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """np.asarray(tensor): the same memory unless a dtype or a copy asks for another."""
    shared = numpy(self)
    if dtype is not None and np.dtype(dtype) != shared.dtype:
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        return shared.astype(dtype)
    return shared.copy() if copy else shared


def array_wrap(
    self: Tensor, array: np.ndarray, context: Any = None, return_scalar: bool = False
) -> Tensor:
    """What numpy functions on tensors return: tensors. PyTorch gives bool as uint8."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    return from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def data_ptr(self: Tensor) -> int:
    """The address of the first element. The memory stays where it is from now on."""
    shared = memory.pin(self._storage)
    shared.forever = True
    return int(shared.buffer.address + self.storage_offset() * self.itemsize)


declare("data_ptr", function=False)(data_ptr)


def reinterpret(self: Tensor, dtype: DType) -> Tensor:
    """The same bytes as another dtype: a tensor on the same memory, which becomes shared."""
    if self.dtype is D.bfloat16:
        raise RuntimeError("view(dtype) of bfloat16 is not supported")
    where = device(self._storage.device)
    if dtype.itemsize != self.itemsize and (not self.ndim or self.stride(-1) != 1):
        raise RuntimeError(
            "self.stride(-1) must be 1 to view "
            f"{self.dtype} as {dtype} (different element sizes), but got "
            f"{self.stride(-1) if self.ndim else 0}"
        )
    if where.on_host:
        return from_numpy(memory.export(self._storage, view_of(self)).view(dtype.np))
    shared, view = memory.pin(self._storage), view_of(self)
    shared.forever = True
    size, reach = self.itemsize, view.bounds()[1] + 1 - view.offset if view.numel else 0
    like = np.lib.stride_tricks.as_strided(  # numpy says what a view of such memory would be
        np.empty(reach, self.dtype.np), view.shape, [step * size for step in view.strides]
    ).view(dtype.np)
    steps = tuple(step // dtype.itemsize for step in like.strides)
    at = shared.buffer.address + view.offset * size
    places = View(like.shape, steps)
    return on_memory(where, at, dtype, like.shape, places, shared.buffer, shared.read_only)


def on_memory(
    where: Device,
    start: int,
    dtype: DType,
    shape: tuple[int, ...],
    view: View,
    owner: Any,
    read_only: bool,
) -> Tensor:
    """A tensor on memory of another library, which `owner` keeps and others may write to."""
    count = math.prod(shape)
    whole = view.has_dense_strides or not count
    reach = count if whole else view.bounds()[1] + 1
    buffer = where.foreign(reach * dtype.itemsize, start, owner)
    stored = memory.Storage(None)
    stored.shared = Shared(buffer, shape if whole else (reach,), dtype, where.name)
    stored.shared.forever = True  # the producer may go on writing to it
    stored.shared.read_only = read_only
    return on_storage(stored, None if whole else view)


class UntypedStorage:
    """What `untyped_storage()` gives: identity, size and address of a tensor's memory."""

    __slots__ = ("_storage", "_tensor")

    def __init__(self, tensor: Tensor):
        self._storage = tensor._storage
        self._tensor = tensor

    def data_ptr(self) -> int:
        shared = memory.pin(self._storage)
        shared.forever = True
        return int(shared.buffer.address)

    def nbytes(self) -> int:
        total = self._storage.dtype.itemsize
        for extent in self._storage.shape:
            total *= extent
        return total

    size = __len__ = nbytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._storage is self._storage

    def __hash__(self) -> int:
        return id(self._storage)


@declare(function=False)
def untyped_storage(self: Tensor) -> UntypedStorage:
    return UntypedStorage(self)
