"""Losses of margins and of likelihoods, and sampling of categories, of `lazygrad.nn.functional`.

Owns: these formulas, which PyTorch too is made of simpler functions for, and their checks. Must
not know: modules, or how ops run.
"""

from __future__ import annotations

import math

from lazygrad.autograd import composite
from lazygrad.nn._activation_functions import logsigmoid
from lazygrad.nn._distances import pairwise_distance
from lazygrad.nn._reduction import legacy_reduction, reduced
from lazygrad.tensor import (
    Tensor,
    empty_like,
    exp,
    get_default_dtype,
    is_grad_enabled,
    log,
    log1p,
    no_grad,
    ones_like,
    where,
    zeros_like,
)
from lazygrad.tensor.promotion import type_name


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin), reduced.

    A target of 1 wants input1 to be the larger, -1 input2. RuntimeError for different ranks.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    far = -target * (input1 - input2) + margin
    if not far.is_floating_point():  # as PyTorch's, whose margin is a float
        far = far.to(get_default_dtype())
    return reduced(far.clamp(min=0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The input where the target is 1, max(0, margin - input) where it is -1, reduced."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    nothing = zeros_like(input)
    gap = margin - input if input.is_floating_point() else int(margin) - input
    far = where(target != 1, gap.clamp(min=0), nothing)
    return reduced(far + where(target != -1, input, nothing), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1, reduced.

    (N, D) with a target of (N), or (D) with one of (). RuntimeError for other shapes.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.dim() not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.dim() != target.dim() + 1 or input2.dim() != target.dim() + 1:
        kind, rank = ("1D", 1) if target.dim() == 0 else ("2D", 2)
        raise RuntimeError(
            f"{rank - 1}D target tensor expects {kind} input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    sizes = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cos = (input1 * input2).sum(-1) / sizes.sqrt()
    near, far = 1.0 - cos, (cos - margin).clamp(min=0)
    return reduced(where(target == 1, near, 0.0) + where(target == -1, far, 0.0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + |anchor - positive| - |anchor - negative|), reduced.

    `swap`: the negative is compared with the nearer of the two. ValueError for a margin that is
    not positive, RuntimeError for different ranks.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp(min=0), reduction)


@composite("SoftMarginLossBackward0", saves=("input", "target"))
def _soft_margin(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    return reduced(log1p(exp(-target * input)), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)) for targets of 1 and -1, reduced."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.requires_grad and is_grad_enabled():
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument "
            "'target'. This input cannot have requires_grad True."
        )
    if not input.is_floating_point():
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input.dtype)}"
        )
    return _soft_margin(input, target, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes, the last axis, of binary cross entropy with logits; then reduced."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input.shape[-1], reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-log P(target) of a Poisson distribution whose rate is the input, or exp(input); reduced.

    `full` adds Stirling's approximation of log(target!) where the target is larger than 1.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        rest = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        loss = loss + rest.masked_fill(target <= 1, 0.0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """-log p(target) of a normal distribution of mean `input` and variance `var`, reduced.

    The variance counts as `eps` at least, which its gradient does not know. `full` adds the
    constant. ValueError for a variance of another size, or a negative one.
    """
    reduction = legacy_reduction(None, None, reduction)
    spread = var if isinstance(var, Tensor) else var * ones_like(input)
    if (spread < 0).any():
        raise ValueError("var has negative entry/entries")
    if spread.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(spread.shape):
            spread = spread.unsqueeze(-1)
        elif tuple(input.shape[:-1]) != tuple(spread.shape[:-1]) or spread.shape[-1] != 1:
            raise ValueError("var is of incorrect size")
    spread = spread.clone()
    with no_grad():
        spread.clamp_(min=eps)
    loss = 0.5 * (log(spread) + (input - target) ** 2 / spread)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample of the Gumbel-softmax distribution of unnormalised log-probabilities.

    Jang et al., 2017. `hard`: one-hot, with the gradient of the soft sample.
    """
    noise = -empty_like(logits.detach()).exponential_().log()
    soft: Tensor = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    chosen = zeros_like(soft.detach()).scatter(dim, soft.detach().argmax(dim, keepdim=True), 1.0)
    return chosen - soft.detach() + soft
