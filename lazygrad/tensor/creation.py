"""Tensors made of sizes and a number.

Owns: every function that makes a tensor out of sizes and a number to fill it with, and the errors
of impossible sizes. Must not know: other data (see from_data.py) or random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.interp import to_storage
from lazygrad.ir.node import Node
from lazygrad.ir.views import View
from lazygrad.runtime.device import from_array
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, node_of, shape_of, wrap, wrap_as
from lazygrad.tensor.declare import check_tensor, declare, layout_order
from lazygrad.tensor.out import makes
from lazygrad.tensor.size import device_name, extents
from lazygrad.tensor.views import size_args

_LIMIT = 2**63 - 1


def check_dtype(dtype: Any, name: str) -> DType | None:
    """A dtype, also in Python's spelling (`float`, `int`, `bool`). Raises TypeError."""
    if dtype is None or isinstance(dtype, DType):
        return dtype
    found = _PYTHON_DTYPES.get(dtype) if isinstance(dtype, type) else None
    if found is None:
        raise TypeError(
            f"{name}(): argument 'dtype' must be lazygrad.dtype, not {type(dtype).__name__}"
        )
    return found


_PYTHON_DTYPES: dict[Any, DType] = {float: D.float64, int: D.int64, bool: D.bool_}


def check_sizes(shape: tuple[int, ...], dtype: DType) -> None:
    """Raise for negative sizes and for more bytes than can be counted."""
    total = dtype.itemsize
    for extent in shape:
        if extent < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {extent}: {extents(shape)}"
            )
        total *= extent
    if total > _LIMIT:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={extents(shape)}")


def leaf(node: Node, requires_grad: bool = False) -> Tensor:
    made = wrap(node)
    if requires_grad:
        made.requires_grad = True
    return made


def from_values(values: np.ndarray, dtype: DType, where: str = "cpu") -> Tensor:
    """A tensor with a copy of values given in the dtype's compute type."""
    stored = to_storage(np.asarray(values), dtype)
    return wrap(ops.buffer_leaf(from_array(stored, where), values.shape, dtype, where))


# -- filled -------------------------------------------------------------------------------------


def filled_node(value: Any, shape: tuple[int, ...], dtype: DType, where: str) -> Node:
    """A value of the library's own (0, 1) everywhere."""
    check_sizes(shape, dtype)
    node = ops.const(value, dtype, where)
    return node if not shape else P.spread_to(node, shape)


def _filled(name: str, value: Any) -> Any:
    def function(
        *sizes: Any,
        size: Any = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        names: Any = None,
        memory_format: Any = None,
    ) -> Tensor:
        dtype = check_dtype(dtype, name) or P.default.dtype
        shape = size_args(sizes if size is None else (size,), name)
        if name == "zeros" and any(extent < 0 for extent in shape):
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        return leaf(filled_node(value, shape, dtype, device_name(device)), requires_grad)

    function.__name__ = function.__qualname__ = name
    return makes(function)


zeros = _filled("zeros", 0)
ones = _filled("ones", 1)
empty = _filled("empty", 0)


@makes
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`fill_value` everywhere."""
    where = device_name(device)
    dtype = check_dtype(dtype, "full")
    if isinstance(size, int):
        raise TypeError("full(): argument 'size' (position 1) must be tuple of ints, not int")
    shape = size_args((size,), "full")
    if isinstance(fill_value, Tensor):
        from lazygrad.tensor.checks import check_filling

        if fill_value.ndim:
            raise TypeError("full(): argument 'fill_value' (position 2) must be Number, not Tensor")
        kinds = {"f": P.default.dtype, "b": D.bool_}  # as of the number that it is
        dtype = dtype or kinds.get(fill_value.dtype.kind, D.int64)
        check_filling(fill_value, dtype)
        node = P.cast(node_of(fill_value), dtype)
    else:
        fill_value = P.number_from(fill_value)
        dtype = dtype or P.python_dtype(fill_value)
        node = P.filling(fill_value, dtype, where, halves=False)
    check_sizes(shape, node.dtype)
    node = node if not shape else P.spread_to(node, shape)
    return leaf(node if node.srcs else ops.copy(node), requires_grad)


def dense_order(t: Tensor) -> list[int] | None:
    """The order of axes in memory of a copy of t that keeps its layout; None: row-major."""
    return layout_order((t,), shape_of(t))


def laid_out(made: Tensor, like: Tensor, requires_grad: bool) -> Tensor:
    """A new leaf of the values of `made`, in the layout of `like`."""
    order = dense_order(like)
    found = made if order is None else wrap_as(node_of(made), order)
    return found.requires_grad_() if requires_grad else found


def _like(name: str, value: Any) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        check_tensor(input, name)
        kind = check_dtype(dtype, name) or input.dtype
        where = input._storage.device if device is None else device_name(device)
        made = wrap_as(filled_node(value, shape_of(input), kind, where), dense_order(input))
        if requires_grad:
            made.requires_grad = True
        return made

    function.__name__ = function.__qualname__ = name
    return function


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", 0)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    dtype = dtype or input.dtype
    if not isinstance(fill_value, Tensor):
        P.filling(fill_value, dtype, "cpu")
    made = full(shape_of(input), fill_value, dtype=dtype, device=device or input.device)
    return laid_out(made, input, requires_grad)


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """A tensor of these sizes and steps in memory, of any values."""
    no_more("empty_strided", more)
    view = View(tuple(size), tuple(stride))
    room = view.bounds()[1] + 1 if view.numel else 0
    made = zeros(room, dtype=dtype, device=device).as_strided(view.shape, view.strides)
    return made.requires_grad_(requires_grad)


# -- methods of tensors that make others of their dtype -----------------------------------------


_IGNORED = {"layout", "pin_memory", "names", "memory_format"}


def no_more(name: str, more: dict[str, Any]) -> None:
    unknown = more.keys() - _IGNORED
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument '{min(unknown)}'")


def _new_kind(name: str, make: Any) -> Any:
    def function(
        self: Tensor,
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        **more: Any,
    ) -> Tensor:
        size = size or (more.pop("size"),)
        no_more(name, more)
        kind, where = dtype or self.dtype, device or self.device
        return make(*size, dtype=kind, device=where, requires_grad=requires_grad)

    function.__name__ = name
    return declare(name, function=False)(function)


_new_kind("new_zeros", zeros)
_new_kind("new_ones", ones)
_new_kind("new_empty", empty)


@declare(function=False)
def new_empty_strided(
    self: Tensor,
    size: Any,
    stride: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    """`empty_strided` of this tensor's dtype and device."""
    no_more("new_empty_strided", more)
    kind, where = dtype or self.dtype, device or self.device
    return empty_strided(size, stride, dtype=kind, device=where, requires_grad=requires_grad)


@declare(function=False)
def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **more: Any,
) -> Tensor:
    no_more("new_full", more)
    kind, where = dtype or self.dtype, device or self.device
    if not isinstance(fill_value, Tensor):
        P.filling(fill_value, kind, "cpu")
    return full(size, fill_value, dtype=kind, device=where, requires_grad=requires_grad)
