"""Reductions. `arg` is the sorted tuple of reduced axes, which stay with extent 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, int64
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.leaf import lit
from lazygrad.ir.ops.pointwise import cast, div, eq, mul, where


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _keep_dtype(srcs: tuple[Node, ...], axes: Any) -> tuple[Shape, DType]:
    return _reduced(srcs[0].shape, axes), srcs[0].dtype


def _index(srcs: tuple[Node, ...], axes: Any) -> tuple[Shape, DType]:
    if len(axes) != 1:
        raise ValueError("argmax and argmin reduce one axis")
    return _reduced(srcs[0].shape, axes), int64


def spread(g: Node, shape: Shape) -> Node:
    """A reduced value (axes of extent 1) repeated over the full shape."""
    from lazygrad.ir.ops.movement import expand

    return g if g.shape == shape else expand(g, arg=shape)


def _sum(x: np.ndarray, *, node: Node) -> np.ndarray:
    """float32 and less are added in float64 and rounded once."""
    if x.dtype == np.float32:
        return x.sum(axis=node.arg, keepdims=True, dtype=np.float64).astype(np.float32)
    return x.sum(axis=node.arg, keepdims=True, dtype=x.dtype)


def _prod(x: np.ndarray, *, node: Node) -> np.ndarray:
    if x.dtype == np.float32:
        return x.prod(axis=node.arg, keepdims=True, dtype=np.float64).astype(np.float32)
    return x.prod(axis=node.arg, keepdims=True, dtype=x.dtype)


def _prod_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """y / x, and where one factor of a row is zero, the product of the others."""
    zero = lit(0, x)
    is_zero = eq(x, zero)
    others = prod(where(is_zero, lit(1, x), x), arg=arg)
    zeros = sum_(cast(is_zero, arg=x.dtype), arg=arg)
    alone = where(eq(zeros, lit(1, x)), others, lit(0, x))
    none = where(eq(zeros, zero), others, lit(0, x))
    quotient = div(spread(none, x.shape), where(is_zero, lit(1, x), x))
    return (mul(spread(g, x.shape), where(is_zero, spread(alone, x.shape), quotient)),)


def _extreme_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """Shared evenly by all elements that equal the extreme, as torch.amax."""
    chosen = cast(eq(x, spread(y, x.shape)), arg=g.dtype)
    share = div(g, sum_(chosen, arg=arg))
    return (mul(spread(share, x.shape), chosen),)


def _least(dtype: DType) -> str:
    if dtype.kind == "f":
        return "-inf"
    return "False" if dtype.kind == "b" else str(np.iinfo(dtype.np).min)


def _greatest(dtype: DType) -> str:
    if dtype.kind == "f":
        return "inf"
    return "True" if dtype.kind == "b" else str(np.iinfo(dtype.np).max)


sum_ = register(
    Op("sum", Lowering.REDUCE, _keep_dtype, _sum,
       lambda g, y, x, *, arg: (spread(g, x.shape),), (), kinds="uif", identity=lambda d: "0")
)
prod = register(
    Op("prod", Lowering.REDUCE, _keep_dtype, _prod, _prod_vjp, (0,), kinds="uif",
       domain=(0.5, 1.5), identity=lambda d: "1")
)
max_ = register(
    Op("max", Lowering.REDUCE, _keep_dtype,
       lambda x, *, node: x.max(axis=node.arg, keepdims=True), _extreme_vjp, (0, -1),
       identity=_least)
)
min_ = register(
    Op("min", Lowering.REDUCE, _keep_dtype,
       lambda x, *, node: x.min(axis=node.arg, keepdims=True), _extreme_vjp, (0, -1),
       identity=_greatest)
)
argmax = register(
    Op("argmax", Lowering.REDUCE, _index,
       lambda x, *, node: x.argmax(axis=node.arg[0], keepdims=True), identity=_least)
)
argmin = register(
    Op("argmin", Lowering.REDUCE, _index,
       lambda x, *, node: x.argmin(axis=node.arg[0], keepdims=True), identity=_greatest)
)


__all__ = ["argmax", "argmin", "max_", "min_", "prod", "spread", "sum_"]
