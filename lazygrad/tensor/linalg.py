"""`lazygrad.linalg`: what is composed of decompositions, and the names of the namespace.

Owns: pseudo-inverses, ranks, condition numbers, least squares, products of several matrices. Must
not know: how matrices are decomposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.autograd.function import Function
from lazygrad.ir.dtypes import int64
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_kind, check_tensor, named
from lazygrad.tensor.factors import (
    LinAlgError,
    check_matrices,
    cholesky,
    det,
    eigh,
    eigvalsh,
    inv,
    on_host,
    qr,
    shown,
    slogdet,
    solve,
    svd,
    svdvals,
)
from lazygrad.tensor.kernels import WIDE, require, require_float
from lazygrad.tensor.linear import linalg_cross
from lazygrad.tensor.linear import matmul as _matmul
from lazygrad.tensor.logic import where
from lazygrad.tensor.norms import linalg_norm
from lazygrad.tensor.norms import matrix_norm as _matrix_norm
from lazygrad.tensor.norms import vector_norm as _vector_norm
from lazygrad.tensor.out import out_form
from lazygrad.tensor.promotion import c_name, type_name
from lazygrad.tensor.size import extents

lstsq_result = named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


# -- singular values that count as zero ----------------------------------------------------------


def _values_of(x: Any) -> Any:
    return host_values(x) if isinstance(x, Tensor) else x


def _threshold(A: Tensor, largest: np.ndarray, atol: Any, rtol: Any) -> np.ndarray:
    """What a singular value must be larger than, for each matrix.

    max(atol, rtol * the largest one); rtol is what rounding makes of 0 unless a tolerance is given.
    """
    low, share = _values_of(atol), _values_of(rtol)
    if share is None:
        usual = max(A.shape[-2:]) * float(np.finfo(A.dtype.np).eps)
        share = usual if low is None else np.where(np.asarray(low) > 0, 0.0, usual)
    return np.maximum(0.0 if low is None else low, np.asarray(share) * largest)


def _sizes(A: Tensor, hermitian: bool) -> np.ndarray:
    """The singular values; of symmetric matrices from their eigenvalues."""
    fixed = A.detach()
    return host_values(eigvalsh(fixed).abs() if hermitian else svdvals(fixed))


@shown("LinalgPinvBackward0")
class _PseudoInverse(Function):
    """Golub and Pereyra, 1973: a derivative that knows of no singular values."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
        if hermitian:
            values, right = (host_values(t) for t in eigh(a.detach()))
            left = right
        else:
            u, s, vh = (host_values(t) for t in svd(a.detach(), False))
            left, values, right = u, s, vh.swapaxes(-1, -2)
        sizes = np.abs(values)
        largest = sizes.max(-1, initial=0.0)
        kept = sizes > np.expand_dims(_threshold(a, largest, atol, rtol), -1)
        inverse = np.where(kept, 1 / np.where(kept, values, 1), 0).astype(values.dtype)
        made = (right * inverse[..., None, :]) @ left.swapaxes(-1, -2)
        result = on_host(lambda _: made, a)
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, y = ctx.saved_tensors
        return _pinv_gradient(a, y, g), None, None, None


def _pinv_gradient(a: Tensor, y: Tensor, g: Tensor) -> Tensor:
    """The gradient to `a` of `g` to its pseudo-inverse `y`."""
    back = g.mT
    k, yt = back @ y, y.mT
    kyt = k @ yt
    return -((y @ k).mT) + kyt - (a @ y) @ kyt + (yt @ y) @ (back - k @ a)


def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The Moore-Penrose inverse of (*, m, n).

    Singular values up to max(atol, rtol * the largest) count as 0; `rcond` is rtol by position.
    Tolerances are numbers or tensors, one for each matrix. `hermitian`: A is symmetric.
    RuntimeError for fewer than two dims, and for other dtypes than float32 and float64.
    """
    check_tensor(A, "linalg_pinv")
    if A.ndim < 2 or A.dtype not in WIDE:
        raise RuntimeError(
            f"linalg.pinv({type_name(A.dtype)}{{{extents(A.shape)}}}): expected a tensor with 2 or "
            "more dimensions of float, double, cfloat or cdouble types"
        )
    for name, given in (("atol", atol), ("rtol", rtol)):
        if isinstance(given, Tensor) and given.requires_grad:
            raise RuntimeError(
                "The function 'linalg_pinv' is not differentiable with respect to argument "
                f"'{name}'. This input cannot have requires_grad True."
            )
    made: Tensor = _PseudoInverse.apply(A, atol, rcond if rtol is None else rtol, hermitian)
    return made


def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values are larger than `tol`, or than max(atol, rtol * the largest).

    Without tolerances: than what rounding makes of 0. RuntimeError as for `pinv`.
    """
    check_tensor(A, "linalg_matrix_rank")
    if A.ndim < 2:
        raise RuntimeError(
            "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."
        )
    if tol is not None or atol is not None or rtol is not None:
        decomposed = "linalg.eigh" if hermitian else "linalg.svd"
        require_float(decomposed, A.dtype)
        require(decomposed, A.dtype)
    if A.dtype not in WIDE:
        raise RuntimeError("This function doesn't handle types other than float and double")
    sizes = _sizes(A, hermitian)
    if tol is not None:
        least = np.asarray(_values_of(tol))
    else:
        least = _threshold(A, sizes.max(-1, initial=0.0), atol, rtol)
    return from_values((sizes > least[..., None]).sum(-1), int64, A._storage.device)


_ORDERS = ("fro", "nuc", 1, -1, math.inf, -math.inf)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number of (*, m, n): the largest singular value over the smallest one (p None,
    2; -2: the reverse), else the norm of order p times that of the inverse; infinite for a
    singular matrix. RuntimeError for other orders, fewer dims, and dtypes that are not floating.
    """
    check_tensor(A, "linalg_cond")
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is not None:
        check_kind(p, (float, int, str), "linalg_cond", "p", 2)
    if p is None or p in (2, -2):
        s = svdvals(A)
        if not s.shape[-1]:
            return s.new_zeros(s.shape[:-1])
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    if p not in _ORDERS:
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.cond(ord={p}): A must be batches of square matrices, but they are "
            f"{A.shape[-2]} by {A.shape[-1]} matrices"
        )
    if p == "nuc" and A.dtype.kind == "f":
        require("linalg.svd", A.dtype)
    own = _matrix_norm(A, p)
    require_float("linalg.inv", A.dtype, low=False)
    singular = det(A.detach()) == 0
    if not singular.any():
        return own * _matrix_norm(inv(A), p)
    whole = np.eye(A.shape[-1], dtype=A.dtype.np)
    some = where(singular[..., None, None], from_values(whole, A.dtype, A._storage.device), A)
    return where(singular, math.inf, own * _matrix_norm(inv(some), p))


# -- least squares -------------------------------------------------------------------------------


@shown("LinalgLstsqBackward0")
class _LeastSquares(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rtol: float) -> Tensor:
        def solved(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
            x, y = (np.broadcast_to(m, lead + m.shape[-2:]) for m in (x, y))
            made = np.empty((*lead, x.shape[-1], y.shape[-1]), x.dtype)
            try:
                for at in np.ndindex(*lead):
                    made[at] = np.linalg.lstsq(x[at], y[at], rtol)[0]
            except np.linalg.LinAlgError as problem:
                raise LinAlgError(f"linalg.lstsq: {problem}") from None
            return made

        made: Tensor = on_host(solved, a, b)
        ctx.save_for_backward(a, b, made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b, _ = ctx.saved_tensors
        inverse = pinv(a)
        own = _pinv_gradient(a, inverse, g @ b.mT) if ctx.needs_input_grad[0] else None
        other = inverse.mT @ g if ctx.needs_input_grad[1] else None
        return (
            None if own is None else own.sum_to_size(a.shape),
            None if other is None else other.sum_to_size(b.shape),
            None,
        )


def _check_least(A: Tensor, B: Tensor, driver: str | None) -> bool:
    """Whether B is a vector (for each matrix). Raises RuntimeError for what does not fit."""
    name = "torch.linalg.lstsq"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if B.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if not 0 <= A.ndim - B.ndim <= 1:
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - "
            "other.dim()) <= 1"
        )
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{type_name(A.dtype)} and other's dtype {type_name(B.dtype)}"
        )
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    size = 1 if vector else 2
    if B.shape[-size] != A.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-{size})")
    if driver is not None and driver not in _DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of ({', '.join(_DRIVERS)})")
    if A.dtype not in WIDE:
        raise RuntimeError("This function doesn't handle types other than float and double")
    return vector


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X of the least ||A X - B||, the shortest of several; (*, m, n) and (*, m, k) or (*, m).

    With it residuals (where m > n and the ranks are full; not for "gelsy", the default), ranks
    (not for "gels") and singular values (for "gelsd", "gelss"), else empty. `rcond`: the share of
    the largest singular value up to which others count as 0. RuntimeError for sizes, dtypes and
    drivers that do not fit.
    """
    check_tensor(A, "linalg_lstsq")
    check_tensor(B, "linalg_lstsq", "b", 2)
    vector = _check_least(A, B, driver)
    driver = driver or "gelsy"
    rows, columns = A.shape[-2:]
    share = rcond if rcond is not None else float(np.finfo(A.dtype.np).eps) * max(rows, columns)
    right = B.unsqueeze(-1) if vector else B
    solution = _LeastSquares.apply(A, right, share)
    sizes = _sizes(A, False)
    ranks = (sizes > share * sizes.max(-1, initial=0.0)[..., None]).sum(-1)
    place = A._storage.device
    residuals = A.new_empty((0,))
    if rows > columns and driver != "gelsy" and (driver == "gels" or (ranks == columns).all()):
        residuals = (A @ solution - right).square().sum(-2)
    empty = from_values(np.empty(0, np.int64), int64, place)
    return lstsq_result(
        solution.squeeze(-1) if vector else solution,
        residuals,
        empty if driver == "gels" else from_values(ranks, int64, place),
        from_values(sizes, A.dtype, place) if driver in ("gelsd", "gelss") else A.new_empty((0,)),
    )


def _check_chain(tensors: Sequence[Tensor]) -> None:
    name, last = "multi_dot()", len(tensors) - 1
    if last < 1:
        raise RuntimeError(f"{name}: expected at least 2 tensors but got {last + 1}")
    for number, t in enumerate(tensors):
        if number in (0, last) and t.ndim not in (1, 2):
            which = "first" if number == 0 else "last"
            raise RuntimeError(f"{name}: the {which} tensor must be 1D or 2D but got {t.ndim}D")
        if number not in (0, last) and t.ndim != 2:
            raise RuntimeError(f"{name}: tensor {number} must be 2D but got {t.ndim}D")
    for number, t in enumerate(tensors[1:], 1):
        if t.dtype is not tensors[0].dtype:
            first, other = c_name(tensors[0].dtype), c_name(t.dtype)
            raise RuntimeError(
                f"{name}: all tensors must have be the same dtype but tensor 0 is {first} and "
                f"tensor {number} {other}"
            )
        before = tensors[number - 1]
        if before.shape[-1] != t.shape[0]:
            raise RuntimeError(
                f"{name}: tensors {number - 1} and {number} with shapes {list(before.shape)} and "
                f"{list(t.shape)} cannot be multiplied"
            )


def multi_dot(tensors: Any) -> Tensor:
    """The matrix product of two tensors or more, from left to right.

    The first and the last may be vectors. RuntimeError for other ranks, sizes and dtypes.
    """
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    for number, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {number} in argument 0, but got {type(t).__name__}"
            )
    _check_chain(tensors)
    total = tensors[0]
    for t in tensors[1:]:
        total = _matmul(total, t)
    return total.view(total.shape) if len(tensors) > 2 else total


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """`diagonal` of the last two dims."""
    check_tensor(A, "linalg_diagonal", "A")
    return A.diagonal(offset, dim1, dim2)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """The product of n times A, or of its inverse."""
    check_matrices("linalg.matrix_power", A, floats=False)
    check_kind(n, int, "matrix_power", "n", 2)
    if n == 0:
        from lazygrad.tensor.ranges import eye

        return A.clone().copy_(eye(A.shape[-1], dtype=A.dtype, device=A.device))
    power, left = inv(A) if n < 0 else A, abs(n)
    if left == 3:
        return _matmul(_matmul(power, power), power)
    total = None
    while left:  # by squaring
        if left % 2:
            total = power if total is None else _matmul(total, power)
        left //= 2
        if left:
            power = _matmul(power, power)
    assert total is not None
    return total


norm = out_form("linalg.norm", linalg_norm, "same")
vector_norm = out_form("linalg.vector_norm", _vector_norm, "same")
matrix_norm = out_form("linalg.matrix_norm", _matrix_norm, "same")
cross = out_form("linalg.cross", linalg_cross, "same")
matmul = out_form("matmul", _matmul, "same")
for _name in ("inv", "solve", "det", "slogdet", "cholesky", "qr", "eigh", "eigvalsh", "svd",
              "svdvals", "multi_dot", "lstsq"):  # fmt: skip
    globals()[_name] = out_form(f"linalg.{_name}", globals()[_name], "same")
for _name in ("matrix_rank", "pinv", "cond"):
    globals()[_name] = out_form(f"linalg.{_name}", globals()[_name], "cast")
matrix_power = out_form("linalg.matrix_power", matrix_power, "power")

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "vector_norm",
]
