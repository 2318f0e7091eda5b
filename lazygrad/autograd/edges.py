"""Edges of the gradient graph as users name them, and hooks on several tensors at once.

Owns: `GradientEdge`, `get_gradient_edge`, `register_multi_grad_hook` and `increment_version`, found
in `autograd.graph` as in PyTorch. Must not know: how the engine runs records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lazygrad.autograd.graph import BaseFn
from lazygrad.autograd.late import tensors as modules
from lazygrad.autograd.modes import mode as now

_MODES = ("all", "any")


class GradientEdge(NamedTuple):
    """Output `output_nr` of a record: where the gradient of a tensor goes. It stands for the
    tensor in `autograd.grad` and `autograd.backward`."""

    node: BaseFn
    output_nr: int
    ownership_token: BaseFn | None = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge to which gradients of this tensor flow: `grad(loss, get_gradient_edge(x))` is
    `grad(loss, x)`. Raises RuntimeError for a tensor that needs no gradient."""
    edge = modules.history.edge_of(tensor) if tensor.requires_grad else None
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return GradientEdge(*edge)


def increment_version(tensor: Any) -> None:
    """Count a write to a tensor, or to several, that was made unseen. Not of inference tensors,
    which have no versions."""
    for t in (tensor,) if isinstance(tensor, modules.core.Tensor) else tuple(tensor):
        if not t._storage.inference:
            modules.aliasing.note_write(t)


class MultiHandle:
    """Takes the hooks of several tensors away again."""

    def __init__(self, handles: Iterable[Any]):
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> MultiHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all"
) -> MultiHandle:
    """A hook on the gradients of several tensors.

    "all": fn(grads) runs once in a backward pass, when the gradients of all of them that the pass
    computes are known, with None for the others. "any": fn(grad) runs with the first that is known.
    Raises ValueError for another mode, RuntimeError for a tensor that needs no gradient ("all").
    """
    if mode not in _MODES:
        raise ValueError(f"Expects mode to be one of {_MODES} but got {mode}")
    if mode == "any":
        return MultiHandle(_on_any(tensors, fn))
    return MultiHandle(_on_all(tensors, fn))


def _on_any(tensors: Sequence[Any], fn: Callable[[Any], Any]) -> list[Any]:
    last: list[Any] = [None]  # the pass in which it ran

    def hook(grad: Any) -> None:
        if last[0] is not now.task:
            last[0] = now.task
            fn(grad)

    return [t.register_hook(hook) for t in tensors if t.requires_grad]


def _on_all(tensors: Sequence[Any], fn: Callable[[list[Any]], Any]) -> list[Any]:
    records = [get_gradient_edge(t).node for t in tensors]
    found: list[Any] = [None, 0, []]  # the pass, how many are to come, the gradients

    def hook(number: int) -> Callable[[Any], None]:
        def one(grad: Any) -> None:
            task = now.task
            if found[0] is not task:
                found[:] = task, sum(map(task.executes, records)), [None] * len(records)
            found[1] -= 1
            found[2][number] = grad
            if not found[1]:
                grads, found[:] = found[2], (None, 0, [])
                fn(grads)

        return one

    return [t.register_hook(hook(number)) for number, t in enumerate(tensors)]


__all__ = ["GradientEdge", "get_gradient_edge", "increment_version", "register_multi_grad_hook"]
