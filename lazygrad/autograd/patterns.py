"""Backward passes that come again and again, known by a look at each of their records.

Owns: the pattern of a pass all of whose records are made from templates: which record leads to
which, what each reads, and what has to hold for the pass to be the same as one that `repeats.py`
knows; and how such a pass is run. Must not know: any op, or what makes two passes alike in
general. A pass that fits no pattern is looked at by `repeats.py`, which also makes the patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.autograd.graph import AccumulateGrad
from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.ir.node import Node, about, blank, computed
from lazygrad.realize import run_known, watched
from lazygrad.runtime.device import HOST

FAILURES = (IndexError, MemoryError, RuntimeError, ValueError)  # what a program may raise


@dataclass(frozen=True, slots=True)
class Record:
    """What one record of a pass is. Records are numbered by age, the youngest first, then leaves;
    values are the result of each record, then what was in memory, in the order they are met."""

    template: Any
    kind: Any  # its class
    edges: tuple[tuple[int, int], ...]  # the number of what each leads to, of which output
    given: tuple[int, ...]  # the values that it was computed from
    saves: int  # how often its result is kept, all by records of this pass
    held: bool  # whether a tensor still has its result


@dataclass(frozen=True, slots=True)
class Gradient:
    """What a leaf gets: an output of the program, a node like it, the value whose line it has."""

    output: int
    like: Node
    place: int  # -1: none


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    records: tuple[Record, ...]
    leaves: int
    values: int
    program: Any
    nodes: int  # of the graph that it computes
    inputs: tuple[Any, ...]  # of the program: the number of a value, or a node with a number
    outputs: tuple[tuple[int, int], ...]  # value, and which output it is
    gradients: tuple[Gradient, ...]  # of each leaf


LIMIT, EACH = 1024, 4  # results that patterns are kept of, and how many of each
_patterns: dict[Any, list[Pattern]] = {}  # named cache: by the template of the root


def run(root: Any) -> bool:
    """Run `root.backward()`, if it is a pass that is known. If not, nothing has happened."""
    meta = getattr(root, "_meta", None)
    if meta is None or meta.base is not None or root._view is not None or meta.nr:
        return False
    block = getattr(meta.fn, "block", None)
    if block is None:
        return False
    known = _patterns.get(block.template)
    if known is None or mode.anomaly or tensors.storage.reads or watched():
        return False
    for pattern in known:
        found = _matched(pattern, meta.fn)
        if found is not None and found[1][0] is root._storage.node:
            return _run(pattern, *found)
    return False


def _matched(pattern: Pattern, root: Any) -> tuple[list[Any], list[Any]] | None:
    """The records and leaves of a pass from this record, and its values. None if it is another."""
    records = pattern.records
    found: list[Any] = [None] * (len(records) + pattern.leaves)
    values: list[Any] = [None] * pattern.values
    found[0] = root
    at, age = 0, root.seq + 1
    for record in records:
        fn: Any = found[at]
        block = fn.block
        if (
            block is None
            or block.template is not record.template
            or type(fn) is not record.kind
            or fn.extras is not None
            or block.inside is not None
            or fn.seq >= age
        ):
            return None
        age = fn.seq
        made = fn.made
        if values[at] is not made:
            if values[at] is not None:
                return None
            values[at] = made
        if (
            made.buffer is not None
            or made.saves != record.saves
            or (made.holder() is not None) is not record.held
        ):
            return None
        for stored, _, writes, _, _, _, _, counter, _ in fn.saved:
            if (
                stored.version + stored.loose + stored.exports != writes
                or counter is not None
                or stored.shared is not None
            ):
                return None
        for (number, nr), edge in zip(record.edges, fn.edges):
            follower = edge[0]
            if found[number] is not follower:
                if found[number] is not None:
                    return None
                found[number] = follower
            if edge[1] != nr:
                return None
        for number, node in zip(record.given, block.given):
            if values[number] is not node:
                if values[number] is not None:
                    return None
                values[number] = node
        at += 1
    for leaf in found[at:]:
        if leaf.__class__ is not AccumulateGrad or leaf.extras is not None:
            return None
        meta = leaf.variable._meta
        if (
            meta is None
            or meta.grad is not None
            or not meta.requires_grad
            or meta.hooks
            or meta.post_hooks
        ):
            return None
    if len(set(found)) != len(found) or len(set(values)) != len(values):
        return None
    if None in [node.buffer for node in values[at:]]:
        return None
    return found, values


def _run(pattern: Pattern, found: list[Any], values: list[Any]) -> bool:
    leaves = [values[at] if at.__class__ is int else at for at in pattern.inputs]
    try:
        buffers = run_known(pattern.program, leaves, pattern.nodes)
    except FAILURES:  # the pass that is recorded says so, with its line
        return False
    for at, output in pattern.outputs:
        computed(values[at], buffers[output])
    count = len(pattern.records)
    fresh, now = tensors.core.fresh, mode.__dict__
    for fn, gradient in zip(found[count:], pattern.gradients):
        like, at = gradient.like, gradient.place
        place = None if at < 0 else values[at].place
        node = blank(like.op, like.shape, like.dtype, like.device, place)
        node.buffer = buffers[gradient.output]
        node.about = like.about
        fn.variable._meta.grad = fresh(node, now)
    for fn in found[:count]:
        fn.release()
    return True


def learn(root: Any, fns: Sequence[Any], leaves: Sequence[Any], nodes: Any, known: Any) -> None:
    """Keep the pattern of a pass from one scalar to its leaves, if it has one, before it runs.

    `nodes` are its values, numbered as `known` numbers them.
    """
    if known.sites and root._storage.device != HOST:
        return  # whose errors come later, with lines that a pattern does not keep
    pattern = _pattern(root, fns, leaves, nodes, known)
    if pattern is None:
        return
    if len(_patterns) >= LIMIT:
        _patterns.clear()
    have = _patterns.setdefault(pattern.records[0].template, [])
    have[:] = [pattern, *have[: EACH - 1]]


def _pattern(
    root: Any, fns: Sequence[Any], leaves: Sequence[Any], nodes: Any, known: Any
) -> Pattern | None:
    if any(fn.block is None or fn.extras is not None or fn.made is None for fn in fns):
        return None
    if any(entry[7] is not None for fn in fns for entry in fn.saved):
        return None  # versions that are counted by a tensor alone
    if any(fn.made.buffer is not None or fn.block.inside is not None for fn in fns):
        return None
    if root._storage.node is not fns[0].made or root._meta.fn is not fns[0]:
        return None
    number = {fn: at for at, fn in enumerate([*fns, *leaves])}
    index = {fn.made: at for at, fn in enumerate(fns)}
    if len(index) != len(fns):
        return None
    kept = [node for fn in fns for node in fn.kept]
    records = []
    for fn in fns:
        for node in fn.block.given:
            if node not in index:
                if node.buffer is None:
                    return None  # computed from values that no record of the pass has made
                index[node] = len(index)
        made = fn.made
        held = made.holder is not None and made.holder() is not None
        if made.holder is None or made.saves != kept.count(made):
            return None  # another record reads it
        edges = tuple([(number[to], nr) for to, nr in fn.edges])
        given = tuple([index[node] for node in fn.block.given])
        records.append(Record(fn.block.template, type(fn), edges, given, made.saves, held))
    order = nodes.order
    inputs: list[Any] = []
    for at in known.leaves:
        node = order[at]
        inputs.append(index.get(node, node))
        if node not in index and (node is None or node.buffer is not None):
            return None
    outputs = [(index.get(order[at], -1), output) for at, output in known.outputs]
    gradients = []
    for result in known.results:
        place = index.get(order[result.place], -1) if result.place >= 0 else -1
        if result.number >= 0 or (result.place >= 0 and place < 0):
            return None
        about(result.like)
        gradients.append(Gradient(result.output, result.like, place))
    if any(at < 0 for at, _ in outputs) or len({g.output for g in gradients}) != len(gradients):
        return None
    return Pattern(
        tuple(records),
        len(leaves),
        len(index),
        known.program,
        len(order),
        tuple(inputs),
        tuple(outputs),
        tuple(gradients),
    )
