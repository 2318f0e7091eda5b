"""The losses of differences, and distances, of `lazygrad.nn.functional`.

Owns: what a difference costs, to which piece of a loss a point between two pieces belongs, and the
checks of shapes and dtypes. Must not know: modules, optimizers, or how ops run.
"""

from __future__ import annotations

from lazygrad.nn._common import check_dim, function, not_implemented
from lazygrad.nn._reduction import legacy_reduction, reduced, warn_broadcast, weighted
from lazygrad.tensor import Tensor, no_grad, promote_types, where
from lazygrad.tensor.promotion import joint_shape, type_name


def _broadcast(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """The common shape; RuntimeError if there is none."""
    return joint_shape(tuple(a.shape), tuple(b.shape))


def _need_common(kernel: str, a: Tensor, b: Tensor) -> None:
    """NotImplementedError unless the two operands' common dtype is a float."""
    _broadcast(a, b)
    if not (a.is_floating_point() or b.is_floating_point()):
        raise not_implemented(kernel, a)


@function("MseLossBackward0", ("input", "target"))
def _mse(input: Tensor, target: Tensor, *, reduction: str) -> Tensor:
    difference = input - target
    return reduced(difference * difference, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)**2, reduced; a UserWarning if the two shapes differ."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    warn_broadcast(input, target)
    if weight is not None:
        return weighted((input - target).pow(2), weight, reduction)
    _need_common("mse_cpu", input, target)
    result: Tensor = _mse(input, target, reduction=reduction)
    return result


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|, reduced; a UserWarning if the two shapes differ."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    warn_broadcast(input, target)
    loss = (input - target).abs()
    return reduced(loss, reduction) if weight is None else weighted(loss, weight, reduction)


@function("SmoothL1LossBackward0", ("input", "target"))
def _smooth_l1(input: Tensor, target: Tensor, *, beta: float, reduction: str) -> Tensor:
    difference = input - target
    size = difference.abs()
    # The parabola is in the difference, not its size: its gradient at zero is then zero.
    near = where(size > beta, 0.0, difference)  # beyond, no infinity may come into its gradient
    curved = 0.5 * near * near / beta
    return reduced(where(size < beta, curved, size - 0.5 * beta), reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """A parabola where |input - target| < beta, a line outside, reduced.

    RuntimeError for a negative beta; a UserWarning if the two shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    warn_broadcast(input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0.0:
        return l1_loss(input, target, reduction=reduction)
    _need_common("smooth_l1_cpu", input, target)
    result: Tensor = _smooth_l1(input, target, beta=beta, reduction=reduction)
    return result


@function("HuberLossBackward0", ("input", "target"))
def _huber(input: Tensor, target: Tensor, *, delta: float, reduction: str) -> Tensor:
    difference = input - target
    size = difference.abs()
    # As `smooth_l1_loss`.
    near = where(size > delta, 0.0, difference)
    curved = 0.5 * near * near
    return reduced(where(size < delta, curved, delta * (size - 0.5 * delta)), reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """A parabola where |input - target| < delta, a line outside, reduced.

    RuntimeError for a delta that is not positive; a UserWarning if the two shapes differ.
    """
    reduction = legacy_reduction(None, None, reduction)
    warn_broadcast(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    _need_common("huber_cpu", input, target)
    if weight is not None:
        if weight.shape != input.shape:
            raise ValueError("Weights and input must have the same size.")
        return reduced(_huber(input, target, delta=delta, reduction="none") * weight, reduction)
    result: Tensor = _huber(input, target, delta=delta, reduction=reduction)
    return result


# -- distances ---------------------------------------------------------------------------------


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between two tensors along a dim, each norm counting as eps at least.

    RuntimeError for shapes that do not broadcast and for integers; IndexError for a dim that there
    is not.
    """
    common = promote_types(x1.dtype, x2.dtype)
    if not common.is_floating_point:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {type_name(common)}"
        )
    shape = _broadcast(x1, x2)
    at = check_dim(dim, len(shape))
    parts = []
    for x in (x1, x2):
        x = x.to(common)
        x = x if x.shape == shape else x.expand(shape)
        norm = x.norm(2, at, keepdim=True).clone()
        with no_grad():
            norm.clamp_(min=eps)  # beside the gradient, as PyTorch does
        parts.append(x / norm)
    return (parts[0] * parts[1]).sum(at)


@function(
    "NormBackward1",
    ("result",),
    outline=lambda *_, **__: (("AddBackward1", ("SubBackward0", 0, 1)),),
)
def _pairwise(a: Tensor, b: Tensor, *, p: float, eps: float, keepdim: bool) -> Tensor:
    return (a - b + eps).norm(p, -1, keepdim=keepdim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dim. RuntimeError for shapes that do not fit."""
    _broadcast(x1, x2)
    result: Tensor = _pairwise(x1, x2, p=p, eps=eps, keepdim=keepdim)
    return result
