"""Views of parts: select, narrow, split, unbind, diagonal, unfold, as_strided.

Owns: which part of a tensor each of them is. Must not know: shapes and axes as a whole (views.py).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from lazygrad.autograd.graph import fn_class
from lazygrad.autograd.modes import mode
from lazygrad.ir import ops
from lazygrad.ir.views import View
from lazygrad.runtime.memory import OutOfMemoryError
from lazygrad.tensor.aliasing import check_inplace, make_view, make_views, note_write
from lazygrad.tensor.core import (
    Tensor,
    axis_of,
    index_of,
    shape_of,
    version_of,
    view_of,
)
from lazygrad.tensor.declare import check_kind, check_tensor, declare, explained
from lazygrad.tensor.history import meta_of, needs_grad
from lazygrad.tensor.size import extents
from lazygrad.tensor.views import _reshape, size_args, squeeze, t, transpose, unsqueeze

# -- parts --------------------------------------------------------------------------------------


def sliced(input: Tensor, spans: tuple[tuple[int, int, int], ...], name: str) -> Tensor:
    return make_view(input, view_of(input).slice(spans), name, ops.slice_, spans)


@declare(short=True)
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One index along `dim`, which goes."""
    shape = shape_of(input)
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, len(shape))
    at = index_of(index)
    if not -shape[axis] <= at < shape[axis]:
        raise IndexError(
            f"select(): index {at} out of range for tensor of size {extents(shape)} at "
            f"dimension {axis}"
        )
    return selected(input, axis, at + shape[axis] if at < 0 else at)


def selected(input: Tensor, axis: int, at: int) -> Tensor:
    old = view_of(input)
    shape = old.shape[:axis] + old.shape[axis + 1 :]
    found = View(
        shape, old.strides[:axis] + old.strides[axis + 1 :], old.offset + at * old.strides[axis]
    )
    spans = tuple((at, at + 1, 1) if a == axis else (0, e, 1) for a, e in enumerate(old.shape))
    return make_view(
        input,
        found,
        "SelectBackward0",
        lambda node, arg: ops.reshape(ops.slice_(node, arg=spans), arg=arg),
        shape,
    )


@declare(short=True)
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` indices from `start` along `dim`."""
    shape = shape_of(input)
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = axis_of(dim, len(shape))
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    check_kind(start, (int, Tensor, np.integer), "narrow", "start", 3)
    first = int(start)
    extent = shape[axis]
    if not -extent <= first <= extent:
        raise IndexError(
            f"start out of range (expected to be in range of [{-extent}, {extent}], "
            f"but got {first})"
        )
    if first < 0:
        first += extent
    if first + length > extent:
        raise RuntimeError(
            f"start ({first}) + length ({length}) exceeds dimension size ({extent})."
        )
    return _span(input, axis, first, first + length)


def _span(input: Tensor, axis: int, first: int, stop: int, step: int = 1) -> Tensor:
    spans = tuple(
        (first, stop, step) if a == axis else (0, e, 1) for a, e in enumerate(shape_of(input))
    )
    return sliced(input, spans, "SliceBackward0")


def split_method(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split`, whose argument has another name as a method's."""
    return split(self, split_size, dim)


@declare(method=False)
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of one size along `dim`, or of the sizes listed."""
    shape = shape_of(tensor)
    axis = axis_of(dim, len(shape))
    extent = shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0:
            raise RuntimeError(
                f"split expects split_size be non-negative, but got split_size={size}"
            )
        if size == 0 and extent:
            raise RuntimeError(
                "split_size can only be 0 if dimension size is 0, but got dimension size of "
                f"{extent}"
            )
        parts = [min(size, extent - at) for at in range(0, extent, size)] if size else [0]
        parts = parts or [0]
    else:
        parts = list(split_size_or_sections)
        if sum(parts) != extent:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {extent} (input "
                f"tensor's size at dimension {axis}), but got split_sizes={extents(parts)}"
            )
    ends = list(itertools.accumulate(parts, initial=0))
    name = (
        "SplitBackward0" if isinstance(split_size_or_sections, int) else "SplitWithSizesBackward0"
    )
    return make_views(
        tensor,
        name,
        [functools.partial(_span, tensor, axis, a, b) for a, b in itertools.pairwise(ends)],
    )


@declare()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    return split(input, list(split_sizes), dim)


@declare()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of one size, the last one smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    extent = shape_of(input)[axis_of(dim, input.ndim)]
    size = -(-extent // chunks)
    if size == 0:
        return split(input, [0] * chunks, dim)
    return split(input, size, dim)


@declare()
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of nearly one size, or between the indices listed."""
    axis = axis_of(dim, input.ndim)
    extent = shape_of(input)[axis]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        size, more = divmod(extent, count)
        try:
            sizes = [size + 1] * more + [size] * (count - more)
        except MemoryError as problem:
            raise OutOfMemoryError(f"no room for {count} tensors") from problem
        indices_or_sections = [*itertools.accumulate(sizes[:-1])]
    cuts = [0, *indices_or_sections]
    result = []
    for first, stop in zip(cuts, [*cuts[1:], extent]):
        low, high, _ = slice(first, stop).indices(extent)
        result.append(_span(input, axis, low, max(low, high)))
    return tuple(result)


def _axis_split(name: str, axis: int, rank: int) -> Any:
    def function(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < rank:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {rank} dimension"
                f"{'s' * (rank > 1)}, but got a tensor with {input.ndim} dimensions!"
            )
        along = 0 if name == "hsplit" and input.ndim == 1 else axis
        extent = shape_of(input)[along]
        if isinstance(indices_or_sections, int) and (
            indices_or_sections < 1 or extent % indices_or_sections
        ):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {along}, but the size of the "
                f"dimension {extent} is not divisible by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, along)

    function.__name__ = name
    return declare(name)(function)


hsplit, vsplit, dsplit = (
    _axis_split("hsplit", 1, 1),
    _axis_split("vsplit", 0, 2),
    _axis_split("dsplit", 2, 3),
)


@declare()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All indices along `dim`, one tensor each."""
    axis = axis_of(dim, input.ndim)
    if not input.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    return make_views(
        input,
        "UnbindBackward0",
        [functools.partial(selected, input, axis, i) for i in range(shape_of(input)[axis])],
    )


@declare()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes, as a last axis."""
    old = view_of(input)
    rank = len(old.shape)
    a, b = axis_of(dim1, rank), axis_of(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = old.shape[a], old.shape[b]
    size = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start = old.offset
    if size:
        start += offset * old.strides[b] if offset >= 0 else -offset * old.strides[a]
    rest = [axis for axis in range(rank) if axis not in (a, b)]
    found = View(
        (*(old.shape[axis] for axis in rest), size),
        (*(old.strides[axis] for axis in rest), old.strides[a] + old.strides[b]),
        start,
    )
    if input._view is None:
        return make_view(input, found, "DiagonalBackward0", ops.as_strided, found)
    own = View.contiguous(old.shape)
    inner = View(
        found.shape,
        (*(own.strides[axis] for axis in rest), own.strides[a] + own.strides[b]),
        0 if not size else offset * own.strides[b] if offset >= 0 else -offset * own.strides[a],
    )
    return make_view(input, found, "DiagonalBackward0", ops.as_strided, inner)


@declare(function=False)
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows along a dimension, as a new last axis."""
    check_kind(size, (int, Tensor, np.integer), "unfold", "size", 2)
    old = view_of(self)
    axis = axis_of(dimension, len(old.shape))
    extent = old.shape[axis] if old.shape else 1
    if size > extent:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {extent} but size is {size}"
        )
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not old.shape:
        return _reshape(self, size)
    found = old.window(axis, size, step)
    assert found is not None
    return make_view(self, found, "UnfoldBackward0", ops.window, (axis, size, step))


@declare()
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Any strides over the storage."""
    check_tensor(input, "as_strided")
    old = view_of(input)
    check_kind(size, (tuple, list), "as_strided", "size", 2)
    check_kind(stride, (tuple, list), "as_strided", "stride", 3)
    shape, steps = size_args((size,), "as_strided"), size_args((stride,), "as_strided")
    if len(shape) != len(steps):
        raise RuntimeError("mismatch in length of strides and shape")
    found = View(shape, steps, old.offset if storage_offset is None else storage_offset)
    if any(step < 0 for step in steps):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{extents(steps)}"
        )
    room = prod(input._storage.shape)
    if found.numel and found.bounds()[1] >= room:
        need = (found.bounds()[1] + 1) * input.itemsize
        raise RuntimeError(
            f"setStorage: sizes {extents(shape)}, strides {extents(steps)}, storage offset "
            f"{found.offset}, and itemsize {input.itemsize} requiring a storage size of {need} "
            f"are out of bounds for storage of size {room * input.itemsize}"
        )
    if input._view is None:
        return make_view(input, found, "AsStridedBackward0", ops.as_strided, found)
    return make_view(input, found, "AsStridedBackward0")


# -- in place ----------------------------------------------------------------------------------


def _inplace_view(name: str, fn: Any) -> Any:
    fn = explained(name, fn)

    def run(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_inplace(self, may_repeat=True)
        made = fn(self, *args, **kwargs)
        recorded = mode.grad and needs_grad(self)
        if recorded:
            meta = meta_of(self)
            if meta.hooks is None and meta.fn is not None and meta.fn.tensor_hooks:
                # as in PyTorch, hooks see the gradient in the old shape, later ones too
                meta.hooks = meta.fn.tensor_hooks.get(meta.nr)
            meta.fn, meta.nr = made._meta.fn, made._meta.nr
            stem = meta.fn.name().rstrip("0123456789")
            number = int(meta.fn.name()[len(stem) :]) + (3 if name == "squeeze_" else 1)
            meta.fn.__class__ = fn_class(f"{stem}{number}")
        self._view, self._cached = made._view, made._cached
        note_write(self)
        if recorded:  # without a gradient there is no history that this version would be of
            meta.version = version_of(self)
        return self

    run.__name__ = name
    return declare(name, function=False)(run)


for _name, _fn in (
    ("t_", t),
    ("transpose_", transpose),
    ("swapaxes_", transpose),
    ("swapdims_", transpose),
    ("squeeze_", squeeze),
    ("unsqueeze_", unsqueeze),
    ("as_strided_", as_strided),
):
    _inplace_view(_name, _fn)
