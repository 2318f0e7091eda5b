"""`Adam` and `AdamW`.

Owns: their options and their update rule, in the order of operations of PyTorch's. Must not
know: groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.optimizer import Optimizer, Params, decayed, number
from lazygrad.tensor import Tensor, maximum, realize
from lazygrad.tensor.updates import Plan

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Steps along the running mean of the gradient over the root of that of its square.

    `weight_decay` is added to the gradient, or with `decoupled_weight_decay` shrinks the
    parameter itself. `amsgrad` divides by the largest mean square so far. ValueError for an
    option out of range. `foreach` and `fused` are taken and change nothing: a step always is one
    launch.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for place, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {place}: {beta}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if differentiable:
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported"
            )
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _plan(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Plan:
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
        realize(*self._zeros(params, *names))
        lr, decay, eps = (number(group[name]) for name in ("lr", "weight_decay", "eps"))
        beta1, beta2 = (number(beta) for beta in group["betas"])
        decoupled = bool(group["decoupled_weight_decay"])
        is_near, *weights = _weights(beta1)
        numbers = [1.0 - lr * decay if decoupled else decay, *weights, beta2, 1.0 - beta2, eps]
        for param in params:
            step = self.state[param]["step"] = self.state[param].get("step", 0) + 1
            numbers += [-(lr / (1.0 - beta1**step)), (1.0 - beta2**step) ** 0.5]
        kind = (tuple(names), bool(group["maximize"]), decay != 0, decoupled, is_near)
        written = [*params, *(self.state[param][name] for param in params for name in names)]
        return Plan(kind, numbers, written, grads)

    def _update(self, params: list[Tensor], kind: tuple[Any, ...], numbers: list[float]) -> None:
        names, maximize, decays, decoupled, is_near = kind
        decay, weight, rest, beta2, weight2, eps, *steps = numbers
        for at, param in enumerate(params):
            grad = decayed(param, maximize, decays, decoupled, decay)
            mean, square, *largest = (self.state[param][name] for name in names)
            _lerp(mean, grad, is_near, weight, rest)
            square.mul_(beta2).add_(grad * weight2 * grad)
            if largest:
                (most,) = largest
                most.copy_(maximum(most, square))
                square = most
            back, root = steps[2 * at : 2 * at + 2]
            param.add_(mean * back / (square.sqrt() / root + eps))


def _weights(beta: float) -> tuple[bool, float, float]:
    """What `_lerp` takes to keep `beta` of the start."""
    weight = 1.0 - beta
    return weight < 0.5, weight, 1.0 - weight


def _lerp(start: Tensor, end: Tensor, is_near: bool, weight: float, rest: float) -> None:
    """start + weight * (end - start), in place, from whichever end is nearer.

    `rest` is 1 - weight, `is_near` whether the start is nearer.
    """
    if is_near:
        start.add_((end - start) * weight)
    else:
        start.copy_(end - (end - start) * rest)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself, apart from the gradient."""

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
