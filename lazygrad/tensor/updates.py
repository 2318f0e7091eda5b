"""Steps of optimizers that were met before: run as one known program, nothing being recorded.

Owns: what makes two steps alike, what is kept of the first one's program, and how the next one is
run by it. Must not know: any rule. A step whose tensors are not all in memory of their own and
whole, or that somebody looks into, is recorded as any operation is.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.ir.node import Node, about, blank, user_place
from lazygrad.ir.picking import picker
from lazygrad.realize import realize_soon, run_known, watched
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.promotion import Numbered
from lazygrad.tensor.storage import reads

_ref = weakref.ref


@dataclass(frozen=True, slots=True)
class Plan:
    """What a group's step is: all that its operations depend on (`kind`), the numbers that enter
    them, and the tensors that they read and write (parameters and state) or only read."""

    kind: tuple[Any, ...]
    numbers: list[float]
    written: list[Tensor]
    read: list[Tensor]


@dataclass(frozen=True, slots=True)
class Known:
    """The program of a step: what takes its leaves from the values of all tensors and then all
    numbers; for each tensor that is written the output, a node like its value, and how often it was
    written."""

    program: Any
    pick: Callable[[Sequence[Any]], Sequence[Any]]
    written: list[tuple[int, Node, int]]
    nodes: int


class _Value:
    """A number as the leaf of a graph."""

    __slots__ = ("value",)

    def __init__(self, value: float):
        self.value = value


def with_gradients(params: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Those of the tensors that have a gradient, and the gradients."""
    found, grads = [], []
    for param in params:
        meta = param._meta
        if meta is not None:
            grad = meta.grad if meta.fn is None else param.grad
            if grad is not None:
                found.append(param)
                grads.append(grad)
    return found, grads


LIMIT = 256  # kinds of steps that are remembered
_known: dict[Any, Known | None] = {}  # named cache: None where there is no single program


def step(
    kind: type, plans: Sequence[Plan], update: Callable[[list[list[float]]], list[Tensor]]
) -> bool:
    """Run a step by its known program, or learn it. False: it has to be recorded, and nothing has
    happened. `update` records the rule with these numbers and gives what it has written."""
    if reads or watched():
        return False
    key: list[Any] = [kind]
    tensors: list[Tensor] = []
    for plan in plans:
        key += (plan.kind, len(plan.numbers), len(plan.written), len(plan.read))
        tensors += plan.written
        tensors += plan.read
    nodes: list[Node] = []
    for t in tensors:
        stored, meta = t._storage, t._meta
        node: Any = stored.node
        if (
            node is None
            or node.buffer is None
            or t._view is not None
            or stored.inference
            or (meta is not None and meta.loose is not None)
        ):
            return False  # not a computed value that has its memory alone
        nodes.append(node)
        try:
            key.append(node.about.computed)
        except AttributeError:
            key.append(about(node).computed)
    if len({t._storage for t in tensors}) != len(nodes):
        return False
    name = tuple(key)
    if name not in _known:
        if len(_known) >= LIMIT:
            _known.clear()
        _known[name] = _learn(plans, tensors, nodes, update)
        return True
    known = _known[name]
    if known is None:
        return False
    values: list[Any] = nodes
    for plan in plans:
        values += map(_Value, plan.numbers)
    buffers = run_known(known.program, known.pick(values), known.nodes)
    place = user_place()
    at = 0
    for plan in plans:
        for t in plan.written:
            output, like, times = known.written[at]
            at += 1
            node = blank(like.op, like.shape, like.dtype, like.device, place)
            node.buffer = buffers[output]
            node.about = like.about
            stored = t._storage  # whose memory is its own: nobody else has to be told
            stored.node = node
            node.holder = _ref(stored)
            stored.version += times
    return True


def _learn(
    plans: Sequence[Plan],
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    update: Callable[[list[list[float]]], list[Tensor]],
) -> Known | None:
    """Record and run a step, its numbers numbered."""
    written = [t for plan in plans for t in plan.written]
    before = [t._storage.version for t in written]
    count = 0
    numbers: list[list[float]] = []
    for plan in plans:
        numbers.append([Numbered(n, count + i) for i, n in enumerate(plan.numbers)])
        count += len(plan.numbers)
    changed = update(numbers)
    values = [t._storage.node for t in written]
    ran = realize_soon([t._storage.node for t in changed if t._storage.node is not None])
    if ran is None:
        return None
    index = {node: number for number, node in enumerate(nodes)}
    leaves = []
    for leaf in ran.leaves:
        if type(leaf.value) is Numbered:
            leaves.append(len(nodes) + leaf.value.index)
        elif leaf in index:
            leaves.append(index[leaf])
        else:
            return None
    output_of = dict(zip(ran.outputs, ran.output_of))
    made = []
    for t, node, version in zip(written, values, before):
        if node is None or node not in output_of:
            return None
        like = blank(node.op, node.shape, node.dtype, node.device, None)
        about(like)
        made.append((output_of[node], like, t._storage.version - version))
    return Known(ran.program, picker(leaves), made, len(ran.order))
