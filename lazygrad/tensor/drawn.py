"""Templates, and how one is drawn from the result of a call.

Owns: `Template` and `Record`, the nodes and the record of a call as plain data, and what a result
must be so that further calls give the same. Must not know: when a template is used (templates.py).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lazygrad.autograd.graph import GradFn
from lazygrad.ir.node import Node, about, toposort
from lazygrad.ir.ops import BUFFER, DRAWS, SCALAR, Lowering
from lazygrad.ir.sizes import Size
from lazygrad.ir.views import View
from lazygrad.tensor.core import Tensor, node_of
from lazygrad.tensor.history import edge_of


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a call: its fields by their numbers in the table of nodes."""

    kind: type[GradFn]
    tensors: tuple[int, ...]  # those whose edges it has
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    captured: tuple[int, ...]
    stops: tuple[int, ...]
    kept: tuple[int, ...]
    saved: tuple[tuple[int, bool], ...]  # (which, whether it is a result and not an argument)
    reads_values: bool
    inputs: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The nodes of a call (the arguments' come first), its results, and its record."""

    steps: tuple[tuple[Any, ...], ...]  # what a node is, and where its sources are: see `_step`
    results: tuple[tuple[int, int, View | None, bool], ...]  # base, value, view, has the record
    alone: bool
    record: Record | None
    whole: bool  # the last node is the result, which needs all the others: these may be left out
    like: tuple[Any, ...]  # of a whole one: what the last node is
    kept: tuple[int, ...]  # which of these the record keeps, the first being 0
    inside: list[Node | None]  # for each of these None, or a stand-in for a number
    scalars: list[Node]  # the latter
    form: Any = None  # what it was made from, if that was for other sizes too: see families.py
    numbers: tuple[int, ...] = ()  # all sizes in it then


def drawn(result: Any, tensors: list[Tensor], nodes: list[Node]) -> Template | None:
    """The template of a call that gave `result`. None where a further one may be different."""
    alone = isinstance(result, Tensor)
    outs = [result] if alone else result
    if type(outs) not in (list, tuple) or (type(outs) is list and not alone):
        return None
    if not outs or any(type(t) is not Tensor or t._storage.node is None for t in outs):
        return None
    if any(t._storage.version for t in outs):
        return None  # written after it was made, as the product of a vector and a matrix is
    stored = {id(t._storage) for t in (*tensors, *outs)}
    if len(stored) != len({id(t._storage) for t in tensors}) + len(outs):
        return None  # something is given back, or given twice
    fns = {id(m.fn): m.fn for m in (t._meta for t in outs) if m is not None}
    if len(fns) > 1 or any(t._meta is not None and t._meta.base is not None for t in outs):
        return None
    fn = next(iter(fns.values()), None)
    if fns and (not isinstance(fn, GradFn) or not fn.plain or fn.extras):
        return None
    roots = [node for t in outs for node in (t._storage.node, node_of(t))]
    if fn is not None:
        roots += [*(entry[0] for entry in fn.captured), *fn.stops, *fn.in_nodes, *fn.kept]
    index = {node: number for number, node in enumerate(nodes)}
    bases = {t._storage.node for t in tensors if t._view is not None}
    steps = []
    for node in toposort(roots, index.__contains__):
        if node in index:
            continue
        if node.buffer is not None or node.op is BUFFER or node.op in DRAWS or node in bases:
            return None
        if node.op is SCALAR and type(node.value) not in (int, float, bool, Size):
            return None
        index[node] = len(index)
        steps.append(_step(node, index))
    record = None if fn is None else _record_of(fn, tensors, outs, index)
    if fn is not None and record is None:
        return None
    results = tuple(
        (index[t._storage.node], index[node_of(t)], t._view, t._meta is not None) for t in outs
    )
    if any(at < len(nodes) for _, at, _, _ in results):
        return None
    last, scalars = roots[0], list[Node]()
    inside: list[Node | None] = []
    whole = (
        alone
        and outs[0]._view is None
        and last.op.lowering is not Lowering.MOVEMENT  # what is computed lies before it then
        and index[last] == len(index) - 1
        and len(_needed(last, nodes)) == len(index)
    )
    if whole:
        for node in list(index)[len(nodes) : -1]:
            inside.append(number_like(node) if node.op is SCALAR else None)
        scalars += [node for node in inside if node is not None]
    between = range(len(nodes), len(index) - 1) if whole else range(0)
    kept: tuple[int, ...] = ()
    if record is not None:
        kept = tuple(at - len(nodes) for at in record.kept if at in between)
        record = replace(record, kept=tuple(at for at in record.kept if at not in between))
    like = like_of(last) if whole else ()
    return Template(tuple(steps), results, alone, record, whole, like, kept, inside, scalars)


def like_of(last: Node) -> tuple[Any, ...]:
    """What the last node of a whole template is."""
    known = None if any([e.__class__ is Size for e in last.shape]) else about(last)
    return (last.op, last.arg, last.shape, last.dtype, last.device, last.value, known)


def number_like(node: Node) -> Node:
    return Node(SCALAR, (), None, (), node.dtype, node.device, node.value, _NOWHERE)


_NOWHERE = (number_like.__code__, 0)  # a place that is no user's


def _needed(last: Node, given: Sequence[Node]) -> list[Node]:
    return toposort([last], set(given).__contains__)


def _step(node: Node, index: dict[Node, int]) -> tuple[Any, ...]:
    numbers = [index[src] for src in node.srcs]
    single = numbers[0] if len(numbers) == 1 else -1
    take = operator.itemgetter(*numbers) if len(numbers) > 1 else None
    return Node, node.op, single, take, node.arg, node.shape, node.dtype, node.device, node.value


def _record_of(
    fn: GradFn, tensors: list[Tensor], outs: Sequence[Tensor], index: dict[Node, int]
) -> Record | None:
    edges = [edge_of(t) for t in tensors]
    if any(entry[1:] != (entry[0].op, entry[0].srcs, entry[0].arg) for entry in fn.captured):
        return None
    if any(edge is None or edges.count(edge) != 1 for edge in fn.edges):
        return None  # none, or the same one twice: which tensor's it is cannot be said
    places = [(t, number, False) for number, t in enumerate(tensors)]
    places += [(t, number, True) for number, t in enumerate(outs)]
    saved = []
    for stored, *_, node, view, _, _ in fn.saved:
        found = [
            (number, is_result)
            for t, number, is_result in places
            if t._storage is stored and t._view == view and node_of(t) is node
        ]
        if len(found) != 1:
            return None
        saved += found
    metas = [(t._meta, number) for number, t in enumerate(outs)]
    if any(m is not None and (m.fn is not fn or m.nr != number) for m, number in metas):
        return None

    def numbers(nodes: Iterable[Node]) -> tuple[int, ...]:
        return tuple([index[node] for node in nodes])

    return Record(
        type(fn),
        tuple([edges.index(edge) for edge in fn.edges]),
        numbers(fn.in_nodes),
        numbers(fn.out_nodes),
        numbers([entry[0] for entry in fn.captured]),
        numbers(fn.stops),
        numbers(fn.kept),
        tuple(saved),
        fn.reads_values,
        getattr(fn, "inputs", None),
    )
