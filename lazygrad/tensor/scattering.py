"""`scatter_reduce`: many elements combined into one, with every reduction and its gradient.

Owns: its checks, its meaning for each `reduce`, and the gradients of products and extremes. Must
not know: how elements are added at indices (gathering.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.autograd.composite import composite
from lazygrad.autograd.function import Function, FunctionCtx
from lazygrad.ir.node import Shape
from lazygrad.tensor.aliasing import adopt, check_inplace
from lazygrad.tensor.checks import checked_index
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, axis_of, shape_of, wrap
from lazygrad.tensor.creation import from_values
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.gathering import check_index, check_scatter, out_of_range
from lazygrad.tensor.kernels import require
from lazygrad.tensor.logic import where

_COMBINE = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


@declare(out="same")
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Combine `src` into `input` at `index`: sum, prod, mean, amax or amin.

    Without `include_self` elements that something is combined into do not count themselves.
    Raises RuntimeError for another reduction, and where dtypes or shapes do not fit.
    """
    check_tensor(input, "scatter_reduce")
    check_tensor(index, "scatter_reduce", "index", 3)
    check_tensor(src, "scatter_reduce", "src", 4)
    check_kind(reduce, str, "scatter_reduce", "reduce", 5)
    axis = axis_of(dim, input.ndim)
    if reduce not in ("sum", "mean", *_COMBINE):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if index.numel() == 0:
        return _added(input, index, src, index, axis, reduce, include_self)
    check_index("scatter_reduce", index)
    if src.dtype is not input.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    check_scatter("scatter_reduce", shape_of(input), shape_of(index), src, axis)
    size = shape_of(input)[axis] if input.ndim else 1
    places = wrap(checked_index(index, size, out_of_range(axis)))
    if reduce == "mean":
        require("scatter_reduce mean", input.dtype)
    if reduce not in _COMBINE:
        return _added(input, places, src, index, axis, reduce, include_self)
    x, i, s = (t if input.ndim else t.reshape(1) for t in (input, places, src))
    made = _Combine.apply(x, (i.long(), index), s, axis, reduce, include_self)
    return made if input.ndim else made.reshape(())


@declare(function=False)
def scatter_reduce_(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter_reduce`, written into this tensor, of whose old value the gradient keeps a copy."""
    check_inplace(self, (src,))
    made = scatter_reduce(self.clone(), dim, index, src, reduce, include_self=include_self)
    fn = made.grad_fn
    adopt(self, made)
    if isinstance(fn, FunctionCtx):
        fn.moved_to(self)
    return self


@composite("ScatterReduceBackward0", saves=("input", "index", "src", "result"))
def _added(
    input: Tensor,
    places: Tensor,
    src: Tensor,
    index: Tensor,
    axis: int,
    reduce: str,
    with_self: bool,
) -> Tensor:
    """Sums and means; of no index nothing but the input. `places` are the checked `index`, which
    is saved as it was given."""
    if places.numel() == 0:
        return input.clone()
    if not input.ndim:
        whole, at, other = (t.reshape(1) for t in (input, places, src))
        return _added(whole, at, other, index, axis, reduce, with_self).reshape(())
    base = input if with_self else input.scatter(axis, places, 0)
    total = base.scatter_add(axis, places, src)
    if reduce == "sum":
        return total
    size = _counts(input, places, axis, with_self)
    if input.dtype.kind == "f":
        return total / size
    return total.div(size, rounding_mode="floor")


def _counts(like: Tensor, index: Tensor, axis: int, with_self: bool) -> Tensor:
    """How many elements are combined into each; 1 where there are none."""
    start = like.new_full(shape_of(like), 1 if with_self else 0)
    found = start.scatter_add(axis, index, like.new_ones(shape_of(index)))
    return found if with_self else found.clamp(min=1)


def _padded(t: Tensor, shape: Shape) -> Tensor:
    """Zeros behind the gradient of an index that is smaller than its source."""
    if shape_of(t) == shape:
        return t
    made = t.new_zeros(shape)
    made[tuple(slice(0, e) for e in shape_of(t))] = t
    return made


class _Combine(Function):
    """Products and extremes, one by one on the host."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, by: Any, src: Tensor, axis: int, reduce: str, with_self: bool
    ) -> Tensor:
        index, given = by  # no inputs of the record
        values, places, data = (host_values(t) for t in (x, index, src))
        out = np.array(values)
        grids = list(np.ogrid[tuple(slice(0, n) for n in places.shape)])
        grids[axis] = places
        spots = tuple(grids)
        data = data[tuple(slice(0, n) for n in places.shape)]
        if not with_self:
            out[spots] = _identity(out.dtype, reduce)
        _COMBINE[reduce].at(out, spots, data)
        made = from_values(out, x.dtype, str(x.device))
        ctx.rest = axis, reduce, with_self
        ctx.save_for_backward(x, index, src, made, given)
        return made

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        axis, reduce, with_self = ctx.rest
        x, index, src, made, _ = ctx.saved_tensors
        part = src[tuple(slice(0, e) for e in shape_of(index))]
        rule = _of_product if reduce == "prod" else _of_extreme
        to_x, to_src = rule(g, x, index, part, made, axis, with_self)
        if not with_self:
            to_x = to_x.scatter(axis, index, 0)
        return to_x, None, _padded(to_src, shape_of(src)), None, None, None


_Combine._record.__name__ = "ScatterReduceBackward0"


def _identity(dtype: Any, reduce: str) -> Any:
    if reduce == "prod":
        return 1
    lowest = reduce == "amax"
    if dtype.kind == "f":
        return -np.inf if lowest else np.inf
    if dtype.kind == "b":
        return not lowest
    info = np.iinfo(dtype)
    return info.min if lowest else info.max


def _of_product(
    g: Tensor, x: Tensor, index: Tensor, src: Tensor, made: Tensor, axis: int, with_self: bool
) -> tuple[Tensor, Tensor]:
    """The product of all others: by division, and with a single 0 left out where there is one."""
    whole = x.masked_fill(x == 0, 1)
    others = whole.scatter_reduce(axis, index, src, "prod", include_self=with_self)
    zero = src == 0
    zeros = x.new_zeros(shape_of(x)).scatter_add(axis, index, zero.to(src.dtype))
    single = zero & (zeros.gather(axis, index) == 1)
    rest = x.scatter_reduce(axis, index, src.masked_fill(single, 1), "prod", include_self=with_self)
    divided = (g * made).gather(axis, index) / src.masked_fill(zero, 1)
    return g * others / whole, where(single, (g * rest).gather(axis, index), divided)


def _of_extreme(
    g: Tensor, x: Tensor, index: Tensor, src: Tensor, made: Tensor, axis: int, with_self: bool
) -> tuple[Tensor, Tensor]:
    """Equal shares for all elements that are the extreme."""
    mine = (x == made).to(x.dtype)
    theirs = (src == made.gather(axis, index)).to(src.dtype)
    share = g / mine.scatter_add(axis, index, theirs)
    return mine * share, theirs * share.gather(axis, index)
