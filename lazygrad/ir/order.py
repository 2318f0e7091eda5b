"""The order in which groups run: what makes memory free goes first.

Owns: the choice among the groups that could run next. Must not know: where values lie, or any
backend. A gradient of a weight, say, is the last reader of an activation: run as soon as it can be,
it gives that memory to what follows. Whatever would need more memory keeps its place, the order of
recording, which is the order of a user's eager program.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from lazygrad.ir.fusion import Partition
from lazygrad.ir.node import Node


def run_order(partition: Partition, outputs: Sequence[Node]) -> list[int]:
    """The numbers of the groups, in an order that respects every dependency."""
    return _Order(partition, outputs).run()


class _Order:
    def __init__(self, partition: Partition, outputs: Sequence[Node]):
        self.graph = partition.graph()
        self.waits = dict(self.graph.in_degree())
        self.made: dict[int, int] = {}  # bytes that a group needs for what later ones read
        self.read: dict[int, set[Node]] = {}  # temporaries that it reads
        self.readers: dict[Node, set[int]] = {}  # groups that have yet to read one
        own = set(outputs)  # has memory of its own, from the start to the end
        folded, group_of = partition.folded, partition.group_of
        for node in folded.nodes:
            number = group_of[node]
            for base in {operand.base for operand in folded.operands[node]}:
                if group_of.get(base, number) != number and base not in own:
                    self.readers.setdefault(base, set()).add(number)
                    self.read.setdefault(number, set()).add(base)
        for base in self.readers:
            number = group_of[base]
            self.made[number] = self.made.get(number, 0) + base.numel * base.dtype.itemsize
        self.ready: list[tuple[bool, int, int]] = []  # may be out of date: see `push`

    def grows(self, number: int) -> bool:
        """Whether more memory is in use once this group has run."""
        freed = sum(
            node.numel * node.dtype.itemsize
            for node in self.read.get(number, ())
            if len(self.readers[node]) == 1
        )
        return self.made.get(number, 0) > freed

    def push(self, number: int) -> None:
        """Offer a group that is ready; again, when it has become the last reader of a value."""
        heappush(self.ready, (self.grows(number), self.graph.nodes[number]["first"], number))

    def run(self) -> list[int]:
        for number, count in self.waits.items():
            if not count:
                self.push(number)
        order: list[int] = []
        done: set[int] = set()
        while self.ready:
            number = heappop(self.ready)[2]
            if number in done:
                continue
            done.add(number)
            order.append(number)
            for node in self.read.get(number, ()):
                self.readers[node].discard(number)
                for last in self.readers[node]:
                    if len(self.readers[node]) == 1 and not self.waits[last]:
                        self.push(last)
            for child in self.graph.successors(number):
                self.waits[child] -= 1
                if not self.waits[child]:
                    self.push(child)
        return order
