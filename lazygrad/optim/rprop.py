"""`Rprop`: steps by the signs of gradients alone.

Owns: its options and its update rule, in the order of operations of PyTorch's. Must not know:
groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.optimizer import Optimizer, Params, number
from lazygrad.tensor import Tensor, full_like, realize, where
from lazygrad.tensor.updates import Plan

__all__ = ["Rprop"]

_STATE = ("prev", "step_size")


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun 1993): a step grows while the gradient keeps
    its sign, and shrinks, without a move, where it has changed.

    ValueError for a negative rate, and for `etas` that do not lie below and above 1.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        if differentiable:
            raise NotImplementedError("Rprop: differentiable=True is not supported")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _plan(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Plan:
        made = self._zeros(params, "prev")
        for param in params:
            state = self.state[param]
            state["step"] = state.get("step", 0) + 1
            if "step_size" not in state:
                state["step_size"] = full_like(param, number(group["lr"]), requires_grad=False)
                made.append(state["step_size"])
        realize(*made)
        written = [*params, *(self.state[p][name] for p in params for name in _STATE)]
        kind = (bool(group["maximize"]), *group["etas"], *group["step_sizes"])
        return Plan(kind, [], written, grads)

    def _update(self, params: list[Tensor], kind: tuple[Any, ...], numbers: list[float]) -> None:
        maximize, shrink, grow, least, most = kind
        for param in params:
            before, size = (self.state[param][name] for name in _STATE)
            grad: Any = -param.grad if maximize else param.grad
            agreement = grad * before
            shorter = where(agreement < 0, size * shrink, size)
            size.copy_(where(agreement > 0, size * grow, shorter)).clamp_(least, most)
            grad = where(agreement < 0, 0.0, grad)
            param.sub_(grad.sign() * size)
            before.copy_(grad)
