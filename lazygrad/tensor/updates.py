"""Steps of optimizers that were met before: run as one known program, nothing being recorded.

Owns: what makes two steps alike, what is kept of the first one's program, and how the next one is
run by it. Must not know: any rule. A step whose tensors are not all in memory of their own and
whole, or that somebody looks into, is recorded as any operation is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.ir.node import Node, blank, user_place
from lazygrad.realize import realize_soon, run_known, watched
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.promotion import Numbered
from lazygrad.tensor.storage import reads, write


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
    """The program of a step: its leaves as numbers of tensors, or -1 - those of numbers; for each
    tensor that is written the output, a node like its value, and how often it was written."""

    program: Any
    leaves: list[int]
    written: list[tuple[int, Node, int]]
    nodes: int


class _Value:
    """A number as the leaf of a graph."""

    __slots__ = ("value",)

    def __init__(self, value: float):
        self.value = value


LIMIT = 256  # kinds of steps that are remembered
_known: dict[Any, Known | None] = {}  # named cache: None where there is no single program


def step(
    kind: type, plans: Sequence[Plan], update: Callable[[list[list[float]]], list[Tensor]]
) -> bool:
    """Run a step by its known program, or learn it. False: it has to be recorded, and nothing has
    happened. `update` records the rule with these numbers and gives what it has written."""
    tensors = [t for plan in plans for t in (*plan.written, *plan.read)]
    nodes = _values(tensors)
    if nodes is None or reads or watched():
        return False
    key = (
        kind,
        *[(plan.kind, len(plan.numbers), len(plan.written), len(plan.read)) for plan in plans],
        *[(n.dtype, n.shape, n.device) for n in nodes],
    )
    if key not in _known:
        if len(_known) >= LIMIT:
            _known.clear()
        _known[key] = _learn(plans, tensors, nodes, update)
        return True
    known = _known[key]
    if known is None:
        return False
    numbers = [_Value(number) for plan in plans for number in plan.numbers]
    leaves: list[Any] = [nodes[at] if at >= 0 else numbers[-1 - at] for at in known.leaves]
    buffers = run_known(known.program, leaves, known.nodes)
    place = user_place()
    written = (t for plan in plans for t in plan.written)
    for t, (output, like, times) in zip(written, known.written):
        node = blank(like.op, like.shape, like.dtype, like.device, place)
        node.buffer = buffers[output]
        write(t._storage, node)
        t._storage.version += times
    return True


def _values(tensors: Sequence[Tensor]) -> list[Node] | None:
    """The computed values of tensors that each have their memory alone. None if some have not."""
    nodes = []
    for t in tensors:
        stored, meta = t._storage, t._meta
        node = stored.node
        if (
            node is None
            or node.buffer is None
            or t._view is not None
            or stored.inference
            or (meta is not None and meta.loose is not None)
        ):
            return None
        nodes.append(node)
    return nodes if len({t._storage for t in tensors}) == len(nodes) else None


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
            leaves.append(-1 - leaf.value.index)
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
        made.append((output_of[node], like, t._storage.version - version))
    return Known(ran.program, leaves, made, len(ran.order))
