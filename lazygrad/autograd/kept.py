"""Values that records keep for their gradients, so that the executor keeps them too.

Owns: the counts of who keeps a node. Must not know: records.
"""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.ir.node import Node


class Kept(tuple[Node, ...]):
    """Values that a record's gradient will read: the executor knows of them while this lives."""

    __slots__ = ()

    def __new__(cls, nodes: Iterable[Node]) -> Kept:
        made = super().__new__(cls, nodes)
        for node in made:
            node.saves += 1
        return made

    def __del__(self) -> None:
        for node in self:
            node.saves -= 1
