"""Backward hooks of modules: the gradients at a module's inputs and outputs, shown to the user.

Owns: how they are registered, when they run, and what becomes of what they return. A module's
inputs and outputs pass through a function that changes nothing, whose record is where gradients
are seen. Must not know: any module.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from lazygrad.autograd.function import Function
from lazygrad.autograd.modes import is_grad_enabled
from lazygrad.tensor import Tensor, zeros

Grads = tuple[Any, ...]


class BackwardHookFunction(Function):
    """The tensors as they are, with a record of their own."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Any:
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads


class SeesGradients:
    """What a module has for its backward hooks."""

    _backward_hooks: dict[int, Any]
    _backward_pre_hooks: dict[int, Any]
    _register_hook: Callable[..., Any]

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Any:
        """Call `hook(module, grad_input, grad_output)`, both tuples, when the gradients of the
        inputs are known; what it returns, unless None, replaces those of the inputs."""
        return self._register_hook(self._backward_hooks, hook, prepend, False)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Any:
        """Call `hook(module, grad_output)` before the gradients of the inputs are computed; what it
        returns, unless None, replaces those of the outputs."""
        return self._register_hook(self._backward_pre_hooks, hook, prepend, False)


class BackwardHooks:
    """One call of a module that has backward hooks."""

    def __init__(self, module: SeesGradients):
        self.module = module
        self.hooks = [hook for hook, _ in module._backward_hooks.values()]
        self.pre_hooks = [hook for hook, _ in module._backward_pre_hooks.values()]
        self.likes: dict[int, Any] = {}  # of the tensors among the arguments: shape, dtype, device
        self.inputs: list[int] | None = None  # which arguments have a gradient
        self.outputs: list[int] = []
        self.counts = 0, 0  # of arguments and of outputs
        self.found: Any = None  # the gradients of the outputs, until the inputs' have been seen

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of `forward`, seen in backward."""
        self.counts = len(args), 0
        tensors = ((at, a) for at, a in enumerate(args) if isinstance(a, Tensor))
        self.likes = {at: (t.shape, t.dtype, t.device) for at, t in tensors}
        passed, places = _passed(args, self._at_inputs)
        self.inputs = places or None
        return passed

    def leave(self, output: Any) -> Any:
        """The result of `forward`, seen in backward: a tensor, or a tuple with tensors in it."""
        outputs = output if isinstance(output, tuple) else (output,)
        self.counts = self.counts[0], len(outputs)
        passed, self.outputs = _passed(outputs, self._at_outputs)
        return passed if isinstance(output, tuple) else passed[0]

    def _at_outputs(self, _: Any, grads: Grads) -> Grads:
        self.found = _spread(grads, self.outputs, self.counts[1])
        for hook in self.pre_hooks:
            changed = hook(self.module, self.found)
            if changed is not None:
                self.found = _same_count(changed, self.found, "grad_output")
        found = self.found
        if self.inputs is None:
            self._without_inputs()
        return tuple(found[at] for at in self.outputs)

    def _without_inputs(self) -> None:
        if self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module "
                "outputs since no inputs require gradients.",
                stacklevel=2,
            )
        nothing = (None,) * self.counts[0]
        for hook in self.hooks:
            changed = hook(self.module, nothing, self.found)
            given = changed if isinstance(changed, tuple) else (changed,)
            if any(g is not None for g in given):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )
        self.found = None

    def _at_inputs(self, grads: Grads, _: Any) -> Grads | None:
        if self.found is None:  # what came here did not pass through the outputs
            return None
        assert self.inputs is not None
        found = _spread(grads, self.inputs, self.counts[0])
        # to PyTorch all tensors of the call pass through its record, and get at least zeros
        found = tuple(
            zeros(self.likes[at][0], dtype=self.likes[at][1], device=self.likes[at][2])
            if g is None and at in self.likes
            else g
            for at, g in enumerate(found)
        )
        for hook in self.hooks:
            changed = hook(self.module, found, self.found)
            if changed is not None:
                found = _same_count(changed, found, "grad_input")
        self.found = None
        return tuple(found[at] for at in self.inputs)


def _passed(values: tuple[Any, ...], hook: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int]]:
    """The values, those that want gradients through a record with this hook, and which they are."""
    places = [
        at for at, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad
    ]  # fmt: skip
    if not places or not is_grad_enabled():
        return values, []
    made = BackwardHookFunction.apply(*(values[at] for at in places))
    made[0].grad_fn.register_hook(hook)
    passed = list(values)
    for at, t in zip(places, made, strict=True):
        passed[at] = t
    return tuple(passed), places


def _spread(grads: Grads, places: list[int], count: int) -> Grads:
    found: list[Any] = [None] * count
    for at, grad in zip(places, grads):
        found[at] = grad
    return tuple(found)


def _same_count(changed: Any, before: Grads, what: str) -> Grads:
    given = changed if isinstance(changed, tuple) else (changed,)
    if len(given) != len(before):
        raise RuntimeError(
            f"Backward hook returned an invalid number of {what}, got {len(given)}, but expected "
            f"{len(before)}"
        )
    return given
