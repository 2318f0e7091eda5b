"""Attention on a GPU: its CUDA C text, launches and temporary memory.

Owns: how many rows and keys are in shared memory at a time, and for which widths there is room.
Must not know: kernels, or how text is compiled. The text is templates/cuda/attention.cu.j2.

The gradient makes the weights anew from the largest score and the sum of a row, which its first
launch leaves for the two others: one for q, one for k and v, so that every element of the result
is added up by one thread in one order (Dao, "FlashAttention-2", arXiv:2307.08691).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from lazygrad.codegen.attention import attention_dims
from lazygrad.codegen.cuda.routines import Routine
from lazygrad.codegen.environment import environment
from lazygrad.codegen.target import Phase
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand

SHARED_BYTES = 48 << 10  # of a block, on any GPU
SIDE = 16  # threads along the columns; each of a block's has 4 rows
LEAST_WIDTH = 16
KEPT = 3  # numbers of a row that the gradient's first launch leaves
_FORWARD = ((64, 32), (32, 32), (16, 16))  # rows and keys of a block, the best first
_GRADIENT = ((32, 32), (16, 16))


def _forward_bytes(rows: int, keys: int, width: int, size: int) -> int:
    return size * ((rows + keys) * (width + 1) + rows * (keys + 1))


def _gradient_bytes(rows: int, keys: int, width: int, size: int) -> int:
    return size * (2 * (rows + keys) * (width + 1) + 2 * rows * (keys + 1))


def _padded(width: int) -> int:
    """Columns in shared memory, the same for q, k and v: a power of two. Comparisons find it, as
    the width may stand for others too (ir/sizes.py)."""
    columns = LEAST_WIDTH
    while columns < width:
        columns *= 2
    return columns


def fits(width: int, dtype: DType) -> bool:
    """Whether there is room for matrices of so many columns, and for their gradients."""
    rows, keys = _GRADIENT[-1]
    return _gradient_bytes(rows, keys, _padded(width), dtype.itemsize) <= SHARED_BYTES


def attention(node: Node, sources: Sequence[Operand]) -> Routine | None:
    """The kernels of an attention or of its gradient; None where there is no room."""
    q, k, v = node.srcs[:3]
    width, dtype = max(q.shape[-1], v.shape[-1]), node.dtype
    if not fits(width, dtype):
        return None
    columns, size = _padded(width), dtype.itemsize
    dims = attention_dims(node, sources)
    symbol = f"lg_{node.op.name}_{dtype.short}_{columns}_{dims[0]}"

    def room(options: tuple[tuple[int, int], ...], needed: int) -> tuple[int, int]:
        bytes_of = (_forward_bytes, _gradient_bytes)[needed]
        return next(o for o in options if bytes_of(*o, columns, size) <= SHARED_BYTES)

    rows, keys = room(_FORWARD, 0)
    side = room(_GRADIENT, 1)[0]
    gradient = node.op is ops.attention_grad
    body = (
        environment()
        .get_template("cuda/attention.cu.j2")
        .render(
            gradient=gradient,
            symbol=symbol,
            dtype=dtype.short,
            fma="fmaf" if size == 4 else "fma",
            width=columns,
            rows=rows,
            keys=keys,
            block=side,
            axes=dims[0],
            count=len(dims),
            side=SIDE,
            kept=KEPT,
        )
    )
    batches = prod(q.shape[:-2])

    def phase(name: str, of: Node, tile: int) -> Phase:
        return Phase(name, batches * -(-of.shape[-2] // tile), tile // 4 * SIDE, dims)

    if not gradient:
        return Routine(body, (symbol,), (phase(symbol, q, rows),), 0)
    phases = (
        phase(f"{symbol}_rows", q, side),
        phase(f"{symbol}_q", q, side),
        phase(f"{symbol}_kv", k, side),
    )
    scratch = KEPT * size * batches * q.shape[-2]
    return Routine(body, tuple(one.symbol for one in phases), phases, scratch)
