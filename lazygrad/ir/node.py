"""The graph: immutable nodes that say what to compute.

Owns: `Node`, the record of one op on other nodes, the place in the user's program it came from,
and walks over graphs that never recurse. Must not know: what any op means (that is the registry's)
or how values are computed. The only thing that ever changes on a node is that its value becomes
known: `buffer` is set once and `srcs` is then dropped, so that a computed node keeps nothing else
alive.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from lazygrad.ir.thread import starts, thread

if TYPE_CHECKING:
    from lazygrad.ir.dtypes import DType
    from lazygrad.ir.ops.core import Op

Shape = tuple[int, ...]
Place = tuple[CodeType, int] | None  # code object and instruction offset: resolved when asked for

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_PACKAGE_LEN = len(_PACKAGE)
# written as a user would: the demo's lines are shown, and the benchmark's cost what a user's do
_USERS = (_PACKAGE + "cli" + os.sep, _PACKAGE + "bench" + os.sep)
_INTERNAL: dict[str, bool] = {functools.__file__: True}  # named cache: is this file ours?
_OURS = {functools.__file__}  # those that are; what functools calls, somebody further out asked for


# `override.place`: backward records its nodes under the line of the forward op, set for the while
override = thread
starts(lambda now: now.update(place=None))


def user_place(depth: int = 2) -> Place:
    """The innermost frame outside lazygrad, as (code, instruction offset)."""
    place: Place = override.place
    return innermost_place(depth + 1) if place is None else place


def innermost_place(depth: int = 2) -> Place:
    """The same, whatever place is set."""
    frame: Any = sys._getframe(depth)
    internal = _OURS
    try:
        while True:  # a name's hash is known, a code object's is worked out each time
            while frame.f_code.co_filename in internal:
                frame = frame.f_back
            code = frame.f_code
            if _INTERNAL.get(code.co_filename) is False or not _is_ours(code.co_filename):
                return (code, frame.f_lasti)
    except AttributeError:  # there is no further frame
        return None


def _is_ours(name: str) -> bool:
    ours = _INTERNAL.get(name)
    if ours is None:
        ours = _INTERNAL[name] = name[:_PACKAGE_LEN] == _PACKAGE and not name.startswith(_USERS)
        if ours:
            _OURS.add(name)
    return ours


def place_line(place: Place) -> tuple[str, int] | None:
    """(file name, line number) of a place."""
    if place is None:
        return None
    code, offset = place
    line = code.co_firstlineno
    for start, stop, number in code.co_lines():
        if start <= offset < stop and number is not None:
            line = number
            break
    return code.co_filename, line


def place_text(place: Place) -> str:
    """`train.py:31`, or "" where no user frame was on the stack."""
    found = place_line(place)
    return "" if found is None else f"{Path(found[0]).name}:{found[1]}"


class Node:
    """One op applied to other nodes: its shape, dtype and device are known, its value is not.

    `arg` holds what is part of the program's structure (axes, a target dtype, a literal);
    `value` is a run-time scalar or the host object behind an external leaf, which is not.
    `saves` counts the live autograd records whose gradient will read this node's value; `holder`
    is a weak reference to the storage whose current value it is, if it is one's. `about` is not
    set before somebody asks (see `About`).
    """

    __slots__ = (
        "__weakref__",
        "about",
        "arg",
        "buffer",
        "device",
        "dtype",
        "holder",
        "op",
        "place",
        "saves",
        "shape",
        "srcs",
        "value",
    )

    about: About

    def __init__(
        self,
        op: Op,
        srcs: tuple[Node, ...],
        arg: Any,
        shape: Shape,
        dtype: DType,
        device: str,
        value: Any = None,
        place: Place = None,
    ):
        self.op = op
        self.srcs = srcs
        self.arg = arg
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.value = value
        self.place = user_place() if place is None else place
        self.buffer: Any = None
        self.saves = 0
        self.holder: Any = None

    @property
    def numel(self) -> int:
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        dims = ",".join(map(str, self.shape))
        return f"<{self.op.name} {self.dtype.short}[{dims}] {place_text(self.place)}>"


class About:
    """What a value is to whoever reads it: dtype, shape, device, and of a pending one its op. There
    is one for each, so that keys are made of these and not of what they stand for."""

    __slots__ = ("computed", "is_needing", "key", "needing")

    key: tuple[Any, ...]  # dtype, shape, device, op
    is_needing: bool
    computed: About  # of the same value once it is known
    needing: About  # of the same value where a gradient flows to it


_abouts: dict[Any, About] = {}  # named cache
_MOST_ABOUTS = 1 << 16


def about(node: Node) -> About:
    """What is known of a node; it is kept there, and right whether or not it is computed."""
    op = None if node.buffer is not None else node.op
    made = node.about = _about((node.dtype, node.shape, node.device, op))
    return made


def _about(key: tuple[Any, ...]) -> About:
    found = _abouts.get(key)
    if found is None:
        if len(_abouts) >= _MOST_ABOUTS:
            _abouts.clear()
        found = _abouts[key] = About()
        found.needing = About()
        found.key = found.needing.key = key
        found.is_needing, found.needing.is_needing = False, True
        found.computed = found if key[3] is None else _about((*key[:3], None))
    return found


_new = object.__new__
# how a node is made in a table of nodes: its class, op, number of its single source, or what picks
# several, and its other fields
Step = tuple[type, Any, int, Callable[[Any], tuple[Any, ...]] | None, Any, Shape, Any, str, Any]


def sources(step: Step, table: list[Node]) -> tuple[Node, ...]:
    _, _, single, take, *_ = step
    if take is not None:
        return take(table)
    return () if single < 0 else (table[single],)


def draw(steps: Sequence[Step], table: list[Node], place: Place) -> None:
    """Make the nodes of a template at the end of the table."""
    append = table.append
    for _, op, single, take, arg, shape, dtype, device, value in steps:
        node = _new(Node)
        node.op = op
        if take is None:
            node.srcs = () if single < 0 else (table[single],)
        else:
            node.srcs = take(table)
        node.arg = arg
        node.shape = shape
        node.dtype = dtype
        node.device = device
        node.value = value
        node.place = place
        node.buffer = node.holder = None
        node.saves = 0
        append(node)


class Member(Node):
    """The result of several nodes of one template. These are made when its `srcs` are asked for:
    most often nobody does, as a program for all of them is known."""

    __slots__ = ("block",)

    block: Block | None  # None once the value is known

    def __getattr__(self, name: str) -> Any:
        if name != "srcs" or self.block is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        block = self.block
        self.srcs = sources(block.template.steps[-1], [*block.given, *block.drawn()])
        return self.srcs


class Block:
    """The nodes of one template: what they are computed from, and `inside` what was made of it, if
    it has been: all for a template that is not `whole`, and else all but the last."""

    __slots__ = ("given", "inside", "keeper", "place", "template")

    keeper: Any  # weak reference to the record, if it keeps nodes that are not made yet

    def __init__(
        self, template: Any, given: list[Node], place: Place, inside: list[Node] | None = None
    ):
        self.template = template
        self.given = given
        self.place = place
        self.inside = inside
        self.keeper = None

    def drawn(self) -> list[Node]:
        with _drawing:
            if self.inside is None:
                table = [*self.given]
                draw(self.template.steps[:-1], table, self.place)
                self.inside = table[len(self.given) :]
                keeper = self.keeper and self.keeper()
                if keeper is not None and keeper.block is self:  # it has not been released
                    keeper.keep_also([self.inside[at] for at in self.template.kept])
            return self.inside


_drawing = threading.Lock()


def computed(node: Node, buffer: Any) -> None:
    """The value of a node has become known."""
    node.buffer = buffer
    node.srcs = ()
    if node.__class__ is Member:
        node.block = None  # type: ignore[attr-defined]


def blank(op: Op, shape: Shape, dtype: DType, device: str, place: Place) -> Node:
    """A node that says of a value what it is, and not where it comes from."""
    node = _new(Node)
    node.op, node.srcs, node.arg, node.value = op, (), None, None
    node.shape, node.dtype, node.device, node.place = shape, dtype, device, place
    node.buffer = node.holder = None
    node.saves = 0
    return node


def stand_in(op: Op, like: Node) -> Node:
    """A node of the same shape, dtype and line, without sources."""
    return blank(op, like.shape, like.dtype, like.device, like.place)


def toposort(outputs: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """All nodes that `outputs` need, sources first; nodes where `stop` holds have no sources.

    Nodes whose value is known are leaves. Keeps its own stack: a chain of any length works.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Any] = list(outputs)[::-1]
    while stack:
        item = stack.pop()
        if type(item) is tuple:
            order.append(item[0])
            continue
        node: Node = item
        if node in seen:
            continue
        seen.add(node)
        if node.srcs and node.buffer is None and not (stop is not None and stop(node)):
            stack.append((node,))
            for src in reversed(node.srcs):
                if src not in seen:
                    stack.append(src)
        else:
            order.append(node)
    return order
