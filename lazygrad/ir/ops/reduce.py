"""Reductions. `arg` is the sorted tuple of reduced axes, which stay with extent 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, from_numpy_dtype, int64
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.leaf import lit
from lazygrad.ir.ops.pointwise import bit_and, bit_or, cast, div, eq, mul, ne, sub, where


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
    """y / x, and at a factor that is zero the product of the others: the one other zero of a row,
    written so that its own gradient is right, times what is not zero."""
    zero, one, shape = lit(0, x), lit(1, x), x.shape
    is_zero = eq(x, zero)
    factors = where(is_zero, one, x)
    rest = spread(prod(factors, arg=arg), shape)
    zeros = spread(sum_(cast(is_zero, arg=x.dtype), arg=arg), shape)
    other_zero = sub(spread(sum_(where(is_zero, x, zero), arg=arg), shape), x)
    in_pair = where(eq(zeros, lit(2, x)), mul(other_zero, rest), zero)
    at_zero = where(eq(zeros, one), rest, in_pair)
    quotient = div(spread(y, shape), factors)
    return (mul(spread(g, shape), where(is_zero, at_zero, quotient)),)


def _extreme_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """Shared evenly by all elements that equal the extreme, or that are NaN if it is."""
    top = spread(y, x.shape)
    chosen = eq(x, top)
    if x.dtype.kind == "f":
        chosen = bit_or(chosen, bit_and(ne(top, top), ne(x, x)))
    return _shared(g, x, cast(chosen, arg=g.dtype), arg)


def _equals_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """Shared evenly by all elements that equal the extreme: NaN everywhere if it is NaN."""
    return _shared(g, x, cast(eq(x, spread(y, x.shape)), arg=g.dtype), arg)


def _shared(g: Node, x: Node, chosen: Node, arg: Any) -> tuple[Node]:
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


def _start(x: np.ndarray, identity: Any) -> Any:
    """The extreme of nothing."""
    text = identity(from_numpy_dtype(x.dtype))
    return x.dtype.type(text == "True" if x.dtype.kind == "b" else text)


sum_: Op = register(
    Op(
        "sum",
        Lowering.REDUCE,
        _keep_dtype,
        _sum,
        lambda g, y, x, *, arg: (spread(g, x.shape),),
        (),
        kinds="uif",
        identity=lambda d: "0",
    )
)
prod: Op = register(
    Op(
        "prod",
        Lowering.REDUCE,
        _keep_dtype,
        _prod,
        _prod_vjp,
        (0, -1),
        kinds="uif",
        domain=(0.5, 1.5),
        identity=lambda d: "1",
    )
)
max_: Op = register(
    Op(
        "max",
        Lowering.REDUCE,
        _keep_dtype,
        lambda x, *, node: x.max(axis=node.arg, keepdims=True, initial=_start(x, _least)),
        _extreme_vjp,
        (0, -1),
        identity=_least,
    )
)
min_: Op = register(
    Op(
        "min",
        Lowering.REDUCE,
        _keep_dtype,
        lambda x, *, node: x.min(axis=node.arg, keepdims=True, initial=_start(x, _greatest)),
        _extreme_vjp,
        (0, -1),
        identity=_greatest,
    )
)
# the same values with torch.amax's and torch.amin's gradient
amax: Op = register(
    replace(max_, name="amax", vjp=_equals_vjp, written=lambda x, *, arg: max_(x, arg=arg))
)
amin: Op = register(
    replace(min_, name="amin", vjp=_equals_vjp, written=lambda x, *, arg: min_(x, arg=arg))
)
argmax: Op = register(
    Op(
        "argmax",
        Lowering.REDUCE,
        _index,
        lambda x, *, node: x.argmax(axis=node.arg[0], keepdims=True),
        identity=_least,
    )
)
argmin: Op = register(
    Op(
        "argmin",
        Lowering.REDUCE,
        _index,
        lambda x, *, node: x.argmin(axis=node.arg[0], keepdims=True),
        identity=_greatest,
    )
)


__all__ = ["amax", "amin", "argmax", "argmin", "max_", "min_", "prod", "spread", "sum_"]
