"""Tensors put together, repeated, flipped and rolled.

Owns: cat, stack and their kin, repeat, tile, flip, roll, pad by constants, meshgrid. Must not
know: how copies are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.autograd.composite import composite
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.views import View
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, axis_of, node_of, nodes_of, shape_of, wrap
from lazygrad.tensor.creation import dense_order, from_values
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.history import record
from lazygrad.tensor.size import extents
from lazygrad.tensor.views import size_args, unsafe_view


def _tensors(tensors: Any, name: str) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}"
            )
    return list(tensors)


def _some(tensors: Any, name: str) -> list[Tensor]:
    found = _tensors(tensors, name)
    if not found:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return found


def cat_nodes(nodes: Sequence[Node], axis: int) -> Node:
    """Each part padded to the whole and added; the parts do not overlap."""
    total = sum(node.shape[axis] for node in nodes)
    first = nodes[0]
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    result = ops.zeros(shape, first.dtype, first.device)
    whole = View.contiguous(shape)
    at = 0
    for node in nodes:
        size = node.shape[axis]
        spans = tuple((at, at + size, 1) if a == axis else (0, e, 1) for a, e in enumerate(shape))
        if size:
            result = ops.write(result, node, whole.slice(spans))
        at += size
    return result


@declare("cat", "concat", "concatenate", method=False, out="joined")
def cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors one after another along a dim."""
    given = _tensors(tensors, "cat")
    dim = dim if axis is None else axis
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, t in enumerate(given):
        if not t.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    every = nodes_of(*given)
    nodes = [node for node in every if node.shape != (0,)] or every[:1]
    rank = len(nodes[0].shape)
    along = axis_of(dim, rank)
    for i, node in enumerate(nodes):
        if len(node.shape) != rank:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {rank} and {len(node.shape)}"
            )
        for a, (x, y) in enumerate(zip(nodes[0].shape, node.shape)):
            if a != along and x != y:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {along}. Expected size {x} "
                    f"but got size {y} for tensor number {i} in the list."
                )
    dtype = P.common_dtype(tuple(every))
    value = cat_nodes([P.cast(node, dtype) for node in nodes], along)
    return record("CatBackward0", given, every, value)


@declare(method=False, out="joined")
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dim."""
    given = _tensors(tensors, "stack")
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = shape_of(given[0])
    for i, t in enumerate(given):
        if shape_of(t) != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {extents(shape)} at entry 0 "
                f"and {extents(shape_of(t))} at entry {i}"
            )
    along = axis_of(dim, len(shape) + 1)
    nodes = nodes_of(*given)
    dtype = P.common_dtype(tuple(nodes))
    parts = [
        ops.reshape(P.cast(node, dtype), arg=(*shape[:along], 1, *shape[along:])) for node in nodes
    ]
    return record("StackBackward0", given, nodes, cat_nodes(parts, along))


def atleast(rank: int, t: Tensor) -> Tensor:
    """With leading axes (a third one goes last, as in numpy)."""
    if t.ndim == 0:
        return t.reshape((1,) * rank)
    if t.ndim < rank:
        t = t if t.ndim >= 2 or rank < 2 else t.unsqueeze(0)
        if t.ndim < rank:
            t = t.unsqueeze(-1)
    return t


def _atleast(rank: int) -> Any:
    def function(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return atleast(rank, tensors[0])
        many = tensors[0] if len(tensors) == 1 else tensors
        if not isinstance(many, (tuple, list)):
            raise TypeError(
                f"atleast_{rank}d() received an invalid combination of arguments - got "
                f"({type(many).__name__}), but expected one of: (Tensor input), (tuple of Tensors "
                "tensors)"
            )
        for number, t in enumerate(many):
            if not isinstance(t, Tensor):
                raise TypeError(
                    f"expected Tensor as element {number} in argument 0, but got {type(t).__name__}"
                )
        return tuple(atleast(rank, t) for t in many)

    return declare(f"atleast_{rank}d", method=False)(function)


atleast_1d, atleast_2d, atleast_3d = (_atleast(rank) for rank in (1, 2, 3))


@declare(method=False, out="joined")
def hstack(tensors: Any) -> Tensor:
    parts = [atleast(1, t) for t in _some(tensors, "hstack")]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@declare("vstack", "row_stack", method=False, out="joined")
def vstack(tensors: Any) -> Tensor:
    return cat([atleast(2, t) for t in _some(tensors, "vstack")], 0)


@declare(method=False, out="joined")
def dstack(tensors: Any) -> Tensor:
    return cat([atleast(3, t) for t in _some(tensors, "dstack")], 2)


@declare(method=False, out="joined")
def column_stack(tensors: Any) -> Tensor:
    given = _some(tensors, "column_stack")
    columns = [t.reshape(-1, 1) if t.ndim <= 1 else t for t in given]
    return cat(columns, 1)


@declare(method=False)
@composite("BlockDiagBackward0", saves=())
def block_diag(*tensors: Tensor) -> Tensor:
    parts = [atleast(2, t) for t in tensors]
    width = sum(t.shape[1] for t in parts)
    rows, at = [], 0
    for t in parts:
        before = t.new_zeros(t.shape[0], at)
        after = t.new_zeros(t.shape[0], width - at - t.shape[1])
        rows.append(cat([before, t, after], 1))
        at += t.shape[1]
    return cat(rows, 0)


# -- repeated -----------------------------------------------------------------------------------


@declare(function=False)
def repeat(self: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """Copies side by side, so many along each dim."""
    check_tensor(self, "repeat", "self")
    counts = size_args(sizes if repeats is None else (*sizes, repeats), "repeat")
    shape = shape_of(self)
    lead = len(counts) - len(shape)
    if lead < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions "
            "of tensor"
        )
    for count in counts:
        if count < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {count}: {extents(counts)}"
            )
    own = (1,) * lead + shape
    x = node_of(self)
    between = tuple(e for extent in own for e in (1, extent))
    spread = tuple(e for count, extent in zip(counts, own) for e in (count, extent))
    node = ops.reshape(x, arg=between)
    if spread != between:
        node = ops.expand(node, arg=spread)
    node = ops.reshape(node, arg=tuple(c * e for c, e in zip(counts, own)))
    return record("RepeatBackward0", (self,), (x,), ops.copy(node))


@declare(sizes="dims")
def tile(input: Tensor, *dims: Any) -> Tensor:
    counts = size_args(dims, "tile")
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


@declare()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element so many times in a row."""
    if repeats is None and dim is None and input.ndim == 1 and input.dtype.kind != "f":
        counts = input.tolist()
        return from_values(np.repeat(np.arange(len(counts)), counts), D.int64)
    if dim is None:
        input, dim = input.flatten(), 0
    axis = axis_of(dim, input.ndim)
    extent = shape_of(input)[axis]
    check_kind(repeats, (int, Tensor, np.integer), "repeat_interleave", "repeats", 2)
    if isinstance(repeats, Tensor):
        repeats = repeats.tolist()
    if np.ndim(repeats) and len(repeats) not in (1, extent):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{len(repeats)} and input.size({axis}) = {extent}"
        )
    counts = np.broadcast_to(np.asarray(repeats, np.int64), (extent,))
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    if not np.ndim(repeats):
        shape = list(shape_of(input))
        spread = input.unsqueeze(axis + 1)
        spread = spread.expand(*shape[: axis + 1], int(repeats), *shape[axis + 1 :])
        spread = spread.clone(memory_format="lazygrad.contiguous_format")
        return spread.view(*shape[:axis], extent * int(repeats), *shape[axis + 1 :])
    index = from_values(np.repeat(np.arange(extent), counts), D.int64)
    return input.index_select(axis, index)


# -- moved --------------------------------------------------------------------------------------


@declare(sizes="dims")
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The order along some dims reversed."""
    rank = input.ndim
    axes = tuple(axis_of(d, rank) for d in size_args(dims, "flip"))
    if len(set(axes)) != len(axes):
        twice = next(a for i, a in enumerate(axes) if a in axes[:i])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    x = node_of(input)
    node = ops.copy(ops.flip(x, arg=axes) if axes and rank else x)
    return record("FlipBackward0", (input,), (x,), node, dense_order(input))


@declare()
def fliplr(input: Tensor) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@declare()
def flipud(input: Tensor) -> Tensor:
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


@declare()
@composite("Rot90Backward0", saves=())
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k quarters of a circle from the first of two dims to the second.

    RuntimeError unless there are two different dims, and two in the tensor.
    """
    check_tensor(input, "rot90")
    check_kind(k, int, "rot90", "k", 2)
    check_kind(dims, (tuple, list), "rot90", "dims", 3)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = dims
    if axis_of(a, input.ndim) == axis_of(b, input.ndim):
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {a} and dim1 = {b}"
        )
    k %= 4
    if k == 1:
        return flip(input.transpose(a, b), a)
    if k == 2:
        return flip(input, a, b)
    if k == 3:
        return flip(input.transpose(a, b), b)
    return input.clone()


@declare()
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved around the end of some dims."""
    for position, (argument, given) in enumerate((("shifts", shifts), ("dims", dims)), 2):
        if isinstance(given, str):
            raise TypeError(
                f"roll(): argument '{argument}' (position {position}) must be tuple of ints, "
                "not str"
            )
    steps = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    x = node_of(input)
    if not axes:
        if len(steps) != 1:
            raise RuntimeError(
                f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}"
            )
        node = ops.reshape(_rolled(ops.reshape(x, arg=(x.numel,)), steps[0], 0), arg=x.shape)
    else:
        if len(steps) != len(axes):
            raise RuntimeError(
                f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}"
            )
        node = x
        for step, dim in zip(steps, axes):
            node = _rolled(node, step, axis_of(dim, len(x.shape)))
    return record("RollBackward0", (input,), (x,), ops.copy(node))


def _rolled(node: Node, step: int, axis: int) -> Node:
    extent = node.shape[axis] if node.shape else 0
    step = step % extent if extent else 0
    if not step:
        return node

    def part(first: int, stop: int) -> Node:
        return ops.slice_(
            node,
            arg=tuple(
                (first, stop, 1) if a == axis else (0, e, 1) for a, e in enumerate(node.shape)
            ),
        )

    return cat_nodes([part(extent - step, extent), part(0, extent - step)], axis)


def pad_node(x: Node, widths: Sequence[tuple[int, int]], value: Any = 0) -> Node:
    """x with a constant around it; negative widths cut."""
    spans = tuple((max(0, -lo), e - max(0, -hi), 1) for (lo, hi), e in zip(widths, x.shape))
    if any(span != (0, e, 1) for span, e in zip(spans, x.shape)):
        x = ops.slice_(x, arg=spans)
    grow = tuple((max(0, lo), max(0, hi)) for lo, hi in widths)
    if not any(lo or hi for lo, hi in grow):
        return ops.copy(x)
    if value == 0:
        return ops.pad(x, arg=grow)
    shape = tuple(lo + e + hi for (lo, hi), e in zip(grow, x.shape))
    room = P.spread_to(P.scalar(value, x.dtype, x.device), shape)
    inside = tuple((lo, lo + e, 1) for (lo, _), e in zip(grow, x.shape))
    return ops.write(ops.copy(room), x, View.contiguous(shape).slice(inside))


@composite("ConstantPadNdBackward0", saves=())
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """`pad` lists the widths before and after, from the last dim backwards."""
    check_tensor(input, "constant_pad_nd")
    pad = size_args((pad,), "constant_pad_nd") if isinstance(pad, (tuple, list)) else pad
    check_kind(pad, tuple, "constant_pad_nd", "pad", 2)
    check_kind(value, (int, float, np.number, np.bool_), "constant_pad_nd", "value", 3)
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    rank = input.ndim
    if len(pad) // 2 > rank:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)} while the input has {rank} dimensions."
        )
    widths = [(0, 0)] * rank
    for i in range(len(pad) // 2):
        widths[rank - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    for axis, ((lo, hi), extent) in enumerate(zip(widths, shape_of(input))):
        if lo + hi + extent < 0:
            raise RuntimeError(
                f"The input size {extent}, plus negative padding {lo} and {hi} resulted in a "
                f"negative output size, which is invalid. Check dimension {axis} of your input."
            )
    return wrap(pad_node(node_of(input), widths, value))


# -- broadcast together -------------------------------------------------------------------------


@declare(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape: tuple[int, ...] = ()
    for t in _tensors(list(given), "broadcast_tensors"):
        shape = P.joint_shape(shape, shape_of(t))
    return tuple(t if shape_of(t) == shape else t.expand(shape) for t in given)


@declare(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The grid that vectors span."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            stacklevel=2,
        )
        indexing = "ij"
    vectors = _tensors(list(given), "meshgrid")
    if len({t.dtype for t in vectors}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    for t in vectors:
        if t.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t.ndim}D"
            )
    if not isinstance(indexing, str):
        kind = type(indexing).__name__
        raise TypeError(f"meshgrid(): argument 'indexing' must be str, not {kind}")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    parts = [t.reshape(-1) if t.ndim == 0 else t for t in given]
    if indexing == "xy" and len(parts) > 1:
        parts[0], parts[1] = parts[1], parts[0]
    shape = [t.numel() for t in parts]
    grids = [
        t.reshape((1,) * i + (-1,) + (1,) * (len(parts) - i - 1)).expand(shape)
        for i, t in enumerate(parts)
    ]
    if indexing == "xy" and len(grids) > 1:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@declare(method=False)
def cartesian_prod(*tensors: Tensor) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    grids = meshgrid(*tensors, indexing="ij")
    return stack([g.reshape(-1) for g in grids], 1)


@declare(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product."""
    rank = max(input.ndim, other.ndim)
    a, b = ((1,) * (rank - t.ndim) + shape_of(t) for t in (input, other))
    left = unsafe_view(input, [e for x in a for e in (x, 1)])
    right = unsafe_view(other, [e for x in b for e in (1, x)])
    return unsafe_view(left * right, [x * y for x, y in zip(a, b)])
