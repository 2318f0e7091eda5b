"""Functions of square matrices that PyTorch also has at its top and as methods.

Owns: these names. Must not know: how they are computed, which `lazygrad.linalg` does; it is
loaded when one of them is first called, to keep the import short.
"""

from __future__ import annotations

from typing import Any

from lazygrad.tensor.core import Tensor
from lazygrad.tensor.declare import check_kind, check_tensor, declare, named
from lazygrad.tensor.kernels import require_float
from lazygrad.tensor.logic import where


def _linalg() -> Any:
    from lazygrad.tensor import linalg

    return linalg


@declare()
def det(input: Tensor) -> Tensor:
    """The determinant of (*, n, n): (*). RuntimeError unless square and floating."""
    return _linalg().det(input)


_slogdet_result = named("slogdet", "sign", "logabsdet")


@declare(out="same")
def slogdet(input: Tensor) -> Any:
    """The sign of the determinant of (*, n, n), and the logarithm of its absolute value."""
    return _slogdet_result(*_linalg().slogdet(input))


@declare()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant of (*, n, n); NaN where that is negative."""
    check_tensor(input, "logdet")
    require_float("logdet", input.dtype, low=False)
    sign, logarithm = _linalg().slogdet(input)
    return where(sign == -1.0, float("nan"), logarithm)


@declare(out="same")
def inverse(input: Tensor) -> Tensor:
    """The inverse of (*, n, n). LinAlgError for a singular matrix."""
    return _linalg().inv(input)


@declare(out="power")
def matrix_power(input: Tensor, n: int) -> Tensor:
    """`n` matrices (*, n, n) multiplied with each other; of the inverse for a negative `n`."""
    check_kind(n, int, "matrix_power", "n", 2)
    return _linalg().matrix_power(input, n)


@declare()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudoinverse of (*, m, n); singular values below `rcond` of the largest are zero."""
    return _linalg().pinv(input, rtol=rcond)
