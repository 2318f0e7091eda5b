"""Fusion: which compute nodes share a kernel.

Owns: groups, the predicates that let two groups become one (each answers with a reason), and the
record of every choice. Must not know: how a group becomes code, or any backend. A group has one
index space (`shape`, with reduced `axes`); its nodes live at the full level, or at the row level
that is left when the axes are reduced. networkx holds the graph of groups: it proves that the
partition has no cycles.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from lazygrad.ir import ops
from lazygrad.ir.decision import Decision, describe
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.operands import (
    Folded,
    Operand,
    domain_of,
    in_memory_sources,
    is_virtual,
    on_host,
)
from lazygrad.ir.ops import Lowering
from lazygrad.ir.views import View

if TYPE_CHECKING:
    import networkx as nx

MAX_NODES = 128  # ops in a kernel: keeps compile time and register pressure bounded
MAX_BUFFERS = 40  # distinct values read from memory by a kernel

FULL, ROW = "full", "row"
Key = tuple[Node, int]


class Refused(Exception):
    """Why two groups cannot become one."""


@dataclass
class Group:
    """Nodes that become one kernel. `views` gives each (node, source) in the group's own axes."""

    number: int
    shape: Shape
    axes: tuple[int, ...]
    nodes: list[Node]
    level: dict[Node, str]
    views: dict[Key, View]
    alone: str | None = None  # why nothing may be fused into this group
    product: Node | None = None  # the matrix product in whose blocks the other nodes are computed,
    columns: int = 0  # and the axis from which on the group's axes are its columns
    final: set[Node] = field(default_factory=set)  # results that are only in memory
    sources: set[Node] = field(default_factory=set)  # values in memory that it reads

    @property
    def row_shape(self) -> Shape:
        return tuple(1 if axis in self.axes else n for axis, n in enumerate(self.shape))

    def space(self, level: str) -> Shape:
        return self.shape if level == FULL else self.row_shape


def writes_in_place(node: Node) -> bool:
    """Indexed ops whose first source is copied and then partly overwritten."""
    return (node.shape == node.srcs[0].shape and node.op.arity > 2) or node.op is ops.update


def place_view(node: Node, operand: Operand) -> View:
    """Where an indexed op reads or writes its first source, less the computed axis."""
    if node.op is ops.update:
        return node.arg
    view = operand.view
    strides = tuple(0 if axis == node.arg else s for axis, s in enumerate(view.strides))
    return View(domain_of(node), strides, view.offset)


def _single(number: int, node: Node, operands: tuple[Operand, ...]) -> Group:
    """A group of one node."""
    kind = node.op.lowering
    reduce = kind is Lowering.REDUCE
    axes = node.arg if reduce else ()
    group = Group(number, domain_of(node), axes, [node], {node: ROW if reduce else FULL}, {})
    if kind is Lowering.CONTRACT:
        group.alone = "a matrix product is its own kernel"
    elif on_host(node):
        group.alone = f"{node.op.name} is a function" if node.op.strided else "runs on the host"
    memory = in_memory_sources(node)
    group.sources = {o.base for o in operands if not is_virtual(o.base)}
    for position, operand in enumerate(operands):
        if position not in memory:
            group.views[node, position] = operand.view
        elif kind is Lowering.INDEXED:
            group.views[node, position] = place_view(node, operand)
    if kind is Lowering.INDEXED and writes_in_place(node):
        group.final.add(node)
    if group.shape == ():
        group.shape = (1,)
        group.views = _moved(group, (1,), FULL)
    return group


def _dense(view: View) -> bool:
    return view.is_contiguous


def _row_dense(view: View, axes: tuple[int, ...]) -> bool:
    """Row-major over the kept axes, and the same everywhere along the reduced ones."""
    if view.offset or view.box is not None:
        return False
    step = 1
    for axis in range(len(view.shape) - 1, -1, -1):
        extent, stride = view.shape[axis], view.strides[axis]
        if extent == 1:
            continue
        if axis in axes:
            if stride != 0:
                return False
        else:
            if stride != step:
                return False
            step *= extent
    return True


def _moved(group: Group, space: Shape, level: str) -> dict[Key, View]:
    """The views of a group without reduction, over another index space of the same size."""
    moved = {}
    for key, view in group.views.items():
        found = view.reshape(space)
        if found is None:
            raise Refused("their sources have no common axes")
        moved[key] = found
    return moved


@dataclass
class _Joined:
    """What two groups would be as one."""

    shape: Shape
    axes: tuple[int, ...]
    level: dict[Node, str]
    views: dict[Key, View]


def _squeezed(shape: Shape, axes: tuple[int, ...]) -> list[tuple[int, bool]]:
    return [(n, axis in axes) for axis, n in enumerate(shape) if n != 1]


def _sizes(a: Group, b: Group) -> str:
    """Why two index spaces of other sizes are no single one."""
    text = f"different numbers of elements, {prod(a.shape)} and {prod(b.shape)}"
    gathers = [n for n in b.nodes if n.op.lowering is Lowering.INDEXED]
    if gathers:
        text += f": {gathers[0].op.name} reads each several times or not at all"
    elif prod(b.shape) > prod(a.shape):
        text += ": each is read several times"
    return text


def _join_plain(a: Group, b: Group) -> _Joined:
    """Neither reduces: one of the two index spaces must serve both."""
    if prod(a.shape) != prod(b.shape):
        raise Refused(_sizes(a, b))
    try:
        views = _moved(a, b.shape, FULL) | b.views
        shape = b.shape
    except Refused:
        views = a.views | _moved(b, a.shape, FULL)
        shape = a.shape
    return _Joined(shape, (), a.level | b.level, views)


def _join_into(reducing: Group, plain: Group, level: str) -> _Joined:
    """A group without reduction takes a place at one level of a reducing group."""
    views = reducing.views | _moved(plain, reducing.space(level), level)
    levels = reducing.level | dict.fromkeys(plain.nodes, level)
    return _Joined(reducing.shape, reducing.axes, levels, views)


def _join(a: Group, b: Group) -> Iterator[_Joined]:
    """All ways to see two groups as one, the likely ones first."""
    if not a.axes and not b.axes:
        yield _join_plain(a, b)
    elif a.axes and b.axes:
        if _squeezed(a.shape, a.axes) != _squeezed(b.shape, b.axes):
            raise Refused("they reduce different axes")
        if a.shape == b.shape:
            yield _Joined(a.shape, a.axes, a.level | b.level, a.views | b.views)
        else:
            views = {}
            for key, view in b.views.items():
                found = view.reshape(a.space(b.level[key[0]] if not reads_full(key[0]) else FULL))
                if found is None:
                    raise Refused("their sources have no common axes")
                views[key] = found
            yield _Joined(a.shape, a.axes, a.level | b.level, a.views | views)
    else:
        reducing, plain = (a, b) if a.axes else (b, a)
        size = prod(plain.shape)
        fits = False
        for level in (FULL, ROW):
            if size == prod(reducing.space(level)):
                fits = True
                try:
                    yield _join_into(reducing, plain, level)
                except Refused:
                    continue
        if not fits:
            raise Refused(_sizes(a, b))


def reads_full(node: Node) -> bool:
    """Reductions read at the full level and give their result at the row level."""
    return node.op.lowering is Lowering.REDUCE


class Partition:
    """The state of the pass, and its result."""

    def __init__(self, folded: Folded):
        self.folded = folded
        self.groups: dict[int, Group] = {}
        self.group_of: dict[Node, int] = {}
        self.ancestors: dict[int, int] = {}  # group -> bits of all groups it depends on
        self.parents: dict[int, set[int]] = {}  # groups that it reads from,
        self.children: dict[int, set[int]] = {}  # and that read from it
        self.position = {node: number for number, node in enumerate(folded.nodes)}
        self.decisions: list[Decision] = []
        self.uses: dict[Node, list[Key]] = {}  # who reads a value, and as which source
        for node in folded.nodes:
            for place, operand in enumerate(folded.operands[node]):
                self.uses.setdefault(operand.base, []).append((node, place))
        self.refused: list[tuple[Node, Node]] = []
        for number, node in enumerate(folded.nodes):
            self._add(number, node)
        self._retry_refused()
        self._merge_siblings()

    # -- one node after the other ---------------------------------------------------------------
    def _add(self, number: int, node: Node) -> None:
        operands = self.folded.operands[node]
        group = _single(number, node, operands)
        self.groups[number] = group
        self.group_of[node] = number
        bits = 0
        producers = []
        for operand in operands:
            source = self.group_of.get(operand.base)
            if source is not None:
                bits |= (1 << source) | self.ancestors[source]
                producers.append(operand.base)
        self.ancestors[number] = bits
        self.parents[number] = {self.group_of[p] for p in producers}
        self.children[number] = set()
        for parent in self.parents[number]:
            self.children[parent].add(number)
        for producer in reversed(list(dict.fromkeys(producers))):
            self._try_edge(producer, node)

    def _try_edge(self, producer: Node, consumer: Node) -> None:
        first, second = self.group_of[producer], self.group_of[consumer]
        if first == second:
            return
        try:
            reason = self._fuse(first, second)
            fused = True
        except Refused as refusal:
            reason, fused = str(refusal), False
            self.refused.append((producer, consumer))
        self.decisions.append(Decision(fused, reason, (producer, consumer)))

    def _fuse(self, first: int, second: int) -> str:
        """Make two groups one, or raise Refused with the reason."""
        a, b = self.groups[first], self.groups[second]
        for group in (a, b):
            if group.alone:
                raise Refused(group.alone)
        if len(a.nodes) + len(b.nodes) > MAX_NODES:
            raise Refused(f"the kernel would have more than {MAX_NODES} ops")
        if self.path_outside(first, second):
            raise Refused("a value between them is computed by another kernel")
        if self._count_sources(a, b) > MAX_BUFFERS:
            raise Refused(f"the kernel would read more than {MAX_BUFFERS} values")
        if (a.axes or b.axes) and any(n.op is not ops.update for n in a.final | b.final):
            raise Refused("writes at computed positions are not made in the loop of a reduction")
        reason = "their sources have no common axes"
        for joined in _join(a, b):
            try:
                self._check_edges(a, b, joined)
            except Refused as refusal:
                reason = str(refusal)
                continue
            self._commit(a, b, joined)
            return self._why(joined, a, b)
        raise Refused(reason)

    @staticmethod
    def _why(joined: _Joined, a: Group, b: Group) -> str:
        if not joined.axes:
            return "same elements in the same order"
        if a.axes and b.axes:
            return "reductions over the same rows"
        return "computed in the loop of the reduction" if b.axes else "follows the reduction's rows"

    def path_outside(self, first: int, second: int) -> bool:
        """Whether a third group lies on a path from one to the other: fusing would make a cycle."""
        return any(
            parent != low and (self.ancestors[parent] >> low) & 1
            for low, high in ((first, second), (second, first))
            for parent in self.parents[high]
        )

    def _count_sources(self, a: Group, b: Group) -> int:
        both = (a.number, b.number)
        return sum(self.group_of.get(n) not in both for n in a.sources | b.sources)

    def _check_edges(self, a: Group, b: Group, joined: _Joined) -> None:
        """Every value that passes inside the group must be read at the index it is made at."""
        final = a.final | b.final
        whole = all(n == 1 or axis in joined.axes for axis, n in enumerate(joined.shape))
        if whole and joined.axes:
            self._check_ends(a, b, joined)
        for node, position, base in self._new_edges(a, b, joined):
            if position in in_memory_sources(node):
                raise Refused(f"{describe(base)} must be in memory before it is read")
            self._check_edge(node, position, base, joined, final)

    def _new_edges(self, a: Group, b: Group, joined: _Joined) -> Iterator[tuple[Node, int, Node]]:
        """Edges inside the joined group that were not inside one of the two, seen as it is now."""
        fewer, more = (a, b) if len(a.nodes) < len(b.nodes) else (b, a)
        kept = more.shape == joined.shape and more.axes == joined.axes
        for node in fewer.nodes if kept else (*a.nodes, *b.nodes):
            for position, operand in enumerate(self.folded.operands[node]):
                if operand.base in joined.level:
                    yield node, position, operand.base
        if kept:  # what the larger group reads of the smaller one
            for base in fewer.nodes:
                for node, position in self.uses.get(base, ()):
                    if self.group_of.get(node) == more.number:
                        yield node, position, base

    def _check_ends(self, a: Group, b: Group, joined: _Joined) -> None:
        """A reduction over everything ends its kernel but for what is left of the rows."""
        after: dict[Node, bool] = {}  # node -> whether it needs a finished reduction
        for node in sorted((*a.nodes, *b.nodes), key=self.position.__getitem__):
            after[node] = False
            for operand in self.folded.operands[node]:
                base = operand.base
                if base in joined.level:
                    late = after[base] or reads_full(base)
                    if late and (joined.level[node] == FULL or reads_full(node)):
                        raise Refused(
                            "a full reduction must end before its result is used everywhere"
                        )
                    after[node] |= late

    def _check_edge(
        self, node: Node, position: int, base: Node, joined: _Joined, final: set[Node]
    ) -> None:
        if base in final:
            raise Refused(f"{describe(base)} is complete only when its kernel has ended")
        view = joined.views[node, position]
        if joined.level[base] == FULL:
            if joined.level[node] == ROW and not reads_full(node):
                raise Refused("reads single elements of a value that is made by rows")
            if not _dense(view):
                raise Refused(f"reads {describe(base)} in another order than it is made")
        elif joined.level[node] == FULL or reads_full(node):
            if not _row_dense(view, joined.axes):
                raise Refused(f"reads {describe(base)} at other rows than it is made")
        elif not _dense(view):
            raise Refused(f"reads {describe(base)} in another order than it is made")

    def _commit(self, a: Group, b: Group, joined: _Joined) -> None:
        a.shape, a.axes, a.level, a.views = (
            joined.shape,
            joined.axes,
            joined.level,
            joined.views,
        )
        in_order = self.position[a.nodes[-1]] < self.position[b.nodes[0]]
        a.nodes += b.nodes
        if not in_order:
            a.nodes.sort(key=self.position.__getitem__)
        a.final |= b.final
        for node in b.nodes:
            self.group_of[node] = a.number
        a.sources = {n for n in a.sources | b.sources if self.group_of.get(n) != a.number}
        self.join_relations(a.number, b.number)

    def join_relations(self, a: int, b: int) -> None:
        """Group b is a from now on: for those before it, and all that come after the two."""
        low, high = 1 << a, 1 << b
        both = (self.ancestors[a] | self.ancestors[b]) & ~(low | high)
        for parent in self.parents[b]:
            self.children[parent].discard(b)
            self.children[parent].add(a)
        for child in self.children[b]:
            self.parents[child].discard(b)
            self.parents[child].add(a)
        self.parents[a] = (self.parents[a] | self.parents[b]) - {a, b}
        self.children[a] = (self.children[a] | self.children[b]) - {a, b}
        del self.groups[b], self.ancestors[b], self.parents[b], self.children[b]
        self.ancestors[a] = both
        seen = {a}
        stack = [a]
        while stack:
            for child in self.children[stack.pop()]:
                if child not in seen:
                    seen.add(child)
                    self.ancestors[child] = (self.ancestors[child] & ~high) | low | both
                    stack.append(child)

    def _retry_refused(self) -> None:
        """Try edges again that failed while a group was smaller: it may reduce by now."""
        again, self.refused = self.refused, []
        for producer, consumer in again:
            a, b = (self.groups[self.group_of[n]] for n in (producer, consumer))
            if a is not b and not a.alone and not b.alone and (a.axes or b.axes):
                self._try_edge(producer, consumer)

    # -- groups that read the same values --------------------------------------------------------
    def _merge_siblings(self) -> None:
        """Put groups together that reduce the same rows of the same value, or read it alike."""
        readers: dict[Node, list[Node]] = {}
        for node in self.folded.nodes:
            for operand in self.folded.operands[node]:
                if not is_virtual(operand.base) and prod(operand.view.shape) > 1:
                    readers.setdefault(operand.base, []).append(node)
        for nodes in readers.values():
            for first, second in itertools.pairwise(nodes):
                a, b = self.group_of[first], self.group_of[second]
                if a == b:
                    continue
                if self._alike(self.groups[a], self.groups[b]):
                    self._try_edge(first, second)

    @staticmethod
    def _alike(a: Group, b: Group) -> bool:
        return (
            not a.alone
            and not b.alone
            and (_squeezed(a.shape, a.axes) == _squeezed(b.shape, b.axes))
        )

    # -- result -----------------------------------------------------------------------------------
    def graph(self) -> nx.DiGraph:
        """Groups and who needs whom."""
        import networkx as nx  # here, so that a compiler may be at work while it is loaded

        graph = nx.DiGraph()
        for number, group in self.groups.items():
            first = self.position[group.nodes[0]]
            graph.add_node(number, first=first, size=len(group.nodes))
        for node in self.folded.nodes:
            for operand in self.folded.operands[node]:
                source = self.group_of.get(operand.base)
                target = self.group_of[node]
                if source is not None and source != target:
                    graph.add_edge(source, target, value=operand.base)
        return graph


def check_partition(partition: Partition) -> None:
    """Every compute node is in exactly one group, and groups have an order to run in."""
    import networkx as nx

    seen = [node for group in partition.groups.values() for node in group.nodes]
    if len(seen) != len(set(seen)) or set(seen) != set(partition.folded.nodes):
        raise AssertionError("the groups are not a partition of the compute nodes")
    graph = partition.graph()
    if not nx.is_directed_acyclic_graph(graph):
        cycle = nx.find_cycle(graph)
        raise AssertionError(f"groups need each other in a circle: {cycle}")
