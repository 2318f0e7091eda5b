"""The workloads for a device with memory of its own: the same computations, much larger.

Owns: their sizes, which follow from one number of elements, and the least traffic and work of
each. Must not know: any library, nor how time is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lazygrad.bench.workloads import F4, WORKLOADS, Arrays, Workload

ELEMENTS = 10**8
COLUMNS = 4096  # of row-wise computations
FULL = 10**7  # elements from which the models have their whole sizes
_SIDE = 8192  # of matrices, at most
_SAMPLE = 1 << 20  # numbers that are drawn; more are copies of them


def _filled(*shapes: tuple[int, ...], uniform: bool = False) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        made = []
        for shape in shapes:
            n = math.prod(shape)
            draw = rng.random if uniform else rng.standard_normal
            made.append(np.resize(draw(min(n, _SAMPLE), dtype=np.float32), n).reshape(shape))
        return tuple(made)

    return make


def _product(side: int, bias: bool = False) -> Callable[..., Arrays]:
    shapes = ((side, side), (side, side), (side,))[: 2 + bias]

    def make(rng: np.random.Generator) -> Arrays:
        found = _filled(*shapes)(rng)
        return tuple(a / np.float32(side**0.25) for a in found[:2]) + found[2:]

    return make


def _picked(n: int, count: int) -> Callable[..., Arrays]:
    def make(rng: np.random.Generator) -> Arrays:
        return *_filled((n,))(rng), rng.integers(0, n, count)

    return make


def _model(name: str, **shape: Any) -> Workload:
    """A workload of the host's list, as it is or smaller; no limit of a machine bounds it."""
    w = WORKLOADS[name]
    make, flops = w.make, 0 if shape else w.flops
    return replace(w, make=lambda rng: make(rng, **shape), limit="", fraction=0.0, flops=flops)


def large(elements: int = ELEMENTS) -> dict[str, Workload]:
    """The workloads by name; `limit` is `copy` (bandwidth) or `product` (a library's rate)."""
    n, whole = elements, elements >= FULL
    columns = min(COLUMNS, max(math.isqrt(n), 1))
    rows, side = n // columns, math.isqrt(n)
    width = _SIDE if whole else max(2 ** round(math.log2(side)), 16)
    picks = max(n // 8, 1)
    total, square, size = rows * columns * F4, side * side * F4, f"{n:.0e}".replace("e+0", "e")
    by_rows, positive = _filled((rows, columns)), _filled((rows, columns), uniform=True)
    affine = _filled((rows, columns), (columns,), (columns,))
    three = _filled((n,), (n,), (n,))
    flops = 2 * width**3
    few: dict[str, Any] = {} if whole else {"batch": 16, "widths": (32, 16, 16, 10)}
    shape = f"{rows}x{columns}"
    made = [
        Workload("chain", "chain", f"tanh(a*b+c)*sigmoid(a)-exp(-b*b), {size}", three,
                 4 * n * F4, limit="copy"),
        Workload("axpy", "axpy", f"a*2+b-c/3, {size}", three, 4 * n * F4, limit="copy"),
        Workload("softmax", "softmax", f"softmax, rows of {shape}", by_rows, 2 * total,
                 limit="copy"),
        Workload("layernorm", "layer_norm", f"layer norm, {shape}", affine, 2 * total,
                 limit="copy"),
        Workload("sum_all", "sum_all", f"sum of all, {size}", positive, total, limit="copy"),
        Workload("sum_axis1", "sum1", f"sum of rows, {shape}", positive, total, limit="copy"),
        Workload("sum_axis0", "sum0", f"sum of columns, {shape}", positive, total, limit="copy"),
        Workload("transpose_add", "transpose_add", f"a.T + b, {side}^2",
                 _filled((side, side), (side, side)), 3 * square, limit="copy"),
        Workload("gather", "gather", f"{picks:.0e} random elements of {size}", _picked(n, picks),
                 picks * (2 * F4 + 8)),
        Workload("matmul", "matmul", f"{width}^3", _product(width), 0, flops, limit="product"),
        Workload("gemm_gelu", "gemm_gelu", f"gelu(x @ w + bias), {width}^3",
                 _product(width, True), 0, flops, limit="product"),
        _model("mlp_sgd", **few),
        _model("mlp_adam", **few),
        _model("small_mlp_sgd"),
        _model("convnet", **({} if whole else {"batch": 2})),
        _model("gpt_block", **({} if whole else {"batch": 1, "tokens": 16, "width": 48})),
    ]  # fmt: skip
    return {w.name: w for w in made}
