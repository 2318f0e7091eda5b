"""Padding of `lazygrad.nn.functional`.

Owns: what the elements outside of a tensor are, for each mode, and the checks of the widths. Must
not know: modules, or how a view is loaded. Pieces of views are joined; zeros cost no kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.autograd import composite
from lazygrad.nn._common import need_numbers
from lazygrad.tensor import Tensor, cat, constant_pad_nd
from lazygrad.tensor.history import saving


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
    (mode, ndim): composite(f"{name}Pad{ndim}DBackward0", saves=("x",))(_pad_edges)
    for mode, name in (("reflect", "Reflection"), ("replicate", "Replication"))
    for ndim in (1, 2, 3)
}


def _check_edges(input: Tensor, widths: Sequence[int], mode: str) -> None:
    """Ranks, widths and dtypes that the modes with edges take."""
    ndim = len(widths) // 2
    if not (ndim in (1, 2, 3) and input.dim() in (ndim + 1, ndim + 2)):
        raise NotImplementedError(
            f"Padding size {len(widths)} is not supported for {input.dim()}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    rank, shape = input.dim(), list(input.shape)
    for i in range(ndim):
        axis = rank - 1 - i
        size, given = shape[axis], (widths[2 * i], widths[2 * i + 1])
        if mode == "circular":
            if max(given) > size:
                raise RuntimeError("Padding value causes wrapping around more than once.")
            if size + sum(given) < 0:
                raise RuntimeError("Negative padding value is resulting in an empty dimension")
            continue
        if size == 0:
            raise RuntimeError(
                f"Expected {ndim + 1}D or {ndim + 2}D (batch mode) tensor with possibly 0 batch "
                f"size and other non-zero dimensions for input, but got: {shape}"
            )
        if mode == "reflect" and max(given) >= size:
            raise RuntimeError(
                f"Argument #{2 * i + 4}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding {given} at dimension {axis} of input {shape}"
            )
        if size + sum(given) < 0:
            letter = "WHD"[i]
            raise RuntimeError(
                f"input ({letter}: {size}) is too small. Calculated output {letter}: "
                f"{size + sum(given)}"
            )
    if mode != "circular":
        kernel = "reflection" if mode == "reflect" else "replication"
        need_numbers(f"{kernel}_pad{ndim}d", input)


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Pad the last axes, the last one first: `pad` is (before, after, before, after, ...).

    `mode` is "constant" (with `value`, 0 by default), "reflect", "replicate" or "circular"; a
    negative width cuts. RuntimeError for widths that do not fit the shape, NotImplementedError
    for another mode.
    """
    for at, width in enumerate(pad):
        if not isinstance(width, int):
            raise TypeError(
                "pad(): argument 'pad' (position 2) must be tuple of ints, "
                f"but found element of type {type(width).__name__} at pos {at}"
            )
    widths = list(pad)
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
        return saving(_pad_edges(input, widths=widths, mode=mode))
    result: Tensor = _PADDERS[mode, len(widths) // 2](input, widths=widths, mode=mode)
    return result
