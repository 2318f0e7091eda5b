"""Quantiles: values that a share of the elements lies below.

Owns: which ranks they are and what lies between two of them. Must not know: how to sort.
"""

from __future__ import annotations

from typing import Any

from lazygrad.ir import dtypes as D
from lazygrad.tensor.core import Tensor, axis_of
from lazygrad.tensor.declare import check_tensor, declare
from lazygrad.tensor.searching import sort

_BETWEEN = ("linear", "lower", "higher", "midpoint", "nearest")


def _checked(name: str, input: Tensor, q: Any, interpolation: str) -> Tensor:
    """The shares as a tensor. RuntimeError for what cannot be computed."""
    check_tensor(input, name)
    if not isinstance(q, (int, float)):
        check_tensor(q, name, "q", 2)
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if input.dtype not in (D.float32, D.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in _BETWEEN:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if isinstance(q, (int, float)):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        return input.new_tensor(q)
    if q.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not ((q >= 0) & (q <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q.detach()


def _quantile(
    name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    shares = _checked(name, input, q, interpolation)
    if dim is None:
        rows, kept = input.reshape(-1), [1] * input.ndim
    else:
        axis = axis_of(dim, input.ndim)
        rows = (input if input.ndim else input.reshape(1)).movedim(axis, -1)
        kept = [1 if a == axis else extent for a, extent in enumerate(input.shape)]
    ordered = sort(rows, -1)[0]
    missing = ordered.detach().isnan()
    last = ordered.shape[-1] - 1
    if name == "nanquantile":  # of the others; where there are none, the first one, which is NaN
        place = (shares * ((~missing).sum(-1, keepdim=True) - 1)).clamp(min=0)
    else:  # a row with a NaN has NaN as its quantile: the last of a sorted row
        place = (shares * last).masked_fill(missing.any(-1, keepdim=True), last)
    if interpolation == "lower":
        place = place.floor()
    elif interpolation == "higher":
        place = place.ceil()
    elif interpolation == "nearest":
        place = place.round()
    below = place.long()
    value = ordered.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        weight = (place - below) if interpolation == "linear" else place.new_full((), 0.5)
        value = value.lerp(ordered.gather(-1, place.ceil().long()), weight)
    value = value.movedim(-1, 0) if shares.ndim else value.squeeze(-1)
    if keepdim:
        return value.reshape([*shares.shape, *kept])
    return value


@declare(out="same")
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The values that a share q of the elements (or of those along a dim) lies below.

    q: a number or a vector in [0, 1]; a vector's axis comes first in the result. `interpolation`
    is what lies between two ranks: linear, lower, higher, midpoint or nearest. RuntimeError for
    other dtypes than float32 and float64, for shares out of range, for no elements.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@declare(out="same")
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """`quantile` of the elements that are not NaN; NaN where there are none."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)
