"""Norms of vectors and matrices, and distances.

Owns: `norm`, `linalg.vector_norm`, `linalg.matrix_norm`, `linalg.norm` and what is said through
them, with their checks. Must not know: how singular values are computed.
"""

from __future__ import annotations

import math
from typing import Any

from lazygrad.autograd.composite import composite
from lazygrad.autograd.graph import unreached
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, axis_of, node_of, wrap
from lazygrad.tensor.declare import check_tensor, declare
from lazygrad.tensor.history import relabelled
from lazygrad.tensor.kernels import require, require_float
from lazygrad.tensor.logic import where
from lazygrad.tensor.reductions import axes_of, drop_axes

_VECTOR, _MATRIX = "linalg.vector_norm", "linalg.matrix_norm"


def _norm_node(x: Node, p: float, axes: tuple[int, ...], keepdim: bool) -> Node:
    """The p-norm over axes."""
    if p == 2 and axes:
        return drop_axes(_safe_root(ops.sum_(ops.mul(x, x), arg=axes)), axes, keepdim)
    size = ops.absolute(x)
    if p == math.inf:
        value = ops.max_(size, arg=axes) if axes else size
    elif p == -math.inf:
        value = ops.min_(size, arg=axes) if axes else size
    elif p == 0:
        value = P.cast(ops.ne(x, ops.lit(0, x)), x.dtype)
        value = ops.sum_(value, arg=axes) if axes else value
    elif p in (1, 2):
        value = ops.sum_(size, arg=axes) if axes else size
    else:
        value = _power_norm(size, p, axes)
    return drop_axes(value, axes, keepdim)


def _power_norm(size: Node, p: float, axes: tuple[int, ...]) -> Node:
    """(sum of size^p)^(1/p). Its gradient is 0 where it is 0, and for a zero where p < 1 (but
    that times the norm, which may be none)."""
    zero, one = ops.lit(0, size), ops.lit(1, size)
    exponent = P.scalar(p, size.dtype, size.device)
    if 0 < p < 1:
        flat = ops.eq(size, zero)
        power = ops.where(
            flat, ops.mul(size, zero), ops.power(ops.where(flat, one, size), exponent)
        )
    elif p < 0:
        flat, infinity = ops.eq(size, zero), ops.lit(math.inf, size)
        far = ops.add(ops.mul(size, zero), infinity)
        power = ops.where(flat, far, ops.power(ops.where(flat, one, size), exponent))
    else:
        power = ops.power(size, exponent)
    total = ops.sum_(power, arg=axes) if axes else power
    root = P.scalar(1 / p, size.dtype, size.device)
    flat = ops.eq(total, infinity if p < 0 else zero)
    return ops.where(flat, zero, ops.power(ops.where(flat, one, total), root))


def _safe_root(total: Node) -> Node:
    """sqrt whose gradient at 0 is 0: the root is taken of 1 there, and 0 put in its place."""
    zero = ops.lit(0, total)
    flat = ops.eq(total, zero)
    root = ops.sqrt(ops.where(flat, ops.lit(1, total), total))
    return ops.where(flat, zero, root)


def _check_dtype(name: str, have: DType, wanted: DType | None) -> None:
    if wanted is None:
        return
    if wanted.kind != "f":
        raise RuntimeError(
            f"{name}: dtype should be floating point or complex, but got {P.type_name(wanted)}"
        )
    if D.promote_types(have, wanted) is not wanted:
        raise RuntimeError(
            f"{name}: the dtype of the input ({P.type_name(have)}) should be convertible without "
            f"narrowing to the specified dtype ({P.type_name(wanted)})"
        )


def _check_identity(x: Node, p: float, axes: tuple[int, ...]) -> None:
    """An extreme of no elements has no value."""
    if (p == math.inf or p < 0) and any(x.shape[a] == 0 for a in axes):
        raise RuntimeError(
            f"{_VECTOR} cannot compute the {p:g} norm on an empty tensor because the operation "
            "does not have an identity"
        )


@composite("LinalgVectorNormBackward0", saves=("input", "result"))
def _vector_norm(
    input: Tensor, p: float, axes: tuple[int, ...], keepdim: bool, dtype: DType | None
) -> Tensor:
    x = node_of(input)
    x = x if dtype is None else P.cast(x, dtype)
    wide = P.cast(x, D.float32) if x.dtype.is_half else x  # squares overflow before their sum does
    return wrap(P.cast(_norm_node(wide, p, axes, keepdim), x.dtype))


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The norm of vectors along some dims; its gradient at 0 is 0.

    Raises RuntimeError for dtypes that are not floating, and for extremes of no elements.
    """
    check_tensor(x, "linalg_vector_norm", "x")
    require_float(_VECTOR, x.dtype)
    _check_dtype(_VECTOR, x.dtype, dtype)
    p, axes = float(ord), axes_of(dim, x.ndim)
    _check_identity(node_of(x), p, axes)
    made = _vector_norm(x, p, axes, keepdim, dtype)
    return relabelled(made, unreached("LinalgVectorNormBackward0")) if p == 0 else made


_ORDERS = ("fro", "nuc", 1.0, -1.0, 2.0, -2.0, math.inf, -math.inf)


def matrix_norm(
    A: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """A norm of matrices in the two dims given.

    Raises RuntimeError for unknown orders, for fewer than two dims, and for dtypes that are not
    floating, or too small where singular values are asked for.
    """
    check_tensor(A, "linalg_matrix_norm", "A")
    if A.ndim < 2:
        raise RuntimeError(f"{_MATRIX}: The input tensor A must have at least 2 dimensions.")
    require_float(_MATRIX, A.dtype)
    order = ord if isinstance(ord, str) else float(ord)
    if order not in _ORDERS:
        raise RuntimeError(f"{_MATRIX}: Order {ord} not supported.")
    if isinstance(dim, int) or len(dim) != 2:
        listed = dim if isinstance(dim, int) else ", ".join(map(str, dim))
        raise RuntimeError(f"{_MATRIX}: dim must be a 2-tuple. Got {listed}")
    a, b = (axis_of(d, A.ndim) for d in dim)
    if a == b:
        raise RuntimeError(f"{_MATRIX}: dims must be different. Got ({dim[0]}, {dim[1]})")
    _check_dtype(_MATRIX, A.dtype, dtype)
    if order == "fro":
        return vector_norm(A, 2, (a, b), keepdim, dtype=dtype)
    if order in ("nuc", 2, -2):
        require_float(_MATRIX, A.dtype, low=False)
        return _singular(A if dtype is None else A.to(dtype), order, a, b, keepdim)
    along, other = (a, b) if order in (1, -1) else (b, a)
    sums = vector_norm(A, 1, along, keepdim, dtype=dtype)
    other -= not keepdim and other > along
    return sums.amax(other, keepdim) if order in (1, math.inf) else sums.amin(other, keepdim)


def _singular(A: Tensor, order: Any, a: int, b: int, keepdim: bool) -> Tensor:
    from lazygrad.tensor.linalg import svdvals

    s = svdvals(A.movedim((a, b), (-2, -1)))
    value = s.sum(-1) if order == "nuc" else s.amax(-1) if order == 2 else s.amin(-1)
    for axis in sorted((a, b)) if keepdim else ():
        value = value.unsqueeze(axis)
    return value


def linalg_norm(
    A: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """A vector norm, or a matrix norm where two dims and an order are given."""
    check_tensor(A, "linalg_norm", "A")
    dims = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {dims}"
        )
    if ord is None:
        return vector_norm(A, 2, dims, keepdim, dtype=dtype)
    if dims is None and A.ndim > 2:
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.ndim}D."
        )
    one = len(dims) == 1 if dims is not None else A.ndim < 2
    if one and not isinstance(ord, str):
        return vector_norm(A, ord, dims, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)


@declare(out="same")
def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    dtype: DType | None = None,
) -> Tensor:
    """The norm over some dims, or of all elements."""
    check_tensor(input, "norm")
    if isinstance(dim, int):
        dim = (dim,)
    if isinstance(p, str) and p != "fro":
        return matrix_norm(input, p, dim or (-2, -1), keepdim, dtype=dtype)
    return vector_norm(input, 2.0 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


@declare()
@composite("DistBackward0", saves=("input", "other", "result"))
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of the difference."""
    return norm(input - other, p)


@declare(inplace=True, out="same")
@composite("RenormBackward0", saves=("input",))
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices along a dim, scaled down to a norm of `maxnorm` where it is larger."""
    if not p > 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    axis = axis_of(dim, input.ndim)
    rest = [a for a in range(input.ndim) if a != axis]
    size = vector_norm(input, p, rest, True)
    large = size > maxnorm
    scale = where(large, maxnorm / (size + 1e-7), size.new_ones(()))
    # what is not scaled has a plain gradient, whatever its norm is
    safe = where(large, input, 1.0)
    scaled = node_of(safe * (maxnorm / (vector_norm(safe, p, rest, True) + 1e-7)))
    like = ops.where(P.spread_to(node_of(large), node_of(input).shape), scaled, node_of(input))
    return wrap(ops.graded(node_of(input * scale), like))


@composite("CdistBackward0", saves=("x1", "x2", "result"))
def _cdist(x1: Tensor, x2: Tensor, p: float) -> Tensor:
    gap = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    if p not in (0, 1, math.inf) or not x1.shape[-1]:
        return vector_norm(gap, p, (-1,))
    # NaN counts for nothing in an extreme; its gradient is NaN in any case
    fixed = gap.detach()
    size, valid = fixed.abs(), fixed == fixed
    if p == 0:
        value, slope = where(valid, (fixed != 0).to(gap.dtype), math.nan).sum(-1), gap.new_zeros(())
    elif p == 1:
        value, slope = size.sum(-1), where(valid, fixed.sign(), math.nan)
    else:
        value = where(valid, size, 0.0).amax(-1)
        ties = size == value.unsqueeze(-1)  # each has the whole gradient
        slope = where(size < math.inf, where(ties, fixed.sign(), 0.0), math.nan)
    return wrap(ops.graded(node_of(value), node_of((gap * slope).sum(-1))))


@declare(method=False)
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The norm of the difference of every row of one with every row of the other.

    `compute_mode` is looked at, but it is computed in one way. ValueError if there is none such.
    """
    if compute_mode not in _CDIST_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, t in (("X1", x1), ("X2", x2)):
        if t.dtype.kind != "f":
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {P.type_name(t.dtype)}"
            )
    for name, t in (("X1", x1), ("X2", x2)):
        if t.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {t.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if not p >= 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if x1.dtype is not x2.dtype:
        first, second = (P.type_name(t.dtype) for t in (x1, x2))
        raise RuntimeError(f"expected scalar type {first} but found {second}")
    require("cdist", x1.dtype)
    return _cdist(x1, x2, p)


_CDIST_MODES = (
    None,
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
