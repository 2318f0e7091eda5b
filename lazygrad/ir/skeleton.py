"""The identity of a program apart from its sizes: what programs for several batches share.

Owns: the key of a graph with its sizes taken out, and the same graph with traced Sizes in their
place. Must not know: what is planned. Extents of 0 and 1 are part of the skeleton, and so is which
sizes are equal: a batch as large as a layer is wide is another skeleton than other batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, blank
from lazygrad.ir.ops.checks import Check
from lazygrad.ir.ops.core import Op
from lazygrad.ir.sizes import Size, Trace
from lazygrad.ir.structure import Structure
from lazygrad.ir.views import View

LEAST = 2  # smaller extents are none that a plan could do without knowing


def within(arg: Any, of: Callable[[int], Any]) -> Any:
    """An argument that holds sizes, each number of it replaced."""
    kind = arg.__class__
    if kind is tuple:
        return tuple([within(item, of) for item in arg])
    if kind is View:
        parts = (arg.shape, arg.strides, arg.offset, arg.box)
        return View(*(within(part, of) for part in parts))
    if kind is Check:
        return replace(arg, size=within(arg.size, of))
    if arg is None or kind is bool:
        return arg
    return of(int(arg))


def numbers(arg: Any, note: Callable[[Any], Any]) -> None:
    """Call `note` with each number that `within` would replace, in its order."""
    kind = arg.__class__
    if kind is tuple:
        for item in arg:
            numbers(item, note)
    elif kind is View:
        for part in (arg.shape, arg.strides, arg.offset, arg.box):
            numbers(part, note)
    elif kind is Check:
        note(arg.size)
    elif arg is not None and kind is not bool:
        note(arg)


class Names(dict[Any, Any]):
    """What stands for arguments and shapes where their sizes are to be left out: an extent is named
    by when it was first met. Each is worked out once, as the same ones come again and again."""

    def __init__(self) -> None:
        self.sizes: list[int] = []  # different ones, in the order in which they came

    def __missing__(self, item: Any) -> Any:
        kind = item.__class__
        name: Any
        if kind is int:
            name = item
            if item >= LEAST:
                name = LEAST + len(self.sizes)
                self.sizes.append(item)
        elif kind is tuple:
            name = tuple(map(self.__getitem__, item))
        elif kind is View:
            parts = item.shape, item.strides, item.offset, item.box
            name = (View, *map(self.__getitem__, parts))
        else:
            name = within(item, self.__getitem__)
        self[item] = name
        return name


def skeleton(structure: Structure) -> tuple[Any, tuple[int, ...]]:
    """The key without sizes, and the sizes: different ones, in the order in which they come."""
    entries, outputs = structure.key
    names = Names()
    parts: list[Any] = []
    for entry in entries:
        if entry.__class__ is not tuple:  # a number's dtype
            parts.append(entry)
        elif entry[0].__class__ is Op:
            op, arg, dtype, shape, *numbers = entry
            parts.append((op, names[arg] if op.sized else arg, dtype, names[shape], *numbers))
        else:
            parts.append((entry[0], names[entry[1]]))
    return (tuple(parts), outputs), tuple(names.sizes)


def traced(structure: Structure, sizes: tuple[int, ...]) -> tuple[Structure, Trace]:
    """The same graph with Sizes for the sizes of its skeleton."""
    trace = Trace(sizes)
    by_value = dict(zip(sizes, trace.sizes))

    def of(extent: int) -> Any:
        return extent if extent < LEAST else by_value[extent]

    new: dict[Node, Node] = {}
    for node in structure.order:
        made = new[node] = blank(
            node.op, within(node.shape, of), node.dtype, node.device, node.place
        )
        made.buffer, made.value, made.arg = node.buffer, node.value, node.arg
        if node.buffer is None:
            made.srcs = tuple([new[src] for src in node.srcs])
            made.arg = within(node.arg, of) if node.op.sized else node.arg
    leaves, outputs = ([new[n] for n in nodes] for nodes in (structure.leaves, structure.outputs))
    return Structure(structure.key, list(new.values()), leaves, outputs), trace


def settled(item: Any, value_of: Callable[[Size], Any]) -> Any:
    """An argument, each Size in it replaced. Raises TypeError for a kind that might hide one."""
    kind = item.__class__
    if kind is Size:
        return value_of(item)
    if kind is tuple:
        return tuple([settled(one, value_of) for one in item])
    if kind is View:
        parts = (item.shape, item.strides, item.offset, item.box)
        return View(*(settled(part, value_of) for part in parts))
    if kind is Check:
        return replace(item, size=settled(item.size, value_of))
    if kind in _PLAIN:
        return item
    raise TypeError(f"a {kind.__name__} may have sizes in it")


_PLAIN = frozenset({int, float, bool, str, type(None), DType})


def has_sizes(item: Any) -> bool:
    """Whether there is a Size in an argument. Raises TypeError as `settled` does."""
    found: list[Size] = []

    def note(size: Size) -> int:
        found.append(size)
        return 2

    settled(item, note)
    return bool(found)


def concrete(node: Node, value_of: Callable[[Size], int]) -> Node:
    """A node of a traced graph, without its sources, for the sizes that are given."""
    shape = settled(node.shape, value_of)
    made = blank(node.op, shape, node.dtype, node.device, node.place)
    made.arg = settled(node.arg, value_of)
    return made
