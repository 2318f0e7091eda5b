"""Pooling of `lazygrad.nn.functional`: the largest or the mean of every window.

Owns: which windows there are (of one size, or of the sizes that give a wanted output), what is
computed over them, and the checks of their sizes. Must not know: modules, or how a view is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lazygrad.ir import ops
from lazygrad.nn._common import (
    Sizes,
    batched,
    function,
    is_half,
    need_floats,
    need_numbers,
    not_implemented,
)
from lazygrad.nn._windows import windows
from lazygrad.tensor import Tensor, arange, constant_pad_nd, int64, no_grad, tensor
from lazygrad.tensor.core import node_of
from lazygrad.tensor.history import record_many
from lazygrad.tensor.views import no_view

_COUNTS = {2: "two", 3: "three"}
_AXES = {2: "HW", 3: "THW"}
_FIRST = (ops.first_max, ops.first_place)

# -- sizes -------------------------------------------------------------------------------------


def _sizes(given: Sizes, nd: int, name: str, words: str) -> list[int]:
    if isinstance(given, bool | float):
        raise TypeError(
            f"{name}(): argument '{words}' must be tuple of ints, not {type(given).__name__}"
        )
    if isinstance(given, int):
        return [given] * nd
    if len(given) not in (1, nd):
        choice = {
            "stride": "must either be omitted, a single int",
            "dilation": "must be either a single int",
        }.get(words, "must either be a single int")
        if name == "avg_pool3d":
            choice = choice.replace("must either be", "must be")
        raise RuntimeError(f"{name}: {words} {choice}, or a tuple of {_COUNTS[nd]} ints")
    return [int(size) for size in given] * (nd if len(given) == 1 else 1)


def _stride(given: Sizes | None, size: list[int], nd: int, name: str) -> list[int]:
    if given is None or (not isinstance(given, int) and not len(given)):
        return list(size)
    return _sizes(given, nd, name, "stride")


def _check_rank(name: str, x: Tensor, nd: int) -> None:
    """The batch may be empty; nothing else may."""
    rank, shape = x.dim(), list(x.shape)
    if rank not in (nd + 1, nd + 2) and name != "avg_pool2d":
        raise RuntimeError(
            f"non-empty {nd + 1}D or {nd + 2}D (batch mode) tensor expected for input"
        )
    if rank < nd + 1:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}], but got -3)"
        )
    if rank > nd + 2 or 0 in shape[-nd - 1 :]:
        raise RuntimeError(
            f"Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim batch size "
            f"for input, but got:{shape}"
        )


def _check_windows(size: list[int], step: list[int], sides: list[int], spread: list[int]) -> None:
    axes = _AXES[len(size)]
    if 0 in size or 0 in step:
        raise RuntimeError("stride should not be zero")
    for words, letter, values in (
        ("kernel size", "k", size),
        ("stride", "d", step),
        ("dilation", "dilation", spread),
    ):
        if min(values) <= 0:
            listed = " ".join(f"{letter}{a}: {v}" for a, v in zip(axes, values, strict=True))
            raise RuntimeError(f"{words} should be greater than zero, but got {listed}")
    for p, k, d in zip(sides, size, spread, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, "
                f"but got pad={p}, kernel_size={k} and dilation={d}"
            )


def _pool_extent(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows fit; in ceil mode a last one may hang over, if it starts inside."""
    span = n + 2 * p - d * (k - 1) - 1
    count = -(-span // s) if ceil_mode else span // s
    if ceil_mode and count * s >= n + p:
        count -= 1
    return count + 1


def _pool_widths(
    name: str,
    x: Tensor,
    size: list[int],
    step: list[int],
    sides: list[int],
    spread: list[int],
    ceil_mode: bool,
) -> tuple[list[int], list[int]]:
    """The output's extents, and the widths to pad by so that exactly these windows fit."""
    nd = len(size)
    outs, widths = [], []
    for n, k, s, p, d in zip(x.shape[-nd:], size, step, sides, spread, strict=True):
        count = _pool_extent(n, k, s, p, d, ceil_mode)
        outs.append(count)
        widths.append((p, (count - 1) * s + d * (k - 1) + 1 - n - p))
    if min(outs) < 1:
        if name == "avg_pool3d":
            have, need = (
                " ".join(f"{letter}{a}: {v}" for a, v in zip("THW", values, strict=True))
                for letter, values in (("", x.shape[-3:]), ("k", size))
            )
            raise RuntimeError(f"input image ({have}) smaller than kernel size ({need})")
        have, made = (
            f"({'x'.join(map(str, [x.shape[-nd - 1], *s]))})" for s in (x.shape[-nd:], outs)
        )
        raise RuntimeError(
            f"Given input size: {have}. Calculated output size: {made}. Output size is too small"
        )
    return outs, [width for side in reversed(widths) for width in side]


# -- the largest -------------------------------------------------------------------------------


def _lowest(x: Tensor) -> float:
    """What loses every comparison in the tensor's dtype."""
    if x.is_floating_point():
        return float("-inf")
    return 0 if str(x.dtype).endswith("uint8") else -(2 ** (8 * x.element_size() - 1))


def largest(views: Tensor, nd: int) -> tuple[Tensor, Tensor]:
    """The first of the largest elements over the last `nd` axes, and its place among them."""
    node = node_of(views)
    axes = tuple(range(node.ndim - nd, node.ndim))
    outs = [ops.reshape(op(node, arg=axes), arg=node.shape[:-nd]) for op in _FIRST]
    values, place = record_many("MaxPool2DWithIndicesBackward0", (views,), (node,), outs)
    return values, place


def _max_body(
    x: Tensor, *, widths: Sequence[int], sizes: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """The largest of every window, and its place in the window."""
    if any(widths):
        x = constant_pad_nd(x, widths, _lowest(x))
    # Not amax: PyTorch sends the whole gradient to the first of equal elements.
    return largest(windows(x, *sizes), len(sizes[0]))


_MAX = {
    nd: function(f"MaxPool{nd}DWithIndicesBackward0", ("x",))(batched(nd, _max_body))
    for nd in (2, 3)
}


def _image_index(
    place: Tensor, size: list[int], starts: list[Tensor], steps: list[int], image: Sequence[int]
) -> Tensor:
    """Places in windows as offsets into the image, whose windows begin at `starts`."""
    nd, index, stride = len(size), None, 1
    for axis in reversed(range(nd)):
        offset = place % size[axis] * steps[axis]
        place = place // size[axis]
        where_ = (starts[axis].reshape(-1, *[1] * (nd - 1 - axis)) + offset) * stride
        index = where_ if index is None else index + where_
        stride *= image[axis]
    assert index is not None
    return index.to(int64)


def _max_pool(
    nd: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    name = f"max_pool{nd}d"
    size = _sizes(kernel_size, nd, name, "kernel_size")
    step = _stride(stride, size, nd, name)
    sides = _sizes(padding, nd, name, "padding")
    spread = _sizes(dilation, nd, name, "dilation")
    if input.dim() not in (nd + 1, nd + 2):
        _check_rank(name, input, nd)
    _check_windows(size, step, sides, spread)
    _check_rank(name, input, nd)
    outs, widths = _pool_widths(name, input, size, step, sides, spread, ceil_mode)
    need_numbers(name, input)
    values, place = _MAX[nd](input, widths=widths, sizes=(size, step, spread))
    if not return_indices:
        return values
    with no_grad():
        starts = [
            arange(n, device=input.device) * s - p
            for n, s, p in zip(outs, step, sides, strict=True)
        ]
        return values, _image_index(place, size, starts, spread, input.shape[-nd:])


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of every window over the last two axes of (N, C, H, W) or (C, H, W).

    With `return_indices` also where it is, as an int64 offset into the H * W plane. RuntimeError
    for sizes that do not fit, NotImplementedError for bools.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` over the last three axes of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _one(given: Any, name: str, words: str) -> int:
    if isinstance(given, int):
        return given
    if len(given) != 1:
        if name == "max_pool1d":
            raise RuntimeError(
                f"max_pool1d() {words} must be an int, list of ints or tuple of ints of size 1 "
                f"but got size {len(given)}"
            )
        raise RuntimeError(f"{name}() argument '{words}' should contain one int (got {len(given)})")
    return int(given[0])


def _check_max1d(x: Tensor, k: int, s: int, p: int, d: int, ceil_mode: bool) -> None:
    if x.dim() not in (2, 3) or 0 in x.shape[-2:]:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(x.shape)}"
        )
    for words, value in (("kernel_size", k), ("stride", s)):
        if value <= 0:
            raise RuntimeError(f"max_pool1d() {words} must be greater than zero, but got {value}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > k // 2:
        raise RuntimeError(
            "max_pool1d() padding should be at most half of kernel size, "
            f"but got padding={p} and kernel_size={k}"
        )
    if d <= 0:
        raise RuntimeError(f"max_pool1d() dilation must be greater than zero, but got {d}")
    count = _pool_extent(x.shape[-1], k, s, p, d, ceil_mode)
    if count < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {count}")


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of every window over the last axis of (N, C, L) or (C, L).

    With `return_indices` also where it is. RuntimeError for sizes that do not fit;
    NotImplementedError for integers, unless indices are asked for, and for bools.
    """
    name = "max_pool1d"
    size = _one(kernel_size, name, "kernel_size")
    step = size if stride is None or stride in ((), []) else _one(stride, name, "stride")
    side, spread = _one(padding, name, "padding"), _one(dilation, name, "dilation")
    if not return_indices:
        _check_max1d(input, size, step, side, spread, ceil_mode)
        need_floats("max_pool1d_impl", input)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.dim()}-dimensional tensor for argument "
            "#1 'self' (while checking arguments for max_pool1d)"
        )
    found = max_pool2d(
        input.unsqueeze(-2),
        (1, size),
        (1, step),
        (0, side),
        (1, spread),
        ceil_mode,
        return_indices,
    )
    if return_indices:
        return found[0].squeeze(-2), found[1].squeeze(-2)
    one = found.squeeze(-2)
    return one if one.requires_grad else no_view(one)


# -- the mean ----------------------------------------------------------------------------------


def _avg_body(
    x: Tensor, *counts: Tensor, widths: Sequence[int], sizes: Any, divisor: float
) -> Tensor:
    if any(widths):
        x = constant_pad_nd(x, widths, 0)
    total = windows(x, *sizes).sum(tuple(range(-len(sizes[0]), 0)))
    by = counts[0] if counts else divisor
    return total / by if x.is_floating_point() else total.div(by, rounding_mode="trunc")


_AVG = {nd: function(f"AvgPool{nd}DBackward0", ("x",))(batched(nd, _avg_body)) for nd in (2, 3)}


def _covered(n: int, out: int, k: int, s: int, p: int, include: bool) -> list[int]:
    """How many elements each window along one axis averages over."""
    counts = []
    for i in range(out):
        start, stop = i * s - p, min(i * s - p + k, n + p)
        counts.append(stop - start if include else min(stop, n) - max(start, 0))
    return counts


def _outer(factors: list[Tensor]) -> Tensor:
    """The product of one factor for each axis, of as many axes."""
    result = factors[0]
    for factor in factors[1:]:
        result = result.unsqueeze(-1) * factor
    return result


def _avg_pool(
    nd: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    name = f"avg_pool{nd}d"
    size = _sizes(kernel_size, nd, name, "kernel_size")
    step = _stride(stride, size, nd, name)
    sides = _sizes(padding, nd, name, "padding")
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    if input.dim() < nd + 1:
        _check_rank(name, input, nd)
    _check_windows(size, step, sides, [1] * nd)
    _check_rank(name, input, nd)
    outs, widths = _pool_widths(name, input, size, step, sides, [1] * nd, ceil_mode)
    if (not input.is_floating_point() and input.dtype != int64) or (nd == 3 and is_half(input)):
        raise not_implemented(name if nd == 2 else "avg_pool3d_out_frame", input)
    counts = [
        _covered(n, out, k, s, p, count_include_pad)
        for n, out, k, s, p in zip(input.shape[-nd:], outs, size, step, sides, strict=True)
    ]
    by: tuple[Tensor, ...] = ()
    if divisor_override is None and any(len(set(count)) > 1 for count in counts):
        by = (_outer([tensor(c, dtype=input.dtype, device=input.device) for c in counts]),)
    divisor = divisor_override or math.prod(count[0] for count in counts)
    values: Tensor = _AVG[nd](
        input, *by, widths=widths, sizes=(size, step, [1] * nd), divisor=divisor
    )
    return values


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of every window over the last two axes of (N, C, H, W) or (C, H, W).

    Padding counts as zeros in the mean unless `count_include_pad` is False; `divisor_override`
    replaces the count. int64 is divided towards zero. RuntimeError for sizes that do not fit,
    NotImplementedError for other integers.
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool2d` over the last three axes of (N, C, D, H, W) or (C, D, H, W)."""
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _need_line(name: str, x: Tensor) -> None:
    if x.dim() not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {x.dim()}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`avg_pool2d` over the last axis of (N, C, L) or (C, L)."""
    name = "avg_pool1d"
    _need_line(name, input)
    size = _one(kernel_size, name, "kernel_size")
    step = size if stride is None or stride in ((), []) else _one(stride, name, "stride")
    side = _one(padding, name, "padding")
    image = input.unsqueeze(-2)
    return avg_pool2d(image, (1, size), (1, step), (0, side), ceil_mode, count_include_pad).squeeze(
        -2
    )
