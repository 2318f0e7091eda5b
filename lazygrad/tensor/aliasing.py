"""Several tensors on one storage: how views are made, and what a write through one does to all.

Owns: views and their history, the checks before an in-place write, the write itself and the
history it leaves behind (`CopySlices` where it went through a view). Must not know: any
operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

from lazygrad.autograd.capture import capture
from lazygrad.autograd.graph import GradFn, fn_class
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.views import View, contiguous_strides
from lazygrad.tensor import promotion
from lazygrad.tensor import storage as memory
from lazygrad.tensor.core import (
    Meta,
    Tensor,
    node_of,
    shape_of,
    version_of,
    view_of,
    wrap,
)
from lazygrad.tensor.history import (
    attach,
    check_view_write,
    edge_of,
    fn_of,
    meta_of,
    needs_grad,
    recording,
    renew,
    saved_entry,
    strided_in,
    with_inputs,
)
from lazygrad.tensor.size import Size, extents
from lazygrad.tensor.storage import depth, reads, strided

_alloc = object.__new__

# -- views --------------------------------------------------------------------------------------


def make_view(t: Tensor, view: View, name: str, op: Any = None, arg: Any = None) -> Tensor:
    """Another tensor on t's storage. `op` with `arg` says what it is of t, where one op does."""
    made = _alloc(Tensor)
    stored = t._storage
    made._storage = stored
    made._view = view
    made._cached = None
    meta = made._meta = Meta()
    source = t._meta
    meta.base = t if source is None or source.base is None else source.base
    meta.loose = None if source is None else source.loose
    meta.version = version_of(made)
    if not mode.grad and not depth.value:
        meta.creation = "no_grad"
    elif source is not None:
        meta.creation = source.creation
    if stored.node is not None and op is not None:
        made._cached = (stored.node, op(node_of(t), arg=arg))
    if source is not None and mode.grad and stored.dtype.kind == "f" and needs_grad(t):
        whole, before, after = memory.read(stored), node_of(t), node_of(made)
        entries = capture([after], [before], None, [whole])
        if not entries:  # nobody said what it is of t: it is so many elements of the storage
            after = strided_in(whole, before, view_of(t), view)
            entries = capture([after], [before], None, [whole])
            made._cached = (whole, after)
        if stored.node is None:
            memory.freeze()
            memory.forget()
        attach(made, fn_class(name)([before], [after], [edge_of(t)], entries), 0)
    if reads and not depth.value:
        memory.forget()
    return made


def make_views(t: Tensor, name: str, parts: Iterable[Callable[[], Tensor]]) -> tuple[Tensor, ...]:
    """Several views made by one operation, of which there is one record."""
    before = mode.grad
    mode.grad = False
    try:
        made = [part() for part in parts]
    finally:
        mode.grad = before
    if made and recording((t,)) and t.dtype.kind == "f":
        whole, source = memory.read(t._storage), node_of(t)
        outs = [node_of(part) for part in made]
        if t._storage.node is None:
            outs = [strided_in(whole, source, view_of(t), view_of(part)) for part in made]
            memory.freeze()
            memory.forget()
        entries = capture(outs, [source], None, [whole])
        fn = fn_class(name)([source], outs, [edge_of(t)], entries)
        for number, part in enumerate(made):
            attach(part, fn, number)
    for part in made:
        meta_of(part).creation = "multi" if before else "no_grad"
    return tuple(made)


# -- in-place -----------------------------------------------------------------------------------


def repeated_axes(t: Tensor) -> tuple[int, ...]:
    """The axes along which a tensor that was expanded is one place in memory."""
    view = t._view
    if view is None or 0 not in view.strides or not view.numel:
        return ()
    pairs = enumerate(zip(view.strides, view.shape))
    return tuple(axis for axis, (stride, extent) in pairs if stride == 0 and extent > 1)


def check_inplace(t: Tensor, others: Sequence[Any] = (), may_repeat: bool = False) -> None:
    """Raise where PyTorch refuses to write to `t` what it computes of `t` and `others`.

    Some writes may go to repeated elements too.
    """
    if t._storage.inference and not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make "
            "a clone to get a normal tensor before doing inplace update."
        )
    if mode.grad and t._meta is not None:
        _check_history(t, t._meta, others)
    if not may_repeat and repeated_axes(t):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def _check_history(t: Tensor, meta: Meta, others: Sequence[Any]) -> None:
    """Raise where a write to `t` cannot be recorded."""
    wanted = needs_grad(t)
    if not wanted and not any(isinstance(o, Tensor) and needs_grad(o) for o in others):
        return
    base = meta.base
    if base is not None:
        check_view_write(meta)
        if wanted and (base._meta is None or base._meta.fn is None):
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
    if wanted and meta.fn is None:
        # so is a view whose base has got a history since, until it is asked for its own
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )


def check_overlap(t: Tensor, other: Tensor, any_place: bool = False) -> None:
    """Raise if a write to `t` would change what is still to be read from `other`.

    Operations that go element by element may read the very place they write; with `any_place`
    not even that.
    """
    if t._storage is not other._storage or (t is other and not any_place):
        return
    a, b = view_of(t), view_of(other)
    if not (is_dense(a) and is_dense(b)) or not a.numel or not b.numel:
        return
    low, high = a.bounds()
    first, last = b.bounds()
    if last < low or high < first:
        return
    if not any_place and (low, a.numel) == (first, b.numel) and a.strides == b.strides:
        return
    raise RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor "
        "refer to a single memory location. Please clone() the tensor before performing the "
        "operation."
    )


def is_dense(view: View) -> bool:
    """Whether the elements fill their span of memory, each place once."""
    step = 1
    for stride, extent in sorted((s, e) for s, e in zip(view.strides, view.shape) if e != 1):
        if stride != step:
            return False
        step *= extent
    return True


def resize(t: Tensor, shape: Shape) -> None:
    """`resize_`, without its checks of the shape and of gradients.

    Raises RuntimeError if memory that is shared with others were to become larger. Memory that
    becomes larger is t's alone from then on.
    """
    stored, offset = t._storage, t.storage_offset()
    room, count = prod(stored.shape), prod(shape)
    t._cached = None
    if offset + count <= room or not count:
        t._view = View(shape, contiguous_strides(shape), offset)
        return
    if stored.shared is not None:
        raise RuntimeError("Trying to resize storage that is not resizable")
    flat = ops.reshape(memory.read(stored), arg=(room,))
    flat = ops.slice_(flat, arg=((min(offset, room), room, 1),))
    grown = ops.pad(flat, arg=((0, count - flat.shape[0]),))
    t._storage, t._view = memory.Storage(ops.reshape(grown, arg=shape)), None


def adopt(t: Tensor, result: Tensor, name: str | None = None, twice: int = 0) -> Tensor:
    """Write `result` into `t` and let t's history be the result's. `check_inplace` came before.

    `name` is given for operations whose result does not depend on t, and names the record.
    `twice` says how many other operands t was itself.
    """
    node = node_of(result)
    stored = t._storage
    if node.shape != shape_of(t):
        raise RuntimeError(
            f"output with shape {extents(shape_of(t))} doesn't match the broadcast shape "
            f"{extents(node.shape)}"
        )
    if node.dtype is not stored.dtype:
        if not promotion.can_cast(node.dtype, stored.dtype):
            raise RuntimeError(
                f"result type {promotion.type_name(node.dtype)} can't be cast to the desired "
                f"output type {promotion.type_name(stored.dtype)}"
            )
        result = _cast(result, stored.dtype)
        node = node_of(result)
    if not mode.grad or (t._meta is None and result._meta is None):
        put(t, node)
        return t
    if not needs_grad(result):
        if not needs_grad(t):
            put(t, node)
            return t
        edge = edge_of(t)
        if edge is not None:
            attach(result, fn_class(name or "CopyBackwards")([node_of(t)], [node], [edge], []), 0)
            if name == "CopyBackwards":
                with_inputs(result, (0, -1))
    elif name is not None and needs_grad(t):
        _from_both(t, result)
        if name == "CopyBackwards":
            with_inputs(result, (1, 0))
    elif name == "CopyBackwards":
        with_inputs(result, (-1, 0))
    before = node_of(t)
    _rebase(t, result, node)
    _move_saved(t, result, before, twice)
    return t


def _cast(result: Tensor, dtype: DType) -> Tensor:
    """A fresh result in the dtype of what it is written to: the same record makes it."""
    node = node_of(result)
    meta = result._meta
    made = wrap(ops.cast(node, arg=dtype))
    fn = meta.fn if meta is not None else None
    if fn is None or dtype.kind != "f":
        return made
    if not isinstance(fn, GradFn) or fn.out_nodes != (node,):
        return result.to(dtype)
    narrow = node_of(made)
    fn.out_nodes = (narrow,)
    fn.captured = [*fn.captured, (narrow, narrow.op, (node,), dtype)]
    attach(made, fn, 0)
    return made


def _from_both(t: Tensor, result: Tensor) -> None:
    """A value that was written over gets a gradient of zeros."""
    fn, old = result._meta.fn, node_of(t)  # type: ignore[union-attr]
    if isinstance(fn, GradFn) and old not in fn.in_nodes:
        fn.in_nodes, fn.edges = (*fn.in_nodes, old), (*fn.edges, edge_of(t))


def _move_saved(t: Tensor, result: Tensor, before: Node, twice: int) -> None:
    """What an in-place operation saves: its result is t now; of what t was it kept a copy.

    Of its other operands it did not, even where they are in the same memory.
    """
    fn = result._meta.fn if result._meta is not None else None
    if not isinstance(fn, GradFn) or not fn.saved:
        return
    stored = t._storage
    own = [
        entry
        for entry in fn.saved
        if entry[0] is stored
        and (entry[5] is before or (stored.shared is not None and entry[6] == t._view))
    ]  # memory that is shared is another node at each look
    copied = own[: len(own) - twice]
    fn.saved = [
        saved_entry(t, node, maker, number, is_result=True)
        if storage is result._storage
        else (storage, version, writes, maker, number, node, *where)
        for storage, version, writes, maker, number, node, *where in _without(fn.saved, copied)
    ]


def _without(entries: list[Any], dropped: list[Any]) -> list[Any]:
    gone = set(map(id, dropped))
    return [entry for entry in entries if id(entry) not in gone]


def put(t: Tensor, node: Node) -> None:
    """Write a value into t's memory, nothing else."""
    stored, view = t._storage, t._view
    if view is None:
        memory.write(stored, node)
    elif view.is_contiguous and view.numel == Size(stored.shape).numel():
        memory.write(
            stored, node if node.shape == stored.shape else ops.reshape(node, arg=stored.shape)
        )
    else:
        memory.write_view(stored, view, node)
    note_write(t)
    if reads:
        memory.forget()


def note_write(t: Tensor) -> None:
    """Another version of t's memory; what is written through `.data` counts for itself."""
    meta = t._meta
    if meta is None or meta.loose is None:
        t._storage.version += 1
    else:
        t._storage.loose += 1
        meta.loose[0] += 1


def _rebase(t: Tensor, result: Tensor, node: Node) -> None:
    meta = meta_of(t)
    base = meta.base
    if base is None:
        put(t, node)
        if result._meta is not None and result._meta.fn is not None:
            renew(t, result._meta.fn, result._meta.nr)
        return
    # a view: the base's new value is the old one with the result written into it
    old, outer, view = node_of(base), view_of(base), view_of(t)
    edge = edge_of(base)
    put(t, node)
    if outer.is_contiguous and t._storage.node is not None and base._view is None:
        new = t._storage.node
        if view.is_contiguous and new is node:
            new = ops.reshape(node, arg=old.shape)
            t._storage.node = new
    else:
        size = max(
            outer.bounds()[1] + 1 if outer.numel else 1, view.bounds()[1] + 1 if view.numel else 1
        )
        room = ops.zeros((size,), old.dtype, old.device)
        changed = ops.write(ops.write(room, old, outer), node, view)
        new = strided(changed, outer)
        if t._storage.node is not None:
            base._cached = (t._storage.node, new)
    ins, edges = [], []
    for source, where in ((old, edge), (node, edge_of(result))):
        if where is not None:
            ins.append(source)
            edges.append(where)
    fn = fn_class("CopySlices")(ins, [new], edges, capture([new], ins))
    fn.reads_values = True  # as PyTorch's, it works once
    renew(base, fn, 0)
    meta.version = -1
    fn_of(t)  # its history is made again from the base's
