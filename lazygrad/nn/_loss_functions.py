"""The losses of classes and probabilities of `lazygrad.nn.functional`.

Owns: how an output and a target become a loss, the checks of their shapes and dtypes, and the
reduction at the end. Must not know: modules, optimizers, or how ops run. A loss is written so
that it fuses: class indices pick by `gather`, and nothing reads a value.
"""

from __future__ import annotations

import warnings
from typing import Any

from lazygrad.nn._common import function, log1p_exp, need_floats
from lazygrad.nn._reduction import legacy_reduction, reduced
from lazygrad.tensor import Tensor, exp, int64, log, log1p, uint8, where, xlogy
from lazygrad.tensor.checks import (
    check_classes,
    check_probabilities,
    checked_index,
    checked_probabilities,
)
from lazygrad.tensor.core import shape_of
from lazygrad.tensor.functions import rename
from lazygrad.tensor.gathering import gathered
from lazygrad.tensor.promotion import broadcast_shapes, type_name

# -- classes -----------------------------------------------------------------------------------


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Shapes and dtypes of `nll_loss`, in the order PyTorch looks at them."""
    kind = (shape_of(input), shape_of(target), target.dtype)
    if weight is None and kind in _fitting:
        return
    if input.dim() == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if input.dim() == 1:
        if target.dim() == 1 and target.shape[0] != 1:
            raise ValueError(
                f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}"
            )
    elif target.dim() == 0 or input.shape[0] != target.shape[0]:
        batch = target.shape[0] if target.dim() else 0
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({batch})."
        )
    if target.dtype not in (int64, uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {type_name(target.dtype)}"
        )
    if input.dim() == 2 and target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    wanted = (input.shape[0], *input.shape[2:])
    if input.dim() >= 2 and tuple(target.shape) != wanted:
        if input.dim() == 4 and target.dim() != 3:
            raise RuntimeError(
                "only batches of spatial targets supported (3D tensors) "
                f"but got targets of dimension: {target.dim()}"
            )
        if input.dim() == 4:
            raise RuntimeError(
                f"size mismatch (got input: {list(input.shape)} , target: {list(target.shape)}"
            )
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    classes = input.shape[min(1, input.dim() - 1)]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes "
            f"but got weight tensor of shape: {list(weight.shape)}"
        )
    if len(_fitting) >= 1024:
        _fitting.clear()
    _fitting.add(kind)


_fitting: set[tuple[Any, ...]] = set()  # named cache: shapes and dtypes without a fault
_NO_CLASS = "IndexError: Target {value} is out of bounds."


def _chosen(x: Tensor, axis: int, classes: Tensor) -> Tensor:
    """One element of each row."""
    return gathered(x, axis, classes, checked_index(classes, x.shape[axis], _NO_CLASS))


def _nll(logp: Tensor, target: Tensor, *weight: Tensor, ignore: int, reduction: str) -> Tensor:
    valid = target != ignore
    index = where(valid, target, 0)
    axis = 1 if logp.dim() > 1 else 0
    picked = _chosen(logp, axis, index.unsqueeze(axis) if logp.dim() > 1 else index.reshape(1))
    loss = -picked.reshape(index.shape)
    if weight:
        scale = _chosen(weight[0], 0, index.reshape(-1)).reshape(index.shape)
        loss = loss * scale
    # Ignored targets count neither above nor below, whatever their log-probability is.
    loss = where(valid, loss, 0.0)
    if reduction != "mean":
        return loss.sum() if reduction == "sum" else loss
    counted = where(valid, scale, 0.0) if weight else valid.to(loss.dtype)
    return loss.sum() / counted.sum()


_nll1d = function("NllLossBackward0", ("logp", "target", "weight"), dense=True)(_nll)
_nll2d = function("NllLoss2DBackward0", ("logp", "target", "weight"), dense=True)(_nll)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the target class.

    `input` (N, C, *) or (C) holds log-probabilities; `target` (N, *) or () class indices, int64
    or uint8; `weight` (C) scales the classes, and the mean is over the weights of the targets.
    ValueError, RuntimeError for shapes and dtypes that do not fit; IndexError for a class that
    does not exist.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _check_classes(input, target, weight)
    index = target.to(int64)
    check_classes(target, input.shape[min(1, input.dim() - 1)], _NO_CLASS, ignore_index)
    flat = input.dim() <= 2
    need_floats("nll_loss_out_frame" if flat else "nll_loss2d_forward_out_frame", input)
    if weight is not None and weight.dtype != input.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(input.dtype)} but found {type_name(weight.dtype)}"
        )
    extra = () if weight is None else (weight,)
    loss = _nll1d if flat else _nll2d
    return loss(input, index, *extra, ignore=ignore_index, reduction=reduction)


def _smooth_classes(
    logp: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """Class indices with a share of every target spread evenly over all classes."""
    axis = 1 if logp.dim() > 1 else 0
    classes = logp.shape[axis]
    nll = nll_loss(logp, target, weight, ignore_index=ignore, reduction=reduction)
    valid = target != ignore
    shape = [classes if i == axis else 1 for i in range(logp.dim())]
    scaled = logp if weight is None else logp * weight.reshape(shape)
    spread = (-scaled.sum(axis)).masked_fill(~valid, 0.0)
    if reduction != "none":
        spread = spread.sum()
    if reduction == "mean":
        counted = valid.to(logp.dtype)
        if weight is not None:
            index = where(valid, target.to(int64), 0)
            scale = _chosen(weight, 0, index.reshape(-1)).reshape(index.shape)
            counted = where(valid, scale, 0.0)
        spread = spread / counted.sum()
    # times and by a number of C++, which are others than those of a number of Python
    return _by_number(nll * (1.0 - smoothing)) + _by_number(spread * (smoothing / classes))


def _by_number(t: Tensor) -> Tensor:
    """A product or quotient under the name that it has where PyTorch's own code wrote it."""
    return rename(t, t.grad_fn.name().replace("0", "1")) if t.grad_fn is not None else t


def _check_soft(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    if not target.is_floating_point():
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, "
            f"got {type_name(target.dtype)}"
        )
    classes = input.shape[1] if input.dim() > 1 else input.numel()
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes "
            f"or no classes but got weight tensor of shape: {list(weight.shape)}"
        )


def _soft_classes(
    logp: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    """Class probabilities as targets."""
    axis = 1 if logp.dim() > 1 else 0
    classes = logp.shape[axis]
    if smoothing > 0.0:
        target = target * (1.0 - smoothing) + smoothing / classes
    terms = logp * target
    if weight is not None:
        shape = [classes if i == axis else 1 for i in range(logp.dim())]
        terms = terms * weight.reshape(shape)
    if reduction == "none":
        return -terms.sum(axis)
    total = -terms.sum()
    return _by_number(total / (logp.numel() / max(classes, 1))) if reduction == "mean" else total


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """log_softmax over the classes, then the negative log-likelihood of the target.

    `input` (N, C, *) or (C) holds logits; `target` is class indices (N, *) or (), int64 or uint8,
    or class probabilities of the input's shape; `weight` (C) scales the classes. ValueError,
    RuntimeError for shapes, dtypes and a smoothing that do not fit; IndexError for a class that
    does not exist.
    """
    if (
        weight is None
        and size_average is None
        and reduce is None
        and label_smoothing == 0.0
        and shape_of(input) != shape_of(target)
        and (shape_of(input), shape_of(target), target.dtype) in _fitting
    ):  # as most calls are: there is nothing to find fault with
        axis = 1 if len(shape_of(input)) > 1 else 0
        logp = input.log_softmax(axis)
        return nll_loss(logp, target, ignore_index=ignore_index, reduction=reduction)
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    soft = tuple(target.shape) == tuple(input.shape)
    if soft and target.is_floating_point() and ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if soft:
        _check_soft(input, target, weight)
    logp = input.log_softmax(1 if input.dim() > 1 else 0)
    if soft:
        return _soft_classes(logp, target, weight, reduction, label_smoothing)
    if label_smoothing > 0.0:
        return _smooth_classes(logp, target, weight, ignore_index, reduction, label_smoothing)
    return nll_loss(logp, target, weight, ignore_index=ignore_index, reduction=reduction)


# -- probabilities -----------------------------------------------------------------------------


def _clamped_log(x: Tensor) -> Tensor:
    """log(x), but no less than -100; finite in value and gradient where x is 0."""
    zero = x == 0
    return where(zero, -100.0, log(where(zero, 1.0, x)).clamp(min=-100.0))


_NOT_UNIT = "RuntimeError: all elements of {} should be between 0 and 1"


@function("BinaryCrossEntropyBackward0", ("p", "target", "weight"), outline=lambda *_, **__: (0, 1))
def _bce(p: Tensor, target: Tensor, fixed: Tensor, *weight: Tensor, reduction: str) -> Tensor:
    """`fixed` is p without gradient. Where p (1 - p) is next to nothing, PyTorch's gradient is
    (p - t) / 1e-12, however far the logarithm is from its limit: that of a line through the loss.
    """
    p = checked_probabilities(p, _NOT_UNIT.format("input"))
    target = checked_probabilities(target, _NOT_UNIT.format("target"))
    edge = fixed * (1.0 - fixed) < 1e-12
    inner = where(edge, 0.5, p)
    curve = (target - 1.0) * log1p(-inner) - target * log(inner)
    limit = (target - 1.0) * _clamped_log(1.0 - fixed) - target * _clamped_log(fixed)
    loss = where(edge, limit + (p - fixed) * ((fixed - target) / 1e-12), curve)
    return reduced(loss * weight[0] if weight else loss, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t * log(p) + (1 - t) * log(1 - p)) for probabilities p and t of one shape, reduced.

    A logarithm counts as -100 at least. ValueError if the shapes differ; RuntimeError for what is
    no probability, when it is computed.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        weight = weight.expand(broadcast_shapes(input.shape, weight.shape))
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"Found dtype {type_name(target.dtype)} but expected {type_name(input.dtype)}"
        )
    need_floats("binary_cross_entropy", input)
    check_probabilities(input, _NOT_UNIT.format("input"))
    check_probabilities(target, _NOT_UNIT.format("target"))
    extra = () if weight is None else (weight,)
    return _bce(input, target, input.detach(), *extra, reduction=reduction)


@function("BinaryCrossEntropyWithLogitsBackward0", ("x", "target", "scales"))
def _bce_logits(
    x: Tensor, target: Tensor, *scales: Tensor, weighted: bool, positive: bool, reduction: str
) -> Tensor:
    softplus = log1p_exp(-x)
    if positive:
        softplus = ((scales[-1] - 1.0) * target + 1.0) * softplus
    loss = (1.0 - target) * x + softplus
    return reduced(loss * scales[0] if weighted else loss, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), computed without loss, reduced.

    `pos_weight` scales the positive targets. ValueError if the shapes of input and target differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    need_floats("log_sigmoid_cpu", input)
    scales = [given for given in (weight, pos_weight) if given is not None]
    return _bce_logits(
        input,
        target,
        *scales,
        weighted=weight is not None,
        positive=pos_weight is not None,
        reduction=reduction,
    )


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input) for log-probabilities `input`, reduced.

    `log_target` says that the target holds logarithms too. `reduction="batchmean"` divides the
    sum by the size of the first axis.
    """
    reduction = legacy_reduction(size_average, reduce, reduction, extra="batchmean")
    if not (input.is_floating_point() and target.is_floating_point()):
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support "
            "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
            "major release.",
            stacklevel=2,
        )
    if log_target:
        loss = exp(target) * (target - input)
    else:
        loss = xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.dim() else loss.sum()
    return reduced(loss, reduction)
