"""Attention on the CPU: its C text, parameters and work items.

Owns: how many rows of weights are in memory at a time, and the parameters. Must not know: kernels,
or how text is compiled. The products are those of `gemm`, the text is templates/attention.c.j2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod

from lazygrad.codegen.environment import environment
from lazygrad.codegen.gemm import GRAIN_FLOPS, PACK_BYTES, asks, gemm_source
from lazygrad.codegen.reducers import BLOCK
from lazygrad.ir import ops
from lazygrad.ir.node import Node
from lazygrad.ir.operands import Operand
from lazygrad.ir.sizes import larger, smaller

_BLOCK_WEIGHTS = 1 << 15  # in a block of rows: they are to stay in the cache
_LEAST_ROWS = 32  # packing k and v for fewer takes as long as multiplying
_MOST_ROWS = 128  # in causal attention the less of a block is computed in vain, the fewer rows


def attention_source(gradient: bool, dtype: str, symbol: str, vector_bytes: int) -> str:
    """C text of the function `symbol`: attention in `dtype` (f32 or f64), or its gradient.

    Pointers: the sources, the result. Integers: `attention_dims`. Items: `attention_items`.
    """
    size = 4 if dtype == "f32" else 8
    product = gemm_source(dtype, "", vector_bytes)
    template = environment().get_template("attention.c.j2")
    text: str = template.render(
        gradient=gradient,
        dtype=dtype,
        symbol=symbol,
        lanes=vector_bytes // size,
        pack_cols=PACK_BYTES // size,
        asks=asks(vector_bytes),
        block=BLOCK,
    )
    return product + text


def _rows(node: Node) -> int:
    """Rows of weights that are in memory at a time."""
    rows, keys = node.srcs[0].shape[-2], node.srcs[1].shape[-2]
    return smaller(rows, larger(_LEAST_ROWS, smaller(_MOST_ROWS, _BLOCK_WEIGHTS // keys)))


def attention_dims(node: Node, sources: Sequence[Operand]) -> tuple[int, ...]:
    """The parameters, as the template says."""
    scale, causal = node.arg
    q, _, v = node.srcs[:3]
    keys = v.shape[-2]
    bits = struct.unpack("q", struct.pack("d", scale))[0]
    views = [operand.view for operand in sources]
    batch = [
        (n, *(view.strides[axis] for view in views))
        for axis, n in enumerate(q.shape[:-2])
        if n != 1
    ]
    head = (len(batch), *q.shape[-2:-1], keys, q.shape[-1], v.shape[-1], int(causal), bits)
    ends = [stride for view in views for stride in view.strides[-2:]]
    return (*head, _rows(node), *ends, *(value for axis in batch for value in axis))


def attention_items(node: Node) -> tuple[int, int]:
    """(work items, how many of them are worth giving to another thread)."""
    q, k, v = node.srcs[:3]
    batches = prod(q.shape[:-2])
    flops = 2 * batches * q.shape[-2] * k.shape[-2] * (q.shape[-1] + v.shape[-1])
    items = batches
    if node.op is ops.attention:
        items *= -(-q.shape[-2] // _rows(node))
    return items, larger(1, -(-GRAIN_FLOPS * items // larger(flops, 1)))
