"""Windows that slide over an image: as axes of a view, and as columns of `unfold` and `fold`.

Owns: the view of all windows, the sum of windows that overlap (its transpose), and the checks of
`unfold` and `fold`. Must not know: what is computed over windows, or how a view is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.nn._common import Sizes, function, need_floats
from lazygrad.tensor import Tensor, constant_pad_nd
from lazygrad.tensor import bool as bool_
from lazygrad.tensor.views import no_view


def windows(x: Tensor, size: Sequence[int], step: Sequence[int], spread: Sequence[int]) -> Tensor:
    """(N, C, *image) to (N, C, *out, *size): a view of every window over the image axes."""
    for axis, (k, s, d) in enumerate(zip(size, step, spread, strict=True)):
        x = x.unfold(axis + 2, d * (k - 1) + 1, s)
        if d > 1:
            x = x[..., ::d]
    return x


def overlap_add(
    parts: Tensor,
    image: Sequence[int],
    step: Sequence[int],
    sides: Sequence[int],
    spread: Sequence[int],
) -> Tensor:
    """(N, C, *out, *size) to (N, C, *image): the sum of windows that lie on a padded image.

    The transpose of `windows`, one axis after the other: each offset in a window is a slice,
    spread by the step and moved to its place.
    """
    for axis in reversed(range(len(image))):
        at, s = axis + 2, step[axis]
        length = (parts.shape[at] - 1) * s + 1
        total: Any = None
        for offset in range(parts.shape[-1]):
            part = parts.select(-1, offset)
            if s > 1:  # zeros between neighbours: pad a new axis, then merge it
                part = part.unsqueeze(at + 1)
                part = constant_pad_nd(part, [0] * (2 * (part.dim() - at - 2)) + [0, s - 1], 0)
                part = part.flatten(at, at + 1).narrow(at, 0, length)
            before = offset * spread[axis] - sides[axis]
            after = image[axis] - before - length
            part = constant_pad_nd(part, [0] * (2 * (part.dim() - at - 1)) + [before, after], 0)
            total = part if total is None else total + part
        parts = total
    return parts


# -- windows as columns ------------------------------------------------------------------------


@function("Im2ColBackward0", saves=())
def _unfold(
    x: Tensor, *, size: list[int], step: list[int], sides: list[int], spread: list[int]
) -> Tensor:
    padded = constant_pad_nd(x, [sides[1], sides[1], sides[0], sides[0]], 0)
    view = windows(padded, size, step, spread).permute(0, 1, 4, 5, 2, 3)
    batch, channels = view.shape[:2]
    return view.reshape(batch, channels * size[0] * size[1], -1)


@function("Col2ImBackward0", saves=())
def _fold(
    x: Tensor,
    *,
    image: list[int],
    size: list[int],
    step: list[int],
    sides: list[int],
    spread: list[int],
) -> Tensor:
    counts = _block_counts(image, size, step, sides, spread)
    view = x.reshape(x.shape[0], -1, *size, *counts).permute(0, 1, 4, 5, 2, 3)
    return overlap_add(view, image, step, sides, spread)


def _block_counts(
    image: Sequence[int],
    size: Sequence[int],
    step: Sequence[int],
    sides: Sequence[int],
    spread: Sequence[int],
) -> list[int]:
    """How many windows there are along each axis."""
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(image, size, step, sides, spread, strict=True)
    ]


def _two(given: Sizes, words: str) -> list[int]:
    sizes = [given] * 2 if isinstance(given, int) else [int(size) for size in given]
    if len(sizes) == 1:
        return sizes * 2
    if len(sizes) != 2:
        raise RuntimeError(f"It is expected {words} equals to 2, but got size {len(sizes)}")
    return sizes


def _check_blocks(size: list[int], step: list[int], sides: list[int], spread: list[int]) -> None:
    for words, short, values, least in (
        ("kernel size", "kernel", size, 1),
        ("stride", "stride", step, 1),
        ("dilation", "dilation", spread, 1),
        ("padding", "pad", sides, 0),
    ):
        if min(values) < least:
            bound = "greater than zero" if least else "non-negative"
            raise RuntimeError(
                f"{words} should be {bound}, but got {short}_height: {values[0]} "
                f"{short}_width: {values[1]}"
            )


def _tuple(values: Sequence[int]) -> str:
    return f"({', '.join(map(str, values))})"


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """Every window of (N, C, H, W) or (C, H, W) as a column: (N, C * K * L, windows).

    RuntimeError for sizes that do not fit.
    """
    if input.dim() < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [-{input.dim()}, "
            f"{input.dim() - 1}], but got {2 if input.dim() == 2 else 1})"
        )
    size, spread = _two(kernel_size, "kernel_size"), _two(dilation, "dilation")
    sides, step = _two(padding, "padding"), _two(stride, "stride")
    _check_blocks(size, step, sides, spread)
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    image = list(input.shape[-2:])
    counts = _block_counts(image, size, step, sides, spread)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size {_tuple(image)}, kernel_size={_tuple(size)}, "
            f"dilation={_tuple(spread)}, padding={_tuple(sides)}, calculated shape of the array "
            f"of sliding blocks as {_tuple(counts)}, but its components must be at least one."
        )
    if input.dtype != bool_:
        need_floats("im2col_out_cpu", input)
    batched = input if input.dim() == 4 else input.unsqueeze(0)
    out: Tensor = _unfold(batched, size=size, step=step, sides=sides, spread=spread)
    return out if batched is input else no_view(out.squeeze(0))


def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The transpose of `unfold`: columns (N, C * K * L, windows) summed into (N, C, H, W).

    The batch axis may be absent. RuntimeError for sizes that do not fit.
    """
    image, size = _two(output_size, "output_size"), _two(kernel_size, "kernel_size")
    spread, sides = _two(dilation, "dilation"), _two(padding, "padding")
    step = _two(stride, "stride")
    _check_blocks(size, step, sides, spread)
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    planes, given = input.shape[-2:]
    if planes % (size[0] * size[1]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={planes} and kernel_size={_tuple(size)}."
        )
    counts = _block_counts(image, size, step, sides, spread)
    if counts[0] * counts[1] != given or min(counts) < 0:
        raise RuntimeError(
            f"Given output_size={_tuple(image)}, kernel_size={_tuple(size)}, "
            f"dilation={_tuple(spread)}, padding={_tuple(sides)}, stride={_tuple(step)}, expected "
            f"size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{counts[0]} * {counts[1]} = {counts[0] * counts[1]}, but got "
            f"input.size(2)={given}."
        )
    if input.dtype != bool_:
        need_floats("col2im_out_cpu", input)
    batched = input if input.dim() == 3 else input.unsqueeze(0)
    out: Tensor = _fold(batched, image=image, size=size, step=step, sides=sides, spread=spread)
    return out if batched is input else no_view(out.squeeze(0))
