"""`Optimizer`: parameter groups, per-parameter state, and one launch a step.

Owns: which options apply to which parameter, state dicts, forgetting gradients, and that all
updates of a step are realized together. Must not know: any update rule, modules, or kernels.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from lazygrad.ir.traced import Traced
from lazygrad.tensor import Tensor, enable_grad, no_grad, realize, tensor, zeros_like
from lazygrad.tensor.updates import Plan, with_gradients
from lazygrad.tensor.updates import step as known_step

__all__ = ["Optimizer"]

Params = Iterable[Any]


def number(value: Any) -> float:
    """An option as a Python float: it then is a run-time scalar, and changing it compiles nothing.

    A tensor of one element is read.
    """
    if type(value) is Traced:
        return value.as_float()  # type: ignore[no-any-return]
    return float(value.item()) if isinstance(value, Tensor) else float(value)


class Optimizer:
    """The base of all optimizers.

    `params` are tensors, pairs of a name and a tensor, or dicts with the key "params" and options
    of their own; `defaults` are the options of those that have none. ValueError for an empty list
    and for a parameter that is no leaf; TypeError for what is no tensor.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {params.type()}"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._steps_taken = 0
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own; those not given come from the defaults.

        TypeError and ValueError as in the constructor, and for a parameter in two groups.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        entries: list[Any] = [given] if isinstance(given, Tensor) else list(given)
        named = [isinstance(entry, tuple) for entry in entries]
        if any(named):
            if not all(named):
                raise ValueError(
                    "all optimizer params should be with/without names. "
                    "Some param names are missing"
                )
            param_group["param_names"] = [name for name, _ in entries]
            entries = [param for _, param in entries]
        param_group["params"] = entries
        for param in entries:
            if not isinstance(param, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, "
                    f"but one of the params is {type(param).__name__}"
                )
            if not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        if len({id(param) for param in entries}) != len(entries):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "in future, this will cause an error",
                stacklevel=3,
            )
        known = {id(param) for group in self.param_groups for param in group["params"]}
        if any(id(param) in known for param in entries):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)
        # Initial values that are still pending would make the first step a program of its own.
        realize(*entries)

    # -- stepping --------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, all of them in one launch.

        `closure` computes the loss anew, with gradients; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work = []
        for group in self.param_groups:
            params, grads = with_gradients(group["params"])
            if params:
                work.append((params, self._plan(params, grads, group)))
        if work:
            self._run(work)
        self._steps_taken += 1
        return loss

    def _run(self, work: list[tuple[list[Tensor], Plan]]) -> None:
        """Update the parameters of all groups."""

        def update(numbers: Sequence[Any]) -> list[Tensor]:
            with no_grad():
                for (params, plan), found in zip(work, numbers):
                    self._update(params, plan.kind, found)
            return [t for _, plan in work for t in plan.written]

        plans = [plan for _, plan in work]
        if not known_step(type(self), plans, update):
            realize(*update([plan.numbers for plan in plans]))

    def _plan(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Plan:
        """What the step of one group is, so that it can be known again."""
        raise NotImplementedError

    def _update(self, params: list[Tensor], kind: tuple[Any, ...], numbers: list[float]) -> None:
        """Record the updates of one group, in place.

        `kind` and `numbers` are those of `_plan`: all that the operations depend on, and all that
        may differ between two steps of one kind. Arithmetic on numbers is the plan's.
        """
        raise NotImplementedError

    def _zeros(self, params: list[Tensor], *names: str) -> list[Tensor]:
        """Zeros in the state of each parameter that lacks them; returns those made now."""
        made = []
        for param in params:
            state = self.state[param]
            for name in names:
                if state.get(name) is None:
                    state[name] = zeros_like(param, requires_grad=False)
                    made.append(state[name])
        return made

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                if set_to_none:
                    param.grad = None
                else:
                    with no_grad():
                        param.grad.detach().zero_()

    # -- state -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": per parameter by its number, "param_groups": options and numbers}.

        Counters of steps are tensors in it, as PyTorch's are.
        """
        numbers: dict[int, int] = {}
        for param in chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(id(param), len(numbers))
        groups = []
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {
            numbers.get(id(key), key) if isinstance(key, Tensor) else key: _counted(value)
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and a copy of the state; ValueError if the groups do not match."""
        saved = [dict(group) for group in state_dict["param_groups"]]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved, strict=True))
        if any(len(ours["params"]) != len(theirs["params"]) for ours, theirs in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        params: dict[Any, Tensor] = {}
        for ours, theirs in pairs:
            params.update(zip(theirs["params"], ours["params"], strict=True))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        with no_grad():
            for key, values in state_dict["state"].items():
                if key in params:
                    param = params[key]
                    state[param] = {k: _adopt(k, v, param) for k, v in values.items()}
                else:
                    state[key] = values
        self.state = state
        for ours, theirs in pairs:
            names = {"param_names": ours["param_names"]} if "param_names" in ours else {}
            kept = ours["params"]
            ours.clear()
            ours.update({"params": kept, **theirs, **names})
            ours["params"] = kept

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for place, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {place}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
            if place + 1 < len(self.param_groups):
                lines.append("")
        return "\n".join([*lines, ")"])


def decayed(param: Tensor, maximize: bool, decays: bool, decoupled: bool, decay: float) -> Any:
    """The gradient that a step goes by. With `decays`, `decay` times the parameter is added to it;
    with `decoupled` the parameter itself is multiplied by `decay`."""
    grad: Any = param.grad
    if maximize:
        grad = -grad
    if decays and decoupled:
        param.mul_(decay)
    elif decays:
        grad = grad.add(param, alpha=decay)
    return grad


def _counted(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a parameter with its counter as a tensor."""
    step = state.get("step") if isinstance(state, dict) else None
    if isinstance(step, int):
        return {**state, "step": tensor(float(step))}
    return state


def _adopt(name: str, value: Any, param: Tensor) -> Any:
    """One saved entry in the dtype and on the device of its parameter."""
    if not isinstance(value, Tensor):
        return value
    if name == "step":
        return int(number(value))  # PyTorch saves its counters as tensors
    if param.is_floating_point():
        value = value.to(dtype=param.dtype, device=param.device)
    return value.detach().clone()
