"""Where gradients flow: records are made here when operations run, and views keep theirs.

Owns: which tensors need a gradient, the record of an operation and of a gradient, what versions
are remembered for it, and the history that a view takes over from its base. Must not know: any
operation, or in which order records run.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from lazygrad.autograd.capture import capture
from lazygrad.autograd.graph import (
    WITH_NUMBERS,
    AccumulateGrad,
    BaseFn,
    Edge,
    GradFn,
    fn_class,
    refusing,
)
from lazygrad.autograd.hooks import Packed
from lazygrad.autograd.modes import mode
from lazygrad.autograd.saved import Saved
from lazygrad.autograd.steps import Part, renumbered
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.views import View
from lazygrad.tensor import storage as memory
from lazygrad.tensor.core import (
    Meta,
    Tensor,
    alias,
    node_of,
    version_of,
    view_of,
    wrap,
    wrap_as,
)
from lazygrad.tensor.storage import reads, strided

_ref = weakref.ref

# what a record saves: tensors by number, or the result; (1, 0): tensor 1, if 0 wants a gradient
Saves = Sequence[int | tuple[int, int]]
RESULT = -1

# -- history ------------------------------------------------------------------------------------


def needs_grad(t: Tensor) -> bool:
    """Whether gradients flow to this tensor, or to what it is a view of."""
    meta = t._meta
    if meta is None:
        return False
    return meta.requires_grad or (meta.base is not None and needs_grad(meta.base))


def fn_of(t: Tensor) -> BaseFn | None:
    """The record that made this tensor. A view's is made again when its storage was changed."""
    meta = t._meta
    if meta is None:
        return None
    if meta.base is not None and meta.version != version_of(t):
        _refresh(t, meta)
    return meta.fn


def meta_of(t: Tensor) -> Meta:
    meta = t._meta
    if meta is None:
        meta = t._meta = Meta()
    return meta


def relabelled(t: Tensor, kind: type[BaseFn]) -> Tensor:
    """`t`, whose record (if it has one) is now of another class."""
    if t._meta is not None and t._meta.fn is not None:
        t._meta.fn.__class__ = kind
    return t


def not_differentiated(t: Tensor, name: str) -> Tensor:
    """The result of what PyTorch has no gradient of: backward raises."""
    words = f"derivative for aten::{name} is not implemented"
    return relabelled(t, refusing("NotImplemented", RuntimeError, words))


def edge_of(t: Tensor) -> Edge:
    """Where this tensor's gradient goes."""
    meta = t._meta
    if meta is None:
        return None
    if meta.base is None:
        if not meta.requires_grad:
            return None
        return (accumulator_of(t, meta), 0) if meta.fn is None else (meta.fn, meta.nr)
    if not needs_grad(t):
        return None
    fn = fn_of(t)
    if fn is not None:
        return (fn, meta.nr)
    if not meta.requires_grad:
        return None  # a view made without gradient: only what it is a view of needs one
    return (accumulator_of(t, meta), 0)


def accumulator_of(t: Tensor, meta: Meta) -> AccumulateGrad:
    found = meta.accumulator and meta.accumulator()
    if found is None:
        found = AccumulateGrad(t)
        meta.accumulator = weakref.ref(found)
    return found


def recording(tensors: Sequence[Tensor]) -> bool:
    """Whether an operation on these is to be recorded."""
    if not mode.grad:
        return False
    return any(t._meta is not None and needs_grad(t) for t in tensors)


def record(
    name: str,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    node: Node,
    order: Sequence[int] | None = None,
    saves: Saves | None = None,
) -> Tensor:
    """The result of an operation on `tensors`, whose values it took as `nodes`.

    `saves` says what PyTorch's record saves, where that is not what our rules read.
    """
    if mode.grad:
        for t in tensors:
            if t._meta is not None and needs_grad(t):
                return _recorded(name, tensors, nodes, node, order, saves)
    return wrap(node) if order is None else wrap_as(node, order)


def _recorded(
    name: str,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    node: Node,
    order: Sequence[int] | None,
    saves: Saves | None,
) -> Tensor:
    if node.dtype.kind != "f":
        return wrap_as(node, order)
    if reads:
        memory.freeze()
    fn = make_fn(name, tensors, nodes, [node])
    result = wrap_as(node, order)
    if saves is None:
        note_saved(fn, tensors, nodes, [result], [node])
    else:
        _note(fn, saves, tensors, nodes, result, node)
    attach(result, fn, 0)
    return result


def record_many(
    name: str,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    outs: Sequence[Node],
    order: Sequence[int] | None = None,
) -> list[Tensor]:
    """As `record`, for several results; those that are not floating get no history."""
    fn = None
    if recording(tensors) and any(out.dtype.kind == "f" for out in outs):
        if reads:
            memory.freeze()
        fn = make_fn(name, tensors, nodes, outs)
    if reads:
        memory.settle(list(outs))
    results = [wrap_as(out, order) for out in outs]
    if fn is not None:
        note_saved(fn, tensors, nodes, results, outs)
        for number, result in enumerate(results):
            if outs[number].dtype.kind == "f":
                attach(result, fn, number)
    return results


def make_fn(
    name: str,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    outs: Sequence[Node],
    stops: Sequence[Node] = (),
) -> GradFn:
    """The record of an operation. The same tensor given twice is one input.

    What tensors without gradient were computed from is none of its business.
    """
    ins: list[Node] = []
    edges: list[Edge] = []
    given: list[Node] = list(stops)
    inputs: list[int] = []
    for t, node in zip(tensors, nodes):
        edge = edge_of(t)
        if edge is None:
            given.append(node)
            if node.dtype.kind == "f" or name in WITH_NUMBERS:
                inputs.append(-1)
        elif node not in ins:
            inputs.append(len(ins))
            ins.append(node)
            edges.append(edge)
        else:
            inputs.append(ins.index(node))
    fn = fn_class(name)(ins, outs, edges, capture(outs, ins, None, given), given)
    if len(inputs) != len(edges):
        fn.inputs = tuple(inputs)
    return fn


def note_saved(
    fn: GradFn,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    results: Sequence[Tensor],
    outs: Sequence[Node],
) -> None:
    """Remember the versions of what the gradient rules will read."""
    kept = fn.keep(nodes)
    if not kept:
        return
    for t, node in zip(tensors, nodes):
        if node in kept:
            meta = t._meta
            fn.saved.append(saved_entry(t, node, maker_of(t), meta.nr if meta else 0))
    for number, (t, node) in enumerate(zip(results, outs)):
        if node in kept:
            fn.saved.append(saved_entry(t, node, type(fn), number, is_result=True))


def _note(
    fn: GradFn,
    saves: Saves,
    tensors: Sequence[Tensor],
    nodes: Sequence[Node],
    result: Tensor,
    node: Node,
) -> None:
    """Remember the versions of what PyTorch's record saves. What our rules read besides is kept,
    and is what it was: no write changes a node."""
    fn.keep(nodes)
    for wanted in saves:
        at, reader = wanted if isinstance(wanted, tuple) else (wanted, None)
        if reader is not None and not needs_grad(tensors[reader]):
            continue
        if at == RESULT:
            fn.saved.append(saved_entry(result, node, type(fn), 0, is_result=True))
            continue
        t = tensors[at]
        fn.saved.append(saved_entry(t, nodes[at], maker_of(t), t._meta.nr if t._meta else 0))
    fn.reads_values = bool(fn.saved) or fn.reads_given()


def maker_of(t: Tensor) -> type[BaseFn] | None:
    """The class of the record that made a tensor."""
    meta = t._meta
    return None if meta is None or meta.fn is None else type(meta.fn)


def saved_entry(
    t: Tensor, node: Node, maker: type[BaseFn] | None, number: int, is_result: bool = False
) -> Saved:
    """What a record remembers of a tensor that it saves. A result is saved by its value, anything
    else as itself: it is read in backward wherever it is then (`t.data = ...`)."""
    stored = t._storage
    if stored.inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
            "inference mode in computation tracked by autograd. To work around this, you can make "
            "a clone to get a normal tensor and use it in autograd, or use `lazygrad.no_grad()` "
            "instead of `lazygrad.inference_mode()`."
        )
    counter = t._meta.loose if t._meta is not None else None
    version = stored.version if counter is None else counter[0]
    if mode.packs:
        handle: Any = Packed(alias(t))
    else:
        handle = None if is_result else _ref(t)
    writes = stored.version + stored.loose + stored.exports
    return (stored, version, writes, maker, number, node, t._view, counter, handle)


def with_inputs(result: Tensor, outline: Sequence[Part]) -> Tensor:
    """`result`, whose record shows its inputs so, as PyTorch's has them (autograd/steps.py)."""
    fn = result._meta.fn if result._meta is not None else None
    if isinstance(fn, GradFn):
        have = getattr(fn, "inputs", tuple(range(len(fn.edges))))
        fn.inputs = renumbered(outline, have)
    return result


def saving(result: Tensor, *tensors: Tensor) -> Tensor:
    """`result`, whose record saves these: PyTorch's does where ours has nothing to read."""
    fn = result._meta.fn if result._meta is not None else None
    if isinstance(fn, GradFn):
        fn.reads_values = True
        for t in tensors:
            nr = t._meta.nr if t._meta else 0
            fn.saved = [*fn.saved, saved_entry(t, node_of(t), maker_of(t), nr)]
    return result


def attach(t: Tensor, fn: BaseFn, number: int) -> None:
    """Make `t` the output of a record."""
    meta = t._meta
    if meta is None:
        meta = t._meta = Meta()
    meta.requires_grad = True
    meta.fn = fn
    meta.nr = number


def renew(t: Tensor, fn: BaseFn, number: int) -> None:
    """Make `t`, which was written to, the output of a record: it is there that it now keeps its
    gradient, if it does. Hooks stay where they were."""
    meta = meta_of(t)
    old, kept = meta.fn, meta.nr
    attach(t, fn, number)
    if old is not None:
        meta.hooks = None
    held = old.retained.get(kept) if old is not None and old.retained else None
    if held is not None and held() is t:
        del old.retained[kept]  # type: ignore[union-attr]
        fn.retained = {**(fn.retained or {}), number: held}


def record_gradient(
    forward: GradFn,
    grads: Sequence[Any],
    given: Sequence[Node | None],
    results: Sequence[Node | None],
    tensors: Sequence[Tensor | None],
) -> None:
    """The record of a record's gradient: from the incoming gradients and the forward's inputs."""
    ins: list[Node] = []
    edges: list[Edge] = []
    pairs = [(node, edge_of(g)) for node, g in zip(given, grads) if node is not None]
    for node, edge in (*pairs, *zip(forward.in_nodes, forward.edges)):
        if edge is not None and node not in ins:
            ins.append(node)
            edges.append(edge)
    outs = [node for node in results if node is not None]
    known = {entry[0]: entry for entry in forward.captured}
    # an incoming gradient without history is a constant, whatever it was computed from
    stops = [node for node in given if node is not None and node not in ins]
    stops += [node for node in forward.stops if node not in ins]
    entries = capture(outs, ins, known, stops)
    # gradients of linear operations do not depend on the operation's inputs
    made = {entry[0] for entry in entries}
    used = {src for entry in entries for src in entry[2]}.union(outs)
    pairs = [(node, edge) for node, edge in zip(ins, edges) if node in used]
    reached = made.union(node for node, _ in pairs)
    outs = [node for node in outs if node in reached]
    if not outs:
        return
    fn = fn_class(_second(forward.name()))(
        [node for node, _ in pairs], outs, [edge for _, edge in pairs], entries, stops
    )
    fn.keep()
    for t, node in zip(tensors, results):  # type: ignore[assignment]
        if t is not None and node in reached:
            attach(t, fn, outs.index(node))


def _second(name: str) -> str:
    """The name of the gradient of the record of this name."""
    if name.startswith(("Add", "Sub", "Sum", "Mean", "View", "Permute", "Transpose", "T")):
        return name
    stem = name.rstrip("0123456789")
    return f"{stem}Backward0"


def check_view_write(meta: Meta, what: str = "is being") -> None:
    """Raise if a view must not be written to, or what it is a view of. `meta` is the view's."""
    if not meta.creation:
        return
    stem, _, number = meta.fn.name().partition("Backward") if meta.fn is not None else ("", "", "")
    name = stem + (number if number != "0" else "")
    if meta.fn is not None and meta.creation == "multi":
        text = f"Output {meta.nr} of {name} is a view and {what} modified inplace."
    else:
        kind = f"Output {meta.nr} of {name} is a view of a view which" if name else "A view"
        text = (
            f"{kind} was created in no_grad mode and {what} modified inplace with grad mode "
            "enabled."
        )
    raise RuntimeError(f"{text} {_FORBIDDEN[meta.creation]}")


_FORBIDDEN = {
    "multi": (
        "This view is the output of a function that returns multiple views. Such functions do "
        "not allow the output views to be modified inplace. You should replace the inplace "
        "operation by an out-of-place one."
    ),
    "no_grad": (
        "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify "
        "your code by moving both the view and the inplace either both inside the no_grad block "
        "(if you don't want the inplace to be tracked) or both outside (if you want the inplace "
        "to be tracked)."
    ),
}


def strided_in(whole: Node, node: Node, outer: View, view: View) -> Node:
    """`view` of the storage whose value is `whole`, as a function of the `outer` view's node."""
    if outer.is_contiguous and outer.numel == whole.numel:
        return strided(node, view)
    return strided(ops.write(whole, node, outer), view)


def _refresh(t: Tensor, meta: Meta) -> None:
    """A view after its storage was changed: its history is the base's."""
    base = meta.base
    assert base is not None
    if meta.fn is None and not needs_grad(base):
        return
    check_view_write(meta, "its base or another view of its base has been")
    meta.version = version_of(t)
    outer = node_of(base)
    whole = memory.read(t._storage)
    mine = strided_in(whole, outer, view_of(base), view_of(t))
    if t._storage.node is not None:
        t._cached = (t._storage.node, mine)
    else:
        memory.freeze()
        memory.forget()
    entries = capture([mine], [outer], None, [whole])
    renew(t, fn_class("AsStridedBackward0")([outer], [mine], [edge_of(base)], entries), 0)
