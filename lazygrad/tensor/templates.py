"""Operations that were met before: their nodes and their record are made from a template.

Owns: what makes two calls of an operation alike (shapes, dtypes, layouts, numbers, which tensors
need a gradient), the template that is drawn from the result of the first one, and how the next
one's is made from it without running any of the operation's Python. Must not know: any operation.

No template is made of a call that looked at values, wrote, drew random numbers or gave back
something that is not new: such a call always runs. What only a look at every call can tell
(hooks, anomaly mode, shared memory, recording for `jit`) is asked for by the caller.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lazygrad.autograd.graph import GradFn, _sequence
from lazygrad.autograd.kept import Kept
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Block, Member, Node, about, draw, innermost_place
from lazygrad.ir.thread import starts, thread
from lazygrad.realize import traces
from lazygrad.tensor import families
from lazygrad.tensor.core import Meta, Tensor, fresh, node_of, wrap_viewed
from lazygrad.tensor.drawn import Record, Template, drawn
from lazygrad.tensor.history import accumulator_of, edge_of, maker_of, needs_grad, saved_entry
from lazygrad.tensor.promotion import default
from lazygrad.tensor.size import Size
from lazygrad.tensor.storage import reads

F = TypeVar("F", bound=Callable[..., Any])
LIMIT = 4096  # templates that are kept
ONCE, NEVER = object(), object()  # a call that may not come again; one without template
_templates: dict[Any, Any] = {}  # named cache: what is known of calls

starts(lambda now: now.update(looked=False))  # see `realize.value_read`
_alloc = object.__new__
_ref = weakref.ref
_PLAIN = frozenset({int, bool, str, type(None), DType})


def templated(function: F) -> F:
    """The function, which makes one record of its tensors, by templates."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        now = thread.__dict__
        if now["value"] or now["watched"] or traces or reads:
            return function(*args, **kwargs)
        outer = now["place"]
        if outer is None:
            now["place"] = innermost_place()
        try:
            return repeated(function, function, args, kwargs, now)
        finally:
            now["place"] = outer

    return run  # type: ignore[return-value]


def repeated(
    function: Any, general: Callable[..., Any], args: Any, kwargs: Any, now: dict[str, Any]
) -> Any:
    """What `general(*args, **kwargs)` gives; `function` is what stands for it in the key.

    For calls outside of all composite functions, in which no shared memory was read yet.
    """
    grad = now["grad"]
    key: list[Any] = [function, grad, default.dtype, now["inference"]]
    tensors: list[Tensor] = []
    nodes: list[Node] = []
    if not _describe(args, key, tensors, nodes, grad):
        return general(*args, **kwargs)
    if kwargs:
        for name, value in kwargs.items():
            key.append(name)
            if not _describe((value,), key, tensors, nodes, grad):
                return general(*args, **kwargs)
    if len(nodes) > 1 and len(set(nodes)) != len(nodes):
        return general(*args, **kwargs)
    name = tuple(key)
    template: Any = _templates.get(name)
    if template is None:
        if len(_templates) >= LIMIT:
            _templates.clear()
        template = families.found(*families.family_of(key, tensors))
        if template.__class__ is Template:
            _templates[name] = template
        elif not template:
            _templates[name] = ONCE
            return general(*args, **kwargs)
        else:
            template = ONCE
    if template.__class__ is Template:
        return (_whole if template.whole else _made)(template, tensors, nodes, now)
    if template is ONCE:
        return _learnt(name, general, args, kwargs, tensors, nodes, now)
    return general(*args, **kwargs)


def _describe(
    values: Sequence[Any], key: list[Any], tensors: list[Tensor], nodes: list[Node], grad: bool
) -> bool:
    """Add what the nodes of a call depend on to the key. False where that cannot be said."""
    for value in values:
        kind = value.__class__
        if kind is Tensor or isinstance(value, Tensor):
            stored = value._storage
            node = stored.node
            if node is None or stored.inference or (kind is not Tensor and value._keeps_class):
                return False
            view = value._view
            if view is not None:
                node = node_of(value)
                key.append(view)
            try:
                what = node.about
            except AttributeError:
                what = about(node)
            if node.buffer is not None:
                what = what.computed
            meta = value._meta
            if meta is None or not grad:
                key.append(what)
            elif meta.requires_grad or (meta.base is not None and needs_grad(meta.base)):
                key.append(what.needing)
            else:
                key.append(what)
            tensors.append(value)
            nodes.append(node)
        elif kind in _PLAIN:
            key.append(kind)
            key.append(value)
        elif kind is float:
            key.append(value.hex())
        elif kind is tuple or kind is list or kind is Size:
            key.append((kind, len(value)))
            if not _describe(value, key, tensors, nodes, grad):
                return False
        else:
            return False
    return True


def _whole(
    template: Template, tensors: list[Tensor], nodes: list[Node], now: dict[str, Any]
) -> Tensor:
    """The result of another call of which all other nodes are left out: as `_made`, spelled out."""
    node: Any = _alloc(Member)
    node.op, node.arg, node.shape, node.dtype, node.device, node.value, node.about = template.like
    place = node.place = now["place"]
    node.buffer = None
    node.saves = 0
    block = node.block = _alloc(Block)
    block.template, block.given, block.place = template, nodes, place
    block.inside = block.keeper = None
    made = fresh(node, now)
    record = template.record
    if record is None:
        return made
    kind = record.kind
    fn: Any = _alloc(kind)
    edges = []
    for at in record.tensors:
        meta: Any = tensors[at]._meta
        if meta.base is not None:
            edges.append(edge_of(tensors[at]))
            continue
        before = meta.fn
        edges.append(
            (accumulator_of(tensors[at], meta), 0) if before is None else (before, meta.nr)
        )
    fn.edges = tuple(edges)
    fn.seq = next(_sequence)
    fn.extras = None
    fn.released = False
    fn.reads_values = record.reads_values
    fn.block = block
    fn.made = node
    if record.inputs is not None:
        fn.inputs = record.inputs
    if record.kept:
        count = len(nodes)
        kept = [nodes[at] if at < count else node for at in record.kept]
        # what is known need not be kept
        fn.kept = Kept(kept) if None in [one.buffer for one in kept] else ()
    else:
        fn.kept = ()
    if template.kept:
        block.keeper = _ref(fn)
    saved = fn.saved = []
    for at, is_result in record.saved:
        if is_result:
            saved.append((made._storage, 0, 0, kind, 0, node, None, None, None))
            continue
        t = tensors[at]
        meta = t._meta
        maker, nr = None, 0
        if meta is not None:
            before, nr = meta.fn, meta.nr
            maker = None if before is None else before.__class__
            if meta.loose is not None:
                saved.append(saved_entry(t, nodes[at], maker, nr))
                continue
        stored = t._storage
        version = stored.version
        writes = version + stored.loose + stored.exports
        saved.append((stored, version, writes, maker, nr, nodes[at], t._view, None, _ref(t)))
    own = made._meta = _alloc(Meta)
    own.requires_grad = True
    own.fn, own.nr, own.base, own.loose = fn, 0, None, None
    return made


def _made(template: Template, tensors: list[Tensor], nodes: list[Node], now: dict[str, Any]) -> Any:
    """The results of another call."""
    place, record, given = now["place"], template.record, [*nodes]
    table: list[Any] = nodes
    draw(template.steps, table, place)
    made = []
    fn: Any = None
    if record is not None:
        fn = _recorded(record, tensors, table)
        fn.block = Block(template, given, place, table[len(given) :])
        if record.kept:
            fn.kept = Kept([table[i] for i in record.kept])
    for number, (base, at, view, attached) in enumerate(template.results):
        t = fresh(table[at], now) if view is None else wrap_viewed(table[base], view, table[at])
        if attached:
            own = t._meta = _alloc(Meta)
            own.requires_grad = True
            own.fn, own.nr, own.base, own.loose = fn, number, None, None
        made.append(t)
    if record is not None and record.saved:
        saved = fn.saved
        for which, is_result in record.saved:
            if is_result:
                t, at, nr = made[which], template.results[which][1], which
                maker: Any = type(fn)
            else:
                t, at, meta = tensors[which], which, tensors[which]._meta
                maker, nr = maker_of(t), 0 if meta is None else meta.nr
            saved.append(saved_entry(t, table[at], maker, nr, is_result))
    return made[0] if template.alone else tuple(made)


def _recorded(record: Record, tensors: list[Tensor], table: list[Any]) -> GradFn:
    fn: Any = _alloc(record.kind)
    fn.edges = tuple([edge_of(tensors[i]) for i in record.tensors])
    fn.seq = next(_sequence)
    fn.extras = None
    fn.srcs = ()
    fn.released = False
    fn.reads_values = record.reads_values
    fn.kept = ()
    fn.saved = []
    if record.inputs is not None:
        fn.inputs = record.inputs
    return fn  # type: ignore[no-any-return]


# -- the second call ----------------------------------------------------------------------------


def _learnt(
    name: Any,
    general: Callable[..., Any],
    args: Any,
    kwargs: Any,
    tensors: list[Tensor],
    nodes: list[Node],
    now: dict[str, Any],
) -> Any:
    """Run a call, and keep a template of it if there can be one."""
    before = [(t._storage, t._storage.writes) for t in tensors]
    looked, now["looked"] = now["looked"], False
    try:
        result = general(*args, **kwargs)
        blind = not now["looked"]
    finally:
        now["looked"] |= looked
    unwritten = all(
        t._storage is stored and stored.writes == writes
        for t, (stored, writes) in zip(tensors, before)
    )
    found = drawn(result, tensors, nodes) if blind and unwritten else None
    if found is None:
        _templates[name] = NEVER
    else:
        family, sizes = families.family_of(name, tensors)
        _templates[name] = families.learn(
            family, sizes, found, general, args, kwargs, tensors, nodes
        )
    return result
