"""How a loss of elements becomes a number: the reductions that all losses take.

Owns: the reductions' names, the deprecated flags that stood for them, and the warning of shapes
that differ. Must not know: any particular loss.
"""

from __future__ import annotations

import warnings

from lazygrad.tensor import Tensor


def legacy_reduction(
    size_average: bool | None, reduce: bool | None, reduction: str, *, extra: str = "mean"
) -> str:
    """The reduction after the two deprecated flags; ValueError if there is no such reduction."""
    if size_average is not None or reduce is not None:
        average = size_average is None or size_average
        reduction = "none" if reduce is False else "mean" if average else "sum"
        warnings.warn(
            "size_average and reduce args will be deprecated, "
            f"please use reduction='{reduction}' instead.",
            stacklevel=3,
        )
    if reduction not in ("none", "mean", "sum", extra):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def warn_broadcast(input: Tensor, target: Tensor) -> None:
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def weighted(loss: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """A loss scaled per element; its mean is over the weights."""
    if weight.shape != loss.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    if reduction == "mean":
        return loss.sum() / weight.sum()
    return reduced(loss, reduction)
