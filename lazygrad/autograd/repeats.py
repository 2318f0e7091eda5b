"""Backward passes that were met before: run as one known program, without recording their nodes.

Owns: what makes two passes the same (the records, how they are wired, the graph behind them), and
how the program of the first is run for the next. Must not know: any op's gradient rule. A pass
that anybody looks into (hooks, functions of users, anomaly mode, `create_graph`) is never taken
for a known one; neither is one that would raise, which the engine does better.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.autograd import families, patterns
from lazygrad.autograd.graph import AccumulateGrad, BaseFn, GradFn
from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.ir.node import Node, Place, computed, stand_in
from lazygrad.ir.structure import Numbering
from lazygrad.realize import Ran, one_place, run_known, watched
from lazygrad.runtime.device import HOST

Target = tuple[BaseFn, int]
_by_age = operator.attrgetter("seq")


@dataclass(frozen=True)
class Result:
    """A value that a pass leaves behind: a node of the graph that was there before, by its number,
    or a new one: the output it is, its like, and the number of the node whose line it has."""

    number: int
    output: int = -1
    like: Node | None = None
    place: int = -1


@dataclass(frozen=True)
class Known:
    """The program of a pass: the numbers of its leaves, of the outputs that were recorded by the
    forward pass, the gradient of each end, and of the nodes that errors may be of."""

    program: Any
    leaves: list[int]
    outputs: list[tuple[int, int]]  # (number of the node, output of the program)
    results: list[Result]
    sites: list[int]


LIMIT = 1024  # structures that are remembered
_known: dict[Any, Known | None] = {}  # named cache: None where there is no single program


class Pass:
    """One backward pass, looked at before it runs."""

    __slots__ = ("ends", "fns", "keep", "key", "nodes")

    def __init__(self, key: Any, nodes: Numbering, fns: list[GradFn], ends: list[Any], keep: bool):
        self.key = key
        self.nodes = nodes
        self.fns = fns  # the records that will run, the latest first
        self.ends = ends  # where gradients are wanted: leaves, or targets
        self.keep = keep

    def run(self, root: Any = None) -> list[Node] | None:
        """The gradient of each end, all computed. None where the pass is not a known one, or has
        failed: nothing has happened then, and the engine is to say how.

        `root` is what `backward()` was called on, if there was nothing more to it.
        """
        known = _known.get(self.key)
        if known is None and self.key not in _known:
            known = families.known_for(self)
            if known is not None:
                self._keep(known)
        if known is None:
            return None
        if root is not None:
            patterns.learn(root, self.fns, self.ends, self.nodes, known)
        order = self.nodes.order
        try:
            leaves = [order[i] for i in known.leaves]
            places = self._places(known.sites)
            buffers = run_known(known.program, leaves, len(order), places)
        except patterns.FAILURES:
            # a check of values, or no memory: the pass that is recorded says so, with its line
            return None
        for number, output in known.outputs:
            node = order[number]
            computed(node, buffers[output])
        made: dict[int, Node] = {}
        found = []
        for result in known.results:
            if result.number >= 0:
                found.append(order[result.number])
                continue
            node_made = made.get(result.output)
            if node_made is None:
                assert result.like is not None
                node_made = made[result.output] = stand_in(result.like.op, result.like)
                node_made.place = order[result.place].place if result.place >= 0 else None
                node_made.buffer = buffers[result.output]
            found.append(node_made)
        if not self.keep:
            for fn in self.fns:
                fn.release()
        return found

    def _places(self, sites: list[int]) -> list[Place]:
        """The lines of these nodes; those inside of a template that was not made have its own."""
        found = []
        for number in sites:
            node = self.nodes.order[number] if number >= 0 else None
            if node is None and number >= 0:
                starts = ((at, block) for block, at in self.nodes.wholes.items() if at <= number)
                node = max(starts, key=operator.itemgetter(0), default=(0, None))[1]
            found.append(None if node is None else node.place)
        return found

    def learn(self, ran: Ran | None, gradients: Sequence[Node | None]) -> Known | None:
        """The pass was recorded and run: remember its program for the next of its kind."""
        known = self._known_from(ran, gradients)
        self._keep(known)
        return known

    def _keep(self, known: Known | None) -> None:
        if len(_known) >= LIMIT:
            _known.clear()
        _known[self.key] = known

    def _known_from(self, ran: Ran | None, gradients: Sequence[Node | None]) -> Known | None:
        if ran is None:
            return None
        order, index = [*self.nodes.order], {**self.nodes.index}
        for block, start in self.nodes.wholes.items():
            for number, one in enumerate(block.drawn(), start):
                order[number] = one
                index[one] = number
        if any(leaf not in index for leaf in ran.leaves):
            return None  # a rule made a number of its own
        if self.key[0] != HOST and all(leaf.buffer is None for leaf in ran.leaves):
            return None  # it is its leaves' memory that says on which device it runs
        places = {id(one.place): i for i, one in enumerate(order)}
        output_of = dict(zip(ran.outputs, ran.output_of))
        results = []
        for node in gradients:
            if node is None:
                return None
            number = index.get(node, -1)
            if number < 0:
                output = output_of.get(node)
                if output is None:
                    return None
                place = places.get(id(node.place), -1)
                like = stand_in(node.op, node)
                like.place = None
                results.append(Result(-1, output, like, place))
            else:
                results.append(Result(number))
        outputs = [(index[node], output) for node, output in output_of.items() if node in index]
        taken = [number for number, _ in outputs] + [r.number for r in results if r.number >= 0]
        if any(self.nodes.order[number] is None for number in taken):
            return None  # a value inside of a template, which is not made again
        leaves = [index[leaf] for leaf in ran.leaves]
        sites = [places.get(id(place), -1) for place in ran.program.places(ran.order)]
        return Known(ran.program, leaves, outputs, results, sites)


def look(
    roots: Sequence[Any],
    edges: Sequence[Any],
    seeds: Sequence[Any],
    targets: Sequence[Target] | None,
    accumulate: bool,
    keep: bool,
) -> Pass | None:
    """What a pass from these roots will do. None where it is not one that can be repeated."""
    if watched() or mode.anomaly or tensors.storage.reads:
        return None
    starts = [edge[0] for edge in edges]
    found = _walk(starts, accumulate)
    if found is None:
        return None
    fns, leaves = found
    number: dict[BaseFn, int] = {}
    for fn in fns:
        number[fn] = len(number)
    for leaf in leaves:
        number[leaf] = len(number)
    ends: list[Any]
    if targets is not None:
        aims = {fn for fn, _ in targets}
        if not aims <= number.keys():
            return None  # nothing leads there: an error, or no gradient
        if not aims.issuperset(leaves):  # every record leads to a leaf
            fns = _leading(fns, aims)
        ends = list(targets)
        if accumulate:
            if any(type(fn) is not AccumulateGrad for fn, _ in targets):
                return None
            ends = list(dict.fromkeys(fn for fn, _ in targets))
    else:
        ends = leaves
    if not ends:
        return None
    nodes = Numbering(blocks=True)
    values = []
    for t in (*roots, *seeds):
        if t._storage.node is None:
            return None
        values.append(tensors.core.node_of(t))
    nodes.add(values)
    entries = _entries(fns, number, nodes)
    index = nodes.index
    place = one_place(nodes.order)
    if place is None:
        return None
    key = (
        place,
        tuple(nodes.entries),
        tuple(entries),
        tuple([index[value] for value in values]),
        tuple([(number[fn], nr) for fn, nr in edges]),
        None if targets is None else tuple([(number[fn], nr) for fn, nr in targets]),
        accumulate,
        keep,
        _read_again(nodes, [] if keep else fns),
    )
    return Pass(key, nodes, fns, ends, keep)


def _walk(starts: list[BaseFn], accumulate: bool) -> tuple[list[Any], list[Any]] | None:
    """The records that lead from the roots, the latest first, and the leaves. None where somebody
    would see gradients on their way, values are not there any more or are not those the records
    were made with, or records are not in the order of their age."""
    fns: list[Any] = []
    leaves: list[Any] = []
    seen: set[BaseFn] = set()
    stack: list[Any] = list(starts)
    while stack:
        fn = stack.pop()
        if fn in seen:
            continue
        seen.add(fn)
        if fn.extras is not None and fn.extras.watches():
            return None
        if not fn.plain:
            if type(fn) is not AccumulateGrad:
                return None
            meta = fn.variable._meta
            if meta is None or meta.hooks or meta.post_hooks:
                return None
            if accumulate and (meta.grad is not None or not meta.requires_grad):
                return None
            leaves.append(fn)
            continue
        if fn.released or fn.outline is not None or (fn.saved and not _is_unchanged(fn)):
            return None
        fns.append(fn)
        age = fn.seq
        for edge in fn.edges:
            if edge is None:
                return None
            follower = edge[0]
            if follower.plain and follower.seq >= age:
                return None
            stack.append(follower)
    fns.sort(key=_by_age, reverse=True)
    return fns, leaves


def _leading(fns: list[Any], aims: set[BaseFn]) -> list[Any]:
    """Those records from which a target can be reached."""
    reached: set[Any] = set(aims)
    needed = []
    for fn in reversed(fns):
        for edge in fn.edges:
            if edge[0] in reached:
                reached.add(fn)
                needed.append(fn)
                break
    needed.reverse()
    return needed


def _is_unchanged(fn: GradFn) -> bool:
    """Whether the values that a record reads are those it was made with."""
    for storage, version, writes, *_, counter, _ in fn.saved:
        if (storage.version if counter is None else counter[0]) != version:
            return False
        if storage.writes != writes or storage.shared is not None:
            return False
    return True


def _entries(fns: list[Any], number: dict[BaseFn, int], nodes: Numbering) -> list[Any]:
    """What each record is: its nodes and edges by number. Values that were computed meanwhile have
    lost their sources: these are named here."""
    index, wholes = nodes.index, nodes.wholes
    entries: list[Any] = []
    for fn in fns:
        node = fn.node
        if node is not None:  # one op on one tensor, as most are
            at = index.get(node)
            if at is not None and node.srcs is fn.srcs:
                edge = fn.edges[0]
                entries.append((at, number[edge[0]], edge[1]))
                continue
        entry: list[Any] = []
        block = fn.block
        if block in wholes:  # its nodes are where they always are, from the first one on
            entry += (block.template, wholes[block])
            for edge in fn.edges:
                entry += (number[edge[0]], edge[1])
            entries.append(tuple(entry))
            continue
        for node, op, srcs, arg in fn.captured:
            if node not in index:
                nodes.add((node,))
            entry.append(index[node])
            if node.srcs is not srcs:
                for src in srcs:
                    if src not in index:
                        nodes.add(srcs)
                entry.append((op.name, arg, *[index[src] for src in srcs]))
        entry.append(None)
        for node in fn.in_nodes:
            if node not in index:
                nodes.add((node,))
            entry.append(index[node])
        entry.append(None)
        for node in fn.out_nodes:
            if node not in index:
                nodes.add((node,))
            entry.append(index[node])
        for edge in fn.edges:
            entry += (number[edge[0]], edge[1])
        entries.append(tuple(entry))
    return entries


def _read_again(nodes: Numbering, released: list[GradFn]) -> tuple[int, ...]:
    """The numbers of values that something will read when these records are gone: which of them
    are kept is part of a program."""
    for fn in released:
        for node in fn.kept:
            node.saves -= 1
    found = [
        number
        for number, node in enumerate(nodes.order)
        if node is not None
        and node.buffer is None
        and (node.saves or (node.holder is not None and node.holder() is not None))
    ]
    for fn in released:
        for node in fn.kept:
            node.saves += 1
    return tuple(found)
