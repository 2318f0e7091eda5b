"""`Adam` and `AdamW`.

Owns: their options and their update rule, in the order of operations of PyTorch's. Must not
know: groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.optimizer import Optimizer, Params, number
from lazygrad.tensor import Tensor, maximum, realize

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

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
        for param in params:
            self.state[param].setdefault("step", 0)
        realize(*self._zeros(params, *names))
        lr, decay, eps = (number(group[name]) for name in ("lr", "weight_decay", "eps"))
        beta1, beta2 = (number(beta) for beta in group["betas"])
        changed = list(params)
        for param in params:
            state = self.state[param]
            step = state["step"] = state["step"] + 1
            grad: Any = param.grad
            if group["maximize"]:
                grad = -grad
            if decay != 0:
                if group["decoupled_weight_decay"]:
                    param.mul_(1.0 - lr * decay)
                else:
                    grad = grad.add(param, alpha=decay)
            mean, square = state["exp_avg"], state["exp_avg_sq"]
            _lerp(mean, grad, 1.0 - beta1)
            square.mul_(beta2).add_(grad * (1.0 - beta2) * grad)
            if group["amsgrad"]:
                state["max_exp_avg_sq"].copy_(maximum(state["max_exp_avg_sq"], square))
                square = state["max_exp_avg_sq"]
            root = (1.0 - beta2**step) ** 0.5
            size = lr / (1.0 - beta1**step)
            param.add_(mean * -size / (square.sqrt() / root + eps))
            changed += [state[name] for name in names]
        return changed


def _lerp(start: Tensor, end: Tensor, weight: float) -> None:
    """start + weight * (end - start), in place, from whichever end is nearer."""
    if weight < 0.5:
        start.add_((end - start) * weight)
    else:
        start.copy_(end - (end - start) * (1.0 - weight))


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
