"""`composite`: a function written with other functions, differentiated as one.

Owns: running the body without recording and making one record of what it did. Must not know: any
particular function.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lazygrad.autograd.late import tensors
from lazygrad.autograd.modes import mode
from lazygrad.autograd.steps import Part, renumbered
from lazygrad.ir.node import innermost_place
from lazygrad.ir.thread import thread
from lazygrad.realize import traces

F = TypeVar("F", bound=Callable[..., Any])


def composite(
    name: str,
    saves: tuple[str, ...] | None = None,
    outline: Callable[..., Sequence[Part]] | None = None,
) -> Callable[[F], F]:
    """The decorated function's result has one grad_fn of this name.

    `saves` says what PyTorch keeps for the gradient: () nothing (backward may run again), names
    of tensor parameters or "result" (their versions are checked), None: something, unchecked.
    `"weight?x"`: weight, if x wants a gradient; `"value?query|key"`: if one of them does.
    `outline` gives, for the arguments of a call, what PyTorch's graph has of it (steps.py); it
    counts the tensors of floating numbers among them.
    """

    def decorate(function: F) -> F:
        saved = None if saves is None else Saves(function, saves)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            now = thread.__dict__
            outer = now["place"]
            if outer is None:  # all nodes of the body stand for the user's one line
                now["place"] = innermost_place()
            try:
                if now["value"] or now["watched"] or traces or tensors.storage.reads:
                    return general(*args, **kwargs)
                return tensors.templates.repeated(function, general, args, kwargs, now)
            finally:
                now["place"] = outer

        def general(*args: Any, **kwargs: Any) -> Any:
            return _run(name, saved, outline, function, args, kwargs)

        return run  # type: ignore[return-value]

    return decorate


def _run(
    name: str,
    saves: Saves | None,
    outline: Callable[..., Sequence[Part]] | None,
    function: Any,
    args: Any,
    kwargs: Any,
) -> Any:
    core, history, storage = tensors.core, tensors.history, tensors.storage
    depth = storage.depth
    found: list[Any] = []
    if mode.grad:
        for value in (*args, *kwargs.values()):
            if isinstance(value, core.Tensor):
                found.append(value)
            elif isinstance(value, (list, tuple)):
                found.extend(v for v in value if isinstance(v, core.Tensor))
        if not history.recording(found):
            found = []
    if not found:
        depth.value += 1
        try:
            result = function(*args, **kwargs)
        finally:
            depth.value -= 1
        _own(_tensors(result), (*args, *kwargs.values()))
        if storage.reads:
            storage.settle(_values(_tensors(result)))
        return result
    sources = list({id(t): t for t in found if history.needs_grad(t)}.values())
    nodes = core.nodes_of(*sources)
    inner = {}
    for t, node in zip(sources, nodes):
        twin = core.alias(t) if core.node_of(t) is node else core.wrap(node)
        inner[id(t)] = twin
    # a tensor without gradient on the same node must not be taken for the one with
    taken = set(nodes)
    stops = []
    for t in found:
        if id(t) not in inner:
            node = core.node_of(t)
            if node in taken:
                node = core.ops.reshape(node, arg=node.shape)
                inner[id(t)] = core.wrap(node)
            stops.append(node)
    swap = functools.partial(_swap, inner)
    depth.value += 1
    mode.grad = False
    depth.cuts = stops
    try:
        result = function(*map(swap, args), **{k: swap(v) for k, v in kwargs.items()})
    finally:
        mode.grad = True
        depth.cuts = None
        depth.value -= 1
    outputs = _tensors(result)
    _own(outputs, found)
    outs = [core.node_of(t) for t in outputs]
    if storage.reads and not depth.value:
        storage.freeze()
    fn = history.make_fn(name, sources, nodes, outs, stops)
    if outline is not None or len(found) != len(sources):
        place = {id(t): number for number, t in enumerate(sources)}
        fn.inputs = tuple(place.get(id(t), -1) for t in found if t.dtype.kind == "f")
    if outline is not None:
        fn.inputs = renumbered(outline(*args, **kwargs), fn.inputs)
    fn.keep()
    if storage.reads:
        storage.settle(_values(outputs))
    if not any(node.dtype.kind == "f" for node in outs):
        return result
    if saves is not None:
        saves.note(fn, args, kwargs, outputs)
    fn.reads_values = saves is None or bool(fn.saved) or fn.reads_given()
    for number, t in enumerate(outputs):
        if outs[number].dtype.kind == "f":
            history.attach(t, fn, number)
    return result


def _own(outputs: list[Any], given: Any) -> None:
    """Results that are views of what only the body knew are no views to the user."""
    for t in outputs:
        meta = t._meta
        if meta is None or meta.base is None:
            continue
        if all(getattr(a, "_storage", None) is not t._storage for a in given):
            meta.base, meta.creation = None, ""


def _swap(inner: dict[int, Any], value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(inner.get(id(v), v) for v in value)
    return inner.get(id(value), value)


def _tensors(result: Any) -> list[Any]:
    Tensor = tensors.core.Tensor
    if isinstance(result, Tensor):
        return [result]
    parts = result if isinstance(result, (tuple, list)) else ()
    return [t for t in parts if isinstance(t, Tensor)]


def _values(results: Sequence[Any]) -> list[Any]:
    """The nodes whose values have to be there for those of these tensors: of views what they are
    views of. Shared memory has none."""
    return [t._storage.node for t in results if t._storage.node is not None]


class Saves:
    """What PyTorch's record of a function saves, as read from the declaration: the names, each with
    those of whom one has to want a gradient (none: always)."""

    __slots__ = ("named", "names", "rest")

    def __init__(self, function: Any, saves: Sequence[str]):
        code = inspect.unwrap(function).__code__
        count, more = code.co_argcount, code.co_kwonlyargcount
        self.names = code.co_varnames[:count]
        self.rest = code.co_varnames[count + more] if code.co_flags & inspect.CO_VARARGS else None
        split = [wanted.partition("?") for wanted in saves]
        self.named = [(name, readers.split("|") if mark else []) for name, mark, readers in split]
        known = {*code.co_varnames[: count + more], self.rest, "result"}
        for name, readers in self.named:
            if not known.issuperset((name, *readers)):
                raise TypeError(f"{code.co_name}() has no parameters {name}, {readers} to save")

    def note(self, fn: Any, args: Any, kwargs: Any, outputs: list[Any]) -> None:
        """Remember the versions of these in the record of a call."""
        core, history = tensors.core, tensors.history
        given = dict(zip(self.names, args)) | kwargs
        if self.rest is not None:
            given[self.rest] = args[len(self.names) :]
        for name, readers in self.named:
            reading = [t for reader in readers for t in _tensors(given.get(reader, ()))]
            if readers and not any(map(history.needs_grad, reading)):
                continue
            if name == "result":
                for number, t in enumerate(outputs):
                    node = core.node_of(t)
                    fn.saved.append(history.saved_entry(t, node, type(fn), number, is_result=True))
                continue
            for t in _tensors(given.get(name, ())):
                nr = t._meta.nr if t._meta else 0
                fn.saved.append(history.saved_entry(t, core.node_of(t), history.maker_of(t), nr))
