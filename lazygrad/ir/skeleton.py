"""The identity of a program apart from its sizes: what programs for several batches share.

Owns: the key of a graph with its sizes taken out, and the same graph with traced Sizes in their
place. Must not know: what is planned. Extents of 0 and 1 are part of the skeleton, and so is which
sizes are equal: a batch as large as a layer is wide is another skeleton than other batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lazygrad.ir.node import Node, blank
from lazygrad.ir.ops.checks import Check
from lazygrad.ir.ops.core import Op
from lazygrad.ir.sizes import Size, Trace
from lazygrad.ir.structure import Structure
from lazygrad.ir.views import View

LEAST = 2  # smaller extents are none that a plan could do without knowing


def _within(arg: Any, of: Callable[[int], Any]) -> Any:
    """An argument that holds sizes, each of them replaced."""
    kind = arg.__class__
    if kind is tuple:
        return tuple([_within(item, of) for item in arg])
    if kind is View:
        parts = (arg.shape, arg.strides, arg.offset, arg.box)
        return View(*(_within(part, of) for part in parts))
    if kind is Check:
        return replace(arg, size=_within(arg.size, of))
    if arg is None or kind is bool:
        return arg
    return of(int(arg))


def skeleton(structure: Structure) -> tuple[Any, tuple[int, ...]]:
    """The key without sizes, and the sizes: different ones, in the order in which they come."""
    entries, outputs = structure.key
    seen: dict[int, int] = {}
    known: dict[Any, Any] = {}  # shapes come again and again

    def of(extent: int) -> int:
        return extent if extent < LEAST else LEAST + seen.setdefault(extent, len(seen))

    def mapped(arg: Any) -> Any:
        found = known.get(arg)
        if found is None:
            found = known[arg] = _within(arg, of)
        return found

    parts: list[Any] = []
    for entry in entries:
        if entry.__class__ is not tuple:  # a number's dtype
            parts.append(entry)
        elif entry[0].__class__ is Op:
            op, arg, dtype, shape, *numbers = entry
            parts.append((op, mapped(arg) if op.sized else arg, dtype, mapped(shape), *numbers))
        else:
            parts.append((entry[0], mapped(entry[1])))
    return (tuple(parts), outputs), tuple(seen)


def traced(structure: Structure, sizes: tuple[int, ...]) -> tuple[Structure, Trace]:
    """The same graph with Sizes for the sizes of its skeleton."""
    trace = Trace(sizes)
    by_value = dict(zip(sizes, trace.sizes))

    def of(extent: int) -> Any:
        return extent if extent < LEAST else by_value[extent]

    new: dict[Node, Node] = {}
    for node in structure.order:
        made = new[node] = blank(
            node.op, _within(node.shape, of), node.dtype, node.device, node.place
        )
        made.buffer, made.value, made.arg = node.buffer, node.value, node.arg
        if node.buffer is None:
            made.srcs = tuple([new[src] for src in node.srcs])
            made.arg = _within(node.arg, of) if node.op.sized else node.arg
    leaves, outputs = ([new[n] for n in nodes] for nodes in (structure.leaves, structure.outputs))
    return Structure(structure.key, list(new.values()), leaves, outputs), trace


def concrete(node: Node, value_of: Callable[[Size], int]) -> Node:
    """A node of a traced graph, without its sources, for the sizes that are given."""

    def of(item: Any) -> Any:
        if item.__class__ is tuple:
            return tuple([of(one) for one in item])
        if item.__class__ is View:
            return View(of(item.shape), of(item.strides), of(item.offset), of(item.box))
        return value_of(item) if item.__class__ is Size else item

    made = blank(node.op, of(node.shape), node.dtype, node.device, node.place)
    made.arg = of(node.arg)
    return made
