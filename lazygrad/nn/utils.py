"""`lazygrad.nn.utils`: gradients clipped in place, parameters as one vector.

Owns: these functions on lists of parameters. Must not know: modules.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from lazygrad.autograd import no_grad
from lazygrad.nn import rnn_utils as rnn
from lazygrad.tensor import Tensor, cat, linalg, stack, tensor

Tensors = Iterable[Tensor] | Tensor


def _list(parameters: Tensors) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _list(parameters) if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of the norms of tensors, as of all their elements in one vector (0-d).

    Raises RuntimeError where it is not finite, if that is asked for.
    """
    given = _list(tensors)
    if not given:
        return tensor(0.0)
    norms = [linalg.vector_norm(t, float(norm_type)) for t in given]
    total: Tensor = linalg.vector_norm(stack(norms), float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is "
            "non-finite, so it cannot be clipped. To disable this error and scale the gradients "
            "by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor) -> None:
    """Scale gradients in place by max_norm / (total_norm + 1e-6), if that is below 1."""
    factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in _gradients(parameters):
        grad.mul_(factor)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale gradients in place so that their total norm is at most `max_norm`; gives the norm
    before (0-d). Raises RuntimeError where it is not finite, if that is asked for."""
    given = _list(parameters)
    total = get_total_norm(_gradients(given), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Clamp gradients in place to [-clip_value, clip_value]."""
    for grad in _gradients(parameters):
        grad.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of the parameters, one after the other (1-d)."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """The parameters become the parts of a vector. Raises TypeError for what is not a tensor."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected lazygrad.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[start : start + count].view_as(p).data
        start += count


__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
