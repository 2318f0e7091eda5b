"""`LBFGS`: a quasi-Newton method, which evaluates the closure several times a step.

Owns: the two-loop recursion (Nocedal and Wright, Numerical Optimization, algorithm 7.4) and the
search for a step that meets the strong Wolfe conditions (algorithms 3.5 and 3.6). Must not know:
modules or kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lazygrad.optim.optimizer import Optimizer, Params, number
from lazygrad.tensor import Tensor, cat, enable_grad, no_grad

__all__ = ["LBFGS"]

SLOPE, CURVATURE, TRIES = 1e-4, 0.9, 25  # the two Wolfe conditions' constants


@dataclass
class Point:
    """What is known at one length of the step."""

    t: float
    loss: float
    grad: Tensor
    slope: float  # of the loss along the direction


class LBFGS(Optimizer):
    """Steps along the direction that the last `history_size` gradients give.

    A call of `step` makes up to `max_iter` iterations and `max_eval` evaluations (by default 5/4
    of them), and ends early where no gradient is larger than `tolerance_grad` or neither the
    parameters nor the loss change by more than `tolerance_change`. `line_search_fn`: None, for
    steps of length `lr`, or "strong_wolfe". ValueError for more than one group of parameters.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if not number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def _gradient(self) -> Tensor:
        """The gradients of all parameters, one behind the other."""
        params = self.param_groups[0]["params"]
        parts = [p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1) for p in params]
        return cat(parts)

    def _move(self, direction: Tensor, t: float) -> None:
        """Add so many times the direction to the parameters."""
        offset = 0
        for param in self.param_groups[0]["params"]:
            part = direction[offset : offset + param.numel()]
            param.add_(part.view(param.shape), alpha=t)
            offset += param.numel()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Minimize what `closure` computes, for some iterations; returns its first result."""
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        with no_grad():
            result = self._minimize(enable_grad()(closure))
        self._steps_taken += 1
        return result

    def _minimize(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, grad, evaluations = float(first), self._gradient(), 1
        state["func_evals"] += 1
        small = float(group["tolerance_grad"])
        change, lr = float(group["tolerance_change"]), number(group["lr"])
        at_rest = _largest(grad) <= small
        for iteration in range(1, group["max_iter"] + 1):
            if at_rest:
                break
            state["n_iter"] += 1
            d = state["d"] = self._direction(state, grad, group["history_size"])
            before = state["prev_loss"] = loss
            state["prev_flat_grad"] = grad
            t = lr
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(grad.abs().sum()))
            slope = float(grad.dot(d))
            if slope > -change:
                state["t"] = t
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                found, used = self._search(closure, d, t, Point(0.0, loss, grad, slope), change)
                loss, grad, t = found.loss, found.grad, found.t
                self._move(d, t)
            else:
                self._move(d, t)
                if iteration != group["max_iter"]:
                    with enable_grad():
                        loss = float(closure())
                    grad, used = self._gradient(), 1
            at_rest = _largest(grad) <= small
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            unmoved = _largest(d * t) <= change or abs(loss - before) < change
            if evaluations >= group["max_eval"] or unmoved:
                break
        return first

    def _direction(self, state: dict[str, Any], grad: Tensor, history: int) -> Tensor:
        """Minus the gradient, times the inverse Hessian that the last steps suggest."""
        if state["n_iter"] == 1:
            state |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return grad.neg()
        changes, steps, weights = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = grad - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = float(y.dot(s))
        if curvature > 1e-10:
            if len(changes) == history:
                for kept in (changes, steps, weights):
                    kept.pop(0)
            changes.append(y)
            steps.append(s)
            weights.append(1.0 / curvature)
            state["H_diag"] = curvature / float(y.dot(y))
        q = grad.neg()
        shares = []
        for y, s, weight in zip(changes[::-1], steps[::-1], weights[::-1]):
            shares.append(s.dot(q) * weight)
            q = q - shares[-1] * y
        r = q * state["H_diag"]
        for y, s, weight, share in zip(changes, steps, weights, shares[::-1]):
            r = r + s * (share - y.dot(r) * weight)
        return r

    def _search(
        self, closure: Callable[[], Any], d: Tensor, t: float, start: Point, change: float
    ) -> tuple[Point, int]:
        """A length of the step that meets the strong Wolfe conditions, and how many evaluations
        it took. The parameters are where they were."""
        params = self.param_groups[0]["params"]
        places = [param.clone() for param in params]

        def evaluated(t: float) -> Point:
            self._move(d, t)
            with enable_grad():
                loss = float(closure())
            grad = self._gradient()
            for param, place in zip(params, places):
                param.copy_(place)
            return Point(t, loss, grad, float(grad.dot(d)))

        def too_high(point: Point) -> bool:
            return point.loss > start.loss + SLOPE * point.t * start.slope

        previous, new = start, evaluated(t)
        tries, bracket, done = 0, None, False
        while tries < TRIES:
            if too_high(new) or (tries > 1 and new.loss >= previous.loss):
                bracket = [previous, new]
                break
            if abs(new.slope) <= -CURVATURE * start.slope:
                bracket, done = [new], True
                break
            if new.slope >= 0:
                bracket = [previous, new]
                break
            low, high = new.t + 0.01 * (new.t - previous.t), new.t * 10
            t = _lowest(previous, new, low, high)
            previous, new = new, evaluated(t)
            tries += 1
        if bracket is None:
            bracket = [start, new]
        bracket.sort(key=lambda point: point.loss)  # the lower end first
        slow = False
        reach = _largest(d)
        while not done and tries < TRIES:
            low, high = sorted(point.t for point in bracket)
            if (high - low) * reach < change:
                break
            ends = sorted(bracket, key=lambda point: point.t)
            t = _lowest(ends[0], ends[1], low, high)
            margin = 0.1 * (high - low)
            near = min(high - t, t - low) < margin
            if near and (slow or t >= high or t <= low):
                t = high - margin if abs(t - high) < abs(t - low) else low + margin
                slow = False
            else:
                slow = near
            new = evaluated(t)
            tries += 1
            if too_high(new) or new.loss >= bracket[0].loss:
                bracket[1] = new
                bracket.sort(key=lambda point: point.loss)
                continue
            if abs(new.slope) <= -CURVATURE * start.slope:
                done = True
            elif new.slope * (bracket[1].t - bracket[0].t) >= 0:
                bracket[1] = bracket[0]
            bracket[0] = new
        return bracket[0], tries + 1


def _largest(x: Tensor) -> float:
    return float(x.abs().max())


def _lowest(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through both points with their slopes is lowest (Nocedal and Wright, 3.59),
    within bounds; halfway between them where it has no minimum."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    below = b.slope - a.slope + 2 * d2
    if below == 0:
        return (low + high) / 2.0
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / below)
    return min(max(t, low), high)
