"""The matrix product that is generated where no library does it: tiles in shared memory.

Owns: its text and its number of blocks. Must not know: libraries, nodes, buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lazygrad.codegen.environment import environment
from lazygrad.ir.dtypes import DType

TILE = 64  # rows and columns of C that a block makes
DEPTH = 16  # terms that are in shared memory at a time
EACH = 4  # rows and columns that a thread makes
THREADS = (TILE // EACH) ** 2
HEAD = 10  # dimensions before those of the batch: see gemm_dims


def _digits(dims: Sequence[int]) -> list[list[int]]:
    """For i and k of A, k and j of B: where in `dims` its digits' (extent, stride) are."""
    at = HEAD + 4 * dims[0]
    found = []
    for _ in range(4):
        found.append([at + 1 + 2 * digit for digit in range(dims[at])])
        at += 1 + 2 * dims[at]
    return found


def product_source(dtype: DType, dims: Sequence[int]) -> tuple[str, str]:
    """(symbol, text) of the product of a dtype with so many batch axes, and axes in an index."""
    axes, digits = dims[0], _digits(dims)
    form = "".join(str(len(d)) for d in digits)
    symbol = f"lg_matmul_{dtype.short}_{axes}" + (f"_{form}" if any(digits) else "")
    kind, size = dtype.kind, dtype.itemsize
    compute = "f64" if size == 8 else "f32"
    fma = "fma(x[i], y[j], sum[i][j])" if size == 8 else "fmaf(x[i], y[j], sum[i][j])"
    load = store = ""
    if dtype.is_half:
        load, store = f"v_from_{dtype.short}", f"v_to_{dtype.short}"
    elif kind != "f":
        compute, fma = "u64" if size == 8 else "u32", "sum[i][j] + x[i] * y[j]"
        load, store = f"({compute})", f"({dtype.short})"
    text = (
        environment()
        .get_template("cuda/product.cu.j2")
        .render(
            symbol=symbol,
            stored="u16" if dtype.is_half else dtype.short,
            compute=compute,
            fma=fma,
            load=load,
            store=store,
            tile=TILE,
            depth=DEPTH,
            each=EACH,
            side=TILE // EACH,
            threads=THREADS,
            count=len(dims),
            digits=dict(zip(("ai", "ak", "bk", "bj"), digits)),
            batches=[HEAD + 4 * axis for axis in reversed(range(axes))],
        )
    )
    return symbol, text


def product_blocks(dims: Sequence[int]) -> int:
    axes, m, n = dims[:3]
    batch = prod(dims[HEAD + 4 * axis] for axis in range(axes))
    return batch * -(-m // TILE) * -(-n // TILE)
