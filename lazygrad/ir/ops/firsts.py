"""The first of the largest elements (or the last NaN) over some axes: its value, and its place.

Owns: `first_max` and `first_place`, which max pooling is made of. Few elements (a window's) are
compared one after the other, each a view of its own: so a kernel walks the windows, not the few
elements of each, and what computes the image may be part of it.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, int32
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.indexed import gather
from lazygrad.ir.ops.leaf import iota, lit
from lazygrad.ir.ops.movement import expand, flip, permute, reshape, slice_, zeros
from lazygrad.ir.ops.pointwise import bit_or, cast, eq, lt, ne, sub, where
from lazygrad.ir.ops.reduce import argmax, max_, spread

FEW = 32  # elements that are compared one by one; more are copied into rows, and reduced


def _reduced(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _infer_value(srcs: tuple[Node, ...], axes: Any) -> tuple[Shape, DType]:
    return _reduced(srcs[0].shape, axes), srcs[0].dtype


def _infer_place(srcs: tuple[Node, ...], axes: Any) -> tuple[Shape, DType]:
    return _reduced(srcs[0].shape, axes), int32


def _rows(x: Node, axes: tuple[int, ...]) -> Node:
    """The reduced axes as one, the last."""
    kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
    moved = permute(x, arg=(*kept, *axes))
    return reshape(moved, arg=(*(x.shape[a] for a in kept), prod(x.shape[a] for a in axes)))


def _one_by_one(x: Node, axes: tuple[int, ...]) -> tuple[Node, Node]:
    """(value, place) by comparisons: a larger element takes over, and so does every NaN."""
    shape = _reduced(x.shape, axes)
    best: Node | None = None
    place = zeros(shape, int32, x.device)
    for number, at in enumerate(product(*(range(x.shape[axis]) for axis in axes))):
        spans = [(0, extent, 1) for extent in x.shape]
        for axis, position in zip(axes, at):
            spans[axis] = (position, position + 1, 1)
        element = slice_(x, arg=tuple(spans))
        if best is None:
            best = element
            continue
        takes = lt(best, element)
        if x.dtype.kind == "f":
            takes = bit_or(takes, ne(element, element))
        best, place = where(takes, element, best), where(takes, lit(number, place), place)
    assert best is not None
    return best, place


def _is_few(x: Node, axes: tuple[int, ...]) -> bool:
    return 0 < prod(x.shape[axis] for axis in axes) <= FEW


def _place_in_rows(rows: Node) -> Node:
    """The first of the largest along the last axis, or the last NaN."""
    last = rows.ndim - 1
    place = argmax(rows, arg=(last,))
    if rows.dtype.kind != "f":
        return place
    missing = ne(rows, rows)
    from_end = argmax(flip(missing, arg=(last,)), arg=(last,))
    last_one = sub(lit(rows.shape[last] - 1, place), from_end)
    return where(max_(missing, arg=(last,)), last_one, place)


def _written_value(x: Node, *, arg: Any) -> Node:
    shape = _reduced(x.shape, arg)
    if _is_few(x, arg):
        return _one_by_one(x, arg)[0]
    rows = _rows(x, arg)
    return reshape(gather(rows, _place_in_rows(rows), arg=rows.ndim - 1), arg=shape)


def _written_place(x: Node, *, arg: Any) -> Node:
    if _is_few(x, arg):
        return _one_by_one(x, arg)[1]
    place = _place_in_rows(_rows(x, arg))
    return reshape(cast(place, arg=int32), arg=_reduced(x.shape, arg))


def _numpy_rows(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
    shape = (*(x.shape[a] for a in kept), prod(x.shape[a] for a in axes))
    return x.transpose(*kept, *axes).reshape(shape)


def _numpy_first(rows: np.ndarray) -> np.ndarray:
    missing = rows != rows
    last_one = rows.shape[-1] - 1 - missing[..., ::-1].argmax(-1)
    return np.where(missing.any(-1), last_one, rows.argmax(-1))


def _numpy_place(x: np.ndarray, *, node: Node) -> np.ndarray:
    return _numpy_first(_numpy_rows(x, node.arg)).reshape(node.shape).astype(np.int32)


def _numpy_value(x: np.ndarray, *, node: Node) -> np.ndarray:
    rows = _numpy_rows(x, node.arg)
    return np.take_along_axis(rows, _numpy_first(rows)[..., None], -1).reshape(node.shape)


def _value_vjp(g: Node, y: Node, x: Node, *, arg: Any) -> tuple[Node]:
    """All of it to the element chosen."""
    sizes = tuple(x.shape[axis] if axis in arg else 1 for axis in range(x.ndim))
    number = expand(reshape(iota((prod(sizes),), x.device), arg=sizes), arg=x.shape)
    chosen = eq(spread(first_place(x, arg=arg), x.shape), cast(number, arg=int32))
    return (where(chosen, spread(g, x.shape), lit(0, g)),)


first_max: Op = register(
    Op(
        "first_max",
        Lowering.REDUCE,
        _infer_value,
        _numpy_value,
        _value_vjp,
        (0,),
        kinds="uif",
        written=_written_value,
    )
)
first_place: Op = register(
    Op(
        "first_place",
        Lowering.REDUCE,
        _infer_place,
        _numpy_place,
        kinds="uif",
        written=_written_place,
    )
)

__all__ = ["first_max", "first_place"]
