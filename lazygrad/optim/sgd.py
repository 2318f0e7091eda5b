"""`SGD`: stochastic gradient descent, with momentum.

Owns: its options and its update rule, in the order of operations of PyTorch's. Must not know:
groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.optimizer import Optimizer, Params, decayed, number
from lazygrad.tensor import Tensor, realize
from lazygrad.tensor.updates import Plan

__all__ = ["SGD"]


class SGD(Optimizer):
    """p -= lr * g, where g is the gradient, decayed weights added, smoothed by momentum.

    ValueError for a negative option, or `nesterov` without momentum or with dampening. `foreach`
    and `fused` are taken and change nothing: a step always is one launch.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        if differentiable:
            raise NotImplementedError("SGD: differentiable=True is not supported")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _plan(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Plan:
        lr, momentum = number(group["lr"]), number(group["momentum"])
        decay, share = number(group["weight_decay"]), 1.0 - number(group["dampening"])
        numbers, written = [-lr, decay, momentum], list(params)
        smooths = momentum != 0
        if smooths:
            made = self._zeros(params, "momentum_buffer")
            realize(*made)
            fresh = {id(buffer) for buffer in made}
            buffers = [self.state[param]["momentum_buffer"] for param in params]
            written += buffers
            # The first gradient is taken whole. As a scalar on zeros, and not as a copy, the
            # first step is the same program as all others.
            numbers += [1.0 if id(buffer) in fresh else share for buffer in buffers]
        kind = (bool(group["maximize"]), bool(group["nesterov"]), decay != 0, smooths)
        return Plan(kind, numbers, written, grads)

    def _update(self, params: list[Tensor], kind: tuple[Any, ...], numbers: list[float]) -> None:
        maximize, nesterov, decays, smooths = kind
        back, decay, momentum, *shares = numbers
        for at, param in enumerate(params):
            grad = decayed(param, maximize, decays, False, decay)
            if smooths:
                buffer: Tensor = self.state[param]["momentum_buffer"]
                buffer.mul_(momentum).add_(grad, alpha=shares[at])
                grad = grad.add(buffer, alpha=momentum) if nesterov else buffer
            param.add_(grad, alpha=back)
