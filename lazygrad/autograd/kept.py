"""Values that records keep for their gradients, so that the executor keeps them too.

Owns: the counts of who keeps a node. Must not know: records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


class KeptLate:
    """`Kept`, to which values may be added that are made only when somebody asks for them."""

    __slots__ = ("__weakref__", "nodes")

    def __init__(self, nodes: Iterable[Node]):
        self.nodes: list[Node] = []
        self.add(nodes)

    def add(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            node.saves += 1
            self.nodes.append(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __del__(self) -> None:
        for node in self.nodes:
            node.saves -= 1
