"""Convolution of `lazygrad.nn.functional` and its transpose.

Owns: the one product that every convolution is (`_convolve`), its transpose (`_convolve_back`),
and the checks of their sizes. Must not know: modules, how a product of matrices is done, or how a
view is loaded. Windows are views, so padding, stride and dilation cost no kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lazygrad.ir import ops
from lazygrad.nn._common import Sizes, function, not_implemented
from lazygrad.nn._windows import overlap_add
from lazygrad.tensor import Tensor, constant_pad_nd, int64
from lazygrad.tensor import bool as bool_
from lazygrad.tensor.core import nodes_of
from lazygrad.tensor.history import record, with_inputs
from lazygrad.tensor.promotion import c_name

# -- the products --------------------------------------------------------------------------------


@function("ConvolutionBackward0", ("x", "weight"), dense=True)
def _convolve(
    x: Tensor,
    weight: Tensor,
    *bias: Tensor,
    step: Sequence[int],
    widths: Sequence[int],
    spread: Sequence[int],
    groups: int,
) -> Tensor:
    """(n, c, *image) with kernels (o, c / groups, *size)."""
    if any(widths):
        x = constant_pad_nd(x, widths, 0.0)
    nd = weight.dim() - 2
    outs, channels = weight.shape[0], x.shape[1]
    if groups > 1:  # one more axis, along which images meet kernels
        x = x.reshape(x.shape[0], groups, channels // groups, *x.shape[2:]).transpose(0, 1)
        weight = weight.reshape(groups, outs // groups, *weight.shape[1:])
    out = _product(x, weight, (tuple(step), tuple(spread)))
    if groups > 1:
        out = out.transpose(0, 1).flatten(1, 2)
    return out + bias[0].reshape(outs, *[1] * nd) if bias else out


def _product(x: Tensor, weight: Tensor, arg: Any) -> Tensor:
    """The op, on (*lead, n, c, *image) and (*lead, o, c, *size)."""
    a, b = nodes_of(x, weight)
    return record("ConvolutionBackward0", (x, weight), (a, b), ops.conv(a, b, arg=arg))


@function("ConvolutionBackward0", ("x", "weight"), dense=True)
def _convolve_back(
    x: Tensor,
    weight: Tensor,
    *bias: Tensor,
    step: Sequence[int],
    sides: Sequence[int],
    spread: Sequence[int],
    groups: int,
    image: Sequence[int],
) -> Tensor:
    """The transpose of `_convolve` in x: a window for every element, and windows are summed."""
    batch, channels, places = x.shape[0], x.shape[1], list(x.shape[2:])
    size, nd = list(weight.shape[2:]), len(image)
    outs, count = weight.shape[1] * groups, math.prod(places)
    rows = weight.reshape(groups, channels // groups, -1).transpose(1, 2)
    out = rows @ x.reshape(batch, groups, channels // groups, count)
    out = out.reshape(batch, outs, *size, *places)
    out = out.permute(0, 1, *range(2 + nd, 2 + 2 * nd), *range(2, 2 + nd))
    out = overlap_add(out, image, step, sides, spread)
    return out + bias[0].reshape(1, outs, *[1] * nd) if bias else out


# -- checks ------------------------------------------------------------------------------------


def _as_sizes(given: Sizes, own: int, nd: int, words: str) -> list[int]:
    """Sizes for `nd` axes; a single number stands for the `own` axes of the function."""
    sizes = [given] * own if isinstance(given, int) else [int(size) for size in given]
    if len(sizes) == 1:
        return sizes * nd
    if len(sizes) != nd:
        raise RuntimeError(
            f"expected {words} to be a single integer value or a list of {nd} values to match "
            f"the convolution dimensions, but got {words}={sizes}"
        )
    return sizes


def _check_ranks(name: str, x: Tensor, weight: Tensor, nd: int, groups: int) -> None:
    if x.dim() not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {name}, "
            f"but got input of size: {list(x.shape)}"
        )
    if weight.dim() < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")


def _check_shapes(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    nd: int,
    groups: int,
    transposed: bool = False,
) -> None:
    size, given = list(weight.shape), x.shape[-nd - 1]
    if size[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {size} instead"
        )
    if size[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{size}] instead"
        )
    channels, outs = (size[0], size[1] * groups) if transposed else (size[1] * groups, size[0])
    batched = list(x.shape) if x.dim() == nd + 2 else [1, *x.shape]
    if given != channels:
        kind = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {kind}, weight of size {size}, expected input{batched} to have {channels} "
            f"channels, but got {given} channels instead"
        )
    if bias is not None and tuple(bias.shape) != (outs,):
        kind = "transposed=1, " if transposed else ""
        raise RuntimeError(
            f"Given {kind}weight of size {size}, expected bias to be 1-dimensional with "
            f"{outs} elements, but got bias of size {list(bias.shape)} instead"
        )


def _check_dtypes(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if x.dtype != weight.dtype:
        raise RuntimeError(
            f"Input type ({_type(x)}) and weight type ({_type(weight)}) should be the same or "
            "input should be a MKLDNN tensor and weight is a dense tensor"
        )
    if bias is not None and bias.dtype != x.dtype:
        raise RuntimeError(
            f"Input type ({c_name(x.dtype)}) and bias type ({c_name(bias.dtype)}) should be the "
            "same"
        )


def _type(x: Tensor) -> str:
    return str(x.type())


def _check_steps(step: list[int], spread: list[int], sides: list[int]) -> None:
    if min(sides, default=0) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(step) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(spread) <= 0:
        raise RuntimeError("dilation should be greater than zero")


# -- convolution -------------------------------------------------------------------------------


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
    _check_ranks(f"conv{nd}d", input, weight, nd, groups)
    axes = weight.dim() - 2
    step = _as_sizes(stride, nd, axes, "stride")
    spread = _as_sizes(dilation, nd, axes, "dilation")
    reach = [d * (k - 1) for d, k in zip(spread, weight.shape[2:], strict=True)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same" and any(s != 1 for s in step):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        sides = [(r // 2, r - r // 2) if padding == "same" else (0, 0) for r in reach]
    else:
        sides = [(p, p) for p in _as_sizes(padding, nd, axes, "padding")]
    _check_steps(step, spread, [min(side) for side in sides])
    _check_shapes(input, weight, bias, nd, groups)
    padded = [n + a + b for n, (a, b) in zip(input.shape[-nd:], sides, strict=True)]
    if any(n < r + 1 for n, r in zip(padded, reach, strict=True)):
        have, need = (" x ".join(map(str, s)) for s in (padded, [r + 1 for r in reach]))
        raise RuntimeError(
            f"Calculated padded input size per channel: ({have}). Kernel size: ({need}). "
            "Kernel size can't be greater than actual input size"
        )
    _check_dtypes(input, weight, bias)
    if max(spread) > 1 and not input.is_floating_point() and input.dtype != int64:
        raise not_implemented("slow_conv_dilated<>", input)
    if input.dtype == bool_:
        raise not_implemented("compute_columns3d" if nd == 3 else "slow_conv2d_cpu", input)
    given = input if input.dim() == nd + 2 else input.unsqueeze(0)
    batched = given
    if any(a != b for a, b in sides):  # of an even kernel: the odd one out is a function before
        batched = constant_pad_nd(given, [w for a, b in reversed(sides) for w in (0, b - a)])
        sides = [(a, a) for a, _ in sides]
    widths = [width for side in reversed(sides) for width in side]
    extra = () if bias is None else (bias,)
    out: Tensor = _convolve(
        batched, weight, *extra, step=step, widths=widths, spread=spread, groups=groups
    )
    with_inputs(out, (0, 1, 2))
    return out if given is input else out.squeeze(0)


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

    The batch axis may be absent; `padding` may be "same" or "valid". RuntimeError for sizes and
    dtypes that do not fit.
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

    Otherwise as `conv1d`.
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over the last three axes of (N, C, D, H, W). Otherwise as `conv1d`."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


# -- transposed --------------------------------------------------------------------------------


def _conv_transpose(
    nd: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    name = f"conv_transpose{nd}d"
    if isinstance(padding, str):
        raise TypeError(f"{name}(): argument 'padding' must be tuple of ints, not str")
    _check_ranks(name, input, weight, nd, groups)
    axes = weight.dim() - 2
    step = _as_sizes(stride, nd, axes, "stride")
    sides = _as_sizes(padding, nd, axes, "padding")
    extra = _as_sizes(output_padding, nd, axes, "output_padding")
    spread = _as_sizes(dilation, nd, axes, "dilation")
    if min(sides) >= 0 > min(extra):
        raise RuntimeError("negative output_padding is not supported")
    _check_steps(step, spread, sides)
    _check_shapes(input, weight, bias, nd, groups, transposed=True)
    _check_dtypes(input, weight, bias)
    _check_output_padding(extra, step, spread)
    if not input.is_floating_point() and input.dtype != int64:
        raise not_implemented(f"slow_conv_transpose{max(nd, 2)}d_out_cpu", input)
    places, size = input.shape[-nd:], weight.shape[2:]
    image = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip(places, step, sides, spread, size, extra, strict=True)
    ]
    if min(image) < 1:
        have, made = (" x ".join(map(str, s)) for s in (places, image))
        raise RuntimeError(
            f"Given input size per channel: ({have}). Calculated output size per channel: "
            f"({made}). Output size is too small"
        )
    batched = input if input.dim() == nd + 2 else input.unsqueeze(0)
    shift = () if bias is None else (bias,)
    out: Tensor = _convolve_back(
        batched,
        weight,
        *shift,
        step=step,
        sides=sides,
        spread=spread,
        groups=groups,
        image=image,
    )
    return out if batched is input else out.squeeze(0)


def _check_output_padding(extra: list[int], step: list[int], spread: list[int]) -> None:
    if any(e >= s and e >= d for e, s, d in zip(extra, step, spread, strict=True)):
        names = ["depth", "height", "width"][-max(len(extra), 2) :]
        words = [
            f"{word}_{name}: {value}"
            for word, values in (("output_padding", extra), ("stride", step), ("dilation", spread))
            for name, value in zip(names[-len(values) :], values, strict=True)
        ]
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            + " ".join(words)
        )


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv1d`: (N, C, L) with (C, O/groups, K) gives (N, O, L').

    L' = (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1. The batch axis
    may be absent. RuntimeError for sizes and dtypes that do not fit.
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv2d`: (N, C, H, W) with (C, O/groups, K, L). As `conv_transpose1d`."""
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv3d`, over (N, C, D, H, W). As `conv_transpose1d`."""
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
