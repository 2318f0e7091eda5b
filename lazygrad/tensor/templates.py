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
import operator
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lazygrad.autograd.graph import GradFn, _sequence
from lazygrad.autograd.kept import Kept
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Block, Member, Node, about, draw, innermost_place, toposort
from lazygrad.ir.ops import BUFFER, DRAWS, SCALAR, Lowering
from lazygrad.ir.thread import starts, thread
from lazygrad.ir.views import View
from lazygrad.realize import traces
from lazygrad.tensor.core import Meta, Tensor, fresh, node_of, wrap_viewed
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


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a call: its fields by their numbers in the table of nodes."""

    kind: type[GradFn]
    tensors: tuple[int, ...]  # those whose edges it has
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    captured: tuple[int, ...]
    stops: tuple[int, ...]
    kept: tuple[int, ...]
    saved: tuple[tuple[int, bool], ...]  # (which, whether it is a result and not an argument)
    reads_values: bool
    inputs: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The nodes of a call (the arguments' come first), its results, and its record."""

    steps: tuple[tuple[Any, ...], ...]  # what a node is, and where its sources are: see `_step`
    results: tuple[tuple[int, int, View | None, bool], ...]  # base, value, view, has the record
    alone: bool
    record: Record | None
    whole: bool  # the last node is the result, which needs all the others: these may be left out
    like: tuple[Any, ...]  # of a whole one: what the last node is
    kept: tuple[int, ...]  # which of these the record keeps, the first being 0
    inside: list[Node | None]  # for each of these None, or a stand-in for a number
    scalars: list[Node]  # the latter


def templated(function: F) -> F:
    """The function, which makes one record of its tensors, by templates."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        now = thread.__dict__
        if now["value"] or now["anomaly"] or traces or reads:
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
    template = _templates.get(name)
    if template.__class__ is Template:
        return (_whole if template.whole else _made)(template, tensors, nodes, now)
    if template is None:
        if len(_templates) >= LIMIT:
            _templates.clear()
        _templates[name] = ONCE
    elif template is ONCE:
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
    drawn = _drawn(result, tensors, nodes) if blind and unwritten else None
    _templates[name] = NEVER if drawn is None else drawn
    return result


def _drawn(result: Any, tensors: list[Tensor], nodes: list[Node]) -> Template | None:
    """The template of a call that gave `result`. None where a further one may be different."""
    alone = isinstance(result, Tensor)
    outs = [result] if alone else result
    if type(outs) not in (list, tuple) or (type(outs) is list and not alone):
        return None
    if not outs or any(type(t) is not Tensor or t._storage.node is None for t in outs):
        return None
    if any(t._storage.version for t in outs):
        return None  # written after it was made, as the product of a vector and a matrix is
    stored = {id(t._storage) for t in (*tensors, *outs)}
    if len(stored) != len({id(t._storage) for t in tensors}) + len(outs):
        return None  # something is given back, or given twice
    fns = {id(m.fn): m.fn for m in (t._meta for t in outs) if m is not None}
    if len(fns) > 1 or any(t._meta is not None and t._meta.base is not None for t in outs):
        return None
    fn = next(iter(fns.values()), None)
    if fns and (not isinstance(fn, GradFn) or not fn.plain or fn.extras):
        return None
    roots = [node for t in outs for node in (t._storage.node, node_of(t))]
    if fn is not None:
        roots += [*(entry[0] for entry in fn.captured), *fn.stops, *fn.in_nodes, *fn.kept]
    index = {node: number for number, node in enumerate(nodes)}
    bases = {t._storage.node for t in tensors if t._view is not None}
    steps = []
    for node in toposort(roots, index.__contains__):
        if node in index:
            continue
        if node.buffer is not None or node.op is BUFFER or node.op in DRAWS or node in bases:
            return None
        if node.op is SCALAR and type(node.value) not in (int, float, bool):
            return None
        index[node] = len(index)
        steps.append(_step(node, index))
    record = None if fn is None else _record_of(fn, tensors, outs, index)
    if fn is not None and record is None:
        return None
    results = tuple(
        (index[t._storage.node], index[node_of(t)], t._view, t._meta is not None) for t in outs
    )
    if any(at < len(nodes) for _, at, _, _ in results):
        return None
    last, scalars = roots[0], list[Node]()
    inside: list[Node | None] = []
    whole = (
        alone
        and outs[0]._view is None
        and last.op.lowering is not Lowering.MOVEMENT  # what is computed lies before it then
        and index[last] == len(index) - 1
        and len(_needed(last, nodes)) == len(index)
    )
    if whole:
        for node in list(index)[len(nodes) : -1]:
            inside.append(_number_like(node) if node.op is SCALAR else None)
        scalars += [node for node in inside if node is not None]
    between = range(len(nodes), len(index) - 1) if whole else range(0)
    kept: tuple[int, ...] = ()
    if record is not None:
        kept = tuple(at - len(nodes) for at in record.kept if at in between)
        record = replace(record, kept=tuple(at for at in record.kept if at not in between))
    like: tuple[Any, ...] = ()
    if whole:
        like = (last.op, last.arg, last.shape, last.dtype, last.device, last.value, about(last))
    return Template(tuple(steps), results, alone, record, whole, like, kept, inside, scalars)


def _number_like(node: Node) -> Node:
    return Node(SCALAR, (), None, (), node.dtype, node.device, node.value, _NOWHERE)


_NOWHERE = (_number_like.__code__, 0)  # a place that is no user's


def _needed(last: Node, given: Sequence[Node]) -> list[Node]:
    return toposort([last], set(given).__contains__)


def _step(node: Node, index: dict[Node, int]) -> tuple[Any, ...]:
    numbers = [index[src] for src in node.srcs]
    single = numbers[0] if len(numbers) == 1 else -1
    take = operator.itemgetter(*numbers) if len(numbers) > 1 else None
    return Node, node.op, single, take, node.arg, node.shape, node.dtype, node.device, node.value


def _record_of(
    fn: GradFn, tensors: list[Tensor], outs: Sequence[Tensor], index: dict[Node, int]
) -> Record | None:
    edges = [edge_of(t) for t in tensors]
    if any(entry[1:] != (entry[0].op, entry[0].srcs, entry[0].arg) for entry in fn.captured):
        return None
    if any(edge is None or edges.count(edge) != 1 for edge in fn.edges):
        return None  # none, or the same one twice: which tensor's it is cannot be said
    places = [(t, number, False) for number, t in enumerate(tensors)]
    places += [(t, number, True) for number, t in enumerate(outs)]
    saved = []
    for stored, *_, node, view, _, _ in fn.saved:
        found = [
            (number, is_result)
            for t, number, is_result in places
            if t._storage is stored and t._view == view and node_of(t) is node
        ]
        if len(found) != 1:
            return None
        saved += found
    metas = [(t._meta, number) for number, t in enumerate(outs)]
    if any(m is not None and (m.fn is not fn or m.nr != number) for m, number in metas):
        return None

    def numbers(nodes: Iterable[Node]) -> tuple[int, ...]:
        return tuple([index[node] for node in nodes])

    return Record(
        type(fn),
        tuple([edges.index(edge) for edge in fn.edges]),
        numbers(fn.in_nodes),
        numbers(fn.out_nodes),
        numbers([entry[0] for entry in fn.captured]),
        numbers(fn.stops),
        numbers(fn.kept),
        tuple(saved),
        fn.reads_values,
        getattr(fn, "inputs", None),
    )
