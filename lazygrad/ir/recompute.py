"""Values computed again by their reader, where that costs less than memory.

Owns: which values between two kernels are worth computing twice (`cost` has the figures), and the
change to the partition. Must not know: how values are computed. Only pointwise values qualify: what
they are made from must be in memory anyway, or be small (the result of a reduction), and a reader's
view of them must carry over to their sources. No bit changes: the same ops on the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from lazygrad.ir import cost
from lazygrad.ir.decision import Decision
from lazygrad.ir.fusion import (
    FULL,
    MAX_BUFFERS,
    MAX_NODES,
    Group,
    Partition,
    reads_full,
)
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand, in_memory_sources, is_virtual
from lazygrad.ir.ops import Lowering
from lazygrad.ir.views import View

Use = tuple[Node, int]  # a node and the position of one of its sources


@dataclass
class _Copy:
    """What computing a value again takes: nodes with the views of their sources, sources first."""

    made: dict[tuple[Node, View], Node] = field(default_factory=dict)
    operands: dict[Node, list[Operand]] = field(default_factory=dict)
    level: str = FULL


def recompute(partition: Partition, outputs: Sequence[Node]) -> None:
    """Compute values again in the groups that read them where the cost model says so."""
    work = _Work(partition, set(outputs))
    for number in list(partition.groups):
        if number in partition.groups and not partition.groups[number].alone:
            work.visit(partition.groups[number])
    work.remove_unread()


def base_of(copy: _Copy) -> Node:
    """The copy of the value that is wanted: the last one made."""
    return next(reversed(copy.operands))


class _Work:
    def __init__(self, partition: Partition, outputs: set[Node]):
        self.partition = partition
        self.folded = partition.folded
        self.outputs = outputs
        self.readers: dict[Node, set[int]] = {}  # groups outside its own that read a value
        for node in self.folded.nodes:
            number = partition.group_of[node]
            for operand in self.folded.operands[node]:
                if partition.group_of.get(operand.base, number) != number:
                    self.readers.setdefault(operand.base, set()).add(number)

    def stored(self, node: Node) -> bool:
        """Whether it is in memory whatever is decided here."""
        return node in self.outputs or bool(self.readers.get(node))

    def visit(self, group: Group) -> None:
        uses: dict[Node, list[Use]] = {}
        fixed: set[Node] = set()  # read at computed positions: they must be in memory
        inside = set(group.nodes)
        for node in group.nodes:
            for position, operand in enumerate(self.folded.operands[node]):
                base = operand.base
                if position in in_memory_sources(node):
                    fixed.add(base)
                elif base not in inside and base in self.partition.group_of:
                    uses.setdefault(base, []).append((node, position))
        for base, found in uses.items():
            if base.op.lowering is Lowering.POINTWISE and base not in fixed:
                self.consider(group, base, found)

    def consider(self, group: Group, base: Node, uses: list[Use]) -> None:
        first = uses[0]
        copy = self.copy(group, base, uses)
        if copy is None:
            return
        compared = self.compare(group, base, copy)
        if compared.compute_again:
            self.commit(group, uses, copy, (base, first[0]))
        edge = (base, first[0])
        decision = Decision(compared.compute_again, str(compared), edge, kind="memory")
        self.partition.decisions.append(decision)

    # -- what it would take -----------------------------------------------------------------------
    def copy(self, group: Group, base: Node, uses: list[Use]) -> _Copy | None:
        """Copies of what `base` is computed from, at the places where the group reads it."""
        levels = {FULL if reads_full(n) else group.level[n] for n, _ in uses}
        views = {group.views.get(use) for use in uses}
        if len(levels) > 1 or len(views) > 1 or group.final:
            return None
        (view,), level = views, levels.pop()
        if view is None or view.shape != group.space(level):
            return None
        copy = _Copy(level=level)
        if not self.add(copy, self.partition.group_of[base], base, view):
            return None
        sources = {o.base for found in copy.operands.values() for o in found}
        outside = self.sources(group) | {s for s in sources if not is_virtual(s)}
        if len(group.nodes) + len(copy.made) > MAX_NODES or len(outside) > MAX_BUFFERS:
            return None
        return copy

    def add(self, copy: _Copy, home: int, base: Node, view: View) -> bool:
        """Copy `base` and, until something is in memory, what it is made from."""
        if (base, view) in copy.made:
            return True
        if len(copy.made) >= MAX_NODES or base.op.errors:
            return False
        operands = []
        for operand in self.folded.operands[base]:
            source = operand.base
            seen = operand.view.at(view)
            if seen is None:
                return False
            here = self.partition.group_of.get(source) == home
            if here and source.op.lowering is Lowering.POINTWISE and not self.stored(source):
                if not self.add(copy, home, source, seen):
                    return False
                operands.append(Operand(copy.made[source, seen], View.contiguous(view.shape)))
            else:
                operands.append(Operand(source, seen))
        new = Node(base.op, base.srcs, base.arg, base.shape, base.dtype, base.device, base.value)
        new.place = base.place
        copy.made[base, view] = new
        copy.operands[new] = operands
        return True

    def sources(self, group: Group) -> set[Node]:
        """Values in memory that a group reads."""
        inside = set(group.nodes)
        found = {o.base for n in group.nodes for o in self.folded.operands[n]}
        return {base for base in found - inside if not is_virtual(base)}

    def compare(self, group: Group, base: Node, copy: _Copy) -> cost.Comparison:
        size = base.dtype.itemsize
        stored = size * cost.BYTE
        if base not in self.outputs:
            stored += size * cost.BYTE // len(self.readers[base])
        again = 0
        read = self.sources(group)
        moved, free = self.moved(group, base, copy)
        read |= free
        for node, operands in copy.operands.items():
            again += 0 if node in moved else cost.op_cost(node.op)
            for operand in operands:
                source = operand.base
                if is_virtual(source):
                    again += cost.op_cost(source.op)
                elif source not in copy.operands and source not in read:
                    again += self.to_read(operand)
                    read.add(source)
        space = group.space(copy.level)
        last = max((axis for axis, n in enumerate(space) if n != 1), default=0)
        times = prod(space) if self.varies(copy, base_of(copy), last) else prod(space[:last])
        repeats = -(-times // max(base.numel, 1))
        nbytes = base.numel * size
        return cost.Comparison(stored, again, base.numel, nbytes, len(copy.operands), repeats)

    def moved(self, group: Group, base: Node, copy: _Copy) -> tuple[set[Node], set[Node]]:
        """What is no further work: the copies whose originals nobody would read any more, and the
        values in memory that only those originals read where they were."""
        home = self.partition.groups[self.partition.group_of[base]]
        users: dict[Node, set[Node]] = {}
        for node in home.nodes:
            for operand in self.folded.operands[node]:
                users.setdefault(operand.base, set()).add(node)
        gone: set[Node] = set()
        found: set[Node] = set()
        for (original, _), new in reversed(copy.made.items()):
            readers = self.readers.get(original, set())
            unread = original not in self.outputs and readers <= {group.number}
            if unread and (original is base or not readers) and users.get(original, gone) <= gone:
                gone.add(original)
                found.add(new)
        inside = set(home.nodes)
        return found, {
            source
            for source, readers in users.items()
            if readers <= gone and (source not in inside or self.stored(source))
        }

    def to_read(self, operand: Operand) -> int:
        """What one more value to read costs an element; one that is spread out costs nothing."""
        view, source = operand.view, operand.base
        if any(n > 1 and not stride for n, stride in zip(view.shape, view.strides)):
            return 0
        new = source in self.partition.group_of and not self.stored(source)
        return source.dtype.itemsize * cost.BYTE * (2 if new else 1)

    def varies(self, copy: _Copy, node: Node, axis: int) -> bool:
        stack = [node]
        while stack:
            for operand in copy.operands[stack.pop()]:
                if operand.base in copy.operands:
                    stack.append(operand.base)
                elif operand.view.strides[axis] or operand.view.box is not None:
                    return True
        return False

    # -- doing it ---------------------------------------------------------------------------------
    def commit(self, group: Group, uses: list[Use], copy: _Copy, edge: tuple[Node, Node]) -> None:
        partition, folded = self.partition, self.folded
        base, first = edge
        dense = View.contiguous(group.space(copy.level))
        at = group.nodes.index(first)
        new = list(copy.operands)
        group.nodes[at:at] = new
        before = folded.nodes.index(first)
        folded.nodes[before:before] = new
        for node, operands in copy.operands.items():
            folded.operands[node] = tuple(operands)
            group.level[node] = copy.level
            partition.group_of[node] = group.number
            partition.position[node] = partition.position[first]
            for position, operand in enumerate(operands):
                group.views[node, position] = operand.view
                home = partition.group_of.get(operand.base)
                if home is not None and home != group.number:
                    self.readers.setdefault(operand.base, set()).add(group.number)
        result = base_of(copy)
        for node, position in uses:
            changed = list(folded.operands[node])
            changed[position] = Operand(result, dense)
            folded.operands[node] = tuple(changed)
            group.views[node, position] = dense
        self.readers[base].discard(group.number)

    def remove_unread(self) -> None:
        """Drop what nobody reads any more, and groups that have become empty."""
        partition, folded = self.partition, self.folded
        uses: dict[Node, int] = dict.fromkeys(self.outputs, 1)
        for node in folded.nodes:
            for operand in folded.operands[node]:
                uses[operand.base] = uses.get(operand.base, 0) + 1
        gone: set[Node] = set()
        for node in reversed(folded.nodes):
            if uses.get(node) or partition.groups[partition.group_of[node]].final:
                continue
            gone.add(node)
            for operand in folded.operands[node]:
                uses[operand.base] -= 1
        if not gone:
            return
        folded.nodes[:] = [n for n in folded.nodes if n not in gone]
        for node in gone:
            group = partition.groups[partition.group_of.pop(node)]
            group.nodes.remove(node)
            if not group.nodes:
                del partition.groups[group.number]
            del folded.operands[node]
