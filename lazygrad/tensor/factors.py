"""Decompositions through the LAPACK that numpy brings: inverses, solutions, factors.

Owns: the decompositions, their checks and gradients. They run on the host when called. Must not
know: what is composed of them (linalg.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.autograd.function import Function
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, shape_of, view_of
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_kind, check_tensor, named
from lazygrad.tensor.history import saving
from lazygrad.tensor.joining import cat
from lazygrad.tensor.kernels import require, require_float
from lazygrad.tensor.promotion import type_name
from lazygrad.tensor.views import no_view


class LinAlgError(RuntimeError):
    """A matrix that the operation cannot take."""


qr_result = named("linalg_qr", "Q", "R")
svd_result = named("linalg_svd", "U", "S", "Vh")
eigh_result = named("linalg_eigh", "eigenvalues", "eigenvectors")
slogdet_result = named("linalg_slogdet", "sign", "logabsdet")


def on_host(function: Any, *tensors: Tensor) -> Any:
    """numpy's function on the values; its results as tensors of the first one's dtype.

    Matrices lie column by column in memory, as LAPACK leaves them and PyTorch shows.
    """
    kind = tensors[0].dtype
    where = tensors[0]._storage.device

    def made(values: np.ndarray) -> Tensor:
        if values.ndim < 2:
            return from_values(np.asarray(values, order="C"), kind, where)
        stored = from_values(np.ascontiguousarray(values.swapaxes(-1, -2)), kind, where)
        order = [*range(values.ndim - 2), values.ndim - 1, values.ndim - 2]
        stored._view, stored._cached = view_of(stored).permute(tuple(order)), None
        return stored

    got = function(*(host_values(t) for t in tensors))
    return tuple(map(made, got)) if isinstance(got, tuple) else made(got)


def check_matrices(name: str, a: Any, square: bool = True, floats: bool = True) -> None:
    """Raise unless `a` is a batch of matrices of floats."""
    check_tensor(a, name.replace(".", "_"), "A")
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if square and a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by "
            f"{a.shape[-1]} matrices"
        )
    if floats:
        require_float(name, a.dtype)


def _blame(values: np.ndarray, fails: Callable[[np.ndarray], int]) -> tuple[str, int]:
    """Which matrix of a batch fails, in words, and at which row: `fails` gives it, 0 for none."""
    batch = values.reshape(-1, *values.shape[-2:])
    for number, matrix in enumerate(batch):
        row = fails(matrix)
        if row:
            return f"(Batch element {number}): " if values.ndim > 2 else "", row
    return "", 0


def shown(name: str) -> Any:
    """The name that a function's records have in PyTorch."""

    def rename(cls: Any) -> Any:
        cls._record.__name__ = cls._record.__qualname__ = name
        return cls

    return rename


# -- inverses and determinants ------------------------------------------------------------------


def _dependent(matrix: np.ndarray) -> int:
    """The first column, from 1, that those before it span."""
    ranks = (np.linalg.matrix_rank(matrix[:, :k]) < k for k in range(1, len(matrix) + 1))
    return next((k for k, is_lower in enumerate(ranks, 1) if is_lower), len(matrix))


@shown("LinalgInvExBackward0")
class _Inverse(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        try:
            made = on_host(np.linalg.inv, a)
        except np.linalg.LinAlgError:
            where, row = _blame(host_values(a), _dependent)
            raise LinAlgError(
                f"linalg.inv: {where}The diagonal element {row} is zero, the inversion could not "
                "be completed because the input matrix is singular."
            ) from None
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return -(y.mT @ g @ y.mT)


def inv(A: Tensor) -> Tensor:
    """The inverse. Raises LinAlgError for a singular matrix."""
    check_matrices("linalg.inv", A)
    require_float("linalg.inv", A.dtype, low=False)
    return _Inverse.apply(A)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or X A = B; B is a vector where its shape is that of A less one axis.

    Raises RuntimeError where dtypes or shapes do not fit, LinAlgError for a singular matrix.
    """
    check_matrices("linalg.solve", A)
    check_tensor(B, "linalg_solve", "B", 2)
    if A.dtype is not B.dtype:
        raise RuntimeError(
            "linalg.solve: Expected A and B to have the same dtype, but found A of type "
            f"{type_name(A.dtype)} and B of type {type_name(B.dtype)} instead"
        )
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and shape_of(B) == shape_of(A)[:-1])
    right = B.unsqueeze(-1) if vector else B
    if right.ndim < 2:
        raise RuntimeError("linalg.solve: The input tensor B must have at least 2 dimensions.")
    n, (rows, columns) = A.shape[-1], right.shape[-2:]
    if n != (rows if left else columns):
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation "
            f"{'AX' if left else 'XA'} = B ({n}x{n} and {rows}x{columns})"
        )
    require("linalg.solve", A.dtype)
    made = _Solve.apply(A, right) if left else _Solve.apply(A.mT, right.mT).mT
    return made.squeeze(-1) if vector else made


@shown("LinalgSolveExBackward0")
class _Solve(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        try:
            x = on_host(np.linalg.solve, a, b)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "torch.linalg.solve: The solver failed because the input matrix is singular."
            ) from None
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, x = ctx.saved_tensors
        gb = _Solve.apply(a.mT, g)
        return -gb @ x.mT, gb


@shown("LinalgDetBackward0")
class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        made = on_host(np.linalg.det, a)
        ctx.save_for_backward(a, made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, y = ctx.saved_tensors
        return (g * y)[..., None, None] * inv(a).mT


def det(A: Tensor) -> Tensor:
    """The determinant."""
    check_matrices("linalg.det", A)
    if A.numel():
        require("linalg.det", A.dtype)
    return _Det.apply(A)


@shown("LinalgSlogdetBackward0")
class _LogDet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        sign, value = on_host(lambda v: tuple(np.linalg.slogdet(v)), a)
        ctx.save_for_backward(a, sign)  # the sign is constant, but has a record as PyTorch's has
        return sign, value

    @staticmethod
    def backward(ctx: Any, gs: Tensor, g: Tensor) -> Any:
        return g[..., None, None] * inv(ctx.saved_tensors[0]).mT


def slogdet(A: Tensor) -> Any:
    """The determinant's sign and the logarithm of its size."""
    check_matrices("linalg.slogdet", A)
    require_float("linalg.slogdet", A.dtype, low=False)
    return slogdet_result(*_LogDet.apply(A))


# -- decompositions -----------------------------------------------------------------------------


def _phi(a: Tensor) -> Tensor:
    """The lower triangle with half the diagonal."""
    low = a.tril()
    return low - 0.5 * low.diagonal(0, -2, -1).diag_embed()


def _not_positive(matrix: np.ndarray) -> int:
    """The order of the first leading minor that is not positive definite; 0: all are."""
    for k in range(1, len(matrix) + 1):
        try:
            _factor(matrix[:k, :k])
        except np.linalg.LinAlgError:
            return k
    return 0


def _factor(matrices: np.ndarray) -> np.ndarray:
    """numpy's Cholesky factor, which takes NaN for a positive number: PyTorch does not."""
    if matrices.size and not (np.diagonal(matrices, 0, -2, -1) > 0).all():
        raise np.linalg.LinAlgError("not positive definite")
    return np.linalg.cholesky(matrices)


@shown("LinalgCholeskyExBackward0")
class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        try:
            made = on_host(_factor, a)
        except np.linalg.LinAlgError:
            where, order = _blame(host_values(a), _not_positive)
            raise LinAlgError(
                f"linalg.cholesky: {where}The factorization could not be completed because the "
                f"input is not positive-definite (the leading minor of order {order} is not "
                "positive-definite)."
            ) from None
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (low,) = ctx.saved_tensors
        back = inv(low)
        s = back.mT @ _phi(low.mT @ g) @ back
        return 0.5 * (s + s.mT)


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with L L^T = A, or its transpose. Raises LinAlgError unless A is positive definite."""
    check_matrices("linalg.cholesky", A)
    require("linalg.cholesky", A.dtype)
    made = _Cholesky.apply(A.mT if upper else A)
    return saving(turned := no_view(made.contiguous().mT), turned) if upper else made


def _tall_gradient(q: Tensor, r: Tensor, gq: Tensor, gr: Tensor) -> Tensor:
    """The gradient of A = Q R with no fewer rows than columns (Walter and Lehmann, 2018)."""
    m = r @ gr.mT - gq.mT @ q
    low = m.tril(-1)
    full = low + low.mT + m.diagonal(0, -2, -1).diag_embed()
    return (gq + q @ full) @ inv(r).mT


@shown("LinalgQrBackward0")
class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, mode: str) -> Any:
        ctx.mode = mode
        if mode == "r":
            r = on_host(lambda v: np.linalg.qr(v, "r"), a)
            ctx.save_for_backward(None, r)
            return a.new_empty(0), r
        q, r = on_host(lambda v: tuple(np.linalg.qr(v, mode)), a)  # type: ignore[call-overload]
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Tensor, gr: Tensor) -> Any:
        q, r = ctx.saved_tensors
        if ctx.mode == "r":
            raise RuntimeError(
                "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
                "Please use linalg.qr(A, mode='reduced') if you are going to differentiate "
                "through linalg.qr."
            )
        rows, columns = q.shape[-2], r.shape[-1]
        if rows > columns and ctx.mode == "complete":
            raise RuntimeError(
                "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
            )
        if rows >= columns:
            return _tall_gradient(q, r, gq, gr), None
        # A = [X Y] with X square: X = Q U, and Y = Q V hangs on Q
        rest = gr[..., rows:]
        g = _tall_gradient(q, r[..., :rows], gq + q @ r[..., rows:] @ rest.mT, gr[..., :rows])
        return cat([g, q @ rest], -1), None


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """Q R = A with Q orthogonal and R upper triangular; `mode` reduced, complete or r."""
    check_matrices("linalg.qr", A, square=False)
    check_kind(mode, str, "linalg_qr", "mode", 2)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    require("linalg.qr", A.dtype)
    return qr_result(*_Qr.apply(A, mode))


@shown("LinalgEighBackward0")
class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, uplo: str) -> Any:
        values, vectors = on_host(lambda v: tuple(np.linalg.eigh(v, uplo)), a)  # type: ignore[call-overload]
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, gw: Tensor, gv: Tensor) -> Any:
        w, v = ctx.saved_tensors
        gap = w.unsqueeze(-2) - w.unsqueeze(-1)
        same = gap == 0
        inner = (v.mT @ gv) / gap.masked_fill(same, 1.0)
        inner = inner.masked_fill(same, 0.0) + gw.diag_embed()
        made = v @ inner @ v.mT  # of a symmetric input: both triangles get their half
        return 0.5 * (made + made.mT), None


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices, of which one triangle is
    read."""
    check_matrices("linalg.eigh", A, floats=False)
    check_kind(UPLO, str, "linalg_eigh", "UPLO", 2)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    require("linalg.eigh", A.dtype)
    return eigh_result(*_Eigh.apply(A, UPLO.upper()))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending."""
    return eigh(A, UPLO)[0]


@shown("LinalgSvdBackward0")
class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, full: bool) -> Any:
        try:
            u, s, vh = on_host(lambda x: tuple(np.linalg.svd(x, full_matrices=full)), a)
        except np.linalg.LinAlgError:
            raise LinAlgError(
                "linalg.svd: The algorithm failed to converge because the input matrix contained "
                "non-finite values."
            ) from None
        ctx.save_for_backward(u, s, vh)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Tensor, gs: Tensor, gvh: Tensor) -> Any:
        u, s, vh = ctx.saved_tensors
        k = s.shape[-1]  # the columns that a full decomposition adds have no gradient
        u, gu, v, gv = (t[..., :k] for t in (u, gu, vh.mT, gvh.mT))
        gap = s.unsqueeze(-2) ** 2 - s.unsqueeze(-1) ** 2
        same = gap == 0
        f = (1 / gap.masked_fill(same, 1.0)).masked_fill(same, 0.0)
        ug, vg = u.mT @ gu, v.mT @ gv
        mid = (f * (ug - ug.mT)) * s.unsqueeze(-2) + s.unsqueeze(-1) * (f * (vg - vg.mT))
        out = u @ (mid + gs.diag_embed()) @ v.mT
        inverse = (1 / s).unsqueeze(-2)
        if u.shape[-2] > k:
            part = gu * inverse
            out = out + (part - u @ (u.mT @ part)) @ v.mT
        if v.shape[-2] > k:
            part = gv * inverse
            out = out + u @ (part - v @ (v.mT @ part)).mT
        return out, None


def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> Any:
    """U, S, Vh with U diag(S) Vh = A and S descending. Raises LinAlgError for NaNs."""
    check_matrices("linalg.svd", A, square=False)
    check_kind(full_matrices, bool, "linalg_svd", "full_matrices", 2)
    require("linalg.svd", A.dtype)
    return svd_result(*_Svd.apply(A, full_matrices))


def svdvals(A: Tensor, *, driver: Any = None) -> Tensor:
    """The singular values, descending."""
    return svd(A, False)[1]
