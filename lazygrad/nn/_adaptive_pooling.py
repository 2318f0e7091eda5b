"""Adaptive pooling of `lazygrad.nn.functional`: windows of the sizes that give a wanted output.

Owns: where these windows begin and end, what is computed over them, and the checks of the output
sizes. Must not know: modules, or how a view is loaded. Windows of one size are a view; others are
gathered, the shorter ones filled up with what does not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lazygrad.nn._common import batched, function, need_floats
from lazygrad.nn._pooling import _image_index, _lowest, _need_line, _one, _outer, largest
from lazygrad.nn._windows import windows
from lazygrad.tensor import Tensor, no_grad, tensor, where
from lazygrad.tensor import bool as bool_

Wanted = int | None | Sequence[int | None]


def _starts(n: int, out: int) -> tuple[list[int], list[int]]:
    """Where the windows along an axis begin, and how long each is."""
    starts = [i * n // out for i in range(out)]
    return starts, [-(-(i + 1) * n // out) - start for i, start in enumerate(starts)]


def _gathered(x: Tensor, outs: Sequence[int], fill: float) -> Tensor:
    """(N, C, *image) to (N, C, *outs, *longest): every window, filled up to the longest."""
    image, nd = x.shape[2:], len(outs)
    if all(n % out == 0 for n, out in zip(image, outs, strict=True)):
        sizes = [n // out for n, out in zip(image, outs, strict=True)]
        return windows(x, sizes, sizes, [1] * nd)
    masks = []
    for axis, (n, out) in enumerate(zip(image, outs, strict=True)):
        starts, lengths = _starts(n, out)
        span = max(lengths)
        index = [min(start + j, n - 1) for start in starts for j in range(span)]
        inside = [j < length for length in lengths for j in range(span)]
        x = x.index_select(2 + 2 * axis, tensor(index, device=x.device))
        x = x.unflatten(2 + 2 * axis, (out, span))
        masks.append(tensor(inside, dtype=bool_, device=x.device).reshape(out, span))
    x = x.permute(0, 1, *range(2, 2 + 2 * nd, 2), *range(3, 3 + 2 * nd, 2))
    mask: Any = None
    for axis, part in enumerate(masks):
        shape = [1] * (2 * nd)
        shape[axis], shape[nd + axis] = part.shape
        part = part.reshape(shape)
        mask = part if mask is None else mask & part
    return where(mask, x, fill)


def _avg_body(x: Tensor, *counts: Tensor, outs: Sequence[int]) -> Tensor:
    total = _gathered(x, outs, 0.0).sum(tuple(range(-len(outs), 0)))
    return total / counts[0] if counts else total / (math.prod(x.shape[2:]) / math.prod(outs))


_AVG = {
    nd: function(f"AdaptiveAvgPool{nd}DBackward0", ("x",), outline=lambda *_, **__: (0,))(
        batched(nd, _avg_body)
    )
    for nd in (2, 3)
}


def _max_body(x: Tensor, *, outs: Sequence[int]) -> tuple[Tensor, Tensor]:
    return largest(_gathered(x, outs, _lowest(x)), len(outs))


_MAX = {
    nd: function(f"AdaptiveMaxPool{nd}DBackward0", ("x",))(batched(nd, _max_body)) for nd in (2, 3)
}


def _wanted(name: str, x: Tensor, given: Wanted, nd: int) -> list[int]:
    """The output's sizes: None keeps the input's."""
    sizes = [given] * nd if given is None or isinstance(given, int) else list(given)
    if len(sizes) != nd:
        if "max" in name:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {nd}")
        raise RuntimeError(f"{name}: output_size must be {nd}")
    if x.dim() not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"{name}(): Expected {nd + 1}D or {nd + 2}D tensor, but got{':' * ('max' in name)} "
            f"{list(x.shape)}"
        )
    outs = [n if size is None else int(size) for n, size in zip(x.shape[-nd:], sizes, strict=True)]
    if min(outs) < 0:
        if "max" in name:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {min(outs)}: "
                f"{[*x.shape[:-nd], *outs]}"
            )
        joined = f"{outs[0]}, " + ",".join(map(str, outs[1:]))
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 "
            f"but received {{{joined}}}"
        )
    for axis in range(x.dim() - nd, x.dim()):
        if x.shape[axis] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {list(x.shape)} with dimension {axis} being empty"
            )
    return outs


def _adaptive_avg(nd: int, input: Tensor, output_size: Wanted) -> Tensor:
    name = f"adaptive_avg_pool{nd}d"
    outs = _wanted(name, input, output_size, nd)
    if all(out == 1 for out in outs):
        return input.mean(tuple(range(-nd, 0)), keepdim=True)
    need_floats(name if nd == 2 else "adaptive_avg_pool3d_cpu", input)
    if min(outs) == 0:
        return input.new_zeros((*input.shape[:-nd], *outs))
    by: tuple[Tensor, ...] = ()
    if any(n % out for n, out in zip(input.shape[-nd:], outs, strict=True)):
        lengths = [_starts(n, out)[1] for n, out in zip(input.shape[-nd:], outs, strict=True)]
        by = (_outer([tensor(c, dtype=input.dtype, device=input.device) for c in lengths]),)
    values: Tensor = _AVG[nd](input, *by, outs=outs)
    return values


def adaptive_avg_pool2d(input: Tensor, output_size: Wanted) -> Tensor:
    """Means over windows that share (N, C, H, W) or (C, H, W) out evenly over the output's size.

    None keeps an extent. RuntimeError for sizes that do not fit, NotImplementedError for integers.
    """
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Wanted) -> Tensor:
    """`adaptive_avg_pool2d` over the last three axes of (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_avg(3, input, output_size)


def _line_size(name: str, output_size: Any) -> int:
    if output_size is None:
        raise TypeError(
            f"{name}(): argument 'output_size' (position 2) must be tuple of ints, not NoneType"
        )
    return _one(output_size, name, "output_size")


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """`adaptive_avg_pool2d` over the last axis of (N, C, L) or (C, L)."""
    name = "adaptive_avg_pool1d"
    size = _line_size(name, output_size)
    _need_line(name, input)
    return adaptive_avg_pool2d(input.unsqueeze(-2), (1, size)).squeeze(-2)


def _adaptive_max(nd: int, input: Tensor, output_size: Wanted, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{nd}d"
    outs = _wanted(name, input, output_size, nd)
    need_floats(name if nd == 2 else "adaptive_max_pool3d_cpu", input)
    values, place = _MAX[nd](input, outs=outs)
    if not return_indices:
        return values
    with no_grad():
        starts, spans = [], []
        for n, out in zip(input.shape[-nd:], outs, strict=True):
            begin, lengths = _starts(n, out)
            starts.append(tensor(begin, device=input.device))
            spans.append(max(lengths))
        return values, _image_index(place, spans, starts, [1] * nd, input.shape[-nd:])


def adaptive_max_pool2d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """The largest of windows that share (N, C, H, W) or (C, H, W) out over the output's size.

    With `return_indices` also where it is. Sizes and errors as of `adaptive_avg_pool2d`.
    """
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Wanted, return_indices: bool = False) -> Any:
    """`adaptive_max_pool2d` over the last three axes of (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_max(3, input, output_size, return_indices)


def adaptive_max_pool1d(
    input: Tensor, output_size: int | Sequence[int], return_indices: bool = False
) -> Any:
    """`adaptive_max_pool2d` over the last axis of (N, C, L) or (C, L)."""
    name = "adaptive_max_pool1d"
    size = _line_size(name, output_size)
    _need_line(name, input)
    found = adaptive_max_pool2d(input.unsqueeze(-2), (1, size), return_indices)
    if return_indices:
        return found[0].squeeze(-2), found[1].squeeze(-2)
    return found.squeeze(-2)
