"""Optimizers that scale each element's step by its own gradients so far: `RMSprop`, `Adagrad`,
`Adadelta`, `Adamax`, `NAdam`, `RAdam`.

Owns: their options and their update rules, in the order of operations of PyTorch's. Must not
know: groups, launches or kernels.
"""

from __future__ import annotations

from typing import Any

from lazygrad.optim.adam import _lerp
from lazygrad.optim.optimizer import Optimizer, Params, number
from lazygrad.tensor import Tensor, full_like, maximum, realize

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
    """What these rules have in common: weight decay, direction, and the number of the step."""

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if defaults.get("differentiable"):
            raise NotImplementedError(
                f"{type(self).__name__}: differentiable=True is not supported"
            )
        super().__init__(params, defaults)

    def _gradient(self, param: Tensor, group: dict[str, Any]) -> Any:
        """The gradient with decayed weights; the parameter itself shrinks if they are decoupled."""
        grad: Any = param.grad
        if group["maximize"]:
            grad = -grad
        decay = number(group["weight_decay"])
        if decay == 0:
            return grad
        if group.get("decoupled_weight_decay"):
            param.mul_(1.0 - number(group["lr"]) * decay)
            return grad
        return grad.add(param, alpha=decay)

    def _start(self, params: list[Tensor], *names: str) -> None:
        """State of zeros, and no steps, for parameters that have none."""
        for param in params:
            self.state[param].setdefault("step", 0)
        realize(*self._zeros(params, *names))

    def _next(self, param: Tensor) -> tuple[dict[str, Any], Any]:
        """The parameter's state and the number of this step."""
        state = self.state[param]
        state["step"] = state["step"] + 1
        return state, state["step"]


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, alpha, eps, momentum = (number(group[k]) for k in ("lr", "alpha", "eps", "momentum"))
        names = ["square_avg"] + ["momentum_buffer"] * (momentum > 0)
        names += ["grad_avg"] * bool(group["centered"])
        self._start(params, *names)
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, _ = self._next(param)
            square = state["square_avg"]
            square.mul_(alpha).add_(grad * (1.0 - alpha) * grad)
            if group["centered"]:
                mean = state["grad_avg"]
                _lerp(mean, grad, 1.0 - alpha)
                root = (square - mean * mean).sqrt()
            else:
                root = square.sqrt()
            if momentum > 0:
                buffer = state["momentum_buffer"]
                buffer.mul_(momentum).add_(grad / (root + eps))
                param.add_(buffer, alpha=-lr)
            else:
                param.add_(grad * -lr / (root + eps))
            changed += [state[name] for name in names]
        return changed


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, decay, eps = (number(group[name]) for name in ("lr", "lr_decay", "eps"))
        self._start(params, "sum")
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, step = self._next(param)
            state["sum"].add_(grad * grad)
            rate = lr / (1.0 + (step - 1) * decay)
            param.add_(grad * -rate / (state["sum"].sqrt() + eps))
            changed.append(state["sum"])
        return changed


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, rho, eps = (number(group[name]) for name in ("lr", "rho", "eps"))
        self._start(params, "square_avg", "acc_delta")
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, _ = self._next(param)
            square, steps = state["square_avg"], state["acc_delta"]
            square.mul_(rho).add_(grad * (1.0 - rho) * grad)
            delta = (steps + eps).sqrt() / (square + eps).sqrt() * grad
            steps.mul_(rho).add_(delta * (1.0 - rho) * delta)
            param.add_(delta, alpha=-lr)
            changed += [square, steps]
        return changed


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, eps = number(group["lr"]), number(group["eps"])
        beta1, beta2 = (number(beta) for beta in group["betas"])
        self._start(params, "exp_avg", "exp_inf")
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, step = self._next(param)
            mean, largest = state["exp_avg"], state["exp_inf"]
            _lerp(mean, grad, 1.0 - beta1)
            largest.copy_(maximum(largest * beta2, grad.abs() + eps))
            param.add_(mean * (-lr / (1.0 - beta1**step)) / largest)
            changed += [mean, largest]
        return changed


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, eps, slowing = (number(group[name]) for name in ("lr", "eps", "momentum_decay"))
        beta1, beta2 = (number(beta) for beta in group["betas"])
        self._start(params, "exp_avg", "exp_avg_sq")
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, step = self._next(param)
            mean, square = state["exp_avg"], state["exp_avg_sq"]
            now = beta1 * (1.0 - 0.5 * 0.96 ** (step * slowing))
            after = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * slowing))
            product = _float32(number(state.get("mu_product", 1.0)) * _float32(now))
            state["mu_product"] = product
            _lerp(mean, grad, 1.0 - beta1)
            square.mul_(beta2).add_(grad * (1.0 - beta2) * grad)
            root = (square / (1.0 - beta2**step)).sqrt() + eps
            param.add_(grad * (-lr * (1.0 - now) / (1.0 - product)) / root)
            param.add_(mean * (-lr * after / (1.0 - product * after)) / root)
            changed += [mean, square]
        return changed


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

    def _update(
        self, params: list[Tensor], group: dict[str, Any], numbers: Any = None
    ) -> list[Tensor]:
        lr, eps = number(group["lr"]), number(group["eps"])
        beta1, beta2 = (number(beta) for beta in group["betas"])
        longest = 2.0 / (1.0 - beta2) - 1.0
        self._start(params, "exp_avg", "exp_avg_sq")
        changed = list(params)
        for param in params:
            grad = self._gradient(param, group)
            state, step = self._next(param)
            mean, square = state["exp_avg"], state["exp_avg_sq"]
            _lerp(mean, grad, 1.0 - beta1)
            square.mul_(beta2).add_(grad * (1.0 - beta2) * grad)
            left = 1.0 - beta2**step
            length = longest - 2.0 * step * beta2**step / left
            move = mean / (1.0 - beta1**step) * lr
            if length > 5.0:
                shape = (length - 4.0) * (length - 2.0) * longest
                shape = shape / ((longest - 4.0) * (longest - 2.0) * length)
                move = move * (left**0.5 / (square.sqrt() + eps)) * shape**0.5
            param.sub_(move)
            changed += [mean, square]
        return changed
