"""The matrix product that is generated where no library does it: tiles in shared memory.

Owns: its text, which tiles and accesses fit a product, and its number of blocks. Must not know:
libraries, nodes, buffers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from lazygrad.codegen.environment import environment
from lazygrad.ir.dtypes import DType

LARGE, SMALL = 128, 64  # rows and columns of C that a block makes
THREADS = 256
SIDE = 16  # of them
BUSY = 132  # large tiles are worth it if there are as many as a GPU has multiprocessors
MOST_DEPTH = 16  # terms that are in shared memory at a time
HEAD = 10  # dimensions before those of the batch: see gemm_dims


@dataclass(frozen=True)
class Form:
    """A tile, and along which index ("k", "outer") an operand is read 16 bytes at a time (of half
    types in small tiles 8); "" for single elements. `whole`: C is stored so."""

    tile: int
    by_a: str = ""
    by_b: str = ""
    whole: bool = False

    @property
    def name(self) -> str:
        letters = {"": "x", "k": "k", "outer": "o"}
        return f"{self.tile}{letters[self.by_a]}{letters[self.by_b]}{'w' * self.whole}"


def _digits(dims: Sequence[int]) -> list[list[int]]:
    """For i and k of A, k and j of B: where in `dims` its digits' (extent, stride) are."""
    at = HEAD + 4 * dims[0]
    found = []
    for _ in range(4):
        found.append([at + 1 + 2 * digit for digit in range(dims[at])])
        at += 1 + 2 * dims[at]
    return found


def _depth(dtype: DType, tile: int) -> int:
    """Terms at a time: as many as 16 bytes of a thread are."""
    return min(MOST_DEPTH, 16 // dtype.itemsize * THREADS // tile)


@dataclass(frozen=True)
class Finish:
    """A function that a thread calls with its elements of C: see `epilogue`."""

    symbol: str
    text: str
    pointers: tuple[str, ...]
    index: str
    count: int  # of its integers
    light: bool  # whether it leaves registers for a large tile, and for more blocks at a time
    kept: bool  # whether C is stored as well

    @property
    def arguments(self) -> str:
        return ", ".join(text.split()[-1].lstrip("*") for text in self.pointers)


def product_form(
    dtype: DType,
    dims: Sequence[int],
    offsets: tuple[int, int] = (0, 0),
    finish: Finish | None = None,
) -> Form:
    """What fits a product (dimensions of `codegen.gemm.gemm_dims`) whose operands begin at these
    elements of their memory. The order of additions is the same in all forms."""
    axes, m, n, k, ai, ak, bk, bj, ci, cj = dims[:HEAD]
    batch = [dims[HEAD + 4 * axis : HEAD + 4 * axis + 4] for axis in range(axes)]
    tiles = prod(one[0] for one in batch) * -(-m // LARGE) * -(-n // LARGE)
    plain = not any(_digits(dims))

    def along(wide: int, outer: int, inner: int, extent: int, offset: int, axis: int) -> str:
        if not plain or any(step % wide for step in (offset, *(one[axis] for one in batch))):
            return ""
        if inner == 1 and k % wide == 0 and outer % wide == 0:
            return "k"
        return "outer" if outer == 1 and extent % wide == 0 and inner % wide == 0 else ""

    def fitting(tile: int) -> Form:
        wide = tile * _depth(dtype, tile) // THREADS  # elements of one access
        by_a, by_b = along(wide, ai, ak, m, offsets[0], 1), along(wide, bj, bk, n, offsets[1], 2)
        return Form(tile, by_a, by_b, whole)

    whole = cj == 1 and not any(v % 4 for v in (n, ci, *(one[3] for one in batch)))
    if (finish is None or finish.light) and tiles >= BUSY and dtype.itemsize < 8:
        found = fitting(LARGE)
        if found.by_a and found.by_b:  # single elements leave too few registers
            return found
    return fitting(SMALL)


def product_source(
    dtype: DType, dims: Sequence[int], form: Form, finish: Finish | None = None
) -> tuple[str, str]:
    """(symbol, text) of the product of a dtype with so many batch axes, and axes in an index."""
    axes, digits = dims[0], _digits(dims)
    ends = "".join(str(len(d)) for d in digits)
    symbol = f"lg_matmul_{dtype.short}_{axes}_{form.name}" + (f"_{ends}" if any(digits) else "")
    if finish is not None:
        symbol += f"{'_kept' * finish.kept}_{finish.symbol.removeprefix('lg_')}"
    kind, size = dtype.kind, dtype.itemsize
    compute = "f64" if size == 8 else "f32"
    fma = "fma(x[i], y[j], sum[i][j])" if size == 8 else "fmaf(x[i], y[j], sum[i][j])"
    load = store = ""
    if dtype.is_half:
        load, store = f"v_from_{dtype.short}", f"v_to_{dtype.short}"
    elif kind != "f":
        compute, fma = "u64" if size == 8 else "u32", "sum[i][j] + x[i] * y[j]"
        load, store = f"({compute})", f"({dtype.short})"
    depth = _depth(dtype, form.tile)
    text = (
        environment()
        .get_template("cuda/product.cu.j2")
        .render(
            symbol=symbol,
            finish=finish,
            end=f"{symbol}_end",
            kept=finish is None or finish.kept,
            stored="u16" if dtype.is_half else dtype.short,
            compute=compute,
            fma=fma,
            load=load,
            store=store,
            plain=size >= 4,
            tile=form.tile,
            depth=depth,
            each=form.tile // SIDE,
            each_fetches=form.tile * depth // THREADS,
            by_a=form.by_a,
            by_b=form.by_b,
            whole=form.whole,
            unrolled=2 if compute == "u64" else 8,
            threads=THREADS,
            count=len(dims),
            digits=dict(zip(("ai", "ak", "bk", "bj"), digits)),
            batches=[HEAD + 4 * axis for axis in reversed(range(axes))],
        )
    )
    if finish is not None:  # two products of a unit may have the same end
        text = finish.text.replace(finish.symbol, f"{symbol}_end") + "\n" + text
    return symbol, text


def product_blocks(dims: Sequence[int], form: Form) -> int:
    axes, m, n = dims[:3]
    batch = prod(dims[HEAD + 4 * axis] for axis in range(axes))
    return batch * -(-m // form.tile) * -(-n // form.tile)
