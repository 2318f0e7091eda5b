"""Optimizers that scale each element's step by its own gradients so far: `RMSprop`, `Adagrad`,
`Adadelta`, `Adamax`, `NAdam`, `RAdam`.

Owns: their options and their update rules, in the order of operations of PyTorch's. Must not
know: groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.adam import _lerp, _weights
from lazygrad.optim.optimizer import Optimizer, Params, decayed, number
from lazygrad.tensor import Tensor, full_like, maximum, realize
from lazygrad.tensor.updates import Plan

__all__ = ["Adadelta", "Adagrad", "Adamax", "NAdam", "RAdam", "RMSprop"]


def _check(least: dict[str, float], betas: tuple[float, ...] = ()) -> None:
    """ValueError for an option below zero, or a beta outside [0, 1)."""
    for name, value in least.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name}: {value}")
    for place, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {place}: {beta}")


class _Adaptive(Optimizer):
    """What these rules have in common: weight decay, direction, and the number of the step.

    A rule says which state a parameter has (`_names`), what a step's numbers are and what else its
    operations depend on (`_numbers`), and what is done with them (`_move`).
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported"
            )
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the tensors in a parameter's state."""
        raise NotImplementedError

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        """What the operations on one parameter depend on, and the numbers in them. The number of
        this step is in the state."""
        raise NotImplementedError

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        """Record the update of one parameter; `own` are the tensors of its state."""
        raise NotImplementedError

    def _plan(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Plan:
        names = self._names(group)
        realize(*self._zeros(params, *names))
        decay, maximize = number(group["weight_decay"]), bool(group["maximize"])
        decoupled = bool(group.get("decoupled_weight_decay"))
        numbers = [1.0 - number(group["lr"]) * decay if decoupled else decay]
        each, written = [], list(params)
        for param in params:
            state = self.state[param]
            state["step"] = state.get("step", 0) + 1
            kind, own = self._numbers(state, group)
            each.append((kind, len(own)))
            numbers += own
            written += [state[name] for name in names]
        return Plan((names, maximize, decay != 0, decoupled, *each), numbers, written, grads)

    def _update(self, params: list[Tensor], kind: tuple[Any, ...], numbers: list[float]) -> None:
        names, maximize, decays, decoupled, *each = kind
        decay, *numbers = numbers
        for param, (own_kind, count) in zip(params, each):
            grad = decayed(param, maximize, decays, decoupled, decay)
            own, numbers = numbers[:count], numbers[count:]
            state = self.state[param]
            self._move(param, grad, [state[name] for name in names], own_kind, own)


class RMSprop(_Adaptive):
    """Steps along the gradient over the root of a running mean of its square.

    `centered` divides by an estimate of the deviation instead; `momentum` smooths the steps.
    ValueError for a negative option. `foreach` and `capturable` are taken and change nothing.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check({"learning rate": lr, "epsilon value": eps, "momentum value": momentum})
        _check({"weight_decay value": weight_decay, "alpha value": alpha})
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ["square_avg"] + ["momentum_buffer"] * (number(group["momentum"]) > 0)
        return (*names, *["grad_avg"] * bool(group["centered"]))

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        lr, alpha, eps, momentum = (number(group[k]) for k in ("lr", "alpha", "eps", "momentum"))
        is_near, weight, rest = _weights(alpha)
        kind = (momentum > 0, bool(group["centered"]), is_near)
        return kind, [-lr, alpha, weight, rest, eps, momentum]

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        smooths, centered, is_near = kind
        back, alpha, weight, rest, eps, momentum = numbers
        square = own[0]
        square.mul_(alpha).add_(grad * weight * grad)
        if centered:
            mean = own[-1]
            _lerp(mean, grad, is_near, weight, rest)
            root = (square - mean * mean).sqrt()
        else:
            root = square.sqrt()
        if smooths:
            buffer = own[1]
            buffer.mul_(momentum).add_(grad / (root + eps))
            param.add_(buffer, alpha=back)
        else:
            param.add_(grad * back / (root + eps))


class Adagrad(_Adaptive):
    """Steps along the gradient over the root of the sum of all its squares.

    `lr_decay` makes the rate lr / (1 + (step - 1) * lr_decay). ValueError for a negative option.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check({"learning rate": lr, "lr_decay value": lr_decay})
        _check({"weight_decay value": weight_decay})
        _check({"initial_accumulator_value value": initial_accumulator_value})
        _check({"epsilon value": eps})
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                filled = full_like(param, initial_accumulator_value, requires_grad=False)
                self.state[param] = {"step": 0, "sum": filled}
        realize(*(state["sum"] for state in self.state.values()))

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        lr, decay, eps = (number(group[name]) for name in ("lr", "lr_decay", "eps"))
        return None, [-(lr / (1.0 + (state["step"] - 1) * decay)), eps]

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        (total,), (back, eps) = own, numbers
        total.add_(grad * grad)
        param.add_(grad * back / (total.sqrt() + eps))


class Adadelta(_Adaptive):
    """Steps whose size is the ratio of the running sizes of steps and of gradients (Zeiler 2012).

    ValueError for a negative option, or `rho` outside [0, 1].
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check({"learning rate": lr})
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        _check({"epsilon value": eps, "weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        lr, rho, eps = (number(group[name]) for name in ("lr", "rho", "eps"))
        return None, [-lr, rho, 1.0 - rho, eps]

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        (square, steps), (back, rho, weight, eps) = own, numbers
        square.mul_(rho).add_(grad * weight * grad)
        delta = (steps + eps).sqrt() / (square + eps).sqrt() * grad
        steps.mul_(rho).add_(delta * weight * delta)
        param.add_(delta, alpha=back)


class Adamax(_Adaptive):
    """Adam with the largest gradient, slowly forgotten, in place of the root of the mean square.

    ValueError for an option out of range.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check({"learning rate": lr, "epsilon value": eps}, betas)
        _check({"weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_inf"

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        beta1, beta2 = (number(beta) for beta in group["betas"])
        is_near, *weights = _weights(beta1)
        back = -number(group["lr"]) / (1.0 - beta1 ** state["step"])
        return is_near, [*weights, beta2, number(group["eps"]), back]

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        mean, largest = own
        weight, rest, beta2, eps, back = numbers
        _lerp(mean, grad, kind, weight, rest)
        largest.copy_(maximum(largest * beta2, grad.abs() + eps))
        param.add_(mean * back / largest)


def _float32(value: float) -> float:
    """A float64 rounded to the 24 bits of float32, by arithmetic alone (Veltkamp 1968).

    PyTorch keeps the product of all momenta in float32.
    """
    large = value * (2.0**29 + 1.0)
    return large - (large - value)


class NAdam(_Adaptive):
    """Adam with Nesterov's momentum (Dozat 2016). ValueError for an option out of range."""

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check({"learning rate": lr, "epsilon value": eps}, betas)
        _check({"weight_decay value": weight_decay, "momentum_decay value": momentum_decay})
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        lr, eps, slowing = (number(group[name]) for name in ("lr", "eps", "momentum_decay"))
        beta1, beta2 = (number(beta) for beta in group["betas"])
        step = state["step"]
        now = beta1 * (1.0 - 0.5 * 0.96 ** (step * slowing))
        after = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * slowing))
        product = _float32(number(state.get("mu_product", 1.0)) * _float32(now))
        state["mu_product"] = product
        is_near, *weights = _weights(beta1)
        numbers = [*weights, beta2, 1.0 - beta2, 1.0 - beta2**step, eps]
        numbers.append(-lr * (1.0 - now) / (1.0 - product))
        numbers.append(-lr * after / (1.0 - product * after))
        return is_near, numbers

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        mean, square = own
        weight, rest, beta2, weight2, left, eps, back, back_of_mean = numbers
        _lerp(mean, grad, kind, weight, rest)
        square.mul_(beta2).add_(grad * weight2 * grad)
        root = (square / left).sqrt() + eps
        param.add_(grad * back / root)
        param.add_(mean * back_of_mean / root)


class RAdam(_Adaptive):
    """Adam whose variance is rectified in the first steps (Liu et al. 2020).

    ValueError for an option out of range.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check({"learning rate": lr, "epsilon value": eps}, betas)
        _check({"weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def _numbers(self, state: dict[str, Any], group: dict[str, Any]) -> tuple[Any, list[float]]:
        lr, eps = number(group["lr"]), number(group["eps"])
        beta1, beta2 = (number(beta) for beta in group["betas"])
        step = state["step"]
        longest = 2.0 / (1.0 - beta2) - 1.0
        left = 1.0 - beta2**step
        length = longest - 2.0 * step * beta2**step / left
        is_near, *weights = _weights(beta1)
        numbers = [*weights, beta2, 1.0 - beta2, 1.0 - beta1**step, lr]
        is_long = length > 5.0
        if is_long:
            shape = (length - 4.0) * (length - 2.0) * longest
            shape = shape / ((longest - 4.0) * (longest - 2.0) * length)
            numbers += [left**0.5, eps, shape**0.5]
        return (is_near, is_long), numbers

    def _move(
        self, param: Tensor, grad: Any, own: list[Tensor], kind: Any, numbers: list[float]
    ) -> None:
        (mean, square), (is_near, is_long) = own, kind
        weight, rest, beta2, weight2, left, lr, *rectified = numbers
        _lerp(mean, grad, is_near, weight, rest)
        square.mul_(beta2).add_(grad * weight2 * grad)
        move = mean / left * lr
        if is_long:
            root, eps, shape = rectified
            move = move * (root / (square.sqrt() + eps)) * shape
        param.sub_(move)
