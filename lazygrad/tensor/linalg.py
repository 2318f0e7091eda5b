"""`lazygrad.linalg`: norms, and decompositions through the LAPACK that numpy brings.

Owns: these functions and their gradients. Decompositions run on the host when called. Must not
know: how anything else is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.autograd.function import Function
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import named
from lazygrad.tensor.functions import vector_norm
from lazygrad.tensor.linear import cross, matmul


class LinAlgError(RuntimeError):
    """A matrix that the operation cannot take."""


qr_result = named("linalg_qr", "Q", "R")
svd_result = named("linalg_svd", "U", "S", "Vh")
eigh_result = named("linalg_eigh", "eigenvalues", "eigenvectors")
slogdet_result = named("linalg_slogdet", "sign", "logabsdet")


def _host(function: Any, *tensors: Tensor) -> Any:
    """numpy's function on the values; its results as tensors of the first one's dtype."""
    try:
        got = function(*(host_values(t) for t in tensors))
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg: {error}") from None
    kind = tensors[0].dtype
    if isinstance(got, tuple):
        return tuple(from_values(np.ascontiguousarray(part), kind) for part in got)
    return from_values(np.ascontiguousarray(got), kind)


def _square(name: str, a: Tensor) -> None:
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by "
            f"{a.shape[-1]} matrices"
        )


class _Inverse(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        made = _host(np.linalg.inv, a)
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return -(y.mT @ g @ y.mT)


def inv(A: Tensor) -> Tensor:
    """The inverse. Raises LinAlgError for a singular matrix."""
    _square("linalg.inv", A)
    return _Inverse.apply(A)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B."""
    _square("linalg.solve", A)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    right = B.unsqueeze(-1) if vector else B
    made = _Solve.apply(A, right) if left else _Solve.apply(A.mT, right.mT).mT
    return made.squeeze(-1) if vector else made


class _Solve(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        x = _host(np.linalg.solve, a, b)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, x = ctx.saved_tensors
        gb = _Solve.apply(a.mT, g)
        return -gb @ x.mT, gb


class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        made = _host(np.linalg.det, a)
        ctx.save_for_backward(a, made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, y = ctx.saved_tensors
        return (g * y)[..., None, None] * inv(a).mT


def det(A: Tensor) -> Tensor:
    _square("linalg.det", A)
    return _Det.apply(A)


class _LogDet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        sign, value = _host(np.linalg.slogdet, a)
        ctx.mark_non_differentiable(sign)
        ctx.save_for_backward(a)
        return sign, value

    @staticmethod
    def backward(ctx: Any, gs: Tensor, g: Tensor) -> Any:
        (a,) = ctx.saved_tensors
        return g[..., None, None] * inv(a).mT


def slogdet(A: Tensor) -> Any:
    _square("linalg.slogdet", A)
    return slogdet_result(*_LogDet.apply(A))


def logdet(A: Tensor) -> Tensor:
    return slogdet(A)[1]


def _phi(a: Tensor) -> Tensor:
    """The lower triangle with half the diagonal."""
    low = a.tril()
    return low - 0.5 * low.diagonal(0, -2, -1).diag_embed()


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        made = _host(np.linalg.cholesky, a)
        ctx.save_for_backward(made)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (low,) = ctx.saved_tensors
        back = inv(low)
        s = back.mT @ _phi(low.mT @ g) @ back
        return 0.5 * (s + s.mT)


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    _square("linalg.cholesky", A)
    try:
        made = _Cholesky.apply(A)
    except LinAlgError:
        raise LinAlgError(
            "linalg.cholesky: The factorization could not be completed because the input is not "
            "positive-definite."
        ) from None
    return made.mT if upper else made


class _Qr(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        q, r = _host(np.linalg.qr, a)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Tensor, gr: Tensor) -> Any:
        q, r = ctx.saved_tensors
        m = r @ gr.mT - gq.mT @ q
        low = m.tril(-1)
        full = low + low.mT + m.diagonal(0, -2, -1).diag_embed()
        return (gq + q @ full) @ inv(r).mT


def qr(A: Tensor, mode: str = "reduced") -> Any:
    if mode == "reduced":
        return qr_result(*_Qr.apply(A))
    return qr_result(*_host(lambda a: np.linalg.qr(a, "complete"), A))


class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        values, vectors = _host(np.linalg.eigh, a)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, gw: Tensor, gv: Tensor) -> Any:
        w, v = ctx.saved_tensors
        gap = w.unsqueeze(-2) - w.unsqueeze(-1)
        same = gap == 0
        inner = (v.mT @ gv) / gap.masked_fill(same, 1.0)
        inner = inner.masked_fill(same, 0.0) + gw.diag_embed()
        return v @ inner @ v.mT


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    _square("linalg.eigh", A)
    return eigh_result(*_Eigh.apply(A))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    return eigh(A)[0]


class _Svd(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        u, s, vh = _host(lambda x: tuple(np.linalg.svd(x, full_matrices=False)), a)
        ctx.save_for_backward(u, s, vh)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Tensor, gs: Tensor, gvh: Tensor) -> Any:
        u, s, vh = ctx.saved_tensors
        v, gv = vh.mT, gvh.mT
        gap = s.unsqueeze(-2) ** 2 - s.unsqueeze(-1) ** 2
        same = gap == 0
        f = (1 / gap.masked_fill(same, 1.0)).masked_fill(same, 0.0)
        ug, vg = u.mT @ gu, v.mT @ gv
        mid = (f * (ug - ug.mT)) * s.unsqueeze(-2) + s.unsqueeze(-1) * (f * (vg - vg.mT))
        out = u @ (mid + gs.diag_embed()) @ v.mT
        inverse = (1 / s).unsqueeze(-2)
        if u.shape[-2] > s.shape[-1]:
            part = gu * inverse
            out = out + (part - u @ (u.mT @ part)) @ v.mT
        if v.shape[-2] > s.shape[-1]:
            part = gv * inverse
            out = out + u @ (part - v @ (v.mT @ part)).mT
        return out


def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> Any:
    """The singular value decomposition."""
    if full_matrices and A.shape[-1] != A.shape[-2] and not A.requires_grad:
        return svd_result(*_host(lambda a: tuple(np.linalg.svd(a, full_matrices=True)), A))
    return svd_result(*_Svd.apply(A))


def svdvals(A: Tensor) -> Tensor:
    return svd(A, False)[1]


def pinv(A: Tensor, rcond: float | None = None) -> Tensor:
    return _host(np.linalg.pinv, A)


def matrix_rank(A: Tensor) -> Tensor:
    s = svdvals(A)
    top = s.amax(-1, True)
    eps = np.finfo(A.dtype.np).eps * max(A.shape[-2:])
    return (s > top * eps).sum(-1)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """A norm of matrices in the two dims given."""
    a, b = (d % A.ndim for d in dim)
    if ord == "fro":
        return vector_norm(A, 2, (a, b), keepdim, dtype)
    if ord in ("nuc", 2, -2):
        s = svdvals(A.movedim((a, b), (-2, -1)))
        value = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        for axis in sorted((a, b)) if keepdim else ():
            value = value.unsqueeze(axis)
        return value
    along, other = (a, b) if abs(ord) == 1 else (b, a)
    sums = A.abs().sum(along, keepdim=True)
    value = sums.amax(other, True) if ord > 0 else sums.amin(other, True)
    if not keepdim:
        for axis in sorted((a, b), reverse=True):
            value = value.squeeze(axis)
    return value


def norm(
    A: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    out: Any = None,
    dtype: Any = None,
) -> Tensor:
    """A vector norm, or a matrix norm where two dims and an order are given."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype)
    if isinstance(dim, int) or (dim is None and A.ndim == 1) or (dim is not None and len(dim) == 1):
        return vector_norm(A, ord, dim, keepdim, dtype)
    return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype)


def multi_dot(tensors: Any) -> Tensor:
    total = tensors[0]
    for t in tensors[1:]:
        total = matmul(total, t)
    return total


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    return A.diagonal(offset, dim1, dim2)


def matrix_power(A: Tensor, n: int) -> Tensor:
    base = inv(A) if n < 0 else A
    total: Any = None
    for _ in range(abs(n)):
        total = base if total is None else matmul(total, base)
    if total is None:
        from lazygrad.tensor.ranges import eye

        total = eye(A.shape[-1], dtype=A.dtype).expand(A.shape)
    return total


__all__ = [
    "LinAlgError",
    "cholesky",
    "cross",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "logdet",
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
