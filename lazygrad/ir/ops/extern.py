"""Ops that are functions of their own where the backend has one, else run on the host by their
numpy meaning: scans and sorting; and copies between devices, which programs never contain: they
are made between programs. `arg` is the axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, int64
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.leaf import lit
from lazygrad.ir.ops.movement import flip, pad, slice_
from lazygrad.ir.ops.pointwise import add, eq, exp, log, lt, mul, neg, sub, where


def _keep(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    return srcs[0].shape, srcs[0].dtype


def _scan(x: np.ndarray, *, node: Node) -> np.ndarray:
    """Sums begin with 0, so that -0 alone gives 0; float32 and less are added in float64."""
    wide = np.float64 if x.dtype == np.float32 else x.dtype
    return (np.cumsum(x, axis=node.arg, dtype=wide) + x.dtype.type(0)).astype(x.dtype)


def _product_scan(x: np.ndarray, *, node: Node) -> np.ndarray:
    wide = np.float64 if x.dtype == np.float32 else x.dtype
    return np.cumprod(x, axis=node.arg, dtype=wide).astype(x.dtype)


def _same(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    a, b = srcs
    if a.shape != b.shape or a.dtype is not b.dtype:
        raise ValueError(f"recurrence of {a!r} and {b!r}")
    return _keep(srcs, arg)


def _recurrence(a: np.ndarray, b: np.ndarray, *, node: Node) -> np.ndarray:
    """y[k] = a[k] y[k - 1] + b[k]"""
    rows, more = (np.moveaxis(v, node.arg, 0).astype(np.float64) for v in (a, b))
    made, state = np.empty_like(more), np.zeros(more.shape[1:])
    for k, value in enumerate(more):
        state = made[k] = rows[k] * state + value
    return np.moveaxis(made, 0, node.arg).astype(b.dtype)


def _moved(x: Node, axis: int, step: int) -> Node:
    """The element `step` (1 or -1) places on along an axis; 0 at the end."""
    n = x.shape[axis]
    if not n:
        return x
    kept = (1, n, 1) if step > 0 else (0, n - 1, 1)
    x = slice_(x, arg=tuple(kept if a == axis else (0, e, 1) for a, e in enumerate(x.shape)))
    width = (0, 1) if step > 0 else (1, 0)
    return pad(x, arg=tuple(width if a == axis else (0, 0) for a in range(x.ndim)))


def _backwards(a: Node, g: Node, axis: int) -> Node:
    """s[k] = a[k + 1] s[k + 1] + g[k]: what reaches element k of a recurrence from later ones."""
    turned = (flip(v, arg=(axis,)) for v in (_moved(a, axis, 1), g))
    return flip(recurrence(*turned, arg=axis), arg=(axis,))


def _recurrence_vjp(g: Node, y: Node, a: Node, b: Node, *, arg: int) -> tuple[Node, Node]:
    reached = _backwards(a, g, arg)
    return mul(reached, _moved(y, arg, -1)), reached


def _product_scan_vjp(g: Node, y: Node, x: Node, *, arg: int) -> tuple[Node]:
    """The product of the elements before, times what later ones make of this one: no division, so
    zeros need no care."""
    first = where(_moved(eq(x, x), arg, -1), lit(0, g), lit(1, g))
    before = add(_moved(y, arg, -1), first)
    return (mul(before, _backwards(x, g, arg)),)


def _log_scan(x: np.ndarray, *, node: Node) -> np.ndarray:
    return np.logaddexp.accumulate(x.astype(np.float64), axis=node.arg).astype(x.dtype)


def _last_best(better: Any) -> Any:
    """Where the extreme of all elements up to each is: the last of equal ones, and of NaN."""

    def meaning(x: np.ndarray, *, node: Node) -> np.ndarray:
        data = np.moveaxis(x, node.arg, 0)
        where = np.zeros(data.shape, np.int64)
        if not data.size:
            return np.moveaxis(where, 0, node.arg)
        best, at = data[0].copy(), np.zeros(data.shape[1:], np.int64)
        for i, now in enumerate(data):
            take = better(now, best) | (now != now)
            best, at = np.where(take, now, best), np.where(take, i, at)
            where[i] = at
        return np.moveaxis(where, 0, node.arg)

    return meaning


def _reversed(op: Op, x: Node, axis: int) -> Node:
    return flip(op(flip(x, arg=(axis,)), arg=axis), arg=(axis,))


def _log_scan_vjp(g: Node, y: Node, x: Node, *, arg: int) -> tuple[Node]:
    """exp(x) * (sum of g exp(-y) from here on), in logarithms of the positive and the negative
    part of g, so that nothing overflows."""
    zero, one, none = lit(0, g), lit(1, g), lit(float("-inf"), g)

    def part(h: Node) -> Node:
        some = lt(zero, h)
        terms = where(some, sub(log(where(some, h, one)), y), none)
        return exp(add(_reversed(logcumsumexp, terms, arg), x))

    return (sub(part(g), part(neg(g))),)


def _argsort(x: np.ndarray, *, node: Node) -> np.ndarray:
    return _argsort_of(x, *node.arg)


def _argsort_of(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """Stable; NaN counts as the largest value, as in PyTorch."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable").astype(np.int64)
    # reversing twice keeps equal elements in their order
    backwards = np.flip(x, axis)
    order = np.flip(np.argsort(backwards, axis=axis, kind="stable"), axis)
    return (x.shape[axis] - 1 - order).astype(np.int64)


def _argrank(x: np.ndarray, *, node: Node) -> np.ndarray:
    axis, _, first, count = node.arg
    order = _argsort_of(x, axis, node.arg[1])
    return np.take(order, np.arange(first, first + count), axis)


cumsum: Op = register(
    Op(
        "cumsum",
        Lowering.EXTERN,
        _keep,
        _scan,
        lambda g, y, x, *, arg: (_reversed(cumsum, g, arg),),
        kinds="uif",
    )
)
recurrence: Op = register(
    Op(
        "recurrence",
        Lowering.EXTERN,
        _same,
        _recurrence,
        _recurrence_vjp,
        (0, -1),
        arity=2,
        kinds="f",
    )
)
cumprod: Op = register(
    Op("cumprod", Lowering.EXTERN, _keep, _product_scan, _product_scan_vjp, (0, -1), kinds="uif")
)
logcumsumexp: Op = register(
    Op(
        "logcumsumexp",
        Lowering.EXTERN,
        _keep,
        _log_scan,
        _log_scan_vjp,
        (0, -1),
        kinds="f",
        ulp=1,
    )
)


def _positions(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    return srcs[0].shape, int64


argcummax: Op = register(Op("argcummax", Lowering.EXTERN, _positions, _last_best(np.greater_equal)))
argcummin: Op = register(Op("argcummin", Lowering.EXTERN, _positions, _last_best(np.less_equal)))
argsort: Op = register(Op("argsort", Lowering.EXTERN, _positions, _argsort))


def _few_positions(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    axis, _, first, count = arg
    shape = srcs[0].shape
    if not 0 <= first <= first + count <= shape[axis]:
        raise ValueError(f"ranks {first}, {count} of {srcs[0]!r} along {axis}")
    return (*shape[:axis], count, *shape[axis + 1 :]), int64


# `count` of argsort's positions, from a rank on; arg is (axis, descending, rank, count)
argrank: Op = register(Op("argrank", Lowering.EXTERN, _few_positions, _argrank))


def to_device(x: Node, device: str) -> Node:
    """The same values on another device."""
    return Node(transfer, (x,), device, x.shape, x.dtype, device)


transfer: Op = register(
    Op(
        "transfer",
        Lowering.EXTERN,
        _keep,
        lambda x, *, node: x,
        lambda g, y, x, *, arg: (to_device(g, x.device),),
    )
)
