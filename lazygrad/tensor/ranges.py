"""Ranges: arange, linspace, logspace, eye, and the indices of triangles.

Owns: tensors that are functions of the index. Must not know: data.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.runtime.memory import OutOfMemoryError
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, index_of
from lazygrad.tensor.creation import check_dtype, check_sizes, from_values, leaf
from lazygrad.tensor.declare import check_kind
from lazygrad.tensor.kernels import require
from lazygrad.tensor.out import makes
from lazygrad.tensor.size import device_name

# -- ranges -------------------------------------------------------------------------------------


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


@makes
def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end."""
    start, end, step = _item(start), _item(end), _item(step)
    if end is None:
        start, end = 0, start
    dtype = check_dtype(dtype, "arange")
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, end, step))
        dtype = D.int64 if whole else P.default.dtype
    require("arange", dtype)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not all(math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (step > 0 and start > end) or (step < 0 and start < end):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype.kind in "iu" and not (isinstance(start, int) and isinstance(step, int)):
        count = max(0, math.ceil((end - start) / step))  # of the numbers as they were given
        start, step = int(start), int(step)
    elif dtype.kind in "iu":
        count = max(0, -(-(int(math.ceil(end) if step > 0 else math.floor(end)) - start) // step))
        if isinstance(end, int):
            count = max(0, -(-(end - start) // step))
    else:
        count = max(0, math.ceil((end - start) / step))
    where = device_name(device)
    check_sizes((count,), dtype)
    index = ops.iota((count,), where)
    wide = D.int64 if dtype.kind in "iu" else D.float64
    node = P.cast(index, wide)
    if step != 1:
        node = ops.mul(node, P.scalar(step, wide, where))
    if start != 0:
        node = ops.add(node, P.scalar(start, wide, where))
    return leaf(P.cast(node, dtype), requires_grad)


def range_(start: Any = 0, end: Any = 0, step: Any = 1, **options: Any) -> Tensor:
    return arange(start, end + step / 2, step, **({"dtype": P.default.dtype} | options))


@makes
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances from start to end."""
    start, end = _item(start), _item(end)
    dtype = check_dtype(dtype, "linspace") or P.default.dtype
    steps = index_of(steps)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if steps > 1:
        require("linspace", dtype)
    if dtype.kind in "iu":
        start, end = (P.number_for(int(v), dtype) for v in (start, end))
    where = device_name(device)
    return leaf(P.cast(_even(start, end, steps, where, dtype), dtype), requires_grad)


def _even(start: float, end: float, steps: int, where: str, dtype: DType) -> Node:
    """From both ends towards the middle, as PyTorch does, so that both ends are exact."""
    wide = D.float64 if dtype.kind != "f" or dtype.itemsize > 4 else D.float32
    index = P.cast(ops.iota((steps,), where), wide)
    if steps < 2:
        return ops.add(index, P.scalar(start, wide, where))
    step = (end - start) / (steps - 1)
    if wide is D.float32:
        step = float(np.float32(np.float32(end) - np.float32(start)) / np.float32(steps - 1))
    gap = P.scalar(step, wide, where)
    up = ops.add(P.scalar(start, wide, where), ops.mul(index, gap))
    back = ops.sub(P.scalar(steps - 1, wide, where), index)
    down = ops.sub(P.scalar(end, wide, where), ops.mul(back, gap))
    first_half = ops.lt(index, P.scalar(steps // 2, wide, where))
    return ops.where(first_half, up, down)


@makes
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` powers of the base, of exponents at equal distances."""
    dtype = check_dtype(dtype, "logspace") or P.default.dtype
    check_kind(steps, int, "logspace", "steps", 3)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if steps > 1:
        require("logspace", dtype)
    where = device_name(device)
    exponent = _even(_item(start), _item(end), steps, where, D.float64)
    value = ops.power(P.scalar(base, D.float64, where), exponent)
    return leaf(P.cast(value, dtype), requires_grad)


@makes
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal."""
    n = index_of(n)
    m = n if m is None else index_of(m)
    for name, value in (("n", n), ("m", m)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    dtype = check_dtype(dtype, "eye") or P.default.dtype
    where = device_name(device)
    rows = P.spread_to(ops.reshape(ops.iota((n,), where), arg=(n, 1)), (n, m))
    columns = P.spread_to(ops.iota((m,), where), (n, m))
    return leaf(P.cast(ops.eq(rows, columns), dtype), requires_grad)


def _check_triangle(row: int, col: int) -> None:
    for name, value in (("row", row), ("col", col)):
        if index_of(value) < 0:
            raise RuntimeError(f"{name} must be non-negative, got{value}")


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Row and column indices of the lower triangle."""
    _check_triangle(row, col)
    reach = min(col, max(0, row + offset))  # columns further on are above the diagonal
    return _indices(np.tril_indices, (row, offset, reach), dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """Row and column indices of the upper triangle."""
    _check_triangle(row, col)
    reach = min(row, max(0, col - offset))  # rows further down are below the diagonal
    return _indices(np.triu_indices, (reach, offset, col), dtype, device)


def _indices(find: Any, sizes: tuple[int, int, int], dtype: Any, device: Any) -> Tensor:
    try:
        found = np.stack(find(*sizes))
    except MemoryError as problem:
        raise OutOfMemoryError(str(problem)) from None
    return from_values(found, dtype or D.int64, device_name(device))


def complex_unsupported(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("complex dtypes are not supported")
