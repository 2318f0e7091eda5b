"""Convolution: one op, whose gradients are convolutions, and which is planned as a matrix product.

Owns: `conv` and its three meanings: numpy's, its gradient, and the product of the weights with the
windows of the image. The windows are a view, so no matrix of them is ever in memory: the product
packs its blocks from the image (an implicit "im2col", as in cuDNN, arXiv:1410.0759).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.ops.indexed import matmul
from lazygrad.ir.ops.movement import expand, flip, pad, permute, reshape, slice_, window

FEW = 64  # places in an image: with fewer, those of all images are columns of one product


def _sizes(x: Shape, w: Shape, arg: Any) -> tuple[int, Shape, Shape]:
    """(number of batch axes before n, the kernel's extents, the output's)."""
    steps, spreads = arg
    nd = len(steps)
    size, image = w[-nd:], x[-nd:]
    outs = tuple((e - d * (k - 1) - 1) // s + 1 for e, k, s, d in zip(image, size, steps, spreads))
    return len(x) - nd - 2, size, outs


def _infer(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    x, w = srcs
    lead, _, outs = _sizes(x.shape, w.shape, arg)
    same = x.shape[:lead] == w.shape[:lead] and x.shape[lead + 1] == w.shape[lead + 1]
    if x.ndim != w.ndim or x.dtype is not w.dtype or not same or min(outs, default=1) < 1:
        raise ValueError(f"conv of {x!r} and {w!r}, {arg}")
    return (*x.shape[: lead + 1], w.shape[lead], *outs), x.dtype


def _windows(x: Node, size: Shape, arg: Any, lead: int) -> Node:
    """(*lead, n, c, *image) to (*lead, n, c, *out, *size): a view."""
    for number, (k, s, d) in enumerate(zip(size, *arg)):
        x = window(x, arg=(lead + 2 + number, d * (k - 1) + 1, s))
        if d > 1:
            spans = [(0, e, 1) for e in x.shape]
            spans[-1] = (0, x.shape[-1], d)
            x = slice_(x, arg=tuple(spans))
    return x


def _as_product(x: Node, w: Node, *, arg: Any) -> Node:
    """Weights (o, c * size) times windows (c * size, out): for each image, or all in one."""
    lead, size, outs = _sizes(x.shape, w.shape, arg)
    nd, batch = len(size), x.shape[:lead]
    n, c, o = x.shape[lead], x.shape[lead + 1], w.shape[lead]
    depth, places = c * prod(size), prod(outs)
    view = _windows(x, size, arg, lead)
    head, out = tuple(range(lead)), tuple(range(lead + 2, lead + 2 + nd))
    kernel = tuple(range(lead + 2 + nd, lead + 2 + 2 * nd))
    weights = reshape(w, arg=(*batch, o, depth))
    if places < FEW and n > 1:
        view = permute(view, arg=(*head, lead + 1, *kernel, lead, *out))
        product = matmul(weights, reshape(view, arg=(*batch, depth, n * places)))
        product = reshape(product, arg=(*batch, o, n, *outs))
        return permute(product, arg=(*head, lead + 1, lead, *out))
    view = permute(view, arg=(*head, lead, lead + 1, *kernel, *out))
    weights = expand(reshape(weights, arg=(*batch, 1, o, depth)), arg=(*batch, n, o, depth))
    product = matmul(weights, reshape(view, arg=(*batch, n, depth, places)))
    return reshape(product, arg=(*batch, n, o, *outs))


def _turned(w: Node, lead: int) -> Node:
    """The first two axes behind the batch exchanged."""
    rest = range(lead + 2, w.ndim)
    return permute(w, arg=(*range(lead), lead + 1, lead, *rest))


def _dilated(g: Node, axis: int, step: int) -> Node:
    """step - 1 zeros between neighbours along an axis."""
    if step == 1:
        return g
    count = g.shape[axis]
    g = reshape(g, arg=(*g.shape[: axis + 1], 1, *g.shape[axis + 1 :]))
    g = pad(g, arg=tuple((0, step - 1 if a == axis + 1 else 0) for a in range(g.ndim)))
    g = reshape(g, arg=(*g.shape[:axis], count * step, *g.shape[axis + 2 :]))
    keep = (count - 1) * step + 1
    return slice_(g, arg=tuple((0, keep if a == axis else e, 1) for a, e in enumerate(g.shape)))


def _vjp(g: Node, y: Node, x: Node, w: Node, *, arg: Any) -> tuple[Node, Node]:
    steps, spreads = arg
    lead, size, _ = _sizes(x.shape, w.shape, arg)
    ones = (1,) * len(size)
    # of the image: the gradient, padded, meets the kernel turned around
    spread_out, widths = g, [(0, 0)] * (lead + 2)
    for number, (k, s, d) in enumerate(zip(size, steps, spreads)):
        axis = lead + 2 + number
        spread_out = _dilated(spread_out, axis, s)
        before = d * (k - 1)
        widths.append((before, x.shape[axis] - spread_out.shape[axis]))
    padded = pad(spread_out, arg=tuple(widths))
    back = flip(_turned(w, lead), arg=tuple(range(lead + 2, w.ndim)))
    of_image = conv(padded, back, arg=(ones, spreads))
    # of the kernel: channels are the images, images the channels, and the gradient is the kernel
    of_kernel = conv(_turned(x, lead), _turned(g, lead), arg=(spreads, steps))
    kept = (*of_kernel.shape[: lead + 2], *size)
    of_kernel = slice_(of_kernel, arg=tuple((0, e, 1) for e in kept))
    return of_image, _turned(of_kernel, lead)


def _numpy(x: np.ndarray, w: np.ndarray, *, node: Node) -> np.ndarray:
    lead, size, outs = _sizes(x.shape, w.shape, node.arg)
    wide = np.float64 if x.dtype.kind == "f" else x.dtype
    nd = len(size)
    axes = tuple(range(lead + 2, lead + 2 + nd))
    whole = tuple(d * (k - 1) + 1 for k, d in zip(size, node.arg[1]))
    view = np.lib.stride_tricks.sliding_window_view(x.astype(wide), whole, axes)
    steps = tuple(slice(None, None, s) for s in (*node.arg[0], *node.arg[1]))
    view = view[(slice(None),) * (lead + 2) + steps]
    images = np.moveaxis(view, lead + 1, lead + 1 + nd)  # (*lead, n, *out, c, *size)
    rows = images.reshape(*x.shape[: lead + 1], prod(outs), -1)
    columns = w.astype(wide).reshape(*w.shape[: lead + 1], -1)[..., None, :, :].swapaxes(-1, -2)
    made = (rows @ columns).swapaxes(-1, -2)
    return made.reshape(node.shape).astype(x.dtype)


conv: Op = register(
    Op(
        "conv",
        Lowering.CONTRACT,
        _infer,
        _numpy,
        _vjp,
        (0, 1),
        arity=2,
        kinds="uif",
        ulp=matmul.ulp,
        written=_as_product,
    )
)
