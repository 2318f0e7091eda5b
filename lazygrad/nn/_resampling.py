"""Resampling of `lazygrad.nn.functional`: images of another size, and channels as pixels.

Owns: which elements an output element is made of, with which weights, for each mode of
`interpolate`; they are worked out on the host for one axis at a time. Must not know: modules, or
how ops run. The arithmetic of positions is PyTorch's, rounding included: an output element at the
border of two input elements must fall to the same one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.nn._adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
)
from lazygrad.nn._common import function, not_implemented
from lazygrad.tensor import Tensor, bitwise_right_shift, float32, float64, int32, tensor, uint8

# One axis: for every tap, where it reads for every output element, and with which weight.
Taps = tuple[np.ndarray, "np.ndarray | None"]

# -- positions -----------------------------------------------------------------------------------


def _ratio(n: int, out: int, scale: float | None, real: Any) -> Any:
    """Input elements for one output element."""
    return real(1.0 / scale) if scale is not None and scale > 0 else real(n) / real(out)


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> Taps:
    at = np.arange(out, dtype=np.float32)
    if exact:
        at = at + np.float32(0.5)
    elif out == n:
        return np.arange(out)[None], None
    elif out == 2 * n:
        return (np.arange(out) >> 1)[None], None
    found = np.floor(at * _ratio(n, out, scale, np.float32)).astype(np.int64)
    return np.minimum(found, n - 1)[None], None


def _source(n: int, out: int, scale: float | None, corners: bool, real: Any) -> np.ndarray:
    """Where each output element lies among the input's."""
    at = np.arange(out).astype(real)
    if corners:
        return at * (real(n - 1) / real(out - 1) if out > 1 else real(0))
    half = real(0.5)
    return _ratio(n, out, scale, real) * (at + half) - half


def _linear(n: int, out: int, scale: float | None, corners: bool, real: Any) -> Taps:
    at = np.maximum(_source(n, out, scale, corners, real), real(0))
    first = np.minimum(at.astype(np.int64), n - 1)
    part = np.clip(at - first.astype(real), 0, 1)
    return np.stack([first, np.minimum(first + 1, n - 1)]), np.stack([1 - part, part])


def _cubic_weight(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' convolution kernel at a distance (Keys, 1981)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0 * x))


def _cubic(n: int, out: int, scale: float | None, corners: bool, real: Any) -> Taps:
    at = _source(n, out, scale, corners, real)
    first = np.floor(at)
    part = at - first
    index = np.stack([first.astype(np.int64) + tap for tap in (-1, 0, 1, 2)])
    weights = [_cubic_weight(part - real(tap), -0.75) for tap in (-1, 0, 1, 2)]
    return np.clip(index, 0, n - 1), np.stack(weights)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0 * x)


# Filters of antialiased resampling: the reach on one side, and the weight at a distance.
_FILTERS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, lambda x: _cubic_weight(x, -0.5)),
    "lanczos": (3, _lanczos),
}


def _smooth(mode: str, n: int, out: int, scale: float | None, corners: bool, real: Any) -> Taps:
    """The filter widened by the ratio where the image shrinks: no detail is stepped over."""
    reach, weigh = _FILTERS[mode]
    ratio = real(n - 1) / real(out - 1) if corners and out > 1 else _ratio(n, out, scale, real)
    if corners and out <= 1:
        ratio = real(0)
    wide = max(ratio, real(1))
    centre = ratio * (np.arange(out).astype(real) + real(0.5))
    start = np.maximum((centre - reach * wide + real(0.5)).astype(np.int64), 0)
    stop = np.minimum((centre + reach * wide + real(0.5)).astype(np.int64), n)
    taps = int((stop - start).max())
    index = start + np.arange(taps)[:, None]
    weights = weigh((index - centre + real(0.5)) / wide).astype(real)
    weights = np.where(index < stop, weights, 0)
    return np.minimum(index, n - 1), weights / weights.sum(0)


# -- along the axes ------------------------------------------------------------------------------


def _along(x: Tensor, axis: int, taps: Taps) -> Tensor:
    """One axis resampled: the sum of its taps."""
    index, weights = taps
    out, n = index.shape[1], x.shape[axis]
    if weights is None:
        if np.array_equal(index[0], np.arange(n)):
            return x
        if out % n == 0 and np.array_equal(index[0], np.arange(out) // (out // n)):
            repeats = out // n  # every element as often: a view, and its gradient a sum
            wide = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
            return x.unsqueeze(axis + 1).expand(wide).flatten(axis, axis + 1)
        return x.index_select(axis, tensor(index[0].tolist(), device=x.device))
    total: Any = None
    shape = [out if a == axis else 1 for a in range(x.dim())]
    for places, weight in zip(index, weights, strict=True):
        picked = x.index_select(axis, tensor(places.tolist(), device=x.device))
        factor = tensor(weight.tolist(), dtype=x.dtype, device=x.device).reshape(shape)
        total = picked * factor if total is None else total + picked * factor
    return total  # type: ignore[no-any-return]


def _resample(x: Tensor, *, taps: Sequence[Taps]) -> Tensor:
    for axis in reversed(range(len(taps))):
        index, weights = taps[axis]
        if x.dtype == uint8 and weights is not None:
            x = _along_bytes(x, 2 + axis, index, weights)
        else:
            x = _along(x, 2 + axis, taps[axis])
    return x


def _along_bytes(x: Tensor, axis: int, index: np.ndarray, weights: np.ndarray) -> Tensor:
    """One axis of bytes, to bytes again, with weights of 16 bits in fixed point.

    The largest weight decides how many bits stand behind the point. Taps at the border that read
    the same element are one.
    """
    weights = weights.copy()
    for tap in range(1, len(index)):
        same = index[tap] == index[tap - 1]
        weights[tap] += np.where(same, weights[tap - 1], 0)
        weights[tap - 1] = np.where(same, 0, weights[tap - 1])
    most = float(weights.max())
    bits = next(b for b in range(23) if b == 22 or int(0.5 + most * 2 ** (b + 1)) >= 2**15)
    whole = np.trunc(weights * 2**bits + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
    total = _along(x.to(int32), axis, (index, whole)) + (1 << (bits - 1))
    result: Tensor = bitwise_right_shift(total, bits).clamp(0, 255).to(uint8)
    return result


_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_NAMES = {
    **{("nearest", nd): f"UpsampleNearest{nd}D" for nd in (1, 2, 3)},
    **{("nearest-exact", nd): f"UpsampleNearestExact{nd}D" for nd in (1, 2, 3)},
    **{(mode, nd): f"Upsample{mode.capitalize()}{nd}D" for nd, mode in _LINEAR.items()},
    ("bicubic", 2): "UpsampleBicubic2D",
    ("bilinear-smooth", 2): "UpsampleBilinear2DAa",
    ("bicubic-smooth", 2): "UpsampleBicubic2DAa",
    ("lanczos-smooth", 2): "UpsampleLanczos2DAa",
}
_RESAMPLE = {key: function(f"{name}Backward0", saves=())(_resample) for key, name in _NAMES.items()}


def _kernel(mode: str, nd: int, smooth: bool) -> str:
    """PyTorch's name of the kernel, for the error of a dtype that it has not."""
    if smooth:
        return "compute_index_ranges_weights"
    kind = {"nearest-exact": "nearest", "bicubic": "cubic"}.get(mode, mode)
    if kind == "cubic" or nd == 1:
        return f"compute_indices_weights_{kind}"
    return f"upsample_{kind}{nd}d_channels_last"


# -- interpolate -------------------------------------------------------------------------------


def _output(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The output's extents, and the scales that positions are worked out with."""
    image = list(input.shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        given = [size] * len(image) if not isinstance(size, list | tuple) else list(size)
        if len(given) != len(image):
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {image} and output size of {size}. Please provide "
                "input tensor in (N, C, d1, d2, ...,dK) format and output size in "
                "(o1, o2, ...,oK) format."
            )
        if not all(isinstance(extent, int) for extent in given):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or "
                "Tuple[int, int, int], but got size with types "
                f"{[type(extent) for extent in given]}"
            )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return given, [None] * len(image)
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = (
        list(scale_factor)
        if isinstance(scale_factor, list | tuple)
        else [scale_factor] * len(image)
    )
    if len(factors) != len(image):
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got "
            f"input with spatial dimensions of {image} and scale_factor of shape {scale_factor}. "
            "Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in "
            "(s1, s2, ...,sK) format."
        )
    for factor in factors:
        if not isinstance(factor, int | float):
            raise TypeError(
                f"interpolate(): argument 'scale_factor' must be numbers, not "
                f"{type(factor).__name__}"
            )
    outs = [math.floor(float(n) * f) for n, f in zip(image, factors, strict=True)]
    return outs, [None] * len(image) if recompute else [float(f) for f in factors]


_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"
_RANKS = {"linear": 1, "bilinear": 2, "trilinear": 3}


def _check_mode(input: Tensor, mode: str, corners: bool | None, smooth: bool) -> None:
    rank = input.dim()
    if mode in ("nearest", "area", "nearest-exact") and corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            "linear | bilinear | bicubic | trilinear"
        )
    if smooth and not (mode in _FILTERS and rank == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode in _RANKS and rank in (3, 4, 5) and rank != _RANKS[mode] + 2:
        raise NotImplementedError(
            f"Got {rank}D input, but {mode} mode needs {_RANKS[mode] + 2}D input"
        )
    known = mode in ("nearest", "area", "nearest-exact", *_RANKS)
    if rank not in (3, 4, 5) or not (known or (mode in ("bicubic", "lanczos") and rank == 4)):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank}D) for the "
            f"modes: {_MODES} (got {mode})"
        )


def _check_extents(input: Tensor, outs: Sequence[int]) -> None:
    image, letters = list(input.shape[2:]), "DHW"[-len(outs) :]
    if min(image) < 1 or min(outs) < 1:
        have, made = (
            ", ".join(f"{letter}: {n}" for letter, n in zip(letters, extents, strict=True))
            for extents in (image, outs)
        )
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({have}) "
            f"output ({made})"
        )
    if input.shape[1] == 0:
        raise RuntimeError(
            f"Non-empty {input.dim()}D data tensor expected but got a tensor with sizes "
            f"{list(input.shape)}"
        )


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, *image) to an image of another size, or of a size scaled by a factor.

    `mode` is "nearest", "nearest-exact" or "area" for 1 to 3 axes, "linear", "bilinear" or
    "trilinear" for 1, 2 or 3, "bicubic" for 2, "lanczos" for 2 with `antialias`. With
    `align_corners` the corners' centres stay where they are; with `antialias` ("bilinear",
    "bicubic", "lanczos") a shrinking image is smoothed. ValueError, RuntimeError,
    NotImplementedError for sizes, modes and dtypes that do not fit.
    """
    if input.dim() > 2:
        outs, scales = _output(input, size, scale_factor, recompute_scale_factor)
    _check_mode(input, mode, align_corners, antialias)
    nd, corners = len(outs), bool(align_corners)
    if mode == "area":
        pool: Any = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[nd - 1]
        return pool(input, outs)  # type: ignore[no-any-return]
    _check_extents(input, outs)
    if not input.is_floating_point() and (input.dtype != uint8 or mode in ("linear", "trilinear")):
        raise not_implemented(_kernel(mode, nd, antialias), input)
    if mode == "lanczos" and not antialias:
        raise NotImplementedError("lanczos mode requires antialias=True")
    if antialias and input.dtype not in (float32, float64, uint8):
        raise not_implemented("compute_index_ranges_weights", input)
    real = np.float64 if input.dtype in (float64, uint8) else np.float32
    taps = []
    for n, out, scale in zip(input.shape[2:], outs, scales, strict=True):
        if antialias:
            taps.append(_smooth(mode, n, out, scale, corners, real))
        elif mode.startswith("nearest"):
            taps.append(_nearest(n, out, scale, mode == "nearest-exact"))
        elif mode == "bicubic":
            taps.append(_cubic(n, out, scale, corners, real))
        else:
            taps.append(_linear(n, out, scale, corners, real))
    key = (f"{mode}-smooth" if antialias else mode, nd)
    result: Tensor = _RESAMPLE[key](input, taps=taps)
    return result


# -- channels as pixels ------------------------------------------------------------------------


def _need_image(name: str, x: Tensor, words: str, factor: int) -> None:
    if x.dim() < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {x.dim()} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {words}, but got {factor}")


@function("PixelShuffleBackward0", saves=())
def _pixel_shuffle(x: Tensor, *, factor: int) -> Tensor:
    *batch, channels, height, width = x.shape
    lead = len(batch)
    x = x.reshape(*batch, channels // factor**2, factor, factor, height, width)
    x = x.permute(*range(lead + 1), lead + 3, lead + 1, lead + 4, lead + 2)
    return x.reshape(*batch, channels // factor**2, height * factor, width * factor)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C * r * r, H, W) to (*, C, H * r, W * r). RuntimeError for sizes that do not fit."""
    _need_image("pixel_shuffle", input, "upscale_factor", upscale_factor)
    if input.shape[-3] % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={input.shape[-3]} is not divisible by "
            f"{upscale_factor**2}"
        )
    result: Tensor = _pixel_shuffle(input, factor=upscale_factor)
    return result


@function("PixelUnshuffleBackward0", saves=())
def _pixel_unshuffle(x: Tensor, *, factor: int) -> Tensor:
    *batch, channels, height, width = x.shape
    lead = len(batch)
    x = x.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    x = x.permute(*range(lead + 1), lead + 2, lead + 4, lead + 1, lead + 3)
    return x.reshape(*batch, channels * factor**2, height // factor, width // factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H * r, W * r) to (*, C * r * r, H, W). RuntimeError for sizes that do not fit."""
    _need_image("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    for words, axis in (("height", -2), ("width", -1)):
        if input.shape[axis] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {words} to be divisible by downscale_factor, but "
                f"input.size({axis})={input.shape[axis]} is not divisible by {downscale_factor}"
            )
    result: Tensor = _pixel_unshuffle(input, factor=downscale_factor)
    return result
