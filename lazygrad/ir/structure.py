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

from lazygrad.ir.node import Block, Member, Node
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

    __slots__ = ("blocks", "entries", "index", "leaves", "order", "wholes")

    def __init__(self, blocks: bool = False) -> None:
        """`blocks`: nodes of one template get one entry; in `order` are None for those that were
        not made, and stand-ins for numbers."""
        self.blocks = blocks
        self.wholes: dict[Block, int] = {}  # those that have one, from which number on
        self.index: dict[Node, int] = {}
        self.order: list[Any] = []
        self.entries: list[Any] = []
        self.leaves: list[Node] = []  # those with run-time values

    def add(self, outputs: Iterable[Node]) -> None:
        """Number what these need and has no number yet. Keeps its own stack.

        One loop with the common cases spelled out: it runs for every node of every program.
        """
        index, order, entries, leaves = self.index, self.order, self.entries, self.leaves
        blocks = self.blocks
        stack = list(outputs)
        stack.reverse()
        pop, push = stack.pop, stack.append
        while stack:
            node = pop()
            if node in index:
                continue
            entry: Any
            if blocks and node.__class__ is Member and self._add_block(node, stack):
                continue
            srcs = node.srcs
            if not srcs or node.buffer is not None:
                if node.buffer is not None:
                    entry = (node.dtype, node.shape)
                    leaves.append(node)
                elif node.op is SCALAR:
                    entry = node.dtype
                    leaves.append(node)
                else:
                    entry = (node.op, node.arg, node.dtype, node.shape)
            elif len(srcs) == 2:
                a, b = srcs
                if a not in index:
                    push(node)
                    if b.op is not SCALAR and b not in index:
                        push(b)
                    push(a)
                    continue
                if b not in index:
                    if b.op is not SCALAR or b.buffer is not None:
                        push(node)
                        push(b)
                        continue
                    index[b] = len(order)  # a number, as one of two sources often is
                    order.append(b)
                    entries.append(b.dtype)
                    leaves.append(b)
                entry = (node.op, node.arg, node.dtype, node.shape, index[a], index[b])
            elif len(srcs) == 1:
                (a,) = srcs
                if a not in index:
                    push(node)
                    push(a)
                    continue
                entry = (node.op, node.arg, node.dtype, node.shape, index[a])
            else:
                missing = [src for src in srcs if src not in index]
                if missing:
                    push(node)
                    missing.reverse()
                    stack += missing
                    continue
                numbers = [index[src] for src in srcs]
                entry = (node.op, node.arg, node.dtype, node.shape, *numbers)
            index[node] = len(order)
            order.append(node)
            entries.append(entry)

    def _add_block(self, node: Any, stack: list[Any]) -> bool:
        """Number all nodes of a template as one, or put on the stack what has to come before.

        False where that cannot be: some have been looked at by themselves, or are computed.
        """
        block = node.block
        if block is None:
            return False
        index, order, template, inside = self.index, self.order, block.template, block.inside
        if inside is not None:
            for one in inside:
                if one in index or one.buffer is not None:
                    return False
        numbers = []
        for one in block.given:
            at = index.get(one)
            if at is None:
                if one.buffer is None:
                    stack.append(node)
                    stack += [one for one in block.given if one not in index][::-1]
                    return True
                at = index[one] = len(order)
                order.append(one)
                self.entries.append((one.dtype, one.shape))
                self.leaves.append(one)
            numbers.append(at)
        self.wholes[block] = len(order)
        self.entries.append((template, *numbers))
        if inside is None:
            order += template.inside
            self.leaves += template.scalars
        else:
            index.update(zip(inside, range(len(order), len(order) + len(inside))))
            order += inside
            self.leaves += [one for one in inside if one.op is SCALAR]
        index[node] = len(order)
        order.append(node)
        return True

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
