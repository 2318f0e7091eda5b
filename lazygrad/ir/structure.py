"""The identity of a program: what is computed, apart from the values that enter it.

Owns: the canonical form of a pending graph (ops, arguments, shapes and wiring, with leaves
numbered) under which finished programs are cached in memory and on disk. Must not know: what is
done with a program. Two graphs with equal keys differ only in their leaves' values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.ir.node import Node
from lazygrad.ir.ops.leaf import SCALAR


@dataclass(frozen=True)
class Structure:
    """`order`: all nodes, sources first. `leaves`: those with run-time values, in key order."""

    key: tuple[Any, ...]
    order: list[Node]
    leaves: list[Node]
    outputs: list[Node]

    @property
    def device(self) -> str:
        """Where the program runs: all outputs are on one device."""
        return self.outputs[0].device


class Numbering:
    """Nodes numbered in the order of `toposort`, each with an entry that says what it is."""

    __slots__ = ("entries", "index", "leaves", "order")

    def __init__(self) -> None:
        self.index: dict[Node, int] = {}
        self.order: list[Node] = []
        self.entries: list[Any] = []
        self.leaves: list[Node] = []  # those with run-time values

    def add(self, outputs: Iterable[Node]) -> None:
        """Number what these need and has no number yet. Keeps its own stack.

        One loop with the common cases spelled out: it runs for every node of every program.
        """
        index, order, entries, leaves = self.index, self.order, self.entries, self.leaves
        stack = list(outputs)
        stack.reverse()
        pop, push = stack.pop, stack.append
        while stack:
            node = pop()
            if node in index:
                continue
            entry: Any
            srcs = node.srcs
            if node.buffer is not None:
                entry = (node.dtype, node.shape)
                leaves.append(node)
            elif not srcs:
                if node.op is SCALAR:
                    entry = node.dtype
                    leaves.append(node)
                else:
                    entry = (node.op.name, node.arg, node.dtype, node.shape)
            elif len(srcs) == 1:
                first = index.get(srcs[0])
                if first is None:
                    push(node)
                    push(srcs[0])
                    continue
                entry = (node.op.name, node.arg, node.dtype, node.shape, first)
            elif len(srcs) == 2:
                a, b = srcs
                first, second = index.get(a), index.get(b)
                if first is None or second is None:
                    push(node)
                    if second is None:
                        push(b)
                    if first is None:
                        push(a)
                    continue
                entry = (node.op.name, node.arg, node.dtype, node.shape, first, second)
            else:
                missing = [src for src in srcs if src not in index]
                if missing:
                    push(node)
                    missing.reverse()
                    stack += missing
                    continue
                numbers = [index[src] for src in srcs]
                entry = (node.op.name, node.arg, node.dtype, node.shape, *numbers)
            index[node] = len(order)
            order.append(node)
            entries.append(entry)

    def structure(self, outputs: Sequence[Node]) -> Structure:
        """The canonical form of these nodes, all numbered, and of all others that are."""
        index = self.index
        key = (tuple(self.entries), tuple([index[o] for o in outputs]))
        return Structure(key, self.order, self.leaves, list(outputs))


def structure(outputs: Sequence[Node], order: list[Node] | None = None) -> Structure:
    """The canonical form of what `outputs` need. `order` is theirs by `toposort`, if known."""
    made = Numbering()
    made.add(outputs if order is None else order)
    return made.structure(outputs)


def digest(*parts: Any) -> str:
    """A stable name for a key: the same in every process."""
    text = "\x1f".join(part if isinstance(part, str) else repr(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
