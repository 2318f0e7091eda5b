"""Covariances and correlations of variables, the rows of a matrix of observations.

Owns: their weights and checks. Must not know: how matrices are multiplied.
"""

from __future__ import annotations

import builtins
import warnings
from typing import Any

from lazygrad.ir import dtypes as D
from lazygrad.tensor import promotion as P
from lazygrad.tensor.core import Tensor, shape_of
from lazygrad.tensor.declare import check_tensor, declare


def _check_weights(name: str, weights: Any, count: int, kinds: str, words: str) -> None:
    check_tensor(weights, "cov", name, 2)
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.ndim} dimensions"
        )
    if weights.dtype.kind not in kinds:
        raise RuntimeError(
            f"cov(): expected {name} to have {words} dtype but got {name} with "
            f"{P.type_name(weights.dtype)} dtype"
        )
    if weights.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {count}"
        )
    if count and builtins.bool((weights < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@declare()
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables, the rows, of which columns are observations.

    `fweights`: how often each was made; `aweights`: how much each counts. RuntimeError for more
    than two dims, for bools, and for weights of other sizes, dtypes or below zero.
    """
    if input.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    if input.dtype is D.bool_:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim > 1 else input.reshape(1, -1)
    count = shape_of(x)[1]
    weights: Any = None
    if fweights is not None:
        _check_weights("fweights", fweights, count, "iu", "integral")
        weights = fweights
    if aweights is not None:
        _check_weights("aweights", aweights, count, "f", "floating point")
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        left: Any = count - correction
        x = x - (x.sum(1) / count).unsqueeze(1)
        weighted = x
    else:
        total = weights.sum()
        if count and builtins.bool(total == 0):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        lost = correction
        if aweights is not None and correction:
            lost = correction * (weights * aweights).sum() / total
        left = total - lost
        x = x - ((x * weights).sum(1) / total).unsqueeze(1)
        weighted = x * weights
    if builtins.bool(left <= 0):
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number "
            "of observations.",
            stacklevel=2,
        )
        left = 0
    return (weighted @ x.t() / left).squeeze()


@declare()
def corrcoef(input: Tensor) -> Tensor:
    """The covariances of variables, scaled so that those with themselves are 1.

    RuntimeError for more than two dims.
    """
    if input.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    return (c / d.view(-1, 1) / d.view(1, -1)).clamp(-1, 1)
