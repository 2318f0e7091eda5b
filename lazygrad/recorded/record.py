"""Recording: a function runs once, and what it did to tensors and numbers is written down.

Owns: the run itself (nothing is computed before its end, numbers are traced, the memory of numpy
arrays is seen as it was), and the reasons for which it cannot be replayed. Must not know: how
entries are found or replayed. A recording is a true run: its effects and results are what they
are without it, whether or not it can be replayed.
"""

from __future__ import annotations

import gc
import operator
import random
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lazygrad.autograd import graph
from lazygrad.autograd.graph import AccumulateGrad, BaseFn, GradFn
from lazygrad.ir.node import Node, place_text, user_place
from lazygrad.ir.traced import Tape, Traced, plain
from lazygrad.realize import realize_nodes, traces
from lazygrad.recorded.watch import NUMBERS, Box, Watched
from lazygrad.tensor import storage as memory
from lazygrad.tensor.core import Meta, Tensor
from lazygrad.tensor.storage import Storage

lock = threading.RLock()  # held while anything is recorded


class Stop(RuntimeError):
    """With `fullgraph=True`: a function does what cannot be replayed."""


class Before:
    """What a tensor was when the recording began."""

    __slots__ = ("flags", "grad", "meta", "name", "storage", "tensor", "view")

    def __init__(self, name: str, t: Tensor):
        self.name = name
        self.tensor = t
        self.storage, self.view, self.meta = t._storage, t._view, t._meta
        self.grad = None if t._meta is None else t._meta.grad
        self.flags = flags_of(t._meta)


# what of a tensor's autograd state decides what is recorded, apart from its gradient
state_of = operator.attrgetter("requires_grad", "fn", "hooks", "post_hooks")


def flags_of(meta: Meta | None) -> Any:
    """`state_of`, or None for a tensor without any."""
    return None if meta is None else state_of(meta)


class Recording:
    """One run of a function. `traces` calls the methods in the middle while it runs."""

    def __init__(self, watched: Watched, arguments: list[Tensor], full: bool):
        self.watched = watched
        self.full = full
        self.tape = Tape()
        self.reason = ""  # why it cannot be replayed
        self.final = False  # and whether another try is in vain
        self.tensors: dict[int, Before] = {}
        for number, t in enumerate(arguments):
            self.tensors.setdefault(id(t), Before(f"argument {number}", t))
        for name, t in watched.tensors.values():
            self.tensors.setdefault(id(t), Before(name, t))
        self.storages: dict[Storage, tuple[Node, int, int]] = {}  # node, version, loose writes
        self.shared: list[tuple[Storage, Any]] = []
        self.new: list[Any] = []  # weak references to storages made
        self.foreign: list[Storage] = []  # written, but not reachable
        self.inputs: list[tuple[Box, Any, Traced]] = []
        self._thread = threading.get_ident()
        self._first = next(graph._sequence)
        self._random = self._random_states()

    # -- before and after -----------------------------------------------------------------------
    def begin(self, inputs: set[tuple[int, Any]]) -> None:
        """Take everything as it is; numbers at the places `inputs` become traced."""
        for before in list(self.tensors.values()):
            self._note(before.storage)
            if before.grad is not None:
                self._note(before.grad._storage)
        realize_nodes([node for node, _, _ in self.storages.values() if node.buffer is None])
        for box in self.watched.boxes:
            for key, value in zip(box.keys, box.values):
                if type(value) in NUMBERS and box.at(key) in inputs:
                    traced = self.tape.read(box.container, key)
                    box.container[key] = traced
                    self.inputs.append((box, key, traced))
        traces.append(self)
        self.share()

    def _note(self, stored: Storage) -> None:
        if stored in self.storages:
            return
        node = stored.node
        if node is None:  # shared memory: what it holds now, for as long as this lasts
            shared = stored.shared
            assert shared is not None
            copy = shared.buffer.clone()
            node = memory.ops.buffer_leaf(copy, shared.shape, shared.dtype, shared.device)
            self.shared.append((stored, shared))
        self.storages[stored] = (node, stored.version, stored.loose)

    def share(self) -> None:
        """For the time of the run, shared memory is a value as any other."""
        for stored, _ in self.shared:
            stored.shared, stored.node = None, self.storages[stored][0]

    def close(self) -> None:
        """The run is over: numbers at watched places are plain again."""
        self.tape.is_open = False
        if self in traces:
            traces.remove(self)
        for box, key, _ in self.inputs:
            keys, values = box.now()
            if key in keys:
                box.container[key] = plain(values[keys.index(key)])

    def restore(self) -> None:
        """Shared memory is shared again, and has what was written to it."""
        for stored, shared in self.shared:
            node, stored.node, stored.shared = stored.node, None, shared
            if node is not self.storages[stored][0] and node is not None:
                memory.write(stored, node)
        self.shared = []

    def stop(self, reason: str, final: bool = False) -> None:
        """From here on the function runs as without jit."""
        self.refuse(reason, final)
        self.close()
        self.restore()

    def refuse(self, reason: str, final: bool = False) -> None:
        """Note why this cannot be replayed, the first time."""
        if not self.reason:
            self.reason, self.final = reason, final

    # -- what happens meanwhile -----------------------------------------------------------------
    def is_mine(self) -> bool:
        return threading.get_ident() == self._thread

    def made(self, stored: Storage) -> None:
        if self.is_mine():
            self.new.append(weakref.ref(stored))

    def wrote(self, stored: Storage) -> None:
        if self.is_mine() and stored not in self.storages:
            self.foreign.append(stored)

    def value_read(self, what: str) -> None:
        if not self.is_mine():
            return
        line = place_text(user_place())
        reason = f"{line + ' needs' if line else 'it needs'} {what}"
        self.stop(reason)
        if self.full:
            raise Stop(f"{reason}: that cannot be replayed. Return the tensor, and read it outside")

    def backward_over(self, records: Iterable[BaseFn]) -> None:
        """A backward pass will run these records."""
        if not self.is_mine():
            return
        for fn in records:
            if fn.packs:
                self.refuse("hooks pack what its operations save")
            if isinstance(fn, AccumulateGrad):
                t = fn.variable
                if id(t) not in self.tensors and t._storage not in self.alive():
                    self.refuse("it computes the gradient of a tensor that it cannot reach by name")
            elif fn.seq < self._first:
                self.refuse("its backward runs through operations that came before it")

    def alive(self) -> set[Any]:
        """Storages that were made here and still are."""
        return {reference() for reference in self.new} - {None}

    def _random_states(self) -> list[Any]:
        states: list[Any] = [random.getstate(), _comparable(np.random.get_state(legacy=False))]
        for generator in self.watched.generators:
            if isinstance(generator, random.Random):
                states.append(generator.getstate())
            elif isinstance(generator, np.random.Generator):
                states.append(_comparable(generator.bit_generator.state))
            else:
                states.append(_comparable(generator.get_state(legacy=False)))
        return states

    # -- what has happened ----------------------------------------------------------------------
    def check(self) -> None:
        """Refuse for whatever the function has done that a replay would not do."""
        if self._random_states() != self._random:
            self.refuse("it draws random numbers that are not lazygrad's", True)
        for before in self.tensors.values():
            t = before.tensor
            if t._storage is not before.storage or t._view is not before.view:
                self.refuse(f"it gives `{before.name}` other memory")
            if flags_of(t._meta) != before.flags and flags_of(t._meta) != (False, None, None, None):
                self.refuse(f"it changes how gradients flow through `{before.name}`")
        if not self.alive().issuperset(self.foreign):
            self.refuse("it writes to a tensor that it cannot reach by name")

    def gradients(self) -> list[tuple[Before, Any]]:
        """Tensors whose `.grad` is another one than before."""
        found = []
        for before in self.tensors.values():
            meta = before.tensor._meta
            grad = None if meta is None else meta.grad
            if grad is not before.grad:
                if grad is not None and grad._meta is not None:
                    self.refuse(f"the gradient of `{before.name}` has a history")
                found.append((before, grad))
        return found

    def numbers(self) -> list[tuple[Any, Any, Any]]:
        """(container, key, value) of what the function has written, the values traced."""
        stores = []
        for box, key, traced in self.inputs:
            value = box.container[key]
            if value is not traced:
                stores.append((box.container, key, value))
        for name, container, key, old in self.watched.unwatched:
            value = container.get(key)
            if value is not old:
                if not _is_data(value):
                    self.refuse(f"it changes `{name}`")
                stores.append((container, key, value))
                container[key] = plain(value)
        return stores

    def changes(self) -> list[tuple[int, Any]]:
        """Numbers that the function has changed and that were not known to change: with these as
        inputs it may be replayed. Anything else that has changed refuses."""
        found = []
        known = {box.at(key) for box, key, _ in self.inputs}
        for box, key, old, new in self.watched.changes():
            if key is None or not isinstance(new, NUMBERS) or type(old) not in NUMBERS:
                name = box.name.rstrip(".") if key is None else box.path(key)
                if key is not None and type(new) in (list, tuple, dict) and _is_data(new):
                    box.container[key] = plain(new)
                self.refuse(f"it changes `{name}`")
            elif box.at(key) not in known:
                found.append(box.at(key))
                if type(new) is Traced:
                    box.container[key] = new.value
        if found:
            self.refuse("it changes numbers")
        return found

    def escapes(self, kept: set[Storage]) -> None:
        """Refuse if a tensor made here lives on where a replay would not put one."""
        self.foreign = []
        if not kept.issuperset(self.alive()):
            gc.collect()
            if not kept.issuperset(self.alive()):
                self.refuse("a tensor that it makes is kept, though it is not returned")


def _comparable(state: Any) -> Any:
    """A generator's state as something that == compares."""
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _is_data(value: Any) -> bool:
    """Numbers, texts, and containers of them."""
    if type(value) in (list, tuple):
        return all(map(_is_data, value))
    if type(value) is dict:
        return all(map(_is_data, value.values()))
    return type(value) is Traced or value is None or isinstance(value, (int, float, str))


def is_spent(t: Tensor) -> bool:
    """Whether what led to a tensor has been differentiated, so that no values are kept for it."""
    meta = t._meta
    if meta is None or meta.fn is None:
        return True
    seen: set[Any] = set()
    stack: list[Any] = [meta.fn]
    while stack:
        fn = stack.pop()
        if fn in seen:
            continue
        seen.add(fn)
        if isinstance(fn, GradFn):
            if fn.reads_values and not fn.released:
                return False
            if fn.tensor_hooks or fn.pre_hooks or fn.post_hooks or fn.retained:
                return False
        elif not isinstance(fn, AccumulateGrad):
            return False
        stack += [edge[0] for edge in fn.edges if edge is not None]
    for fn in seen:
        if isinstance(fn, GradFn) and not fn.released:
            fn.release()  # of those that are left, on shapes alone
    return True


def run(recording: Recording, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call the function under the recording, whatever may happen in it."""
    try:
        return function(*args, **kwargs)
    except BaseException:
        recording.close()
        recording.restore()
        raise


__all__ = ["Before", "Recording", "Stop", "is_spent", "lock", "run"]
