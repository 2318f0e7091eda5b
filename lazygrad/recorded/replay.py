"""Entries: what a recorded function needs to run again, and how it does.

Owns: where the memory of a replay comes from and goes to, the checks before it, the fresh tensors
after it. Must not know: how a function is recorded, or how a backend runs a program (a program's
`replay()` does).
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.picking import picker
from lazygrad.realize import realize_nodes
from lazygrad.recorded.record import state_of
from lazygrad.recorded.watch import Guard
from lazygrad.runtime.device import device as opened
from lazygrad.runtime.memory import Buffer
from lazygrad.runtime.stats import stats
from lazygrad.tensor.core import Meta, Tensor
from lazygrad.tensor.storage import Storage

MISS = object()  # an entry does not fit the call
_address_of = operator.attrgetter("node.buffer.address")
_new_tensor = object.__new__


# -- results ------------------------------------------------------------------------------------
class Value:
    """One value that a replay computes. Its memory serves again when nobody else has it, and so
    does the tensor that had it, if there was one."""

    __slots__ = (
        "allocate", "device", "dtype", "nbytes", "node", "shape", "spare", "tensor", "written"
    )  # fmt: skip

    def __init__(self, shape: Shape, dtype: DType, device: str, nbytes: int):
        self.shape, self.dtype, self.device, self.nbytes = shape, dtype, device, nbytes
        self.allocate = opened(device).allocate
        self.spare: list[tuple[Node, Tensor | None]] = []
        self.node: Any = None  # that of this replay
        self.tensor: Tensor | None = None  # on it already, and free
        self.written = False  # to a storage or `.grad`: in use until the next one is

    def take(self) -> Buffer:
        """Memory for this replay's value."""
        self.node = None  # the last one is not in use by being the last
        for node, tensor in self.spare:  # the same one each time, unless somebody still has it
            # the tuple, the name, the argument of getrefcount; of the buffer: node and argument
            if tensor is None:
                free = getrefcount(node) <= 3
            else:
                free = getrefcount(tensor) <= 3 and getrefcount(node) <= 4 and _is_untouched(tensor)
            if free and getrefcount(node.buffer) <= 2:
                self.node, self.tensor = node, tensor
                if self.written:
                    self.spare = self.spare[::-1]  # the other one is free the next time
                return node.buffer  # type: ignore[no-any-return]
        buffer = self.allocate(self.nbytes)
        node = self.node = ops.buffer_leaf(buffer, self.shape, self.dtype, self.device)
        node.place = None
        self.tensor = None
        self.spare = [*self.spare[-1:], (node, None)]
        return buffer

    def keep(self, tensor: Tensor) -> None:
        """Give this tensor again when it is free."""
        self.spare = [(n, tensor if n is self.node else t) for n, t in self.spare]


def _is_untouched(tensor: Tensor) -> bool:
    """Whether a tensor that nobody has is as it was made."""
    stored = tensor._storage
    return (
        getrefcount(stored) <= 3
        and getweakrefcount(tensor) == 0
        and tensor._meta is None
        and stored.shared is None
        and not (stored.version or stored.loose or stored.exports or tensor.__dict__)
    )


class Given:
    """A value in memory that is another's too: a leaf's, a constant's, or another result's."""

    __slots__ = ("index", "node")

    def __init__(self, index: int, node: Node):
        self.index = index
        self.node = ops.buffer_leaf(None, node.shape, node.dtype, node.device)

    def at(self, table: Sequence[Buffer]) -> Node:
        like = self.node
        return ops.buffer_leaf(table[self.index], like.shape, like.dtype, like.device)


class Made:
    """A new tensor on a new storage: its class, view, and what autograd knows of it."""

    __slots__ = ("kind", "meta", "value", "version", "view")

    def __init__(self, value: Value | Given, version: int, like: Tensor):
        self.value = value
        self.version = version
        self.kind, self.view, self.meta = type(like), like._view, like._meta

    def build(self, table: Sequence[Buffer]) -> Tensor:
        value = self.value
        if type(value) is not Value:
            return self._new(value.at(table))  # type: ignore[union-attr]
        if value.tensor is not None:
            made, value.tensor = value.tensor, None
            return made
        made = self._new(value.node)
        if self.meta is None and not self.version and type(made) is Tensor:
            value.keep(made)
        return made

    def _new(self, node: Node) -> Tensor:
        made: Tensor = _new_tensor(self.kind)
        stored = made._storage = Storage(node)
        stored.version = self.version
        made._view = self.view
        made._cached = None  # type: ignore[assignment]
        made._meta = None
        meta = self.meta
        if meta is not None:
            fresh = made._meta = Meta()
            fresh.requires_grad, fresh.fn, fresh.nr = meta.requires_grad, meta.fn, meta.nr
            fresh.creation = meta.creation
        return made


# -- entries ------------------------------------------------------------------------------------
@dataclass
class Write:
    """A storage that was there before has a new value."""

    source: int
    value: Value | Given
    versions: int
    loose: int
    holder: Any  # a weak reference to the storage it was recorded for


@dataclass
class Part:
    """One program: which buffers of the table it takes and gives."""

    replay: Any
    pick: Callable[[Sequence[Any]], Sequence[Any]]
    scalars: int  # position of its scalars among the numbers, or -1


@dataclass
class Sources:
    """Where the storages that a recording read or wrote are found, and what must hold there."""

    arguments: list[int]  # positions among the call's tensors
    fixed: list[Storage]
    grads: list[Meta]  # of tensors whose `.grad` it is
    grad_like: list[tuple[Any, Shape, DType]]
    tensors: list[Tensor]  # watched: they stay on these storages, with these views and flags
    storages: list[Storage]
    views: list[Any]
    metas: list[Meta | None]
    states: list[Any]  # of those metas that are not None
    without: list[bool]  # and whether their `.grad` is None

    def __post_init__(self) -> None:
        self.known = [meta for meta in self.metas if meta is not None]
        self.pick = picker(self.arguments)

    def find(self, given: Sequence[Storage]) -> Sequence[Storage] | None:
        """The storages of a call with arguments on these; None if something is not as it was."""
        tensors = self.tensors
        if tensors and (
            [t._storage for t in tensors] != self.storages
            or [t._view for t in tensors] != self.views
            or [t._meta for t in tensors] != self.metas
            or list(map(state_of, self.known)) != self.states
            or [m.grad is None for m in self.known] != self.without
        ):
            return None
        if not self.fixed and not self.grads:  # which arguments are one storage is in the key
            return self.pick(given)
        found = [*self.pick(given), *self.fixed]
        for meta, like in zip(self.grads, self.grad_like):
            grad = meta.grad
            assert grad is not None
            stored = grad._storage
            if (grad._view, stored.shape, stored.dtype) != like or grad._meta is not None:
                return None
            found.append(stored)
        return found if len(set(map(id, found))) == len(found) else None


class Entry:
    """A recorded function, for calls that look like the one it was recorded from."""

    def __init__(self) -> None:
        self.guard: Guard
        self.sources: Sources
        self.numbers: Callable[..., tuple[Any, ...] | None]
        self.parts: list[Part] = []
        self.fixed: list[int] = []  # addresses of constants and of values between programs
        self.keep: list[Any] = []  # their buffers, and all whose identity is compared
        self.values: list[Value] = []
        self.given: list[Buffer] = []  # constants, by position after the sources
        self.writes: list[Write] = []
        self.grads: list[tuple[Any, Made | None]] = []  # (meta or argument number, the gradient)
        self.stores: list[tuple[Any, Any, int]] = []  # (container, key, number)
        self.results: list[Made] = []
        self.build: Callable[..., Any]
        self.kernels = 0
        self.needs_given = False
        self._lock = threading.Lock()

    def replay(
        self, tensors: Sequence[Tensor], given: Sequence[Storage], numbers: Sequence[Any]
    ) -> Any:
        """The result of the function for this call with tensors on these storages, or MISS."""
        found = self.numbers(*numbers)
        if found is None or not self.guard.holds():
            return MISS
        storages = self.sources.find(given)
        if storages is None or not self._lock.acquire(False):
            return MISS
        try:
            return self._replay(tensors, storages, found)
        finally:
            self._lock.release()

    def _replay(
        self, tensors: Sequence[Tensor], storages: Sequence[Storage], numbers: tuple[Any, ...]
    ) -> Any:
        try:
            table = list(map(_address_of, storages))
        except AttributeError:  # memory that numpy shares, or a value not computed yet
            table = [b.address for b in _buffers(storages)]
        table += self.fixed
        for value in self.values:
            table.append(value.take().address)
        for part in self.parts:
            if part.scalars >= 0:
                part.replay.set_scalars(numbers[part.scalars])
            part.replay.run(part.pick(table))
        stats.realizes += len(self.parts)
        stats.kernels += self.kernels
        given: Sequence[Buffer] = ()
        if self.needs_given:
            given = [*_buffers(storages), *self.given, *(v.node.buffer for v in self.values)]
        for write in self.writes:
            _write(write, storages[write.source], given)
        for container, key, number in self.stores:
            container[key] = numbers[number]
        for where, made in self.grads:
            meta = where if type(where) is Meta else tensors[where]._meta
            meta.grad = None if made is None else made.build(given)
        return self.build(tensors, [made.build(given) for made in self.results], numbers)


def _buffers(storages: Sequence[Storage]) -> list[Buffer]:
    """The memory of storages' values, computed if need be."""
    pending = [s.node for s in storages if s.node is not None and s.node.buffer is None]
    realize_nodes(pending)
    return [s.shared.buffer if s.node is None else s.node.buffer for s in storages]  # type: ignore[union-attr]


def _write(write: Write, stored: Storage, given: Sequence[Buffer]) -> None:
    value = write.value
    node = value.node if type(value) is Value else value.at(given)  # type: ignore[union-attr]
    if stored.node is None:
        assert stored.shared is not None
        if node.numel:
            stored.shared.buffer.assign(node.buffer)
    else:
        stored.node = node
        holder = write.holder
        node.holder = holder if holder() is stored else weakref.ref(stored)
    stored.version += write.versions
    stored.loose += write.loose
