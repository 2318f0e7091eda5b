"""The CUDA array interface, version 3: GPU memory shared with CuPy, Numba, PyTorch and their like.

Owns: `Tensor.__cuda_array_interface__`, and tensors on the memory of an object that has it. Must
not know: how shared memory is kept consistent (storage.py does that).

https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html says what the entries mean. A
consumer waits for the stream that is named, which is ours; we wait for the producer's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir.views import View
from lazygrad.runtime.device import device as opened
from lazygrad.tensor import storage as memory
from lazygrad.tensor.core import Tensor, view_of
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.numpy_bridge import on_memory

VERSION = 3
INTERFACE = "__cuda_array_interface__"


def interface(self: Tensor) -> dict[str, Any]:
    """The memory of a GPU's tensor, which stays where it is from now on.

    Raises AttributeError for a tensor that is not on a GPU, RuntimeError for one that requires a
    gradient, TypeError for bfloat16, which has no type string.
    """
    if not self.is_cuda:
        raise AttributeError(
            f"Can't get {INTERFACE} on non-CUDA tensor type: {self.type()} If CUDA data is "
            "required use tensor.cuda() to copy tensor to device memory."
        )
    if needs_grad(self):
        raise RuntimeError(
            f"Can't get {INTERFACE} on Variable that requires grad. If gradients aren't required, "
            "use var.detach() to get Variable that doesn't require grad."
        )
    if self.dtype is D.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16: numpy has no such dtype.")
    shared = memory.pin(self._storage)
    shared.forever = True  # nobody says when it is no longer used
    view, size = view_of(self), self.itemsize
    return {
        "shape": view.shape,
        "typestr": shared.dtype.np.str,
        "data": (shared.buffer.address + view.offset * size if view.numel else 0, shared.read_only),
        "strides": None if view.is_contiguous else tuple(step * size for step in view.strides),
        "version": VERSION,
        "stream": opened(shared.device).stream,
    }


def taken(producer: Any) -> Tensor:
    """A tensor on the memory of an object with the interface, which it keeps.

    Raises TypeError or ValueError for what no tensor can be on (a dtype, strides, a mask),
    BufferError for an address that is on no device.
    """
    from lazygrad.runtime.cuda import streams

    given = getattr(producer, INTERFACE)
    kind = np.dtype(given["typestr"])
    if not kind.isnative or given.get("mask") is not None:
        raise ValueError(f"{INTERFACE}: masks and foreign byte orders are not supported")
    dtype = D.from_numpy_dtype(kind)
    shape = tuple(given["shape"])
    view = View.contiguous(shape)
    steps = given.get("strides")
    if steps is not None:
        if any(step < 0 or step % dtype.itemsize for step in steps):
            raise ValueError(f"{INTERFACE}: strides {steps} are not supported")
        view = View(shape, tuple(step // dtype.itemsize for step in steps))
    address, read_only = given["data"]
    number = streams.device_of(address) if math.prod(shape) else 0
    where = opened(f"cuda:{number}")
    stream = given.get("stream")
    if stream is not None:
        where.after(stream)
    return on_memory(where, address, dtype, shape, view, producer, bool(read_only))
