"""Order: sort, topk, median, unique, running extremes, counting into bins.

Owns: everything that compares elements with each other. Must not know: how sorting is done.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from lazygrad.autograd.function import Function
from lazygrad.autograd.graph import refusing
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, axis_of, node_of, wrap, wrap_as
from lazygrad.tensor.creation import dense_order, from_values
from lazygrad.tensor.declare import check_kind, check_tensor, declare, inplace_form, named
from lazygrad.tensor.history import record, record_many, relabelled, saving
from lazygrad.tensor.kernels import require
from lazygrad.tensor.reductions import drop_axes

sort_result = named("sort", "values", "indices")
topk_result = named("topk", "values", "indices")
kthvalue_result = named("kthvalue", "values", "indices")
median_result = named("median", "values", "indices")
mode_result = named("mode", "values", "indices")
cummax_result = named("cummax", "values", "indices")
cummin_result = named("cummin", "values", "indices")


@declare()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along a dim."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    if not x.shape:
        return wrap(ops.zeros((), D.int64, x.device))
    return wrap_as(ops.argsort(x, arg=(axis, descending)), dense_order(input))


@declare(out="same")
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """Values in order along a dim, and where they were."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    if not x.shape:
        values = saving(record("SortBackward0", (input,), (x,), ops.copy(x)))
        return sort_result(values, wrap(ops.zeros((), D.int64, x.device)))
    order = ops.argsort(x, arg=(axis, descending))
    outs = [ops.gather(x, order, arg=axis), order]
    return sort_result(*record_many("SortBackward0", (input,), (x,), outs, dense_order(input)))


@declare(out="same")
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dim."""
    return sort(input, 0)[0]


@declare(out="same")
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) along a dim."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    require("topk", x.dtype)
    k = operator.index(k)
    if not 0 <= k <= (x.shape[axis] if x.shape else 1):
        raise RuntimeError("selected index k out of range")
    if not x.shape:
        values = saving(record("TopkBackward0", (input,), (x,), ops.copy(x)))
        return topk_result(values, wrap(ops.zeros((), D.int64, x.device)))
    order = ops.argrank(x, arg=(axis, largest, 0, k))
    outs = [ops.gather(x, order, arg=axis), order]
    return topk_result(*record_many("TopkBackward0", (input,), (x,), outs))


@declare(out="same")
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest along a dim."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    if x.shape and not x.shape[axis]:
        raise IndexError(f"kthvalue(): Expected reduction dim {axis} to have non-zero size.")
    if not 1 <= k <= (x.shape[axis] if x.shape else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    if x.shape:
        require("kthvalue", x.dtype)
    k = operator.index(k)
    return _at_rank("KthvalueBackward0", kthvalue_result, input, x, axis, k - 1, keepdim)


def _at_rank(
    name: str, result: Any, input: Tensor, x: Node, axis: int, rank: int, keepdim: bool
) -> Any:
    if not x.shape:
        values = saving(record(name, (input,), (x,), ops.copy(x)))
        return result(values, wrap(ops.zeros((), D.int64, x.device)))
    order = ops.argrank(x, arg=(axis, False, rank, 1))
    if x.dtype.kind == "f" and name.startswith(("Median",)):
        # a row with a NaN has NaN as its median
        none = ops.ne(x, x)
        order = ops.where(ops.max_(none, arg=(axis,)), ops.argmax(none, arg=(axis,)), order)
    outs = [
        drop_axes(ops.gather(x, order, arg=axis), (axis,), keepdim),
        drop_axes(order, (axis,), keepdim),
    ]
    return result(*record_many(name, (input,), (x,), outs))


class _Median(Function):
    """The median of all elements. Those that are it, or those that are NaN, share its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        value: Tensor = median(x.reshape(-1), 0)[0]
        ctx.save_for_backward(x, value)
        return value

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, value = ctx.saved_tensors
        same = ((x == value) | (x.isnan() & value.isnan())).to(g.dtype)
        return g / same.sum() * same


class _Nanmedian(_Median):
    """The same of those that are not NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        value: Tensor = nanmedian(x.reshape(-1), 0)[0]
        ctx.save_for_backward(x, value)
        return value


_Median._record.__name__ = "MedianBackward0"
_Nanmedian._record.__name__ = "NanmedianBackward0"


@declare(out=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the middle values."""
    require("median" if dim is None else "median dim", input.dtype)
    if dim is None:
        flat = input.reshape(-1)
        if not flat.numel():
            return input.new_full((), float("nan"))
        return _Median.apply(input)
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    extent = x.shape[axis] if x.shape else 1
    if extent == 0:
        raise IndexError(f"median(): Expected reduction dim {axis} to have non-zero size.")
    return _at_rank("MedianBackward1", median_result, input, x, axis, (extent - 1) // 2, keepdim)


@declare(out="same")
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    require("median" if dim is None else "median dim", input.dtype)
    if dim is None:
        if not input.numel():
            return input.new_full((), float("nan"))
        return _Nanmedian.apply(input)
    axis = axis_of(dim, input.ndim)
    x = node_of(input)
    if x.shape and not x.shape[axis]:
        raise IndexError(f"median(): Expected reduction dim {axis} to have non-zero size.")
    valid = (input == input).sum(axis, keepdim=True)
    order = wrap(ops.argsort(x, arg=(axis, False)))
    middle = ((valid - 1).clamp(min=0)) // 2
    index = order.gather(axis, middle)
    return median_result(*_picked("NanmedianBackward1", input, index, axis, keepdim))


def _picked(
    name: str, input: Tensor, index: Tensor, axis: int, keepdim: bool
) -> tuple[Tensor, Tensor]:
    """The elements at an index of extent 1 along the axis, and that index."""
    x, place = node_of(input), node_of(index)
    picked = drop_axes(ops.gather(x, place, arg=axis), (axis,), keepdim)
    where_from = drop_axes(place, (axis,), keepdim)
    values, indices = record_many(name, (input,), (x,), [picked, where_from])
    return values, indices


@declare(out="same")
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent value along a dim, the smallest of several."""
    values = host_values(input)
    axis = axis_of(dim, input.ndim)
    if input.ndim and not values.shape[axis]:
        raise IndexError(f"mode(): Expected reduction dim {axis} to have non-zero size.")
    if input.ndim and not values.size:
        shape = tuple(1 if a == axis else n for a, n in enumerate(values.shape))
        index = from_values(np.zeros(shape, np.int64), D.int64, input._storage.device)
        return mode_result(*_picked("ModeBackward0", input, index, axis, keepdim))
    if not input.ndim:
        return mode_result(input.clone(), wrap(ops.zeros((), D.int64, input._storage.device)))

    def pick(row: np.ndarray) -> int:
        if row.dtype.kind == "f" and np.isnan(row).any():
            return _mode_beside_nan(row.tolist())
        found, counts = np.unique(row, return_counts=True, equal_nan=False)
        most = found[counts.argmax()]
        same = row == most if most == most else row != row  # NaNs are the largest, each for itself
        return int(np.flatnonzero(same)[-1])

    where = np.apply_along_axis(pick, axis, values)
    index = from_values(np.expand_dims(where, axis), D.int64, input._storage.device)
    return mode_result(*_picked("ModeBackward0", input, index, axis, keepdim))


def _mode_beside_nan(row: list[float]) -> int:
    """Where PyTorch finds the mode. It sorts by `<`, to which NaN is in order anywhere, and counts
    neighbours that are equal: up to 16 elements its sort is one by insertion, as here."""
    order: list[int] = []
    for i, value in enumerate(row):
        at = i
        if i and value < row[order[0]]:
            at = 0
        else:
            while at and value < row[order[at - 1]]:
                at -= 1
        order.insert(at, i)
    best, most, count = order[0], 0, 0
    for i, here in enumerate(order):
        count += 1
        if i == len(order) - 1 or row[here] != row[order[i + 1]]:
            if count > most:
                best, most = here, count
            count = 0
    return best


# -- running ------------------------------------------------------------------------------------


@declare(out="own")
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Sums of all elements up to each."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    kind = dtype or (x.dtype if x.dtype.kind == "f" else D.int64)
    if x.shape and x.numel:
        require("cumsum_", kind)
    value = P.cast(x, kind)
    node = ops.cumsum(value, arg=axis) if x.shape else ops.copy(value)
    return record("CumsumBackward0", (input,), (x,), node)


@declare(out="own")
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Products of all elements up to each."""
    x = node_of(input)
    axis = axis_of(dim, len(x.shape))
    kind = dtype or (x.dtype if x.dtype.kind == "f" else D.int64)
    if x.shape and x.numel:
        require("cumprod_", kind)
    value = P.cast(x, kind)
    node = ops.cumprod(value, arg=axis) if x.shape else ops.copy(value)
    result = record("CumprodBackward0", (input,), (x,), node)
    return result if x.shape else saving(result, input, result)


def _running_inplace(function: Any) -> None:
    """`cumsum_` and `cumprod_`: computed in the tensor's own dtype."""
    name = function.__name__

    def run(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        if dtype is not None and dtype is not self.dtype:
            raise RuntimeError(
                f"Bad in-place call: input tensor dtype {P.c_name(self.dtype)} and output tensor "
                f"dtype {P.c_name(dtype)} should match"
            )
        return function(self, dim, dtype=self.dtype)

    run.__name__ = f"{name}_"
    declare(f"{name}_", function=False)(inplace_form(name, run))


_running_inplace(cumsum)
_running_inplace(cumprod)


def _running(name: str, op: Any, result: Any) -> Any:
    """cummax and cummin: the positions, and the values gathered from them."""

    def function(input: Tensor, dim: int) -> Any:
        x = node_of(input)
        axis = axis_of(dim, len(x.shape))
        if not x.shape:
            outs = [ops.copy(x), ops.zeros((), D.int64, x.device)]
        else:
            index = op(x, arg=axis)
            outs = [ops.gather(x, index, arg=axis), index]
        made = record_many(f"{name.capitalize()}Backward0", (input,), (x,), outs)
        return result(saving(made[0], input), made[1])

    function.__name__ = function.__qualname__ = name
    return declare(name, out="same")(function)


cummax = _running("cummax", ops.argcummax, cummax_result)
cummin = _running("cummin", ops.argcummin, cummin_result)


@declare(out="same")
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """The logarithm of the sums of exponentials up to each element."""
    x = node_of(input)
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"\"logcumsumexp_out_cpu\" not implemented for '{P.type_name(x.dtype)}'"
        )
    axis = axis_of(dim, len(x.shape))
    node = ops.logcumsumexp(x, arg=axis) if x.shape else ops.copy(x)
    result = record("LogcumsumexpBackward0", (input,), (x,), node)
    return result if x.shape else saving(result, input, result)


# -- sets and bins ------------------------------------------------------------------------------


def _without_gradient(input: Tensor, values: np.ndarray, name: str) -> Tensor:
    """What was found among the values of `input`: backward raises."""
    node = node_of(from_values(values, input.dtype, input._storage.device))
    result = record("NotImplemented", (input,), (node_of(input),), node)
    words = f"the derivative for '{name}' is not implemented."
    return relabelled(result, refusing("NotImplemented", NotImplementedError, words))


@declare()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values, in order."""
    check_kind(sorted, bool, "_unique2", "sorted", 2)
    values = host_values(input)
    found, inverse, counts = np.unique(
        values, return_inverse=True, return_counts=True, axis=dim, equal_nan=False
    )
    parts = [_without_gradient(input, found, "_unique2" if dim is None else "unique_dim")]
    if return_inverse:
        shape = values.shape if dim is None else (values.shape[dim],)
        parts.append(
            from_values(inverse.astype(np.int64).reshape(shape), D.int64, input._storage.device)
        )
    if return_counts:
        parts.append(from_values(counts.astype(np.int64), D.int64, input._storage.device))
    return parts[0] if len(parts) == 1 else tuple(parts)


@declare()
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The values without repetitions in a row."""
    check_tensor(input, "unique_consecutive")
    check_kind(return_inverse, bool, "unique_consecutive", "return_inverse", 2)
    check_kind(return_counts, bool, "unique_consecutive", "return_counts", 3)
    if dim is not None:
        check_kind(dim, int, "unique_consecutive", "dim", 4)
    values = host_values(input)
    axis = None if dim is None else axis_of(dim, input.ndim)
    if axis is not None and any(not n for a, n in enumerate(values.shape) if a != axis):
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    flat = values.reshape(-1) if axis is None else np.moveaxis(values, axis, 0)
    rows = flat.reshape(len(flat), int(np.prod(flat.shape[1:], dtype=int)))
    starts = np.ones(len(flat), bool)
    starts[1:] = (rows[1:] != rows[:-1]).any(1)
    kept = flat[starts]
    if dim is not None:
        kept = np.moveaxis(kept, 0, dim)
    parts = [_without_gradient(input, kept, "unique_consecutive")]
    inverse = np.cumsum(starts) - 1
    if return_inverse:
        parts.append(
            from_values(
                inverse.reshape(values.shape if dim is None else -1), D.int64, input._storage.device
            )
        )
    if return_counts:
        parts.append(
            from_values(np.bincount(inverse).astype(np.int64), D.int64, input._storage.device)
        )
    return parts[0] if len(parts) == 1 else tuple(parts)


@declare(out="same")
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    for at, given in enumerate((elements, test_elements), 1):
        check_kind(given, (Tensor, int, float), "isin", "test_elements"[5 * (2 - at) :], at)
        if isinstance(given, Tensor):
            require("isin", given.dtype)
    a = host_values(elements) if isinstance(elements, Tensor) else np.asarray(elements)
    b = (
        host_values(test_elements)
        if isinstance(test_elements, Tensor)
        else np.asarray(test_elements)
    )
    made = from_values(np.isin(a, b, invert=invert), D.bool_)
    return made.to(elements.device) if isinstance(elements, Tensor) else made
