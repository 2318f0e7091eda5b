"""Matrix products, and reads and writes at computed positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.checks import OUT_OF_RANGE, check_range
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.movement import permute, zeros


def _infer_matmul(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    a, b = srcs
    if a.dtype is not b.dtype or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul of {a!r} and {b!r}")
    return (*a.shape[:-1], b.shape[-1]), a.dtype


def swap(x: Node) -> Node:
    """The last two axes exchanged."""
    last = x.ndim - 1
    return permute(x, arg=(*range(last - 1), last, last - 1))


def _matmul(a: np.ndarray, b: np.ndarray, *, node: Node) -> np.ndarray:
    if a.dtype == np.float32:
        return np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    return np.matmul(a, b)


def _infer_gather(srcs: tuple[Node, ...], axis: Any) -> tuple[Shape, DType]:
    x, index = srcs
    _check_index(x.shape, index.shape, axis, "gather")
    return index.shape, x.dtype


def _check_index(shape: Shape, index: Shape, axis: int, name: str) -> None:
    if len(shape) != len(index) or any(
        s != i for a, (s, i) in enumerate(zip(shape, index)) if a != axis
    ):
        raise ValueError(f"{name}: shapes {shape} and {index} differ beside axis {axis}")


def _gather(x: np.ndarray, index: np.ndarray, *, node: Node) -> np.ndarray:
    axis = node.arg
    return np.take_along_axis(x, check_range(index, x.shape[axis], place=node.place), axis)


def _infer_scatter(srcs: tuple[Node, ...], axis: Any) -> tuple[Shape, DType]:
    base, index, src = srcs
    _check_index(base.shape, index.shape, axis, "scatter")
    if src.shape != index.shape or src.dtype is not base.dtype:
        raise ValueError(f"scatter of {src!r} at {index!r} into {base!r}")
    return base.shape, base.dtype


def _in_range(index: np.ndarray, node: Node) -> np.ndarray:
    return check_range(index, node.shape[node.arg], place=node.place)


def _places(index: np.ndarray, axis: int) -> tuple[np.ndarray, ...]:
    grids = list(np.ogrid[tuple(slice(0, n) for n in index.shape)])
    grids[axis] = index
    return tuple(grids)


def _scatter_add(base: np.ndarray, index: np.ndarray, src: np.ndarray, *, node: Node) -> np.ndarray:
    """Added one by one, in row-major order of the index."""
    out = np.array(base, copy=True)
    np.add.at(out, _places(_in_range(index, node), node.arg), src)
    return out


def _scatter(base: np.ndarray, index: np.ndarray, src: np.ndarray, *, node: Node) -> np.ndarray:
    """Where several indices agree the last one, in row-major order, stays."""
    out = np.array(base, copy=True)
    out[_places(_in_range(index, node), node.arg)] = src
    return out


matmul: Op = register(
    Op(
        "matmul",
        Lowering.CONTRACT,
        _infer_matmul,
        _matmul,
        lambda g, y, a, b, *, arg: (matmul(g, swap(b)), matmul(swap(a), g)),
        (0, 1),
        arity=2,
        kinds="uif",
        ulp=64,
    )
)
gather: Op = register(
    Op(
        "gather",
        Lowering.INDEXED,
        _infer_gather,
        _gather,
        lambda g, y, x, i, *, arg: (
            scatter_add(zeros(x.shape, g.dtype, g.device), i, g, arg=arg),
            None,
        ),
        (1,),
        arity=2,
        errors=(OUT_OF_RANGE,),
    )
)
scatter_add: Op = register(
    Op(
        "scatter_add",
        Lowering.INDEXED,
        _infer_scatter,
        _scatter_add,
        lambda g, y, base, i, s, *, arg: (g, None, gather(g, i, arg=arg)),
        (1,),
        arity=3,
        kinds="uif",
        errors=(OUT_OF_RANGE,),
    )
)
scatter: Op = register(
    Op(
        "scatter",
        Lowering.INDEXED,
        _infer_scatter,
        _scatter,
        lambda g, y, base, i, s, *, arg: (
            scatter(g, i, zeros(s.shape, g.dtype, g.device), arg=arg),
            None,
            gather(g, i, arg=arg),
        ),
        (1,),
        arity=3,
        errors=(OUT_OF_RANGE,),
    )
)
