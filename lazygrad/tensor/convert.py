"""Conversions: other dtypes and devices, copies, Python values, and how a tensor prints.

Owns: `to` and its kin, `clone`, `contiguous`, `item`, `tolist`, `repr`. Must not know: any math.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.interp import from_storage
from lazygrad.realize import realize_nodes, realize_soon, value_read
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, node_of
from lazygrad.tensor.creation import check_dtype, dense_order
from lazygrad.tensor.declare import check_tensor, declare, layout_order
from lazygrad.tensor.history import fn_of, needs_grad, record
from lazygrad.tensor.printing import tensor_text
from lazygrad.tensor.relief import values_computed
from lazygrad.tensor.size import device, device_name
from lazygrad.tensor.storage import reads, settle, used_up


def host_values(t: Tensor) -> np.ndarray:
    """The values in the compute dtype, computed now. Not to be written to."""
    value_read("the value of a tensor")
    before = len(reads)
    node = node_of(t)
    if node.buffer is None:
        realize_nodes([node])
        values_computed()
    if len(reads) > before:
        used_up(before)
    stored = node.buffer.array(node.dtype.np, node.shape)
    return from_storage(stored, node.dtype)


def realize(*tensors: Tensor) -> None:
    """Compute all of these now, in one program."""
    pending = []
    for t in tensors:
        held = t._storage.node
        if held is None or held.buffer is None:  # a view of values that are there needs no copy
            pending.append(node_of(t))
    if pending:
        realize_soon([node for node in pending if node.buffer is None])
        values_computed()
    if reads:
        settle([])


@declare("realize", function=False)
def _realize(self: Tensor) -> Tensor:
    realize(self)
    return self


# -- dtypes and devices -------------------------------------------------------------------------


def cast_tensor(t: Tensor, dtype: DType, copy: bool = False) -> Tensor:
    if t._storage.dtype is dtype and not copy:
        return t
    x = node_of(t)
    node = ops.copy(x) if x.dtype is dtype else ops.cast(x, arg=dtype)
    name = "CloneBackward0" if x.dtype is dtype else "ToCopyBackward0"
    return record(name, (t,), (x,), node, layout_order((t,), x.shape))


@declare(function=False)
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor in a dtype, on a device, or as another tensor."""
    check_tensor(self, "to", "self")
    dtype: DType | None = kwargs.pop("dtype", None)
    where: Any = kwargs.pop("device", None)
    copy = kwargs.pop("copy", False)
    kwargs.pop("non_blocking", None)
    kwargs.pop("memory_format", None)
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() received an invalid combination of arguments - got {kwargs}")
    for position, value in enumerate(args):
        if isinstance(value, Tensor):
            other = value
        elif isinstance(value, DType) or value in (float, int, bool):
            dtype = check_dtype(value, "to")
        elif isinstance(value, bool):
            if position == len(args) - 1 and position > 1:
                copy = value
        elif isinstance(value, (str, device, int)):
            where = value
        elif value is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({value.__class__.__name__}), but expected one of:\n"
                " * (lazygrad.device device = None, lazygrad.dtype dtype = None, *, bool copy)\n"
                " * (lazygrad.dtype dtype, *, bool copy)\n * (Tensor other, *, bool copy)"
            )
    if other is not None:
        dtype, where = other.dtype, other.device
    if where is not None:
        name = device_name(where)
        if name != self._storage.device:
            self, copy = moved(self, name), False
    return cast_tensor(self, dtype or self.dtype, copy)


def moved(t: Tensor, name: str) -> Tensor:
    """A copy on another device."""
    x = node_of(t)
    order = layout_order((t,), x.shape)
    return record("ToCopyBackward0", (t,), (x,), ops.to_device(x, name), order)


def _dtype_method(name: str, dtype: DType) -> None:
    def function(self: Tensor, *, memory_format: Any = None) -> Tensor:
        try:
            return cast_tensor(self, dtype)
        except AttributeError:
            check_tensor(self, name, "self")
            raise

    function.__name__ = name
    declare(name, function=False)(function)


for _name, _dtype in (
    ("float", D.float32),
    ("double", D.float64),
    ("half", D.float16),
    ("bfloat16", D.bfloat16),
    ("long", D.int64),
    ("int", D.int32),
    ("short", D.int16),
    ("char", D.int8),
    ("byte", D.uint8),
    ("bool", D.bool_),
):
    _dtype_method(_name, _dtype)


@declare(function=False)
def type_as(self: Tensor, other: Tensor) -> Tensor:
    return cast_tensor(self, other.dtype)


@declare(function=False)
def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor type, or the tensor in another one."""
    if dtype is None:
        return f"lazygrad.{P.type_name(self.dtype)}Tensor"
    if isinstance(dtype, str):
        stem = dtype.rpartition(".")[2].removesuffix("Tensor")
        found = [d for d in D.ALL if P.type_name(d) == stem]
        if not found:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = found[0]
    return cast_tensor(self, getattr(dtype, "_dtype", None) or check_dtype(dtype, "type"))  # type: ignore[arg-type]


@declare(function=False)
def cpu(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """This tensor, or a copy of it in the host's memory."""
    return self if self.is_cpu else moved(self, device_name("cpu"))


@declare(function=False)
def cuda(
    self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    """This tensor, or a copy of it on a GPU."""
    name = device_name("cuda" if device is None else device)
    return self if name == self._storage.device else moved(self, name)


@declare()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own."""
    x = node_of(input)
    rows = memory_format is not None and str(memory_format).endswith(".contiguous_format")
    order = None if rows else dense_order(input)
    return record("CloneBackward0", (input,), (x,), ops.copy(x), order)


@declare(function=False)
def contiguous(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """This tensor if its memory is row-major, else a copy that is."""
    check_tensor(self, "contiguous", "self")
    if self.is_contiguous():
        return self
    x = node_of(self)
    return record("CloneBackward0", (self,), (x,), ops.copy(x))


# -- Python values ------------------------------------------------------------------------------


@declare(function=False)
def item(self: Tensor) -> Any:
    """The one element as a Python number."""
    check_tensor(self, "item", "self")
    if self.numel() != 1:
        raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
    return host_values(self).reshape(()).item()


@declare(function=False)
def tolist(self: Tensor) -> Any:
    return host_values(self).tolist()


def to_bool(self: Tensor) -> bool:
    count = self.numel()
    if count == 1:
        return bool(item(self))
    if count == 0:
        raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
    raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")


def to_index(self: Tensor) -> int:
    if self.numel() != 1 or self.dtype.kind == "f":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(self))


def to_format(self: Tensor, spec: str) -> str:
    if self.ndim == 0:
        return format(item(self), spec)
    return object.__format__(self, spec)


def tensor_repr(self: Tensor, *, tensor_contents: Any = None) -> str:
    meta = self._meta
    wants = meta is not None and needs_grad(self)
    made_by = fn_of(self)
    fn = None if made_by is None else made_by.name()
    named = self.__class__ is not Tensor and self._keeps_class  # a user's subclass
    return tensor_text(
        host_values(self),
        dtype=self.dtype.name,
        device=str(self.device),
        requires_grad=wants,
        grad_fn=fn,
        default_dtype=P.default.dtype.name,
        prefix=f"{self.__class__.__name__}(" if named else "tensor(",
    )
