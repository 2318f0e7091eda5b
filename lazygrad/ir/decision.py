"""Decisions: what the planning passes chose between two values, and why.

Owns: the record of one choice and how it reads. Must not know: how choices are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lazygrad.ir.node import Node, place_text


def describe(node: Node) -> str:
    place = place_text(node.place)
    return f"{node.op.name}{list(node.shape)}" + (f" ({place})" if place else "")


@dataclass(frozen=True)
class Decision:
    """One choice of the pass: were these two put together, and why (not).

    Of kind "memory": two that are apart. Is the producer's value computed again by its reader, or
    kept in memory for it? Of kind "epilogue": a matrix product and a reader of it. Is that done to
    the product's blocks as they are made, or afterwards?
    """

    fused: bool
    reason: str
    edge: tuple[Node, Node] = field(compare=False, repr=False)
    kind: str = "fuse"

    @property
    def producer(self) -> str:
        return describe(self.edge[0])

    @property
    def consumer(self) -> str:
        return describe(self.edge[1])

    @property
    def verb(self) -> str:
        if self.kind == "memory":
            return "computed again for" if self.fused else "kept in memory for"
        if self.kind == "epilogue":
            return "has in its blocks" if self.fused else "is complete before"
        return "fused with" if self.fused else "kept apart from"

    def __str__(self) -> str:
        return f"{self.producer} {self.verb} {self.consumer}: {self.reason}"
