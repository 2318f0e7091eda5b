"""What a function can see besides its arguments, and whether it is still what it was.

Owns: the walk from a function through closures, globals, attributes and containers to all that
its code can reach by name, and a quick comparison of it with what it was before. Must not know:
recording or replaying. Values are compared by identity first, then plain ones by value.
"""

from __future__ import annotations

import argparse
import dis
import functools
import operator
import random
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.tensor.core import Tensor
from lazygrad.tensor.size import device

FEW = 24  # values that are compared one by one
LIMIT = 20_000  # objects; a function that can see more of them is not watched
_MISSING = type("missing", (), {"__repr__": lambda self: "nothing"})()
_FOREIGN = {"lazygrad", "numpy", "builtins", *sys.stdlib_module_names} - {"__main__"}
_OPEN = (types.SimpleNamespace, argparse.Namespace)
PLAIN = (
    int, float, bool, str, bytes, complex, type(None), DType, device, slice, range, type(...)
)  # fmt: skip
_QUIET = (types.CodeType, types.ModuleType, weakref.ref, np.ndarray, np.generic)
NUMBERS = (int, float)


class Fields:
    """Attributes of an object that has no dict of them, as a container."""

    __slots__ = ("names", "owner")

    def __init__(self, owner: Any, *names: str):
        self.owner = owner
        self.names = tuple(name for name in names if self._has(owner, name))

    @staticmethod
    def _has(owner: Any, name: str) -> bool:
        try:
            return hasattr(owner, name)
        except ValueError:  # a closure's variable without a value
            return False

    def __getitem__(self, key: str) -> Any:
        return getattr(self.owner, key)

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self.owner, key, value)


class Box:
    """A mutable container and its contents when it was looked at."""

    __slots__ = ("container", "keys", "name", "only", "values")

    def __init__(self, name: str, container: Any, only: tuple[str, ...] | None = None):
        self.name = name
        self.container = container
        self.only = only  # of a namespace: the names that matter, of which some may be missing
        self.keys, self.values = self.now()

    def at(self, key: Any) -> tuple[int, Any]:
        """What tells this place from all others."""
        container = self.container
        return (id(container.owner if type(container) is Fields else container), key)

    def now(self) -> tuple[list[Any], list[Any]]:
        """Keys and values at this moment."""
        container = self.container
        if type(container) is Fields:
            return list(container.names), [container[name] for name in container.names]
        if self.only is not None:
            return list(self.only), [container.get(key, _MISSING) for key in self.only]
        if isinstance(container, (list, deque)):
            return list(range(len(container))), list(container)
        if isinstance(container, (set, frozenset)):
            return [None] * len(container), list(container)
        return list(container), list(container.values())

    def path(self, key: Any) -> str:
        """What users call the place of `key`."""
        if self.only is not None or key == "cell_contents":
            return self.name.format(key) if "{}" in self.name else self.name
        if self.name.endswith(".") or self.name == "":
            return f"{self.name}{key}"
        return f"{self.name}[{key!r}]"


def same(old: Any, new: Any) -> bool:
    """Whether a function cannot tell two values apart: identical, or plain and equal."""
    if old is new:
        return True
    kind = type(old)
    if kind is not type(new):
        return False
    if kind in (list, tuple):
        return len(old) == len(new) and all(map(same, old, new))
    return kind in PLAIN and bool(old == new)


class Watched:
    """All that a function can see: mutable containers, tensors, and what cannot be watched."""

    def __init__(self, roots: Iterable[tuple[str, Any]]):
        self.boxes: list[Box] = []
        self.tensors: dict[int, tuple[str, Tensor]] = {}
        self.generators: list[Any] = []  # of random numbers that are not lazygrad's
        self.odd = ""  # why it cannot be watched
        self.unwatched: list[tuple[str, dict[str, Any], str, Any]] = []
        self._seen: set[int] = set()
        self._keep: list[Any] = []
        self._stack = list(roots)
        while self._stack and not self.odd:
            name, item = self._stack.pop()
            self._visit(name, item)
            if len(self._seen) > LIMIT:
                self.odd = f"it can reach more than {LIMIT} objects"

    # -- the walk -------------------------------------------------------------------------------
    def _visit(self, name: str, item: Any) -> None:
        if isinstance(item, PLAIN) or id(item) in self._seen:
            return
        self._seen.add(id(item))
        self._keep.append(item)
        if isinstance(item, Tensor):
            self._tensor(name, item)
        elif isinstance(item, (list, deque, set, dict)):
            self._box(name, item)
        elif isinstance(item, (tuple, frozenset)):
            self._stack += [(f"{name}[{i}]", value) for i, value in enumerate(item)]
        elif isinstance(item, types.FunctionType):
            self._function(name, item)
        elif isinstance(item, types.MethodType):
            self._stack += [(name, item.__func__), (name, item.__self__)]
        elif isinstance(item, functools.partial):
            self._stack += [(name, item.func), (name, item.args), (name, item.keywords)]
        elif isinstance(item, (staticmethod, classmethod)):
            self._stack.append((name, item.__func__))
        elif isinstance(item, property):
            self._stack += [(name, f) for f in (item.fget, item.fset) if f is not None]
        elif isinstance(item, type):
            self._class(name, item)
        elif isinstance(item, (random.Random, np.random.Generator, np.random.RandomState)):
            self.generators.append(item)
        elif isinstance(item, _QUIET):
            pass
        elif hasattr(type(item), "__next__"):
            self.odd = f"`{name}` is an iterator, whose state cannot be seen"
        else:
            self._instance(name, item)

    def _box(self, name: str, container: Any, only: tuple[str, ...] | None = None) -> None:
        box = Box(name, container, only)
        self.boxes.append(box)
        self._stack += [(box.path(k), v) for k, v in zip(box.keys, box.values)]

    def _tensor(self, name: str, t: Tensor) -> None:
        self.tensors[id(t)] = (name, t)
        meta = t._meta
        if meta is not None:
            for hooks in (meta.hooks, meta.post_hooks):
                if hooks is not None:
                    self._box(f"{name}'s hooks", hooks)
            if meta.base is not None:
                self._stack.append((f"{name}'s base", meta.base))

    def _instance(self, name: str, item: Any) -> None:
        kind = type(item)
        if hasattr(kind, "_watched"):  # it says itself what can be seen through it
            self._stack.append((name, item._watched()))
            return
        root = kind.__module__.partition(".")[0]
        if root in _FOREIGN and root != "lazygrad" and not isinstance(item, _OPEN):
            return
        fields = getattr(item, "__dict__", None)
        if isinstance(fields, dict):
            hidden = getattr(kind, "_not_watched", ())
            for key in hidden:
                self.unwatched.append((f"{name}.{key}", fields, key, fields.get(key)))
            names = tuple(key for key in fields if key not in hidden) if hidden else None
            self._box(f"{name}.", fields, names)
        slots = [s for c in kind.__mro__ for s in getattr(c, "__slots__", ()) if s[:2] != "__"]
        if slots:
            self._box(f"{name}.", Fields(item, *slots))
        self._class(kind.__name__, kind)

    def _class(self, name: str, item: type) -> None:
        for kind in item.__mro__:
            if kind.__module__.partition(".")[0] not in _FOREIGN and (
                kind is item or id(kind) not in self._seen
            ):
                self._seen.add(id(kind))
                self._keep.append(kind)
                self._box(f"{kind.__name__}.", vars(kind))

    def _function(self, name: str, function: types.FunctionType) -> None:
        scope = function.__globals__
        if (function.__module__ or "").partition(".")[0] in _FOREIGN:
            return
        code = function.__code__
        for free, cell in zip(code.co_freevars, function.__closure__ or ()):
            if id(cell) not in self._seen:
                self._seen.add(id(cell))
                self._keep.append(cell)
                self._box(free, Fields(cell, "cell_contents"))
        self._box(f"{name}.", Fields(function, "__code__", "__defaults__", "__kwdefaults__"))
        if scope.get("__name__", "").partition(".")[0] in _FOREIGN:
            return
        used = tuple(n for n in _globals(code) if n in scope)
        self._namespace("{}", scope, used, _names(code))

    def _namespace(
        self, name: str, scope: dict[str, Any], only: tuple[str, ...], used: Sequence[str]
    ) -> None:
        """Some names of a module; the used names of modules among them too."""
        if not only:
            return
        self._box(name, scope, only)
        for key in only:
            value = scope[key]
            if not isinstance(value, types.ModuleType) or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            if value.__name__.partition(".")[0] not in _FOREIGN:
                inner = tuple(n for n in used if n in vars(value))
                self._namespace(f"{value.__name__}.{{}}", vars(value), inner, used)

    # -- comparing ------------------------------------------------------------------------------
    def changes(self) -> list[tuple[Box, Any, Any, Any]]:
        """(box, key, old, new) of all that is not as it was; a key of None is the box's length."""
        found = []
        for box in self.boxes:
            keys, values = box.now()
            if keys != box.keys:
                found.append((box, None, box.keys, keys))
                continue
            for key, old, new in zip(keys, box.values, values):
                if not same(old, new):
                    found.append((box, key, old, new))
        return found


class Guard:
    """A quick test whether all that was watched is what it was, apart from some places.

    It makes no Python call of its own for a value: `map` and `chain` run over what is read.
    """

    def __init__(self, watched: Watched, inputs: set[tuple[int, Any]]):
        self._readers: list[Callable[[], Iterable[Any]]] = []
        self._places: list[Any] = []  # of each value: the box's place
        self._sized: list[Any] = []  # containers that must keep their length
        self._fields: dict[tuple[str, ...], list[Box]] = {}
        self._keep = watched
        for box in watched.boxes:
            self._add(box, {key for key in box.keys if box.at(key) in inputs})
        self._read_fields()
        self._sizes = list(map(len, self._sized))
        self._values = list(self._now())
        self._quick = self._compiled() if len(self._values) <= FEW else None

    def _add(self, box: Box, skipped: set[Any]) -> None:
        container = box.container
        rest = [key for key in box.keys if key not in skipped]
        if type(container) is Fields:
            self._fields.setdefault(tuple(rest), []).append(box)
            return
        if box.only is None:
            self._sized.append(container)
        if not rest:
            return
        if skipped or box.only is not None:
            rest.append(rest[0])  # never one alone: itemgetter gives a tuple then
            self._read(functools.partial(operator.itemgetter(*rest), container), box, rest)
        elif isinstance(container, (list, deque, set)):
            self._read(container.__iter__, box, rest)
        else:
            self._read(container.values, box, rest)

    def _read(self, reader: Callable[[], Iterable[Any]], box: Box, keys: Sequence[Any]) -> None:
        self._readers.append(reader)
        self._places += [box.at(key) for key in keys]

    def _read_fields(self) -> None:
        """Boxes with the same attributes are read together."""
        for names, boxes in self._fields.items():
            owners = [box.container.owner for box in boxes]
            if len(boxes) == 1 and len(names) > 1:
                read = functools.partial(operator.attrgetter(*names), owners[0])
                self._read(read, boxes[0], names)
                continue
            for name in names:
                self._readers.append(functools.partial(map, operator.attrgetter(name), owners))
                self._places += [box.at(name) for box in boxes]

    def _now(self) -> Iterable[Any]:
        return chain.from_iterable(map(operator.call, self._readers))

    def _compiled(self) -> Callable[[], bool] | None:
        """The comparison by identity as one expression, for few values: quicker than loops then."""
        scope: dict[str, Any] = {}
        terms: list[str] = []

        def named(value: Any) -> str:
            name = f"n{len(scope)}"
            scope[name] = value
            return name

        for container, size in zip(self._sized, self._sizes):
            terms.append(f"len({named(container)}) == {size}")
        for reader in self._readers:
            if not isinstance(reader, functools.partial):
                return None  # of lists and sets
            terms += self._spelled(reader, named)
        text = f"def quick({', '.join(f'{n}={n}' for n in scope)}):\n    return " + " and ".join(
            terms or ["True"]
        )
        exec(text, scope)
        return scope["quick"]  # type: ignore[no-any-return]

    @staticmethod
    def _spelled(reader: functools.partial[Any], named: Callable[[Any], str]) -> list[str]:
        """The comparisons of what one reader reads."""
        if reader.func is map:
            names = reader.args[0].__reduce__()[1]
            return [
                f"{named(owner)}.{names[0]} is {named(value)}"
                for owner, value in zip(reader.args[1], reader())
            ]
        container, owner = reader.func.__reduce__()[1], named(reader.args[0])
        is_item = type(reader.func) is operator.itemgetter
        return [
            f"{owner}[{named(key)}] is {named(value)}"
            if is_item
            else f"{owner}.{key} is {named(value)}"
            for key, value in dict(zip(container, reader())).items()
        ]

    def holds(self) -> bool:
        """Whether nothing has changed that a function could tell."""
        quick = self._quick
        try:
            if quick is not None and quick():
                return True
            if list(map(len, self._sized)) != self._sizes:
                return False
            if all(map(operator.is_, self._now(), self._values)):
                return True
            now = list(self._now())
        except _GONE:
            return False
        if len(now) != len(self._values) or not all(map(same, self._values, now)):
            return False
        # equal lists are not taken over: what happens to the new one is not watched
        self._values = [new if type(new) in PLAIN else old for old, new in zip(self._values, now)]
        return True

    def changed_numbers(self) -> list[Any]:
        """Places whose number is another one now."""
        try:
            now = list(self._now())
        except _GONE:
            return []
        if len(now) != len(self._values):
            return []
        return [
            place
            for place, old, new in zip(self._places, self._values, now)
            if type(old) in NUMBERS and type(new) is type(old) and not same(old, new)
        ]


_GONE = (KeyError, IndexError, AttributeError, ValueError)  # a place that is no more


@functools.lru_cache(1024)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """All names that a function's code uses, inner functions' too: attributes as well."""
    found = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(dict.fromkeys(_names(constant)))
    return tuple(found)


@functools.lru_cache(1024)
def _globals(code: types.CodeType) -> tuple[str, ...]:
    """The global variables that a function's code reads, inner functions' too."""
    found = dict.fromkeys(
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
    )
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.update(dict.fromkeys(_globals(constant)))
    return tuple(found)
