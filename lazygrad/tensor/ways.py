"""The short way of operations on one tensor: what a call made is made again in one go.

Owns: what makes two calls alike (shape, strides and dtype of the tensor, whether it needs a
gradient, and arguments that are plain), the `Way` that is read off the result of the second one,
and how the next one's nodes, tensor and record are made from it. Must not know: any operation.

There is no way where anything but a few nodes in a row came out, where shared memory was read, or
inside a composite function, which has a template instead. What `aliasing.make_view` and
`history.record` do for the general case is done here with fewer calls.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.autograd.graph import GradFn, _sequence
from lazygrad.autograd.kept import Kept
from lazygrad.autograd.saved import Saved
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import _INTERNAL, Node, innermost_place
from lazygrad.ir.sizes import Size as Traced
from lazygrad.ir.thread import thread
from lazygrad.ir.views import View
from lazygrad.tensor.core import Meta, Tensor, fresh, node_of
from lazygrad.tensor.history import accumulator_of, edge_of, maker_of, needs_grad, saved_entry
from lazygrad.tensor.size import Size
from lazygrad.tensor.storage import reads

LIMIT = 4096  # ways that are kept
LONGEST = 4  # nodes of one
_ways: dict[Any, Any] = {}  # named cache: None is for calls that have no way
_UNKNOWN: Any = object()
_ONCE: Any = object()  # a call that may not come again, of another batch
_NOTHING: Any = object()
_SIMPLE = frozenset({bool, str, type(None), type(Ellipsis), DType})
_alloc = object.__new__
_frame = sys._getframe

Step = tuple[Any, Any, tuple[int, ...], DType]  # op, arg, shape, dtype of a node


class Way:
    """What a call makes: nodes, each of the one before; a view, or a tensor of its own; a record.

    Of the values that the record keeps and saves True is the result, False the tensor given.
    """

    __slots__ = ("inputs", "kept", "kind", "reads_values", "saved", "steps", "view")

    def __init__(self, steps: list[Step], view: View | None):
        self.steps = steps
        self.view = view
        self.kind: type[GradFn] | None = None  # of the record
        self.inputs: Any = None
        self.kept: list[bool] = []
        self.saved: list[bool] = []
        self.reads_values = False


def short(general: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which goes the short way where there is one."""

    @functools.wraps(general)
    def function(input: Any = _NOTHING, *args: Any, **kwargs: Any) -> Any:
        try:
            base = input._storage.node
            view, meta = input._view, input._meta
        except AttributeError:
            return general(*(() if input is _NOTHING else (input,)), *args, **kwargs)
        now = thread.__dict__
        given: Any = args
        if kwargs:
            given = _exact((*args, *kwargs.values()))
            if given is not None:
                given = ((len(args), *kwargs), given)
        else:
            for one in args:
                if one.__class__ is not int:
                    given = _exact(args)
                    break
        needs = meta is not None and now["grad"]
        if needs:
            if not meta.requires_grad:
                needs = False
                if meta.base is not None and needs_grad(meta.base):
                    given = None
            elif now["watched"]:
                given = None
        if (
            given is None
            or base is None
            or reads
            or now["value"]
            or (input.__class__ is not Tensor and input._keeps_class)
        ):
            return general(input, *args, **kwargs)
        if view is None:
            key: Any = general, given, base.dtype, needs, base.shape
        else:
            key = general, given, base.dtype, needs, view.shape, view.strides, view.offset
        way = _ways.get(key, _UNKNOWN)
        if way is None:
            return general(input, *args, **kwargs)
        if way is _UNKNOWN:
            _keep(key, _ONCE)
            result = general(input, *args, **kwargs)
            if needs and result.__class__ is Tensor and result._meta is not None:
                _unified(result._meta.fn)
            return result
        if way is _ONCE:
            source = node_of(input)
            looked, now["looked"] = now["looked"], False
            try:
                result = general(input, *args, **kwargs)
                blind = not now["looked"]
            finally:
                now["looked"] |= looked
            _keep(key, _way(result, input, source, needs) if blind else None)
            return result
        place = now["place"]
        if place is None:
            frame = _frame(1)
            code = frame.f_code
            if _INTERNAL.get(code.co_filename, True):
                place = innermost_place()
            else:
                place = (code, frame.f_lasti)
        source = base if view is None else node_of(input)
        node, device = source, base.device
        for op, arg, shape, dtype in way.steps:
            node = Node(op, (node,), arg, shape, dtype, device, None, place)
        fn = _record(way, input, source, node) if needs else None
        if way.view is None:
            made = fresh(node, now)
        else:
            made = _viewed(way.view, input, base, node, now["grad"])
        if fn is not None:
            own = made._meta
            if own is None:
                own = made._meta = _alloc(Meta)
                own.base = own.loose = None
            own.requires_grad = True
            own.fn, own.nr = fn, 0
            if way.saved:
                fn.saved = _saved(way, input, made, source, node)
        return made

    return function


def _viewed(view: View, t: Tensor, base: Node, node: Node, grad: bool) -> Tensor:
    """A view of t's memory, whose value is `base`, and the view's `node`."""
    made = _alloc(Tensor)
    stored = made._storage = t._storage
    made._view = view
    made._cached = (base, node)
    own = made._meta = _alloc(Meta)
    own.requires_grad = False
    own.fn = None
    own.nr = 0
    meta = t._meta
    if meta is None:
        own.base, own.loose, own.version = t, None, stored.version
    else:
        loose = own.loose = meta.loose
        own.version = stored.version if loose is None else loose[0]
        if meta.base is None:
            own.base = t
        else:
            own.base, own.creation = meta.base, meta.creation
    if not grad:
        own.creation = "no_grad"
    return made


def _keep(key: Any, way: Any) -> None:
    if len(_ways) >= LIMIT:
        _ways.clear()
    _ways[key] = way


def _record(way: Way, t: Tensor, source: Node, node: Node) -> Any:
    """The record of a call whose nodes are those from `source` to `node`: nothing has been computed
    since they were made."""
    kind, meta = way.kind, t._meta
    assert kind is not None and meta is not None
    fn: Any = _alloc(kind)
    before = meta.fn
    if meta.base is not None:
        fn.edges = (edge_of(t),)
    else:
        fn.edges = ((accumulator_of(t, meta), 0) if before is None else (before, meta.nr),)
    fn.seq = next(_sequence)
    fn.extras = fn.outline = fn.block = None
    fn.stops = fn.kept = fn.saved = ()
    fn.released = False
    fn.reads_values = way.reads_values
    if way.inputs is not None:
        fn.inputs = way.inputs
    if len(way.steps) == 1:
        fn.node, fn.srcs = node, node.srcs
    else:
        fn.node, fn.srcs = None, ()
        fn.in_nodes, fn.out_nodes = (source,), (node,)
        at, captured = node, []
        while at is not source:
            captured.append((at, at.op, at.srcs, at.arg))
            (at,) = at.srcs
        captured.reverse()
        fn.captured = captured
    if way.kept:
        fn.kept = Kept([node if is_result else source for is_result in way.kept])
    return fn


def _saved(way: Way, t: Tensor, made: Tensor, source: Node, node: Node) -> list[Saved]:
    """What the record of a call remembers of the tensors that it saves."""
    kind, meta = way.kind, t._meta
    assert meta is not None
    return [
        saved_entry(made, node, kind, 0, True)
        if is_result
        else saved_entry(t, source, maker_of(t), meta.nr)
        for is_result in way.saved
    ]


def _exact(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Arguments as part of a key, in which 1 is not True; None if one of them is not plain."""
    found: list[Any] = []
    for value in values:
        kind = value.__class__
        if kind is int:
            found.append(value)
        elif kind in _SIMPLE:
            found.append((kind, value))
        elif kind is slice or kind is tuple or kind is Size:
            inside = (value.start, value.stop, value.step) if kind is slice else value
            inside = _exact(inside)
            if inside is None:
                return None
            found.append((kind, inside))
        else:
            return None
    return tuple(found)


def _way(result: Any, t: Tensor, source: Node, needs: bool) -> Way | None:
    """The way of a call that gave `result` of `t`, whose value was `source`, if it has one."""
    if result.__class__ is not Tensor or result is t:
        return None
    stored, meta, view = t._storage, result._meta, result._view
    if view is None:
        node = result._storage.node
        if result._storage is stored or result._storage.version:
            return None
    else:
        if result._storage is not stored or result._cached is None:
            return None
        base, node = result._cached
        if base is not stored.node or meta is None or meta.base is None:
            return None
    steps = _steps(node, source)
    if node is None or steps is None:
        return None
    way = Way(steps, view)
    fn = None if meta is None else meta.fn
    if (fn is not None) is not needs:
        return None
    if fn is None:
        return way if meta is None or not meta.requires_grad else None
    return way if _read_record(way, fn, t, result, source, node) else None


def _steps(node: Node | None, source: Node) -> list[Step] | None:
    """The nodes from `source` to `node`, if they are a few in a row."""
    steps: list[Step] = []
    while node is not source:
        if node is None or len(node.srcs) != 1 or node.buffer is not None:
            return None
        if node.value is not None or node.device != source.device or len(steps) == LONGEST:
            return None
        if any([extent.__class__ is Traced for extent in node.shape]):
            return None
        steps.append((node.op, node.arg, node.shape, node.dtype))
        node = node.srcs[0]
    return steps[::-1] or None


def _read_record(way: Way, fn: Any, t: Tensor, result: Tensor, source: Node, node: Node) -> bool:
    """Add what the record of a call is to its way. Whether it is nothing else."""
    if not isinstance(fn, GradFn) or not fn.plain or fn.extras or fn.edges != (edge_of(t),):
        return False
    if fn.in_nodes != (source,) or fn.out_nodes != (node,) or fn.stops or fn.block:
        return False
    if len(fn.captured) != len(way.steps):
        return False
    for value in fn.kept:
        if value is not node and value is not source:
            return False
        way.kept.append(value is node)
    for storage, *_, value, view, _, handle in fn.saved:
        is_result = storage is result._storage and value is node and handle is None
        if not is_result and (value is not source or view is not t._view or handle() is not t):
            return False
        way.saved.append(is_result)
    way.kind = type(fn)
    way.reads_values = fn.reads_values
    way.inputs = getattr(fn, "inputs", None)
    _unified(fn)
    return True


def _unified(fn: Any) -> None:
    """Give the record of a call the form that those of its way have: a pass of them is the same."""
    if not isinstance(fn, GradFn) or not fn.plain or fn.block is not None or fn.node is not None:
        return
    if len(fn.captured) != 1 or fn.extras or fn.stops:
        return
    node = fn.captured[0][0]
    if fn.out_nodes == (node,) and fn.in_nodes == node.srcs:
        fn.node, fn.srcs = node, node.srcs
        del fn.captured, fn.in_nodes, fn.out_nodes
