"""Pieces of the forward graph: the nodes that a record is made of, and what their rules read.

Owns: finding the nodes between a function's inputs and outputs, and which values the gradients of
ops read. Must not know: records, or tensors.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.ops import Lowering, Op

Entry = tuple[Node, Op, tuple[Node, ...], Any]  # a node and its sources, kept from being dropped

# Which values an op's rule reads for the gradient of each source, where that depends on it.
_READS: dict[str, dict[int, tuple[int, ...]]] = {
    "mul": {0: (1,), 1: (0,)},
    "div": {0: (1,), 1: (0, 1)},
    "matmul": {0: (1,), 1: (0,)},
    "conv": {0: (1,), 1: (0,)},
    "pow": {0: (0, 1), 1: (0, 1, -1)},
    "where": {1: (0,), 2: (0,)},
    "gather": {0: (1,)},
    "scatter_add": {2: (1,)},
    "scatter": {0: (1,), 2: (1,)},
    "remainder": {0: (), 1: (0, 1)},
    "fmod": {0: (), 1: (0, 1)},
}


def read_values(node: Node, op: Op, srcs: tuple[Node, ...], wanted: Container[Node]) -> list[Node]:
    """The values that an op's rule reads for the gradients of those sources that are wanted."""
    by_source = _READS.get(op.name)
    if by_source is None:
        return [node if position == -1 else srcs[position] for position in op.saves]
    found = []
    for source, needs in by_source.items():
        if srcs[source] in wanted:
            found += [node if position == -1 else srcs[position] for position in needs]
    return found


def origin(value: Node, ends: Container[Node]) -> Node:
    """The value that this one was moved or cast from, if that is one of the ends."""
    at = value
    while at not in ends and _moves(at):
        at = at.srcs[0]
    return at if at in ends else value


def _moves(node: Node) -> bool:
    return bool(node.srcs) and (node.op.lowering is Lowering.MOVEMENT or node.op is ops.cast)


def replaced(value: Node, old: Node, new: Node) -> Node:
    """`value`, if it was moved or cast from `old`: the same of `new`."""
    steps: list[Node] = []
    while value is not old and _moves(value):
        steps.append(value)
        value = value.srcs[0]
    if value is not old:
        return steps[0] if steps else value
    for step in reversed(steps):
        new = step.op(new, arg=step.arg)
    return new


def capture(
    outs: Sequence[Node],
    ins: Sequence[Node],
    known: dict[Node, Entry] | None = None,
    stops: Sequence[Node] = (),
) -> list[Entry]:
    """The nodes between `ins` and `outs` that depend on `ins`, sources first, with their sources.

    `known` gives the sources of nodes that were captured before: theirs may have been dropped.
    `stops` are values taken as given, whatever they were computed from.
    """
    if len(outs) == 1 and known is None:
        out = outs[0]
        reached = False
        for src in out.srcs:
            if src in ins:
                reached = True
            elif src.srcs and src not in stops:
                break
        else:
            return [(out, out.op, out.srcs, out.arg)] if reached and out not in ins else []
    depends: dict[Node, bool] = dict.fromkeys(stops, False)
    depends.update(dict.fromkeys(ins, True))
    entries: list[Entry] = []
    stack: list[tuple[Node, bool]] = [(out, False) for out in outs]
    while stack:
        node, done = stack.pop()
        if done:
            entry = known.get(node) if known is not None else None
            if entry is None:
                entry = (node, node.op, node.srcs, node.arg)
            depends[node] = any(depends.get(src, False) for src in entry[2])
            if depends[node]:
                entries.append(entry)
            continue
        if node in depends:
            continue
        depends[node] = False
        srcs = node.srcs
        if known is not None and node in known:
            srcs = known[node][2]
        if srcs:
            stack.append((node, True))
            stack.extend((src, False) for src in srcs if src not in depends)
    return entries
