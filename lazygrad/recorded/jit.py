"""`jit`: a function that is recorded once for each kind of call, and then replayed.

Owns: what kind a call is, which entry fits it, when to record again and when to give up. Must not
know: what a recording notes or how an entry runs.
"""

from __future__ import annotations

import functools
import operator
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.autograd.modes import mode
from lazygrad.config import config
from lazygrad.ir.node import place_text, user_place
from lazygrad.ir.thread import thread
from lazygrad.realize import observers, traces
from lazygrad.recorded.build import Builder, Result
from lazygrad.recorded.record import Recording, Stop, lock, run
from lazygrad.recorded.replay import MISS, Entry
from lazygrad.recorded.watch import PLAIN, Watched
from lazygrad.tensor import random as randoms
from lazygrad.tensor.core import Meta, Tensor
from lazygrad.tensor.history import needs_grad
from lazygrad.tensor.promotion import default

TRIES = 4  # recordings of one kind of call that came to nothing, before it runs as without jit
ENTRIES = 8  # recordings kept for one kind of call: they differ in numbers that decided something
KINDS = 64  # kinds of call


_storage_of = operator.attrgetter("_storage")
_view_of = operator.attrgetter("_view")
_meta_of = operator.attrgetter("_meta")
_kind_of = operator.attrgetter("shape", "dtype", "device")
_kind_of_node = operator.attrgetter("node.shape", "node.dtype", "node.device")


class Call:
    """The arguments of a call, apart: tensors, numbers, and all else as the kind of the call."""

    __slots__ = ("key", "numbers", "odd", "opaque", "storages", "tensors")

    tensors: Any
    numbers: Any
    opaque: Any

    def __init__(self, args: Any, kwargs: Any, now: dict[str, Any]):
        self.odd = "hooks pack what its operations save" if now["packs"] else ""
        kinds = list(map(type, args))
        key: list[Any] = [now["grad"], now["inference"], now["anomaly"], default.dtype, *kinds]
        self.key = key
        if kwargs or kinds.count(Tensor) != len(kinds):
            tensors = self.tensors = []
            self.numbers, self.opaque = [], []
            for value in args:
                self._note(value, key)
            for name, value in kwargs.items():
                key.append(name)
                self._note(value, key)
        else:
            tensors = self.tensors = args
            self.numbers = self.opaque = ()
        self.storages = storages = list(map(_storage_of, tensors))
        try:
            key += list(map(_kind_of_node, storages))
        except AttributeError:  # memory that numpy shares
            key += map(_kind_of, storages)
        key += map(_view_of, tensors)
        metas = list(map(_meta_of, tensors))
        if metas.count(None) != len(metas):
            self._note_metas(metas, key)
        if len(set(storages)) != len(storages):
            key.append(tuple(map(storages.index, storages)))

    def _note(self, value: Any, key: list[Any]) -> None:
        kind = type(value)
        if kind is float or kind is int:
            key.append(kind)
            self.numbers.append(value)
        elif isinstance(value, Tensor):
            key.append(kind)
            self.tensors.append(value)
        elif kind is list or kind is tuple:
            key += (kind, len(value))
            for item in value:
                self._note(item, key)
        elif kind is dict:
            key += (kind, len(value))
            for name, item in value.items():
                key.append((type(name), name))
                self._note(item, key)
        elif isinstance(value, PLAIN):
            key.append((kind, str(value) if kind is slice else value))
        elif isinstance(value, np.ndarray):
            self.odd = "an argument is a numpy array, whose changes cannot be seen: give a tensor"
        else:
            key.append(id(value))
            self.opaque.append(value)

    def _note_metas(self, metas: list[Meta | None], key: list[Any]) -> None:
        for t, meta in zip(self.tensors, metas):
            if meta is None:
                key.append(None)
                continue
            key += (meta.requires_grad, meta.grad is None, meta.base is None)
            if meta.hooks or meta.post_hooks:
                self.odd = "an argument has hooks"
            if mode.grad and (meta.fn is not None or (meta.base is not None and needs_grad(t))):
                self.odd = "gradients flow to what an argument was computed from"


class Kind:
    """What is known of one kind of call."""

    __slots__ = ("entries", "keep", "tries")

    def __init__(self, keep: list[Any]):
        self.entries: list[Entry] = []
        self.tries = 0
        self.keep = keep  # objects whose identity is in the key


class Jitted:
    """A function that is replayed. Called as the function; `recordings` and `replays` count."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool = False):
        functools.update_wrapper(self, function, updated=())
        self.__wrapped__ = function
        self.fullgraph = fullgraph
        self.recordings = 0
        self.replays = 0
        self.reason = ""  # why the last recording could not be kept
        self._kinds: dict[Any, Kind] = {}
        self._last: tuple[list[Any], Kind | None] = ([], None)  # key and kind of the last call
        fields = randoms.default_generator.__dict__
        self._inputs: set[tuple[int, Any]] = {(id(fields), "_draws")}
        self._warned: set[str] = set()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        now = thread.__dict__
        if traces or observers or now["value"] or config.validate:
            return self.__wrapped__(*args, **kwargs)  # part of another recording, or watched
        call = Call(args, kwargs, now)
        last, kind = self._last
        if call.key != last:
            kind = self._kinds.get(tuple(call.key))
            self._last = call.key, kind
        if kind is not None and not call.odd:
            for number, entry in enumerate(kind.entries):
                result = entry.replay(call.tensors, call.storages, call.numbers)
                if result is not MISS:
                    self.replays += 1
                    if number:
                        kind.entries.insert(0, kind.entries.pop(number))
                    return result
            if kind.tries >= TRIES:
                return self.__wrapped__(*args, **kwargs)
        return self._record(call, args, kwargs)

    def _watched(self) -> Any:
        """What can be seen through it (see watch.py)."""
        return self.__wrapped__

    def __repr__(self) -> str:
        return f"<jit of {self.__wrapped__!r}>"

    # -- recording ------------------------------------------------------------------------------
    def _record(self, call: Call, args: Any, kwargs: Any) -> Any:
        with lock:
            if call.odd:
                self._give_up(call.odd)
                return self.__wrapped__(*args, **kwargs)
            key = tuple(call.key)
            kind = self._kinds.get(key)
            if kind is None:
                if len(self._kinds) >= KINDS:
                    self._kinds.pop(next(iter(self._kinds)))
                kind = self._kinds[key] = Kind(call.opaque)
            self._last = call.key, kind
            self._learn(kind)
            roots: list[tuple[str, Any]] = [
                (getattr(self.__wrapped__, "__name__", "function"), self.__wrapped__)
            ]
            roots += [(f"argument {i}", value) for i, value in enumerate(call.opaque)]
            roots.append(("random numbers", randoms.default_generator))
            watched = Watched(roots)
            if watched.odd:
                kind.tries = TRIES
                self._give_up(watched.odd)
                return self.__wrapped__(*args, **kwargs)
            recording = Recording(watched, call.tensors, self.fullgraph)
            self.recordings += 1
            return self._run(recording, kind, call, args, kwargs)

    def _learn(self, kind: Kind) -> None:
        """Numbers that were watched and have changed are inputs from now on."""
        for entry in list(kind.entries):
            changed = entry.guard.changed_numbers()
            if changed:
                self._inputs.update(changed)
                kind.entries.remove(entry)

    def _run(self, recording: Recording, kind: Kind, call: Call, args: Any, kwargs: Any) -> Any:
        numbers = iter([recording.tape.argument(value) for value in call.numbers])
        args = tuple(_with(value, numbers) for value in args)
        kwargs = {name: _with(value, numbers) for name, value in kwargs.items()}
        recording.begin(self._inputs)
        returned = run(recording, self.__wrapped__, args, kwargs)
        del args, kwargs
        try:
            entry, returned = self._finish(recording, call, returned)
        finally:
            recording.close()
            recording.restore()
        self.reason = recording.reason
        if entry is not None:
            kind.entries.insert(0, entry)
            if len(kind.entries) > ENTRIES:
                kind.entries.pop()
                kind.tries += 1
                if kind.tries >= TRIES:
                    self._give_up("numbers that decide what is computed differ in each call")
        elif recording.reason:
            kind.tries = TRIES if recording.final else kind.tries + 1
            if kind.tries >= TRIES:
                self._give_up(recording.reason)
        else:
            kind.tries = TRIES  # nothing here runs programs: without a word, as without jit
        return returned

    def _finish(self, recording: Recording, call: Call, returned: Any) -> tuple[Entry | None, Any]:
        """The entry of what was recorded, if it can be replayed, and what the call returns."""
        if recording.reason and recording not in traces:  # stopped on the way
            return None, _plain(returned)
        stores = recording.numbers()
        for at in recording.changes():
            self._inputs.add(at)
        recording.close()
        recording.check()
        result = Result(recording, call.tensors, {*map(id, call.opaque), *recording.watched._seen})
        make = result.template(returned)
        builder = Builder(recording, call.tensors, result)
        recording.escapes(builder.kept())
        entry = builder.build(self._inputs, stores, make)
        return entry, _plain(returned)

    def _give_up(self, reason: str) -> None:
        name = getattr(self.__wrapped__, "__qualname__", repr(self.__wrapped__))
        text = f"{name} cannot be replayed, and runs as without jit: {reason}"
        if self.fullgraph:
            raise Stop(text)
        if reason not in self._warned:
            self._warned.add(reason)
            at = place_text(user_place())
            warnings.warn(f"{text} (called at {at})" if at else text, stacklevel=5)


def _with(value: Any, numbers: Any) -> Any:
    """An argument whose numbers are the traced ones, in the order in which `Call` found them."""
    kind = type(value)
    if kind is float or kind is int:
        return next(numbers)
    if kind is list or kind is tuple:
        return kind([_with(item, numbers) for item in value])
    if kind is dict:
        return {name: _with(item, numbers) for name, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    """A result whose numbers are plain; containers without traced numbers stay what they are."""
    from lazygrad.ir.traced import Traced

    if type(value) is Traced:
        return value.value
    if type(value) in (list, tuple):
        parts = [_plain(item) for item in value]
        return value if all(map(lambda a, b: a is b, parts, value)) else type(value)(parts)
    if type(value) is dict:
        pairs = {name: _plain(item) for name, item in value.items()}
        return value if all(pairs[name] is value[name] for name in pairs) else pairs
    return value


def jit(function: Callable[..., Any] | None = None, *, fullgraph: bool = False) -> Any:
    """`function`, recorded at the first call of each kind and replayed after that.

    Calls are of one kind when their tensors' shapes, dtypes and devices, the grad mode and all
    arguments that are neither tensors nor numbers agree. A replay computes what the function would,
    to the bit, and leaves out its Python code: see docs/jit.md for what is an input, what is
    watched, and what cannot be replayed. A function that cannot be runs as without jit, with one
    warning; with `fullgraph=True` that is a RuntimeError. Also a decorator, of methods too.
    """
    if function is None:
        return functools.partial(jit, fullgraph=fullgraph)
    if not callable(function):
        raise TypeError(f"jit() expects a function, got {type(function).__name__}")
    return Jitted(function, fullgraph)


__all__: Sequence[str] = ["Jitted", "jit"]
