"""Movement: the same elements in other places. Folds into the View of whoever reads them."""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.leaf import const, iota
from lazygrad.ir.ops.reduce import sum_
from lazygrad.ir.views import View


def _moved(srcs: tuple[Node, ...], arg: Any, view: Any) -> tuple[Shape, DType]:
    found = view(View.contiguous(srcs[0].shape), arg)
    return found.shape, srcs[0].dtype


def _op(name: str, view: Any, numpy: Any, vjp: Any, sized: bool = False) -> Op:
    return register(
        Op(
            name,
            Lowering.MOVEMENT,
            lambda srcs, arg: _moved(srcs, arg, view),
            lambda x, *, node: numpy(x, node.arg),
            vjp,
            view=view,
            sized=sized,
        )
    )


def _infer_reshape(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    if product(arg) != srcs[0].numel:
        raise ValueError(f"reshape of {srcs[0].shape} to {arg}")
    return arg, srcs[0].dtype


def _sum_to(g: Node, shape: Shape) -> Node:
    """Add up what was broadcast: leading axes and axes of extent 1."""
    lead = g.ndim - len(shape)
    axes = tuple(
        axis
        for axis, extent in enumerate(g.shape)
        if axis < lead or (shape[axis - lead] == 1 and extent != 1)
    )
    if axes:
        g = sum_(g, arg=axes)
    return g if g.shape == shape else reshape(g, arg=shape)


def sum_to(g: Node, shape: Shape) -> Node:
    """The gradient of broadcasting `shape` to g's shape."""
    return g if g.shape == shape else _sum_to(g, shape)


def zeros(shape: Shape, dtype: DType, device: str) -> Node:
    node = const(0, dtype, device)
    return node if shape == () else expand(node, arg=shape)


def _slice_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    if all(step == 1 for _, _, step in arg):
        widths = tuple((lo, extent - hi) for (lo, hi, _), extent in zip(arg, x.shape))
        return (pad(g, arg=widths),)
    return (write(zeros(x.shape, g.dtype, g.device), g, View.contiguous(x.shape).slice(arg)),)


def _pad_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    return (slice_(g, arg=tuple((lo, lo + e, 1) for (lo, _), e in zip(arg, x.shape))),)


def _inverse(order: Shape) -> Shape:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _axis(x: Node, axis: int, low: int, high: int) -> Node:
    """[low, high) along an axis: what lies outside the node is 0."""
    extent = x.shape[axis]
    begin, end = max(low, 0), min(high, extent)
    if begin >= end:
        shape = (*x.shape[:axis], high - low, *x.shape[axis + 1 :])
        return zeros(shape, x.dtype, x.device)
    whole = [(0, e, 1) for e in x.shape]
    whole[axis] = (begin, end, 1)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (begin - low, high - end)
    return pad(slice_(x, arg=tuple(whole)), arg=tuple(widths))


def _window_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """Each offset in the window adds its slice of g back.

    Position q * step + r of the axis gets the slices of the offsets r, r + step, ..., each shifted
    by one more place: sums for each remainder r, which then lie side by side on an axis of their
    own.
    """
    from lazygrad.ir.ops.pointwise import add

    axis, size, step = arg
    extent = x.shape[axis]
    if size == step:  # the windows lie side by side
        last = g.ndim - 1
        moved = permute(g, arg=(*range(axis + 1), last, *range(axis + 1, last)))
        merged = (*g.shape[:axis], g.shape[axis] * size, *g.shape[axis + 1 : last])
        return (_axis(reshape(moved, arg=merged), axis, 0, extent),)
    rows = -(-extent // step)
    side: list[Node] = []
    for r in range(step):
        total: Node | None = None
        for number, offset in enumerate(range(r, size, step)):
            span = tuple((0, e, 1) for e in g.shape[:-1])
            part = slice_(g, arg=(*span, (offset, offset + 1, 1)))
            part = _axis(reshape(part, arg=g.shape[:-1]), axis, -number, rows - number)
            total = part if total is None else add(total, part)
        if total is None:  # no window reaches these
            continue
        if step == 1:
            return (total,)
        shape = (*total.shape[: axis + 1], 1, *total.shape[axis + 1 :])
        side.append(_axis(reshape(total, arg=shape), axis + 1, -r, step - r))
    whole = side[0]
    for part in side[1:]:
        whole = add(whole, part)
    merged = (*whole.shape[:axis], rows * step, *whole.shape[axis + 2 :])
    return (_axis(reshape(whole, arg=merged), axis, 0, extent),)


def _strided_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    if not arg.overlaps_itself:
        return (write(zeros(x.shape, g.dtype, g.device), g, arg),)
    from lazygrad.ir.ops.indexed import scatter_add

    flat = zeros((x.numel,), g.dtype, g.device)
    where = reshape(as_strided(iota(x.shape, g.device), arg=arg), arg=(g.numel,))
    total = scatter_add(flat, where, reshape(g, arg=(g.numel,)), arg=0)
    return (reshape(total, arg=x.shape),)


def _windows(x: np.ndarray, arg: Any) -> np.ndarray:
    axis, size, step = arg
    every = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return every[(slice(None),) * axis + (slice(None, None, step),)]


def _as_strided(x: np.ndarray, view: View) -> np.ndarray:
    flat = np.ascontiguousarray(x).reshape(-1)
    steps = tuple(stride * x.itemsize for stride in view.strides)
    return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, steps, writeable=False)


def _write(base: np.ndarray, value: np.ndarray, *, node: Node) -> np.ndarray:
    out = np.array(base, order="C", copy=True)
    steps = tuple(stride * out.itemsize for stride in node.arg.strides)
    flat = out.reshape(-1)[node.arg.offset :]
    if node.arg.numel:
        np.lib.stride_tricks.as_strided(flat, node.arg.shape, steps)[...] = value
    return out


def _infer_write(srcs: tuple[Node, ...], view: Any) -> tuple[Shape, DType]:
    if srcs[1].shape != view.shape or srcs[0].dtype is not srcs[1].dtype:
        raise ValueError(f"write of {srcs[1]!r} into {srcs[0]!r} through {view}")
    return srcs[0].shape, srcs[0].dtype


def _write_vjp(g: Node, y: Node, base: Node, value: Node, *, arg: Any) -> tuple[Node, Node]:
    none = zeros(value.shape, g.dtype, g.device)
    return write(g, none, arg), as_strided(g, arg=arg)


def write(base: Node, value: Node, view: View) -> Node:
    """`base` (row-major) with the elements that `view` selects replaced by `value`."""
    return update(base, value, arg=view)


reshape: Op = register(
    Op(
        "reshape",
        Lowering.MOVEMENT,
        _infer_reshape,
        lambda x, *, node: np.ascontiguousarray(x).reshape(node.arg),
        lambda g, y, x, *, arg: (reshape(g, arg=x.shape),),
        view=lambda v, shape: v.reshape(shape),
        sized=True,
    )
)
permute: Op = _op(
    "permute",
    lambda v, order: v.permute(order),
    lambda x, o: x.transpose(o),
    lambda g, y, x, *, arg: (permute(g, arg=_inverse(arg)),),
)
expand: Op = _op(
    "expand",
    lambda v, shape: v.expand(shape),
    np.broadcast_to,
    lambda g, y, x, *, arg: (sum_to(g, x.shape),),
    sized=True,
)
slice_: Op = _op(
    "slice",
    lambda v, spans: v.slice(spans),
    lambda x, spans: x[tuple(slice(*s) for s in spans)],
    _slice_vjp,
    sized=True,
)
flip: Op = _op(
    "flip", lambda v, axes: v.flip(axes), np.flip, lambda g, y, x, *, arg: (flip(g, arg=arg),)
)
pad: Op = _op("pad", lambda v, widths: v.pad(widths), np.pad, _pad_vjp, sized=True)
window: Op = _op("window", lambda v, a: v.window(*a), _windows, _window_vjp)
as_strided: Op = _op(
    "as_strided", lambda v, view: v.strided(view), _as_strided, _strided_vjp, sized=True
)
copy: Op = register(
    Op(
        "copy",
        Lowering.POINTWISE,
        lambda srcs, arg: (srcs[0].shape, srcs[0].dtype),
        lambda x, *, node: np.array(x, copy=True),
        lambda g, y, x, *, arg: (g,),
        c="{0}",
    )
)
update: Op = register(
    Op("update", Lowering.INDEXED, _infer_write, _write, _write_vjp, arity=2, sized=True)
)

__all__ = [
    "as_strided",
    "copy",
    "expand",
    "flip",
    "pad",
    "permute",
    "reshape",
    "slice_",
    "sum_to",
    "update",
    "window",
    "write",
    "zeros",
]
