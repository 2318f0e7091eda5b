"""Functions that read and write by index: gather, scatter, index_select, masked_select, ...

Owns: their checks and shapes. Must not know: index expressions (indexing.py).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from lazygrad.autograd.modes import no_grad
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.views import View
from lazygrad.tensor import promotion as P
from lazygrad.tensor.aliasing import adopt, check_inplace, repeated_axes
from lazygrad.tensor.checks import check_filling, checked_index
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, axis_of, node_of, nodes_of, shape_of
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_tensor, declare, inplace_form
from lazygrad.tensor.history import not_differentiated, record, saving
from lazygrad.tensor.indexing import mask_of_places
from lazygrad.tensor.size import extents

# -- functions by index -------------------------------------------------------------------------
from lazygrad.tensor.views import no_view


def check_index(name: str, index: Any, both: bool = True) -> None:
    allowed = (D.int64, D.int32) if both else (D.int64,)
    if index.dtype not in allowed:
        kinds = "int32/int64" if both else "int64"
        raise RuntimeError(f"{name}(): Expected dtype {kinds} for index")


@declare(out="same")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    check_tensor(input, "gather")
    rank = input.ndim
    axis = axis_of(dim, rank)
    if index.numel() == 0:
        nothing = ops.zeros(shape_of(index), input.dtype, input._storage.device)
        given = (input, index)
        return record("GatherBackward0", given, nodes_of(*given), nothing, saves=(0, 1))
    check_index("gather", index)
    if max(index.ndim, 1) != max(rank, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    x = node_of(input)
    _check_fits(
        "Size does not match at dimension {axis} expected index {index} to be no larger "
        "than self {shape} apart from dimension {dim}",
        x.shape,
        shape_of(index),
        axis,
    )
    return gathered(
        input, axis, index, checked_index(index, x.shape[axis] if rank else 1, out_of_range(axis))
    )


def gathered(input: Tensor, axis: int, index: Tensor, i: Node) -> Tensor:
    """`gather` of an index that fits and is in range: `i` is its node."""
    x = node_of(input)
    if x.shape:
        node = ops.gather(_cut(x, i.shape, axis), i, arg=axis)
    else:
        flat, at = ops.reshape(x, arg=(1,)), ops.reshape(i, arg=(i.numel,))
        node = ops.reshape(ops.gather(flat, at, arg=0), arg=i.shape)
    return record("GatherBackward0", (input, index), (x, i), node, saves=(0, 1))


def out_of_range(axis: int) -> str:
    """What PyTorch's gather and scatter say."""
    return f"RuntimeError: index {{value}} is out of bounds for dimension {axis} with size {{size}}"


def _check_fits(text: str, shape: Shape, index: Shape, axis: int) -> None:
    for a, (own, wanted) in enumerate(zip(shape, index)):
        if a != axis and wanted > own:
            raise RuntimeError(
                text.format(axis=a, index=extents(index), shape=extents(shape), dim=axis)
            )


def _cut(x: Node, shape: Shape, axis: int) -> Node:
    """x without what lies beyond the index's extents on the other axes."""
    spans = tuple(
        (0, own if a == axis else wanted, 1) for a, (own, wanted) in enumerate(zip(x.shape, shape))
    )
    if all(stop == own for (_, stop, _), own in zip(spans, x.shape)):
        return x
    return ops.slice_(x, arg=spans)


def scattered(op: Any, x: Node, index: Node, src: Node, axis: int) -> Node:
    """A scatter whose index may be smaller than x and src on every axis."""
    src = _cut(src, index.shape, -1)
    part = _cut(x, index.shape, axis)
    done = op(part, index, src, arg=axis)
    if part is x:
        return done
    return ops.write(x, done, View.contiguous(x.shape).slice(tuple((0, e, 1) for e in part.shape)))


def _scatter_function(name: str, op: Any, grad: str) -> Any:
    def function(
        input: Tensor,
        dim: int,
        index: Tensor,
        src: Any = None,
        *,
        value: Any = None,
        reduce: str | None = None,
    ) -> Tensor:
        check_tensor(input, name)
        if src is None:
            src = value
        axis = axis_of(dim, input.ndim)
        if index.numel() == 0:
            return _nothing_scattered(grad, input, src, index)
        check_index(name, index)
        if reduce is not None:
            mode = {"add": "sum", "multiply": "prod"}[reduce]
            if not isinstance(src, Tensor):
                src = input.new_full(shape_of(index), src)
            with no_grad():
                made = input.scatter_reduce(dim, index, src, mode)
            result = record("", (input, src), nodes_of(input, src), node_of(made))
            return not_differentiated(result, "scatter")
        x0 = node_of(input)
        shape = shape_of(index)
        check_scatter(name, x0.shape, shape, src, axis)
        scalar = not input.ndim
        if isinstance(src, Tensor):
            if src.dtype is not x0.dtype:
                raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
            nodes = nodes_of(input, src)
            sources: tuple[Tensor, ...] = (input, src)
            s = nodes[1]
        else:
            nodes, sources = [x0], (input,)
            s = P.spread_to(P.filling(src, x0.dtype, x0.device), shape)
        x = nodes[0]
        i = checked_index(index, x.shape[axis] if x.shape else 1, out_of_range(axis))
        if scalar:
            x, i = ops.reshape(x, arg=(1,)), ops.reshape(i, arg=(1,))
            s = ops.reshape(s, arg=(1,))
        node = scattered(op, x, i, s, axis)
        return record(
            grad if len(nodes) > 1 else grad.replace("0", "1"),
            (*sources, index),
            [*nodes, i],
            ops.reshape(node, arg=()) if scalar else node,
        )

    function.__name__ = function.__qualname__ = name
    return declare(name, inplace=True, out="same")(function)


def _nothing_scattered(grad: str, input: Tensor, src: Any, index: Tensor) -> Tensor:
    """The result of an empty index: a copy, whose record saves what that of others does."""
    given = [t for t in (input, src, index) if isinstance(t, Tensor)]
    nodes = nodes_of(*given)
    last = len(given) - 1
    saves = ((last, 1),) if "Add" in grad else (last,)
    return record(
        grad if last > 1 else grad.replace("0", "1"), given, nodes, ops.copy(nodes[0]), saves=saves
    )


def check_scatter(name: str, shape: Shape, index: Shape, src: Any, axis: int) -> None:
    if len(index) != len(shape) and index and shape:
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    own = shape_of(src) if isinstance(src, Tensor) else index
    axis_of(axis, len(own))
    if 0 < len(own) < len(index) and all(i <= s for i, s in zip(index, own)):
        axis_of(len(own), len(own))  # PyTorch compares sizes before ranks
    if len(own) != len(index) and own and index:
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    bad = any(i > s for a, (i, s) in enumerate(zip(index, shape)) if a != axis)
    if bad or any(i > s for i, s in zip(index, own)):
        raise RuntimeError(
            f"Expected index {extents(index)} to be no larger than self {extents(shape)} apart "
            f"from dimension {axis} and to be no larger size than src {extents(own)}"
        )


scatter = _scatter_function("scatter", ops.scatter, "ScatterBackward0")
scatter_add = _scatter_function("scatter_add", ops.scatter_add, "ScatterAddBackward0")


_NOT_SELECTED = (
    "IndexError: index out of range in self",
    "RuntimeError: INDICES element is out of DATA bounds, id={value} axis_dim={size}",
)


@declare(out="same")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The given indices along `dim`."""
    check_tensor(input, "index_select")
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (D.int64, D.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    x = node_of(input)
    i = checked_index(index, x.shape[axis] if x.shape else 1, _NOT_SELECTED[axis == 1])
    if not x.shape:
        node = ops.gather(ops.reshape(x, arg=(1,)), ops.reshape(i, arg=(1,)), arg=0)
        node = ops.reshape(node, arg=())
        return record("IndexSelectBackward0", (input, index), (x, node_of(index)), node, saves=(1,))
    count = i.numel
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    column = ops.reshape(i, arg=(1,) * axis + (count,) + (1,) * (len(shape) - axis - 1))
    node = ops.gather(x, P.spread_to(column, shape), arg=axis)
    return record("IndexSelectBackward0", (input, index), (x, node_of(index)), node, saves=(1,))


@declare(out="same")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a vector."""
    if mask.dtype is not D.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = P.joint_shape(shape_of(input), shape_of(mask))
    where = np.flatnonzero(np.broadcast_to(host_values(mask), shape))
    x, m = node_of(input), node_of(mask)
    flat = ops.reshape(P.spread_to(x, shape), arg=(prod(shape),))
    index = node_of(from_values(where.astype(np.int64), D.int64))
    node = ops.gather(flat, index, arg=0)
    return record("MaskedSelectBackward0", (input, mask), (x, m), node, saves=(0, 1))


@declare()
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds."""
    if mask.dtype is not D.bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{P.c_name(mask.dtype)}"
        )
    x = node_of(input)
    m = node_of(mask)
    shape = P.joint_shape(x.shape, m.shape)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        check_filling(value, x.dtype)
        x, v = nodes_of(input, value)
        sources: Any = (input, value)
        nodes = [x, v]
        v = P.cast(v, x.dtype)
    else:
        v, sources, nodes = P.filling(value, x.dtype, x.device), (input,), [x]
    node = ops.where(P.expand_to(m, shape), v, P.expand_to(x, shape))
    node = node if node.shape == shape else P.spread_to(node, shape)
    return record(f"MaskedFillBackward{len(nodes) - 1}", (*sources, mask), [*nodes, m], node)


_masked_fill_once = inplace_form("masked_fill", masked_fill)


@declare(function=False)
def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`masked_fill`, written into this tensor."""
    if not repeated_axes(self):
        return _masked_fill_once(self, mask, value)
    import warnings

    warnings.warn(
        "Use of masked_fill_ on expanded tensors is deprecated. Please clone() the tensor before "
        "performing this operation. This also applies to advanced indexing e.g. "
        "tensor[mask] = scalar",
        stacklevel=2,
    )
    check_inplace(self, (value,), may_repeat=True)
    return adopt(self, masked_fill(self, mask_of_places(self, mask), value))


@declare(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """Elements of `source`, in order, where the mask holds.

    RuntimeError for a mask that is not of bools, another dtype, and fewer elements than wanted.
    """
    check_tensor(mask, "masked_scatter", "mask", 2)
    check_tensor(source, "masked_scatter", "source", 3)
    if input.dtype is not source.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{P.type_name(input.dtype)} and {P.type_name(source.dtype)}"
        )
    if mask.dtype is not D.bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{P.type_name(mask.dtype)}"
        )
    shape = P.joint_shape(shape_of(input), shape_of(mask))
    where = np.flatnonzero(np.broadcast_to(host_values(mask), shape))
    x, s = nodes_of(input, source)
    if s.numel < where.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    index = node_of(from_values(where.astype(np.int64), D.int64))
    flat = ops.reshape(P.spread_to(x, shape), arg=(prod(shape),))
    values = ops.slice_(ops.reshape(s, arg=(s.numel,)), arg=((0, where.size, 1),))
    node = ops.reshape(ops.scatter(flat, index, values, arg=0), arg=shape)
    return saving(record("MaskedScatterBackward0", (input, source), (x, s), node), mask)


@declare(out="same")
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where the elements are not zero."""
    values = host_values(input)
    if as_tuple and not values.ndim:
        values = values.reshape(1)
    found = [where.astype(np.int64) for where in np.nonzero(np.atleast_1d(values))]
    if not input.ndim and not as_tuple:
        return from_values(
            np.zeros((int(bool(values)), 0), np.int64), D.int64, input._storage.device
        )
    # in memory all positions of one axis lie together, as in PyTorch
    places = no_view(from_values(np.stack(found), D.int64, input._storage.device).t())
    return places.unbind(1) if as_tuple else places


@declare()
def argwhere(input: Tensor) -> Tensor:
    return nonzero(input)
