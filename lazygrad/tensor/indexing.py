"""Indexing: x[...] and x[...] = v with ints, slices, None, Ellipsis, masks and index tensors.

Owns: how an index expression is read, the view that its basic part is, and gathers and scatters
for the rest. Must not know: how a gather is computed or a write reaches memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.autograd.composite import composite
from lazygrad.autograd.steps import Part
from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.views import View
from lazygrad.tensor import promotion as P
from lazygrad.tensor.aliasing import (
    adopt,
    check_inplace,
    check_overlap,
    make_view,
    repeated_axes,
)
from lazygrad.tensor.checks import check_filling
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, node_of, nodes_of, shape_of, view_of, wrap
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_kind, declare, order_of
from lazygrad.tensor.history import record, saving, with_inputs
from lazygrad.tensor.index_plan import IndexPlan
from lazygrad.tensor.inplace import write_number
from lazygrad.tensor.size import extents

_BAD = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
    "indices (got {})"
)


def _as_items(index: Any) -> list[Any]:
    """The index as a list of simple items; lists, arrays and bools become tensors."""
    items = list(index) if isinstance(index, tuple) else [index]
    result: list[Any] = []
    for item in items:
        if item is None or item is Ellipsis or isinstance(item, (slice, int)):
            result.append(item)
        elif isinstance(item, Tensor):
            if not item.ndim and item.dtype.kind != "f":
                mask = item.dtype in (D.bool_, D.uint8)
                result.append((bool if mask else int)(host_values(item)))
            else:
                result.append(item)
        elif isinstance(item, np.integer):
            result.append(int(item))
        elif isinstance(item, (list, tuple, np.ndarray, range)):
            result.append(_sequence_index(item))
        elif isinstance(item, np.bool_):
            result.append(bool(item))
        elif isinstance(item, str):
            raise TypeError(f"new(): invalid data type '{type(item).__name__}'")
        elif hasattr(item, "__index__"):
            result.append(item.__index__())
        else:
            raise IndexError(_BAD.format(type(item).__name__))
    return result


def _sequence_index(item: Any) -> Tensor:
    from lazygrad.tensor.from_data import tensor

    if isinstance(item, (tuple, range)):
        item = list(item)
    if isinstance(item, list) and not item:
        return from_values(np.zeros(0, np.int64), D.int64)
    made = tensor(item, device="cpu")  # where its range is seen at once
    if made.dtype.kind == "f":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return made


def _bound(value: Any) -> Any:
    if value is None or type(value) is int:
        return value
    if isinstance(value, Tensor):
        return int(value)
    if not hasattr(value, "__index__"):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return value.__index__()


def _basic(
    t: Tensor, items: list[Any], refuse: Callable[[], None] | None = None
) -> tuple[Tensor, list[Tensor | None]]:
    """Apply ints, slices, None and Ellipsis as one view; index tensors stay, by axis of it.

    `refuse` is what may be wrong otherwise and is said before a mask's shape is.
    """
    old = view_of(t)
    used = 0
    for item in items:
        if isinstance(item, Tensor):
            used += item.ndim if item.dtype in (D.bool_, D.uint8) else 1
        elif isinstance(item, slice) or type(item) is int:
            used += 1
    rank = len(old.shape)
    if used > rank:
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    spans: list[tuple[int, int, int]] = []
    shape: list[int] = []
    strides: list[int] = []
    tensors: list[Tensor | None] = []
    masks: list[tuple[Tensor, int]] = []  # and the axis that each begins at
    offset, axis, name = old.offset, 0, "AliasBackward0"
    steps: Part = 0  # PyTorch has a record for each, of which the last one is this one's name
    seen_ellipsis = False
    for item in items:
        if type(item) is int:
            extent = old.shape[axis]
            if not -extent <= item < extent:
                raise IndexError(
                    f"index {item} is out of bounds for dimension {axis} with size {extent}"
                )
            at = item + extent if item < 0 else item
            spans.append((at, at + 1, 1))
            offset += at * old.strides[axis]
            axis += 1
            steps, name = _next_step(steps, name), "SelectBackward0"
        elif isinstance(item, slice):
            extent = old.shape[axis]
            start, stop, step = _bound(item.start), _bound(item.stop), _bound(item.step)
            if step is not None and step <= 0:
                if step == 0:
                    raise ValueError("slice step cannot be zero")
                raise ValueError("step must be greater than zero")
            first, last, step = slice(start, stop, step).indices(extent)
            last = max(first, last)
            spans.append((first, last, step))
            shape.append(-(-(last - first) // step))
            strides.append(old.strides[axis] * step)
            offset += first * old.strides[axis]
            tensors.append(None)
            axis += 1
            if len(items) == 1 or (first, last, step) != (0, extent, 1) or not _is_all(item):
                steps, name = _next_step(steps, name), "SliceBackward0"
        elif item is None or isinstance(item, bool):
            shape.append(1)
            strides.append(old.shape[axis] * old.strides[axis] if axis < rank else 1)
            if item is None:
                tensors.append(None)
            else:
                tensors.append(from_values(np.zeros(int(item), np.int64), D.int64))
            steps, name = _next_step(steps, name), "UnsqueezeBackward0"
        else:
            if item is Ellipsis:
                count, kept = (0, None) if seen_ellipsis else (rank - used, None)
                seen_ellipsis = True
            else:
                kept = item
                count = item.ndim if item.dtype in (D.bool_, D.uint8) else 1
            for _ in range(count):
                spans.append((0, old.shape[axis], 1))
                shape.append(old.shape[axis])
                strides.append(old.strides[axis])
                tensors.append(None)
                axis += 1
            if kept is not None:
                at = len(tensors) - count
                if kept.dtype in (D.bool_, D.uint8):
                    masks.append((kept, at))
                else:
                    tensors[at] = kept
    for rest in range(axis, rank):
        spans.append((0, old.shape[rest], 1))
        shape.append(old.shape[rest])
        strides.append(old.strides[rest])
        tensors.append(None)
    for mask, at in masks:
        _place_mask(mask, at, shape, tensors, refuse)
    view = View(tuple(shape), tuple(strides), offset)
    if view == old and len(items) and any(isinstance(i, Tensor) for i in items):
        return t, tensors
    full = all(span == (0, e, 1) for span, e in zip(spans, old.shape))

    def build(node: Node, arg: Shape) -> Node:
        if not full:
            node = ops.slice_(node, arg=tuple(spans))
        return node if node.shape == arg and not full else ops.reshape(node, arg=arg)

    made = make_view(t, view, name, build, view.shape)
    return with_inputs(made, (steps,)) if steps else made, tensors


def _next_step(before: Part, name: str) -> Part:
    """What the step after this one is of, in the graph as PyTorch shows it."""
    return before if name == "AliasBackward0" else (name, before)


def _place_mask(
    mask: Tensor,
    at: int,
    shape: list[int],
    tensors: list[Tensor | None],
    refuse: Callable[[], None] | None,
) -> None:
    """A mask stands for the positions where it holds, one index tensor for each of its axes."""
    for i, extent in enumerate(shape_of(mask)):
        if extent != shape[at + i]:
            if refuse is not None:
                refuse()
            raise IndexError(
                f"The shape of the mask {extents(shape_of(mask))} at index {i} does not match "
                f"the shape of the indexed tensor {extents(shape)} at index {at + i}"
            )
    found = np.nonzero(np.atleast_1d(host_values(mask))) if mask.ndim else ()
    for i, where in enumerate(found):
        tensors[at + i] = from_values(where.astype(np.int64), D.int64)


def getitem(self: Tensor, index: Any) -> Tensor:
    """x[index]: a view where only ints, slices, None and Ellipsis are used."""
    kind = type(index)
    if kind is int and self._view is None and len(self._storage.shape) > 0:
        shape = self._storage.shape
        if not -shape[0] <= index < shape[0]:
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {shape[0]}")
        from lazygrad.tensor.parts import selected

        return selected(self, 0, index + shape[0] if index < 0 else index)
    if not shape_of(self) and kind is int:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
            "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
        )
    items = _as_items(index)
    base, tensors = _basic(self, items)
    if all(t is None for t in tensors):
        return base
    return saving(_gathered(base, tensors), *_saved_indices(items))


def _saved_indices(items: Sequence[Any]) -> list[Tensor]:
    """The index tensors that a record saves, masks as they are: PyTorch's versions are theirs."""
    return [item for item in items if isinstance(item, Tensor)]


def _gathered(base: Tensor, tensors: Sequence[Tensor | None]) -> Tensor:
    plan = IndexPlan(base, tensors)
    x = node_of(base)
    value = plan.out(ops.gather(plan.rows(x), plan.index(), arg=0))
    if value.op is not ops.gather and value.op.name == "permute":
        value = ops.copy(value)
    return record("IndexBackward0", (base,), (x,), value, _layout(plan, base, tensors))


def _layout(plan: IndexPlan, base: Tensor, tensors: Sequence[Tensor | None]) -> list[int] | None:
    """The order of axes in a gather's memory: that of the base, then of the index tensors."""
    if base._view is None:
        return None
    steps, at, lead = base._view.strides, plan.at, len(plan.joint)
    rest = tuple(steps[a] for a in plan.rest)
    asked = [rest[:at] + (0,) * lead + rest[at:]]
    for t in tensors:
        if t is not None:
            own = view_of(t).expand(plan.joint).strides
            asked.append((0,) * at + own + (0,) * (len(rest) - at))
    return order_of(asked, plan.result_shape)


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """x[index] = value."""
    items = _as_items(index)
    if not isinstance(value, (Tensor, float)):
        value = _assigned(self, value)
    masks = [i for i in items if isinstance(i, Tensor) and i.dtype is D.bool_]
    if (
        len(items) == 1
        and len(masks) == 1
        and (not isinstance(value, Tensor) or value.numel() == 1)
        and shape_of(masks[0]) == shape_of(self)
    ):
        _fill_mask(self, masks[0], value)
        return
    base, tensors = _basic(self, items, lambda: check_inplace(self, (value,), may_repeat=True))
    if view_of(base) == view_of(self) and all(map(_is_all, items)):
        base = self
    elif base is self:
        base = (
            make_view(self, view_of(self), "AliasBackward0", ops.reshape, shape_of(self))
            if (self._meta is not None and self._meta.base is not None)
            or any(
                item is None or (isinstance(item, (int, slice)) and not _is_all(item))
                for item in items
            )
            else self
        )
    if all(t is None for t in tensors):
        if isinstance(value, Tensor):
            shape = shape_of(value)
            if not shape and base.ndim:
                write_number(base, value, 3)
                return
            if shape != shape_of(base):
                while shape and shape[0] == 1:
                    shape = shape[1:]
            if shape != shape_of(value):
                value = value.reshape(shape)
            _check_assign(shape, shape_of(base))
            if shape != shape_of(base):
                value = value.expand(shape_of(base))
            base.copy_(value)
        else:
            write_number(base, value, 3)
        return
    by_mask = _are_masks(items)
    if by_mask and (not isinstance(value, Tensor) or value.numel() == 1):
        bytes_ = [i for i in items if isinstance(i, Tensor) and i.dtype is D.uint8]
        if len(bytes_) == 1 and not masks:
            raise RuntimeError(
                "masked_fill_ only supports boolean masks, but got mask with dtype unsigned char"
            )
    if by_mask and isinstance(value, Tensor) and value._storage is self._storage:
        value = value.clone() if value.numel() == 1 else value
    for mask in masks:
        check_overlap(base, mask, any_place=True)
    _put(base, items, tensors, value, False, by_mask, lenient=True)


def _assigned(t: Tensor, value: Any) -> Any:
    """The number to be written, of what is no tensor and no float.

    Raises TypeError for an array too, and for numpy's numbers that are no integers (its float64
    is a Python float); ValueError for an integer that int64 does not have.
    """
    if type(value) is complex:
        return value
    if not isinstance(value, (int, np.integer)):
        kind = type(value)
        name = f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__
        raise TypeError(f"can't assign a {name} to a lazygrad.{P.type_name(t.dtype)}Tensor")
    if isinstance(value, np.integer):
        value = int(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return value


def _check_assign(shape: Shape, target: Shape) -> None:
    lead = len(target) - len(shape)
    for axis, extent in enumerate(shape):
        if lead < 0 or (extent != 1 and extent != target[lead + axis]):
            if lead < 0:
                raise RuntimeError(
                    f"expand(lazygrad.FloatTensor{{{extents(shape)}}}, size={extents(target)}): "
                    f"the number of sizes provided ({len(target)}) must be greater or equal to "
                    f"the number of dimensions in the tensor ({len(shape)})"
                )
            raise RuntimeError(
                f"The expanded size of the tensor ({target[lead + axis]}) must match the "
                f"existing size ({extent}) at non-singleton dimension {lead + axis}.  Target "
                f"sizes: {extents(target)}.  Tensor sizes: {extents(shape)}"
            )


def _is_all(item: Any) -> bool:
    """Whether an item leaves an axis as it is, at first sight as PyTorch sees it."""
    if item is Ellipsis:
        return True
    return (
        isinstance(item, slice)
        and item.start in (None, 0)
        and item.step in (None, 1)
        and (item.stop is None or _bound(item.stop) >= 0)
    )


def _are_masks(items: Sequence[Any]) -> bool:
    """Whether all index tensors are masks."""
    given = [i for i in items if isinstance(i, (Tensor, bool))]
    return all(isinstance(i, Tensor) and i.dtype in (D.bool_, D.uint8) for i in given)


def mask_of_places(t: Tensor, mask: Tensor) -> Tensor:
    """A mask of the shape of `t` that holds at all elements of a place if it does at one."""
    axes = repeated_axes(t)
    if not axes:
        return mask
    shape = shape_of(t)
    m = P.spread_to(node_of(mask), shape)
    return wrap(ops.spread(ops.max_(m, arg=axes), shape))


def _fill_mask(self: Tensor, mask: Tensor, value: Any) -> None:
    check_inplace(self, (value,), may_repeat=True)
    check_overlap(self, mask)
    mask = mask_of_places(self, mask)
    x = node_of(self)
    m = node_of(mask)
    if mask.is_cpu and m.device != x.device:  # indices on the host serve any device
        m = ops.to_device(m, x.device)
    if isinstance(value, Tensor):
        check_filling(value, x.dtype)
        nodes = nodes_of(self, value)
        x = nodes[0]
        one = ops.reshape(nodes[1], arg=()) if nodes[1].shape else nodes[1]
        node = ops.where(m, P.cast(one, x.dtype), x)
        result = record("IndexPutBackward0", (self, value), nodes, node)
    else:
        node = ops.where(m, P.filling(value, x.dtype, x.device, halves=False), x)
        result = record("IndexPutBackward0", (self,), (x,), node)
    adopt(self, saving(result, mask))


def _put(
    base: Tensor,
    items: Sequence[Any],
    tensors: Sequence[Tensor | None],
    value: Any,
    accumulate: bool,
    by_mask: bool = False,
    lenient: bool = False,
) -> None:
    """Write or add; `lenient`: a value may have more leading axes of extent 1 (assignment's)."""
    check_inplace(base, (value,), may_repeat=True)
    for given in (value, *tensors):
        if isinstance(given, Tensor):
            check_overlap(base, given, any_place=True)
    plan = IndexPlan(base, tensors)
    shape = plan.result_shape
    if isinstance(value, Tensor):
        if value.dtype is not base.dtype and not (by_mask and value.numel() == 1):
            raise RuntimeError(
                "Index put requires the source and destination dtypes match, got "
                f"{P.type_name(base.dtype)} for the destination and {P.type_name(value.dtype)} "
                "for the source."
            )
        given = shape_of(value)
        if lenient:
            while len(given) > len(shape) and given[0] == 1:
                given = given[1:]
            if given != shape_of(value):
                value = value.reshape(given)
        try:
            fits = P.joint_shape(given, shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {extents(given)} cannot be broadcast to "
                f"indexing result of shape {extents(shape)}"
            )
        if value.dtype is not base.dtype:
            check_filling(value, base.dtype)
        sources: tuple[Tensor, ...] = (base, value)
        nodes = nodes_of(base, value)
        x, v = nodes[0], P.cast(nodes[1], nodes[0].dtype)
    else:
        x = node_of(base)
        v = P.filling(value, x.dtype, x.device, halves=False)
        sources, nodes = (base,), [x]
    rows = plan.into(P.spread_to(v, shape))
    op = ops.scatter_add if accumulate else ops.scatter
    node = plan.back(op(plan.rows(x), plan.index(), rows, arg=0))
    result = record("IndexPutBackward0", sources, nodes, node)
    adopt(base, saving(result, *_saved_indices(items)))


@declare(function=False)
def index_put_(
    self: Tensor, indices: Sequence[Any], values: Any, accumulate: bool = False
) -> Tensor:
    """Write (or add) values at the positions given by index tensors."""
    check_kind(accumulate, (bool,), "index_put_", "accumulate", 4)
    for at, item in enumerate(indices):
        if item is not None and not isinstance(item, (Tensor, list)):
            raise TypeError(
                f"expected Tensor as element {at} in argument 1, but got {type(item).__name__}"
            )
    if not indices:
        self.copy_(values)
        return self
    return put_at(self, tuple(indices), values, accumulate)


def put_at(self: Tensor, indices: tuple[Any, ...], values: Any, accumulate: bool) -> Tensor:
    """`index_put_` whose positions may be any index."""
    items = _as_items(indices)
    base, tensors = _basic(self, items)
    target = self if base.shape == self.shape else base
    _put(target, items, tensors, values, accumulate, _are_masks(items))
    return self


@declare()
@composite("IndexPutBackward0", saves=("indices",))
def index_put(
    input: Tensor, indices: Sequence[Any], values: Any, accumulate: bool = False
) -> Tensor:
    return index_put_(input.clone(), indices, values, accumulate)
