"""Convolution, pooling and padding of `lazygrad.nn.functional`.

Owns: how windows that slide over an image become axes of a view, what is computed over them, and
the checks of their sizes. Must not know: modules, how a product of matrices is done, or how a
view is loaded. Windows are views (`unfold`), so padding, stride and dilation cost no kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.autograd import composite
from lazygrad.tensor import Tensor, arange, cat, constant_pad_nd, int64, no_grad, tensor

__all__ = ["avg_pool2d", "conv1d", "conv2d", "max_pool2d", "pad"]

Sizes = int | Sequence[int]


def _windows(x: Tensor, size: Sequence[int], step: Sequence[int], spread: Sequence[int]) -> Tensor:
    """(N, C, *image) to (N, C, *out, *size): a view of every window over the image axes."""
    for axis, (k, s, d) in enumerate(zip(size, step, spread, strict=True)):
        x = x.unfold(axis + 2, d * (k - 1) + 1, s)
        if d > 1:
            x = x[..., ::d]
    return x


# -- padding -----------------------------------------------------------------------------------


def _edges(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Pad one axis with what its own elements continue to; a negative width cuts."""
    size = x.shape[axis]
    pieces = [x.narrow(axis, max(-before, 0), size + min(before, 0) + min(after, 0))]
    if mode == "reflect":
        if before > 0:
            pieces.insert(0, x.narrow(axis, 1, before).flip(axis))
        if after > 0:
            pieces.append(x.narrow(axis, size - 1 - after, after).flip(axis))
    elif mode == "replicate":
        shape = list(x.shape)
        if before > 0:
            shape[axis] = before
            pieces.insert(0, x.narrow(axis, 0, 1).expand(shape))
        if after > 0:
            shape[axis] = after
            pieces.append(x.narrow(axis, size - 1, 1).expand(shape))
    else:
        core = pieces[0]
        start, length = max(-before, 0), core.shape[axis]
        if before > 0:
            pieces.insert(0, x.narrow(axis, start + length - before, before))
        if after > 0:
            pieces.append(x.narrow(axis, start, after))
    return cat(pieces, axis) if len(pieces) > 1 else pieces[0]


def _pad_edges(x: Tensor, *, widths: Sequence[int], mode: str) -> Tensor:
    for i in range(len(widths) // 2):
        x = _edges(x, x.dim() - 1 - i, widths[2 * i], widths[2 * i + 1], mode)
    return x


_PADDERS: dict[tuple[str, int], Any] = {
    (mode, ndim): composite(f"{name}Pad{ndim}DBackward0")(_pad_edges)
    for mode, name in (("reflect", "Reflection"), ("replicate", "Replication"))
    for ndim in (1, 2, 3)
}


def _check_edges(input: Tensor, widths: Sequence[int], mode: str) -> None:
    ndim = len(widths) // 2
    if not (ndim in (1, 2, 3) and input.dim() in (ndim + 1, ndim + 2)):
        raise NotImplementedError(
            f"Padding size {len(widths)} is not supported for {input.dim()}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for i in range(ndim):
        axis = input.dim() - 1 - i
        size, given = input.shape[axis], (widths[2 * i], widths[2 * i + 1])
        if mode == "reflect" and max(given) >= size:
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input "
                f"dimension, but got: padding {given} at dimension {axis} of input "
                f"{list(input.shape)}"
            )
        if mode == "circular" and max(given) > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pad the last axes, the last one first: `pad` is (before, after, before, after, ...).

    `mode` is "constant" (with `value`, 0 by default), "reflect", "replicate" or "circular"; a
    negative width cuts. RuntimeError for widths that do not fit the shape, NotImplementedError
    for another mode.
    """
    widths = [int(width) for width in pad]
    if len(widths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(widths) > 2 * input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension "
            f"but got padding length {len(widths)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        return constant_pad_nd(input, widths, 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_edges(input, widths, mode)
    if mode == "circular":
        return _pad_edges(input, widths=widths, mode=mode)
    result: Tensor = _PADDERS[mode, len(widths) // 2](input, widths=widths, mode=mode)
    return result


# -- convolution -------------------------------------------------------------------------------


@composite("ConvolutionBackward0")
def _convolve(
    x: Tensor,
    weight: Tensor,
    *bias: Tensor,
    step: Sequence[int],
    widths: Sequence[int],
    spread: Sequence[int],
    groups: int,
) -> Tensor:
    """One product: a row for every window, a column for every output channel."""
    if any(widths):
        x = constant_pad_nd(x, widths, 0.0)
    size = list(weight.shape[2:])
    nd = len(size)
    view = _windows(x, size, step, spread)
    batch, channels, image = view.shape[0], view.shape[1], list(view.shape[2 : 2 + nd])
    outs = weight.shape[0]
    count, width = batch, channels // groups
    for extent in image:
        count *= extent
    for extent in size:
        width *= extent
    out_axes, size_axes = range(2, 2 + nd), range(2 + nd, 2 + 2 * nd)
    if groups == 1:
        rows = view.permute(0, *out_axes, 1, *size_axes).reshape(count, width)
        out = rows @ weight.reshape(outs, width).t()
        if bias:
            out = out + bias[0]
        out = out.reshape(batch, *image, outs).permute(0, 1 + nd, *range(1, 1 + nd))
        return out.contiguous()
    split = view.reshape(batch, groups, channels // groups, *image, *size)
    rows = split.permute(1, 0, *(a + 1 for a in out_axes), 2, *(a + 1 for a in size_axes))
    columns = weight.reshape(groups, outs // groups, width).transpose(1, 2)
    out = rows.reshape(groups, count, width) @ columns
    if bias:
        out = out + bias[0].reshape(groups, 1, outs // groups)
    out = out.reshape(groups, batch, *image, outs // groups)
    out = out.permute(1, 0, 2 + nd, *range(2, 2 + nd))
    return out.reshape(batch, outs, *image)


def _as_sizes(given: Sizes, nd: int, words: str) -> list[int]:
    if isinstance(given, int):
        return [given] * nd
    sizes = [int(size) for size in given]
    if len(sizes) == 1:
        return sizes * nd
    if len(sizes) != nd:
        raise RuntimeError(
            f"expected {words} to be a single integer value or a list of {nd} values to match "
            f"the convolution dimensions, but got {words}={sizes}"
        )
    return sizes


def _check_convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, nd: int, groups: int
) -> None:
    name = f"conv{nd}d"
    if x.dim() not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {name}, "
            f"but got input of size: {list(x.shape)}"
        )
    if weight.dim() != nd + 2:
        raise RuntimeError(
            f"Expected a weight of {nd + 2} dimensions for {name}, but got weight of size "
            f"{list(weight.shape)}"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if x.dtype != weight.dtype:
        raise RuntimeError(
            f"Input type ({x.type()}) and weight type ({weight.type()}) should be the same"
        )
    outs, channels, given = weight.shape[0], weight.shape[1] * groups, x.shape[-nd - 1]
    if outs % groups or outs < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(weight.shape)}] instead"
        )
    if given != channels:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected "
            f"input{list(x.shape)} to have {channels} channels, but got {given} channels instead"
        )
    if bias is not None and tuple(bias.shape) != (outs,):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
            f"{outs} elements, but got bias of size {list(bias.shape)} instead"
        )


def _conv(
    nd: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    _check_convolution(input, weight, bias, nd, groups)
    step, spread = _as_sizes(stride, nd, "stride"), _as_sizes(dilation, nd, "dilation")
    if min(step) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(spread) <= 0:
        raise RuntimeError("non-positive dilation is not supported")
    reach = [d * (k - 1) for d, k in zip(spread, weight.shape[2:], strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same" and any(s != 1 for s in step):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        sides = [(r // 2, r - r // 2) if padding == "same" else (0, 0) for r in reach]
    else:
        sides = [(p, p) for p in _as_sizes(padding, nd, "padding")]
        if min(min(side) for side in sides) < 0:
            raise RuntimeError("negative padding is not supported")
    padded = [n + a + b for n, (a, b) in zip(input.shape[-nd:], sides, strict=True)]
    if any(n < r + 1 for n, r in zip(padded, reach, strict=True)):
        have, need = (" x ".join(map(str, s)) for s in (padded, [r + 1 for r in reach]))
        raise RuntimeError(
            f"Calculated padded input size per channel: ({have}). Kernel size: ({need}). "
            "Kernel size can't be greater than actual input size"
        )
    widths = [width for side in reversed(sides) for width in side]
    batched = input if input.dim() == nd + 2 else input.unsqueeze(0)
    extra = () if bias is None else (bias,)
    out: Tensor = _convolve(
        batched, weight, *extra, step=step, widths=widths, spread=spread, groups=groups
    )
    return out if batched is input else out.squeeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over the last axis: (N, C, L) with (O, C/groups, K) gives (N, O, L').

    The batch axis may be absent. RuntimeError for sizes and dtypes that do not fit.
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over the last two axes: (N, C, H, W), (O, C/groups, K, L): (N, O, H', W').

    The batch axis may be absent; `padding` may be "same" or "valid". RuntimeError for sizes and
    dtypes that do not fit.
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


# -- pooling -----------------------------------------------------------------------------------


def _pool_pair(given: Sizes, function: str, words: str) -> list[int]:
    if isinstance(given, int):
        return [given, given]
    if len(given) not in (1, 2):
        choice = "be omitted, a single int" if words == "stride" else "be a single int"
        raise RuntimeError(f"{function}: {words} must either {choice}, or a tuple of two ints")
    return [int(given[0]), int(given[-1])]


def _pool_extent(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows fit; in ceil mode a last one may hang over, if it starts inside."""
    span = n + 2 * p - d * (k - 1) - 1
    count = -(-span // s) if ceil_mode else span // s
    if ceil_mode and count * s >= n + p:
        count -= 1
    return count + 1


def _check_pool(
    name: str, x: Tensor, size: list[int], step: list[int], sides: list[int], spread: list[int]
) -> None:
    if x.dim() not in (3, 4):
        raise RuntimeError(
            f"{name}: non-empty 3D or 4D (batch mode) tensor expected for input, "
            f"but got input of size: {list(x.shape)}"
        )
    if min(size) <= 0 or min(step) <= 0:
        raise RuntimeError("stride should not be zero")
    if min(spread) <= 0:
        raise RuntimeError(
            "dilation should be greater than zero, "
            f"but got dilationH: {spread[0]} dilationW: {spread[1]}"
        )
    for p, k, d in zip(sides, size, spread, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, "
                f"but got pad={p}, kernel_size={k} and dilation={d}"
            )


def _pool_widths(
    x: Tensor,
    size: list[int],
    step: list[int],
    sides: list[int],
    spread: list[int],
    ceil_mode: bool,
) -> tuple[list[int], list[int]]:
    """The output's two extents, and the widths to pad by so that exactly these windows fit."""
    outs, widths = [], []
    for n, k, s, p, d in zip(x.shape[-2:], size, step, sides, spread, strict=True):
        count = _pool_extent(n, k, s, p, d, ceil_mode)
        outs.append(count)
        widths.append((p, (count - 1) * s + d * (k - 1) + 1 - n - p))
    if min(outs) < 1:
        channels = x.shape[-3]
        have, made = (f"({channels}x{a}x{b})" for a, b in (x.shape[-2:], outs))
        raise RuntimeError(
            f"Given input size: {have}. Calculated output size: {made}. Output size is too small"
        )
    return outs, [width for side in reversed(widths) for width in side]


def _lowest(x: Tensor) -> float:
    """What loses every comparison in the tensor's dtype."""
    if x.is_floating_point():
        return float("-inf")
    return 0 if str(x.dtype).endswith("uint8") else -(2 ** (8 * x.element_size() - 1))


def _flat_windows(x: Tensor, widths: Sequence[int], *sizes: Sequence[int]) -> Tensor:
    if any(widths):
        x = constant_pad_nd(x, widths, _lowest(x))
    return _windows(x, *sizes).flatten(-2)


@composite("MaxPool2DWithIndicesBackward0")
def _max_pool(x: Tensor, *, widths: Sequence[int], sizes: Sequence[Sequence[int]]) -> Tensor:
    # By index and not amax: PyTorch sends the whole gradient to the first of equal elements.
    values: Tensor = _flat_windows(x, widths, *sizes).max(-1)[0]
    return values


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
    for sizes that do not fit.
    """
    name = "max_pool2d"
    size = _pool_pair(kernel_size, name, "kernel_size")
    step = _pool_pair(stride, name, "stride") if stride else list(size)
    if stride == 0:
        step = [0, 0]
    sides = _pool_pair(padding, name, "padding")
    spread = _pool_pair(dilation, name, "dilation")
    _check_pool(name, input, size, step, sides, spread)
    outs, widths = _pool_widths(input, size, step, sides, spread, ceil_mode)
    batched = input if input.dim() == 4 else input.unsqueeze(0)
    sizes = (size, step, spread)
    values: Tensor = _max_pool(batched, widths=widths, sizes=sizes)
    if batched is not input:
        values = values.squeeze(0)
    if not return_indices:
        return values
    with no_grad():
        place = _flat_windows(batched.detach(), widths, *sizes).max(-1)[1].reshape(values.shape)
        starts = [
            arange(n, device=input.device) * s - p
            for n, s, p in zip(outs, step, sides, strict=True)
        ]
        down = starts[0].unsqueeze(1) + place // size[1] * spread[0]
        along = starts[1] + place % size[1] * spread[1]
        return values, (down * input.shape[-1] + along).to(int64)


@composite("AvgPool2DBackward0")
def _avg_pool(
    x: Tensor, *, widths: Sequence[int], sizes: Sequence[Sequence[int]], divisor: float
) -> Tensor:
    if any(widths):
        x = constant_pad_nd(x, widths, 0.0)
    return _windows(x, *sizes).sum((-2, -1)) / divisor


@composite("AvgPool2DBackward0")
def _avg_pool_by(
    x: Tensor, counts: Tensor, *, widths: Sequence[int], sizes: Sequence[Sequence[int]]
) -> Tensor:
    if any(widths):
        x = constant_pad_nd(x, widths, 0.0)
    return _windows(x, *sizes).sum((-2, -1)) / counts


def _covered(n: int, out: int, k: int, s: int, p: int, include: bool) -> list[int]:
    """How many elements each window along one axis averages over."""
    counts = []
    for i in range(out):
        start, stop = i * s - p, min(i * s - p + k, n + p)
        counts.append(stop - start if include else min(stop, n) - max(start, 0))
    return counts


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
    replaces the count. RuntimeError for sizes that do not fit.
    """
    name = "avg_pool2d"
    if input.dim() < 3:
        rank = input.dim()
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}], but got -3)"
        )
    size = _pool_pair(kernel_size, name, "kernel_size")
    step = _pool_pair(stride, name, "stride") if stride else list(size)
    if stride == 0:
        step = [0, 0]
    sides = _pool_pair(padding, name, "padding")
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    _check_pool(name, input, size, step, sides, [1, 1])
    outs, widths = _pool_widths(input, size, step, sides, [1, 1], ceil_mode)
    batched = input if input.dim() == 4 else input.unsqueeze(0)
    sizes = (size, step, [1, 1])
    counts = [
        _covered(n, out, k, s, p, count_include_pad)
        for n, out, k, s, p in zip(input.shape[-2:], outs, size, step, sides, strict=True)
    ]
    if divisor_override is None and any(len(set(count)) > 1 for count in counts):
        down, along = (tensor(c, dtype=input.dtype, device=input.device) for c in counts)
        by = down.unsqueeze(1) * along
        values: Tensor = _avg_pool_by(batched, by, widths=widths, sizes=sizes)
    else:
        divisor = float(divisor_override or counts[0][0] * counts[1][0])
        values = _avg_pool(batched, widths=widths, sizes=sizes, divisor=divisor)
    return values if batched is input else values.squeeze(0)
