"""Schedules that are more than a formula: one cycle, several in a row, and waiting for a plateau.

Owns: these schedules and their state. Must not know: update rules or tensors.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from lazygrad.optim._schedules import LRScheduler
from lazygrad.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "OneCycleLR", "ReduceLROnPlateau", "SequentialLR"]


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down to next to nothing in `total_steps`, momentum the other way (Smith
    and Topin 2019). Step it after every batch.

    ValueError where the steps are not given, run out, or the optimizer has no momentum to cycle.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        self.total_steps = int(total_steps or (epochs or 0) * (steps_per_epoch or 0))
        if self.total_steps <= 0:
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        first = pct_start * self.total_steps - 1
        # where a phase ends, and the names of rate and momentum at its start and end
        self._phases = [
            (first, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
            *(
                [(2 * first, "max_lr", "initial_lr", "base_momentum", "max_momentum")]
                if three_phase
                else []
            ),
            (
                self.total_steps - 1,
                "initial_lr" if three_phase else "max_lr",
                "min_lr",
                "max_momentum" if three_phase else "base_momentum",
                "max_momentum",
            ),
        ]
        groups = optimizer.param_groups if isinstance(optimizer, Optimizer) else []
        if last_epoch == -1:
            for group, top in zip(groups, _each("max_lr", max_lr, groups), strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum and groups:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError(
                    "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
                )
            self.use_beta1 = "betas" in optimizer.defaults
            if last_epoch == -1:
                low = _each("base_momentum", base_momentum, groups)
                high = _each("max_momentum", max_momentum, groups)
                for group, group["base_momentum"], group["max_momentum"] in zip(groups, low, high):
                    self._set_momentum(group, group["max_momentum"])
        super().__init__(optimizer, last_epoch)

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        """The rates of this step, one a group; sets the momenta."""
        number = self.last_epoch
        if number > self.total_steps:
            raise ValueError(
                f"Tried to step {number} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        begin = 0.0
        for phase in self._phases:
            if number <= phase[0] or phase is self._phases[-1]:
                break
            begin = phase[0]
        end, *names = phase
        share = (number - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[names[0]], group[names[1]], share))
            if self.cycle_momentum:
                momentum = self._between(group[names[2]], group[names[3]], share)
                self._set_momentum(group, momentum)
        return rates


def _each(name: str, given: Any, groups: list[Any]) -> list[float]:
    """One value for each group. ValueError for a list of another length."""
    if not isinstance(given, list | tuple):
        return [given] * len(groups)
    if len(given) != len(groups):
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(given)} "
            f"values, param_groups has {len(groups)}."
        )
    return list(given)


class ChainedScheduler(LRScheduler):
    """Steps several schedules of one optimizer, one after the other."""

    def __init__(
        self, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self._schedulers = _of_one_optimizer(type(self).__name__, schedulers, optimizer)
        self.optimizer = self._schedulers[-1].optimizer
        self._last_lr = self._current()

    _not_saved = ("optimizer", "_schedulers")

    def step(self) -> None:
        """Go to the next epoch in all of them."""
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._current()

    def state_dict(self) -> dict[str, Any]:
        """The states of all schedules, under "_schedulers"."""
        return super().state_dict() | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict(state_dict)
        for schedule, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            schedule.load_state_dict(state)


class SequentialLR(ChainedScheduler):
    """The first schedule up to the first milestone, then the second from its start, and so on."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self._schedulers = _of_one_optimizer(type(self).__name__, schedulers, optimizer)
        if len(milestones) != len(self._schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got number of schedulers {len(schedulers)} "
                f"and the number of milestones to be equal to {len(milestones)}"
            )
        self._milestones, self.last_epoch, self.optimizer = milestones, last_epoch + 1, optimizer
        for group in optimizer.param_groups:  # each of the others has set the rates of its epoch 0
            group["lr"] = group["initial_lr"]
        self._schedulers[0]._set(self._schedulers[0].get_lr())
        self._last_lr = self._current()

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        place = bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[place]
        if place and self._milestones[place - 1] == self.last_epoch:
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"]
            schedule.last_epoch = 0
            schedule._set(schedule.get_lr())
        else:
            schedule.step()
        self._last_lr = self._current()


def _of_one_optimizer(
    name: str, schedulers: Iterable[LRScheduler], optimizer: Optimizer | None
) -> list[LRScheduler]:
    found = list(schedulers)
    if not found:
        raise ValueError(
            f"{name} expects at least one scheduler to be chained, but got no scheduler."
        )
    optimizer = optimizer or found[0].optimizer
    for place, schedule in enumerate(found):
        if schedule.optimizer is not optimizer:
            raise ValueError(
                f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                f"{type(schedule).__name__} at index {place} has {schedule.optimizer}, which is "
                f"different from {type(optimizer).__name__}."
            )
    return found


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rates by `factor` when a metric has not improved for `patience` epochs.

    `mode` "min" or "max" says what is better; an improvement smaller than `threshold` (relative
    with `threshold_mode` "rel", else "abs") does not count. ValueError for other words and for a
    factor of 1 or more.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        if mode not in ("min", "max"):
            raise ValueError("mode " + mode + " is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError("threshold mode " + threshold_mode + " is unknown!")
        self.optimizer, self.mode, self.factor = optimizer, mode, factor
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = _each("min_lr", min_lr, optimizer.param_groups)
        self.last_epoch, self._last_lr = 0, self._current()
        self._reset()

    def _reset(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = 0

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take in the metric of an epoch: a number, or a tensor of one element, which is read."""
        current = float(metrics)
        self.last_epoch += 1
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                rate = max(group["lr"] * self.factor, least)
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._current()

    def is_better(self, a: float, best: float) -> bool:
        """Whether `a` improves on `best` by more than the threshold."""
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * a < sign * best * (1.0 - sign * self.threshold)
        return sign * a < sign * (best - sign * self.threshold)

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs do not count yet."""
        return self.cooldown_counter > 0
